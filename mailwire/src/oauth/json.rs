//! Objects of JSON (RFC 8259 §4) in which no name stands twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// An object whose members have different names: where one stands twice, two readers could see different things
/// (RFC 7515 §4, RFC 7519 §4).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(BTreeMap<String, Value>);

/// A member is there, and not of the type that it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongType;

impl Object {
    /// The object that `octets` are, and nothing behind it.
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        serde_json::from_slice(octets).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A member that must be a text where it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, WrongType> {
        self.get(name).map(|value| value.as_str().ok_or(WrongType)).transpose()
    }

    /// A member that must be a text or a list of texts where it is there.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().map(Some).ok_or(WrongType)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(WrongType),
        }
    }

    /// A member that must be a `NumericDate` where it is there (RFC 7519 §2): seconds since 1970, parts of one cut off.
    pub(super) fn date(&self, name: &str) -> Result<Option<u64>, WrongType> {
        let seconds = |value: &Value| {
            let number = value.as_number()?.to_string();
            number.split_once('.').map_or(number.as_str(), |(whole, _)| whole).parse().ok()
        };
        self.get(name).map(|value| seconds(value).ok_or(WrongType)).transpose()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Object> {
        Object::parse(text.as_bytes())
    }

    #[test]
    fn only_an_object_with_different_names_and_nothing_behind_it_is_one() {
        assert!(read(" {\"a\": 1, \"b\": 2} ").is_some());
        for wrong in [
            "",
            "[]",
            "1",
            "{\"a\": 1, \"a\": 1}",
            "{\"a\": 1, \"\\u0061\": 2}",
            "{} {}",
            "{\"a\": }",
            "\u{feff}{}",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(read(&deep), None);
    }

    #[test]
    fn dates_are_numbers_of_seconds() {
        let date = |text: &str| read(&format!("{{\"exp\": {text}}}")).unwrap().date("exp");
        assert_eq!(date("1300819380"), Ok(Some(1_300_819_380)));
        assert_eq!(date("1300819380.9"), Ok(Some(1_300_819_380)));
        for wrong in ["-1", "\"1300819380\"", "1e300", "true", "null", "99999999999999999999999"] {
            assert_eq!(date(wrong), Err(WrongType), "{wrong}");
        }
        assert_eq!(read("{}").unwrap().date("exp"), Ok(None));
    }

    #[test]
    fn texts_come_alone_or_in_a_list() {
        let texts =
            |text: &str| read(text).unwrap().texts("aud").map(|texts| texts.map(|texts| texts.join("+")));
        assert_eq!(texts("{\"aud\": \"a\"}"), Ok(Some("a".to_owned())));
        assert_eq!(texts("{\"aud\": [\"a\", \"b\"]}"), Ok(Some("a+b".to_owned())));
        assert_eq!(texts("{\"aud\": []}"), Ok(Some(String::new())));
        assert_eq!(texts("{}"), Ok(None));
        assert_eq!(texts("{\"aud\": [\"a\", 1]}"), Err(WrongType));
        assert_eq!(texts("{\"aud\": {\"a\": 1}}"), Err(WrongType));
    }
}
