//! What holds for the use of each maildrop, in memory.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::{CommonRules, OwnRules, Rules, Strictest};

/// The rules of all accounts.
#[derive(Debug, Default)]
pub(crate) struct RulesOfAccounts {
    /// Of those that have some of their own, by maildrop.
    own: HashMap<u64, OwnRules>,
    /// Where an account has none of its own.
    default: Rules,
    /// With the number of accounts for which it was found out.
    common: OnceLock<(usize, CommonRules)>,
}

impl RulesOfAccounts {
    /// What the index holds; where it says nothing, `default` holds.
    pub(crate) fn new(own: HashMap<u64, OwnRules>, default: Rules) -> Self {
        Self { own, default, common: OnceLock::new() }
    }

    /// A maildrop's account has these of its own from now on.
    pub(crate) fn set(&mut self, maildrop: u64, own: OwnRules) {
        if own == OwnRules::default() {
            return self.remove(maildrop);
        }
        self.own.insert(maildrop, own);
        self.common = OnceLock::new();
    }

    /// It has none of its own.
    pub(crate) fn remove(&mut self, maildrop: u64) {
        if self.own.remove(&maildrop).is_some() {
            self.common = OnceLock::new();
        }
    }

    /// What a maildrop's account has of its own.
    pub(crate) fn own(&self, maildrop: u64) -> OwnRules {
        self.own.get(&maildrop).copied().unwrap_or_default()
    }

    /// What holds for a maildrop.
    pub(crate) fn of(&self, maildrop: u64) -> Rules {
        self.own(maildrop).or(self.default)
    }

    /// What holds for all of so many accounts.
    pub(crate) fn common(&self, accounts: usize) -> CommonRules {
        let found = || CommonRules {
            login_delay_seconds: self.strictest(
                accounts,
                |own| own.login_delay_seconds,
                self.default.login_delay_seconds,
                u32::max,
            ),
            expiry: self.strictest(accounts, |own| own.expiry, self.default.expiry, Ord::min),
        };
        let (known_for, common) = self.common.get_or_init(|| (accounts, found()));
        // Whether there are accounts that have nothing of their own is all that their number tells.
        if *known_for == accounts { *common } else { found() }
    }

    /// What is configured counts where an account has nothing else, or there is none yet.
    fn strictest<T: Copy + Eq>(
        &self,
        accounts: usize,
        own: impl Fn(&OwnRules) -> Option<T>,
        default: T,
        stricter: impl Fn(T, T) -> T,
    ) -> Strictest<T> {
        let owned = || self.own.values().filter_map(&own);
        let is_default_used = owned().count() < accounts || accounts == 0;
        let all = || owned().chain(is_default_used.then_some(default));
        let value = all().reduce(stricter).unwrap_or(default);
        Strictest { value, differs: all().any(|other| other != value) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::{Expiry, Takeover};

    fn delay(seconds: u32) -> OwnRules {
        OwnRules { login_delay_seconds: Some(seconds), ..OwnRules::default() }
    }

    fn days(days: u16) -> Expiry {
        Expiry::Days(NonZeroU16::new(days).unwrap())
    }

    fn expiring(expiry: Expiry) -> OwnRules {
        OwnRules { expiry: Some(expiry), ..OwnRules::default() }
    }

    #[test]
    fn what_an_account_has_not_of_its_own_is_as_configured() {
        let default = Rules { login_delay_seconds: 60, expiry: days(30), takeover: Takeover::Allowed };
        let mut rules = RulesOfAccounts::new(HashMap::from([(1, delay(0))]), default);
        assert_eq!(rules.of(1), Rules { login_delay_seconds: 0, ..default });
        assert_eq!(rules.of(2), default);
        rules.set(1, OwnRules { takeover: Some(Takeover::Refused), ..OwnRules::default() });
        assert_eq!(rules.of(1), Rules { takeover: Takeover::Refused, ..default });
        rules.set(1, OwnRules::default());
        assert_eq!((rules.of(1), rules.own.len()), (default, 0));
    }

    #[test]
    fn the_longest_delay_and_the_soonest_expiry_are_what_can_be_said_of_all() {
        let mut rules = RulesOfAccounts::new(HashMap::new(), Rules::default());
        assert_eq!(rules.common(0), CommonRules::default());
        assert_eq!(rules.common(3), CommonRules::default());
        rules.set(1, delay(60));
        assert_eq!(rules.common(3).login_delay_seconds, Strictest { value: 60, differs: true });
        rules.set(2, OwnRules { expiry: Some(days(30)), ..delay(10) });
        assert_eq!(rules.common(3).login_delay_seconds, Strictest { value: 60, differs: true });
        assert_eq!(rules.common(3).expiry, Strictest { value: days(30), differs: true });
        rules.set(3, expiring(days(7)));
        assert_eq!(rules.common(3).expiry, Strictest { value: days(7), differs: true });
        rules.remove(3);
        assert_eq!(rules.common(2).expiry, Strictest { value: days(30), differs: true });
    }

    #[test]
    fn where_all_are_alike_that_is_said() {
        let default = Rules { expiry: days(30), ..Rules::default() };
        let mut rules = RulesOfAccounts::new(HashMap::new(), default);
        assert_eq!(rules.common(2).expiry, Strictest { value: days(30), differs: false });
        for maildrop in [1, 2] {
            rules.set(maildrop, expiring(Expiry::Never));
        }
        // Nobody has what is configured, until a third account is there.
        assert_eq!(rules.common(2).expiry, Strictest { value: Expiry::Never, differs: false });
        assert_eq!(rules.common(3).expiry, Strictest { value: days(30), differs: true });
        assert_eq!(rules.common(2).expiry, Strictest { value: Expiry::Never, differs: false });
    }
}
