//! Each recipient's maildrop becomes the one that the account wants the message in.

use std::collections::BTreeMap;

use mailstore::{Delivery, Directory, Fate, Filing, MaildropId, TraceStep, Unavailable};

use crate::session::{Acceptance, Class};

/// What tells readers of junk, in the form that mail programs know from `SpamAssassin`. It stands where Return-Path does, so
/// that it is part of no message that goes elsewhere; on their way in from strangers such fields are taken out.
const MARK: &[u8] = b"X-Spam-Flag: YES\r\n";

/// Puts the message where its recipients want it. Nothing is changed where the store cannot say where that is.
pub(crate) async fn file(directory: &dyn Directory, acceptance: &mut Acceptance) -> Result<(), Unavailable> {
    let mut filings = BTreeMap::new();
    for maildrop in &acceptance.delivery.maildrops {
        if let Some(filing) = directory.filing(*maildrop).await? {
            filings.insert(*maildrop, filing);
        }
    }
    place(&mut acceptance.delivery, &acceptance.class, &filings);
    Ok(())
}

/// Where each maildrop's account wants what was taken for such a message.
fn place(delivery: &mut Delivery, class: &Class, filings: &BTreeMap<MaildropId, Filing>) {
    let Class::Junk(because) = class else { return };
    let junk = |(maildrop, filing): (&MaildropId, &Filing)| Some((*maildrop, filing.junk()?));
    let places: BTreeMap<_, _> = filings.iter().filter_map(junk).collect();
    let moved = places.iter().filter(|(maildrop, place)| maildrop != place).count();
    let of = delivery.maildrops.len();
    let detail = format!("junk, for {moved} of {of} maildrops into another one: {because}");
    delivery.steps.push(TraceStep { at: delivery.trace.at, event: "rule".into(), detail });
    delivery.delivery_prefix.extend_from_slice(MARK);
    put(delivery, &places);
}

/// Mail for the maildrops named first goes into those named second.
fn put(delivery: &mut Delivery, places: &BTreeMap<MaildropId, MaildropId>) {
    let place = |maildrops: &mut Vec<MaildropId>| {
        for maildrop in maildrops.iter_mut() {
            *maildrop = places.get(maildrop).copied().unwrap_or(*maildrop);
        }
        // Each has it once.
        maildrops.sort_unstable();
        maildrops.dedup();
    };
    place(&mut delivery.maildrops);
    match &mut delivery.fate {
        Fate::Shared => {}
        Fate::Apart(groups) => groups.iter_mut().for_each(place),
    }
}

#[cfg(test)]
mod tests {
    use mailstore::{Account, Detail, Terms, TraceRow};
    use mailwire::address::{Mailbox, ReversePath};

    use super::*;

    const ALICE: MaildropId = MaildropId(1);
    const BOB: MaildropId = MaildropId(2);
    const ALICES_JUNK: MaildropId = MaildropId(5);
    const ALICES_LISTS: MaildropId = MaildropId(6);

    fn delivery(maildrops: &[MaildropId], fate: Fate) -> Delivery {
        Delivery {
            delivery_prefix: b"Return-Path: <>\r\n".to_vec(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Null,
            maildrops: maildrops.to_vec(),
            fate,
            relay: Vec::new(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow { at: 7, ..TraceRow::default() },
            carried: None,
            concludes: Vec::new(),
        }
    }

    fn filings() -> BTreeMap<MaildropId, Filing> {
        let account = |name: &str, maildrop| Account {
            address: Mailbox::parse(&format!("{name}@example.test")).unwrap(),
            maildrop,
        };
        let further = [("junk", ALICES_JUNK), ("lists", ALICES_LISTS)];
        let further = further.map(|(detail, maildrop)| (Detail::parse(detail).unwrap(), maildrop)).to_vec();
        let alice = Filing { account: account("alice", ALICE), further };
        let bob = Filing { account: account("bob", BOB), further: Vec::new() };
        let all = [(ALICE, alice.clone()), (ALICES_JUNK, alice.clone()), (ALICES_LISTS, alice), (BOB, bob)];
        all.into()
    }

    fn junk() -> Class {
        Class::Junk("a test says so".to_owned())
    }

    #[test]
    fn junk_goes_where_an_account_has_its_junk_and_is_marked_for_all() {
        let mut delivery = delivery(&[ALICE, BOB, ALICES_LISTS], Fate::Shared);
        place(&mut delivery, &junk(), &filings());
        assert_eq!(delivery.maildrops, [BOB, ALICES_JUNK]);
        assert_eq!(delivery.delivery_prefix, b"Return-Path: <>\r\nX-Spam-Flag: YES\r\n");
        let [step] = delivery.steps.as_slice() else { panic!() };
        assert_eq!((step.at, step.event.as_ref()), (7, "rule"));
        assert_eq!(step.detail, "junk, for 2 of 3 maildrops into another one: a test says so");
    }

    #[test]
    fn recipients_with_verdicts_of_their_own_keep_them() {
        let groups = vec![vec![ALICE], vec![BOB, ALICE], vec![ALICES_JUNK]];
        let mut delivery = delivery(&[ALICE, BOB, ALICES_JUNK], Fate::Apart(groups));
        place(&mut delivery, &junk(), &filings());
        assert_eq!(delivery.maildrops, [BOB, ALICES_JUNK]);
        assert_eq!(
            delivery.fate,
            Fate::Apart(vec![vec![ALICES_JUNK], vec![BOB, ALICES_JUNK], vec![ALICES_JUNK]])
        );
    }

    #[test]
    fn mail_that_is_wanted_stays_as_it_is() {
        let mut delivery = delivery(&[ALICE, BOB], Fate::Shared);
        place(&mut delivery, &Class::Wanted, &filings());
        assert_eq!(delivery.maildrops, [ALICE, BOB]);
        assert_eq!(delivery.delivery_prefix, b"Return-Path: <>\r\n");
        assert!(delivery.steps.is_empty());
    }
}
