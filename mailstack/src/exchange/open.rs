//! Opening a place where mail lies, or is to lie: a Maildir, an mbox file or a tree of `.eml` files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::eml::{self, EmlSink};
use super::files::{Files, about};
use super::from_line::FROM;
use super::maildir_sink::MaildirSink;
use super::maildir_source;
use super::mbox_sink::MboxSink;
use super::mbox_source::MboxSource;
use super::sink::{Outgoing, Sink};
use super::source::Source;
use super::uidl_format::UidlFormat;
use crate::arguments::MailFormat;

/// Why mail was not found, or cannot be put somewhere.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error(
        "{0} is neither a Maildir nor an mbox nor a tree of .eml files; if it is, say which with --format"
    )]
    Unknown(PathBuf),
    #[error("--uidl-format is about what a POP3 server shows for a Maildir, and {0} is none")]
    NoMaildir(PathBuf),
    #[error("reading the mail failed")]
    Read(#[source] io::Error),
    #[error("making room for the mail failed")]
    Write(#[source] io::Error),
}

/// Opens what lies at `path`; `uidl_format` is what its server shows, where that is not what it does by default.
pub(crate) fn open_source(
    path: &Path,
    format: Option<MailFormat>,
    uidl_format: Option<&UidlFormat>,
) -> Result<Box<dyn Source>, OpenError> {
    let format = match format {
        Some(format) => format,
        None => detect(path).map_err(OpenError::Read)?.ok_or_else(|| OpenError::Unknown(path.to_owned()))?,
    };
    if format != MailFormat::Maildir && uidl_format.is_some() {
        return Err(OpenError::NoMaildir(path.to_owned()));
    }
    let uidl_format = uidl_format.cloned().unwrap_or_default();
    Ok(match format {
        MailFormat::Maildir => {
            Box::new(Files::new(maildir_source::list(path, &uidl_format).map_err(OpenError::Read)?))
        }
        MailFormat::Mbox => Box::new(MboxSource::open(path).map_err(OpenError::Read)?),
        MailFormat::Eml => Box::new(Files::new(eml::list(path).map_err(OpenError::Read)?)),
    })
}

/// Opens `path` for `messages`, those of an earlier export among them.
pub(crate) fn open_sink(
    path: &Path,
    format: MailFormat,
    messages: &[Outgoing],
) -> Result<Box<dyn Sink>, OpenError> {
    let opened: io::Result<Box<dyn Sink>> = match format {
        MailFormat::Maildir => MaildirSink::open(path).map(|sink| Box::new(sink) as _),
        MailFormat::Mbox => MboxSink::open(path, messages).map(|sink| Box::new(sink) as _),
        MailFormat::Eml => EmlSink::open(path).map(|sink| Box::new(sink) as _),
    };
    opened.map_err(OpenError::Write)
}

fn detect(path: &Path) -> io::Result<Option<MailFormat>> {
    if path.metadata().map_err(about(path))?.is_dir() {
        let is_maildir = path.join("cur").is_dir();
        return Ok(Some(if is_maildir { MailFormat::Maildir } else { MailFormat::Eml }));
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FROM.len() as u64).read_to_end(&mut head))
        .map_err(about(path))?;
    Ok(if head == FROM {
        Some(MailFormat::Mbox)
    } else if eml::has_extension(path) {
        Some(MailFormat::Eml)
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn mail_is_known_by_what_it_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("maildir/cur")).unwrap();
        fs::create_dir(at("tree")).unwrap();
        fs::write(at("mbox"), "From x\n").unwrap();
        fs::write(at("one.eml"), "A: b\n").unwrap();
        fs::write(at("letter.txt"), "A: b\n").unwrap();
        for (name, format) in [
            ("maildir", Some(MailFormat::Maildir)),
            ("tree", Some(MailFormat::Eml)),
            ("mbox", Some(MailFormat::Mbox)),
            ("one.eml", Some(MailFormat::Eml)),
            ("letter.txt", None),
        ] {
            assert_eq!(detect(&at(name)).unwrap(), format, "{name}");
        }
        assert!(detect(&at("nothing")).unwrap_err().to_string().contains("nothing"));
    }

    #[test]
    fn a_format_of_unique_ids_is_for_maildirs() {
        let folder = tempfile::tempdir().unwrap();
        let refused = open_source(folder.path(), None, Some(&UidlFormat::default())).err().unwrap();
        assert!(matches!(refused, OpenError::NoMaildir(_)));
    }
}
