//! What holds for everything that is said, in every language.

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};

use mailstore::{CommonRules, Expiry, Strictest, UniqueId};
use mailwire::pop3::{CommandError, MessageNumber, Reply, ResponseCode};
use mailwire::sasl::{ChannelBindings, Surroundings, Tokens};

use super::*;
use crate::session::{Login, Offer, Stls};

const EVERY_OFFER: [Offer; 4] = [
    Offer::TLS,
    Offer::LOGGED_IN,
    Offer { login: Login::Allowed, stls: Stls::Offered },
    Offer { login: Login::NeedsTls, stls: Stls::Unavailable },
];

/// Every single line that the server can say.
fn every_line(language: Language) -> Vec<Reply> {
    let number = MessageNumber::new(NonZeroU32::MAX);
    vec![
        greeting("mail.example.test"),
        not_a_command(language, &CommandError::Unrecognised),
        not_a_command(language, &CommandError::Arguments { expected: "RETR n" }),
        not_a_command(language, &CommandError::MessageNumber),
        line_too_long(language),
        too_many_errors(language),
        too_many_commands(language),
        log_in_first(language),
        logged_in_already(language),
        apop_not_supported(language),
        utf8_begun(language),
        password_please(language),
        user_first(language),
        login_needs_tls(language),
        unknown_mechanism(language),
        login_cancelled(language),
        not_base64(language),
        malformed_response(language),
        wrong_credentials(language),
        too_many_wrong_credentials(language),
        login_put_off(language),
        login_put_off_again(language),
        login_unavailable(language),
        maildrop_in_use(language),
        login_too_soon(language),
        maildrop_taken_over(language),
        store_trouble(language),
        not_expunged(language),
        logged_in(language, usize::MAX),
        begin_tls(language),
        tls_already(language),
        no_tls(language),
        tls_too_late(language),
        stat(usize::MAX, u64::MAX),
        list_follows(language, usize::MAX, u64::MAX),
        unique_ids_follow(language),
        scan_listing(number, u64::MAX),
        unique_id_listing(number, &UniqueId::minted([0xff; 16])),
        message_follows(language, u64::MAX),
        top_follows(language),
        no_such_message(language, usize::MAX),
        deleted_already(language),
        deleted(language, number),
        nothing_done(language),
        unmarked(language, usize::MAX),
        goodbye(language),
        goodbye_after(language, usize::MAX),
        language_chosen(language),
        unknown_language(language),
    ]
}

/// Everything that the server can say in one language, as it goes over the wire.
fn everything(language: Language) -> Vec<u8> {
    let mut output = TOO_MANY_CONNECTIONS.to_vec();
    let full = Surroundings {
        bindings: ChannelBindings::new(Some([0; 32]), None),
        certificate_logins: vec![String::new()],
        tokens: Tokens::Checked,
    };
    let lines = every_line(language).into_iter().map(Answer::Line);
    let rules = CommonRules {
        login_delay_seconds: Strictest { value: u32::MAX, differs: true },
        expiry: Strictest { value: Expiry::Days(NonZeroU16::MAX), differs: true },
    };
    let capabilities = EVERY_OFFER.map(|offer| capabilities(language, offer, &full, Some(&rules)));
    let lists = [mechanisms(language, &full), languages(language)];
    for answer in lines.chain(capabilities).chain(lists) {
        answer.encode(&mut output);
    }
    scan_listing_line(usize::MAX, u64::MAX, &mut output);
    unique_id_listing_line(usize::MAX, &UniqueId::minted([0xff; 16]), &mut output);
    output
}

#[test]
fn no_reply_has_words_that_clients_take_for_something_else() {
    for language in Language::ALL {
        let said = String::from_utf8(everything(language)).unwrap().to_lowercase();
        for word in ["lock", "wait", "gssapi", "ntlm", "msn", "cram-md5", "service", "unavailable", "<", ">"]
        {
            assert!(!said.contains(word), "{word} in {language:?}");
        }
    }
}

#[test]
fn every_line_is_short_and_printable() {
    for language in Language::ALL {
        for line in everything(language).split_inclusive(|octet| *octet == b'\n') {
            // RFC 2449 §4. A reply is cut at that, so a line that is just as long may lack its end.
            assert!(line.len() < 512 && line.ends_with(b"\r\n"), "{}", line.escape_ascii());
            let text = str::from_utf8(&line[..line.len() - 2]).unwrap();
            assert!(!text.contains(char::is_control), "{text}");
        }
    }
}

#[test]
fn what_nobody_has_asked_for_in_another_language_is_ascii() {
    // RFC 1939 §3; the names of languages come only to who asks for them (RFC 6856 §3.2).
    let lines = every_line(Language::default());
    assert!(lines.iter().all(|line| line.text().is_ascii()));
}

/// The numbers of a text, in their order.
fn numbers(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).collect()
}

