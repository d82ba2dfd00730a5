//! One resolver, seen by those for whom signatures count, by those for whom they do not, and by strangers.

use mailstack_tests::name_server::{Fault, NameServer, Zone};
use tempfile::TempDir;

use super::*;

const RECORDS: &str = "@ TXT hello\nother TXT hello";

/// Whom two zones have that are signed, one of them wrong.
fn asked(keys: &str) -> (NameServer, Resolver, TempDir) {
    let zones = [Zone::signed("signed.test", RECORDS), Zone::bogus("bogus.test", RECORDS)];
    let server = NameServer::start(&zones).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let table = server.table(folder.path()).unwrap();
    let dns = table.strip_prefix("[dns]").unwrap().to_owned() + "look_up_seconds = 60\n" + keys;
    let resolver = Resolver::new(&toml::from_str(&dns).unwrap()).unwrap();
    (server, resolver, folder)
}

async fn text(resolver: &Resolver, name: &str) -> Result<Trust, Nothing> {
    resolver.ask(name, RecordType::TXT).await.map(|answer| answer.trust)
}

#[tokio::test]
async fn what_nobody_has_validated_is_never_an_answer_for_whom_signatures_count() {
    let (server, resolver, _folder) = asked("");
    let believing = resolver.believing();
    assert_eq!(text(&believing, "bogus.test").await, Ok(Trust::Insecure));
    assert_eq!(text(&believing, "signed.test").await, Ok(Trust::Insecure));
    let bogus = || Err(Nothing::Failed(Failed::Bogus { name: "bogus.test".to_owned() }));
    assert_eq!(text(&resolver, "bogus.test").await, bogus());
    assert_eq!(text(&resolver, "signed.test").await, Ok(Trust::Secure));
    // Nor is it one the other way round that a zone is signed wrong.
    assert_eq!(text(&believing, "bogus.test").await, Ok(Trust::Insecure));
    // What is signed right is asked for once.
    assert_eq!(text(&resolver, "other.signed.test").await, Ok(Trust::Secure));
    let times = server.times_asked("other.signed.test", "TXT");
    assert!(text(&believing, "other.signed.test").await.is_ok());
    assert_eq!(server.times_asked("other.signed.test", "TXT"), times);
    believing.forget();
    assert!(text(&believing, "other.signed.test").await.is_ok());
    assert!(server.times_asked("other.signed.test", "TXT") > times);
}

#[tokio::test]
async fn strangers_leave_look_ups_for_others() {
    let (server, resolver, _folder) = asked("dnssec = \"off\"\nlook_ups_max = 2\n");
    server.fail("other.signed.test", "TXT", Fault::Silence);
    server.fail("other.bogus.test", "TXT", Fault::Silence);
    let strangers = resolver.for_strangers();
    let stuck =
        async { tokio::join!(text(&strangers, "other.signed.test"), text(&strangers, "other.bogus.test")) };
    tokio::select! {
        biased;
        _ = stuck => panic!("a name server that says nothing has answered"),
        answer = text(&resolver, "signed.test") => assert_eq!(answer, Ok(Trust::Insecure)),
    }
}
