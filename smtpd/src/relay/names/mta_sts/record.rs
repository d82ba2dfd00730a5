//! The TXT record by which a domain says that it has a policy, and which (RFC 8461 §3.1).

/// Most characters of an identifier.
const ID_OCTETS_MAX: usize = 32;

/// The policy's identifier, out of all TXT records of `_mta-sts.DOMAIN`, each with its strings put together. `None` where
/// there is none, or more than one, or one that is no such record.
pub(super) fn id(records: &[Vec<u8>]) -> Option<String> {
    let mut ours = records.iter().filter_map(|record| {
        let rest = str::from_utf8(record).ok()?.strip_prefix("v=STSv1")?;
        // `sts-field-delim`: whatever begins like that and has another version is another record.
        rest.trim_start_matches([' ', '\t']).strip_prefix(';')
    });
    let (record, None) = (ours.next()?, ours.next()) else { return None };
    let mut ids = record.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        (name.trim_matches([' ', '\t']) == "id").then(|| value.trim_matches([' ', '\t']))
    });
    let id = ids.next()?;
    let is_id =
        (1..=ID_OCTETS_MAX).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> Option<String> {
        let records: Vec<_> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        id(&records)
    }

    #[test]
    fn the_identifier_is_read() {
        for record in [
            "v=STSv1; id=20160831085700Z;",
            "v=STSv1;id=20160831085700Z",
            "v=STSv1 ;\tid=20160831085700Z ; more=1",
            "v=STSv1; more=1; id=20160831085700Z",
        ] {
            assert_eq!(of(&[record]).as_deref(), Some("20160831085700Z"), "{record}");
        }
        assert_eq!(of(&["v=spf1 -all", "v=STSv1; id=a", "text"]).as_deref(), Some("a"));
        let longest = "x".repeat(ID_OCTETS_MAX);
        assert_eq!(of(&[&format!("v=STSv1; id={longest};")]), Some(longest));
    }

    #[test]
    fn what_is_no_such_record_or_not_the_only_one_is_none() {
        for records in [
            &[][..],
            &["v=STSv2; id=a"],
            &["v=STSv1"],
            &["v=STSv1;"],
            &["v=STSv1; id=;"],
            &["v=STSv1; id=a b;"],
            &["v=STSv1; id=a-b;"],
            &["id=a; v=STSv1;"],
            &["V=STSv1; id=a"],
            &["v=STSv10; id=a"],
            &["v=STSv1; id=a", "v=STSv1; id=b"],
        ] {
            assert_eq!(of(records), None, "{records:?}");
        }
        assert_eq!(of(&[&format!("v=STSv1; id={};", "x".repeat(ID_OCTETS_MAX + 1))]), None);
    }
}