#[test]
fn a_program_reads_the_same_in_every_language() {
    let english = every_line(Language::English);
    for language in Language::ALL {
        for (line, english) in every_line(language).iter().zip(&english) {
            assert_eq!((line.status(), line.code()), (english.status(), english.code()), "{line:?}");
            assert_eq!(numbers(line.text()), numbers(english.text()), "{line:?}");
        }
        let capabilities = |language| match capabilities(language, Offer::TLS, &Surroundings::default(), None)
        {
            Answer::Lines(_, lines) => lines,
            answer @ (Answer::Line(_) | Answer::Challenge(_)) => panic!("{answer:?}"),
        };
        assert_eq!(capabilities(language), capabilities(Language::English));
    }
}

#[test]
fn nothing_is_said_in_english_to_others() {
    let english = every_line(Language::English);
    let in_french_as_in_english = [
        greeting("mail.example.test"),
        message_follows(Language::French, u64::MAX),
        list_follows(Language::French, usize::MAX, u64::MAX),
    ];
    for language in Language::ALL.into_iter().filter(|language| *language != Language::English) {
        for (line, english) in every_line(language).iter().zip(&english) {
            let has_words = english.text().split(' ').any(|word| word.chars().all(char::is_alphabetic));
            let is_alike = in_french_as_in_english.contains(line);
            assert!(!has_words || is_alike || line.text() != english.text(), "{line:?}");
        }
    }
}

#[test]
fn numbers_take_the_forms_that_a_language_asks_for() {
    for (language, forms) in [
        (Language::English, ["0 messages (0 octets)", "1 message (1 octet)", "2 messages (2 octets)"]),
        (Language::Spanish, ["0 mensajes (0 bytes)", "1 mensaje (1 byte)", "2 mensajes (2 bytes)"]),
        (Language::Portuguese, ["0 mensagem (0 byte)", "1 mensagem (1 byte)", "2 mensagens (2 bytes)"]),
        (Language::German, ["0 Nachrichten (0 Byte)", "1 Nachricht (1 Byte)", "2 Nachrichten (2 Byte)"]),
        (Language::French, ["0 message (0 octet)", "1 message (1 octet)", "2 messages (2 octets)"]),
        (Language::Chinese, ["0 封邮件（0 字节）", "1 封邮件（1 字节）", "2 封邮件（2 字节）"]),
    ] {
        for (form, count) in forms.iter().zip(0_u32..) {
            let (messages, octets) = (count as usize, u64::from(count));
            assert_eq!(list_follows(language, messages, octets).text(), *form);
            let messages_alone = form.split(['(', '（']).next().unwrap().trim_end();
            for line in [logged_in(language, messages), unmarked(language, messages)] {
                assert!(line.text().ends_with(messages_alone), "{line:?}");
            }
        }
    }
    assert_eq!(goodbye_after(Language::English, 1).text(), "Goodbye, 1 message deleted");
    assert_eq!(goodbye_after(Language::Spanish, 1).text(), "Adiós, 1 mensaje eliminado");
    assert_eq!(goodbye_after(Language::French, 2).text(), "Au revoir, 2 messages supprimés");
}

#[test]
fn only_wrong_credentials_carry_auth() {
    for language in Language::ALL {
        let with_auth = |reply: &Reply| reply.code() == Some(ResponseCode::Auth);
        let lines: Vec<_> = every_line(language).into_iter().filter(with_auth).collect();
        assert_eq!(lines, [wrong_credentials(language), too_many_wrong_credentials(language)]);
    }
}

#[test]
fn a_refused_connection_is_told_in_one_line_of_the_protocol() {
    let line = TOO_MANY_CONNECTIONS.strip_suffix(b"\r\n").unwrap();
    assert_eq!(Reply::parse(line).and_then(|reply| reply.code()), Some(ResponseCode::SysTemp));
}

#[test]
fn an_empty_challenge_keeps_its_blank() {
    let mut output = Vec::new();
    Answer::Challenge(Cow::Borrowed(b"")).encode(&mut output);
    assert_eq!(output, b"+ \r\n");
}

#[test]
fn capabilities_are_lines_of_their_own_behind_a_status_and_before_a_dot() {
    let mut output = Vec::new();
    let offer = Offer { login: Login::Allowed, stls: Stls::Offered };
    let rules = CommonRules::default();
    capabilities(Language::default(), offer, &Surroundings::default(), Some(&rules)).encode(&mut output);
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("+OK ") && *lines.last().unwrap() == ".", "{text}");
    let expected = [
        "TOP",
        "UIDL",
        "USER",
        "SASL PLAIN LOGIN SCRAM-SHA-256",
        "STLS",
        "PIPELINING",
        "EXPIRE NEVER",
        "LANG",
    ];
    for capability in expected {
        assert!(lines.contains(&capability), "{capability} in {text}");
    }
}

#[test]
fn each_language_is_listed_by_its_tag_and_its_own_name() {
    let mut output = Vec::new();
    languages(Language::English).encode(&mut output);
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "+OK The languages follow\r\nen English\r\nes Español\r\npt Português\r\nde Deutsch\r\nfr Français\r\n\
         zh 中文\r\n.\r\n"
    );
}
