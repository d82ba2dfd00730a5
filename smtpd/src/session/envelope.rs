//! MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3): who may send what to whom.

use std::collections::BTreeSet;
use std::net::IpAddr;

use mailstore::{
    Account, Body, ByMode, Fate, LocalRecipient, MaildropId, Recipient, RecipientTerms, RelayRecipient,
    Terms, Unavailable,
};
use mailwire::address::{Domain, ForwardPath, Mailbox, ReversePath};
use mailwire::smtp::{MailParameters, RcptParameters, Reply};

use super::consulting::Candidate;
use super::gate::{Found, Passage};
use super::machine::{Client, Phase};
use super::reason::{QUOTA, REWRITTEN, Reason, Refused, STORE};
use super::terms::rcpt_terms;
use super::{FilteredRecipient, Kind, RecipientQuestion, SenderQuestion, Session, Step};
use crate::content::{Inspector, octets_encoded};
use crate::filing::srs::NoWayBack;
use crate::replies;

/// One transaction's envelope (RFC 5321 §2.3.1).
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) client: Client,
    pub(super) reverse_path: ReversePath,
    /// What is asked for all recipients.
    pub(super) terms: Terms,
    /// SIZE as declared; 0 is unknown (RFC 1870 §6.1).
    pub(super) octets_declared: u64,
    /// Each accepted RCPT, as the client wrote it.
    pub(super) recipients: Vec<Mailbox>,
    /// Where their mail goes, each once however many recipients lead there.
    pub(super) maildrops: BTreeSet<MaildropId>,
    /// What becomes of the other recipients where one cannot be served.
    pub(super) fate: Fate,
    /// Accepted recipients here for whom something is asked.
    pub(super) local: Vec<LocalRecipient>,
    /// Accepted recipients elsewhere, each once.
    pub(super) relay: Vec<RelayRecipient>,
    /// Those with rules for their mail.
    pub(super) filtered: Vec<FilteredRecipient>,
    /// How many recipients were refused.
    pub(super) refused: usize,
    pub(super) begun: Begun,
    /// What was found out about the sender.
    pub(super) passage: Passage,
}

/// When the parts of a transaction were begun, seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) mail: u64,
    /// The last of them.
    pub(super) recipients: u64,
    pub(super) content: u64,
}

impl Envelope {
    fn new(client: Client, reverse_path: ReversePath, terms: Terms, (kind, now): (Kind, u64)) -> Self {
        Self {
            client,
            fate: match kind {
                Kind::Reception | Kind::Submission => Fate::Shared,
                // RFC 2033 §4.2: each recipient has a verdict of its own.
                Kind::Lmtp => Fate::Apart(Vec::new()),
            },
            reverse_path,
            terms,
            octets_declared: 0,
            recipients: Vec::new(),
            maildrops: BTreeSet::new(),
            local: Vec::new(),
            relay: Vec::new(),
            filtered: Vec::new(),
            refused: 0,
            begun: Begun { mail: now, recipients: now, content: now },
            passage: Passage::default(),
        }
    }

    /// True where content will come as any octets, and by BDAT only (RFC 3030 §3).
    pub(super) fn is_binary(&self) -> bool {
        self.terms.body == Some(Body::Binary)
    }

    /// About how many octets of content there will be; 0 is unknown.
    pub(super) fn octets_expected(&self) -> u64 {
        if self.is_binary() { octets_encoded(self.octets_declared) } else { self.octets_declared }
    }

    /// Binary content has become lines, so that is what the message has from now on. What goes elsewhere is called what it
    /// is, since programs send 8-bit content without saying so (RFC 6152 §3).
    pub(super) fn convert(&mut self, inspector: &Inspector) {
        match (self.relay.is_empty(), inspector.is_ascii()) {
            (false, true) => self.terms.body = Some(Body::SevenBit),
            (false, false) => self.terms.body = Some(Body::EightBit),
            (true, _) if self.is_binary() => self.terms.body = Some(Body::EightBit),
            (true, _) => {}
        }
    }

