//! The scripts of `tests/dialogues/pop3`, played against the bare session.

use std::io;
use std::num::NonZeroU16;

use mailstack_tests::chopping::Chopping;
use mailstack_tests::dialogue::{self, ClearLogin, Protocol, PutsOff, Setting};
use mailstack_tests::player::{self, Received, Security, World, play_all, play_all_cut};
use mailstore::{Expiry, Rules, Takeover};
use mailwire::sasl::Tokens;
use pop3d::session::{Login, Offer, Stls};

use crate::memory::{Memory, Trouble};
use crate::peer::Peer;

impl player::Peer for Peer {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        Peer::send(self, octets);
        Ok(())
    }

    fn receive_line(&mut self) -> io::Result<Received> {
        Ok(match self.take_line() {
            Some(line) => Received::Line(line),
            None if self.is_closed() => Received::Closed,
            None => Received::Nothing,
        })
    }

    fn start_tls(&mut self) -> io::Result<()> {
        Peer::start_tls(self);
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.hang_up();
        Ok(())
    }
}

/// What the connections of one dialogue share.
struct Shared {
    memory: Memory,
    clear: Offer,
    tokens: Tokens,
}

impl World for Shared {
    type Peer = Peer;

    fn connect(&mut self, security: Security) -> io::Result<Peer> {
        let offer = match security {
            Security::Clear => self.clear,
            Security::Tls => Offer::TLS,
        };
        Ok(Peer::new(&self.memory, offer).with_tokens(self.tokens, offer))
    }
}

fn shared(setting: &Setting) -> Shared {
    let memory = Memory::default();
    for (account, content) in &setting.messages {
        memory.deliver(account, content);
    }
    for (account, rules) in &setting.rules {
        let days = rules.expire_days.and_then(NonZeroU16::new);
        let takeover = if rules.takeover { Takeover::Allowed } else { Takeover::Refused };
        let expiry = days.map_or(Expiry::Never, Expiry::Days);
        memory.rule(account, Rules { login_delay_seconds: rules.login_delay_seconds, expiry, takeover });
    }
    match setting.puts_off {
        Some(PutsOff::Logins) => memory.trouble(Trouble::Logins),
        Some(PutsOff::Messages | PutsOff::Recipients) => panic!("POP3 sends nothing"),
        None => {}
    }
    let login = match setting.clear_login {
        ClearLogin::Allowed => Login::Allowed,
        ClearLogin::Never => Login::NeedsTls,
    };
    let tokens = match setting.tokens {
        dialogue::Tokens::Unknown => Tokens::Unknown,
        dialogue::Tokens::Checked => Tokens::Checked,
    };
    Shared { memory, clear: Offer { login, stls: Stls::Offered }, tokens }
}

#[test]
fn every_dialogue_goes_as_its_script_says() {
    play_all(Protocol::Pop3, Chopping::Whole, |setting, _| shared(setting));
}

#[test]
fn every_dialogue_goes_the_same_octet_by_octet() {
    play_all(Protocol::Pop3, Chopping::Octets, |setting, _| shared(setting));
}

#[test]
fn every_dialogue_goes_the_same_cut_in_two_anywhere() {
    play_all_cut(Protocol::Pop3, |setting, _| shared(setting));
}

#[test]
fn every_dialogue_goes_the_same_when_nobody_waits_for_replies() {
    play_all(Protocol::Pop3, Chopping::Pipelined, |setting, _| shared(setting));
}
