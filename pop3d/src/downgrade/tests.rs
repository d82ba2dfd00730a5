//! Messages in their downgraded form: by hand, method by method, and read again by somebody else.

use mail_parser::{Address, MessageParser, MimeHeaders};
use mailwire::sasl;
use proptest::prelude::*;

use super::Downgrader;

/// The downgraded form of content that comes in such chunks.
fn chopped(content: &[u8], chunk: usize) -> Vec<u8> {
    let (mut downgrader, mut output) = (Downgrader::new(), Vec::new());
    content.chunks(chunk).for_each(|chunk| downgrader.pass(chunk, &mut output));
    downgrader.finish(&mut output);
    output
}

/// The downgraded form of lines, whatever their chunks.
fn downgraded(text: &str) -> String {
    let content = text.replace('\n', "\r\n").into_bytes();
    let whole = chopped(&content, content.len().max(1));
    for chunk in 1..content.len().min(60) {
        assert_eq!(chopped(&content, chunk), whole, "by {chunk}");
    }
    assert_eq!(chopped(&whole, whole.len().max(1)), whole, "once more");
    String::from_utf8(whole).unwrap().replace("\r\n", "\n")
}

/// A field, with the texts of its encoded-words in braces.
fn becomes(field: &str, expected: &str) {
    let output = downgraded(&format!("{field}\n\nbody ü\n"));
    let (header, body) = output.split_once("\n\n").unwrap();
    assert_eq!(body, "body ü\n");
    assert!(header.is_ascii(), "{header}");
    assert!(header.lines().all(|line| line.len() <= 76), "{header}");
    let mut shown = String::new();
    let mut rest = header.replace('\n', "");
    while let Some((before, encoded)) = rest.split_once("=?utf-8?B?") {
        let (encoded, behind) = encoded.split_once("?=").unwrap();
        let text = String::from_utf8(sasl::decode(encoded.as_bytes()).unwrap()).unwrap();
        shown = shown + before + "{" + &text + "}";
        rest = behind.to_owned();
    }
    assert_eq!((shown + &rest).replace("} {", ""), expected, "{field}");
}

fn stays(message: &str) {
    assert_eq!(downgraded(message), message);
}

#[test]
fn what_is_in_ascii_stays_as_it_is() {
    stays("");
    stays("\nü\n");
    stays("Subject:  a \n b\nnonsense\n\nü\n");
    stays("Subject: a\nContent-Type: text/plain; charset=utf-8\n\nFrom: ü\n--ü\n");
    stays("Content-Type: multipart/mixed; boundary=a\n\nA: ü\n--a\nB: c\n\nC: ü\n--a--\nD: ü\n");
}

#[test]
fn what_is_no_utf_8_stays_as_it_is() {
    let latin = b"Subject: Gr\xfc\xdfe\r\nFrom: =?x \xfc <a@b>\r\n\r\n\xfc\r\n";
    assert_eq!(chopped(latin, 7), latin);
    let both = b"Subject: Gr\xfc\xdfe\r\nComments: \xc3\xbc\r\n\r\n";
    assert_eq!(chopped(both, 7), b"Subject: Gr\xfc\xdfe\r\nComments: =?utf-8?B?w7w=?=\r\n\r\n");
}

/// RFC 6857 §3.2.6, §3.2.8.
#[test]
fn text_becomes_encoded_words() {
    becomes("Subject: ü", "Subject: {ü}");
    becomes("Subject: Viele Grüße aus Köln!", "Subject: Viele {Grüße} aus {Köln!}");
    becomes("subject :ü", "subject : {ü}");
    becomes("Subject: a\n ü\n\tb", "Subject: a {ü}\tb");
    becomes("Comments: (ü", "Comments: {(ü}");
    becomes("X-Unknown: a <ü@b>", "X-Unknown: a {<ü@b>}");
    becomes("List-Id: Größe <a.b>", "List-Id: {Größe} <a.b>");
    let long = "größer ".repeat(60);
    becomes(&format!("Subject: {}", long.trim()), &format!("Subject: {{{}}}", long.trim()));
}