    /// RFC 8689 §4.2.2: a submission that says `TLS-Required: No` is to arrive whatever is wrong with TLS there. REQUIRETLS counts
    /// more (§4.1). What is told of that.
    pub(super) fn relax(&mut self, inspector: &Inspector) -> Option<&'static str> {
        if !inspector.is_relaxed() || self.relay.is_empty() {
            return None;
        }
        if self.terms.requires_tls {
            return Some("No, which does not count beside REQUIRETLS");
        }
        for recipient in &mut self.relay {
            recipient.terms = recipient.terms.relaxed();
        }
        Some("No: what domains promise about TLS holds nothing up")
    }

    fn add(&mut self, mailbox: Mailbox, maildrops: Vec<MaildropId>) {
        self.recipients.push(mailbox);
        self.maildrops.extend(&maildrops);
        match &mut self.fate {
            Fate::Shared => {}
            Fate::Apart(groups) => groups.push(maildrops),
        }
    }

    /// A recipient elsewhere, from `now` on, or from when the sender wants it, until it is given up.
    fn add_elsewhere(&mut self, mailbox: Mailbox, terms: RecipientTerms, (now, seconds): (u64, u64)) {
        self.recipients.push(mailbox.clone());
        if self.relay.iter().any(|known| known.mailbox == mailbox) {
            return;
        }
        let due = self.terms.release_at.unwrap_or(now).max(now);
        let expires = due.saturating_add(seconds);
        // RFC 2852 §4.1.
        let by = self.terms.deliver_by.filter(|by| by.mode == ByMode::Return).map(|by| by.at);
        let expires = by.map_or(expires, |at| expires.min(at));
        self.relay.push(RelayRecipient { mailbox, due, expires, terms });
    }
}

/// Where a recipient's mail is kept, or why it does not go there.
enum Place {
    Here(Mailbox),
    Elsewhere(Mailbox),
    OutOfReach(Mailbox, Refused),
}

impl Place {
    const fn mailbox(&self) -> &Mailbox {
        match self {
            Self::Here(mailbox) | Self::Elsewhere(mailbox) | Self::OutOfReach(mailbox, _) => mailbox,
        }
    }
}

impl Session {
    pub(super) fn mail(&mut self, reverse_path: ReversePath, parameters: &MailParameters) -> Step {
        match self.may_begin(&reverse_path, parameters) {
            Err(refused) => {
                let reply = self.refused_by(refused);
                self.note_refusal(&reverse_path, &[], &reply);
                self.refuse(reply)
            }
            Ok((client, account, terms)) => {
                let mut envelope = Envelope::new(client, reverse_path, terms, (self.kind, self.now));
                envelope.octets_declared = parameters.size_octets.unwrap_or(0);
                match (account, &envelope.reverse_path) {
                    // RFC 6409 §6.1: users send as themselves.
                    (Some(account), ReversePath::Mailbox(mailbox)) => {
                        let mailbox = mailbox.clone();
                        Step::Sender(Box::new(SenderQuestion { account, mailbox, envelope }))
                    }
                    // Anybody may send what must not be answered, as reports are (RFC 5321 §4.5.5).
                    (Some(_), ReversePath::Null) | (None, ReversePath::Mailbox(_) | ReversePath::Null) => {
                        self.begin_transaction(envelope)
                    }
                }
            }
        }
    }

