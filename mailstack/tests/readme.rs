//! The README does not lie: its map names every source file, its table every standard that the code cites.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders with source in them.
const CRATES: [&str; 7] = ["mailwire", "mailstore", "smtpd", "pop3d", "mailstack", "mua-cli", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// Every source file, by its path from the root.
fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<_> = CRATES.iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// What the head of a file says that it is for: its first `//!` lines up to the end of a sentence.
fn purpose(text: &str) -> String {
    let mut words = Vec::new();
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        words.push(line.trim());
        if line.ends_with('.') {
            break;
        }
    }
    words.join(" ").trim_end().to_owned()
}

#[test]
fn the_map_says_of_every_file_what_the_file_says_of_itself() {
    let real: BTreeSet<_> = sources()
        .iter()
        .map(|path| {
            let text = fs::read_to_string(root().join(path)).unwrap();
            format!("- `{}`: {}", path.display(), purpose(&text))
        })
        .collect();
    let readme = readme();
    let shown: BTreeSet<_> = readme
        .lines()
        .filter(|line| line.starts_with("- `") && line.contains(".rs`: "))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = real.difference(&shown).collect();
    let wrong: Vec<_> = shown.difference(&real).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "missing in README.md: {missing:#?}\nwrong there: {wrong:#?}"
    );
}

/// The numbers behind each `RFC `.
fn cited(text: &str) -> BTreeSet<u32> {
    text.split("RFC ")
        .skip(1)
        .filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok())
        .collect()
}

#[test]
fn the_table_of_standards_has_what_the_code_cites_and_nothing_else() {
    let in_code: BTreeSet<_> = sources()
        .iter()
        .filter(|path| path.components().nth(1).is_some_and(|folder| folder.as_os_str() == "src"))
        .filter(|path| !path.starts_with("tests"))
        .flat_map(|path| cited(&fs::read_to_string(root().join(path)).unwrap()))
        .collect();
    let readme = readme();
    let (_, table) = readme.split_once("## Standards").unwrap();
    let shown = cited(table);
    let missing: Vec<_> = in_code.difference(&shown).collect();
    let unfounded: Vec<_> = shown.difference(&in_code).collect();
    assert!(
        missing.is_empty() && unfounded.is_empty(),
        "not in the table: {missing:?}; not in the code: {unfounded:?}"
    );
}

#[test]
fn every_path_in_the_table_of_standards_is_there() {
    let readme = readme();
    let (_, table) = readme.split_once("## Standards").unwrap();
    let paths: Vec<_> = table.split('`').skip(1).step_by(2).filter(|word| word.contains("/src")).collect();
    assert!(paths.len() > 20);
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
}
