//! What AUTH, and whoever needs a login first, is answered (RFC 4954).

use mailwire::smtp::{Enhanced, Reply};

/// RFC 4954 §6, 235 2.7.0.
pub(crate) fn login_accepted() -> Reply {
    Reply::new(235, Enhanced(2, 7, 0), "Login accepted")
}

/// RFC 4954 §4: the blank stays even where the challenge is empty; no enhanced code in 3yz (RFC 2034 §4).
pub(crate) fn challenge(base64: String) -> Reply {
    Reply::plain(334, base64)
}

/// RFC 4954 §6, 500 5.5.6.
pub(crate) fn login_line_too_long() -> Reply {
    Reply::new(500, Enhanced(5, 5, 6), "Line too long, the login is cancelled")
}

/// RFC 4954 §4, §6, 530 5.7.0, over a connection that allows a login.
pub(crate) fn login_first() -> Reply {
    Reply::new(
        530,
        Enhanced(5, 7, 0),
        "Please log in first: switch on authentication for the outgoing server in your mail program",
    )
}

/// RFC 3207 §4, RFC 4954 §6: 530 5.7.0, over a connection that allows no login without TLS.
pub(crate) fn tls_and_login_first() -> Reply {
    Reply::new(
        530,
        Enhanced(5, 7, 0),
        "Please use STARTTLS and log in first: switch on both for the outgoing server in your mail program",
    )
}

/// RFC 4954 §6, 538 5.7.11.
pub(crate) fn tls_before_login() -> Reply {
    Reply::new(
        538,
        Enhanced(5, 7, 11),
        "Logging in needs an encrypted connection: switch on STARTTLS for the outgoing server in your mail program",
    )
}

/// AUTH on the port of other servers, where it is not announced (RFC 5321 §4.2.4); RFC 3463 §3.6, X.5.1.
pub(crate) fn no_login_here() -> Reply {
    Reply::new(502, Enhanced(5, 5, 1), "There is no login on this port: submit mail on port 587 or 465")
}

/// RFC 4954 §4: AUTH once a session; RFC 3463 §3.6, X.5.1.
pub(crate) fn logged_in_already() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "You are logged in already")
}

/// RFC 4954 §4, 504; RFC 3463 §3.6, X.5.4.
pub(crate) fn mechanism_not_known() -> Reply {
    Reply::new(504, Enhanced(5, 5, 4), "This way to log in is not offered: use PLAIN or LOGIN")
}

/// RFC 4954 §4: the client's `*`; RFC 3463 §3.8, X.7.0.
pub(crate) fn login_cancelled() -> Reply {
    Reply::new(501, Enhanced(5, 7, 0), "Login cancelled")
}

/// RFC 4954 §4, 501 5.5.2.
pub(crate) fn login_not_readable() -> Reply {
    Reply::new(
        501,
        Enhanced(5, 5, 2),
        "The login cannot be read: it is not base64 of what the mechanism needs",
    )
}

/// RFC 4954 §6, 535 5.7.8: one text for every cause, so that names cannot be found out.
pub(crate) fn login_refused() -> Reply {
    Reply::new(535, Enhanced(5, 7, 8), "The user name or the password is wrong")
}

/// RFC 4954 §6, 454 4.7.0.
pub(crate) fn login_unavailable() -> Reply {
    Reply::new(454, Enhanced(4, 7, 0), "Logging in is not possible at the moment, please try again later")
}

/// RFC 4954 §6, 454 4.7.0: nothing was looked at, so it says nothing about the password.
pub(crate) fn login_put_off() -> Reply {
    Reply::new(454, Enhanced(4, 7, 0), "Too many wrong passwords lately, please try again in a while")
}

/// RFC 5321 §3.8, §7.8; RFC 3463 §3.8, X.7.0.
pub(crate) fn too_many_login_failures() -> Reply {
    Reply::new(421, Enhanced(4, 7, 0), "Too many failed logins, please check user name and password")
}