    /// The client that may begin a transaction now, its account where it needs one, and what it asks.
    fn may_begin(
        &self,
        reverse_path: &ReversePath,
        parameters: &MailParameters,
    ) -> Result<(Client, Option<Account>, Terms), Refused> {
        let client = self.client.as_ref().ok_or_else(|| self.hello_first())?;
        let account = self.sender_account()?;
        if !matches!(self.phase, Phase::Ready) {
            return Err(replies::transaction_open().into());
        }
        let terms = self.mail_terms(parameters)?;
        let octets_max = self.policy.content_octets_max;
        if parameters.size_octets.is_some_and(|octets| octets > octets_max) {
            return Err(Refused::by(replies::too_big(octets_max), self.octets_max_by(octets_max)));
        }
        match reverse_path {
            ReversePath::Mailbox(mailbox) if mailbox.needs_smtputf8() && !parameters.smtputf8 => {
                Err(replies::sender_needs_smtputf8().into())
            }
            ReversePath::Mailbox(_) | ReversePath::Null => Ok((client.clone(), account.cloned(), terms)),
        }
    }

    /// The account that a sender must be; `None` where senders are strangers.
    fn sender_account(&self) -> Result<Option<&Account>, Refused> {
        match (self.kind, &self.account) {
            (Kind::Reception | Kind::Lmtp, _) => Ok(None),
            (Kind::Submission, Some(account)) => Ok(Some(account)),
            // RFC 6409 §4.3.
            (Kind::Submission, None) if self.login_is_safe() => {
                Err(Refused::by(replies::login_first(), "the port: users log in before they send"))
            }
            (Kind::Submission, None) => {
                Err(Refused::by(replies::tls_and_login_first(), "[smtp] clear_login"))
            }
        }
    }

    /// What is to be done before there can be a transaction.
    pub(super) fn why_no_transaction(&self) -> Reply {
        self.sender_account().err().map_or_else(replies::sender_first, |refused| refused.reply)
    }

    /// What the directory says of the sender.
    #[must_use]
    pub fn sender_checked(
        &mut self,
        question: Box<SenderQuestion>,
        answer: &Result<bool, Unavailable>,
    ) -> Step {
        match answer {
            Ok(true) => self.begin_transaction(question.envelope),
            Ok(false) => {
                let reply = replies::sender_not_yours();
                let (account, mailbox) = (&question.account.address, &question.mailbox);
                self.because(format!("account {account} has no address, alias or grant {mailbox}"));
                self.note_refusal(&question.envelope.reverse_path, &[], &reply);
                self.refuse(reply)
            }
            Err(_) => {
                self.because(STORE);
                Step::Reply(replies::store_unavailable())
            }
        }
    }

    fn begin_transaction(&mut self, envelope: Envelope) -> Step {
        self.transactions = self.transactions.saturating_add(1);
        self.phase = Phase::Transaction(Box::new(envelope));
        Step::Reply(replies::sender_accepted())
    }

    pub(super) fn rcpt(&mut self, forward_path: ForwardPath, parameters: RcptParameters) -> Step {
        let envelope = match &mut self.phase {
            Phase::Transaction(envelope) => envelope,
            Phase::Chunks(_) => return self.refuse(replies::chunks_begun()),
            Phase::Ready | Phase::Authenticating(_) => {
                let reply = self.why_no_transaction();
                return self.refuse(reply);
            }
        };
        envelope.begun.recipients = self.now;
        let terms = match rcpt_terms(parameters) {
            Ok(terms) => terms,
            Err(reply) => return self.refuse(reply),
        };
        if envelope.recipients.len() >= self.policy.recipients_max {
            // They are to come in another transaction (RFC 5321 §4.5.3.1.10), so that nobody misses anything.
            let recipients_max = self.policy.recipients_max;
            self.because(format!("[smtp] recipients_max = {recipients_max}"));
            return self.refuse_recipient(replies::too_many_recipients(recipients_max));
        }
        let (is_utf8, octets_declared) = (envelope.terms.is_utf8, envelope.octets_declared);
        match self.place(forward_path) {
            Place::OutOfReach(mailbox, refused) => {
                let reply = self.refused_by(refused);
                self.no_recipient(&mailbox, reply)
            }
            place if place.mailbox().needs_smtputf8() && !is_utf8 => {
                self.no_recipient(place.mailbox(), replies::recipient_needs_smtputf8())
            }
            Place::Here(mailbox) => {
                let octets_max = self.policy.octets_max_for(std::slice::from_ref(&mailbox));
                if octets_declared > octets_max {
                    self.because(self.octets_max_by(octets_max));
                    return self.no_recipient(&mailbox, replies::too_big_for_recipient(octets_max));
                }
                Step::Recipient(RecipientQuestion { mailbox, octets_declared, terms })
            }
            Place::Elsewhere(mailbox) => self.consult(Candidate::Elsewhere(mailbox, terms)),
        }
    }

