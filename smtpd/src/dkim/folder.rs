//! The folder of the keys: a folder for each domain, in it `SELECTOR.pem` for each key, and in `signing` which of them sign.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use mailwire::address::Domain;
use mailwire::secret::Secret;

use super::{Algorithm, DkimError, KeyPair, Selector};

/// What ends the name of a key's file.
const KEY_SUFFIX: &str = ".pem";
/// The file that names the keys that sign.
const SIGNING: &str = "signing";
/// Most octets of a key's file: one of 4096 bits has 3,300.
const FILE_OCTETS_MAX: u64 = 64 << 10;

/// Whether a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What leaves is signed with it.
    Signs,
    /// It waits until its record is published, or until nothing that it signed is on its way any more.
    Rests,
}

/// A key of a domain.
#[derive(Debug)]
pub struct Key {
    /// Which of the domain's keys it is.
    pub selector: Selector,
    /// The key itself.
    pub pair: KeyPair,
    /// Whether it is used.
    pub state: State,
    /// Seconds since 1970 when its file was written.
    pub made_at: i64,
}

/// The folder of the keys.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The one at `path`, whether or not it is there.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// False where nothing was ever put into it. Where that cannot be known, whoever reads a key is told why.
    pub(super) fn is_there(&self) -> bool {
        !matches!(fs::metadata(&self.0), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Reads every key that signs.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    pub fn check(&self) -> Result<(), DkimError> {
        for name in self.domains()? {
            let domain = Domain::parse(&name).map_err(|_| DkimError::Domain(name))?;
            self.signing(&domain)?;
        }
        Ok(())
    }

    /// The domains that have keys, in their order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn domains(&self) -> Result<Vec<String>, DkimError> {
        let mut domains = names_in(&self.0)?;
        domains.retain(|name| self.0.join(name).is_dir());
        domains.sort_unstable();
        Ok(domains)
    }

    /// The keys of a domain, in the order of their selectors.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    pub fn keys(&self, domain: &Domain) -> Result<Vec<Key>, DkimError> {
        let folder = self.of(domain)?;
        let signing = signing(&folder)?;
        let names = names_in(&folder)?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(KEY_SUFFIX));
        let selectors = stems.filter_map(|stem| stem.parse::<Selector>().ok());
        let mut keys =
            selectors.map(|selector| key(&folder, selector, &signing)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_unstable_by(|one, other| one.selector.cmp(&other.selector));
        Ok(keys)
    }

    /// The keys that sign for a domain.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    pub(super) fn signing(&self, domain: &Domain) -> Result<Vec<Key>, DkimError> {
        let folder = self.of(domain)?;
        let signing = signing(&folder)?;
        signing.iter().map(|selector| key(&folder, selector.clone(), &signing)).collect()
    }

    /// What changes whenever other keys sign; `None` where none do.
    ///
    /// # Errors
    /// Where that cannot be known.
    pub(super) fn stamp(&self, domain: &Domain) -> Result<Option<(u64, i64, i64)>, DkimError> {
        let Ok(folder) = self.of(domain) else { return Ok(None) };
        let path = folder.join(SIGNING);
        let known = if_there(fs::metadata(&path)).map_err(DkimError::file("reading", &path))?;
        Ok(known.map(|known| (known.ino(), known.mtime(), known.mtime_nsec())))
    }

    /// Makes a key, which rests until [`Self::sign_with`].
    ///
    /// # Errors
    /// Where the selector is taken, or the key cannot be written.
    pub fn make(&self, domain: &Domain, selector: &Selector, algorithm: Algorithm) -> Result<Key, DkimError> {
        let (_, text) = KeyPair::make(algorithm)?;
        self.add(domain, selector, text.expose().as_bytes())
    }

    /// Takes a key that was made elsewhere.
    ///
    /// # Errors
    /// Where `source` holds none, the selector is taken, or the key cannot be written.
    pub fn take(&self, domain: &Domain, selector: &Selector, source: &Path) -> Result<Key, DkimError> {
        let text = read(source)?;
        if KeyPair::read(text.expose()).is_none() {
            return Err(DkimError::NoKey { path: source.to_owned() });
        }
        self.add(domain, selector, text.expose())
    }

    fn add(&self, domain: &Domain, selector: &Selector, text: &[u8]) -> Result<Key, DkimError> {
        let folder = self.of(domain)?;
        self.make_ready(&folder).map_err(DkimError::file("writing", &folder))?;
        let path = folder.join(format!("{selector}{KEY_SUFFIX}"));
        match written(&path, text, &self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DkimError::Taken { domain: name(domain), selector: selector.clone() });
            }
            outcome => outcome.map_err(DkimError::file("writing", &path))?,
        }
        key(&folder, selector.clone(), &[])
    }

    /// Makes the folder of a domain, and the one that it lies in.
    fn make_ready(&self, folder: &Path) -> io::Result<()> {
        if let Some(above) = self.0.parent() {
            fs::create_dir_all(above)?;
            made(&self.0, above)?;
        }
        made(folder, &self.0)
    }

    /// Lets these keys sign from now on, and no others; none: mail of the domain is not signed.
    ///
    /// # Errors
    /// Where one is missing, or two are of one kind.
    pub fn sign_with(&self, domain: &Domain, selectors: &[Selector]) -> Result<(), DkimError> {
        let keys = self.keys(domain)?;
        let mut algorithms = Vec::new();
        for selector in selectors {
            let key = keys.iter().find(|key| key.selector == *selector);
            let missing = || DkimError::Missing { domain: name(domain), selector: selector.clone() };
            let algorithm = key.ok_or_else(missing)?.pair.algorithm();
            if algorithms.contains(&algorithm) {
                return Err(DkimError::TwoOfAKind { algorithm });
            }
            algorithms.push(algorithm);
        }
        let folder = self.of(domain)?;
        let (path, new) = (folder.join(SIGNING), folder.join(format!("{SIGNING}.new")));
        let text: String = selectors.iter().flat_map(|selector| [selector.as_str(), "\n"]).collect();
        // What an interrupted change has left.
        let _ = fs::remove_file(&new);
        let put = || {
            written(&new, text.as_bytes(), &self.0)?;
            fs::rename(&new, &path)?;
            File::open(&folder)?.sync_all()
        };
        put().map_err(DkimError::file("writing", &path))
    }

    /// Removes a key that does not sign.
    ///
    /// # Errors
    /// Where it signs, is missing, or cannot be removed.
    pub fn remove(&self, domain: &Domain, selector: &Selector) -> Result<(), DkimError> {
        let folder = self.of(domain)?;
        if signing(&folder)?.contains(selector) {
            return Err(DkimError::InUse { domain: name(domain), selector: selector.clone() });
        }
        let path = folder.join(format!("{selector}{KEY_SUFFIX}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(DkimError::Missing { domain: name(domain), selector: selector.clone() })
            }
            outcome => outcome.map_err(DkimError::file("removing", &path)),
        }
    }

    /// The folder of a domain: named in lower case and A-labels, as DNS and signatures name it.
    fn of(&self, domain: &Domain) -> Result<PathBuf, DkimError> {
        let name = name(domain);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        if name.split('.').all(is_label) { Ok(self.0.join(name)) } else { Err(DkimError::Domain(name)) }
    }
}

