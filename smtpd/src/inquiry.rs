//! A session and whom it asks: directory, store, DNS and other programs. There is no socket here, so that a rehearsal asks by the
//! same code as a connection.

use std::net::IpAddr;
use std::sync::Arc;

use mailstore::{Delivery, IntakeError, Login, Logins, NoLogin, Recipient, Sending, TooMuch};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::daemon::login::shown;
use mailwire::escape::escaped;
use tracing::{Span, debug, info, warn};

use crate::connection::{Common, warn_if_failed};
use crate::filing::srs::{self, Srs};
use crate::filing::{self, Means};
use crate::gate::{
    Consent, Decision, Facts, Filters, Greylisting, Measure, Outcome, Parts, Scanned, Visitor,
};
use crate::receiving::Size;
use crate::session::{
    Acceptance, ConsultQuestion, ContentQuestion, ExpansionQuestion, GateQuestion, Incoming, Kind,
    OriginatorQuestion, RecipientQuestion, SenderQuestion, Session, Step,
};

/// A session, and what it needs to have its questions answered.
pub(crate) struct Inquiry {
    pub(crate) session: Session,
    pub(crate) common: Arc<Common>,
    pub(crate) logins: Logins,
    /// Where the client is; `None` where it is a program of this machine at a Unix socket.
    peer: Option<IpAddr>,
    /// Its port there.
    pub(crate) port: Option<u16>,
    /// What is found out about a stranger.
    visitor: Option<Box<Visitor>>,
    /// The milters that hear of what it brings.
    filters: Filters,
    /// Messages that were accepted.
    pub(crate) accepted: u32,
}

impl Inquiry {
    pub(crate) fn new(session: Session, common: &Arc<Common>, peer: Option<IpAddr>) -> Self {
        let logins = Logins::new(&common.store.directory, &common.store.guard, peer);
        let (visitor, filters) = (None, Filters::default());
        Self { session, common: Arc::clone(common), logins, peer, port: None, visitor, filters, accepted: 0 }
    }

    /// The client is there: what takes time to find out begins now.
    pub(crate) fn begin(&mut self) {
        self.session.at(clock::unix_seconds());
        self.visitor = self.session.stranger().map(|address| Box::new(self.common.gate.begin(address)));
    }

    /// Has a question answered, and says what comes next. What is no question, but for the client, is given back.
    ///
    /// Long answers have memory of their own: a connection that waits for its client holds none for them.
    pub(crate) async fn answer(&mut self, step: Step) -> Step {
        match step {
            Step::Sender(question) => self.sender(question).await,
            Step::Recipient(question) => self.recipient(question).await,
            Step::Gate(question) => Box::pin(self.gate(question)).await,
            Step::Consult(question) => Box::pin(self.consult(question)).await,
            Step::Expand(question) => self.expand(question).await,
            Step::Draft(question) => self.draft(question).await,
            Step::Originator(question) => self.originator(question).await,
            Step::Judge(acceptance) => Box::pin(self.judge(acceptance)).await,
            Step::Scan(acceptance) => Box::pin(self.scan(acceptance)).await,
            Step::File(acceptance) => Box::pin(self.file(acceptance)).await,
            Step::Commit(acceptance) => Box::pin(self.commit(*acceptance)).await,
            Step::Reply(_)
            | Step::Close(_)
            | Step::Verdicts(..)
            | Step::StartTls(_)
            | Step::Authenticate(_)
            | Step::ScramKeys(_)
            | Step::ScramProof(_)
            | Step::Token(_)
            | Step::Account(_)
            | Step::LoginRefused(_)
            | Step::Receive(..)
            | Step::Discard(..) => step,
        }
    }

    /// Content begins to come.
    pub(crate) fn begin_content(&self, incoming: &mut Incoming) {
        let facts = self.session.scan_facts(incoming).map(|facts| Facts { port: self.port, ..facts });
        if let Some(scan) = facts.and_then(|facts| self.common.scanners.begin(facts)) {
            incoming.scan_with(scan);
        }
    }

