//! The report about TLS with a domain's hosts, as JSON (RFC 8460 §4.4).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::head::Head;
use super::session::{Failure, Policy, PolicyType, Session};
use crate::trace;

/// The sessions under one policy.
#[derive(Default)]
struct Summary {
    successful: u64,
    failed: u64,
    failures: BTreeMap<Failure, u64>,
}

/// The report about these sessions, each with how often there was one.
pub(in super::super) fn report(head: &Head, sessions: &[(Session, u64)]) -> String {
    let mut policies: BTreeMap<&Policy, Summary> = BTreeMap::new();
    for (Session { policy, failure }, count) in sessions {
        let summary = policies.entry(policy).or_default();
        match failure {
            None => summary.successful = summary.successful.saturating_add(*count),
            Some(failure) => {
                summary.failed = summary.failed.saturating_add(*count);
                let known = summary.failures.entry(failure.clone()).or_default();
                *known = known.saturating_add(*count);
            }
        }
    }
    let policies: Vec<_> =
        policies.iter().map(|(policy, summary)| described(head, policy, summary)).collect();
    let report = json!({
        "organization-name": head.organization,
        "date-range": {
            "start-datetime": trace::internet_date_time(head.begin),
            "end-datetime": trace::internet_date_time(head.end),
        },
        "contact-info": head.contact,
        "report-id": head.report_id(),
        "policies": policies,
    });
    format!("{report:#}\n")
}

fn described(head: &Head, policy: &Policy, summary: &Summary) -> Value {
    let mut about = Map::new();
    about.insert("policy-type".to_owned(), json!(policy.kind));
    about.insert("policy-domain".to_owned(), json!(head.domain));
    if policy.kind != PolicyType::NoPolicyFound {
        about.insert("policy-string".to_owned(), json!(policy.strings));
        about.insert("mx-host".to_owned(), json!(policy.hosts));
    }
    let mut described = json!({
        "policy": about,
        "summary": {
            "total-successful-session-count": summary.successful,
            "total-failure-session-count": summary.failed,
        },
    });
    if let Some(described) = described.as_object_mut()
        && !summary.failures.is_empty()
    {
        let details: Vec<_> =
            summary.failures.iter().map(|(failure, count)| detail(failure, *count)).collect();
        described.insert("failure-details".to_owned(), json!(details));
    }
    described
}

fn detail(failure: &Failure, count: u64) -> Value {
    let mut detail = Map::new();
    detail.insert("result-type".to_owned(), json!(failure.fault));
    if let Some(sending) = failure.sending {
        detail.insert("sending-mta-ip".to_owned(), json!(sending));
    }
    if !failure.host.is_empty() {
        detail.insert("receiving-mx-hostname".to_owned(), json!(failure.host));
    }
    if let Some(receiving) = failure.receiving {
        detail.insert("receiving-ip".to_owned(), json!(receiving));
    }
    detail.insert("failed-session-count".to_owned(), json!(count));
    if let Some(reason) = &failure.reason {
        detail.insert("failure-reason-code".to_owned(), json!(reason));
    }
    Value::Object(detail)
}
