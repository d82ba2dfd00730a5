//! Rules as people write them: what they come to, and what is said where they are wrong.

use mailstore::Detail;
use mailwire::address::ReversePath;
use proptest::prelude::*;

use super::super::decision::{Decision, Place, decide};
use super::super::facts::Facts;
use super::super::rule::FORWARDS_MAX;
use super::*;
use crate::session::Class;

const HEADER: &[u8] = b"From: =?utf-8?q?Bj=C3=B6rn?= <bjorn@List.Example>\r\nTo: alice@example.test,\r\n \"Team, all\" <team@example.test>\r\n\
    Subject: =?utf-8?b?R3LDvMOfZQ==?= from\r\n\t=?utf-8?q?M=C3=BCnchen?=\r\nList-Id: <dev.list.example>\r\nX-Empty:\r\n\r\nbody: x\r\n";

fn decided(text: &str) -> Decision {
    let rules = Rules::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"));
    decide(&rules, &facts(&ReversePath::Mailbox(mailbox("b\u{e4}r@list.example"))))
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn facts(reverse_path: &ReversePath) -> Facts<'_> {
    static RECIPIENTS: std::sync::LazyLock<[Mailbox; 2]> =
        std::sync::LazyLock::new(|| ["alice@example.test", "Alice+Shop@example.test"].map(mailbox));
    Facts {
        reverse_path,
        recipients: &*RECIPIENTS,
        octets: 1000,
        header: HEADER,
        is_authenticated: false,
        class: &Class::Wanted,
        doubt: None,
        account: &RECIPIENTS[0],
        personal: &[],
        now: 0,
    }
}

fn further(name: &str) -> Place {
    Place::Further(Detail::parse(name).unwrap())
}

#[test]
fn each_condition_holds_where_it_should() {
    for condition in [
        "from is \"B\u{c4}R@LIST.example\"",
        "from is \"x@y\", \"b\u{e4}r@list.example\"",
        "from domain \"list.example\"",
        "from local \"b\u{e4}r\"",
        "from matches \"*@list.*\"",
        "to is \"alice@EXAMPLE.test\"",
        "to contains \"+shop\"",
        "subaddress is \"shop\"",
        "subaddress matches \"s*\"",
        "header \"subject\" is \"Gr\u{fc}\u{df}e from M\u{fc}nchen\"",
        "header \"Subject\" contains \"M\u{dc}NCHEN\"",
        "header \"Subject\" matches \"gr??e*\"",
        "header \"To\" is \"alice@example.test, \\\"Team, all\\\" <team@example.test>\"",
        "header \"To\" local \"team\"",
        "header \"from\" domain \"list.example\"",
        "header \"From\" contains \"bj\u{f6}rn\"",
        "header \"List-ID\" exists",
        "header \"X-Empty\" exists",
        "header \"X-Empty\" is \"\"",
        "size over 999 and size under 1K",
        "not authenticated and not junk",
        "not (from domain \"x\" or from domain \"y\")",
        "(junk or header \"List-Id\" exists) and NOT junk",
    ] {
        assert_eq!(decided(&format!("if {condition} then discard")).places, [], "{condition}");
        let decision = decided(&format!("if not ({condition}) then discard"));
        assert_eq!(decision, Decision::without_rules(&Class::Wanted), "{condition}");
    }
    for condition in [
        "from is \"b\u{e4}r@list.example.org\"",
        "from is \"<>\"",
        "to is \"team@example.test\"",
        "subaddress is \"alice\"",
        "header \"body\" exists",
        "header \"Subject\" domain \"example\"",
        "header \"X\" is \"\"",
        "size over 1000",
        "size under 1000",
        "authenticated or junk",
    ] {
        assert_eq!(decided(&format!("if {condition} then discard")).lines, [] as [usize; 0], "{condition}");
    }
}

#[test]
fn the_null_reverse_path_can_be_asked_for() {
    let rules = Rules::parse("if from is \"<>\" then discard").unwrap();
    assert_eq!(decide(&rules, &facts(&ReversePath::Null)).places, []);
}

#[test]
fn the_first_rule_that_fits_decides_unless_it_goes_on() {
    let text = "# lists\nif header \"List-Id\" exists\nthen maildrop \"Lists\" and go on\n\nif junk then discard\n\
                if from domain \"list.example\" then keep\nalways discard\n";
    let decision = decided(text);
    assert_eq!(decision.places, [further("lists"), Place::Own]);
    assert_eq!(decision.lines, [2, 6]);
    assert_eq!(decided("always junk\nalways keep").places, [Place::Junk]);
    assert_eq!(decided("").places, [Place::Own]);
}

