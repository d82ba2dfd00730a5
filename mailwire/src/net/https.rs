//! Single questions over HTTPS: each within one deadline and one size, with no redirect, no proxy and no second try.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{self, RootCertStore};
use ureq::config::Config;
use ureq::http::{Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::certificates::{CertificateError, certificates_in};
use crate::secret::Secret;

/// Most octets of an address.
const URL_OCTETS_MAX: usize = 2048;
/// Most octets of the answer's header section.
const HEADER_OCTETS_MAX: usize = 16 * 1024;
/// Octets that a connection reads and writes at a time.
const BUFFER_OCTETS: usize = 16 * 1024;
/// Where HTTPS answers, unless an address says otherwise (RFC 9110 §4.2.2).
const HTTPS_PORT: u16 = 443;
/// Most addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;
/// The media type of text.
const TEXT: &str = "text/plain";
/// What RFC 9110 §15.3.1 calls OK; nothing else is an answer.
const OK: u16 = 200;

/// Where a question goes: `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl(String);

/// Why a text is no [`HttpsUrl`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HttpsUrlError {
    /// Not `https://host/path`.
    #[error("is not an address of the form https://host/path")]
    Form,
    /// Anybody on the way could read and change it.
    #[error("must begin with https:// (http:// is for 127.0.0.1, ::1 and localhost only)")]
    Clear,
    /// It has a user name or a password in it.
    #[error("must not have a user name or password in it")]
    UserInformation,
}

impl HttpsUrl {
    /// Reads one.
    ///
    /// # Errors
    /// See [`HttpsUrlError`].
    pub fn parse(text: &str) -> Result<Self, HttpsUrlError> {
        if text.len() > URL_OCTETS_MAX || text.contains('#') {
            return Err(HttpsUrlError::Form);
        }
        let url: Uri = text.parse().map_err(|_| HttpsUrlError::Form)?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(HttpsUrlError::Form);
        };
        if authority.as_str().contains('@') {
            return Err(HttpsUrlError::UserInformation);
        }
        match scheme {
            "https" => {}
            "http" if is_this_machine(authority.host()) => {}
            "http" => return Err(HttpsUrlError::Clear),
            _ => return Err(HttpsUrlError::Form),
        }
        if authority.host().is_empty() { Err(HttpsUrlError::Form) } else { Ok(Self(text.to_owned())) }
    }

    /// True for what is reached without TLS, on this machine.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.0.starts_with("http:")
    }

    /// The host's name, or its address.
    #[must_use]
    pub fn host(&self) -> String {
        let url: Option<Uri> = self.0.parse().ok();
        url.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
    }
}

/// True where nobody else can answer (RFC 6761 §6.3).
fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_loopback = |address: std::net::IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}

/// Who must have signed the certificate of whom is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// One that the system trusts.
    #[default]
    System,
    /// One in this file, in PEM form.
    File(PathBuf),
}

/// What a question may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionLimits {
    /// From the look-up of the name to the answer's last octet.
    pub deadline: Duration,
    /// Most octets of an answer.
    pub answer_octets_max: u64,
}

/// Why nothing can be asked.
#[derive(Debug, Error)]
pub enum HttpsSetupError {
    /// The authorities cannot be read.
    #[error(transparent)]
    Roots(#[from] CertificateError),
    /// There are none.
    #[error(
        "this system trusts no certificate at all: install its CA certificates (package ca-certificates)"
    )]
    NoRoots,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// Another status than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It is said to be something else than text.
    #[error("the answer is not said to be text/plain")]
    NotText,
    /// More than it may have.
    #[error("the answer is larger than {octets_max} octets")]
    TooLarge {
        /// Most octets of an answer.
        octets_max: u64,
    },
    /// Too late.
    #[error("there was no answer within {seconds} seconds")]
    TimedOut {
        /// How long it may take.
        seconds: u64,
    },
    /// No connection, no TLS, or no HTTP.
    #[error("no answer was to be had")]
    Failed(#[source] Box<ureq::Error>),
}

impl HttpsError {
    /// True where the server has no certificate that is right for it.
    #[must_use]
    pub fn is_about_certificate(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        let cause = if let ureq::Error::Rustls(cause) = &**error {
            Some(cause)
        } else if let ureq::Error::Io(error) = &**error {
            error.get_ref().and_then(|cause| cause.downcast_ref())
        } else {
            None
        };
        matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
    }
}

