//! What a message's header section calls it (RFC 5322 §3.6.4): people ask for messages by that.

/// Most octets that are kept of one.
const MESSAGE_ID_OCTETS_MAX: usize = 256;
const NAME: &[u8] = b"message-id";

/// The one that a header field gives, without its brackets; `None` where it is another field, or nothing usable.
pub(crate) fn of(field: &[u8]) -> Option<String> {
    // Nearly all fields are told by their first octet.
    if !field.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'm')) {
        return None;
    }
    let colon = memchr::memchr(b':', field)?;
    let (name, body) = field.split_at_checked(colon)?;
    if !name.trim_ascii_end().eq_ignore_ascii_case(NAME) {
        return None;
    }
    let begin = memchr::memchr(b'<', body)?.saturating_add(1);
    let body = body.get(begin..)?;
    parse(body.get(..memchr::memchr(b'>', body)?)?)
}

/// The first one among whole fields, none of which is folded.
pub(crate) fn among(fields: &[u8]) -> Option<String> {
    fields.split(|octet| *octet == b'\n').find_map(of)
}

/// As somebody gives it, with brackets or without.
pub(crate) fn given(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

fn parse(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_usable = |character: char| !character.is_control() && !character.is_whitespace();
    let fits = (1..=MESSAGE_ID_OCTETS_MAX).contains(&text.len()) && text.chars().all(is_usable);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_found_in_its_field_alone() {
        for field in ["Message-ID: <a@b>", "message-id : <a@b> (x)\r\n", "MESSAGE-ID:\r\n <a@b>\r\n"] {
            assert_eq!(of(field.as_bytes()).as_deref(), Some("a@b"), "{field}");
        }
        let long = format!("Message-ID: <{}>", "x".repeat(257));
        for field in
            ["Message-IDs: <a@b>", "Message-ID: a@b", "Message-ID: <a b>", "Message-ID: <>", "M", &long]
        {
            assert_eq!(of(field.as_bytes()), None, "{field}");
        }
        let longest = "x".repeat(256);
        assert_eq!(of(format!("Message-ID: <{longest}>").as_bytes()), Some(longest));
        assert_eq!(among(b"Received: x\r\nMessage-ID: <a@b>\r\n").as_deref(), Some("a@b"));
    }

    #[test]
    fn it_is_given_with_brackets_or_without() {
        assert_eq!((given(" <a@b> "), given("a@b")), ("a@b", "a@b"));
    }
}
