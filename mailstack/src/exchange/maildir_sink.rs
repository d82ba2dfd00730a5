//! A Maildir that an export fills: Dovecot can serve it at once, with the same unique-ids, and an import takes it back.

use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mailwire::clock;

use super::file_names::encoded;
use super::files::about;
use super::line_ends::ToLf;
use super::maildir_source::{self, read_list};
use super::new_file::NewFile;
use super::sink::{Begun, Outgoing, Sink};
use super::uidl_format::UidlFormat;
use super::uidlist::{self, Uidlist};

/// The folder, and what was in it before.
#[derive(Debug)]
pub(crate) struct MaildirSink {
    root: PathBuf,
    list: Uidlist,
    /// Unique-ids that Dovecot shows for what is there.
    shown: HashSet<String>,
    /// Names of files up to their flags.
    there: HashSet<Vec<u8>>,
    /// What is to stand in the list besides, in order.
    unlisted: Vec<(Vec<u8>, String)>,
    open: Option<(NewFile, ToLf)>,
}

impl MaildirSink {
    /// Makes what is missing; refuses a folder that holds something else.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let is_used = root.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if is_used && !root.join("cur").is_dir() {
            return Err(io::Error::other(format!("{} is not empty and no Maildir", root.display())));
        }
        // `cur` last: where it is, the others are.
        for part in ["tmp", "new", "cur"] {
            let folder = root.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(about(&folder))?;
        }
        let listed = maildir_source::list(root, &UidlFormat::default())?;
        let there = listed.iter().filter_map(|listed| listed.path.file_name());
        let there = there.map(|name| uidlist::base(name.as_bytes()).to_owned()).collect();
        let shown = listed.into_iter().filter_map(|listed| listed.item.carried).collect();
        let list = match read_list(root, uidlist::FILE_NAME, Uidlist::parse)? {
            Some(list) => list,
            None => new_list()?,
        };
        Ok(Self { root: root.to_owned(), list, shown, there, unlisted: Vec::new(), open: None })
    }

    /// Has the list say what Dovecot shows for every message that was exported.
    fn complete_list(&mut self) {
        let mut places: HashMap<Vec<u8>, usize> = self
            .list
            .entries
            .iter()
            .enumerate()
            .map(|(place, listed)| (listed.base.clone(), place))
            .collect();
        for (base, unique_id) in self.unlisted.drain(..) {
            // An export that was cut off had no time for the list, and Dovecot has made entries of its own since.
            match places.remove(&base).and_then(|place| self.list.entries.get_mut(place)) {
                Some(listed) => listed.show(&unique_id),
                None => self.list.push(base, &unique_id),
            }
        }
    }
}

/// The list of a Maildir that was never served: its UIDs are valid from now on.
fn new_list() -> io::Result<Uidlist> {
    let mut mailbox = [0; 16];
    getrandom::fill(&mut mailbox).map_err(io::Error::other)?;
    Ok(Uidlist::new(u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX), mailbox))
}

impl Sink for MaildirSink {
    fn begin(&mut self, message: &Outgoing) -> io::Result<Begun> {
        self.open = None;
        if self.shown.contains(&message.unique_id) {
            return Ok(Begun::IsThere);
        }
        // The same name in every export: that is how a later one finds it.
        let base = format!("{}.{}.mailstack", message.received_at, encoded(&message.unique_id));
        let is_there = self.there.contains(base.as_bytes());
        if !is_there {
            let name = self.root.join("cur").join(format!("{base}:2,S"));
            let file = NewFile::create(self.root.join("tmp").join(&base), name, message.received_at)?;
            self.open = Some((file, ToLf::default()));
        }
        self.unlisted.push((base.into_bytes(), message.unique_id.clone()));
        Ok(if is_there { Begun::IsThere } else { Begun::Writing })
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some((file, to_lf)) = &mut self.open else { return Ok(()) };
        let mut converted = Vec::with_capacity(octets.len());
        to_lf.convert(octets, &mut converted);
        file.write(&converted)
    }

    fn end(&mut self) -> io::Result<()> {
        let Some((mut file, to_lf)) = self.open.take() else { return Ok(()) };
        let mut rest = Vec::new();
        to_lf.finish(&mut rest);
        file.write(&rest)?;
        file.commit()
    }