/// [`Roots`] that were read, for any number of clients.
#[derive(Clone, Debug)]
pub struct KnownRoots(Arc<Vec<Certificate<'static>>>);

impl KnownRoots {
    /// Reads them.
    ///
    /// # Errors
    /// See [`HttpsSetupError`].
    pub fn read(roots: &Roots) -> Result<Self, HttpsSetupError> {
        Ok(Self(Arc::new(certificates(roots)?)))
    }
}

/// Asks one server. Its methods block: they are for threads that may wait.
#[derive(Clone, Debug)]
pub struct HttpsClient {
    agent: ureq::Agent,
    url: HttpsUrl,
    limits: QuestionLimits,
    media_type: MediaType,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MediaType {
    /// JSON, whatever the answer says that it is.
    Json,
    /// Text, and nothing else.
    Text,
}

/// The addresses of a host that were looked up by somebody else.
#[derive(Debug)]
struct Addresses(Vec<IpAddr>);

impl Resolver for Addresses {
    fn resolve(&self, url: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        let port = url.port_u16().unwrap_or(HTTPS_PORT);
        for address in self.0.iter().take(ADDRESSES_MAX) {
            found.push(SocketAddr::new(*address, port));
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

impl HttpsClient {
    /// For questions to `url`.
    ///
    /// # Errors
    /// See [`HttpsSetupError`].
    pub fn new(url: HttpsUrl, roots: &Roots, limits: QuestionLimits) -> Result<Self, HttpsSetupError> {
        let roots = if url.is_clear() { Arc::default() } else { Arc::new(certificates(roots)?) };
        let agent = config(roots, limits, "application/json").into();
        Ok(Self { agent, url, limits, media_type: MediaType::Json })
    }

    /// For the text at `url`, whose host has these addresses.
    #[must_use]
    pub fn for_text(
        url: HttpsUrl,
        roots: &KnownRoots,
        limits: QuestionLimits,
        addresses: Vec<IpAddr>,
    ) -> Self {
        let config = config(Arc::clone(&roots.0), limits, TEXT);
        let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Addresses(addresses));
        Self { agent, url, limits, media_type: MediaType::Text }
    }

    /// What lies there.
    ///
    /// # Errors
    /// See [`HttpsError`].
    pub fn get(&self) -> Result<Vec<u8>, HttpsError> {
        let answer = self.agent.get(&self.url.0).call();
        self.content(answer)
    }

    /// For posting to `url`, whose host has these addresses.
    #[must_use]
    pub fn for_posting(
        url: HttpsUrl,
        roots: &KnownRoots,
        limits: QuestionLimits,
        addresses: Vec<IpAddr>,
    ) -> Self {
        Self { media_type: MediaType::Json, ..Self::for_text(url, roots, limits, addresses) }
    }

    /// Hands over content of this media type; any status of 200 to 299 says that it was taken (RFC 9110 §15.3).
    ///
    /// # Errors
    /// See [`HttpsError`].
    pub fn post(&self, media_type: &str, content: &[u8]) -> Result<(), HttpsError> {
        let answer = self.agent.post(&self.url.0).content_type(media_type).send(content);
        match answer.map_err(|error| self.failure(error))?.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(HttpsError::Status(status)),
        }
    }

    /// What a form is answered with, posted with this field Authorization.
    ///
    /// # Errors
    /// See [`HttpsError`].
    pub fn post_form(
        &self,
        authorization: &Secret<String>,
        form: &Secret<Vec<u8>>,
    ) -> Result<Vec<u8>, HttpsError> {
        let answer = self
            .agent
            .post(&self.url.0)
            .header(header::AUTHORIZATION, authorization.expose())
            .content_type("application/x-www-form-urlencoded")
            .send(form.expose().as_slice());
        self.content(answer)
    }

    fn content(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, HttpsError> {
        let mut answer = answer.map_err(|error| self.failure(error))?;
        let status = answer.status().as_u16();
        if status != OK {
            return Err(HttpsError::Status(status));
        }
        let is_text = || answer.body().mime_type().is_some_and(|found| found.eq_ignore_ascii_case(TEXT));
        if self.media_type == MediaType::Text && !is_text() {
            return Err(HttpsError::NotText);
        }
        // One more than may come: the reader fails where its limit is reached, be that the end or not.
        let limit = self.limits.answer_octets_max.saturating_add(1);
        let content = answer.body_mut().with_config().limit(limit).read_to_vec();
        content.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: ureq::Error) -> HttpsError {
        if matches!(error, ureq::Error::Timeout(_)) {
            return HttpsError::TimedOut { seconds: self.limits.deadline.as_secs() };
        }
        if matches!(error, ureq::Error::BodyExceedsLimit(_)) {
            return HttpsError::TooLarge { octets_max: self.limits.answer_octets_max };
        }
        HttpsError::Failed(Box::new(error))
    }
}

/// What all clients do alike.
fn config(roots: Arc<Vec<Certificate<'static>>>, limits: QuestionLimits, accept: &'static str) -> Config {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(roots))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(limits.deadline))
        // Whoever is asked is the one that was named, and nobody on its or the environment's behalf.
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .max_response_header_size(HEADER_OCTETS_MAX)
        .input_buffer_size(BUFFER_OCTETS)
        .output_buffer_size(BUFFER_OCTETS)
        .user_agent("mailstack")
        .accept(accept)
        .build()
}

/// These roots, for connections that are not HTTPS.
///
/// # Errors
/// Where they cannot be read, or there are none.
pub fn trusting(roots: &Roots) -> Result<RootCertStore, HttpsSetupError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found(roots)?);
    if store.is_empty() { Err(HttpsSetupError::NoRoots) } else { Ok(store) }
}

fn certificates(roots: &Roots) -> Result<Vec<Certificate<'static>>, HttpsSetupError> {
    Ok(found(roots)?.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

fn found(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, HttpsSetupError> {
    let found: Vec<CertificateDer<'static>> = match roots {
        Roots::File(path) => certificates_in(path)?,
        // A system's broken certificate is no reason to fail while another one may do.
        Roots::System => rustls_native_certs::load_native_certs().certs,
    };
    if found.is_empty() {
        return Err(HttpsSetupError::NoRoots);
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
