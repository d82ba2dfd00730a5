//! Unique-ids as parts of file names: percent-encoded (RFC 3986 §2.1), as they may hold any graphic character.

/// `unique_id` with all but letters, digits, `-` and `_` encoded.
pub(crate) fn encoded(unique_id: &str) -> String {
    unique_id.bytes().fold(String::new(), |name, octet| {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_') {
            name + char::from(octet).encode_utf8(&mut [0; 4])
        } else {
            name + &format!("%{octet:02X}")
        }
    })
}

/// What `name` stands for, where [`encoded`] would make it of that.
pub(crate) fn decoded(name: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digits = [rest.next()?, rest.next()?];
            octets.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok().filter(|unique_id| encoded(unique_id) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_graphic_character_comes_back() {
        let all: String = ('!'..='~').collect();
        let name = encoded(&all);
        assert!(name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_%".contains(&octet)), "{name}");
        assert_eq!(decoded(&name).unwrap(), all);
        assert_eq!(encoded("UID5-17/x"), "UID5-17%2Fx");
    }

    #[test]
    fn a_name_that_was_not_made_here_is_not_decoded() {
        for name in ["a%2fb", "a%41", "a%4", "a.b", "%zz", "a b"] {
            assert_eq!(decoded(name), None, "{name}");
        }
    }
}
