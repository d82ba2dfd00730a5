//! The published test suite of RFC 7208 (openspf.org, release 2014.04), and cases beside it.

use std::collections::HashMap;

use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::{A, AAAA, MX, PTR, TXT};
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::checks::source::Source;
use crate::dns::{Failed, Nothing, RData, RecordType};

const SUITE: &str = include_str!("../../../tests/data/spf/rfc7208-tests.json");

#[derive(Deserialize)]
struct Scenario {
    description: String,
    tests: HashMap<String, Case>,
    zonedata: HashMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
struct Case {
    helo: String,
    host: IpAddr,
    mailfrom: String,
    result: Vec<String>,
    explanation: Option<String>,
}

/// The zone data of one scenario; `None` is where a server stops answering.
struct Zones(HashMap<String, Vec<Option<(String, Value)>>>);

fn strings(value: &Value) -> Vec<Vec<u8>> {
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    value.as_array().map_or_else(|| vec![text(value)], |values| values.iter().map(text).collect())
}

fn name(value: &Value) -> Name {
    let labels = value.as_str().unwrap().split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).unwrap()
}

impl Zones {
    fn new(zonedata: &HashMap<String, Vec<Value>>) -> Self {
        let records = |values: &Vec<Value>| {
            let pairs = values.iter().map(|value| {
                let (kind, data) = value.as_object()?.iter().next()?;
                Some((kind.clone(), data.clone()))
            });
            let mut records: Vec<_> = pairs.collect();
            // What the suite writes as SPF is meant as TXT where there is no TXT.
            if !records.iter().flatten().any(|(kind, _)| kind == "TXT") {
                for (kind, _) in records.iter_mut().flatten() {
                    *kind = if kind == "SPF" { "TXT".to_owned() } else { kind.clone() };
                }
            }
            records
        };
        Self(zonedata.iter().map(|(name, values)| (name.to_lowercase(), records(values))).collect())
    }

    fn find(&self, asked: &str, record_type: RecordType, depth: usize) -> Result<Vec<RData>, Nothing> {
        let late = || {
            let name = asked.to_owned();
            Nothing::Failed(Failed::NotAnswered { name, why: "it is late".to_owned() })
        };
        let Some(records) = self.0.get(&asked.to_lowercase().replace('\\', "")) else {
            return Err(if asked.starts_with("error.") { late() } else { Nothing::NoName });
        };
        let mut found = Vec::new();
        for record in records {
            let Some((kind, data)) = record else {
                if found.is_empty() {
                    return Err(late());
                }
                break;
            };
            if kind == "CNAME" && depth < 2 {
                return self.find(data.as_str().unwrap(), record_type, depth + 1);
            }
            if *kind != record_type.to_string() || data == "NONE" {
                continue;
            }
            if data == "TIMEOUT" {
                return Err(late());
            }
            let text = || data.as_str().unwrap();
            found.push(match kind.as_str() {
                "TXT" => RData::TXT(TXT::from_bytes(strings(data).iter().map(Vec::as_slice).collect())),
                "A" => RData::A(A(text().parse().unwrap())),
                "AAAA" => RData::AAAA(AAAA(text().parse().unwrap())),
                "PTR" => RData::PTR(PTR(name(data))),
                "MX" => {
                    let preference = u16::try_from(data[0].as_u64().unwrap()).unwrap();
                    RData::MX(MX::new(preference, name(&data[1])))
                }
                _ => continue,
            });
        }
        if found.is_empty() { Err(Nothing::NoRecord) } else { Ok(found) }
    }
}

impl Source for Zones {
    async fn ask(&self, name: &str, record_type: RecordType) -> Result<Vec<RData>, Nothing> {
        self.find(name, record_type, 0)
    }
}

async fn outcome(zones: &Zones, case: &Case) -> Outcome {
    let sender = if case.mailfrom.is_empty() { &case.helo } else { &case.mailfrom };
    let (local_part, domain) = sender.rsplit_once('@').unwrap_or(("postmaster", sender));
    let local_part = if local_part.is_empty() { "postmaster" } else { local_part };
    let asked = Asked {
        ip: case.host.to_canonical(),
        helo: &case.helo,
        domain,
        local_part,
        sender_domain: domain,
        receiver: "receiver.example.org",
        unix_seconds: 1_000_000_000,
    };
    check_host(zones, &asked).await
}

#[tokio::test]
async fn the_published_suite_passes() {
    let scenarios: Vec<Scenario> = serde_json::from_str(SUITE).unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for scenario in &scenarios {
        let zones = Zones::new(&scenario.zonedata);
        for (id, case) in &scenario.tests {
            count += 1;
            let outcome = outcome(&zones, case).await;
            let explanation = case.explanation.as_deref().filter(|text| *text != "DEFAULT");
            let is_right = case.result.iter().any(|result| result == outcome.result.word())
                && (case.explanation.is_none() || outcome.explanation.as_deref() == explanation);
            if !is_right {
                wrong.push(format!(
                    "{}: {id}: {:?} {:?}, but {outcome:?}",
                    scenario.description, case.result, case.explanation
                ));
            }
        }
    }
    assert_eq!(count, 203);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
