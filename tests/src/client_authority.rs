//! An authority that signs the certificates of clients, and what it has signed.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Signs for mailboxes; its files lie in one folder.
pub struct ClientAuthority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    name: &'static str,
}

impl ClientAuthority {
    /// Makes an authority and writes its certificate into `folder`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn make(folder: &Path, name: &'static str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = parameters.self_signed(&key).map_err(io::Error::other)?;
        let made = Self { issuer: Issuer::new(parameters, key), folder: folder.to_owned(), name };
        std::fs::write(made.file(), authority.pem())?;
        Ok(made)
    }

    /// Its certificate, in PEM form.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A certificate for `mailboxes` and its key, in one file in PEM form.
    ///
    /// # Errors
    /// Where a mailbox is not ASCII, or the file cannot be written.
    pub fn sign(&self, mailboxes: &[&str]) -> io::Result<PathBuf> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "a client");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for mailbox in mailboxes {
            let name = (*mailbox).try_into().map_err(io::Error::other)?;
            parameters.subject_alt_names.push(SanType::Rfc822Name(name));
        }
        let leaf = parameters.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let file = self.folder.join(format!("{} {}.pem", self.name, mailboxes.join(" ")));
        std::fs::write(&file, leaf.pem() + &key.serialize_pem())?;
        Ok(file)
    }
}
