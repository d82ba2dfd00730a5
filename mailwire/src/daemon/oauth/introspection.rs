//! Tokens of any form, about which the issuer is asked (RFC 7662).

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::checker::{Trouble, on_pool};
use super::config::Limits;
use super::remembered::Remembered;
use crate::cause::chain;
use crate::clock;
use crate::net::{HttpsClient, HttpsError};
use crate::oauth::{Granted, Refusal, TOKEN_OCTETS_MAX, Terms, claims_of_answer, question};
use crate::secret::Secret;

/// What an endpoint answers to whom it does not know, or does not allow to ask (RFC 7662 §2.3, RFC 6749 §5.2).
const NOT_US: [u16; 2] = [401, 403];

/// The endpoint of the configuration.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: HttpsClient,
    authorization: Secret<String>,
    remembered: Remembered,
    checks: Arc<Semaphore>,
}

impl Endpoint {
    /// `None` without randomness from the system.
    pub(super) fn new(
        client: HttpsClient,
        authorization: Secret<String>,
        limits: &Limits,
        checks: Arc<Semaphore>,
    ) -> Option<Self> {
        Some(Self { client, authorization, remembered: Remembered::new(limits)?, checks })
    }

    /// Whose the token is, where the endpoint says that it is active.
    pub(super) async fn login(
        self: &Arc<Self>,
        token: &Arc<Secret<String>>,
        terms: &Arc<Terms>,
    ) -> Result<String, Trouble> {
        if token.expose().len() > TOKEN_OCTETS_MAX {
            return Err(Refusal::TooLong.into());
        }
        if let Some(login) = self.remembered.login(token, clock::instant()) {
            return Ok(login);
        }
        let (this, asked, terms) = (Arc::clone(self), Arc::clone(token), Arc::clone(terms));
        let granted = on_pool(&self.checks, move || this.ask(&asked, &terms)).await??;
        self.remembered.remember(token, &granted, clock::instant(), clock::unix_seconds());
        Ok(granted.login)
    }

    /// It blocks.
    fn ask(&self, token: &Secret<String>, terms: &Terms) -> Result<Granted, Trouble> {
        let answer = self.client.post_form(&self.authorization, &question(token));
        let answer = answer.map_err(|error| reason(&error));
        let claims = answer.and_then(|octets| claims_of_answer(&octets).map_err(|error| error.to_string()));
        match claims {
            Ok(Some(claims)) => Ok(terms.judge(&claims, clock::unix_seconds())?),
            Ok(None) => Err(Refusal::Inactive.into()),
            Err(reason) => Err(Trouble::Unavailable(reason)),
        }
    }
}

fn reason(error: &HttpsError) -> String {
    match error {
        HttpsError::Status(status) if NOT_US.contains(status) => {
            format!(
                "the endpoint does not let us ask (status {status}): check `client_id` and `client_secret_file`"
            )
        }
        HttpsError::Status(_)
        | HttpsError::NotText
        | HttpsError::TooLarge { .. }
        | HttpsError::TimedOut { .. }
        | HttpsError::Failed(_) => chain(error),
    }
}
