//! The rules of the house that a program can check: purposes, sizes, where replies may stand, what lies in the root.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use mailstack_tests::programs::repository;

/// The folders with source in them.
const CRATES: [&str; 7] = ["mailwire", "mailstore", "smtpd", "pop3d", "mailstack", "mua-cli", "tests"];
/// What may lie in the root besides, and besides dot-files and what cargo builds.
const ROOT: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "conf",
    "target",
];
/// Most lines of a file without its tests.
const LINES_MAX: usize = 500;

/// Every source file with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<_> = CRATES.iter().map(|name| repository().join(name)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path.strip_prefix(repository()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(sources.len() > 100, "only {} source files were found", sources.len());
    sources
}

/// A file's text up to its tests.
fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(before, _)| before)
}

#[test]
fn every_file_begins_with_its_purpose() {
    for (path, text) in sources() {
        let purpose = text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default();
        assert!(purpose.len() > 15, "{} does not say what it is for", path.display());
    }
}

#[test]
fn no_file_is_long() {
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn replies_stand_in_replies_rs_and_its_parts_and_nowhere_else() {
    let mut files = 0;
    for (path, text) in sources() {
        let daemon = path.starts_with("smtpd/src") || path.starts_with("pop3d/src");
        let replies =
            path.ends_with("replies.rs") || path.parent().is_some_and(|folder| folder.ends_with("replies"));
        if !daemon || replies {
            continue;
        }
        files += 1;
        for (line, number) in without_tests(&text).lines().zip(1..) {
            assert!(!makes_a_reply(line), "{}:{number} makes a reply:{line}", path.display());
        }
    }
    assert!(files > 10, "only {files} files of daemons were found");
}

/// True where a reply is made, or a text begins as a reply does; comments may say anything.
fn makes_a_reply(line: &str) -> bool {
    if line.trim_start().starts_with("//") {
        return false;
    }
    let made =
        ["Reply::new(", "Reply::plain(", "Reply::ok(", "Reply::err"].iter().any(|call| line.contains(call));
    made || line.split('"').skip(1).any(|text| {
        let code = text.get(..3).is_some_and(|code| code.bytes().all(|octet| octet.is_ascii_digit()));
        let code = code && text.get(3..4).is_some_and(|after| [" ", "-"].contains(&after));
        code || text.starts_with("+OK") || text.starts_with("-ERR")
    })
}

#[test]
fn what_makes_a_reply_is_recognised() {
    for line in
        ["Reply::new(250, x)", "write(b\"250 OK\")", "x(\"-ERR no\")", "let y = \"+OK\";", "\"354-a\""]
    {
        assert!(makes_a_reply(line), "{line}");
    }
    for line in ["// Reply::new(", "\"2500\"", "\"25 OK\"", "reply.code() == 250", "Reply::parse(x)"] {
        assert!(!makes_a_reply(line), "{line}");
    }
}

#[test]
fn nothing_else_lies_in_the_root() {
    for entry in fs::read_dir(repository()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name.starts_with('.') || ROOT.contains(&name.as_str()) || CRATES.contains(&name.as_str());
        assert!(known, "{name} does not belong into the root");
    }
    for name in ROOT.iter().filter(|name| **name != "target") {
        assert!(Path::new(repository()).join(name).exists(), "{name} is missing");
    }
}

#[test]
fn this_crate_links_none_of_the_others() {
    let manifest = fs::read_to_string(repository().join("tests/Cargo.toml")).unwrap();
    for name in CRATES.iter().filter(|name| **name != "tests") {
        assert!(!manifest.contains(&format!("\n{name}")), "{name} is linked");
    }
}
