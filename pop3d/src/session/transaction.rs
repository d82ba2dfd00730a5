//! The TRANSACTION state (RFC 1939 §5): one maildrop, as it was at login, less what is marked as deleted.

use std::fmt;

use mailstore::{Entry, Lease, MaildropError};
use mailwire::line::Line;
use mailwire::pop3::{self, COMMAND_LINE_OCTETS_MAX, Command, MessageNumber, Reply};
use mailwire::sasl::Surroundings;
use tracing::debug;

use super::deletions::Deletions;
use super::errors::{Errors, Patience};
use super::forms::{Form, Forms, Mode};
use super::lang::Spoken;
use super::listing::Column;
use super::{Listing, Measurement, Offer, Progress, Retrieval};
use crate::replies::{self, Answer};

/// What to do about a line or an answer.
#[derive(Debug)]
pub enum TransactionStep {
    /// Send this.
    Answer(Answer),
    /// Send this with [`Transaction::list`].
    List(Listing),
    /// Read for this from [`Transaction::lease`], and say so to [`Transaction::measured`]; if that fails, to
    /// [`Transaction::unreadable`].
    Measure(Box<Measurement>),
    /// Send this, reading it from [`Transaction::lease`]; if that fails at the start, say so to
    /// [`Transaction::unreadable`], and if later, close the connection.
    Retrieve(Retrieval),
    /// Expunge these from [`Transaction::lease`], and say what came of it to [`Transaction::expunged`]: the UPDATE
    /// state (RFC 1939 §6).
    Expunge(Vec<usize>),
    /// Send this and close the connection.
    Close(Reply),
}