/// A domain as signatures name it (RFC 6376 §3.5: `d=` is in A-labels).
pub(super) fn name(domain: &Domain) -> String {
    domain.in_a_labels().to_string().to_ascii_lowercase()
}

/// The names in a folder; none where it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>, DkimError> {
    let entries = if_there(fs::read_dir(folder)).map_err(DkimError::file("reading", folder))?;
    let Some(entries) = entries else { return Ok(Vec::new()) };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    let names: Result<Vec<_>, _> = names.filter_map(Result::transpose).collect();
    names.map_err(DkimError::file("reading", folder))
}

/// The selectors of the keys that sign.
fn signing(folder: &Path) -> Result<Vec<Selector>, DkimError> {
    let path = folder.join(SIGNING);
    if if_there(fs::metadata(&path)).map_err(DkimError::file("reading", &path))?.is_none() {
        return Ok(Vec::new());
    }
    let text = read(&path)?;
    Ok(String::from_utf8_lossy(text.expose()).lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn key(folder: &Path, selector: Selector, signing: &[Selector]) -> Result<Key, DkimError> {
    let path = folder.join(format!("{selector}{KEY_SUFFIX}"));
    let pair = KeyPair::read(read(&path)?.expose()).ok_or_else(|| DkimError::NoKey { path: path.clone() })?;
    let made_at = fs::metadata(&path).map_err(DkimError::file("reading", &path))?.mtime();
    let state = if signing.contains(&selector) { State::Signs } else { State::Rests };
    Ok(Key { selector, pair, state, made_at })
}

fn read(path: &Path) -> Result<Secret<Vec<u8>>, DkimError> {
    let octets = fs::metadata(path).map_err(DkimError::file("reading", path))?.len();
    if octets > FILE_OCTETS_MAX {
        return Err(DkimError::NoKey { path: path.to_owned() });
    }
    fs::read(path).map(Secret::new).map_err(DkimError::file("reading", path))
}

/// `None` for what is not there; everything else that goes wrong stays an error, since "nobody signs" would hide it.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Writes a new file for those who may read the folder `like`.
fn written(path: &Path, octets: &[u8], like: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(octets)?;
    belong_alike(&file, like)?;
    file.sync_all()
}

/// Makes a folder for those who may read the folder `like`. One that is there already stays as it is.
fn made(path: &Path, like: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.and_then(|()| belong_alike(&File::open(path)?, like)),
    }
}

/// Gives a new file or folder to whom the folder `like` belongs to, which only root can give away, and lets its group read
/// it where the group may read the folder: smtpd may be a user of its own, whatever the umask here is.
fn belong_alike(new: &File, like: &Path) -> io::Result<()> {
    let (its, likes) = (new.metadata()?, fs::metadata(like)?);
    if (its.uid(), its.gid()) != (likes.uid(), likes.gid()) {
        fchown(new, Some(likes.uid()), Some(likes.gid()))?;
    }
    let mode = if its.is_dir() { 0o700 | likes.mode() & 0o050 } else { 0o600 | likes.mode() & 0o040 };
    new.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn selector(text: &str) -> Selector {
        text.parse().unwrap()
    }

    fn states(folder: &Folder, domain: &Domain) -> Vec<(String, State)> {
        let keys = folder.keys(domain).unwrap();
        keys.into_iter().map(|key| (key.selector.to_string(), key.state)).collect()
    }

    #[test]
    fn a_key_rests_until_it_is_used_and_can_be_removed_when_it_rests_again() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::new(path.path().to_owned());
        let domain = domain("B\u{fc}cher.example");
        assert!(folder.domains().unwrap().is_empty() && folder.keys(&domain).unwrap().is_empty());
        for name in ["a", "b"] {
            folder.make(&domain, &selector(name), Algorithm::Ed25519).unwrap();
        }
        assert_eq!(folder.domains().unwrap(), ["xn--bcher-kva.example"]);
        let taken = folder.make(&domain, &selector("a"), Algorithm::Ed25519).unwrap_err();
        assert!(matches!(taken, DkimError::Taken { .. }), "{taken}");
        assert_eq!(folder.stamp(&domain).unwrap(), None);

        folder.sign_with(&domain, &[selector("a")]).unwrap();
        let before = folder.stamp(&domain).unwrap().unwrap();
        assert_eq!(
            states(&folder, &domain),
            [("a".to_owned(), State::Signs), ("b".to_owned(), State::Rests)]
        );
        let in_use = folder.remove(&domain, &selector("a")).unwrap_err();
        assert!(matches!(in_use, DkimError::InUse { .. }), "{in_use}");

        folder.sign_with(&domain, &[selector("b")]).unwrap();
        assert_ne!(folder.stamp(&domain).unwrap().unwrap(), before);
        folder.remove(&domain, &selector("a")).unwrap();
        assert_eq!(states(&folder, &domain), [("b".to_owned(), State::Signs)]);
        for missing in [
            folder.remove(&domain, &selector("a")).unwrap_err(),
            folder.sign_with(&domain, &[selector("a")]).unwrap_err(),
        ] {
            assert!(matches!(missing, DkimError::Missing { .. }), "{missing}");
        }
        // The failed attempt has changed nothing.
        assert_eq!(folder.signing(&domain).unwrap().len(), 1);
        folder.sign_with(&domain, &[]).unwrap();
        assert!(folder.signing(&domain).unwrap().is_empty());
    }

    #[test]
    fn keys_are_for_those_who_may_read_the_folder() {
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let path = tempfile::tempdir().unwrap();
        for (folder_mode, below, file) in
            [(0o755, 0o750, 0o640), (0o750, 0o750, 0o640), (0o700, 0o700, 0o600)]
        {
            let above = path.path().join(format!("{folder_mode:o}"));
            fs::create_dir(&above).unwrap();
            fs::set_permissions(&above, Permissions::from_mode(folder_mode)).unwrap();
            let folder = Folder::new(above.join("keys"));
            folder.make(&domain("example.org"), &selector("a"), Algorithm::Ed25519).unwrap();
            folder.sign_with(&domain("example.org"), &[selector("a")]).unwrap();
            let names = ["keys", "keys/example.org", "keys/example.org/a.pem", "keys/example.org/signing"];
            let modes = names.map(|name| mode(&above.join(name)));
            assert_eq!(modes, [below, below, file, file], "{folder_mode:o}");
        }
    }

    /// A file in the folder's place stands for a folder without the right to it, which root has always.
    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_absent() {
        let path = tempfile::tempdir().unwrap();
        let no_folder = path.path().join("file");
        fs::write(&no_folder, "").unwrap();
        let folder = Folder::new(no_folder);
        let domain = domain("example.org");
        assert!(folder.is_there());
        let errors = [
            folder.stamp(&domain).unwrap_err(),
            folder.signing(&domain).unwrap_err(),
            folder.keys(&domain).unwrap_err(),
            folder.check().unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, DkimError::File { doing: "reading", .. }), "{error}");
        }
        assert!(!Folder::new(path.path().join("nothing")).is_there());
    }

    #[test]
    fn one_key_of_a_kind_signs() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::new(path.path().to_owned());
        let domain = domain("example.org");
        for name in ["a", "b"] {
            folder.make(&domain, &selector(name), Algorithm::Ed25519).unwrap();
        }
        let refused = folder.sign_with(&domain, &[selector("a"), selector("b")]).unwrap_err();
        assert_eq!(refused.to_string(), "of Ed25519 keys one can sign at a time; name one");
    }

    #[test]
    fn what_is_no_key_is_not_taken() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::new(path.path().join("keys"));
        let source = path.path().join("source.pem");
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "x", certificate, &"x".repeat(100 << 10)] {
            fs::write(&source, text).unwrap();
            let refused = folder.take(&domain("example.org"), &selector("a"), &source).unwrap_err();
            assert!(matches!(refused, DkimError::NoKey { .. }), "{refused}");
        }
        assert!(folder.domains().unwrap().is_empty());
    }

    #[test]
    fn a_domain_without_a_name_has_no_folder() {
        let folder = Folder::new(PathBuf::from("/nonexistent"));
        assert!(matches!(folder.keys(&domain("[192.0.2.1]")), Err(DkimError::Domain(_))));
    }
}
