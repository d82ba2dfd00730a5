//! Notes: taken, replaced, told until their time is over, and there again after a restart.

use super::{options, with_store};
use crate::{NOTE_OCTETS_MAX, Note, Store};

fn note(topic: &str, name: &str, text: &str, until: u64) -> Note {
    let [topic, name, text] = [topic, name, text].map(str::to_owned);
    Note { topic, name, text, until }
}

async fn texts(store: &Store, topic: &str, now: u64) -> Vec<String> {
    let notes = store.notes.notes(topic, "", now).await.unwrap();
    notes.into_iter().map(|note| note.text).collect()
}

#[tokio::test]
async fn a_note_is_told_until_its_time_is_over_or_another_takes_its_place() {
    with_store(async |store| {
        for (topic, name, text, until) in [
            ("t", "b", "two", 200),
            ("t", "a", "one", 100),
            ("u", "a", "other", 100),
            ("t", "b", "three", 300),
        ] {
            store.notes.note(note(topic, name, text, until)).await.unwrap();
        }
        assert_eq!(texts(&store, "t", 99).await, ["one", "three"]);
        assert_eq!(texts(&store, "t", 100).await, ["three"]);
        assert_eq!(texts(&store, "u", 0).await, ["other"]);
        assert!(texts(&store, "", 0).await.is_empty());
        let behind = store.notes.notes("t", "a", 0).await.unwrap();
        assert_eq!(behind, [note("t", "b", "three", 300)]);
        assert!(store.notes.notes("t", "b", 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_note_that_is_too_long_is_not_taken() {
    with_store(async |store| {
        let fits = "x".repeat(NOTE_OCTETS_MAX - 2);
        store.notes.note(note("t", "a", &fits, 9)).await.unwrap();
        store.notes.note(note("t", "b", &(fits.clone() + "x"), 9)).await.unwrap();
        assert_eq!(texts(&store, "t", 0).await, [fits]);
    })
    .await;
}

#[tokio::test]
async fn notes_are_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    store.notes.note(note("t", "a", "one", 9)).await.unwrap();
    store.close().await;
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(texts(&store, "t", 0).await, ["one"]);
    store.close().await;
}
