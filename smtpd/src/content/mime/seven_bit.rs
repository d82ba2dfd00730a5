//! Content for servers that take nothing but ASCII (RFC 6152 §3): a look at all of it, and then its conversion, both as it
//! passes.

use super::converter::{Aim, Converter};
use super::plan::{Plan, Survey, Unfit};

/// Looks at a message as it passes.
#[derive(Debug)]
pub(crate) struct Look {
    converter: Converter,
    /// What nobody needs.
    output: Vec<u8>,
}

/// Converts a message as it passes.
#[derive(Debug)]
pub(crate) struct SevenBit(Converter);

impl Look {
    /// At nothing yet.
    pub(crate) fn new() -> Self {
        Self { converter: Converter::with_aim(Aim::Survey(Survey::default()), u64::MAX), output: Vec::new() }
    }

    /// At what has come.
    pub(crate) fn pass(&mut self, octets: &[u8]) {
        self.output.clear();
        self.converter.convert(octets, &mut self.output);
    }

    /// What is to be done with the message, or why it cannot be made ASCII.
    pub(crate) fn plan(mut self) -> Result<Plan, Unfit> {
        self.converter.finish(&mut self.output);
        let problem = self.converter.problem();
        let Survey { forms, unfit } = self.converter.into_survey();
        match (unfit, problem) {
            (Some(unfit), _) => Err(unfit),
            (None, Some(problem)) => Err(Unfit::Unclear(problem)),
            (None, None) => Ok(Plan { forms }),
        }
    }
}

impl SevenBit {
    /// By what was found.
    pub(crate) fn new(plan: Plan) -> Self {
        Self(Converter::with_aim(Aim::SevenBit(plan.forms.into_iter()), u64::MAX))
    }

    /// Converts what has come. There is no problem that the look has not found.
    pub(crate) fn convert(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        self.0.convert(octets, output);
    }

    /// The message has ended.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) {
        self.0.finish(output);
    }
}

#[cfg(test)]
mod tests;
