//! SCRAM on the server's side (RFC 5802 §3, §5).
//!
//! ```text
//! First ──client-first──► Begun ──keys, nonce──► Challenged ──client-final──► server-final
//! ```

use subtle::ConstantTimeEq;

use super::super::gs2::BindingFlag;
use super::super::{ChannelBindings, Nonce, SaslError, encode};
use super::ScramKeys;
use super::attributes::{ClientFirst, client_final, client_first};
use super::keys::{HASH_OCTETS, hash, mac};

/// With or without channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sasl) enum Variant {
    Unbound,
    /// `-PLUS`.
    Bound,
}

/// Waits for the client's first message.
#[derive(Debug)]
pub(in crate::sasl) struct First {
    pub(in crate::sasl) variant: Variant,
    pub(in crate::sasl) bindings: ChannelBindings,
}

/// Knows who is there, and needs their keys.
#[derive(Debug)]
pub(in crate::sasl) struct Begun {
    login: String,
    bare: String,
    client_nonce: String,
    /// What the client must repeat: its header, then the channel binding data (RFC 5802 §6).
    binding: Vec<u8>,
}

/// Waits for the client's proof.
#[derive(Debug)]
pub(in crate::sasl) struct Challenged {
    login: String,
    /// `client-first-message-bare "," server-first-message ","`.
    said: String,
    nonce: String,
    binding: Vec<u8>,
    keys: ScramKeys,
}

impl First {
    /// Takes the client's first message.
    pub(in crate::sasl) fn client_first(&self, message: &[u8]) -> Result<Begun, SaslError> {
        let first = client_first(message)?;
        let mut binding = first.header_text.as_bytes().to_vec();
        binding.extend_from_slice(self.data(first.header.flag)?);
        let ClientFirst { header, bare, login, nonce, .. } = first;
        // RFC 5802 §5.1: an authorization identity other than the login is for somebody else.
        if header.authorization_identity.is_some_and(|identity| identity != login) {
            return Err(SaslError::AuthorizationIdentity);
        }
        Ok(Begun { login, bare: bare.to_owned(), client_nonce: nonce.to_owned(), binding })
    }

    /// The channel binding data that belong to the client's flag (RFC 5802 §6).
    fn data(&self, flag: BindingFlag<'_>) -> Result<&[u8], SaslError> {
        match (self.variant, flag) {
            (Variant::Unbound, BindingFlag::Unsupported) => Ok(&[]),
            // "y": the client thinks that we offered no -PLUS. Where we did, somebody took it out of the list.
            (Variant::Unbound, BindingFlag::NotOffered) if self.bindings.is_empty() => Ok(&[]),
            (Variant::Bound, BindingFlag::Used(name)) => {
                self.bindings.data(name).ok_or(SaslError::ChannelBinding)
            }
            (Variant::Unbound, BindingFlag::NotOffered | BindingFlag::Used(_))
            | (Variant::Bound, BindingFlag::Unsupported | BindingFlag::NotOffered) => {
                Err(SaslError::ChannelBinding)
            }
        }
    }
}

impl Begun {
    /// Who the client says it is.
    pub(in crate::sasl) fn login(&self) -> &str {
        &self.login
    }

    /// Challenges the client with what its keys were made of; for an unknown login these are false and nobody can
    /// tell (RFC 5802 §9 wants the same salt each time).
    pub(in crate::sasl) fn challenge(self, keys: &ScramKeys, nonce: &Nonce) -> (Vec<u8>, Challenged) {
        let nonce = self.client_nonce + &nonce.text();
        let first = format!("r={nonce},s={},i={}", encode(&keys.salt), keys.iterations);
        let said = format!("{},{first},", self.bare);
        (
            first.into_bytes(),
            Challenged { login: self.login, said, nonce, binding: self.binding, keys: keys.clone() },
        )
    }
}

