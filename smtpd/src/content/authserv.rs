//! Which Authentication-Results claim to be ours (RFC 8601 §5): nobody but this server says what this server found out.

/// True where `body`, the beginning of an Authentication-Results field behind its colon, names one of `own_names` (in
/// lower case) as its authentication service, or where it cannot be read whom it names.
///
/// `authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo )`, RFC 8601 §2.2.
pub(super) fn claims_to_be_ours(body: &[u8], own_names: &[String]) -> bool {
    let Some(identifier) = behind_blanks_and_comments(body).and_then(value) else { return true };
    let identifier = identifier.to_lowercase();
    let name = identifier.strip_suffix('.').unwrap_or(&identifier);
    own_names.iter().any(|own| own == name)
}

/// What stands behind `[CFWS]` (RFC 5322 §3.2.2); `None` where it has no end.
fn behind_blanks_and_comments(body: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    let mut octets = body.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => {
                octets.next();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            _ => return body.get(at..),
        }
    }
    None
}

/// `authserv-id = value`, RFC 8601 §2.2; `value = token / quoted-string`, RFC 2045 §5.1, in UTF-8 (RFC 8601 §2.5).
fn value(text: &[u8]) -> Option<String> {
    let octets = if let [b'"', quoted @ ..] = text {
        quoted_string(quoted)?
    } else {
        let end = text.iter().position(|octet| b" \t\r\n;(".contains(octet))?;
        text.get(..end)?.to_vec()
    };
    String::from_utf8(octets).ok().filter(|text| !text.is_empty() && !text.contains('"'))
}

/// The content of a quoted-string (RFC 5322 §3.2.4), from behind its first quote.
fn quoted_string(text: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut octets = text.iter().copied();
    loop {
        match octets.next()? {
            b'"' => return Some(content),
            b'\\' => content.push(octets.next()?),
            b'\r' | b'\n' => {}
            octet => content.push(octet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_removed(body: &str) -> bool {
        claims_to_be_ours(body.as_bytes(), &["mail.example.test".to_owned(), "example.test".to_owned()])
    }

    #[test]
    fn every_form_of_our_own_name_is_known() {
        for body in [
            " mail.example.test; spf=pass\r\n",
            "mail.example.test;",
            " MAIL.Example.Test 1; none\r\n",
            " example.test\r\n\t1; none\r\n",
            "\r\n mail.example.test\r\n ;",
            " (a comment) mail.example.test (another) 1;",
            " (a (nested\\) (and\r\n folded)) one) mail.example.test(x);",
            " \"mail.example.test\"; none",
            " \"mail.\\example.test\" 99; none",
            " mail.example.test.; none",
            " mail.example.test\r\n",
        ] {
            assert!(is_removed(body), "{body:?}");
        }
    }

    #[test]
    fn the_names_of_others_are_left_alone() {
        for body in [
            " mx.example.org; spf=pass smtp.mailfrom=mail.example.test\r\n",
            " other.mail.example.test; none",
            " mail.example.tes; none",
            " (mail.example.test) mx.example.org; none",
            " \"mx.example.org\"; none",
            " test; none",
        ] {
            assert!(!is_removed(body), "{body:?}");
        }
    }

    #[test]
    fn what_names_nobody_for_certain_goes() {
        for body in [
            "",
            " \r\n",
            " (",
            " (mx.example.org",
            " \"mx.example.org",
            " ; none",
            " mx.example.or",
            " a\"b;",
        ] {
            assert!(is_removed(body), "{body:?}");
        }
    }
}
