//! Both sides against each other, and against messages that somebody has changed.

use proptest::prelude::*;

use super::*;

fn credentials(login: &str, password: &str) -> Credentials {
    Credentials { login: login.to_owned(), password: Secret::new(password.to_owned()) }
}

/// What came of an exchange at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Password(Credentials),
    Proven(String),
    Failed(SaslError),
}

/// A server whose only account has this login and password, and whose only token is `good`.
struct House {
    surroundings: Surroundings,
    keys: ScramKeys,
    login: String,
}

impl House {
    fn new(login: &str, password: &str) -> Self {
        let surroundings = Surroundings {
            bindings: ChannelBindings::new(Some([7; 32]), Some(vec![8; 32])),
            certificate_logins: vec![login.to_owned()],
            tokens: Tokens::Checked,
        };
        let password = Secret::new(password.to_owned());
        let keys = ScramKeys::derive(&password, b"salt", ScramKeys::ITERATIONS_MIN);
        Self { surroundings, keys, login: login.to_owned() }
    }

    /// A whole exchange; `change` sees each response of the client before the server does.
    fn exchange(
        &self,
        mechanism: Mechanism,
        client: &mut Client,
        initial: Option<()>,
        mut change: impl FnMut(usize, String) -> String,
    ) -> Outcome {
        let mut server = Server::new(mechanism, &self.surroundings);
        let initial =
            initial.and_then(|()| client.initial()).map(|initial| change(0, initial.expose().clone()));
        let mut responses = usize::from(initial.is_some());
        let mut next = server.begin(initial.as_deref());
        loop {
            next = match next {
                Err(error) => return Outcome::Failed(error),
                Ok(Exchange::Verify(credentials)) => return Outcome::Password(credentials),
                Ok(Exchange::Proven(Proven { identity, login })) => {
                    assert_eq!(identity, login);
                    return Outcome::Proven(login);
                }
                Ok(Exchange::Keys(_)) => server.keys(&self.keys, &Nonce::new([2; Nonce::OCTETS])),
                Ok(Exchange::Proof(_)) => server.heard(),
                Ok(Exchange::Token(token)) if token.token.expose() == "good" => {
                    server.token(TokenVerdict::Login(self.login.clone()))
                }
                Ok(Exchange::Token(_)) => server.token(TokenVerdict::Refused),
                Ok(Exchange::Challenge(challenge)) => {
                    let Ok(response) = client.respond(encode(&challenge).as_bytes()) else {
                        return Outcome::Failed(SaslError::Malformed);
                    };
                    responses += 1;
                    server.response(change(responses - 1, response.expose().clone()).as_bytes())
                }
            }
        }
    }
}

fn means(bindings: ChannelBindings) -> ScramMeans {
    ScramMeans { nonce: Nonce::new([1; Nonce::OCTETS]), bindings }
}

fn client(mechanism: Mechanism, login: &str, password: &str) -> Client {
    let token =
        |token: &str| BearerToken { login: Some(login.to_owned()), token: Secret::new(token.to_owned()) };
    match mechanism {
        Mechanism::Plain | Mechanism::Login => {
            Client::with_password(mechanism, credentials(login, password), None)
        }
        Mechanism::ScramSha256Plus => {
            let bindings = ChannelBindings::new(Some([7; 32]), None);
            Client::with_password(mechanism, credentials(login, password), Some(&means(bindings)))
        }
        Mechanism::ScramSha256 => {
            let means = means(ChannelBindings::default());
            Client::with_password(mechanism, credentials(login, password), Some(&means))
        }
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Some(Client::with_token(mechanism, &token("good"))),
        Mechanism::External => Some(Client::with_certificate(Some(login))),
    }
    .unwrap()
}

fn unchanged(_: usize, response: String) -> String {
    response
}

#[test]
fn a_login_without_a_domain_gets_one_and_any_other_stays() {
    let login = |login: &str| credentials(login, "").within("example.test").login;
    assert_eq!(login("alice"), "alice@example.test");
    assert_eq!(login("alice@example.org"), "alice@example.org");
}

