//! Any line is a POP3 command or none, and a command is the same one after it was written and read again; so are replies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::pop3::{Reply, parse};

fuzz_target!(|line: &[u8]| {
    if let Ok(command) = parse(line) {
        let written = command.encode();
        let text = written.strip_suffix(b"\r\n").expect("a line");
        assert!(!text.contains(&b'\r') && !text.contains(&b'\n'));
        assert_eq!(parse(text), Ok(command));
    }
    if let Some(reply) = Reply::parse(line) {
        let mut written = Vec::new();
        reply.encode(&mut written);
        assert!(written.len() <= 512 && written.ends_with(b"\r\n"));
        let again = Reply::parse(&written[..written.len() - 2]).expect("a reply");
        assert_eq!((again.status(), again.code()), (reply.status(), reply.code()));
    }
});
