//! Any line is an SMTP command or none, and a command is the same one after it was written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::smtp::parse;

fuzz_target!(|line: &[u8]| {
    if let Ok(command) = parse(line) {
        let written = command.encode();
        let text = written.strip_suffix(b"\r\n").expect("a line");
        assert!(!text.contains(&b'\r') && !text.contains(&b'\n') && !text.contains(&0));
        assert_eq!(parse(text), Ok(command), "{}", text.escape_ascii());
    }
});