/// The first challenge where there is no initial response.
fn first_challenge(mechanism: Mechanism) -> (Server, String) {
    let mut server = Server::new(mechanism, &Surroundings::default());
    let Ok(Exchange::Challenge(challenge)) = server.begin(None) else { panic!() };
    (server, encode(&challenge))
}

#[test]
fn the_challenges_of_login_are_the_ones_that_thunderbird_expects() {
    let (mut server, first) = first_challenge(Mechanism::Login);
    assert_eq!(first, "VXNlcm5hbWU6");
    let second = server.response(encode(b"alice").as_bytes()).unwrap();
    assert!(matches!(second, Exchange::Challenge(challenge) if encode(&challenge) == "UGFzc3dvcmQ6"));
}

#[test]
fn every_other_mechanism_begins_with_an_empty_challenge() {
    for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::Login) {
        assert_eq!(first_challenge(mechanism).1, "", "{mechanism:?}");
    }
}

#[test]
fn login_takes_the_name_as_initial_response() {
    let mut server = Server::new(Mechanism::Login, &Surroundings::default());
    let first = server.begin(Some(&encode(b"alice"))).unwrap();
    assert!(matches!(first, Exchange::Challenge(challenge) if *challenge == *b"Password:"));
    let Ok(Exchange::Verify(found)) = server.response(encode(b"secret").as_bytes()) else { panic!() };
    assert_eq!(found, credentials("alice", "secret"));
}

#[test]
fn an_initial_equals_sign_is_an_empty_response() {
    for mechanism in Mechanism::ALL {
        let begun = Server::new(mechanism, &Surroundings::default()).begin(Some("="));
        let expected =
            if mechanism == Mechanism::External { SaslError::Certificate } else { SaslError::Malformed };
        assert_eq!(begun.unwrap_err(), expected, "{mechanism:?}");
    }
}

#[test]
fn what_is_not_base64_is_told_apart() {
    for mechanism in Mechanism::ALL {
        for wrong in ["?", "YQ", "YQ=", "YR==", "YQ==\n", "Y Q==", "*"] {
            let begun = Server::new(mechanism, &Surroundings::default()).begin(Some(wrong));
            assert_eq!(begun.unwrap_err(), SaslError::Base64, "{wrong}");
        }
    }
}

#[test]
fn a_finished_exchange_takes_no_further_response() {
    let mut server = Server::new(Mechanism::Plain, &Surroundings::default());
    server.begin(Some(&encode(b"\0a\0b"))).unwrap();
    assert_eq!(server.response(b"").unwrap_err(), SaslError::Malformed);
}

#[test]
fn a_client_says_its_password_once() {
    let mut client = client(Mechanism::Plain, "a", "b");
    assert!(client.initial().is_some());
    assert_eq!(client.respond(b"").unwrap_err(), SaslError::Malformed);
}

#[test]
fn mechanisms_are_named_in_any_case_where_they_are_offered() {
    assert_eq!(Mechanism::named("scram-sha-256"), Some(Mechanism::ScramSha256));
    assert_eq!(Mechanism::named("CRAM-MD5"), None);
    let bare = Surroundings::default();
    let names: Vec<_> = bare.mechanisms().map(Mechanism::name).collect();
    assert_eq!(names, ["PLAIN", "LOGIN", "SCRAM-SHA-256"]);
    assert_eq!(bare.named("SCRAM-SHA-256-PLUS"), None);
    let all = House::new("a", "b").surroundings;
    assert!(all.mechanisms().eq(Mechanism::ALL));
    assert_eq!(all.named("external"), Some(Mechanism::External));
}

#[test]
fn a_client_keeps_its_password_at_home_where_it_can() {
    let all: Vec<_> = Mechanism::ALL.iter().map(|mechanism| mechanism.name().to_owned()).collect();
    let some = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let bound = means(ChannelBindings::new(Some([7; 32]), None));
    let unbound = means(ChannelBindings::default());
    let (plain, login) = (Mechanism::Plain, Mechanism::Login);
    assert_eq!(Mechanism::offered(&all, None), [plain, login]);
    assert_eq!(Mechanism::offered(&all, Some(&unbound)), [Mechanism::ScramSha256, plain, login]);
    assert_eq!(Mechanism::offered(&all, Some(&bound)), [Mechanism::ScramSha256Plus, plain, login]);
    let without = some(&["LOGIN", "SCRAM-SHA-256"]);
    assert_eq!(Mechanism::offered(&without, Some(&bound)), [Mechanism::ScramSha256, login]);
}