    /// What a login came to, whichever way it was tried, for the log and the session.
    ///
    /// Which of the account's maildrops the login names is nothing to one who sends: they send as the account.
    pub(crate) fn logged_in(&mut self, login: &str, answer: Result<Login, NoLogin>) -> Step {
        match answer {
            Ok(Login { account, .. }) => {
                Span::current().record("account", escaped(account.address.to_string().as_bytes()));
                self.session.authenticated(Ok(Some(account)))
            }
            Err(NoLogin::Wrong) => {
                info!(login = shown(login), "login failed");
                self.session.authenticated(Ok(None))
            }
            // The guard has said in the log where this began; here it would be a line for each try.
            Err(NoLogin::PutOff) => {
                debug!(login = shown(login), "login put off");
                self.session.login_put_off()
            }
            Err(NoLogin::Unavailable(error)) => {
                warn_if_failed(Some(&error));
                self.session.authenticated(Err(error))
            }
        }
    }

    async fn originator(&mut self, question: Box<OriginatorQuestion>) -> Step {
        let directory = &self.common.store.directory;
        let answer = directory.may_send_as(question.account(), question.mailbox()).await;
        warn_if_failed(answer.as_ref().err());
        self.session.originator_checked(question, &answer)
    }

    async fn sender(&mut self, question: Box<SenderQuestion>) -> Step {
        let answer = self.common.store.directory.may_send_as(question.account(), question.mailbox()).await;
        warn_if_failed(answer.as_ref().err());
        self.session.sender_checked(question, &answer)
    }

    async fn recipient(&mut self, question: RecipientQuestion) -> Step {
        if srs::is_rewritten(question.mailbox()) && self.session.takes_reports_back() {
            return self.way_back(question).await;
        }
        let answer =
            self.common.store.directory.recipient(question.mailbox(), question.octets_declared()).await;
        warn_if_failed(answer.as_ref().err());
        if let Ok(Recipient::OverQuota(why)) = &answer {
            let mailbox = escaped(question.mailbox().text().as_bytes());
            info!(mailbox, reason = chain(why), "recipient refused");
        }
        self.session.recipient_checked(question, answer)
    }

    async fn gate(&mut self, question: Box<GateQuestion>) -> Step {
        let visitor = self.visitor.get_or_insert_default();
        let judgement = visitor.judge(&self.common.gate, &question, clock::unix_seconds()).await;
        if judgement.measure == Measure::Refuse {
            info!(reason = judgement.row, "recipient refused");
        }
        if let Greylisting::PutOff { seconds } = judgement.greylisting {
            info!(seconds, "recipient put off: the sender is not known and must come again");
        }
        self.session.gated(question, judgement)
    }

    /// What milters say of a recipient.
    async fn consult(&mut self, question: Box<ConsultQuestion>) -> Step {
        let facts = Facts { port: self.port, ..question.facts().clone() };
        let consent = self.filters.recipient(&self.common.scanners, &facts, question.mailbox()).await;
        if let Consent::Refused { row, .. } = &consent {
            info!(reason = row, "recipient refused");
        }
        self.session.consulted(*question, consent)
    }

    /// The client has gone.
    pub(crate) async fn end(&mut self) {
        self.filters.end().await;
    }

    /// Whom a report about a forwarded message is for.
    async fn way_back(&mut self, question: RecipientQuestion) -> Step {
        match self.common.store.directory.forwarding_secret().await {
            Ok(secret) => {
                let found = Srs::new(&secret).back(question.mailbox(), clock::unix_seconds());
                self.session.found_way_back(&question, found)
            }
            Err(unavailable) => {
                warn_if_failed(Some(&unavailable));
                self.session.recipient_checked(question, Err(unavailable))
            }
        }
    }

    async fn expand(&mut self, question: ExpansionQuestion) -> Step {
        let answer = self.common.store.administration.aliases().await;
        warn_if_failed(answer.as_ref().err());
        self.session.expanded(&question, answer)
    }

    async fn draft(&mut self, question: ContentQuestion) -> Step {
        if let Some(what) = self.sends_too_much(question.recipients()).await {
            return self.session.content_put_off(&question, what);
        }
        let keeps_header = self.session.reads() || self.session.is_consulted();
        let size = if keeps_header { Size::Watched } else { Size::Plain };
        let Some(share) = self.common.receiving.share(size) else {
            info!("content put off: too much is coming in at the moment");
            return self.session.put_off(question);
        };
        let answer = self.common.store.intake.draft(question.octets_expected()).await;
        warn_if_failed(answer.as_ref().err());
        self.session.drafted(question, answer.map(|draft| share.with(draft)))
    }