impl Challenged {
    /// Takes the client's final message; returns whose it is, and what proves us to the client.
    ///
    /// The work is the same whatever is wrong with the proof.
    pub(in crate::sasl) fn client_final(self, message: &[u8]) -> Result<(String, Vec<u8>), SaslError> {
        let last = client_final(message)?;
        if last.nonce != self.nonce {
            return Err(SaslError::Nonce);
        }
        if last.binding != self.binding {
            return Err(SaslError::ChannelBinding);
        }
        let auth_message = self.said + last.without_proof;
        let proof: [u8; HASH_OCTETS] = last.proof.try_into().map_err(|_| SaslError::Malformed)?;
        // RFC 5802 §3: ClientKey := ClientProof XOR ClientSignature, and StoredKey is its hash.
        let signature = mac(&self.keys.stored_key, auth_message.as_bytes());
        let client_key: Vec<u8> =
            proof.iter().zip(signature).map(|(proof, signature)| proof ^ signature).collect();
        let server_signature = mac(&self.keys.server_key, auth_message.as_bytes());
        if !bool::from(hash(&client_key).ct_eq(&self.keys.stored_key)) {
            return Err(SaslError::Proof);
        }
        Ok((self.login, format!("v={}", encode(&server_signature)).into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::decode;
    use crate::secret::Secret;

    fn bindings() -> ChannelBindings {
        ChannelBindings::new(Some([7; 32]), Some(vec![8; 32]))
    }

    fn first(variant: Variant, bindings: ChannelBindings, message: &str) -> Result<(), SaslError> {
        First { variant, bindings }.client_first(message.as_bytes()).map(|_| ())
    }

    /// The server of RFC 7677's example, which has said its first message.
    fn challenged() -> Challenged {
        let salt = decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = ScramKeys::derive(&Secret::new("pencil".to_owned()), &salt, 4096);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
        let said = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={},i=4096,", encode(&salt));
        Challenged { login: "user".to_owned(), said, nonce, binding: b"n,,".to_vec(), keys }
    }

    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_exchange_of_rfc_7677_ends_as_printed() {
        let (login, server_final) = challenged().client_final(FINAL.as_bytes()).unwrap();
        assert_eq!(login, "user");
        assert_eq!(server_final, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn another_nonce_binding_or_proof_fails() {
        let refused = |message: String| challenged().client_final(message.as_bytes()).unwrap_err();
        assert_eq!(refused(FINAL.replace("k0,", "k1,")), SaslError::Nonce);
        assert_eq!(refused(FINAL.replace("hvYD", "hvYd")), SaslError::Nonce);
        assert_eq!(refused(FINAL.replace("c=biws", "c=eSws")), SaslError::ChannelBinding);
        assert_eq!(refused(FINAL.replace("p=dHzb", "p=eHzb")), SaslError::Proof);
        assert_eq!(refused(FINAL.replace("p=dHzb", "p=")), SaslError::Malformed);
        assert_eq!(refused(FINAL.replace(",p=", ",x=1,p=")), SaslError::Proof);
    }

    #[test]
    fn flag_y_fails_where_plus_was_offered() {
        assert_eq!(first(Variant::Unbound, bindings(), "y,,n=a,r=x"), Err(SaslError::ChannelBinding));
        assert_eq!(first(Variant::Unbound, ChannelBindings::default(), "y,,n=a,r=x"), Ok(()));
        assert_eq!(first(Variant::Unbound, bindings(), "n,,n=a,r=x"), Ok(()));
    }

    #[test]
    fn plus_is_bound_and_the_other_is_not() {
        for name in ["tls-exporter", "tls-server-end-point"] {
            let message = format!("p={name},,n=a,r=x");
            assert_eq!(first(Variant::Bound, bindings(), &message), Ok(()), "{name}");
            assert_eq!(
                first(Variant::Unbound, bindings(), &message),
                Err(SaslError::ChannelBinding),
                "{name}"
            );
        }
        for message in ["p=tls-unique,,n=a,r=x", "n,,n=a,r=x", "y,,n=a,r=x"] {
            assert_eq!(
                first(Variant::Bound, bindings(), message),
                Err(SaslError::ChannelBinding),
                "{message}"
            );
        }
    }

    #[test]
    fn nobody_logs_in_for_somebody_else() {
        assert_eq!(first(Variant::Unbound, bindings(), "n,a=a,n=a,r=x"), Ok(()));
        assert_eq!(
            first(Variant::Unbound, bindings(), "n,a=b,n=a,r=x"),
            Err(SaslError::AuthorizationIdentity)
        );
    }
}
