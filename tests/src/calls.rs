//! What strace saw: system calls with the order in which they began and ended.

use std::collections::HashMap;

/// One system call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments as strace writes them.
    pub arguments: String,
    /// What it returned, as strace writes it.
    pub result: String,
    /// The line on which it began.
    pub began: usize,
    /// The line on which it ended; calls of several threads overlap.
    pub ended: usize,
}

impl Call {
    /// The first argument, which is the file for all calls of interest.
    #[must_use]
    pub fn file(&self) -> &str {
        self.arguments.split(", ").next().unwrap_or_default()
    }
}

/// Reads what `strace -f -o FILE` wrote. Calls that never ended are left out.
#[must_use]
pub fn read(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(beginning) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (number, beginning.trim_end()));
        } else if let Some(end) = rest.strip_prefix("<... ") {
            let begun = unfinished.remove(thread);
            let end = end.split_once(" resumed>").map(|(_, end)| end);
            if let (Some((began, beginning)), Some(end)) = (begun, end) {
                calls.extend(call(&format!("{beginning}{end}"), began, number));
            }
        } else {
            calls.extend(call(rest, number, number));
        }
    }
    calls
}

/// `name(arguments) = result`.
fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    Some(Call {
        name: name.to_owned(),
        arguments: arguments.trim_end().to_owned(),
        result: result.to_owned(),
        began,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_threads_overlap() {
        let trace = "7 pwritev(9</a b/1>, [{iov_base=\"x = y\", iov_len=5}], 1, 0) = 5\n\
                     8 fdatasync(9</a b/1> <unfinished ...>\n\
                     7 write(4, \"z\", 1) = 1\n\
                     8 <... fdatasync resumed>)        = 0\n\
                     7 +++ exited with 0 +++\n";
        let calls = read(trace);
        let seen: Vec<_> =
            calls.iter().map(|call| (call.name.as_str(), call.file(), call.began, call.ended)).collect();
        assert_eq!(
            seen,
            [("pwritev", "9</a b/1>", 0, 0), ("write", "4", 2, 2), ("fdatasync", "9</a b/1>", 1, 3)]
        );
        assert_eq!(calls.last().unwrap().result, "0");
    }
}