#[test]
fn junk_goes_where_it_would_go_unless_a_rule_says_otherwise() {
    let junk = Class::Junk("a test says so".to_owned());
    let of = |text: &str| {
        decide(&Rules::parse(text).unwrap(), &Facts { class: &junk, ..facts(&ReversePath::Null) }).places
    };
    assert_eq!(of(""), [Place::Junk]);
    assert_eq!(of("if not junk then keep"), [Place::Junk]);
    assert_eq!(of("always go on"), [Place::Junk]);
    assert_eq!(of("if from is \"<>\" then keep"), [Place::Own]);
}

#[test]
fn what_is_forwarded_is_kept_where_a_rule_says_so() {
    let alone = decided(
        "always forward \"a@b.example\" and go on\nalways forward \"A@b.example\" and forward \"c@b.example\"",
    );
    assert_eq!(alone.places, []);
    assert_eq!(
        alone.to_string(),
        "lines 1, 2: forwarded to a@b.example and forwarded to A@b.example and forwarded to c@b.example"
    );
    let kept = decided("always keep and forward \"a@b.example\"");
    assert_eq!((kept.places, kept.forwards), (vec![Place::Own], vec![mailbox("a@b.example")]));
    let many = |count: usize| format!("always forward {}", vec!["\"a@b\""; count].join("\nalways forward "));
    assert!(Rules::parse(&many(FORWARDS_MAX)).is_ok());
    assert!(Rules::parse(&many(FORWARDS_MAX + 1)).unwrap_err().problem.contains("more than 10 addresses"));
}

#[test]
fn what_is_rejected_goes_nowhere_unless_a_rule_before_has_put_it_somewhere() {
    let rejected = decided("if from domain \"list.example\" then reject \"No\n more\"\nalways keep");
    assert_eq!((rejected.places.as_slice(), rejected.forwards.as_slice()), ([].as_slice(), [].as_slice()));
    assert_eq!(rejected.to_string(), "line 1: rejected with \"No more\"");
    for before in ["keep", "forward \"a@b.example\"", "junk"] {
        let decision = decided(&format!("always {before} and go on\nalways reject \"no\""));
        assert_eq!(decision.refusal, None, "{before}");
        assert_eq!(decision.places.len() + decision.forwards.len(), 1, "{before}");
    }
    assert!(decided("always go on\nalways reject \"no\"").refusal.is_some());
}

