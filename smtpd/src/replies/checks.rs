//! What is said of mail that does not pass the checks.

use mailwire::smtp::{Enhanced, Reply};

use crate::checks::{Method, Refusal};

/// Characters of a domain's own explanation that are handed on.
const EXPLANATION_CHARACTERS_MAX: usize = 200;

/// RFC 7372 §3: a check does not pass, and is to be passed here.
pub(crate) fn check_failed(refusal: &Refusal) -> Reply {
    let text = match refusal {
        Refusal::Spf { .. } => "The sender's domain does not let this host send its mail (SPF)",
        Refusal::Iprev => "This host's address has no name in DNS that leads back to it",
        Refusal::NullMx => "The sender's domain takes no mail (null MX), so nobody could answer",
        Refusal::Dkim => "The message has no DKIM signature that is right",
        Refusal::Arc => "The ARC seals of the message are broken",
        Refusal::Dmarc => "The domain in From does not prove the message, and wants it refused (DMARC)",
    };
    let reply = Reply::new(550, Enhanced(5, 7, code(refusal.method())), text);
    match refusal {
        // RFC 7208 §6.2: it is the domain that says so, and not this server.
        Refusal::Spf { domain, explanation: Some(explanation) } => {
            let said: String = explanation.chars().take(EXPLANATION_CHARACTERS_MAX).collect();
            reply.and(format!("{domain} says: {said}"))
        }
        Refusal::Spf { .. }
        | Refusal::Iprev
        | Refusal::NullMx
        | Refusal::Dkim
        | Refusal::Arc
        | Refusal::Dmarc => reply,
    }
}

/// RFC 7372 §3: a check that is to be passed here could not be made.
pub(crate) fn not_checked(method: Method) -> Reply {
    let enhanced = match method {
        // RFC 7372 §3.2: an SPF validation error.
        Method::Spf => Enhanced(4, 7, 24),
        // RFC 3463 §3.5: the directory does not answer; X.7.27 says that it has.
        Method::NullMx => Enhanced(4, 4, 3),
        Method::Iprev | Method::Dkim | Method::Arc | Method::Dmarc => Enhanced(4, 7, code(method)),
    };
    Reply::new(451, enhanced, "DNS did not say who may send this, please try again later")
}

/// The details of RFC 7372 §3, RFC 7505 §4.2 and RFC 8617 §10.3.
const fn code(method: Method) -> u16 {
    match method {
        Method::Spf => 23,
        Method::Iprev => 25,
        Method::NullMx => 27,
        Method::Dkim => 20,
        Method::Arc => 29,
        Method::Dmarc => 26,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_code() {
        let spf = |explanation| Refusal::Spf { domain: "a.example".to_owned(), explanation };
        for (refusal, refused, put_off) in [
            (spf(None), "5.7.23", "4.7.24"),
            (Refusal::Iprev, "5.7.25", "4.7.25"),
            (Refusal::NullMx, "5.7.27", "4.4.3"),
            (Refusal::Dkim, "5.7.20", "4.7.20"),
            (Refusal::Arc, "5.7.29", "4.7.29"),
            (Refusal::Dmarc, "5.7.26", "4.7.26"),
        ] {
            let reply = check_failed(&refusal);
            assert_eq!((reply.code(), reply.enhanced().unwrap().to_string().as_str()), (550, refused));
            let reply = not_checked(refusal.method());
            assert_eq!((reply.code(), reply.enhanced().unwrap().to_string().as_str()), (451, put_off));
        }
        let explained = check_failed(&spf(Some("x".repeat(1000))));
        let lines: Vec<_> = explained.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("a.example says: xx") && lines[1].len() < 250);
    }
}