#[test]
fn a_client_that_could_be_bound_notices_that_plus_was_taken_out_of_the_list() {
    let house = House::new("alice", "pencil");
    let bound = means(house.surroundings.bindings.clone());
    let mechanism = Mechanism::ScramSha256;
    let mut client = Client::with_password(mechanism, credentials("alice", "pencil"), Some(&bound)).unwrap();
    let outcome = house.exchange(mechanism, &mut client, Some(()), unchanged);
    assert_eq!(outcome, Outcome::Failed(SaslError::ChannelBinding));
}

#[test]
fn an_exchange_bound_to_another_connection_fails() {
    let house = House::new("alice", "pencil");
    for bindings in [ChannelBindings::new(Some([6; 32]), None), ChannelBindings::new(None, Some(vec![9; 32]))]
    {
        let mechanism = Mechanism::ScramSha256Plus;
        let means = means(bindings);
        let mut client =
            Client::with_password(mechanism, credentials("alice", "pencil"), Some(&means)).unwrap();
        let outcome = house.exchange(mechanism, &mut client, Some(()), unchanged);
        assert_eq!(outcome, Outcome::Failed(SaslError::ChannelBinding));
    }
}

#[test]
fn a_refused_token_is_explained_before_the_exchange_fails() {
    let house = House::new("alice@x.test", "");
    for (mechanism, login, token) in [
        (Mechanism::OAuthBearer, "alice@x.test", "bad"),
        (Mechanism::OAuthBearer, "bob@x.test", "good"),
        (Mechanism::XOAuth2, "alice@x.test", "bad"),
        (Mechanism::XOAuth2, "alice@y.test", "good"),
    ] {
        let token = BearerToken { login: Some(login.to_owned()), token: Secret::new(token.to_owned()) };
        let mut client = Client::with_token(mechanism, &token);
        let mut said = Vec::new();
        let outcome = house.exchange(mechanism, &mut client, Some(()), |_, response| {
            said.push(response.clone());
            response
        });
        assert_eq!(outcome, Outcome::Failed(SaslError::Token));
        assert_eq!(said.len(), 2, "{mechanism:?}");
        assert_eq!(said[1], "AQ==");
    }
}

#[test]
fn any_answer_to_a_refusal_ends_it() {
    for dummy in ["AQ==", "", "=", "not base64"] {
        let house = House::new("alice", "");
        let mut server = Server::new(Mechanism::OAuthBearer, &house.surroundings);
        server.begin(Some(&encode(b"n,a=alice,\x01auth=Bearer x\x01\x01"))).unwrap();
        assert!(matches!(server.token(TokenVerdict::Refused), Ok(Exchange::Challenge(_))));
        assert_eq!(server.login(), Some("alice"));
        assert_eq!(server.response(dummy.as_bytes()).unwrap_err(), SaslError::Token, "{dummy}");
    }
}

#[test]
fn a_server_that_does_not_prove_itself_is_not_believed() {
    let mut client = client(Mechanism::ScramSha256, "alice", "pencil");
    client.initial().unwrap();
    assert_eq!(client.accepted(), Err(SaslError::Proof));
    assert_eq!(super::tests::client(Mechanism::Plain, "a", "b").accepted(), Ok(()));
}

