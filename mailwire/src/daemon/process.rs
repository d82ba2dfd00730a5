//! What the process may do: how many files it may open, and how many heaps it keeps.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one, for each connection is one, and returns it; `None`: no limit.
/// Where the system refuses, the soft limit stays and is returned.
#[must_use]
pub fn raise_open_files_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// What says how many heaps glibc may keep, and how many it keeps where nobody has said.
const HEAPS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// Limits the heaps of the process. glibc gives nearly every thread one of its own, and what they keep for themselves
/// doubles the memory of a server with a million messages. It reads the limit only when a program begins, so this one
/// begins once more, with the same process id; where that fails it goes on as it is.
pub fn limit_heaps() {
    let (name, heaps_max) = HEAPS;
    if env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(called) = arguments.next() {
        again.arg0(called);
    }
    // It only returns where it fails, and then nothing is worse than before.
    let _ = again.args(arguments).env(name, heaps_max).exec();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise_open_files_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(raised, limit.maximum);
    }
}
