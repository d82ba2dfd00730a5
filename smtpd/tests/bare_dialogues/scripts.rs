//! Plays every SMTP dialogue.

use std::sync::Arc;

use mailstack_tests::chopping::Chopping;
use mailstack_tests::dialogue::{self, ClearLogin, Port, Protocol, PutsOff, Setting, Transport};
use mailstack_tests::player::{Security, World, play_all, play_all_cut};
use mailwire::sasl::Tokens;
use smtpd::Config;
use smtpd::session::{Kind, Policy};

use crate::accounts::Accounts;
use crate::session::{BareSession, policy};

/// What the connections of one dialogue share.
struct BareWorld {
    kind: Kind,
    policy: Arc<Policy>,
    accounts: Arc<Accounts>,
    transport: Transport,
    guard: Option<PutsOff>,
    tokens: Tokens,
}

impl World for BareWorld {
    type Peer = BareSession;

    fn connect(&mut self, security: Security) -> std::io::Result<BareSession> {
        let (policy, accounts) = (Arc::clone(&self.policy), Arc::clone(&self.accounts));
        let mut session = match self.transport {
            Transport::Unix => BareSession::local(self.kind, policy, accounts),
            Transport::Plain | Transport::StartTls | Transport::Tls => {
                BareSession::new(self.kind, policy, accounts, security)
            }
        };
        session.guard = self.guard;
        Ok(session.with_tokens(self.tokens, security))
    }
}

fn world(setting: &Setting, transport: Transport) -> BareWorld {
    let clear_login = match setting.clear_login {
        ClearLogin::Allowed => smtpd::ClearLogin::Loopback,
        ClearLogin::Never => smtpd::ClearLogin::Never,
    };
    let kind = match setting.port {
        Port::Reception => Kind::Reception,
        Port::Submission => Kind::Submission,
        Port::Lmtp => Kind::Lmtp,
        Port::Pop3 => panic!("not a dialogue of SMTP"),
    };
    let policy = policy(&Config { clear_login, ..Config::default() });
    let messages = setting.messages.iter().filter(|(account, _)| account == "dora").count();
    let accounts = Accounts::new().holding("dora", u64::try_from(messages).unwrap());
    let tokens = match setting.tokens {
        dialogue::Tokens::Unknown => Tokens::Unknown,
        dialogue::Tokens::Checked => Tokens::Checked,
    };
    BareWorld { kind, policy, accounts: Arc::new(accounts), transport, guard: setting.puts_off, tokens }
}

#[test]
fn every_dialogue_goes_as_written() {
    play_all(Protocol::Smtp, Chopping::Whole, world);
}

#[test]
fn every_dialogue_goes_the_same_octet_by_octet() {
    play_all(Protocol::Smtp, Chopping::Octets, world);
}

#[test]
fn every_dialogue_goes_the_same_cut_in_two_anywhere() {
    play_all_cut(Protocol::Smtp, world);
}

#[test]
fn every_dialogue_goes_the_same_when_nobody_waits_for_replies() {
    play_all(Protocol::Smtp, Chopping::Pipelined, world);
}
