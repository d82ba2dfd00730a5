//! DMARC over a small DNS: one line a case.

use std::collections::HashMap;

use hickory_resolver::proto::rr::rdata::{A, TXT};

use super::*;
use crate::dns::RData;

/// Records of the domains in the cases.
const ZONE: [(&str, &str); 11] = [
    ("_dmarc.reject.test", "v=DMARC1; p=reject"),
    ("_dmarc.strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s"),
    ("_dmarc.sub.test", "v=DMARC1; p=reject; sp=quarantine"),
    ("_dmarc.own.sub.test", "v=DMARC1; p=none"),
    ("_dmarc.np.test", "v=DMARC1; p=reject; sp=none; np=reject"),
    ("_dmarc.reports.test", "v=DMARC1; rua=mailto:a@reports.test"),
    ("_dmarc.wrong.test", "v=DMARC1; p=perhaps"),
    ("_dmarc.trial.test", "v=DMARC1; p=reject; t=y; pct=30"),
    ("_dmarc.suffix.test", "v=DMARC1; p=reject; psd=y"),
    ("_dmarc.apart.reject.test", "v=DMARC1; p=reject; psd=n"),
    ("_dmarc.other.test", "v=spf1 -all"),
];

/// A name that has an address, and one at which DNS does not answer.
const ADDRESSED: &str = "there.np.test";
const SILENT: &str = "_dmarc.silent.test";

#[derive(Default)]
struct Zone(HashMap<&'static str, Vec<&'static str>>);

fn zone() -> Zone {
    let mut zone = Zone::default();
    for (name, text) in ZONE {
        zone.0.entry(name).or_default().push(text);
    }
    zone.0.insert("_dmarc.two.test", vec!["v=DMARC1; p=reject", "v=DMARC1; p=none"]);
    zone
}

impl Source for Zone {
    async fn ask(&self, name: &str, record_type: RecordType) -> Result<Vec<RData>, Nothing> {
        if name == SILENT {
            let why = "it is silent".to_owned();
            return Err(Nothing::Failed(Failed::NotAnswered { name: name.to_owned(), why }));
        }
        if record_type == RecordType::A && name == ADDRESSED {
            return Ok(vec![RData::A(A::new(192, 0, 2, 1))]);
        }
        let texts = self.0.get(name).filter(|_| record_type == RecordType::TXT).ok_or(Nothing::NoName)?;
        Ok(texts.iter().map(|text| RData::TXT(TXT::new(vec![(*text).to_owned()]))).collect())
    }
}

/// The domains that SPF and DKIM prove, or nobody.
async fn evaluated(author: &str, spf: &str, dkim: &str) -> (DmarcResult, &'static str) {
    let signature = Signature { result: Dkim::Pass, domain: dkim.to_owned(), ..Signature::default() };
    let signatures: Vec<_> = Some(signature).filter(|_| !dkim.is_empty()).into_iter().collect();
    let spf = Some((Spf::Pass, spf)).filter(|(_, domain)| !domain.is_empty());
    let dmarc = evaluate(&zone(), author, &Proofs { spf, signatures: &signatures }).await;
    (dmarc.result, dmarc.policy.map_or("", Policy::word))
}

#[tokio::test]
async fn a_domain_is_proven_by_one_that_is_aligned() {
    use DmarcResult::{Fail, None, Pass, TempError};
    for (author, spf, dkim, result, policy) in [
        ("reject.test", "reject.test", "", Pass, "reject"),
        ("reject.test", "", "reject.test", Pass, "reject"),
        ("reject.test", "mail.reject.test", "", Pass, "reject"),
        ("reject.test", "", "mail.reject.test", Pass, "reject"),
        ("reject.test", "evil.test", "evil.test", Fail, "reject"),
        ("reject.test", "evilreject.test", "", Fail, "reject"),
        ("reject.test", "", "", Fail, "reject"),
        ("strict.test", "mail.strict.test", "mail.strict.test", Fail, "reject"),
        ("strict.test", "strict.test", "", Pass, "reject"),
        ("a.reject.test", "reject.test", "", Pass, "reject"),
        ("a.reject.test", "b.reject.test", "", Pass, "reject"),
        ("a.sub.test", "evil.test", "", Fail, "quarantine"),
        ("own.sub.test", "evil.test", "", Fail, "none"),
        ("a.np.test", "", "", Fail, "reject"),
        (ADDRESSED, "", "", Fail, "none"),
        ("reports.test", "", "", Fail, "none"),
        ("wrong.test", "", "", None, ""),
        ("nothing.test", "nothing.test", "", None, ""),
        ("other.test", "", "", None, ""),
        ("two.test", "", "", None, ""),
        ("trial.test", "", "", Fail, "quarantine"),
        // Two who have registered below the same suffix are strangers.
        ("a.suffix.test", "b.suffix.test", "", Fail, "reject"),
        ("x.a.suffix.test", "y.a.suffix.test", "", Pass, "reject"),
        // Who says that it is a domain of its own has nothing to do with the one above.
        ("reject.test", "apart.reject.test", "", Fail, "reject"),
        ("silent.test", "silent.test", "", TempError, ""),
        ("a.b.c.d.e.f.g.h.i.reject.test", "reject.test", "", Pass, "reject"),
    ] {
        assert_eq!(evaluated(author, spf, dkim).await, (result, policy), "{author} {spf} {dkim}");
    }
}

#[tokio::test]
async fn what_could_not_be_checked_leaves_it_open_where_it_might_have_proven_the_domain() {
    for (spf, domain, expected) in [
        (Spf::TempError, "mail.reject.test", DmarcResult::TempError),
        (Spf::TempError, "evil.test", DmarcResult::Fail),
        (Spf::SoftFail, "reject.test", DmarcResult::Fail),
    ] {
        let proofs = Proofs { spf: Some((spf, domain)), signatures: &[] };
        assert_eq!(evaluate(&zone(), "reject.test", &proofs).await.result, expected, "{spf:?} {domain}");
    }
}
