//! Messages for alice and bob, put where their accounts want them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mailstore::{
    Account, CommonRules, Detail, Draft, IntakeError, LocalRecipient, Login, Note, Notify, Receipt,
    Recipient, RecipientTerms, RuleFile, Terms, TraceRow,
};
use mailwire::address::ReversePath;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;

use super::*;
use crate::session::FilteredRecipient;

const ALICE: MaildropId = MaildropId(1);
const BOB: MaildropId = MaildropId(2);
const ALICES_JUNK: MaildropId = MaildropId(5);
const ALICES_LISTS: MaildropId = MaildropId(6);
const MARKED: &[u8] = b"Return-Path: <>\r\nX-Spam-Flag: YES\r\n";

/// alice has two further maildrops, and these rules; bob has nothing.
#[derive(Default)]
struct House {
    alices_rules: Option<&'static str>,
    is_away: bool,
    /// When alice has answered whoever it is.
    answered: Option<u64>,
}

#[async_trait]
impl Recollections for House {
    async fn recall(&self, topic: &str, names: &[String], _: u64) -> Result<Vec<Note>, Unavailable> {
        if self.is_away {
            return Err(Unavailable("a test says so".to_owned()));
        }
        let [name] = names else { panic!() };
        let note = |at: u64| Note {
            topic: topic.to_owned(),
            name: name.clone(),
            text: at.to_string(),
            until: u64::MAX,
        };
        Ok(self.answered.map(note).into_iter().collect())
    }

    async fn remember(&self, _: Vec<Note>) -> Result<(), Unavailable> {
        unreachable!("nobody is answered here")
    }

    async fn recollections(&self, _: &str, _: &str, _: u64) -> Result<Vec<Note>, Unavailable> {
        unreachable!("nobody looks")
    }
}

#[async_trait]
impl Directory for House {
    async fn filing(&self, maildrop: MaildropId) -> Result<Option<Filing>, Unavailable> {
        if self.is_away {
            return Err(Unavailable("a test says so".to_owned()));
        }
        let account = |name: &str, maildrop| Account { address: mailbox(name), maildrop };
        let further = [("junk", ALICES_JUNK), ("lists", ALICES_LISTS)];
        let further = further.map(|(detail, maildrop)| (Detail::parse(detail).unwrap(), maildrop)).to_vec();
        let rules = self.alices_rules.map(|text| RuleFile::new(text).unwrap());
        Ok(Some(match maildrop {
            BOB => Filing { account: account("bob", BOB), further: Vec::new(), rules: None },
            _ => Filing { account: account("alice", ALICE), further, rules },
        }))
    }

    async fn authenticate(&self, _: &str, _: &Secret<String>) -> Result<Option<Login>, Unavailable> {
        unreachable!("nobody logs in")
    }

    async fn account(&self, _: &str) -> Result<Option<Login>, Unavailable> {
        unreachable!("nobody logs in")
    }

    async fn scram_keys(&self, _: &str) -> Result<ScramKeys, Unavailable> {
        unreachable!("nobody logs in")
    }

    async fn recipient(&self, mailbox: &Mailbox, _: u64) -> Result<Recipient, Unavailable> {
        let bobs = self::mailbox("bob") == *mailbox;
        Ok(if bobs { Recipient::Maildrops(vec![BOB]) } else { Recipient::Missing })
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, Unavailable> {
        unreachable!("the sender is known")
    }

    async fn forwarding_secret(&self) -> Result<Secret<[u8; 32]>, Unavailable> {
        Ok(Secret::new([1; 32]))
    }

    async fn common_rules(&self) -> Result<CommonRules, Unavailable> {
        unreachable!("nobody opens a maildrop")
    }
}

struct NoDraft;

#[async_trait]
impl Draft for NoDraft {
    async fn write(&mut self, _: &[u8]) -> Result<(), IntakeError> {
        unreachable!("nothing is written")
    }

