//! What Dovecot's POP3 shows as unique-id: its setting `pop3_uidl_format`, in the forms of Dovecot 2.3 and 2.4.

use std::str::FromStr;

use thiserror::Error;

/// Why a format is not understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum FormatError {
    #[error(
        "`{0}` is not understood; known are %u (UID), %v (UIDVALIDITY), %f (file name) and %g (GUID), each with a \
         width (%08u) and X, L or U (hexadecimal, lower and upper case), and Dovecot 2.4's %{{uid | hex(8)}}"
    )]
    Variable(String),
    #[error("%m (MD5) is not taken over: Dovecot itself has it for mbox only")]
    Md5,
    #[error("the format has no variable, so all messages would have one unique-id")]
    Constant,
}

/// A format that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UidlFormat(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { variable: Variable, width: Width, modifiers: Vec<Modifier> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Uid,
    UidValidity,
    FileName,
    Guid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Whole,
    /// At most so many characters.
    Max(usize),
    /// At least so many, zeros in front.
    Min(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    Hexadecimal,
    Lower,
    Upper,
}

/// What Dovecot knows of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// UID and UIDVALIDITY, where the message is in the list.
    pub(crate) uid: Option<(u32, u32)>,
    /// The file's name up to the flags.
    pub(crate) file_name: &'a str,
    /// The GUID in the list; without one it is the file's name.
    pub(crate) guid: Option<&'a str>,
}

impl Default for UidlFormat {
    /// `%08Xu%08Xv`: Dovecot's default since 1.1, in small letters; 2.4 writes it differently and shows the same.
    fn default() -> Self {
        let eight = |variable| Part::Variable {
            variable,
            width: Width::Min(8),
            modifiers: vec![Modifier::Hexadecimal],
        };
        Self(vec![eight(Variable::Uid), eight(Variable::UidValidity)])
    }
}

impl UidlFormat {
    /// The unique-id of a message; `None` where it has no UID and the format needs one.
    pub(crate) fn unique_id(&self, facts: Facts<'_>) -> Option<String> {
        let mut unique_id = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => unique_id.push_str(text),
                Part::Variable { variable, width, modifiers } => {
                    let value =
                        modifiers.iter().fold(variable.of(facts)?, |value, modifier| modifier.of(&value));
                    unique_id.push_str(&width.of(&value));
                }
            }
        }
        Some(unique_id)
    }
}

impl Variable {
    fn of(self, facts: Facts<'_>) -> Option<String> {
        match self {
            Self::Uid => facts.uid.map(|(uid, _)| uid.to_string()),
            Self::UidValidity => facts.uid.map(|(_, validity)| validity.to_string()),
            Self::FileName => Some(facts.file_name.to_owned()),
            Self::Guid => Some(facts.guid.unwrap_or(facts.file_name).to_owned()),
        }
    }

    fn named(name: &str) -> Result<Self, FormatError> {
        match name {
            "u" | "uid" => Ok(Self::Uid),
            "v" | "uidvalidity" => Ok(Self::UidValidity),
            "f" | "filename" => Ok(Self::FileName),
            "g" | "guid" => Ok(Self::Guid),
            "m" | "md5" => Err(FormatError::Md5),
            other => Err(FormatError::Variable(format!("%{other}"))),
        }
    }
}

impl Width {
    fn of(self, value: &str) -> String {
        match self {
            Self::Whole => value.to_owned(),
            Self::Max(width) => value.chars().take(width).collect(),
            Self::Min(width) => format!("{value:0>width$}"),
        }
    }

    /// `8`, `08` or nothing.
    fn parse(digits: &str) -> Result<Self, FormatError> {
        let width = || digits.parse().ok().filter(|width| *width <= 70);
        let width = || width().ok_or_else(|| FormatError::Variable(format!("%{digits}")));
        Ok(match digits {
            "" => Self::Whole,
            _ if digits.starts_with('0') => Self::Min(width()?),
            _ => Self::Max(width()?),
        })
    }
}

impl Modifier {
    /// What is no number counts as 0 in hexadecimal.
    fn of(self, value: &str) -> String {
        match self {
            Self::Hexadecimal => format!("{:x}", value.parse().unwrap_or(0_u64)),
            Self::Lower => value.to_ascii_lowercase(),
            Self::Upper => value.to_ascii_uppercase(),
        }
    }
}

impl FromStr for UidlFormat {
    type Err = FormatError;

