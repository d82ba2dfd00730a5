//! Any responses of a client and any challenges of a server: both sides of every mechanism answer or give up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::sasl::{
    BearerToken, ChannelBindings, Client, Credentials, Exchange, Mechanism, Nonce, Proven, SaslError,
    ScramKeys, Server, Surroundings, TokenVerdict, Tokens, encode,
};
use mailwire::secret::Secret;

/// More responses than any exchange takes.
const RESPONSES_MAX: usize = 8;
const LOGIN: &str = "alice@example.test";
const MECHANISMS: [Mechanism; 7] = [
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::ScramSha256,
    Mechanism::ScramSha256Plus,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
    Mechanism::External,
];

fn surroundings() -> Surroundings {
    Surroundings {
        bindings: ChannelBindings::new(Some([7; 32]), Some(vec![8; 32])),
        certificate_logins: vec![LOGIN.to_owned()],
        tokens: Tokens::Checked,
    }
}

/// Answers what the exchange asks until it waits for the client; nothing where it is over.
fn answered(server: &mut Server, mut exchange: Result<Exchange, SaslError>) -> Option<()> {
    // Nobody can meet these keys: their password is not known to anybody.
    let keys = ScramKeys { salt: vec![1; 16], iterations: 4096, stored_key: [2; 32], server_key: [3; 32] };
    loop {
        exchange = match exchange.ok()? {
            Exchange::Challenge(_) => return Some(()),
            Exchange::Keys(_) => server.keys(&keys, &Nonce::new([4; Nonce::OCTETS])),
            Exchange::Proof(_) => unreachable!("nobody can meet these keys"),
            Exchange::Token(shown) if shown.token.expose() == "good" => {
                server.token(TokenVerdict::Login(LOGIN.to_owned()))
            }
            Exchange::Token(_) => server.token(TokenVerdict::Refused),
            Exchange::Verify(credentials) => {
                assert!(!credentials.login.contains('\0') && !credentials.login.is_empty());
                return None;
            }
            // By a good token or the certificate, for whom they name and nobody else.
            Exchange::Proven(Proven { identity, login }) => {
                assert_eq!(identity, LOGIN);
                let (user, domain) = LOGIN.split_once('@').unwrap();
                let is_of_user = login.to_lowercase().starts_with(&format!("{user}+"));
                assert!(login == LOGIN || (is_of_user && login.ends_with(domain)), "{login}");
                return None;
            }
        };
    }
}

/// With each line as it came, or as base64 of it, so that what is inside is reached as well.
fn server(mechanism: Mechanism, lines: &[&[u8]], is_open: bool) -> Option<()> {
    let mut server = Server::new(mechanism, &surroundings());
    let lines: Vec<String> = lines
        .iter()
        .map(|line| if is_open { encode(line) } else { String::from_utf8_lossy(line).into_owned() })
        .collect();
    let (first, rest) = lines.split_first()?;
    let begun = server.begin(Some(first.as_str()).filter(|initial| !initial.is_empty()));
    answered(&mut server, begun)?;
    for line in rest.iter().take(RESPONSES_MAX) {
        let next = server.response(line.as_bytes());
        answered(&mut server, next)?;
    }
    Some(())
}

fn client(mechanism: Mechanism, lines: &[&[u8]]) {
    let credentials = Credentials { login: LOGIN.to_owned(), password: Secret::new("hush".to_owned()) };
    let token = BearerToken { login: Some(LOGIN.to_owned()), token: Secret::new("good".to_owned()) };
    let mut client = match mechanism {
        Mechanism::Plain | Mechanism::Login => match Client::with_password(mechanism, credentials, None) {
            Some(client) => client,
            None => return,
        },
        // A target of its own, scram_client, has it: its hashing is slow.
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => return,
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Client::with_token(mechanism, &token),
        Mechanism::External => Client::with_certificate(None),
    };
    let _ = client.initial();
    for line in lines.iter().take(RESPONSES_MAX) {
        let _ = client.respond(line);
        let _ = client.respond(encode(line).as_bytes());
    }
}

fuzz_target!(|octets: &[u8]| {
    let lines: Vec<&[u8]> = octets.split(|octet| *octet == b'\n').collect();
    for mechanism in MECHANISMS {
        let _ = server(mechanism, &lines, true);
        let _ = server(mechanism, &lines, false);
        client(mechanism, &lines);
    }
});
