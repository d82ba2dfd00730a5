//! What the kernel is asked before a reply says that a message is kept, and for the reply itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use mailstack_tests::calls::{self, Call};
use mailstack_tests::clients::{available, run, skipped};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::pop3::Pop3;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// Sessions that wait for their commits at the same time.
const WAITING: usize = 32;

/// A message that was acknowledged: what it can be recognised by, and the reply.
struct Acknowledged {
    marker: String,
    reply: String,
}

#[test]
fn content_is_synced_before_its_reply() {
    let Some(mut server) = traced_server() else { return };
    let mut smtp = server.reception().unwrap();
    let messages: Vec<_> = (0..5).map(|number| send(&mut smtp, &format!("marker-{number}-"), 100)).collect();
    drop(smtp);
    let calls = trace(&mut server);
    for message in &messages {
        assert!(syncs_that_cover(&calls, message).next().is_some(), "{} was not synced", message.marker);
    }
}

#[test]
fn content_too_big_for_memory_is_synced_before_its_reply() {
    let Some(mut server) = traced_server() else { return };
    let mut smtp = server.reception().unwrap();
    let message = send(&mut smtp, "marker-big-", 3 << 20);
    drop(smtp);
    let calls = trace(&mut server);
    let reply = reply(&calls, &message);
    let written: Vec<_> =
        calls.iter().filter(|call| is_write(call) && call.file().contains("/store/spool/")).collect();
    let last = written.iter().max_by_key(|call| call.ended).expect("content was spooled");
    let synced =
        |call: &&Call| is_sync(call, last.file()) && last.ended < call.began && call.ended < reply.began;
    let content = calls.iter().find(synced).expect("spooled content was synced");
    let journal =
        |call: &&Call| is_write(call) && call.file().contains("/store/journal/") && call.ended < reply.began;
    let commit = calls.iter().rfind(journal).expect("a commit was written");
    assert!(content.ended < commit.began, "the commit was written before its content was synced");
    let synced =
        |call: &Call| is_sync(call, commit.file()) && commit.ended < call.began && call.ended < reply.began;
    assert!(calls.iter().any(synced), "the commit was not synced");
}

#[test]
fn removals_are_synced_before_the_reply_to_quit() {
    let Some(mut server) = traced_server() else { return };
    let mut smtp = server.reception().unwrap();
    send(&mut smtp, "marker-", 100);
    drop(smtp);
    // In clear, so that the trace shows what is said.
    let stream = Stream::clear(server.addresses().unwrap().pop3, server.trust()).unwrap();
    let mut maildrop = Pop3::new(stream).unwrap();
    maildrop.login("bob@example.test", "pw-bob").unwrap();
    let marked = maildrop.ask("DELE 1").unwrap();
    let goodbye = maildrop.ask("QUIT").unwrap();
    drop(maildrop);
    let calls = trace(&mut server);
    let said = |text: &str| calls.iter().find(|call| call.arguments.contains(text)).expect("it was said");
    let (marked, goodbye) = (said(&marked), said(&goodbye));
    let written = |call: &&Call| {
        is_write(call)
            && call.file().contains("/store/journal/")
            && marked.ended < call.began
            && call.ended < goodbye.began
    };
    let commit = calls.iter().find(written).expect("the removal was written");
    let synced =
        |call: &Call| is_sync(call, commit.file()) && commit.ended < call.began && call.ended < goodbye.began;
    assert!(calls.iter().any(synced), "the removal was not synced");
}