#[test]
fn scram_with_another_password_fails() {
    let house = House::new("alice", "pencil");
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
        let outcome =
            house.exchange(mechanism, &mut client(mechanism, "alice", "pencil "), Some(()), unchanged);
        assert_eq!(outcome, Outcome::Failed(SaslError::Proof));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_server_gets_what_the_client_was_given(login in "[^\0\x01]{1,20}", password in "[^\0]{1,40}") {
        let house = House::new(&login, &password);
        for mechanism in Mechanism::ALL {
            for initial in [None, Some(())] {
                let mut client = client(mechanism, &login, &password);
                let outcome = house.exchange(mechanism, &mut client, initial, unchanged);
                let expected = if mechanism.sends_password() {
                    Outcome::Password(credentials(&login, &password))
                } else {
                    Outcome::Proven(login.clone())
                };
                prop_assert_eq!(outcome, expected, "{:?}", mechanism);
                prop_assert_eq!(client.accepted(), Ok(()));
            }
        }
    }

    /// Whatever is changed in any message, nobody gets in by SCRAM, or as somebody else by the others.
    #[test]
    fn a_changed_message_never_succeeds(which in 0..2_usize, at in 0..200_usize, to in any::<u8>()) {
        let house = House::new("alice", "pencil");
        for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
            let mut changed = false;
            let mut client = client(mechanism, "alice", "pencil");
            let outcome = house.exchange(mechanism, &mut client, Some(()), |number, response| {
                let mut octets = decode(response.as_bytes()).unwrap();
                if number == which && let Some(octet) = octets.get_mut(at) && *octet != to {
                    *octet = to;
                    changed = true;
                }
                encode(&octets)
            });
            prop_assert_eq!(matches!(outcome, Outcome::Proven(_)), !changed, "{:?}", outcome);
        }
    }

    #[test]
    fn any_response_is_answered(lines in proptest::collection::vec(any::<Vec<u8>>(), 1..4)) {
        let house = House::new("alice", "pencil");
        for mechanism in Mechanism::ALL {
            let mut server = Server::new(mechanism, &house.surroundings);
            let mut next = server.begin(None);
            for line in &lines {
                next = match next {
                    Ok(Exchange::Keys(_)) => server.keys(&house.keys, &Nonce::new([2; Nonce::OCTETS])),
                    Ok(Exchange::Token(_)) => server.token(TokenVerdict::Refused),
                    Ok(_) | Err(_) => server.response(encode(line).as_bytes()),
                };
            }
        }
    }
}

#[test]
fn a_client_may_name_a_subaddress_of_whom_it_has_proven_to_be() {
    let proven = |identity: &str, named: Option<&str>| {
        Proven::new(identity.to_owned(), named)
            .map(|Proven { identity, login }| format!("{identity} {login}"))
    };
    let alice = "alice@example.test";
    for (named, login) in [
        (None, alice),
        (Some("ALICE"), alice),
        (Some("Alice@Example.TEST"), alice),
        (Some("alice+junk"), "alice+junk@example.test"),
        (Some("Alice+Junk@Example.test"), "Alice+Junk@Example.test"),
    ] {
        assert_eq!(proven(alice, named), Some(format!("{alice} {login}")), "{named:?}");
    }
    for other in ["bob", "bob+alice", "alice@second.test", "alice+junk@second.test", "+junk", "alice+a b", ""]
    {
        assert_eq!(proven(alice, Some(other)), None, "{other}");
    }
    // What was proven is taken as it is: its own detail makes it nobody else.
    assert_eq!(proven("alice+junk@example.test", Some("alice")), None);
    let itself = "alice+junk@example.test alice+junk@example.test".to_owned();
    assert_eq!(proven("alice+junk@example.test", Some("alice+junk")), Some(itself));
    assert_eq!(proven("alice+junk@example.test", Some("alice+lists")), None);
}

#[test]
fn a_token_is_good_for_nobody_else_than_the_client_has_named() {
    let verdict = |named: Option<&str>, login: &str| {
        let shown = BearerToken { login: named.map(str::to_owned), token: Secret::new("x".to_owned()) };
        TokenVerdict::Login(login.to_owned()).of(&shown.within("example.test"), "example.test")
    };
    let alice = TokenVerdict::Login("alice@example.test".to_owned());
    for named in [None, Some("alice"), Some("Alice@Example.test")] {
        for login in ["alice", "alice@example.test"] {
            assert_eq!(verdict(named, login), alice, "{named:?} {login}");
        }
    }
    for (named, login) in [("alice", "alice@second.test"), ("bob", "alice"), ("alice@example.test", "alice@")]
    {
        assert_eq!(verdict(Some(named), login), TokenVerdict::Refused, "{named} {login}");
    }
}
