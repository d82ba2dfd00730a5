//! Courier's `courierpop3dsizelist`: which unique-ids Courier's POP3 has shown, in all versions of the file.

use std::collections::HashMap;

use super::list_error::ListError;

/// The file's name.
pub(crate) const FILE_NAME: &str = "courierpop3dsizelist";

/// Unique-ids by the file's name up to its flags.
///
/// Version 0 has no head and lines `name octets`; the others begin with `/version next-uid uid-validity` and have
/// `name octets uid` (1), `name octets uid:validity` (2) and `name octets uid:validity:utf8` (3).
pub(crate) fn parse(list: &[u8]) -> Result<HashMap<Vec<u8>, String>, ListError> {
    let mut lines =
        (1..).zip(list.split(|octet| *octet == b'\n')).filter(|(_, line)| !line.is_empty()).peekable();
    let mut version = 0;
    if let Some((number, head)) = lines.next_if(|(_, line)| line.starts_with(b"/")) {
        version = self::version(head).ok_or(ListError::Line { number })?;
    }
    let mut unique_ids = HashMap::new();
    for (number, line) in lines {
        let (base, unique_id) = entry(version, line).ok_or(ListError::Line { number })?;
        unique_ids.insert(base.to_owned(), unique_id);
    }
    Ok(unique_ids)
}

fn version(head: &[u8]) -> Option<u8> {
    let head = std::str::from_utf8(head).ok()?;
    let version = head.strip_prefix('/')?.split(' ').next()?.parse().ok()?;
    (1..=3).contains(&version).then_some(version)
}

/// A file's name up to its flags, and what is shown for it.
fn entry(version: u8, line: &[u8]) -> Option<(&[u8], String)> {
    let (rest, last) = split_at_last_space(line)?;
    let (name, identity) = match version {
        0 => (rest, (0, 0)),
        _ => (split_at_last_space(rest)?.0, numbers(last)?),
    };
    let base = name.split(|octet| *octet == b':').next().filter(|base| !base.is_empty())?;
    let unique_id = match identity {
        (0, _) => of_name(base),
        (uid, 0) => format!("UID{uid}"),
        (uid, validity) => format!("UID{uid}-{validity}"),
    };
    Some((base, unique_id))
}

/// `uid`, `uid:validity` or `uid:validity:utf8`.
fn numbers(text: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = std::str::from_utf8(text).ok()?.split(':').map(str::parse);
    let uid = numbers.next()?.ok()?;
    let validity = numbers.next().unwrap_or(Ok(0)).ok()?;
    Some((uid, validity))
}

fn split_at_last_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().rposition(|octet| *octet == b' ')?;
    let (before, behind) = line.split_at_checked(at)?;
    Some((before, behind.get(1..)?))
}

/// A name as a unique-id: quotes, `+`, and what is not graphic as `+` and two digits.
fn of_name(base: &[u8]) -> String {
    base.iter().fold(String::new(), |unique_id, octet| {
        if octet.is_ascii_graphic() && !matches!(octet, b'\'' | b'"' | b'+') {
            unique_id + char::from(*octet).encode_utf8(&mut [0; 4])
        } else {
            unique_id + &format!("+{octet:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &str, base: &str) -> String {
        parse(list.as_bytes()).unwrap().remove(base.as_bytes()).unwrap()
    }

    #[test]
    fn each_version_shows_its_own_form() {
        assert_eq!(shown("/3 8 1158\n1.M1.h,S=9:2,S 11 7:1158:0\n", "1.M1.h,S=9"), "UID7-1158");
        assert_eq!(shown("/2 8 1158\n1.a b:2, 11 7:1157\n", "1.a b"), "UID7-1157");
        assert_eq!(shown("/1 8\n1.a 11 7\n", "1.a"), "UID7");
        assert_eq!(shown("1.a'\"+\u{e9} 11\n", "1.a'\"+\u{e9}"), "1.a+27+22+2B+C3+A9");
    }

    #[test]
    fn a_message_of_an_older_version_keeps_what_it_had() {
        let list = "/2 8 1158\n1.a:2,S 11 0:0\n1.b 11 3:0\n";
        assert_eq!(shown(list, "1.a"), "1.a");
        assert_eq!(shown(list, "1.b"), "UID3");
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for (list, number) in
            [("/9 1 1\n", 1), ("/2 8 1\na 1 1:1\nb\n", 3), ("/3 8 1\n\na x y\n", 3), ("/2\n:2,S 1 1:1", 2)]
        {
            assert_eq!(parse(list.as_bytes()), Err(ListError::Line { number }), "{list}");
        }
        assert_eq!(parse(b""), Ok(HashMap::new()));
    }
}
