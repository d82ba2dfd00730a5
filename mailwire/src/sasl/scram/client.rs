//! SCRAM on the client's side (RFC 5802 §3, §5), which also makes the server prove that it knows the password.

use subtle::ConstantTimeEq;

use super::super::gs2::escaped;
use super::super::{ChannelBindings, Credentials, Nonce, SaslError, encode};
use super::attributes::{server_final, server_first};
use super::keys::{HASH_OCTETS, hash, mac, salted_password};
use super::{ScramKeys, Variant};

/// Most iterations that a server may ask for: some seconds of work.
const ITERATIONS_MAX: u32 = 5_000_000;

/// What a client needs for SCRAM beside its credentials.
#[derive(Clone, Debug)]
pub struct ScramMeans {
    /// Randomness for this exchange.
    pub nonce: Nonce,
    /// What the connection can be bound to.
    pub bindings: ChannelBindings,
}

/// The exchange, step by step.
#[derive(Debug)]
pub(in crate::sasl) struct Client {
    credentials: Credentials,
    means: ScramMeans,
    variant: Variant,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Challenged,
    /// Waits for this signature.
    Proven([u8; HASH_OCTETS]),
    /// The server has proven itself.
    Done,
    Failed,
}

impl Client {
    pub(in crate::sasl) const fn new(variant: Variant, credentials: Credentials, means: ScramMeans) -> Self {
        Self { credentials, means, variant, state: State::First }
    }

    /// The next message, where the server said `challenge` (nothing before the first).
    pub(in crate::sasl) fn next(&mut self, challenge: &[u8]) -> Result<Vec<u8>, SaslError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::First => {
                self.state = State::Challenged;
                Ok(format!("{}{}", self.header(), self.bare()).into_bytes())
            }
            State::Challenged => self.proof(challenge),
            State::Proven(expected) => {
                let signature = server_final(challenge)?;
                if !bool::from(signature.ct_eq(&expected)) {
                    return Err(SaslError::Proof);
                }
                self.state = State::Done;
                Ok(Vec::new())
            }
            State::Done | State::Failed => Err(SaslError::Malformed),
        }
    }

    /// True once the server has shown that it knows the password's keys.
    pub(in crate::sasl) const fn has_verified_the_server(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// `gs2-header`. RFC 5802 §6: `y` where we could bind and the server did not offer it.
    fn header(&self) -> String {
        match (self.variant, self.means.bindings.preferred()) {
            (Variant::Bound, Some((name, _))) => format!("p={name},,"),
            (Variant::Unbound, Some(_)) => "y,,".to_owned(),
            (Variant::Bound | Variant::Unbound, None) => "n,,".to_owned(),
        }
    }

    fn bare(&self) -> String {
        format!("n={},r={}", escaped(&self.credentials.login), self.means.nonce.text())
    }

    fn proof(&mut self, challenge: &[u8]) -> Result<Vec<u8>, SaslError> {
        let first = server_first(challenge)?;
        let ours = self.means.nonce.text();
        // RFC 5802 §5.1: the nonce begins with ours and goes on with the server's own.
        if !first.nonce.starts_with(&ours) || first.nonce.len() == ours.len() {
            return Err(SaslError::Nonce);
        }
        if !(ScramKeys::ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return Err(SaslError::Malformed);
        }
        let mut binding = self.header().into_bytes();
        if let (Variant::Bound, Some((_, data))) = (self.variant, self.means.bindings.preferred()) {
            binding.extend_from_slice(data);
        }
        let without_proof = format!("c={},r={}", encode(&binding), first.nonce);
        let said = String::from_utf8_lossy(challenge);
        let auth_message = format!("{},{said},{without_proof}", self.bare());
        let salted = salted_password(&self.credentials.password, &first.salt, first.iterations);
        let client_key = mac(&salted, b"Client Key");
        let signature = mac(&hash(&client_key), auth_message.as_bytes());
        let proof: Vec<u8> =
            client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        self.state = State::Proven(mac(&mac(&salted, b"Server Key"), auth_message.as_bytes()));
        Ok(format!("{without_proof},p={}", encode(&proof)).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    fn client() -> Client {
        let credentials =
            Credentials { login: "user".to_owned(), password: Secret::new("pencil".to_owned()) };
        let means =
            ScramMeans { nonce: Nonce::new([1; Nonce::OCTETS]), bindings: ChannelBindings::default() };
        Client::new(Variant::Unbound, credentials, means)
    }

    fn challenged(challenge: &str) -> Result<Vec<u8>, SaslError> {
        let mut client = client();
        client.next(b"").unwrap();
        client.next(challenge.as_bytes())
    }

    #[test]
    fn a_server_that_answers_another_nonce_is_refused() {
        let ours = Nonce::new([1; Nonce::OCTETS]).text();
        assert!(challenged(&format!("r={ours}x,s={SALT},i=4096")).is_ok());
        for nonce in [ours.clone(), format!("x{ours}"), "x".to_owned()] {
            assert_eq!(challenged(&format!("r={nonce},s={SALT},i=4096")), Err(SaslError::Nonce));
        }
    }

    #[test]
    fn too_little_or_far_too_much_work_is_refused() {
        let ours = Nonce::new([1; Nonce::OCTETS]).text();
        for iterations in [0, 1, 4095, ITERATIONS_MAX + 1, u32::MAX] {
            let challenge = format!("r={ours}x,s={SALT},i={iterations}");
            assert_eq!(challenged(&challenge), Err(SaslError::Malformed), "{iterations}");
        }
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let ours = Nonce::new([1; Nonce::OCTETS]).text();
        let mut client = client();
        client.next(b"").unwrap();
        client.next(format!("r={ours}x,s={SALT},i=4096").as_bytes()).unwrap();
        assert!(!client.has_verified_the_server());
        assert_eq!(client.next(format!("v={}", encode(&[0; 32])).as_bytes()), Err(SaslError::Proof));
        assert!(!client.has_verified_the_server());
    }
}