/// RFC 6857 §3.1.5, §3.1.6, §3.1.8, §3.2.1.
#[test]
fn names_are_encoded_and_domains_become_a_labels() {
    becomes("From: Jürgen <j@b.example>", "From: {Jürgen} <j@b.example>");
    becomes("From: \"Müller, \\\"J\\\"\" <j@b.example>", "From: {Müller, \"J\"} <j@b.example>");
    becomes(
        "From: Jörg \"Müller\" A. <j@b.example>",
        "From: {Jörg} \"Müller\" A. <j@b.example>".replace("} \"Müller\"", " Müller}").as_str(),
    );
    becomes("From: j@b.example (Jürgen)", "From: j@b.example ({Jürgen})");
    becomes("From: j@bücher.example", "From: j@xn--bcher-kva.example");
    becomes("From: J <j@bücher.example> (ü)", "From: J <j@xn--bcher-kva.example> ({ü})");
    becomes(
        "Sender: Jü(c)(ö) <\"a b\"@bücher.example>",
        "Sender: {Jü}(c)({ö}) <\"a b\"@xn--bcher-kva.example>",
    );
    becomes(
        "To: a@b.example, Ü <c@d.example>,, (ü) e@f.example",
        "To: a@b.example, {Ü} <c@d.example>,, ({ü}) e@f.example",
    );
    becomes("Cc: <@ü.example,@x:j@ö.example>", "Cc: <j@xn--nda.example>");
    becomes("Cc: ü <@x,@y:j@z.example>", "Cc: {ü} <@x,@y:j@z.example>");
    becomes("Cc: ü\u{a0}ö <j@[IPv6:::1]>", "Cc: {ü\u{a0}ö} <j@[IPv6:::1]>");
    becomes("To: jürgen@work <j@b.example>", "To: {jürgen@work} <j@b.example>");
}

/// RFC 6857 §3.1.8.
#[test]
fn a_mailbox_without_a_form_in_ascii_becomes_an_empty_group() {
    becomes("From: jürgen@b.example", "From: {jürgen@b.example} :;");
    becomes("From: <jürgen@b.example>", "From: {jürgen@b.example} :;");
    becomes("From: Jürgen <jürgen@b.example>", "From: {Jürgen jürgen@b.example} :;");
    becomes("From: J. <jürgen@b.example>", "From: J. {jürgen@b.example} :;");
    becomes("Return-Path: <jürgen@bücher.example>", "Return-Path: {jürgen@bücher.example} :;");
    becomes(
        "To: a@b.example, ü@c.example (x), d@e.example",
        "To: a@b.example, {ü@c.example} :; (x), d@e.example",
    );
    becomes("To: \"ü ö\"@c.example", "To: {\"ü ö\"@c.example} :;");
    becomes("To: Jürgen", "To: {Jürgen} :;");
    becomes("To: a@ü..example", "To: {a@ü..example} :;");
    becomes("Reply-To: ü(ö)@c.example", "Reply-To: {ü@c.example} :; ({ö})");
}

/// RFC 6857 §3.1.7.
#[test]
fn a_group_with_such_a_mailbox_becomes_an_empty_one() {
    becomes("To: Größen: a@b.example;", "To: {Größen}: a@b.example;");
    becomes("To: G: Ü <a@ü.example>, b@c.example;", "To: G: {Ü} <a@xn--tda.example>, b@c.example;");
    becomes(
        "To: G: Ü <a@b.example>, ü@c.example; , d@e.example",
        "To: G {Ü <a@b.example>, ü@c.example} :; , d@e.example",
    );
    becomes("To: Ö : ü@c.example", "To: {Ö ü@c.example} :;");
    becomes("To: ü:;", "To: {ü}:;");
    becomes("Bcc: :ü@a.example;", "Bcc: {ü@a.example} :;");
}

#[test]
fn addresses_that_cannot_be_taken_apart_are_text() {
    becomes("To: \"ü <a@b.example>", "To: {\"ü} <a@b.example>");
    becomes("To: ü <a@b.example", "To: {ü} <a@b.example");
    becomes("To: (ü a@b.example", "To: {(ü} a@b.example");
    becomes("To: a@b.example> ü", "To: {a@b.example> ü} :;");
    becomes("To: <a@b.example> ü", "To: <a@b.example> {ü}");
}

