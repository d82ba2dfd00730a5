//! What the store is given of what senders ask, and of a message's way here; what the configuration switches.

use mailstore::{
    Body, ByMode, DeliverBy, LocalRecipient, Notify, OriginalRecipient, RecipientTerms, Returns, Terms,
};
use mailwire::address::Mailbox;
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::messages::Message;
use crate::session::{BareSession, LOGIN, UNIX_SECONDS, greeted, reception, submission};

const FROM_ALICE: &str = "MAIL FROM:<alice@example.test>";

/// The message that `session` commits after `mail` and `rcpt`.
fn sent(mut session: BareSession, mail: &str, rcpt: &str) -> Message {
    assert_eq!(session.codes(format!("{mail}\r\n{rcpt}\r\nDATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes("A: b\r\n\r\n.\r\n"), [250]);
    session.messages.committed().pop().unwrap()
}

fn logged_in(config: &Config) -> BareSession {
    let mut session = greeted(Kind::Submission, config, Accounts::new());
    assert_eq!(session.codes(LOGIN), [235]);
    session
}

#[test]
fn what_is_asked_is_handed_to_the_store() {
    let mail = format!(
        "{FROM_ALICE} RET=HDRS ENVID=QQ+2B1 HOLDFOR=60 BY=120;RT MT-PRIORITY=-3 REQUIRETLS BODY=8BITMIME SMTPUTF8"
    );
    let rcpt = "RCPT TO:<Bob@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@example.org";
    let delivery = sent(submission(), &mail, rcpt).delivery;
    let terms = Terms {
        returns: Some(Returns::Headers),
        envelope_id: Some("QQ+1".to_owned()),
        release_at: Some(UNIX_SECONDS + 60),
        deliver_by: Some(DeliverBy { at: UNIX_SECONDS + 120, mode: ByMode::Return, trace: true }),
        priority: Some(-3),
        requires_tls: true,
        body: Some(Body::EightBit),
        is_utf8: true,
    };
    assert_eq!(delivery.terms, terms);
    let original =
        OriginalRecipient { address_type: "rfc822".to_owned(), address: "b+ob@example.org".to_owned() };
    let notify = Notify::On { success: true, failure: false, delay: true };
    let terms = RecipientTerms { notify: Some(notify), original: Some(original) };
    let mailbox = Mailbox::parse("Bob@example.test").unwrap();
    assert_eq!(delivery.local, [LocalRecipient { mailbox, terms }]);
}

#[test]
fn who_asks_for_nothing_gets_nothing_special() {
    let delivery = sent(reception(), "MAIL FROM:<> SIZE=7", "RCPT TO:<bob@example.test>").delivery;
    assert_eq!((delivery.terms, delivery.local), (Terms::default(), Vec::new()));
}

#[test]
fn a_date_of_release_is_taken_up_to_the_last_second_that_was_announced() {
    let hello = submission().ask("EHLO x\r\n");
    assert!(hello.contains("250-FUTURERELEASE 2592000 2025-12-21T22:27:00Z\r\n"), "{hello}");
    let mail = |until: &str| format!("{FROM_ALICE} HOLDUNTIL={until}\r\n");
    for (until, code) in [
        ("2025-12-21T22:27:00Z", 250),
        ("2025-12-21T22:27:01Z", 501),
        ("2025-12-21T21:57:00-00:30", 250),
        ("2025-12-21T23:27:01+01:00", 501),
        ("2025-11-21T22:27:00.999Z", 250),
        ("2025-11-21T22:26:59Z", 501),
    ] {
        assert_eq!(submission().codes(mail(until)), [code], "{until}");
    }
    let until = format!("{FROM_ALICE} HOLDUNTIL=2025-12-01T00:00:00Z");
    let delivery = sent(submission(), &until, "RCPT TO:<bob@example.test>").delivery;
    assert_eq!(delivery.terms.release_at, Some(1_764_547_200));
}

#[test]
fn the_way_here_is_handed_to_the_store() {
    let mut session = submission();
    let envelope =
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\n";
    for _ in 0..2 {
        assert_eq!(session.codes(format!("{envelope}DATA\r\n")), [250, 550, 250, 354]);
        assert_eq!(session.codes("A: b\r\n\r\n.\r\n"), [250]);
    }
    for message in session.messages.committed() {
        let steps = message.delivery.steps;
        assert!(steps.iter().all(|step| step.at == UNIX_SECONDS));
        let told: Vec<_> = steps.iter().map(|step| (&*step.event, step.detail.as_str())).collect();
        assert_eq!(
            told,
            [
                ("connected", "from 127.0.0.1 to 127.0.0.1"),
                ("tls", "TLS1.3 TLS13_AES_256_GCM_SHA384"),
                ("login", "alice@example.test"),
                ("mail", "from <alice@example.test>"),
                ("recipients", "1 accepted, 1 refused"),
                ("content", ""),
            ]
        );
    }
}

#[test]
fn holding_mail_can_be_switched_off() {
    let mut session = logged_in(&Config { future_release_seconds_max: 0, ..Config::default() });
    assert!(!session.ask("EHLO x\r\n").contains("FUTURERELEASE"));
    assert_eq!(session.codes(format!("{FROM_ALICE} HOLDFOR=1\r\n")), [555]);
}

#[test]
fn a_time_for_delivery_may_have_a_least() {
    let mut session = logged_in(&Config { deliver_by_seconds_min: 60, ..Config::default() });
    assert!(session.ask("EHLO x\r\n").contains("250-DELIVERBY 60\r\n"));
    assert_eq!(session.codes(format!("{FROM_ALICE} BY=59;R\r\n")), [555]);
    assert_eq!(session.codes(format!("{FROM_ALICE} BY=60;R\r\nRSET\r\n")), [250, 250]);
    // RFC 2852 §3: the least is one for mode R.
    assert_eq!(session.codes(format!("{FROM_ALICE} BY=-5;N\r\n")), [250]);
}

#[test]
fn a_received_field_names_the_login_where_that_is_switched_on() {
    for (received_names_login, told) in [(false, false), (true, true)] {
        let session = logged_in(&Config { received_names_login, ..Config::default() });
        let message = sent(session, FROM_ALICE, "RCPT TO:<bob@example.test>");
        let prefix = String::from_utf8(message.delivery.prefix).unwrap();
        assert_eq!(prefix.contains("\r\n\t(login alice@example.test)\r\n"), told, "{prefix}");
    }
}

#[test]
fn an_alias_is_expanded_for_users_where_that_is_switched_on() {
    let config = Config { expand_aliases: true, ..Config::default() };
    let mut session = greeted(Kind::Submission, &config, Accounts::new());
    assert_eq!(session.codes("EXPN postmaster\r\n"), [530]);
    assert_eq!(session.codes(LOGIN), [235]);
    assert!(session.ask("EHLO x\r\n").contains("250-EXPN\r\n"));
    for name in ["postmaster", "Postmaster@Example.test", "<postmaster@example.test>"] {
        assert_eq!(session.ask(format!("EXPN {name}\r\n")), "250 2.1.5 <alice@example.test>\r\n", "{name}");
    }
    assert_eq!(session.codes("EXPN alice\r\nEXPN nobody@example.org\r\nEXPN a b\r\n"), [550, 550, 550]);
    let mut strangers = greeted(Kind::Reception, &config, Accounts::new());
    assert!(!strangers.ask("EHLO x\r\n").contains("EXPN"));
    assert_eq!(strangers.codes("EXPN postmaster\r\n"), [502]);
}
