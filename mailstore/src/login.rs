//! What every server does alike about the logins of one session: the guard is asked before and told after, once each.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use mailwire::sasl::{Credentials, Proven, ScramKeys};
use mailwire::secret::Secret;

use crate::{Admission, Directory, Guard, Login, Outcome, Turn, Unavailable, Verdict};

/// Why a login did not come to anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLogin {
    /// The secret is wrong, or belongs to nobody.
    Wrong,
    /// The guard lets nobody know now.
    PutOff,
    /// The store cannot answer.
    Unavailable(Unavailable),
}

impl From<Unavailable> for NoLogin {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

/// The logins of one session. Each begins with [`Self::admit`] and the wait that it asks for; an exchange of several
/// steps has its turn once, and keeps it to its end.
pub struct Logins {
    directory: Arc<dyn Directory>,
    guard: Arc<dyn Guard>,
    /// Where the client is; a socket of this machine has no address and counts as this machine.
    peer: IpAddr,
    /// Whose turn it is, where a login was admitted and has not come to anything yet.
    turn: Option<Box<(String, Turn)>>,
    /// Whose proof was right, with what it opens, until the exchange ends. Apart, as the turn is: most sessions that wait
    /// have neither.
    proven: Option<Box<(String, Login)>>,
}

impl Logins {
    /// Of a client at `peer`.
    #[must_use]
    pub fn new(directory: &Arc<dyn Directory>, guard: &Arc<dyn Guard>, peer: Option<IpAddr>) -> Self {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Self { directory: Arc::clone(directory), guard: Arc::clone(guard), peer, turn: None, proven: None }
    }

    /// How long the login has to wait before it is looked at.
    ///
    /// # Errors
    /// Where it is not to be looked at.
    pub async fn admit(&mut self, login: &str) -> Result<Duration, NoLogin> {
        self.proven = None;
        if self.turn.as_ref().is_some_and(|turn| turn.0 == login) {
            return Ok(Duration::ZERO);
        }
        self.turn = None;
        match self.guard.admit(self.peer, login).await? {
            Admission::Admitted(turn) => {
                self.turn = Some(Box::new((login.to_owned(), turn)));
                Ok(turn.delay)
            }
            Admission::PutOff => Err(NoLogin::PutOff),
        }
    }

    /// What an admitted login opens with its password.
    ///
    /// # Errors
    /// See [`NoLogin`].
    pub async fn authenticate(&mut self, credentials: &Credentials) -> Result<Login, NoLogin> {
        let Credentials { login, password } = credentials;
        let found = self.directory.authenticate(login, password).await?;
        self.settle(login, found, Outcome::Wrong(password)).await
    }

    /// What an admitted login opens for which a certificate or a token has vouched. What these name must be an account as it is:
    /// their issuer may let anybody have a subaddress of somebody else.
    ///
    /// # Errors
    /// See [`NoLogin`].
    pub async fn account(&mut self, proven: &Proven) -> Result<Login, NoLogin> {
        let Proven { identity, login } = proven;
        let own = self.directory.account(identity).await?;
        let own = own.filter(|own| own.maildrop == own.account.maildrop);
        let opened = match own {
            Some(own) if login != identity => {
                let opened = self.directory.account(login).await?;
                opened.filter(|opened| opened.account == own.account)
            }
            own => own,
        };
        self.settle(login, opened, Outcome::WrongUnseen).await
    }

    /// Whether an admitted login may hear that its proof is right, which comes before the end of its exchange: the guard
    /// is told before the client is, or whoever tries many at once would hear which one was right.
    ///
    /// # Errors
    /// See [`NoLogin`].
    pub async fn proof(&mut self, login: &str) -> Result<(), NoLogin> {
        let found = self.directory.account(login).await?;
        let found = self.settle(login, found, Outcome::WrongUnseen).await?;
        self.proven = Some(Box::new((login.to_owned(), found)));
        Ok(())
    }

    /// What a login opens whose exchange has come to its end, where [`Self::proof`] was asked in it.
    pub fn take_proven(&mut self, login: &str) -> Option<Login> {
        self.proven.take().filter(|proven| proven.0 == login).map(|proven| proven.1)
    }

    /// What is said of an admitted login that was wrong by what the client sent, and showed no secret.
    pub async fn wrong(&mut self, login: &str) -> NoLogin {
        match self.settle(login, None, Outcome::WrongUnseen).await {
            Ok(_) => NoLogin::Wrong,
            Err(why) => why,
        }
    }

    /// The same, where it showed this token.
    pub async fn wrong_token(&mut self, login: &str, token: &Secret<String>) -> NoLogin {
        match self.settle(login, None, Outcome::Wrong(token)).await {
            Ok(_) => NoLogin::Wrong,
            Err(why) => why,
        }
    }

    /// What is kept of an admitted login for SCRAM.
    ///
    /// # Errors
    /// Where the store cannot answer.
    pub async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        self.directory.scram_keys(login).await
    }