/// RFC 6857 §3.2.2, §3.2.3.
#[test]
fn comments_are_encoded_and_message_ids_encapsulated() {
    becomes("Date: Mon, 30 Jul 2012 01:23:45 +0000 (Früh)", "Date: Mon, 30 Jul 2012 01:23:45 +0000 ({Früh})");
    becomes("MIME-Version: 1.0 (ü (ö))", "MIME-Version: 1.0 ({ü} ({ö}))");
    becomes("Date: gestern früh", "Date: gestern {früh}");
    becomes("Message-Id: <ü@b.example>", "Downgraded-Message-Id: {<ü@b.example>}");
    becomes("Message-ID: <a@b.example> (ü)", "Message-ID: <a@b.example> ({ü})");
    becomes("References: <a@b> <ü@c> <d@e>", "Downgraded-References: <a@b> {<ü@c>} <d@e>");
    becomes("in-reply-to: Jürgens Brief <a@b>", "Downgraded-in-reply-to: {Jürgens} Brief <a@b>");
    becomes("Content-ID: <ü@b>", "Content-ID: {<ü@b>}");
    becomes("Keywords: Größe, \"ü, ö\", a b", "Keywords: {Größe}, {ü, ö}, a b");
}

/// RFC 6857 §3.2.4.
#[test]
fn received_loses_the_clauses_that_have_no_form_in_ascii() {
    becomes(
        "Received: from bücher.example (ü [192.0.2.1]) by b.example with ESMTP id 1\n for <j@bücher.example>; Mon, 30 Jul 2012 01:23:45 +0000",
        "Received: from xn--bcher-kva.example ({ü} [192.0.2.1]) by b.example with ESMTP id 1 for <j@xn--bcher-kva.example>; Mon, 30 Jul 2012 01:23:45 +0000",
    );
    becomes(
        "Received: by b.example id ü for <ü@c.example> (x) with UTF8SMTP; Mon, 30 Jul 2012 01:23:45 +0000 (Früh)",
        "Received: by b.example with UTF8SMTP; Mon, 30 Jul 2012 01:23:45 +0000 ({Früh})",
    );
    becomes("Received: from ü_ö by b.example", "Received: from {ü_ö} by b.example");
    becomes("Received: from a (ü", "Received: from a {(ü}");
}

/// RFC 6857 §3.1.4, §3.2.5.
#[test]
fn parameters_are_extended() {
    becomes(
        "Content-Disposition: attachment; filename=\"Grüße 1.txt\"; size=3",
        "Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%201.txt; size=3",
    );
    becomes(
        "Content-Type: text/plain (ü); name = ü.txt (x)",
        "Content-Type: text/plain ({ü}); name*=utf-8''%C3%BC.txt",
    );
    becomes(
        "Content-Type: text/plain; name=\"a;ü\\\"\"",
        "Content-Type: text/plain; name*=utf-8''a%3B%C3%BC%22",
    );
    becomes(
        "Content-Disposition: attachment; filename*=utf-8''a%20ü",
        "Content-Disposition: attachment; filename*=utf-8''a%20%C3%BC",
    );
    becomes(
        "Content-Disposition: attachment; filename*0=\"50%\"; FILENAME*1=ü; filename*2*=a%20b; x*0=c",
        "Content-Disposition: attachment; filename*0*=utf-8''50%25; FILENAME*1*=%C3%BC; filename*2*=a%20b; x*0=c",
    );
    becomes("Content-Disposition: Anhängsel; x=y", "Content-Disposition: {Anhängsel}; x=y");
    becomes("Content-Type: text/plain; name=\"ü", "Content-Type: text/plain; {name=\"ü}");
}

/// RFC 6857 §3.1.9, §4.1, §4.2.
#[test]
fn parts_and_delivery_statuses_are_downgraded_and_bodies_are_not() {
    let report = |first: &str, part: &str, status: &str, within: &str| {
        format!(
            "Content-Type: multipart/report; boundary=b\n{first}\n\nÜ: preamble\n--b\n{part}\n\nSubject: ü\n--b\n\
             Content-Type: message/global-delivery-status\n\nReporting-MTA: dns; ü\n\n{status}\n\n--b\n\
             Content-Type: message/rfc822\n\n{within}\n\nSubject: ü\n--b\nContent-Type: message/global\n\nSubject: ü\n\n\
             --b--\nSubject: ü\n"
        )
    };
    assert_eq!(
        downgraded(&report(
            "Subject: ü",
            "Content-Description: ü",
            "Original-Recipient: utf-8; jü+x@ö.example (ö)\nFinal-Recipient: rfc822; ü@a\nStatus: 5.1.1 (ü)\n\n\
             final-recipient: UTF-8;a\\x{FC}ü@b",
            "From: Ü <ü@a.example>"
        )),
        report(
            "Subject: =?utf-8?B?w7w=?=",
            "Content-Description: =?utf-8?B?w7w=?=",
            "Original-Recipient: utf-8; j\\x{FC}\\x{2B}x@\\x{F6}.example (=?utf-8?B?w7Y=?=)\n\
             Downgraded-Final-Recipient: rfc822; =?utf-8?B?w7xAYQ==?=\nStatus: 5.1.1 (ü)\n\n\
             final-recipient: UTF-8; a\\x{FC}\\x{FC}@b",
            "From: =?utf-8?B?w5wgw7xAYS5leGFtcGxl?= :;"
        )
    );
}