/// A session after login. Dropping it gives the maildrop back and deletes nothing.
///
/// The lease is here for its entries alone, and shared with who carries the steps out; to read or to expunge one
/// has to wait, which no function of this file can.
pub struct Transaction {
    lease: Box<dyn Lease>,
    /// Of all messages, in the forms in which they are sent as far as those are known.
    octets: u64,
    forms: Forms,
    deletions: Deletions,
    errors: Errors,
    /// What the login had to choose from: CAPA says the same after it (RFC 2449 §6.3).
    surroundings: Surroundings,
    spoken: Spoken,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transaction")
            .field("octets", &self.octets)
            .field("deletions", &self.deletions)
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// A session that has just logged in, with the errors that it may still make.
    pub(super) fn new(
        lease: Box<dyn Lease>,
        errors: Errors,
        surroundings: Surroundings,
        spoken: Spoken,
        mode: Mode,
    ) -> Self {
        let octets = lease.entries().iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.octets));
        Self {
            lease,
            octets,
            forms: Forms::new(mode),
            deletions: Deletions::default(),
            errors,
            surroundings,
            spoken,
        }
    }

    /// The longest line that may come next, without CRLF.
    #[must_use]
    pub const fn line_octets_max(&self) -> usize {
        COMMAND_LINE_OCTETS_MAX
    }

    /// The maildrop, for what has to be waited for.
    pub fn lease(&mut self) -> &mut dyn Lease {
        &mut *self.lease
    }

    /// Wrong commands so far.
    #[must_use]
    pub const fn errors(&self) -> u32 {
        self.errors.made()
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &Line) -> TransactionStep {
        let octets = match line {
            Line::Complete(octets) => octets,
            Line::TooLong => return self.error(replies::line_too_long(self.spoken.language)),
        };
        match pop3::parse(octets) {
            Ok(command) => {
                debug!(?command, "command");
                self.command(command)
            }
            Err(error) => self.error(replies::not_a_command(self.spoken.language, &error)),
        }
    }

    /// Takes the next line where another session has taken the maildrop over: the marks are gone, and the connection
    /// closes. A client hears of it then and not at once, since a server speaks only when it is spoken to (RFC 1939 §3),
    /// and one that only found its connection closed would come back and take the maildrop over in turn.
    #[must_use]
    pub fn line_after_takeover(&self, line: &Line) -> TransactionStep {
        let is_quit = match line {
            Line::Complete(octets) => matches!(pop3::parse(octets), Ok(Command::Quit)),
            Line::TooLong => false,
        };
        // Who wants nothing has lost nothing.
        TransactionStep::Close(if is_quit && self.deletions.count() == 0 {
            replies::goodbye(self.spoken.language)
        } else {
            replies::maildrop_taken_over(self.spoken.language)
        })
    }

    /// Appends the next piece of `listing` to `output`.
    pub fn list(&self, listing: &mut Listing, output: &mut Vec<u8>) -> Progress {
        listing.piece(self.lease.entries(), &self.forms, &self.deletions, output)
    }

    /// Takes what came of [`TransactionStep::Measure`], and goes on with the command.
    pub fn measured(&mut self, measurement: Measurement) -> TransactionStep {
        let index = measurement.index();
        if let Some(entry) = self.lease.entries().get(index) {
            let before = self.forms.octets(index, entry);
            self.forms.found(&measurement);
            let after = self.forms.octets(index, entry);
            self.octets = self.octets.saturating_sub(before).saturating_add(after);
            self.deletions.remeasure(index, before, after);
        }
        self.command(measurement.into_command())
    }

    /// Takes the news that the store could not read a message of which nothing has been sent.
    #[must_use]
    pub fn unreadable(&self, error: &MaildropError) -> TransactionStep {
        match error {
            MaildropError::TakenOver => {
                TransactionStep::Close(replies::maildrop_taken_over(self.spoken.language))
            }
            MaildropError::Ended => TransactionStep::Close(replies::store_trouble(self.spoken.language)),
            MaildropError::Busy | MaildropError::TooSoon | MaildropError::Unavailable(_) => {
                answer_with(replies::store_trouble(self.spoken.language))
            }
        }
    }

    /// Takes what came of [`TransactionStep::Expunge`]. Either way the connection closes (RFC 1939 §6).
    #[must_use]
    pub fn expunged(&self, answer: &Result<(), MaildropError>) -> TransactionStep {
        TransactionStep::Close(match answer {
            Ok(()) => replies::goodbye_after(self.spoken.language, self.deletions.count()),
            Err(MaildropError::TakenOver) => replies::maildrop_taken_over(self.spoken.language),
            Err(
                MaildropError::Busy
                | MaildropError::TooSoon
                | MaildropError::Ended
                | MaildropError::Unavailable(_),
            ) => replies::not_expunged(self.spoken.language),
        })
    }

    /// What the login is answered with.
    pub(super) fn welcome(&self) -> Reply {
        replies::logged_in(self.spoken.language, self.count())
    }

    fn command(&mut self, command: Command) -> TransactionStep {
        if let Some((index, entry)) = self.unmeasured(&command) {
            return TransactionStep::Measure(Box::new(Measurement::new(index, &entry, command)));
        }
        match command {
            Command::Stat => answer_with(replies::stat(self.count(), self.octets())),
            Command::List(None) => self.list_all(),
            Command::List(Some(number)) => self.list_one(number),
            Command::Retr(number) => self.with_message(number, |index, entry, form| {
                Retrieval::whole(self.spoken.language, index, entry, form)
            }),
            Command::Top(number, lines) => self.with_message(number, |index, entry, form| {
                Retrieval::top(self.spoken.language, index, entry, form, lines)
            }),
            Command::Dele(number) => self.dele(number),
            Command::Noop => answer_with(replies::nothing_done(self.spoken.language)),
            Command::Rset => self.rset(),
            Command::Uidl(None) => TransactionStep::List(Listing::new(
                Column::UniqueId,
                replies::unique_ids_follow(self.spoken.language),
            )),
            Command::Uidl(Some(number)) => self.uidl_one(number),
            Command::Capa => {
                let Self { spoken, surroundings, .. } = self;
                let rules = self.lease.rules().into();
                let capabilities =
                    replies::capabilities(spoken.language, Offer::LOGGED_IN, surroundings, Some(&rules));
                TransactionStep::Answer(capabilities)
            }
            Command::Quit => self.quit(),
            Command::User(_)
            | Command::Pass(_)
            | Command::Apop(..)
            | Command::AuthList
            | Command::Auth { .. }
            | Command::Stls
            | Command::Utf8 { .. } => self.error(replies::logged_in_already(self.spoken.language)),
            Command::Lang(range) => TransactionStep::Answer(self.spoken.lang(range.as_deref())),
        }
    }

    /// The next message whose form must be known before `command` can be answered: the sizes that a client hears are of
    /// what it will be sent (RFC 6856 §2.1).
    fn unmeasured(&mut self, command: &Command) -> Option<(usize, Entry)> {
        match command {
            Command::Stat | Command::List(None) => {
                let index = self.forms.first_unknown(self.lease.entries())?;
                Some((index, self.lease.entries().get(index)?.clone()))
            }
            Command::List(Some(number)) | Command::Retr(number) | Command::Top(number, _) => {
                let (index, entry) = self.message(*number).ok()?;
                self.forms.form(index, &entry).is_none().then_some((index, entry))
            }
            Command::User(_)
            | Command::Pass(_)
            | Command::Apop(..)
            | Command::AuthList
            | Command::Auth { .. }
            | Command::Dele(_)
            | Command::Noop
            | Command::Rset
            | Command::Uidl(_)
            | Command::Quit
            | Command::Capa
            | Command::Stls
            | Command::Utf8 { .. }
            | Command::Lang(_) => None,
        }
    }

    fn list_all(&self) -> TransactionStep {
        TransactionStep::List(Listing::new(
            Column::Octets,
            replies::list_follows(self.spoken.language, self.count(), self.octets()),
        ))
    }

    fn list_one(&self, number: MessageNumber) -> TransactionStep {
        answer_with(match self.message(number) {
            Ok((index, entry)) => replies::scan_listing(number, self.forms.octets(index, &entry)),
            Err(reply) => reply,
        })
    }

    fn uidl_one(&self, number: MessageNumber) -> TransactionStep {
        answer_with(match self.message(number) {
            Ok((_, entry)) => replies::unique_id_listing(number, &entry.unique_id),
            Err(reply) => reply,
        })
    }

    fn with_message(
        &self,
        number: MessageNumber,
        retrieval: impl FnOnce(usize, &Entry, Form) -> Retrieval,
    ) -> TransactionStep {
        match self.message(number) {
            Ok((index, entry)) => {
                let form = self.forms.form(index, &entry).unwrap_or_else(|| Form::stored(&entry));
                TransactionStep::Retrieve(retrieval(index, &entry, form))
            }
            Err(reply) => answer_with(reply),
        }
    }

    fn dele(&mut self, number: MessageNumber) -> TransactionStep {
        answer_with(match self.message(number) {
            Ok((index, entry)) => {
                self.deletions.mark(index, self.forms.octets(index, &entry));
                replies::deleted(self.spoken.language, number)
            }
            Err(reply) => reply,
        })
    }

    fn rset(&mut self) -> TransactionStep {
        self.deletions.clear();
        answer_with(replies::unmarked(self.spoken.language, self.count()))
    }

    fn quit(&self) -> TransactionStep {
        match self.deletions.count() {
            0 => TransactionStep::Close(replies::goodbye(self.spoken.language)),
            _ => TransactionStep::Expunge(self.deletions.indices()),
        }
    }

    /// Messages that are not marked.
    fn count(&self) -> usize {
        self.lease.entries().len().saturating_sub(self.deletions.count())
    }

    /// Octets of the messages that are not marked.
    const fn octets(&self) -> u64 {
        self.octets.saturating_sub(self.deletions.octets())
    }

    /// The message of that number, with its position; otherwise the reply that says why there is none.
    fn message(&self, number: MessageNumber) -> Result<(usize, Entry), Reply> {
        let entries = self.lease.entries();
        let index = usize::try_from(number.get()).unwrap_or(usize::MAX).saturating_sub(1);
        let entry = entries
            .get(index)
            .ok_or_else(|| replies::no_such_message(self.spoken.language, entries.len()))?;
        if self.deletions.contains(index) {
            return Err(replies::deleted_already(self.spoken.language));
        }
        Ok((index, entry.clone()))
    }

    fn error(&mut self, reply: Reply) -> TransactionStep {
        match self.errors.count() {
            Patience::Left => answer_with(reply),
            Patience::Exhausted => TransactionStep::Close(replies::too_many_errors(self.spoken.language)),
        }
    }
}

