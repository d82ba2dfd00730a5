//! What holds for the use of a maildrop, and how long mail stays in it.
//!
//! [`OwnRules`] is on disk as it is here: its fields are never changed, and none is added.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// The longest login delay that can be configured: a day.
pub const LOGIN_DELAY_SECONDS_MAX: u32 = 24 * 60 * 60;

/// What holds for a maildrop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Seconds from the beginning of a lease before which no other one begins; 0: none.
    pub login_delay_seconds: u32,
    /// When a message is expunged by the store itself.
    pub expiry: Expiry,
    /// Whether who comes later gets the maildrop.
    pub takeover: Takeover,
}

/// When messages are expunged by the store itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Expiry {
    /// So many days after they came into the maildrop, or could be seen there if that was later.
    Days(NonZeroU16),
    /// Never. It is longer than any number of days.
    #[default]
    Never,
}

/// What becomes of a lease when somebody else wants the maildrop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Takeover {
    /// It stays until it is given back.
    #[default]
    Refused,
    /// It ends once the other one's patience does.
    Allowed,
}

/// What an account has of its own; where it has nothing, the configuration says what holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRules {
    /// See [`Rules`].
    pub login_delay_seconds: Option<u32>,
    /// See [`Rules`].
    pub expiry: Option<Expiry>,
    /// See [`Rules`].
    pub takeover: Option<Takeover>,
}

impl OwnRules {
    /// What holds, where `otherwise` does for all others.
    #[must_use]
    pub fn or(self, otherwise: Rules) -> Rules {
        Rules {
            login_delay_seconds: self.login_delay_seconds.unwrap_or(otherwise.login_delay_seconds),
            expiry: self.expiry.unwrap_or(otherwise.expiry),
            takeover: self.takeover.unwrap_or(otherwise.takeover),
        }
    }
}

impl From<Rules> for CommonRules {
    fn from(rules: Rules) -> Self {
        let Rules { login_delay_seconds, expiry, takeover: _ } = rules;
        Self {
            login_delay_seconds: Strictest { value: login_delay_seconds, differs: false },
            expiry: Strictest { value: expiry, differs: false },
        }
    }
}

/// The strictest of what holds for several accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strictest<T> {
    /// What holds for one of them at least.
    pub value: T,
    /// True where less holds for another one.
    pub differs: bool,
}

/// What can be said without knowing whose maildrop it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonRules {
    /// The longest.
    pub login_delay_seconds: Strictest<u32>,
    /// The soonest.
    pub expiry: Strictest<Expiry>,
}