#[test]
fn a_line_that_is_no_field_is_text() {
    becomes("A: b\nGrüße an alle", "A: b{Grüße} an alle");
    becomes("Grüße: an alle", "{Grüße:} an alle");
    becomes(": ü", ": {ü}");
    // No blank to whoever reads header fields.
    becomes("X\u{a0}: ü", "{X\u{a0}: ü}");
    becomes("To: \u{a0}ü@a.example\u{a0}", "To: {\u{a0}ü@a.example\u{a0}} :;");
}

/// RFC 6857 appendix A.
#[test]
fn the_example_of_the_rfc_becomes_what_it_shows() {
    let message = "Return-Path: <Ä@example.com>\n\
                   Received: from a by b for <Ö@example.net>; x\n\
                   Received: from c by d for <Ö@example.net>; x\n\
                   From: ANZEIGE-Ä <Ä@example.com>\n\
                   To: ANZEIGE-Ö <Ö@example.net>,\n ANZEIGE-Ü <Ü@example.com>\n\
                   Cc: ANZEIGE-ß <ß@example.org>\n\
                   Subject: BETREFF-Ä\n\
                   Date: Mon, 30 Jul 2012 01:23:45 -0000\n\
                   Message-Id: <Ä@example.com>\n\
                   Mime-Version: 1.0\n\
                   Content-Type: text/plain; charset=\"UTF-8\"\n\
                   Content-Transfer-Encoding: 8bit\n\
                   X-Unknown-Header: Ä\n\nÄ\n";
    let word = |text: &str| format!("=?utf-8?B?{}?=", sasl::encode(text.as_bytes()));
    assert_eq!(
        downgraded(message),
        format!(
            "Return-Path: {} :;\n\
             Received: from a by b; x\n\
             Received: from c by d; x\n\
             From: {} :;\n\
             To: {} :;,\n {} :;\n\
             Cc: {} :;\n\
             Subject: {}\n\
             Date: Mon, 30 Jul 2012 01:23:45 -0000\n\
             Downgraded-Message-Id: {}\n\
             Mime-Version: 1.0\n\
             Content-Type: text/plain; charset=\"UTF-8\"\n\
             Content-Transfer-Encoding: 8bit\n\
             X-Unknown-Header: {}\n\nÄ\n",
            word("Ä@example.com"),
            word("ANZEIGE-Ä Ä@example.com"),
            word("ANZEIGE-Ö Ö@example.net"),
            word("ANZEIGE-Ü Ü@example.com"),
            word("ANZEIGE-ß ß@example.org"),
            word("BETREFF-Ä"),
            word("<Ä@example.com>"),
            word("Ä"),
        )
    );
}

#[test]
fn long_fields_are_text_and_longer_ones_lose_what_is_not_in_ascii() {
    let field = |octets: usize| format!("To: {}<ü@b>\r\n\r\n", "a@b, ".repeat(octets / 5));
    let text = chopped(field(65_000).as_bytes(), 4096);
    assert!(text.is_ascii() && text.ends_with(b" :;\r\n\r\n"));
    let text = chopped(field(66_000).as_bytes(), 4096);
    assert!(text.is_ascii() && text.ends_with(b"=?utf-8?B?PMO8QGI+?=\r\n\r\n"));
    let text = chopped(field(262_200).as_bytes(), 4096);
    assert!(text.is_ascii() && text.ends_with(b"<??@b>\r\n\r\n"));
    assert_eq!(text.len(), field(262_200).len());
}