#[test]
fn one_sync_serves_commits_that_wait_at_the_same_time() {
    let Some(mut server) = traced_server() else { return };
    let mut sessions: Vec<Smtp> = Vec::new();
    for number in 0..WAITING {
        let mut smtp = server.reception().unwrap();
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        smtp.ask("DATA").unwrap().positive().unwrap();
        smtp.say(format!("Subject: marker-{number}-\r\n\r\n").as_bytes()).unwrap();
        sessions.push(smtp);
    }
    for smtp in &mut sessions {
        smtp.say(b".\r\n").unwrap();
    }
    let messages: Vec<_> = thread::scope(|scope| {
        let readers: Vec<_> = sessions
            .iter_mut()
            .enumerate()
            .map(|(number, smtp)| {
                scope.spawn(move || Acknowledged {
                    marker: format!("marker-{number}-"),
                    reply: smtp.reply().unwrap().positive().unwrap().text,
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    drop(sessions);
    let calls = trace(&mut server);
    let serving: BTreeSet<usize> =
        messages.iter().map(|message| syncs_that_cover(&calls, message).next().unwrap().began).collect();
    assert!(serving.len() < WAITING, "{WAITING} commits needed {} syncs", serving.len());
}

/// Some clients take whatever comes together for a whole reply, and a kernel that waits for more octets costs each reply
/// the time of an acknowledgement.
#[test]
fn a_reply_of_many_lines_leaves_at_once_and_in_one_piece() {
    let Some(mut server) = traced_server() else { return };
    let addresses = server.addresses().unwrap();
    let mut smtp = Smtp::new(Stream::clear(addresses.submission, server.trust()).unwrap()).unwrap();
    smtp.ask("EHLO client.example.test").unwrap().positive().unwrap();
    let mut maildrop = Pop3::new(Stream::clear(addresses.pop3, server.trust()).unwrap()).unwrap();
    maildrop.ask("CAPA").unwrap();
    drop((smtp, maildrop));
    let calls = trace(&mut server);
    for (first, last) in [("\"250-mail.example.test", "\\r\\n250 "), ("\"+OK ", "\\r\\nUSER\\r\\n")] {
        let sends = |call: &&Call| call.arguments.contains(first) && call.arguments.contains(last);
        let sent = calls.iter().find(sends).expect("the reply was sent in one piece");
        assert!(sent.arguments.contains("\\r\\n\", "), "{sent:?}");
        let at_once = |call: &Call| {
            call.name == "setsockopt"
                && call.file() == sent.file()
                && call.arguments.contains("TCP_NODELAY, [1]")
        };
        assert!(calls.iter().any(at_once), "{} may wait for more octets", sent.file());
    }
}

/// A server whose system calls are written down; `None` where that is not possible.
fn traced_server() -> Option<Server> {
    if !available("strace").unwrap() {
        return None;
    }
    if !run("strace", &["-o", "/dev/null", "true"], b"").unwrap().success {
        skipped("strace may not trace here").unwrap();
        return None;
    }
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,setsockopt,fsync,fdatasync";
    // With -D the server stays the child of the test, which can stop it as ever.
    let wrapper = vec!["strace", "-D", "-f", "-y", "-s", "4096", "-e", calls, "-o", "{}/trace"];
    let configuration = Configuration { wrapper, ..Configuration::default() };
    Some(Server::start(&configuration).unwrap())
}

/// Ends the server and reads what was written down.
fn trace(server: &mut Server) -> Vec<Call> {
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    let text = wait_for("strace to write all of it", || {
        let text = String::from_utf8_lossy(&fs::read(server.folder().join("trace"))?).into_owned();
        Ok(text.ends_with("+++ exited with 0 +++\n").then_some(text))
    });
    calls::read(&text.unwrap())
}

fn send(smtp: &mut Smtp, marker: &str, octets: usize) -> Acknowledged {
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    let mut content = format!("Subject: {marker}\r\n\r\n").into_bytes();
    while content.len() < octets {
        content
            .extend_from_slice(b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    }
    let reply = smtp.data(&content).unwrap().positive().unwrap();
    Acknowledged { marker: marker.to_owned(), reply: reply.text }
}

/// The syncs of the journal between the write that holds the message and the reply, in their order.
fn syncs_that_cover<'a>(calls: &'a [Call], message: &Acknowledged) -> impl Iterator<Item = &'a Call> {
    let holds = |call: &&Call| is_write(call) && call.arguments.contains(&message.marker);
    let write = calls.iter().find(|call| holds(call) && call.file().contains("/store/journal/"));
    let write = write.ok_or("the message was not written to the journal").unwrap();
    let reply = reply(calls, message);
    calls.iter().filter(move |call| {
        is_sync(call, write.file()) && write.ended < call.began && call.ended < reply.began
    })
}

/// The call that sent the reply.
fn reply<'a>(calls: &'a [Call], message: &Acknowledged) -> &'a Call {
    let text = format!("\"{}\\r\\n", message.reply);
    calls.iter().find(|call| call.arguments.contains(&text)).ok_or("the reply was not sent").unwrap()
}

fn is_write(call: &Call) -> bool {
    ["write", "writev", "pwrite64", "pwritev", "pwritev2"].contains(&call.name.as_str())
}

fn is_sync(call: &Call, file: &str) -> bool {
    ["fsync", "fdatasync"].contains(&call.name.as_str())
        && call.file() == file
        && call.result.starts_with('0')
}
