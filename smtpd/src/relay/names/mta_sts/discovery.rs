//! A domain's policy: whether there is one, which, and what becomes of it where it cannot be fetched (RFC 8461 §3, §5.1).

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use mailstore::{Notes, Unavailable};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::net::{
    HttpsClient, HttpsError, HttpsSetupError, HttpsUrl, HttpsUrlError, KnownRoots, QuestionLimits,
};
use thiserror::Error;
use tokio::sync::{OnceCell, Semaphore, oneshot};
use tracing::{info, warn};

use super::super::addresses::Addresses;
use super::super::no_route::NoRoute;
use super::cache::{Cache, Known, TOPIC};
use super::config::MtaStsConfig;
use super::policy::{Policy, PolicyError};
use super::record;
use crate::dns::{RecordType, Resolver};
use crate::reports::tls::Fault;

/// Where HTTPS answers; other ports stand in the address.
const HTTPS_PORT: u16 = 443;

/// Why a policy could not be fetched.
#[derive(Debug, Error)]
enum FetchError {
    #[error(transparent)]
    Name(#[from] NoRoute),
    #[error(transparent)]
    Url(#[from] HttpsUrlError),
    #[error("asking for it failed")]
    Https(#[from] HttpsError),
    #[error("what lies there is no policy")]
    Policy(#[from] PolicyError),
    #[error("there is no thread to ask for it")]
    Thread(#[source] io::Error),
    #[error("asking for it was cut off")]
    CutOff(#[from] oneshot::error::RecvError),
}

impl FetchError {
    /// What reports call it (RFC 8460 §4.3.2.2).
    fn fault(&self) -> Fault {
        match self {
            Self::Policy(_) => Fault::StsPolicyInvalid,
            Self::Https(error) if error.is_about_certificate() => Fault::StsWebpkiInvalid,
            Self::Name(_) | Self::Url(_) | Self::Https(_) | Self::Thread(_) | Self::CutOff(_) => {
                Fault::StsPolicyFetchError
            }
        }
    }
}

/// What is known of a domain's policy.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Found {
    /// The one that holds now.
    pub(in super::super) policy: Option<Arc<Policy>>,
    /// Why there is none, where there should be one.
    pub(in super::super) fault: Option<Fault>,
}

impl Found {
    /// One that was known before, or why there is none now.
    fn known(known: Option<Known>, fault: Option<Fault>) -> Self {
        match known {
            Some(known) => Self { policy: Some(known.policy), fault: None },
            None => Self { policy: None, fault },
        }
    }
}

/// Finds policies. Clones share what is known.
#[derive(Clone)]
pub(in super::super) struct MtaSts {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Resolver,
    roots: KnownRoots,
    limits: QuestionLimits,
    port: u16,
    fetches: Arc<Semaphore>,
    cache: Mutex<Cache>,
    notes: Option<Arc<dyn Notes>>,
    /// What was kept is taken up at the first question.
    taken_up: OnceCell<()>,
}

impl MtaSts {
    pub(in super::super) fn new(
        config: &MtaStsConfig,
        resolver: Resolver,
        notes: Option<Arc<dyn Notes>>,
    ) -> Result<Self, HttpsSetupError> {
        let shared = Shared {
            resolver,
            roots: KnownRoots::read(&config.roots())?,
            limits: config.limits(),
            port: config.port,
            fetches: Arc::new(Semaphore::new(config.fetches_max)),
            cache: Mutex::new(Cache::new(config.policies_max, config.pause_seconds)),
            notes,
            taken_up: OnceCell::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The policy that holds for a domain now.
    pub(in super::super) async fn policy(&self, domain: &str) -> Found {
        self.shared.take_up().await;
        let now = clock::unix_seconds();
        let known = self.shared.cache().get(domain, now);
        // RFC 8461 §5.1: one that is known holds until its time is over, whatever DNS says meanwhile, or does not say.
        let Some(id) = self.shared.id(domain).await else { return Found::known(known, None) };
        if known.as_ref().is_some_and(|known| known.is_fresh(&id, now)) {
            return Found::known(known, None);
        }
        let pauses = self.shared.cache().pauses(domain, now);
        if pauses.is_some() {
            return Found::known(known, pauses);
        }
        match self.shared.fetch(domain).await {
            Ok(policy) => {
                info!(domain, id, mode = ?policy.mode, "the domain has an MTA-STS policy");
                let known = Known { id, policy: Arc::new(policy), fetched_at: now };
                self.shared.cache().put(domain, known.clone(), now);
                self.shared.keep(domain, &known).await;
                Found::known(Some(known), None)
            }
            Err(error) => {
                info!(domain, reason = chain(&error), "the domain's MTA-STS policy could not be fetched");
                let fault = error.fault();
                self.shared.cache().failed(domain, fault, now);
                Found::known(known, Some(fault))
            }
        }
    }
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep(&self, domain: &str, known: &Known) {
        let Some(notes) = &self.notes else { return };
        if let Err(error) = notes.note(known.note(domain)).await {
            warn!(
                domain,
                reason = chain(&error),
                "the domain's MTA-STS policy is not kept for the next start"
            );
        }
    }

    async fn take_up(&self) {
        let all = async {
            if let Some(notes) = &self.notes
                && let Err(error) = self.take_up_from(&**notes).await
            {
                warn!(reason = chain(&error), "MTA-STS policies of the last run are not known");
            }
        };
        self.taken_up.get_or_init(|| all).await;
    }

    async fn take_up_from(&self, notes: &dyn Notes) -> Result<(), Unavailable> {
        let (mut after, now) = (String::new(), clock::unix_seconds());
        loop {
            let page = notes.notes(TOPIC, &after, now).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.name);
            let mut cache = self.cache();
            for note in &page {
                cache.take_up(note, now);
            }
        }
    }

    /// The identifier that DNS has.
    async fn id(&self, domain: &str) -> Option<String> {
        let answer = self.resolver.ask(&format!("_mta-sts.{domain}"), RecordType::TXT).await.ok()?;
        record::id(&answer.texts())
    }

    async fn fetch(&self, domain: &str) -> Result<Policy, FetchError> {
        let host = format!("mta-sts.{domain}");
        let addresses: Vec<IpAddr> = Addresses::find(&self.resolver, &host).await?.addresses;
        let authority = if self.port == HTTPS_PORT { host } else { format!("{host}:{}", self.port) };
        let url = HttpsUrl::parse(&format!("https://{authority}/.well-known/mta-sts.txt"))?;
        // It is never closed.
        let turn = Arc::clone(&self.fetches).acquire_owned().await;
        let client = HttpsClient::for_text(url, &self.roots, self.limits, addresses);
        let (answer, answered) = oneshot::channel();
        // Not one of the runtime's threads, whose end the process waits for: a host that stalls must not hold that up.
        let ask = move || {
            let text = client.get();
            drop(turn);
            let _ = answer.send(text);
        };
        thread::Builder::new().name("mta-sts".to_owned()).spawn(ask).map_err(FetchError::Thread)?;
        Ok(Policy::read(&answered.await??)?)
    }
}