/// Names and addresses of a field, as mail-parser reads them.
fn people(address: Option<&Address<'_>>) -> Vec<(Option<String>, Option<String>)> {
    let addresses = address.into_iter().flat_map(Address::iter);
    addresses.map(|one| (one.name().map(str::to_owned), one.address().map(str::to_owned))).collect()
}

/// Text without blanks that readers treat differently.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zäöüß€語😀]{1,12}( [a-zA-Zäöüß€語😀,.;:]{1,12}){0,6}"
}

/// A name that an address may have.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zäöü語]{1,12}( [A-Zäöü語]{1,12}){0,3}", "\"[a-zäöü語]{1,8}, [A-Zäöü語@<>.]{1,8}\"",]
}

proptest! {
    #[test]
    fn somebody_else_reads_the_same_subject_and_the_same_people(
        subject in text(),
        people_of_it in proptest::collection::vec((name(), "[a-z]{1,8}@[a-z]{1,8}\\.example"), 1..5),
        file_name in "[a-zäöü語 ();']{1,60}",
    ) {
        let to: Vec<_> = people_of_it.iter().map(|(name, address)| format!("{name} <{address}>")).collect();
        let message = format!(
            "Subject: {subject}\r\nTo: {}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
             Content-Disposition: attachment; filename=\"{file_name}\"\r\n\r\nü\r\n--b--\r\n",
            to.join(", ")
        );
        let output = chopped(message.as_bytes(), 1000);
        prop_assert_eq!(output.iter().filter(|octet| !octet.is_ascii()).count(), 2, "{}", output.escape_ascii());
        let before = MessageParser::new().parse(&message).unwrap();
        let after = MessageParser::new().parse(&output).unwrap();
        prop_assert_eq!(after.subject(), before.subject());
        prop_assert_eq!(people(after.to()), people(before.to()));
        let name_of = |message: &mail_parser::Message<'_>| message.attachment(0).unwrap().attachment_name().map(str::to_owned);
        prop_assert_eq!(name_of(&after), name_of(&before));
    }

    #[test]
    fn header_fields_of_any_utf_8_come_out_in_ascii_and_once_is_enough(
        name in "(From|To|Received|Date|Message-ID|Content-Type|Keywords|Subject|Original-Recipient|X)",
        value in "[ \tab@,;:<>()\"\\[\\]\\\\=*%'?_0.äü😀\u{a0}\u{301}\r\n-]{0,60}",
        chunk in 1_usize..50,
    ) {
        // Nothing but its folding ends a field.
        let value = value.replace('\n', "\n ").replace("\r\n", "\r\n ").replace("\n ", "\r\n ");
        let message = format!("{name}: {value}\r\nA: b\r\n\r\nbody ü");
        let output = chopped(message.as_bytes(), message.len());
        let (header, body) = output.split_at(output.len() - "\r\n\r\nbody ü".len());
        prop_assert_eq!(body, "\r\n\r\nbody ü".as_bytes());
        prop_assert!(header.is_ascii(), "{}", header.escape_ascii());
        prop_assert!(header.ends_with(b"\r\nA: b"));
        prop_assert!(header.windows(4).all(|octets| octets != b"\r\n\r\n"), "{}", header.escape_ascii());
        prop_assert_eq!(&chopped(message.as_bytes(), chunk), &output);
        prop_assert_eq!(&chopped(&output, chunk), &output);
    }

    #[test]
    fn any_octets_pass_in_whatever_chunks_and_bodies_as_they_are(
        text in "(Content-Type: (multipart/(mixed|digest); boundary=(a|ab)|message/(rfc822|delivery-status|global)|x)\r\n\
                 |Final-Recipient: utf-8;ü\r\n|To: ü@a\r\n|\r\n|\n|--a(b)?(--)?( )?\r\n|ü|[: ]|--|\r){0,30}",
        latin in any::<bool>(),
        chunk in 1_usize..40,
    ) {
        let content: Vec<u8> =
            if latin { text.chars().map(|c| u8::try_from(c).unwrap()).collect() } else { text.into_bytes() };
        let whole = chopped(&content, content.len().max(1));
        prop_assert_eq!(&chopped(&content, chunk), &whole);
        if latin {
            prop_assert_eq!(&whole, &content);
        }
        prop_assert_eq!(&chopped(&whole, chunk), &whole);
    }
}
