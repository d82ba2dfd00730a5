//! Any text is an address or none, and an address is the same one after it was written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::address::{Domain, Mailbox};

fuzz_target!(|text: &str| {
    if let Ok(mailbox) = Mailbox::parse(text) {
        let written = mailbox.to_string();
        assert!(!written.contains(['\r', '\n', '\0']), "{written:?}");
        assert_eq!(Mailbox::parse(&written).as_ref(), Ok(&mailbox));
        assert_eq!(mailbox.key(), mailbox.key().to_lowercase());
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(&domain.to_string()), Ok(domain));
    }
});
