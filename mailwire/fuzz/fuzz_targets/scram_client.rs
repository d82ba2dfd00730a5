//! Any challenges of a server that speaks SCRAM: the client proves itself to nobody who has not gone on from its nonce, and
//! takes nobody for its server who does not know the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::sasl::{ChannelBindings, Client, Credentials, Mechanism, Nonce, SaslError, ScramMeans, encode};
use mailwire::secret::Secret;

const LOGIN: &str = "alice@example.test";
/// Stands in the input for the nonce that the client has made.
const NONCE: &[u8] = b"{nonce}";
/// Hashing takes as long as the server asks for; more is only slow.
const ITERATIONS_MAX: u32 = 5000;
/// Most challenges that are answered.
const CHALLENGES_MAX: usize = 4;

fn client(mechanism: Mechanism, nonce: &Nonce) -> Client {
    let credentials = Credentials { login: LOGIN.to_owned(), password: Secret::new("hush".to_owned()) };
    let bindings = ChannelBindings::new(Some([7; 32]), Some(vec![8; 32]));
    let means = ScramMeans { nonce: nonce.clone(), bindings };
    Client::with_password(mechanism, credentials, Some(&means)).expect("SCRAM takes a password")
}

/// With the client's nonce where the input has a place for it.
fn filled(challenge: &[u8], nonce: &str) -> Vec<u8> {
    match challenge.windows(NONCE.len()).position(|window| window == NONCE) {
        Some(at) => [&challenge[..at], nonce.as_bytes(), &challenge[at + NONCE.len()..]].concat(),
        None => challenge.to_vec(),
    }
}

/// The most iterations that a challenge may be read to ask for.
fn iterations(challenge: &[u8]) -> u32 {
    let runs = challenge.split(|octet| !octet.is_ascii_digit());
    let numbers = runs.filter(|run| !run.is_empty()).map(|run| std::str::from_utf8(run).ok()?.parse().ok());
    numbers.map(|number| number.unwrap_or(u32::MAX)).max().unwrap_or(0)
}

fn play(mechanism: Mechanism, challenges: &[&[u8]]) {
    let nonce = Nonce::new([4; Nonce::OCTETS]);
    let mut client = client(mechanism, &nonce);
    let first = client.initial().expect("SCRAM speaks first");
    assert!(!first.expose().is_empty());
    for challenge in challenges.iter().take(CHALLENGES_MAX) {
        let challenge = filled(challenge, &encode(&[4; Nonce::OCTETS]));
        let is_slow =
            String::from_utf8_lossy(&challenge).contains("i=") && iterations(&challenge) > ITERATIONS_MAX;
        if is_slow {
            return;
        }
        let answer = client.respond(encode(&challenge).as_bytes());
        if answer.is_ok_and(|answer| !answer.expose().is_empty()) {
            let beginning = format!("r={}", encode(&[4; Nonce::OCTETS]));
            assert!(challenge.windows(beginning.len()).any(|window| window == beginning.as_bytes()));
        }
        // Nobody can know the signature that only the password gives.
        assert_eq!(client.accepted(), Err(SaslError::Proof));
    }
}

fuzz_target!(|octets: &[u8]| {
    let challenges: Vec<&[u8]> = octets.split(|octet| *octet == b'\n').collect();
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
        play(mechanism, &challenges);
    }
});
