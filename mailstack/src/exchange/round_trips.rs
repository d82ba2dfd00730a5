//! Mail that comes in from each format and goes out to each, over a real store.

use std::fs;
use std::path::{Path, PathBuf};

use mailstore::{Options, Store};
use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use tempfile::TempDir;

use super::{export, import, maildrop};
use crate::arguments::{ExportOptions, ImportOptions, MailFormat, Whereabouts};
use crate::output::tests::Printed;

const CONFIGURATION: &str = "version = 1\n[server]\nhostname = \"mail.example.test\"\n\
    domains = [\"example.test\"]\n[store]\npath = \"FOLDER/store\"\nreserve_octets = 0\n";

/// A server with the accounts `alice` and `bob`, and a folder for everything.
struct House {
    folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        let configuration = CONFIGURATION.replace("FOLDER", house.folder.path().to_str().unwrap());
        fs::write(house.at("mailstack.toml"), configuration).unwrap();
        let store = house.store().await;
        for name in ["alice", "bob"] {
            let added = store.administration.add_account(&address(name), &Secret::new("x".to_owned())).await;
            added.unwrap();
        }
        store.close().await;
        house
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts { config: Some(self.at("mailstack.toml")), dir: None }
    }

    async fn store(&self) -> Store {
        mailstore::open(Options { path: self.at("store"), reserve_octets: 0, ..Options::default() })
            .await
            .unwrap()
    }

    /// What `mailstack import` says.
    async fn import(&self, account: &str, source: &Path, uidl_format: Option<&str>) -> String {
        let options = ImportOptions {
            account: address(account).to_string(),
            source: source.to_owned(),
            format: None,
            uidl_format: uidl_format.map(|format| format.parse().unwrap()),
            whereabouts: self.whereabouts(),
        };
        let printed = Printed::default();
        let output = printed.output();
        if let Err(failure) = import::run(&options, &output).await {
            output.failure(&*failure);
        }
        printed.text()
    }

    /// What `mailstack export` says.
    async fn export(&self, account: &str, destination: &Path, format: MailFormat) -> String {
        let options = ExportOptions {
            account: address(account).to_string(),
            destination: destination.to_owned(),
            format,
            whereabouts: self.whereabouts(),
        };
        let printed = Printed::default();
        let output = printed.output();
        if let Err(failure) = export::run(&options, &output).await {
            output.failure(&*failure);
        }
        printed.text()
    }

    /// Unique-id, time and content of each message, in order.
    async fn messages(&self, account: &str) -> Vec<(String, u64, String)> {
        let store = self.store().await;
        let maildrop = maildrop::of(&store, &address(account)).await.unwrap();
        let mut messages = Vec::new();
        for kept in store.maildrop_administration.messages(maildrop, None, 1000).await.unwrap() {
            let content =
                store.maildrop_administration.read(maildrop, kept.message, 0, 1 << 20).await.unwrap();
            let content = String::from_utf8(content).unwrap();
            messages.push((kept.entry.unique_id.to_string(), kept.entry.received_at, content));
        }
        store.close().await;
        messages
    }

    /// A Maildir as Dovecot leaves it: two messages that it has shown, two equal ones that it has not.
    fn maildir(&self) -> PathBuf {
        let root = self.at("Maildir");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        fs::write(root.join("cur/1700000002.a:2,S"), "Subject: a\n\nFrom a\n").unwrap();
        fs::write(root.join("cur/1700000001.b:2,"), "Subject: b\n\n\rb\r\r\n\n").unwrap();
        for name in ["1700000003.c", "1700000004.d"] {
            fs::write(root.join("new").join(name), "Subject: c\n\n.c").unwrap();
        }
        let list = "3 V1699999999 N12\n10 :1700000002.a\n11 Pkept/id :1700000001.b\n";
        fs::write(root.join("dovecot-uidlist"), list).unwrap();
        root
    }
}

fn address(name: &str) -> Mailbox {
    Mailbox::parse(&format!("{name}@example.test")).unwrap()
}

#[tokio::test]
async fn a_maildir_is_imported_once_with_its_order_times_and_unique_ids() {
    let house = House::new().await;
    let maildir = house.maildir();
    let said = house.import("bob", &maildir, None).await;
    assert_eq!(said, "imported 4 messages, 0 were there already\n");
    let messages = house.messages("bob").await;
    let [a, b, c, d] = messages.clone().try_into().unwrap();
    let expected = ("0000000a6553f0ff".to_owned(), 1_700_000_002, "Subject: a\r\n\r\nFrom a\r\n".to_owned());
    assert_eq!(a, expected);
    assert_eq!(b, ("kept/id".to_owned(), 1_700_000_001, "Subject: b\r\n\r\n\rb\r\r\n\r\n".to_owned()));
    assert_eq!((c.1, c.2.as_str()), (1_700_000_003, "Subject: c\r\n\r\n.c\r\n"));
    assert_eq!(c.2, d.2);
    assert_ne!(c.0, d.0);

    let said = house.import("bob", &maildir, None).await;
    assert_eq!(said, "imported 0 messages, 4 were there already\n");
    assert_eq!(house.messages("bob").await, messages);
}

#[tokio::test]
async fn what_comes_later_is_added_and_what_dovecot_has_shown_since_is_not_imported_again() {
    let house = House::new().await;
    let maildir = house.maildir();
    house.import("bob", &maildir, None).await;
    let list = "3 V1699999999 N14\n10 :1700000002.a\n11 Pkept/id :1700000001.b\n12 :1700000003.c\n";
    fs::write(maildir.join("dovecot-uidlist"), list).unwrap();
    fs::rename(maildir.join("new/1700000003.c"), maildir.join("cur/1700000003.c:2,S")).unwrap();
    fs::write(maildir.join("new/1700000005.e"), "Subject: e\n").unwrap();
    let said = house.import("bob", &maildir, None).await;
    assert_eq!(said, "imported 1 message, 4 were there already\n");
}

