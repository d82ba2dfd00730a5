//! Tag lists (RFC 6376 §3.2), as keys and policies are written.

/// Most tags that are looked at.
const TAGS_MAX: usize = 64;

/// `tag-list = tag-spec *( ";" tag-spec ) [ ";" ]`: names and values without the blanks around them. What is no tag is left
/// out.
pub(super) fn tags(text: &str) -> Vec<(&str, &str)> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.map(|(name, value)| (name.trim(), value.trim())).take(TAGS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_with_their_values() {
        assert_eq!(tags(" v = DKIM1 ;p=a=b; ;x;t="), [("v", "DKIM1"), ("p", "a=b"), ("t", "")]);
        assert_eq!(tags(&"a=b;".repeat(1000)).len(), TAGS_MAX);
    }
}
