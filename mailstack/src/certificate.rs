//! The self-signed certificate of a first start.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use mailwire::clock;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use thiserror::Error;

/// How long it is valid: two years, within what clients accept.
const VALID: Duration = Duration::from_hours(730 * 24);
/// A client's clock may be behind ours by so much.
const SKEW: Duration = Duration::from_hours(24);

/// Why there is no certificate.
#[derive(Debug, Error)]
pub(crate) enum CertificateError {
    #[error("making a certificate failed")]
    Make(#[from] rcgen::Error),
    #[error("writing the new certificate into {folder} failed")]
    Write {
        folder: std::path::PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Makes a key (ECDSA P-256) and a certificate for `names`, and puts both in place, the certificate last.
pub(crate) fn make(names: &[&str], certificate: &Path, key: &Path) -> Result<(), CertificateError> {
    let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut parameters =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    parameters.not_before = (clock::now() - SKEW).into();
    parameters.not_after = (clock::now() + VALID).into();
    parameters.distinguished_name = DistinguishedName::new();
    let common_name = names.first().copied().unwrap_or("mailstack");
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let made = parameters.self_signed(&key_pair)?;
    let written = put(key, &key_pair.serialize_pem()).and_then(|()| put(certificate, &made.pem()));
    written.map_err(|source| {
        let folder = certificate.parent().unwrap_or(certificate).to_owned();
        CertificateError::Write { folder, source }
    })
}

/// Writes `text` so that the file is there whole or not at all.
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use mailwire::net::Certificates;

    use super::*;

    #[test]
    fn the_pair_fits_and_each_is_different() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        make(&["mail.example.test", "127.0.0.1"], &certificate, &key).unwrap();
        let first = Certificates::load(&certificate, &key).unwrap().fingerprint();
        make(&["mail.example.test", "127.0.0.1"], &certificate, &key).unwrap();
        assert_ne!(Certificates::load(&certificate, &key).unwrap().fingerprint(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
