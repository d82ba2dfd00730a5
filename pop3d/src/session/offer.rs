//! What depends on the protection of the connection: whether one may log in, and whether STLS would work.

/// Whether USER, PASS and AUTH are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// They are.
    Allowed,
    /// Only after TLS has begun (RFC 8314 §4.1).
    NeedsTls,
}

/// Whether STLS would work now (RFC 2595 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stls {
    /// It would.
    Offered,
    /// TLS is active already.
    Active,
    /// There is no TLS to switch to.
    Unavailable,
    /// It belongs to the AUTHORIZATION state, which is over, or comes before UTF8 (RFC 6856 §2.1).
    TooLate,
}

/// What a session can offer at this moment, and CAPA says (RFC 2449 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Login.
    pub login: Login,
    /// STLS.
    pub stls: Stls,
}

impl Offer {
    /// Under TLS, before login.
    pub const TLS: Self = Self { login: Login::Allowed, stls: Stls::Active };
    /// After login, which was allowed therefore.
    pub const LOGGED_IN: Self = Self { login: Login::Allowed, stls: Stls::TooLate };
}