    /// A recipient elsewhere gets the message. Nobody but milters is asked about it: its own server says what it has to say.
    pub(super) fn admit_elsewhere(&mut self, mailbox: Mailbox, terms: RecipientTerms) -> Step {
        let times = (self.now, self.policy.relay.expire_seconds);
        self.because(match self.account {
            _ if terms.is_forwarded() => "[relay] enabled: reports go back to the senders of forwarded mail",
            Some(_) => "[relay] enabled: users who have logged in may send to other domains",
            None => "[relay] trusted has the client's address",
        });
        if let Phase::Transaction(envelope) = &mut self.phase {
            envelope.add_elsewhere(mailbox, terms, times);
        }
        Step::Reply(replies::recipient_accepted())
    }

    /// The mailbox that is meant, and where it is. Only whoever may relay reaches one elsewhere, and a mailbox in one of
    /// our domains is never elsewhere, whatever its local part looks like.
    fn place(&self, forward_path: ForwardPath) -> Place {
        let mailbox = match forward_path {
            // RFC 5321 §4.5.1: without a domain in any case.
            ForwardPath::Postmaster => return Place::Here(self.policy.postmaster.clone()),
            ForwardPath::Mailbox(mailbox) => mailbox,
        };
        match (mailbox.domain(), self.kind) {
            (domain @ Domain::Name(_), _) if self.policy.is_local(domain) => Place::Here(mailbox),
            // RFC 5321 §4.1.3: the address that the client has connected to stands for the primary domain.
            (Domain::Address(address), _) if self.is_our_address(*address) => {
                let domain = self.policy.postmaster.domain();
                match Mailbox::parse(&format!("{}@{domain}", mailbox.local_part())) {
                    Ok(mailbox) => Place::Here(mailbox),
                    Err(_) => Place::OutOfReach(mailbox, replies::no_such_mailbox().into()),
                }
            }
            (Domain::Name(_) | Domain::Address(_), _) if self.may_relay() => Place::Elsewhere(mailbox),
            (Domain::Name(_) | Domain::Address(_), Kind::Reception | Kind::Lmtp) => {
                let refused = Refused::by(replies::relaying_denied(), self.not_relayed_by());
                Place::OutOfReach(mailbox, refused)
            }
            (Domain::Name(_) | Domain::Address(_), Kind::Submission) => {
                let refused = Refused::by(replies::elsewhere_not_reached(), self.not_relayed_by());
                Place::OutOfReach(mailbox, refused)
            }
        }
    }

    /// Users who have logged in, and whom the configuration trusts; never a stranger, whatever the recipient looks like.
    fn may_relay(&self) -> bool {
        let relay = &self.policy.relay;
        relay.enabled
            && match self.kind {
                // MAIL has asked for the login (RFC 6409 §4.3).
                Kind::Submission => self.account.is_some(),
                Kind::Reception => self.peer.address.is_some_and(|peer| relay.trusts(peer)),
                Kind::Lmtp => false,
            }
    }

    /// Why the client reaches nobody elsewhere.
    fn not_relayed_by(&self) -> Reason {
        let reason = if self.policy.relay.enabled {
            "[server] domains has no such domain, and the client is not in [relay] trusted"
        } else {
            "[server] domains has no such domain, and [relay] enabled = false"
        };
        reason.into()
    }