    async fn commit(self: Box<Self>, _: Delivery) -> Result<Receipt, IntakeError> {
        unreachable!("nothing is committed")
    }
}

fn mailbox(name: &str) -> Mailbox {
    Mailbox::parse(&format!("{name}@example.test")).unwrap()
}

/// A message for these names with their maildrops.
fn acceptance(recipients: &[(&str, MaildropId)], fate: Fate) -> Acceptance {
    let filtered = recipients
        .iter()
        .map(|(name, maildrop)| FilteredRecipient { mailbox: mailbox(name), maildrops: vec![*maildrop] });
    let delivery = Delivery {
        delivery_prefix: b"Return-Path: <>\r\n".to_vec(),
        prefix: Vec::new(),
        reverse_path: ReversePath::Null,
        maildrops: recipients.iter().map(|(_, maildrop)| *maildrop).collect(),
        fate,
        relay: Vec::new(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow { at: 7, ..TraceRow::default() },
        carried: None,
        concludes: Vec::new(),
    };
    Acceptance {
        draft: Box::new(NoDraft),
        delivery,
        class: Class::Wanted,
        seen: None,
        scan: None,
        filtering: Some(Box::new(Filtering {
            recipients: filtered.collect(),
            header: b"Subject: hello\r\nmessage-id: <x@y>\r\n\r\n".to_vec(),
            octets: 100,
            is_ascii: true,
            is_authenticated: false,
        })),
        doubt: None,
        settled: BTreeMap::new(),
        refusal: None,
        untaken: Vec::new(),
        recipients: recipients.len(),
        line_ends_repaired: 0,
        parts_converted: None,
    }
}

fn means(house: &House) -> Means<'_> {
    let is_local = &|domain: &Domain| *domain == Domain::parse("example.test").unwrap();
    Means { directory: house, recollections: house, is_local, forwards_for_seconds: Some(100) }
}

async fn filed(alices_rules: Option<&'static str>, mut acceptance: Acceptance) -> Acceptance {
    let house = House { alices_rules, ..House::default() };
    file(&means(&house), &mut acceptance).await.unwrap();
    acceptance
}

fn to_alice_and_bob() -> Acceptance {
    acceptance(&[("alice", ALICE), ("bob", BOB)], Fate::Shared)
}

fn as_junk(acceptance: Acceptance) -> Acceptance {
    Acceptance { class: Class::Junk("a test says so".to_owned()), filtering: None, ..acceptance }
}

fn reasons(acceptance: &Acceptance) -> Vec<&str> {
    let steps = &acceptance.delivery.steps;
    assert!(steps.iter().all(|step| step.event == "rule" && step.at == 7));
    steps.iter().map(|step| step.detail.as_str()).collect()
}

#[tokio::test]
async fn junk_goes_where_an_account_has_its_junk_and_is_marked_for_all() {
    let recipients = [("alice", ALICE), ("bob", BOB), ("alice+lists", ALICES_LISTS)];
    let filed = filed(None, as_junk(acceptance(&recipients, Fate::Shared))).await;
    assert_eq!(filed.delivery.maildrops, [BOB, ALICES_JUNK]);
    assert_eq!(filed.delivery.delivery_prefix, MARKED);
    assert_eq!(reasons(&filed), ["taken for junk: a test says so"]);
}

#[tokio::test]
async fn recipients_with_verdicts_of_their_own_keep_them() {
    let groups = vec![vec![ALICE], vec![BOB, ALICE], vec![ALICES_JUNK]];
    let recipients = [("alice", ALICE), ("bob", BOB), ("alice+junk", ALICES_JUNK)];
    let filed = filed(None, as_junk(acceptance(&recipients, Fate::Apart(groups)))).await;
    let groups = vec![vec![ALICES_JUNK], vec![BOB, ALICES_JUNK], vec![ALICES_JUNK]];
    assert_eq!(filed.delivery.fate, Fate::Apart(groups));
}

#[tokio::test]
async fn rules_of_one_account_are_nothing_to_another() {
    let filed = filed(Some("always maildrop \"lists\" and keep"), to_alice_and_bob()).await;
    assert_eq!(filed.delivery.maildrops, [ALICE, BOB, ALICES_LISTS]);
    assert_eq!(filed.delivery.delivery_prefix, b"Return-Path: <>\r\n");
    assert_eq!(reasons(&filed), ["alice@example.test: line 1: into the maildrop lists and kept"]);
}

#[tokio::test]
async fn what_rules_take_for_junk_is_marked_where_nobody_else_gets_it() {
    let filed_for_both = filed(Some("always junk"), to_alice_and_bob()).await;
    assert_eq!(filed_for_both.delivery.maildrops, [BOB, ALICES_JUNK]);
    assert_eq!(filed_for_both.delivery.delivery_prefix, b"Return-Path: <>\r\n");
    let filed_for_alice = filed(Some("always junk"), acceptance(&[("alice", ALICE)], Fate::Shared)).await;
    assert_eq!(filed_for_alice.delivery.maildrops, [ALICES_JUNK]);
    assert_eq!(filed_for_alice.delivery.delivery_prefix, MARKED);
}

#[tokio::test]
async fn what_is_discarded_is_nowhere_and_by_lmtp_settled_for_that_recipient() {
    let shared = filed(Some("always discard"), to_alice_and_bob()).await;
    assert_eq!(shared.delivery.maildrops, [BOB]);
    let groups = vec![vec![ALICE], vec![BOB], vec![ALICE, BOB]];
    let apart = acceptance(&[("alice", ALICE), ("bob", BOB)], Fate::Apart(groups));
    let apart = filed(Some("always discard"), apart).await;
    assert_eq!(apart.delivery.fate, Fate::Apart(vec![vec![BOB], vec![BOB]]));
    assert_eq!(apart.settled, BTreeMap::from([(0, replies::message_discarded())]));
    let said = "Message-ID <x@y>; alice@example.test: line 1: discarded".to_owned();
    assert_eq!(apart.untaken, [(mailbox("alice"), said)]);
}

#[tokio::test]
async fn what_cannot_be_done_keeps_the_mail() {
    for rules in ["always maildrop \"gone\"", "not a rule", "always junk and\n"] {
        let filed = filed(Some(rules), to_alice_and_bob()).await;
        assert_eq!(filed.delivery.maildrops, [ALICE, BOB], "{rules}");
    }
    let mut put_off = to_alice_and_bob();
    let house = House { alices_rules: Some("always discard"), is_away: true, ..House::default() };
    assert!(file(&means(&house), &mut put_off).await.is_err());
}

#[tokio::test]
async fn what_is_forwarded_comes_into_the_queue_and_is_kept_where_that_was_said() {
    let rules = "always forward \"a@b.example\" and forward \"bob@example.test\"";
    let filed_alone = filed(Some(rules), acceptance(&[("alice+x", ALICE)], Fate::Shared)).await;
    let delivery = &filed_alone.delivery;
    assert_eq!(delivery.maildrops, [BOB]);
    let [relay] = delivery.relay.as_slice() else { panic!() };
    assert_eq!((relay.mailbox.to_string().as_str(), relay.due, relay.expires), ("a@b.example", 7, 107));
    assert!(relay.terms.is_forwarded());
    assert_eq!(relay.terms.original().unwrap().address, "alice+x@example.test");
    assert_eq!(delivery.terms.body, Some(Body::SevenBit));
    assert_eq!(
        reasons(&filed_alone),
        ["alice@example.test: line 1: forwarded to a@b.example and forwarded to bob@example.test"]
    );
    let kept = filed(Some("always forward \"a@b.example\" and keep"), to_alice_and_bob()).await;
    assert_eq!(kept.delivery.maildrops, [ALICE, BOB]);
    assert_eq!(kept.delivery.relay.len(), 1);
}

#[tokio::test]
async fn what_comes_back_is_not_forwarded_again_and_neither_is_anything_where_nothing_leaves() {
    let rules = Some("always forward \"a@b.example\"");
    let first = filed(rules, acceptance(&[("alice", ALICE)], Fate::Shared)).await;
    assert!(first.delivery.maildrops.is_empty());
    let mark = first.delivery.prefix;
    assert!(mark.starts_with(b"X-Forwarded-Mark: ") && mark.ends_with(b"\r\n"));
    let mut again = acceptance(&[("alice", ALICE)], Fate::Shared);
    again.filtering.as_mut().unwrap().header.splice(..0, mark);
    let again = filed(rules, again).await;
    assert_eq!(again.delivery.maildrops, [ALICE]);
    assert!(again.delivery.relay.is_empty());

    let house = House { alices_rules: rules, ..House::default() };
    let mut kept = acceptance(&[("alice", ALICE)], Fate::Shared);
    file(&Means { forwards_for_seconds: None, ..means(&house) }, &mut kept).await.unwrap();
    assert_eq!(kept.delivery.maildrops, [ALICE]);
}

#[tokio::test]
async fn what_is_forwarded_within_the_house_keeps_the_verdicts_of_lmtp() {
    let apart = |groups| acceptance(&[("alice", ALICE), ("carol", MaildropId(9))], Fate::Apart(groups));
    let groups = vec![vec![ALICE], vec![MaildropId(9)]];
    let here =
        filed(Some("if to local \"alice\" then forward \"bob@example.test\""), apart(groups.clone())).await;
    assert_eq!(here.delivery.fate, Fate::Apart(vec![vec![BOB], vec![MaildropId(9)]]));
    assert!(here.settled.is_empty());
    let nobody =
        filed(Some("if to local \"alice\" then forward \"x@example.test\""), apart(groups.clone())).await;
    assert_eq!(nobody.delivery.fate, Fate::Apart(groups.clone()));
    let elsewhere = filed(Some("if to local \"alice\" then forward \"x@b.example\""), apart(groups)).await;
    assert_eq!(elsewhere.delivery.fate, Fate::Apart(vec![vec![MaildropId(9)]]));
    assert_eq!(elsewhere.settled, BTreeMap::from([(0, replies::message_discarded())]));
    assert_eq!(elsewhere.untaken, []);
}

fn asked(name: &str) -> LocalRecipient {
    let terms = RecipientTerms { notify: Some(Notify::Never), original: None };
    LocalRecipient { mailbox: mailbox(name), terms }
}

fn from_carol(acceptance: Acceptance) -> Acceptance {
    let mut acceptance = acceptance;
    acceptance.delivery.reverse_path = ReversePath::Mailbox(mailbox("carol"));
    acceptance
}

const REJECT: Option<&str> = Some("always reject \"Not any more\"");

#[tokio::test]
async fn what_all_reject_is_refused_and_nobody_has_it() {
    let both = [("alice", ALICE), ("alice+x", ALICE)];
    let filed = filed(REJECT, from_carol(acceptance(&both, Fate::Shared))).await;
    assert_eq!(filed.refusal.unwrap().lines().collect::<Vec<_>>(), ["Not any more"]);
    assert!(filed.delivery.maildrops.is_empty() && filed.delivery.relay.is_empty());
    let said = "Message-ID <x@y>; alice@example.test: line 1: rejected with \"Not any more\"";
    assert_eq!(filed.untaken, [(mailbox("alice"), said.to_owned()), (mailbox("alice+x"), said.to_owned())]);
}

#[tokio::test]
async fn what_others_get_is_reported_by_the_same_commit() {
    let mut acceptance = from_carol(to_alice_and_bob());
    acceptance.delivery.local = vec![asked("alice"), asked("bob")];
    let filed = filed(REJECT, acceptance).await;
    let delivery = &filed.delivery;
    assert_eq!((filed.refusal, delivery.maildrops.as_slice()), (None, [BOB].as_slice()));
    let [relay] = delivery.relay.as_slice() else { panic!() };
    assert_eq!((&relay.mailbox, relay.due, relay.expires), (&mailbox("alice"), 7, 107));
    assert_eq!((relay.terms.refusal(), relay.terms.notify), (Some("Not any more"), Some(Notify::Never)));
    // Whoever asks for a report of success hears of bob alone.
    assert_eq!(delivery.local, [asked("bob")]);
    let said = "alice@example.test: line 1: rejected with \"Not any more\": its sender gets a report";
    let steps: Vec<_> = delivery.steps.iter().map(|step| step.detail.as_str()).collect();
    assert_eq!(steps, [said]);
}

#[tokio::test]
async fn nobody_hears_of_a_refusal_who_may_have_nothing_to_do_with_it() {
    let doubtful = Acceptance { doubt: Some("spf=fail".to_owned()), ..from_carol(to_alice_and_bob()) };
    let class = Class::Junk("a test says so".to_owned());
    let junk = Acceptance { class, ..from_carol(to_alice_and_bob()) };
    for (acceptance, why) in [
        (to_alice_and_bob(), "it comes from nobody"),
        (junk, "it is taken for junk"),
        (doubtful, "the checks say that somebody else may have sent it"),
    ] {
        let filed = filed(REJECT, acceptance).await;
        assert_eq!((filed.delivery.maildrops.as_slice(), filed.delivery.relay.len()), ([BOB].as_slice(), 0));
        let (_, said) = filed.untaken.first().unwrap();
        assert!(said.ends_with(&format!(": nobody is told: {why}")), "{said}");
    }
}

#[tokio::test]
async fn where_no_report_leaves_the_mail_is_kept_and_behind_a_common_address_others_have_it() {
    let house = House { alices_rules: REJECT, ..House::default() };
    let mut kept = from_carol(to_alice_and_bob());
    file(&Means { forwards_for_seconds: None, ..means(&house) }, &mut kept).await.unwrap();
    assert_eq!(
        (kept.delivery.maildrops.as_slice(), kept.untaken.as_slice()),
        ([ALICE, BOB].as_slice(), [].as_slice())
    );
    // All can hear of it at once.
    let mut alone = from_carol(acceptance(&[("alice", ALICE)], Fate::Shared));
    file(&Means { forwards_for_seconds: None, ..means(&house) }, &mut alone).await.unwrap();
    assert!(alone.refusal.is_some());

    let mut team = from_carol(acceptance(&[("team", ALICE)], Fate::Shared));
    team.filtering.as_mut().unwrap().recipients[0].maildrops = vec![ALICE, BOB];
    team.delivery.maildrops = vec![ALICE, BOB];
    let team = filed(REJECT, team).await;
    assert_eq!((team.delivery.maildrops.as_slice(), team.delivery.relay.len()), ([BOB].as_slice(), 0));
    assert!(team.refusal.is_none() && team.untaken.is_empty());
    assert!(reasons(&team)[0].ends_with("others behind the same address have got it"));
}

#[tokio::test]
async fn by_lmtp_each_recipient_refuses_alone() {
    let apart = |groups| {
        let recipients = [("alice", ALICE), ("bob", BOB), ("team", ALICE)];
        from_carol(acceptance(&recipients, Fate::Apart(groups)))
    };
    let filed = filed(REJECT, apart(vec![vec![ALICE], vec![BOB], vec![ALICE, BOB]])).await;
    assert_eq!(filed.delivery.fate, Fate::Apart(vec![vec![BOB], vec![BOB]]));
    let said: Vec<_> = filed.settled.iter().map(|(number, reply)| (*number, reply.code())).collect();
    assert_eq!(said, [(0, 550)]);
    assert!(filed.refusal.is_none() && filed.delivery.relay.is_empty());
}

const AWAY: &str = "always vacation \"I am away.\" days 2";

/// A message from carol that names alice.
fn to_alice(fate: Fate) -> Acceptance {
    let mut acceptance = from_carol(acceptance(&[("alice", ALICE), ("bob", BOB)], fate));
    acceptance.filtering.as_mut().unwrap().header = b"To: Alice <alice@example.test>\r\n".to_vec();
    acceptance
}

#[tokio::test]
async fn an_answer_is_owed_by_the_commit_of_the_message_that_is_kept() {
    for fate in [Fate::Shared, Fate::Apart(vec![vec![ALICE], vec![BOB]])] {
        let filed = filed(Some(AWAY), to_alice(fate)).await;
        let delivery = &filed.delivery;
        assert_eq!(delivery.maildrops, [ALICE, BOB]);
        let [owed] = delivery.relay.as_slice() else { panic!() };
        assert_eq!((&owed.mailbox, owed.due, owed.expires), (&mailbox("carol"), 7, 107));
        assert_eq!(owed.terms.answering().unwrap().0, "alice@example.test");
        assert_eq!(reasons(&filed), ["alice@example.test: line 1: kept: its sender is answered"]);
    }
    // Two maildrops of an account have the same rules.
    let mut twice = to_alice(Fate::Shared);
    twice.filtering.as_mut().unwrap().recipients[1].maildrops = vec![ALICES_LISTS];
    twice.delivery.maildrops.push(ALICES_LISTS);
    assert_eq!(filed(Some(AWAY), twice).await.delivery.relay.len(), 1);
}

#[tokio::test]
async fn whoever_was_answered_lately_is_not_and_nobody_is_where_nothing_leaves() {
    let house = House { alices_rules: Some(AWAY), answered: Some(5), ..House::default() };
    let mut again = to_alice(Fate::Shared);
    file(&means(&house), &mut again).await.unwrap();
    assert_eq!((again.delivery.relay.len(), again.delivery.maildrops.len()), (0, 2));
    let said = "its sender is not answered: the last answer to it was on Thu, 1 Jan 1970 00:00:05 +0000";
    assert!(reasons(&again)[0].ends_with(said), "{:?}", reasons(&again));
    let house = House { answered: None, ..house };
    let mut kept = to_alice(Fate::Shared);
    file(&Means { forwards_for_seconds: None, ..means(&house) }, &mut kept).await.unwrap();
    assert_eq!(kept.delivery.relay.len(), 0);
    assert!(reasons(&kept)[0].contains("nothing leaves here"));
}

#[tokio::test]
async fn a_common_address_is_nobodys_own() {
    let to_team = |maildrops: Vec<MaildropId>| {
        let mut acceptance = from_carol(acceptance(&[("team", ALICE)], Fate::Shared));
        let filtering = acceptance.filtering.as_mut().unwrap();
        filtering.header = b"To: team@example.test\r\n".to_vec();
        filtering.recipients[0].maildrops = maildrops;
        acceptance
    };
    assert_eq!(filed(Some(AWAY), to_team(vec![ALICE])).await.delivery.relay.len(), 1);
    let common = filed(Some(AWAY), to_team(vec![ALICE, BOB])).await;
    assert!(common.delivery.relay.is_empty());
    assert!(reasons(&common)[0].contains("neither To nor Cc names the account"));
}
