//! What is found out about one client, at most once, while it talks: the questions go out as it comes, and are waited for
//! when it names its first recipient.

use std::net::IpAddr;
use std::sync::Arc;

use mailstore::Recollections;
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::smtp::Hello;

use super::dnsbl::{Asked, Finding, Lists, Measure};
use super::greylist::Keeper;
use super::{GateTables, Greylisting, Judgement};
use crate::checks::{Checker, Checks};
use crate::dns::Resolver;
use crate::session::GateQuestion;

/// Seconds that it may take to find out whether a domain lets a client send its mail.
const SPF_SECONDS: u64 = 5;

/// What the gate knows of the configuration, and whom it asks; the same for all clients.
pub(crate) struct Gate {
    lists: Option<Arc<Lists>>,
    keeper: Option<Keeper>,
    /// Who says whose hosts strangers are, where greylisting goes by that.
    spf: Option<Checker>,
}

/// One client, as the gate sees it.
#[derive(Default)]
pub(crate) struct Visitor {
    asked: Option<Asked>,
    of_address: Vec<Finding>,
    /// The domains that were asked about last, and what was found.
    domains: Vec<String>,
    of_domains: Vec<Finding>,
    /// Of which sender it was asked last whether the domain lets the client send its mail, and whether it does.
    sends_for: Option<(Mailbox, bool)>,
}

/// What is known of a client when it names a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// By MAIL.
    pub reverse_path: ReversePath,
    /// By EHLO or HELO.
    pub hello: Hello,
}

impl Gate {
    /// With whom the configuration wants asked; without a resolver there is nobody to ask.
    pub(crate) fn new(
        tables: &GateTables,
        resolver: Option<&Resolver>,
        recollections: &Arc<dyn Recollections>,
        hostname: &str,
    ) -> Self {
        let checks = Checks { seconds: SPF_SECONDS, ..Checks::default() };
        let spf = |resolver| Checker::new(&checks, resolver, hostname);
        let lists = |resolver: &Resolver| Arc::new(Lists::new(tables.dnsbl.clone(), resolver.clone()));
        let keeper = || Keeper::new(tables.greylist.clone(), Arc::clone(recollections));
        Self {
            lists: resolver.filter(|_| tables.asks_lists()).map(lists),
            keeper: tables.greylist.enabled.then(keeper),
            spf: resolver.filter(|_| tables.asks_spf()).map(spf),
        }
    }

    /// A client has come: what takes time begins now.
    pub(crate) fn begin(&self, address: IpAddr) -> Visitor {
        let asked = self.lists.as_ref().filter(|lists| lists.config().asks_about(address));
        Visitor { asked: asked.map(|lists| lists.ask_about_address(address)), ..Visitor::default() }
    }
}

impl Visitor {
    /// What is said at `now` of a recipient that this client names. It takes no longer than the configuration lets it.
    pub(crate) async fn judge(&mut self, gate: &Gate, question: &GateQuestion, now: u64) -> Judgement {
        let mut judgement = self.looked_up(gate, question.address(), question.sender()).await;
        match (judgement.measure, &gate.keeper) {
            // Who is refused need not come again, and who is welcome neither.
            (Measure::Refuse | Measure::Allow, _) | (_, None) => {}
            (Measure::Nothing | Measure::Mark | Measure::Junk, Some(keeper)) => {
                let (address, sender) = (question.address(), question.sender());
                judgement.greylisting =
                    keeper.judge(address, &sender.reverse_path, question.mailbox(), now).await;
                // Only where it makes a difference is it asked whose host this is.
                if let (Greylisting::PutOff { .. }, ReversePath::Mailbox(mailbox)) =
                    (judgement.greylisting, &sender.reverse_path)
                    && self.sends_for(gate, address, (&sender.hello, mailbox)).await
                {
                    judgement.greylisting = keeper.judge_domain(mailbox, question.mailbox(), now).await;
                }
            }
        }
        judgement
    }

    /// True where the sender's domain lets the client send its mail.
    async fn sends_for(&mut self, gate: &Gate, address: IpAddr, (hello, sender): (&Hello, &Mailbox)) -> bool {
        let Some(spf) = &gate.spf else { return false };
        if let Some((known, sends)) = &self.sends_for
            && known == sender
        {
            return *sends;
        }
        let sends = spf.lets_send(address, hello, sender).await;
        self.sends_for = Some((sender.clone(), sends));
        sends
    }

    async fn looked_up(&mut self, gate: &Gate, address: IpAddr, sender: &Sender) -> Judgement {
        let Some(lists) = gate.lists.as_ref().filter(|lists| lists.config().asks_about(address)) else {
            return Judgement::default();
        };
        if let Some(asked) = self.asked.take() {
            self.of_address = all(asked).await;
        }
        let domains = sender.domains();
        if self.domains != domains {
            self.of_domains = all(lists.ask_about_domains(domains.iter().cloned())).await;
            self.domains = domains;
        }
        let findings: Vec<_> = self.of_address.iter().chain(&self.of_domains).cloned().collect();
        Judgement::of(lists.config(), &findings)
    }
}

impl Sender {
    /// What there is to ask about, each once: the domain of MAIL, and a name given with EHLO that can be one of DNS.
    fn domains(&self) -> Vec<String> {
        let of_path = match &self.reverse_path {
            ReversePath::Mailbox(mailbox) => Some(mailbox.domain()),
            ReversePath::Null => None,
        };
        let of_hello = match &self.hello {
            Hello::Domain(domain) => Some(domain),
            Hello::Other(_) => None,
        };
        let mut domains = Vec::new();
        for domain in of_path.into_iter().chain(of_hello) {
            match &*domain.in_a_labels() {
                Domain::Name(name) if name.contains('.') && !domains.contains(name) => {
                    domains.push(name.clone());
                }
                Domain::Name(_) | Domain::Address(_) => {}
            }
        }
        domains
    }
}

/// All that was found, in the order of the configuration.
async fn all(mut asked: Asked) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(asked.len());
    while let Some(finding) = asked.join_next().await {
        findings.extend(finding);
    }
    findings.sort_by(|one, other| (one.list, &one.subject).cmp(&(other.list, &other.subject)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(mailbox: Option<&str>, hello: &str) -> Vec<String> {
        let reverse_path = mailbox
            .map_or(ReversePath::Null, |mailbox| ReversePath::Mailbox(Mailbox::parse(mailbox).unwrap()));
        let hello = Domain::parse(hello).map_or_else(|_| Hello::Other(hello.to_owned()), Hello::Domain);
        Sender { reverse_path, hello }.domains()
    }

    #[test]
    fn domains_are_asked_about_once_and_in_a_labels() {
        assert_eq!(domains(Some("a@B.example"), "mail.b.example"), ["b.example", "mail.b.example"]);
        assert_eq!(domains(Some("a@b.example"), "B.Example"), ["b.example"]);
        assert_eq!(domains(Some("a@b\u{fc}cher.example"), "[192.0.2.1]"), ["xn--bcher-kva.example"]);
        for hello in ["PC", "pc_of_bob", "[IPv6:2001:db8::1]"] {
            assert!(domains(None, hello).is_empty(), "{hello}");
        }
        assert!(domains(Some("a@[192.0.2.1]"), "x").is_empty());
    }
}