#[tokio::test]
async fn each_format_takes_mail_out_and_back_unchanged() {
    let house = House::new().await;
    house.import("bob", &house.maildir(), None).await;
    let messages = house.messages("bob").await;
    for (format, name) in
        [(MailFormat::Maildir, "maildir"), (MailFormat::Mbox, "mbox"), (MailFormat::Eml, "tree")]
    {
        let place = house.at(name);
        let said = house.export("bob", &place, format).await;
        assert_eq!(said, "exported 4 messages, 0 were there already\n", "{name}");
        let said = house.export("bob", &place, format).await;
        assert_eq!(said, "exported 0 messages, 4 were there already\n", "{name}");
        let said = house.import("bob", &place, None).await;
        assert_eq!(said, "imported 0 messages, 4 were there already\n", "{name}");

        let other = House::new().await;
        let said = other.import("alice", &place, None).await;
        assert_eq!(said, "imported 4 messages, 0 were there already\n", "{name}");
        assert_eq!(other.messages("alice").await, messages, "{name}");
    }
}

#[tokio::test]
async fn mail_goes_back_to_where_it_came_from_without_a_second_copy() {
    let house = House::new().await;
    let maildir = house.maildir();
    fs::remove_file(maildir.join("new/1700000004.d")).unwrap();
    fs::remove_file(maildir.join("new/1700000003.c")).unwrap();
    house.import("bob", &maildir, None).await;
    let said = house.export("bob", &maildir, MailFormat::Maildir).await;
    assert_eq!(said, "exported 0 messages, 2 were there already\n");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_named_and_the_others_are_imported() {
    let house = House::new().await;
    let maildir = house.maildir();
    fs::write(maildir.join("cur/1700000001.b:2,"), b"\x1f\x8b").unwrap();
    let said = house.import("bob", &maildir, None).await;
    assert_eq!(
        said,
        "mailstack: cur/1700000001.b:2, could not be read: it is compressed (gzip)\n\
         imported 3 messages, 0 were there already, 1 could not be read\n\
         mailstack: not all messages were imported; when the cause is mended, the same command imports the others\n"
    );
    house.maildir();
    let said = house.import("bob", &maildir, None).await;
    assert_eq!(said, "imported 1 message, 3 were there already\n");
}

#[tokio::test]
async fn a_unique_id_that_cannot_be_kept_is_named_and_the_message_is_imported() {
    let house = House::new().await;
    let maildir = house.maildir();
    let list =
        "3 V1699999999 N12\n10 Ptwice :1700000002.a\n11 Ptwice :1700000001.b\n12 P\u{e9} :1700000003.c\n";
    fs::write(maildir.join("dovecot-uidlist"), list).unwrap();
    let said = house.import("bob", &maildir, None).await;
    let [taken, wrong, count] = said.lines().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        taken,
        "mailstack: cur/1700000001.b:2,: clients will fetch it again, because twice is the unique-id of another message"
    );
    assert!(wrong.starts_with("mailstack: new/1700000003.c: clients will fetch it again: "), "{wrong}");
    assert_eq!(count, "imported 4 messages, 0 were there already");
    let said = house.import("bob", &maildir, None).await;
    assert!(said.ends_with("\nimported 0 messages, 4 were there already\n"), "{said}");
}

#[tokio::test]
async fn the_unique_id_of_another_message_here_is_not_taken_for_that_message() {
    let house = House::new().await;
    let maildir = house.maildir();
    house.import("bob", &maildir, None).await;
    fs::write(maildir.join("cur/1700000002.a:2,S"), "Subject: another\n").unwrap();
    let expected = "mailstack: cur/1700000002.a:2,S: clients will fetch it again, because 0000000a6553f0ff is the \
        unique-id of another message\nimported 1 message, 3 were there already\n";
    assert_eq!(house.import("bob", &maildir, None).await, expected);
    let said = house.import("bob", &maildir, None).await;
    assert_eq!(said, "imported 0 messages, 4 were there already\n");
}

#[tokio::test]
async fn equal_messages_are_all_kept_whatever_they_carry() {
    let house = House::new().await;
    house.import("bob", &house.maildir(), None).await;
    let second = house.messages("bob").await.pop().unwrap();
    let tree = house.at("tree");
    fs::create_dir(&tree).unwrap();
    for name in [&format!("00000001-{}.eml", second.0), "00000002-z.eml", "plain.eml"] {
        fs::write(tree.join(name), &second.2).unwrap();
    }
    assert_eq!(house.import("alice", &tree, None).await, "imported 3 messages, 0 were there already\n");
    assert_eq!(house.import("alice", &tree, None).await, "imported 0 messages, 3 were there already\n");
}

#[tokio::test]
async fn dovecots_own_format_of_unique_ids_is_followed() {
    let house = House::new().await;
    house.import("bob", &house.maildir(), Some("%v.%u")).await;
    assert_eq!(house.messages("bob").await[0].0, "1699999999.10");
}

#[tokio::test]
async fn an_account_that_is_not_there_is_named_with_what_to_do() {
    let house = House::new().await;
    let expected = "mailstack: there is no account carol@example.test; `mailstack account add carol@example.test` makes one\n";
    assert_eq!(house.import("carol", &house.maildir(), None).await, expected);
    assert_eq!(house.export("carol", &house.at("x"), MailFormat::Eml).await, expected);
    assert!(!house.at("x").exists());
}