    fn close(&mut self) -> io::Result<()> {
        self.open = None;
        let cur = self.root.join("cur");
        File::open(&cur).and_then(|folder| folder.sync_all()).map_err(about(&cur))?;
        if self.unlisted.is_empty() {
            return Ok(());
        }
        self.complete_list();
        let mut text = Vec::new();
        self.list.write(&mut text)?;
        let (written, name) = (self.root.join("tmp/dovecot-uidlist"), self.root.join(uidlist::FILE_NAME));
        let mut file = NewFile::create(written, name, clock::unix_seconds())?;
        file.write(&text)?;
        file.commit()?;
        File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(about(&self.root))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::Files;
    use super::super::files::tests::all;
    use super::super::sink::tests::{export, outgoing};
    use super::*;

    fn carried(root: &Path) -> Vec<String> {
        let listed = maildir_source::list(root, &UidlFormat::default()).unwrap();
        listed.into_iter().map(|listed| listed.item.carried.unwrap_or_default()).collect()
    }

    #[test]
    fn what_is_exported_is_read_with_its_unique_id_octet_for_octet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let messages = [
            outgoing("z/b:1", b"A: b\r\n\r\n\rx\r\r\n"),
            outgoing("c", b"C: d\r\n\r\n"),
            outgoing("b", b"C: d\r\n"),
        ];
        assert_eq!(export(&mut MaildirSink::open(&root).unwrap(), &messages), 3);
        let text = fs::read(root.join("cur/1700000000.z%2Fb%3A1.mailstack:2,S")).unwrap();
        assert_eq!(text, b"A: b\n\n\rx\r\r\n");
        let listed = maildir_source::list(&root, &UidlFormat::default()).unwrap();
        for ((message, content), (item, read)) in messages.iter().zip(all(&mut Files::new(listed))) {
            let item = item.unwrap();
            assert_eq!(item.carried.as_deref(), Some(message.unique_id.as_str()));
            assert_eq!(item.received_at, Some(message.received_at));
            assert_eq!(&read, content);
        }
        assert_eq!(root.join("tmp").read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_second_export_adds_what_is_missing_and_keeps_what_dovecot_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let [a, b, c] = ["a", "b", "c"].map(|name| outgoing(name, b"A: b\r\n"));
        export(&mut MaildirSink::open(root).unwrap(), &[a.clone(), b.clone()]);
        let list = fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
        fs::write(root.join("dovecot-uidlist"), list.replace("1 Pa", "1 W9 Pa").replace("N3", "N7")).unwrap();
        fs::rename(root.join("cur/1700000000.a.mailstack:2,S"), root.join("cur/1700000000.a.mailstack:2,RS"))
            .unwrap();
        assert_eq!(export(&mut MaildirSink::open(root).unwrap(), &[a, b, c.clone()]), 1);
        let list = fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
        assert!(list.contains("\n1 W9 Pa :1700000000.a.mailstack\n"), "{list}");
        assert!(list.ends_with("\n7 Pc :1700000000.c.mailstack\n"), "{list}");
        assert_eq!(export(&mut MaildirSink::open(root).unwrap(), &[c]), 0);
        assert_eq!(carried(root), ["a", "b", "c"]);
    }

    #[test]
    fn an_export_that_was_cut_off_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let [a, b] = ["a", "b"].map(|name| outgoing(name, b"A: b\r\n"));
        let mut cut_off = MaildirSink::open(root).unwrap();
        cut_off.begin(&a.0).unwrap();
        cut_off.write(&a.1).unwrap();
        cut_off.end().unwrap();
        drop(cut_off);
        fs::write(root.join("tmp/1700000000.b.mailstack"), "half").unwrap();
        assert_eq!(carried(root), [""]);
        assert_eq!(export(&mut MaildirSink::open(root).unwrap(), &[a.clone(), b]), 1);
        assert_eq!(carried(root), ["a", "b"]);

        let list = fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
        fs::write(root.join("dovecot-uidlist"), list.replace("1 Pa", "1")).unwrap();
        assert_eq!(export(&mut MaildirSink::open(root).unwrap(), &[a]), 0);
        assert_eq!(carried(root), ["a", "b"]);
    }

    #[test]
    fn a_message_that_is_not_ended_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = MaildirSink::open(folder.path()).unwrap();
        sink.begin(&outgoing("a", b"").0).unwrap();
        sink.write(b"x").unwrap();
        drop(sink);
        assert_eq!(folder.path().join("tmp").read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_holds_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "x").unwrap();
        assert!(MaildirSink::open(folder.path()).is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
