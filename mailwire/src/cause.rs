//! An error told with its causes: errors name what their layer was doing, whoever shows one prints the chain.

use std::error::Error;

/// `error` and its causes in one line, `: ` between them.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressError;

    #[derive(Debug, thiserror::Error)]
    #[error("reading the list failed")]
    struct Outer(#[source] AddressError);

    #[test]
    fn causes_follow_what_they_caused() {
        let error = Outer(AddressError::Syntax("x".into()));
        assert_eq!(chain(&error), "reading the list failed: \"x\" is not an address of the form name@domain");
    }
}
