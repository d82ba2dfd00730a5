//! What is known of a message's header fields without reading it.

use tokio::sync::mpsc;

use super::{LARGE_OCTETS, PREFIX, account, deliver, delivery, lease, read_whole, with_store};
use crate::{Delivery, Repertoire, ReturnAs};

fn part(header: &str) -> String {
    format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{header}\r\nContent-Type: text/plain\r\n\r\n\
         Grüße\r\n--b--\r\n"
    )
}

#[tokio::test]
async fn whether_header_fields_hold_utf_8_is_known_without_reading_the_message() {
    let large = |header: &str| format!("{header}\r\n\r\n{}", "ü23456789abcde\r\n".repeat(LARGE_OCTETS / 16));
    let messages = [
        ("Subject: x\r\n\r\nGrüße\r\n".to_owned(), Repertoire::Ascii),
        (String::new(), Repertoire::Ascii),
        ("Subject: Grüße\r\n\r\nx\r\n".to_owned(), Repertoire::Utf8),
        ("Subject: x\r\n Grüße".to_owned(), Repertoire::Utf8),
        (part("A: b"), Repertoire::Ascii),
        (part("Content-Description: Grüße"), Repertoire::Utf8Within),
        (format!("Subject: Grüße\r\n{}", part("A: ü")), Repertoire::Utf8Within),
        (large("Subject: x"), Repertoire::Ascii),
        (large("Subject: Grüße"), Repertoire::Utf8),
    ];
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        for (content, _) in &messages {
            deliver(&store, content.as_bytes(), 7001, delivery(&[alice])).await;
        }
        // No UTF-8, whatever it is.
        deliver(&store, b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n", 3, delivery(&[alice])).await;
        let with_utf8 = Delivery { prefix: "Received: by ü\r\n".into(), ..delivery(&[alice]) };
        deliver(&store, b"Subject: x\r\n\r\nx\r\n", 3, with_utf8).await;
        let expected = messages.iter().map(|(_, repertoire)| *repertoire);
        let expected: Vec<_> = expected.chain([Repertoire::Ascii, Repertoire::Utf8]).collect();
        let mut lease = lease(&store, alice).await;
        let found: Vec<_> = lease.entries().iter().map(|entry| entry.repertoire).collect();
        assert_eq!(found, expected);
        assert!(read_whole(&mut lease, 2, 1000).await.starts_with(PREFIX));
    })
    .await;
}

#[tokio::test]
async fn what_is_known_of_header_fields_outlives_deletion_and_a_new_index() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver(&store, b"Subject: x\r\n\r\nx\r\n", 1000, delivery(&[alice])).await;
        deliver(&store, "Subject: Grüße\r\n\r\nx\r\n".as_bytes(), 1000, delivery(&[alice])).await;
        deliver(&store, part("A: ü").as_bytes(), 1000, delivery(&[alice])).await;
        let expected = [Repertoire::Ascii, Repertoire::Utf8, Repertoire::Utf8Within];
        lease(&store, alice).await.expunge(&[0, 1, 2]).await.unwrap();
        let administration = &store.maildrop_administration;
        let kept = administration.messages(alice, None, 10).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.entry.repertoire).collect::<Vec<_>>(), expected);
        let messages: Vec<_> = kept.iter().map(|kept| kept.message).collect();
        administration.bring_back(alice, &messages, ReturnAs::New).await.unwrap();
        store.repair.rebuild(mpsc::channel(1).0).await.unwrap();
        let entries = lease(&store, alice).await.entries().to_vec();
        assert_eq!(entries.iter().map(|entry| entry.repertoire).collect::<Vec<_>>(), expected);
    })
    .await;
}