    /// Tells the guard what came of the turn, which ends with it, and asks whether the client may hear it.
    async fn settle(
        &mut self,
        login: &str,
        found: Option<Login>,
        wrong: Outcome<'_>,
    ) -> Result<Login, NoLogin> {
        let turn = self.turn.take().filter(|turn| turn.0 == login);
        // Nobody comes here without one; whoever did would have waited for nothing.
        let turn = turn.map_or(Turn { delay: Duration::ZERO }, |turn| turn.1);
        let outcome = if found.is_some() { Outcome::Right } else { wrong };
        match self.guard.settle(self.peer, login, turn, outcome).await? {
            Verdict::Stands => found.ok_or(NoLogin::Wrong),
            Verdict::PutOff => Err(NoLogin::PutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detail, GuardOptions, Store};

    const LOGIN: &str = "alice@example.test";

    /// Logins of one session from a network that is far away.
    async fn logins(folder: &std::path::Path) -> (Store, Logins) {
        let guard = GuardOptions { free_guesses: 1, ..GuardOptions::default() };
        let options = crate::Options { guard, ..crate::contract::options(folder) };
        let store = crate::open(options).await.unwrap();
        let logins = Logins::new(&store.directory, &store.guard, Some(IpAddr::from([192, 0, 2, 1])));
        (store, logins)
    }

    fn credentials(login: &str, password: &str) -> Credentials {
        Credentials { login: login.to_owned(), password: Secret::new(password.to_owned()) }
    }

    async fn guess(logins: &mut Logins, word: &str) -> NoLogin {
        logins.admit(LOGIN).await.unwrap();
        logins.authenticate(&credentials(LOGIN, word)).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_exchange_of_several_steps_waits_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        assert_eq!(guess(&mut logins, "one").await, NoLogin::Wrong);
        assert!(!logins.admit(LOGIN).await.unwrap().is_zero());
        logins.scram_keys(LOGIN).await.unwrap();
        assert!(logins.admit(LOGIN).await.unwrap().is_zero(), "it has waited");
        assert_eq!(logins.wrong(LOGIN).await, NoLogin::Wrong);
        assert!(!logins.admit(LOGIN).await.unwrap().is_zero(), "the next one waits again");
        store.close().await;
    }

    #[tokio::test]
    async fn of_many_proofs_at_once_no_right_one_is_heard_after_too_many_wrong_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut right) = logins(folder.path()).await;
        let address = mailwire::address::Mailbox::parse(LOGIN).unwrap();
        store.administration.add_account(&address, &Secret::new("right".to_owned())).await.unwrap();
        let mut wrong: Vec<_> =
            (0..12).map(|_| Logins::new(&store.directory, &store.guard, Some(right.peer))).collect();
        for logins in wrong.iter_mut().chain([&mut right]) {
            logins.admit(LOGIN).await.unwrap();
        }
        for logins in &mut wrong {
            logins.wrong(LOGIN).await;
        }
        assert_eq!(right.proof(LOGIN).await, Err(NoLogin::PutOff));
        assert_eq!(right.take_proven(LOGIN), None);
        store.close().await;
    }

    #[tokio::test]
    async fn a_right_proof_leads_to_the_account_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        let address = mailwire::address::Mailbox::parse(LOGIN).unwrap();
        store.administration.add_account(&address, &Secret::new("right".to_owned())).await.unwrap();
        logins.admit(LOGIN).await.unwrap();
        logins.proof(LOGIN).await.unwrap();
        assert_eq!(logins.take_proven("bob@example.test"), None);
        logins.proof(LOGIN).await.unwrap();
        assert_eq!(logins.take_proven(LOGIN).unwrap().account.address, address);
        assert_eq!(logins.take_proven(LOGIN), None);
        store.close().await;
    }

    #[tokio::test]
    async fn whoever_is_vouched_for_opens_the_own_maildrops_and_those_of_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        for name in ["alice", "bob", "bob+own"] {
            let account = crate::contract::account(&store, name).await;
            if name != "bob+own" {
                let junk = Detail::parse("junk").unwrap();
                store.administration.add_maildrop(&account.address, &junk).await.unwrap();
            }
        }
        let at = |name: &str| format!("{name}@example.test");
        for (identity, login, opened) in [
            ("alice", "alice", Some("alice")),
            ("alice", "alice+junk", Some("alice+junk")),
            ("bob+own", "bob+own", Some("bob+own")),
            ("alice", "alice+lists", None),
            ("alice", "bob+junk", None),
            // Somebody else's account that only looks like a subaddress.
            ("bob", "bob+own", None),
            // Their issuer may not know that this is alice.
            ("alice+junk", "alice+junk", None),
            ("nobody", "nobody+junk", None),
        ] {
            let proven = Proven { identity: at(identity), login: at(login) };
            store.guard.forgive(&crate::Forgiven::Everything).await.unwrap();
            logins.admit(&proven.login).await.unwrap();
            let found = logins.account(&proven).await.ok().map(|found| found.address.to_string());
            assert_eq!(found, opened.map(at), "{identity} {login}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn a_turn_is_for_one_login() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        guess(&mut logins, "one").await;
        assert!(!logins.admit(LOGIN).await.unwrap().is_zero());
        logins.admit("bob@example.test").await.unwrap();
        assert!(!logins.admit(LOGIN).await.unwrap().is_zero(), "it was given up");
        store.close().await;
    }

    #[tokio::test]
    async fn one_wrong_token_is_one_guess_however_often_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        let stale = Secret::new("stale".to_owned());
        for _ in 0..9 {
            logins.admit(LOGIN).await.unwrap();
            assert_eq!(logins.wrong_token(LOGIN, &stale).await, NoLogin::Wrong);
        }
        store.close().await;
    }

    #[tokio::test]
    async fn guesses_without_a_turn_are_put_off() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut logins) = logins(folder.path()).await;
        assert_eq!(logins.wrong(LOGIN).await, NoLogin::Wrong, "the free one");
        for _ in 0..10 {
            logins.wrong(LOGIN).await;
        }
        assert_eq!(logins.wrong(LOGIN).await, NoLogin::PutOff);
        store.close().await;
    }
}