    fn is_our_address(&self, address: IpAddr) -> bool {
        self.peer.local.is_some_and(|local| local.to_canonical() == address.to_canonical())
    }

    /// What the directory says of the recipient.
    #[must_use]
    pub fn recipient_checked(
        &mut self,
        question: RecipientQuestion,
        answer: Result<Recipient, Unavailable>,
    ) -> Step {
        match (answer, &self.phase) {
            (Err(_), _) => {
                let reply = replies::store_unavailable();
                self.because(STORE);
                self.note_recipient_refused(&question.mailbox, &reply);
                Step::Reply(reply)
            }
            (Ok(Recipient::OverQuota(why)), _) => {
                self.because(QUOTA);
                self.no_recipient(&question.mailbox, replies::over_quota(why))
            }
            (Ok(reached @ (Recipient::Maildrops(_) | Recipient::Filtered(_))), Phase::Transaction(_))
                if !reached.maildrops().is_empty() =>
            {
                let RecipientQuestion { mailbox, terms, .. } = question;
                self.found(Found { mailbox, terms, reached })
            }
            (Ok(Recipient::Missing | Recipient::Maildrops(_) | Recipient::Filtered(_)), _) => {
                let mailbox = &question.mailbox;
                self.because(format!("no account, alias or catch-all takes {mailbox}"));
                self.no_recipient(&question.mailbox, replies::no_such_mailbox())
            }
        }
    }

    /// A recipient is the sender under which something was forwarded: it gets the report that comes back.
    #[must_use]
    pub fn found_way_back(
        &mut self,
        question: &RecipientQuestion,
        answer: Result<Mailbox, NoWayBack>,
    ) -> Step {
        match (answer, &self.phase) {
            (Ok(mailbox), Phase::Transaction(envelope)) if envelope.reverse_path == ReversePath::Null => {
                let terms = RecipientTerms::forwarded(&question.mailbox, question.terms.notify);
                self.consult(Candidate::Elsewhere(mailbox, terms))
            }
            (Ok(_), _) => {
                self.because(REWRITTEN);
                self.no_recipient(&question.mailbox, replies::only_reports())
            }
            (Err(NoWayBack::Aged), _) => {
                self.because(REWRITTEN);
                self.no_recipient(&question.mailbox, replies::too_late_for_reports())
            }
            (Err(NoWayBack::Forged), _) => {
                self.because("this server has made no such address (SRS)");
                self.no_recipient(&question.mailbox, replies::no_such_mailbox())
            }
        }
    }

    /// True where reports about forwarded mail come back: from other servers, to whom we can send them on.
    #[must_use]
    pub fn takes_reports_back(&self) -> bool {
        match self.kind {
            Kind::Reception => self.policy.relay.enabled,
            Kind::Submission | Kind::Lmtp => false,
        }
    }

    /// The recipient gets the message.
    pub(super) fn admit(&mut self, Found { mailbox, terms, reached }: Found) -> Step {
        if self.reason.is_none() {
            self.because("[server] domains has the domain, and the store the address");
        }
        let maildrops = reached.maildrops().to_vec();
        if let Phase::Transaction(envelope) = &mut self.phase {
            if terms != RecipientTerms::default() {
                envelope.local.push(LocalRecipient { mailbox: mailbox.clone(), terms });
            }
            if reached.is_filtered() {
                let (mailbox, maildrops) = (mailbox.clone(), maildrops.clone());
                envelope.filtered.push(FilteredRecipient { mailbox, maildrops });
            }
            envelope.add(mailbox, maildrops);
        }
        Step::Reply(replies::recipient_accepted())
    }

    pub(super) fn no_recipient(&mut self, recipient: &Mailbox, reply: Reply) -> Step {
        self.note_recipient_refused(recipient, &reply);
        if let Phase::Transaction(envelope) = &mut self.phase {
            envelope.refused = envelope.refused.saturating_add(1);
        }
        self.refuse_recipient(reply)
    }
}
