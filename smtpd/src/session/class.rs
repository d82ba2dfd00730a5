//! What a message is taken for, and what has decided that.

/// What a message is taken for, by all that has looked at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Mail as any other.
    #[default]
    Wanted,
    /// It goes where its recipients have their junk, or is marked. The words say which check chose that and why, for trace and
    /// log: `[checks] dmarc = "junk": dmarc=fail header.from=a.example`.
    Junk(String),
}

impl Class {
    /// A check takes the message for junk, for the reason that these words give. What was found first stays.
    pub fn take_for_junk(&mut self, because: impl Into<String>) {
        match self {
            Self::Wanted => *self = Self::Junk(because.into()),
            Self::Junk(_) => {}
        }
    }

    /// True for junk.
    #[must_use]
    pub const fn is_junk(&self) -> bool {
        match self {
            Self::Wanted => false,
            Self::Junk(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_the_one_that_is_told() {
        let mut class = Class::default();
        assert!(!class.is_junk());
        class.take_for_junk("one");
        class.take_for_junk("another");
        assert_eq!(class, Class::Junk("one".to_owned()));
        assert!(class.is_junk());
    }
}
