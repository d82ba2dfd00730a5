//! What went wrong with TLS, in the words of RFC 8460 §4.3.

use mailwire::net::{DaneError, TlsError};
use tokio_rustls::rustls::{CertificateError, Error, OtherError};

use super::session::Fault;

/// What a failed handshake is called, and why it failed. `None` for what may pass by itself (RFC 8460 §4.3.4), or is our own
/// fault.
pub(crate) fn fault(error: &TlsError) -> Option<(Fault, String)> {
    match error {
        TlsError::Unavailable | TlsError::TimedOut(_) => None,
        TlsError::Injection(_) | TlsError::TooWeak(_) => Some((Fault::ValidationFailure, error.to_string())),
        TlsError::Handshake(io) => match error.cause() {
            Some(cause) => Some(objection(cause)),
            // The connection broke.
            None if io.get_ref().is_none() => None,
            None => Some((Fault::ValidationFailure, io.to_string())),
        },
    }
}

/// What TLS itself objects to.
pub(crate) fn objection(error: &Error) -> (Fault, String) {
    let Error::InvalidCertificate(problem) = error else {
        return (Fault::ValidationFailure, error.to_string());
    };
    if let CertificateError::Other(OtherError(ours)) = problem {
        let fault = match ours.downcast_ref::<DaneError>() {
            Some(DaneError::OtherName) => Fault::CertificateHostMismatch,
            Some(DaneError::NoMatch) | None => Fault::CertificateNotTrusted,
        };
        return (fault, ours.to_string());
    }
    let is_of_time = matches!(
        problem,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    );
    let is_of_name = matches!(
        problem,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    );
    let fault = match (is_of_time, is_of_name) {
        (true, _) => Fault::CertificateExpired,
        (false, true) => Fault::CertificateHostMismatch,
        (false, false) => Fault::CertificateNotTrusted,
    };
    (fault, problem.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn told(problem: CertificateError) -> Fault {
        let error = io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(problem));
        fault(&TlsError::Handshake(error)).unwrap().0
    }

    #[test]
    fn each_problem_of_a_certificate_has_its_name() {
        assert_eq!(told(CertificateError::Expired), Fault::CertificateExpired);
        assert_eq!(told(CertificateError::NotValidForName), Fault::CertificateHostMismatch);
        assert_eq!(told(CertificateError::UnknownIssuer), Fault::CertificateNotTrusted);
        let dane = |error: DaneError| told(CertificateError::Other(OtherError(Arc::new(error))));
        assert_eq!(dane(DaneError::NoMatch), Fault::CertificateNotTrusted);
        assert_eq!(dane(DaneError::OtherName), Fault::CertificateHostMismatch);
    }

    #[test]
    fn what_may_pass_is_not_told() {
        assert_eq!(fault(&TlsError::TimedOut(Duration::ZERO)), None);
        assert_eq!(fault(&TlsError::Handshake(io::ErrorKind::ConnectionReset.into())), None);
        assert_eq!(fault(&TlsError::TooWeak("version")).unwrap().0, Fault::ValidationFailure);
        let alert = io::Error::new(io::ErrorKind::InvalidData, Error::HandshakeNotComplete);
        assert_eq!(fault(&TlsError::Handshake(alert)).unwrap().0, Fault::ValidationFailure);
    }
}