    fn from_str(format: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some((text, behind)) = rest.split_once('%') {
            push_text(&mut parts, text);
            rest = match behind.strip_prefix('%') {
                Some(behind) => {
                    push_text(&mut parts, "%");
                    behind
                }
                None => variable(behind, &mut parts)?,
            };
        }
        push_text(&mut parts, rest);
        if !parts.iter().any(|part| matches!(part, Part::Variable { .. })) {
            return Err(FormatError::Constant);
        }
        Ok(Self(parts))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// Reads what stands behind a `%`, and gives what stands behind that.
fn variable<'a>(format: &'a str, parts: &mut Vec<Part>) -> Result<&'a str, FormatError> {
    if let Some((inner, rest)) = format.strip_prefix('{').and_then(|format| format.split_once('}')) {
        parts.push(long_variable(inner)?);
        return Ok(rest);
    }
    let letters = format.trim_start_matches(|character: char| character.is_ascii_digit());
    let width = format.strip_suffix(letters).unwrap_or_default();
    let named = letters.trim_start_matches(['X', 'L', 'U']);
    let modifiers = letters.strip_suffix(named).unwrap_or_default().chars().map(|letter| match letter {
        'X' => Modifier::Hexadecimal,
        'L' => Modifier::Lower,
        _ => Modifier::Upper,
    });
    let mut characters = named.chars();
    let name: String = characters.by_ref().take(1).collect();
    let variable = Variable::named(&name)?;
    parts.push(Part::Variable { variable, width: Width::parse(width)?, modifiers: modifiers.collect() });
    Ok(characters.as_str())
}

/// `uid | hex(8)`, as Dovecot 2.4 has it.
fn long_variable(inner: &str) -> Result<Part, FormatError> {
    let (name, filter) = match inner.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(filter.trim())),
        None => (inner.trim(), None),
    };
    let variable = Variable::named(name)?;
    let unknown = || FormatError::Variable(format!("%{{{inner}}}"));
    let (width, modifiers) = match filter {
        None => (Width::Whole, vec![]),
        Some("hex") => (Width::Whole, vec![Modifier::Hexadecimal]),
        Some("lower") => (Width::Whole, vec![Modifier::Lower]),
        Some("upper") => (Width::Whole, vec![Modifier::Upper]),
        Some(filter) => {
            let width = filter.strip_prefix("hex(").and_then(|filter| filter.strip_suffix(')'));
            let width = Width::parse(&format!("0{}", width.ok_or_else(unknown)?)).map_err(|_| unknown())?;
            (width, vec![Modifier::Hexadecimal])
        }
    };
    Ok(Part::Variable { variable, width, modifiers })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'static> =
        Facts { uid: Some((27, 1_699_999_999)), file_name: "1700000004.M4P1.host", guid: Some("11aa") };

    fn shown(format: &str) -> String {
        format.parse::<UidlFormat>().unwrap().unique_id(FACTS).unwrap()
    }

    /// Each was shown by Dovecot 2.3.19 for a message with these facts.
    #[test]
    fn unique_ids_are_what_dovecot_shows() {
        for (format, expected) in [
            ("%08Xu%08Xv", "0000001b6553f0ff"),
            ("%v.%u", "1699999999.27"),
            ("%u.%v", "27.1699999999"),
            ("%f", "1700000004.M4P1.host"),
            ("%g", "11aa"),
            ("%Xu-%4u-%04u-%Uf", "1b-27-0027-1700000004.M4P1.HOST"),
            ("%v%%u", "1699999999%u"),
            ("%LUf", "1700000004.M4P1.HOST"),
        ] {
            assert_eq!(shown(format), expected, "{format}");
        }
        assert_eq!(UidlFormat::default(), "%08Xu%08Xv".parse().unwrap());
    }

    #[test]
    fn the_words_of_dovecot_2_4_mean_the_same() {
        assert_eq!(UidlFormat::default(), "%{uid | hex(8)}%{uidvalidity | hex(8)}".parse().unwrap());
        assert_eq!(shown("%{uidvalidity}.%{uid}"), "1699999999.27");
        assert_eq!(shown("%{filename|upper}"), "1700000004.M4P1.HOST");
    }

    #[test]
    fn a_message_without_uid_has_a_unique_id_only_where_none_is_needed() {
        let facts = Facts { uid: None, file_name: "a", guid: None };
        assert_eq!(UidlFormat::default().unique_id(facts), None);
        assert_eq!("%g".parse::<UidlFormat>().unwrap().unique_id(facts).unwrap(), "a");
    }

    #[test]
    fn a_format_that_is_not_understood_is_refused() {
        for format in ["%", "%x", "%08", "%2.6f", "%-3f", "%{x}", "%{uid | md5}", "%{uid", "%999u"] {
            let refused = format.parse::<UidlFormat>().unwrap_err();
            assert!(matches!(refused, FormatError::Variable(_)), "{format}: {refused:?}");
        }
        assert_eq!("%m".parse::<UidlFormat>(), Err(FormatError::Md5));
        assert_eq!("abc%%".parse::<UidlFormat>(), Err(FormatError::Constant));
    }
}