    /// Counts the message that is about to come; `None` where there is room for it, or no answer: the draft will tell.
    async fn sends_too_much(&mut self, recipients: usize) -> Option<TooMuch> {
        let account = match self.session.kind() {
            Kind::Reception | Kind::Submission => self.session.account().map(|account| account.address.key()),
            // Those who deliver here are at home, and what they bring has been counted where it came in.
            Kind::Lmtp => return None,
        };
        let sending = Sending {
            peer: self.peer?,
            account: account.as_deref(),
            recipients: u32::try_from(recipients).unwrap_or(u32::MAX),
        };
        self.common.store.guard.send(sending).await.ok().flatten()
    }

    async fn file(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let policy = &self.common.policy;
        let means = Means {
            directory: &*self.common.store.directory,
            recollections: &*self.common.store.recollections,
            is_local: &|domain| policy.is_local(domain),
            forwards_for_seconds: policy.forwards_for_seconds(),
        };
        let filed = filing::file(&means, &mut acceptance).await;
        warn_if_failed(filed.as_ref().err());
        self.session.filed(acceptance, &filed)
    }

    /// Finds out about a message from outside.
    async fn judge(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let (Some(checker), Some(seen)) = (&self.common.checker, acceptance.seen.take()) else {
            return self.session.judged(acceptance, None);
        };
        let judgement = checker.judge(&seen, &acceptance.delivery.reverse_path).await;
        let found = judgement.told.join("; ");
        info!(
            found,
            verdict = judgement.decision.verdict.word(),
            because = judgement.decision.because,
            "checked"
        );
        self.session.judged(acceptance, Some(judgement))
    }

    /// Waits for what other programs say of the content.
    async fn scan(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let Some(scan) = acceptance.scan.take() else { return self.session.scanned(acceptance, Vec::new()) };
        let Delivery { prefix, relay, .. } = &acceptance.delivery;
        let parts = Parts { prefix: prefix.clone(), leaves: !relay.is_empty() };
        let Scanned { decisions, revision, came } = scan.finish(&mut self.filters, parts).await;
        for Decision { row, .. } in &decisions {
            info!(row, "scanned");
        }
        // What is not taken need not be changed.
        let is_taken = decisions.iter().all(|decision| decision.outcome <= Outcome::Junk);
        if let Some(revision) = revision.filter(|_| is_taken) {
            let revised = self.common.revise(&mut acceptance, revision, &came).await;
            if let Err(reply) = revised {
                return Step::Reply(reply);
            }
        }
        self.session.scanned(acceptance, decisions)
    }

    async fn commit(&mut self, mut acceptance: Acceptance) -> Step {
        filing::owe(&mut acceptance, self.common.policy.forwards_for_seconds());
        let Acceptance { draft, delivery, recipients, settled, line_ends_repaired, parts_converted, .. } =
            acceptance;
        if line_ends_repaired > 0 {
            warn!(
                line_ends_repaired,
                "content with line ends that are not CRLF: correct the program that sends it"
            );
        }
        let reverse_path = escaped(delivery.reverse_path.to_string().as_bytes());
        // RFC 6710 §4.1.
        let priority = delivery.terms.priority;
        let result = draft.commit(delivery).await;
        match &result {
            Ok(receipt) => {
                self.accepted = self.accepted.saturating_add(1);
                let over_quota = receipt.verdicts.iter().filter(|verdict| verdict.is_err()).count();
                info!(
                    message_id = receipt.message.0,
                    recipients,
                    over_quota,
                    octets = receipt.octets,
                    parts_converted,
                    priority,
                    reverse_path,
                    "accepted"
                );
            }
            Err(error @ IntakeError::OverQuota { .. }) => {
                info!(reason = chain(error), recipients, reverse_path, "refused");
            }
            Err(error) => warn_if_failed(Some(error)),
        }
        self.session.committed(result, recipients, &settled)
    }
}

/// Some of the content goes to those who look at it, and into the draft.
pub(crate) async fn write(incoming: &mut Incoming) {
    if let Some((scan, octets)) = incoming.unscanned() {
        scan.pass(octets).await;
    }
    if let Some((draft, octets)) = incoming.unwritten() {
        let result = draft.write(octets).await;
        warn_if_failed(result.as_ref().err());
        incoming.written(result);
    }
}
