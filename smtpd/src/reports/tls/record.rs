//! The record `_smtp._tls` of a domain (RFC 8460 §3): where it wants its reports.

use super::super::destination::{DESTINATIONS_MAX, Destination};
use crate::relay::names::{Names, NoRoute};

/// Where a domain wants its reports; none where it does not want any.
///
/// # Errors
/// Where DNS does not say.
pub(in super::super) async fn destinations(names: &Names, domain: &str) -> Result<Vec<Destination>, NoRoute> {
    Ok(read(&names.texts(&format!("_smtp._tls.{domain}")).await?))
}

/// RFC 8460 §3: of several records of this version none counts.
fn read(texts: &[String]) -> Vec<Destination> {
    let mut records = texts.iter().filter_map(|text| fields(text));
    let (Some(fields), None) = (records.next(), records.next()) else { return Vec::new() };
    let uris = fields.into_iter().find(|(name, _)| *name == "rua").map(|(_, uris)| uris).unwrap_or_default();
    uris.split(',').filter_map(Destination::parse).take(DESTINATIONS_MAX).collect()
}

/// `tlsrpt-version field-delim tlsrpt-rua ...`; other fields are passed over.
fn fields(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut fields = text.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        Some((name.trim(), value.trim()))
    });
    (fields.next()? == ("v", "TLSRPTv1")).then(|| fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(texts: &[&str]) -> usize {
        read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).len()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(count(&["v=TLSRPTv1;rua=mailto:reports@example.com"]), 1);
        assert_eq!(count(&["v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"]), 1);
        assert_eq!(
            count(&["v = TLSRPTv1 ; x=y; rua=mailto:a@b.example,https://b.example/, ftp://b.example/;"]),
            2
        );
        assert_eq!(count(&["v=spf1 -all", "v=TLSRPTv1;rua=mailto:reports@example.com"]), 1);
    }

    #[test]
    fn what_is_no_record_or_not_the_only_one_asks_for_nothing() {
        let good = "v=TLSRPTv1;rua=mailto:reports@example.com";
        for texts in [
            vec![],
            vec![good, good],
            vec!["v=TLSRPTv2;rua=mailto:a@b.example"],
            vec!["rua=mailto:a@b.example;v=TLSRPTv1"],
            vec!["v=TLSRPTv1"],
            vec!["v=TLSRPTv1;rua="],
            vec!["v=TLSRPTv1;rua=mailto:a"],
        ] {
            assert_eq!(count(&texts), 0, "{texts:?}");
        }
        let many = vec!["mailto:a@b.example"; 100].join(",");
        assert_eq!(count(&[&format!("v=TLSRPTv1;rua={many}")]), DESTINATIONS_MAX);
    }
}
