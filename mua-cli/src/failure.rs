//! Why `mua` ends without having done what was asked: what happened, what to do, and the exit status.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit statuses of sysexits.h, which scripts and other mail programs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line is wrong.
    Usage,
    /// The message, or a part of it, cannot be sent as it is.
    Data,
    /// A file cannot be read.
    NoInput,
    /// A recipient was refused for good.
    NoUser,
    /// The server's name is not known.
    NoHost,
    /// The server refused, or does not offer what is needed.
    Unavailable,
    /// A file cannot be created.
    CannotCreate,
    /// Reading or writing failed.
    Io,
    /// Trying again may help.
    TryAgain,
    /// The server does not keep to the protocol.
    Protocol,
    /// The login was refused.
    NoPermission,
}

/// What happened, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    advice: Option<&'static str>,
}

impl Failure {
    /// With what happened, as one sentence without a full stop.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None }
    }

    /// With what happened and the chain of its causes.
    pub(crate) fn caused(exit: Exit, what: impl fmt::Display, error: &dyn Error) -> Self {
        Self::new(exit, format!("{what}: {}", chain(error)))
    }

    /// The same with what to do.
    pub(crate) const fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// The exit status.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit.status())
    }

    /// What kind of failure it is.
    #[cfg(test)]
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl Exit {
    /// The number.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::NoUser => 67,
            Self::NoHost => 68,
            Self::Unavailable => 69,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::Protocol => 76,
            Self::NoPermission => 77,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.advice {
            Some(advice) => write!(f, "{}.\n{advice}", self.what),
            None => write!(f, "{}.", self.what),
        }
    }
}

impl From<io::Error> for Failure {
    /// Printing failed: the reader of our output has gone, or its disk is full.
    fn from(error: io::Error) -> Self {
        Self::caused(Exit::Io, "writing the output failed", &error)
    }
}

/// An error and its causes, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = text + ": " + &next;
        }
        cause = error.source();
    }
    text
}
