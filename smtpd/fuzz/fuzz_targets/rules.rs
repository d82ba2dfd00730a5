//! Any text as rules, looking at any header section: a mistake has its place in the text, and a decision its limits.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mailwire::address::{Mailbox, ReversePath};
use smtpd::filing::rules::{Decision, Facts, Rules, decide};
use smtpd::session::Class;

static RECIPIENTS: LazyLock<[Mailbox; 1]> =
    LazyLock::new(|| [Mailbox::parse("alice+shop@example.test").expect("an address")]);

// Rules, then a NUL, then a header section.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|octet| *octet == 0).unwrap_or(input.len());
    let (text, header) = input.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let rules = match Rules::parse(text) {
        Ok(rules) => rules,
        Err(mistake) => {
            let line = text.split('\n').nth(mistake.line - 1).expect("a line of the text");
            assert!(mistake.column <= line.chars().count() + 1, "{mistake}");
            return;
        }
    };
    let sender = ReversePath::Mailbox(RECIPIENTS[0].clone());
    for (class, reverse_path) in [(Class::Wanted, ReversePath::Null), (Class::Junk(String::new()), sender)] {
        let facts = Facts {
            reverse_path: &reverse_path,
            recipients: &*RECIPIENTS,
            octets: 1000,
            header: header.get(1..).unwrap_or_default(),
            is_authenticated: class.is_junk(),
            class: &class,
            doubt: None,
            account: &RECIPIENTS[0],
            personal: &[],
            now: 0,
        };
        let decision = decide(&rules, &facts);
        assert!(decision.lines.len() <= rules.len());
        if decision.lines.is_empty() {
            let without = Decision::without_rules(&class);
            assert_eq!(decision.places, without.places);
        }
    }
});