#[test]
fn too_much_work_is_given_up_and_nothing_is_lost() {
    let value = format!("\"*{}b\"", "a".repeat(1000));
    let text = format!("if header \"Long\" matches {value} then discard");
    let header = format!("Long: {}\r\n", "a".repeat(300_000));
    let facts = Facts { header: header.as_bytes(), ..facts(&ReversePath::Null) };
    let decision = decide(&Rules::parse(&text).unwrap(), &facts);
    assert_eq!(decision.places, [Place::Own]);
    assert!(decision.is_given_up);
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_to_do() {
    for (text, said) in [
        (
            "keep",
            "line 1, column 1: there is `keep` where `if` or `always` should stand; write `if` or `always` here",
        ),
        (
            "always",
            "line 1, column 7: the text ends where `keep`, `junk`, `maildrop`, `forward`, `vacation`, `reject`, `discard` or `go on` should stand; write `keep`, `junk`, `maildrop`, `forward`, `vacation`, `reject`, `discard` or `go on` here",
        ),
        (
            "\n  if junk the keep",
            "line 2, column 11: there is `the` where `and`, `or` or `then` should stand; write `and`, `or` or `then` here",
        ),
        (
            "if junk and authenticated or junk then keep",
            "line 1, column 27: `and` and `or` stand side by side; put parentheses around what belongs together",
        ),
        (
            "if from is \"alice\" then keep",
            "line 1, column 12: \"alice\" is no address; write it as name@domain, or use `contains`, `matches` or `domain`",
        ),
        (
            "if from domain \"@x\" then keep",
            "line 1, column 16: \"@x\" is no domain; write it without @; for subdomains there is `matches \"*@*.example.org\"`",
        ),
        (
            "if header \"A:\" exists then keep",
            "line 1, column 11: \"A:\" is no name of a field; write it as in a message, without the colon: \"Subject\"",
        ),
        (
            "if size over 1X then keep",
            "line 1, column 14: `1X` is no size; write octets as a number, with K, M or G behind it: 10M",
        ),
        (
            "if header \"A\" is \"x then keep",
            "line 1, column 18: these quotes do not end; close them with another double quote",
        ),
        (
            "if header \"A\" is \"\\x\" then keep",
            "line 1, column 19: a backslash stands alone; write \\\\ for a backslash, and \\\" for a quote within quotes",
        ),
        (
            "always keep; junk",
            "line 1, column 12: there is ';', which belongs to nothing; put names and values into double quotes",
        ),
        ("always keep and keep", "line 1, column 17: the same is done twice; leave it out once"),
        (
            "always discard and keep",
            "line 1, column 20: `discard` stands with something else; such mail is not kept anywhere: leave one of them out",
        ),
    ] {
        let mistake = Rules::parse(text).expect_err(text);
        assert_eq!(mistake.to_string(), said, "{text}");
    }
}

#[test]
fn what_cannot_be_done_is_told_as_well() {
    for (text, said) in [
        (
            "always reject \"no\" and junk",
            "line 1, column 24: `reject` stands with something else; such mail is not kept anywhere: leave one of them out",
        ),
        (
            "always reject \"no\" and go on",
            "line 1, column 24: `reject` stands with something else; such mail is not kept anywhere: leave one of them out",
        ),
        (
            "always reject \" \"",
            "line 1, column 15: there are no words in it; say in a few words why such mail is not taken",
        ),
        (
            "always reject",
            "line 1, column 14: the text ends where what the sender is told in double quotes should stand; write what the sender is told in double quotes here",
        ),
        (
            "always vacation \" \"",
            "line 1, column 17: there are no words in it; say what senders are to know",
        ),
        (
            "always vacation \"x\" days 31",
            "line 1, column 26: `31` is no number of days from 1 to 30; say after how many days a sender gets another answer",
        ),
        (
            "always vacation \"x\" days 0",
            "line 1, column 26: `0` is no number of days from 1 to 30; say after how many days a sender gets another answer",
        ),
        (
            "always vacation \"x\" until 2027-02-29",
            "line 1, column 27: `2027-02-29` is no date; write year, month and day: 2027-01-31",
        ),
        (
            "always vacation \"x\" until tomorrow",
            "line 1, column 27: `tomorrow` is no date; write year, month and day: 2027-01-31",
        ),
        (
            "always vacation \"x\" from 2027-02-02 until 2027-02-01",
            "line 1, column 17: it is over before it begins; put the later date behind `until`",
        ),
        (
            "always vacation \"x\" days 2 days 3",
            "line 1, column 28: `days` is given twice; leave it out once",
        ),
        (
            "always vacation \"x\" addresses \"alice\"",
            "line 1, column 31: \"alice\" is no address; write it as name@domain",
        ),
        (
            "always vacation \"x\" subject \"a\nb\"",
            "line 1, column 29: a subject is one line of 1 to 200 octets; leave it out for that of the message",
        ),
        (
            "always vacation \"x\" and discard",
            "line 1, column 25: `discard` stands with something else; such mail is not kept anywhere: leave one of them out",
        ),
    ] {
        let mistake = Rules::parse(text).expect_err(text);
        assert_eq!(mistake.to_string(), said, "{text}");
    }
}

#[test]
fn everything_has_its_limit() {
    assert_eq!(Rules::parse(&"always keep\n".repeat(RULES_MAX)).unwrap().len(), RULES_MAX);
    let mistake = Rules::parse(&"always keep\n".repeat(RULES_MAX + 1)).unwrap_err();
    assert_eq!((mistake.line, mistake.column), (RULES_MAX + 1, 1));
    let values = |count: usize| format!("if to contains {} then keep", vec!["\"x\""; count].join(","));
    assert!(Rules::parse(&values(VALUES_MAX)).is_ok());
    assert!(Rules::parse(&values(VALUES_MAX + 1)).unwrap_err().problem.contains("values"));
    let deep = |levels: usize| format!("if {}junk{} then keep", "(".repeat(levels), ")".repeat(levels));
    assert!(Rules::parse(&deep(DEPTH_MAX - 1)).is_ok());
    assert!(Rules::parse(&deep(DEPTH_MAX)).unwrap_err().problem.contains("levels"));
    assert!(Rules::parse(&deep(100_000)).unwrap_err().problem.contains("levels"));
    assert!(Rules::parse(&format!("if {}junk then keep", "not ".repeat(100_000))).is_err());
}

proptest! {
    #[test]
    fn no_text_and_no_header_does_harm(
        words in proptest::collection::vec("(if|then|and|or|not|\\(|\\)|junk|keep|from|is|matches|header|\"[a*?]{0,4}\"|exists|go|on|,|\n)", 0..20),
        header in "[A-C: \r\n=?]{0,60}",
    ) {
        if let Ok(rules) = Rules::parse(&words.join(" ")) {
            let facts = Facts { header: header.as_bytes(), ..facts(&ReversePath::Null) };
            prop_assert!(!decide(&rules, &facts).is_given_up);
        }
    }
}
