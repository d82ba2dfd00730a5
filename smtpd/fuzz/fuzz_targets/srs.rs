//! Any sender of forwarded mail: reports find their way back to it, and nobody makes up an address that leads anywhere.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mailwire::address::{Mailbox, ReversePath};
use mailwire::secret::Secret;
use smtpd::filing::srs::{Srs, is_rewritten};

static SRS: LazyLock<Srs> = LazyLock::new(|| Srs::new(&Secret::new([7; 32])));
static OURS: LazyLock<Mailbox> = LazyLock::new(|| Mailbox::parse("x@ours.test").expect("an address"));

fuzz_target!(|input: (u32, &str)| {
    let (now, text) = (u64::from(input.0), input.1);
    let Ok(mailbox) = Mailbox::parse(text) else { return };
    // Its hash is a guess.
    assert!(SRS.back(&mailbox, now).is_err());
    if let ReversePath::Mailbox(ours) = SRS.forward(&mailbox, &OURS, now) {
        assert!(is_rewritten(&ours));
        let back = SRS.back(&ours, now);
        assert!(is_rewritten(&mailbox) || back == Ok(mailbox));
    }
});