/// One line, and the session goes on.
const fn answer_with(reply: Reply) -> TransactionStep {
    TransactionStep::Answer(Answer::Line(reply))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use mailstore::{Expiry, Repertoire, Rules, UniqueId, Visit};

    use super::*;
    use crate::replies::Language;
    use crate::session::Range;

    /// A lease that has entries and nothing else.
    struct Entries(Vec<Entry>, Rules);

    #[async_trait]
    impl Lease for Entries {
        fn entries(&self) -> &[Entry] {
            &self.0
        }

        fn check(&mut self) -> Result<(), MaildropError> {
            unreachable!("a session does not look")
        }

        fn rules(&self) -> Rules {
            self.1
        }

        async fn read(&mut self, _: usize, _: u64, _: usize) -> Result<Vec<u8>, MaildropError> {
            unreachable!("a session does not read")
        }

        async fn expunge(&mut self, _: &[usize]) -> Result<(), MaildropError> {
            unreachable!("a session does not expunge")
        }

        async fn visited(&mut self, _: Visit) -> Result<(), MaildropError> {
            unreachable!("a session tells nothing")
        }
    }

    fn rules() -> Rules {
        let expiry = Expiry::Days(30.try_into().unwrap());
        Rules { login_delay_seconds: 60, expiry, ..Rules::default() }
    }

    fn session_with_errors(errors_max: u32) -> Transaction {
        let entry = |n: u8| Entry {
            unique_id: UniqueId::minted([n; 16]),
            octets: 100 * u64::from(n),
            header_octets: 10,
            repertoire: Repertoire::Ascii,
            received_at: 0,
            release_at: None,
        };
        let lease = Box::new(Entries(vec![entry(1), entry(2), entry(3)], rules()));
        let spoken = Spoken::new(Language::Chinese);
        Transaction::new(lease, Errors::new(errors_max), Surroundings::default(), spoken, Mode::Ascii)
    }

    /// Three messages of 100, 200 and 300 octets.
    fn session() -> Transaction {
        session_with_errors(20)
    }

    /// What the client is told, and `closed` where the connection then closes.
    fn say(session: &mut Transaction, line: &str) -> String {
        let step = session.line(&Line::Complete(line.as_bytes().to_vec()));
        told(session, step)
    }

    fn told(session: &Transaction, step: TransactionStep) -> String {
        let mut output = Vec::new();
        let end = match step {
            TransactionStep::Answer(answer) => {
                answer.encode(&mut output);
                ""
            }
            TransactionStep::List(mut listing) => {
                while session.list(&mut listing, &mut output) == Progress::More {}
                ""
            }
            TransactionStep::Close(reply) => {
                reply.encode(&mut output);
                "closed"
            }
            TransactionStep::Measure(measurement) => return format!("measure {:?}", measurement.wanted()),
            TransactionStep::Retrieve(retrieval) => return format!("retrieve {:?}", retrieval.wanted()),
            TransactionStep::Expunge(indices) => return format!("expunge {indices:?}"),
        };
        String::from_utf8(output).unwrap() + end
    }

    #[test]
    fn stat_has_the_count_and_the_octets_and_nothing_else() {
        assert_eq!(say(&mut session(), "STAT"), "+OK 3 600\r\n");
    }

    #[test]
    fn listings_are_of_one_message_or_of_all() {
        let mut session = session();
        assert_eq!(say(&mut session, "LIST 2"), "+OK 2 200\r\n");
        assert_eq!(
            say(&mut session, "LIST"),
            "+OK 3 messages (600 octets)\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n"
        );
        let id = UniqueId::minted([2; 16]);
        assert_eq!(say(&mut session, "UIDL 2"), format!("+OK 2 {id}\r\n"));
        assert!(say(&mut session, "UIDL").contains(&format!("\r\n2 {id}\r\n")));
    }

    #[test]
    fn a_deleted_message_is_gone_until_rset_and_no_number_shifts() {
        let mut session = session();
        assert!(say(&mut session, "DELE 2").starts_with("+OK "));
        for line in ["LIST 2", "UIDL 2", "RETR 2", "TOP 2 0", "DELE 2"] {
            assert!(say(&mut session, line).starts_with("-ERR "), "{line}");
        }
        assert_eq!(say(&mut session, "STAT"), "+OK 2 400\r\n");
        assert!(say(&mut session, "LIST").ends_with("\r\n1 100\r\n3 300\r\n.\r\n"));
        assert!(!say(&mut session, "UIDL").contains("\r\n2 "));
        assert_eq!(say(&mut session, "LIST 3"), "+OK 3 300\r\n");
        assert!(say(&mut session, "RSET").starts_with("+OK "));
        assert_eq!(say(&mut session, "STAT"), "+OK 3 600\r\n");
        assert_eq!(say(&mut session, "LIST 2"), "+OK 2 200\r\n");
    }

    #[test]
    fn numbers_that_are_no_message_are_refused() {
        let numbers = ["0", "-1", "4", "4294967296", "4294967297", "18446744073709551617", "x", ""];
        for command in ["RETR", "DELE", "LIST", "UIDL"] {
            for number in numbers {
                let mut session = session();
                assert!(
                    say(&mut session, &format!("{command} {number}")).starts_with("-ERR "),
                    "{command} {number}"
                );
                assert_eq!(say(&mut session, "STAT"), "+OK 3 600\r\n", "{command} {number}");
            }
        }
        for line in ["TOP 4 0", "TOP 0 0", "TOP 1 -1", "TOP 1", "TOP"] {
            assert!(say(&mut session(), line).starts_with("-ERR "), "{line}");
        }
    }

    #[test]
    fn asking_for_messages_that_are_not_there_is_no_error_of_the_protocol() {
        let mut session = session_with_errors(2);
        for _ in 0..10 {
            assert!(say(&mut session, "LIST 9").starts_with("-ERR "));
            assert!(say(&mut session, "RETR 9").ends_with("\r\n"));
        }
    }

    #[test]
    fn retr_reads_all_and_top_its_part() {
        let mut session = session();
        let wanted = |octets_max| format!("retrieve {:?}", Some(Range { index: 1, offset: 0, octets_max }));
        assert_eq!(say(&mut session, "RETR 2"), wanted(200));
        assert_eq!(say(&mut session, "TOP 2 0"), wanted(10));
        assert_eq!(say(&mut session, "TOP 2 99999999"), wanted(200));
    }

    #[test]
    fn quit_expunges_what_is_marked_and_waits_for_the_answer() {
        let mut session = session();
        assert!(say(&mut session, "QUIT").ends_with("\r\nclosed"));
        say(&mut session, "DELE 3");
        say(&mut session, "DELE 1");
        assert_eq!(say(&mut session, "QUIT"), "expunge [0, 2]");
        let done = session.expunged(&Ok(()));
        let done = told(&session, done);
        assert!(done.starts_with("+OK ") && done.ends_with("closed"), "{done}");
        for error in [MaildropError::Ended, MaildropError::Busy, MaildropError::Unavailable(String::new())] {
            let failed = session.expunged(&Err(error));
            let failed = told(&session, failed);
            assert!(failed.starts_with("-ERR [SYS/TEMP] ") && failed.ends_with("closed"), "{failed}");
        }
    }

    #[test]
    fn a_lease_that_has_ended_ends_the_session() {
        let session = session();
        let ended = told(&session, session.unreadable(&MaildropError::Ended));
        assert!(ended.starts_with("-ERR [SYS/TEMP] ") && ended.ends_with("closed"), "{ended}");
        let trouble = told(&session, session.unreadable(&MaildropError::Unavailable(String::new())));
        assert!(trouble.starts_with("-ERR [SYS/TEMP] ") && trouble.ends_with("\r\n"), "{trouble}");
    }

    #[test]
    fn whoever_is_taken_over_hears_so_and_deletes_nothing() {
        let mut session = session();
        let quit = Line::Complete(b"quit".to_vec());
        let goodbye = told(&session, session.line_after_takeover(&quit));
        assert!(goodbye.starts_with("+OK ") && goodbye.ends_with("closed"), "{goodbye}");
        say(&mut session, "DELE 1");
        for line in [quit, Line::Complete(b"STAT".to_vec()), Line::Complete(b"?".to_vec()), Line::TooLong] {
            let gone = told(&session, session.line_after_takeover(&line));
            assert!(gone.starts_with("-ERR [SYS/TEMP] ") && gone.ends_with("closed"), "{line:?}: {gone}");
        }
        let late = session.expunged(&Err(MaildropError::TakenOver));
        assert_eq!(told(&session, late), told(&session, session.line_after_takeover(&Line::TooLong)));
        let reading = session.unreadable(&MaildropError::TakenOver);
        assert!(told(&session, reading).ends_with("closed"));
    }

    #[test]
    fn login_and_stls_are_over() {
        let mut session = session();
        for line in
            ["USER alice", "PASS x", "AUTH", "AUTH PLAIN", "STLS", "APOP a 0123456789abcdef0123456789abcdef"]
        {
            assert!(say(&mut session, line).starts_with("-ERR "), "{line}");
        }
        assert!(!say(&mut session, "CAPA").contains("STLS"));
        assert!(say(&mut session, "NOOP").starts_with("+OK"));
    }

    #[test]
    fn the_capabilities_say_what_holds_for_this_account() {
        let said = say(&mut session(), "CAPA");
        assert!(said.contains("\r\nEXPIRE 30\r\nLOGIN-DELAY 60\r\n"), "{said}");
    }

    #[test]
    fn errors_made_before_login_count_on() {
        let mut session = session_with_errors(2);
        assert!(say(&mut session, "WHAT").ends_with("\r\n"));
        let line = session.line(&Line::TooLong);
        assert!(told(&session, line).ends_with("closed"));
    }
}
