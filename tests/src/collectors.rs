//! Programs of others that collect mail from one maildrop again and again, as their users set them up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::clients::{Said, available, run, run_command, skipped};
use crate::programs::repository;
use crate::senders::{WAYS, Way, with_lf};
use crate::server::Server;

/// A program that collects mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// fetchmail, which hands each message to a shell.
    Fetchmail,
    /// getmail6, likewise; it knows no STLS.
    Getmail,
    /// mpop, into a Maildir.
    Mpop,
    /// mutt in a terminal, its key `G`, into a Maildir.
    Mutt,
    /// mutt, which opens the maildrop as a folder and copies what it has not in its cache.
    MuttFolder,
    /// s-nail, which opens the maildrop as a folder and copies it into a Maildir.
    SNail,
    /// Python's `poplib` in a script.
    Poplib,
    /// Perl's `Net::POP3` in a script.
    NetPop3,
    /// curl, once for the list and once for each message.
    Curl,
    /// claws-mail, on a screen that nobody sees.
    ClawsMail,
}

/// What happens to the messages on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// They stay.
    Leave,
    /// They go, those that were collected earlier as well.
    Delete,
}

impl Collector {
    /// The ways in which it comes to TLS.
    #[must_use]
    pub const fn ways(self) -> &'static [Way] {
        match self {
            Self::Getmail => &[Way::Tls],
            Self::Fetchmail
            | Self::Mpop
            | Self::Mutt
            | Self::MuttFolder
            | Self::SNail
            | Self::Poplib
            | Self::NetPop3
            | Self::Curl
            | Self::ClawsMail => &WAYS,
        }
    }

    /// True where it knows by the unique-ids what it has collected earlier.
    #[must_use]
    pub const fn remembers(self) -> bool {
        match self {
            Self::Mutt | Self::SNail => false,
            Self::Fetchmail
            | Self::Getmail
            | Self::Mpop
            | Self::MuttFolder
            | Self::Poplib
            | Self::NetPop3
            | Self::Curl
            | Self::ClawsMail => true,
        }
    }

    /// `content` as it keeps a message, above all with its line ends.
    #[must_use]
    pub fn as_kept(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Poplib | Self::NetPop3 | Self::Curl => content.to_vec(),
            Self::Fetchmail | Self::Getmail | Self::Mpop | Self::Mutt | Self::ClawsMail => with_lf(content),
            Self::MuttFolder => measured(&with_lf(content)),
            // An mbox would need the empty line; s-nail has it in a Maildir as well.
            Self::SNail => [with_lf(content).as_slice(), b"\n"].concat(),
        }
    }

    /// True where it is installed; says loudly that something is skipped where it is not.
    ///
    /// # Errors
    /// With `CI=true` in the environment, where nothing may be skipped.
    pub fn is_available(self) -> io::Result<bool> {
        match self {
            Self::Fetchmail => available("fetchmail"),
            Self::Getmail => available("getmail"),
            Self::Mpop => available("mpop"),
            Self::Mutt | Self::MuttFolder => Ok(available("mutt")? && available("script")?),
            Self::SNail => available("s-nail"),
            Self::Poplib => available("python3"),
            Self::Curl => available("curl"),
            Self::ClawsMail => {
                let programs = ["claws-mail", "Xvfb", "python3", "openssl"];
                programs.into_iter().try_fold(true, |all, program| Ok(all && available(program)?))
            }
            Self::NetPop3 => {
                let modules = ["-MNet::POP3", "-MIO::Socket::SSL", "-e", "1"];
                let found = available("perl")? && run("perl", &modules, b"")?.success;
                if !found {
                    skipped("Perl has no Net::POP3 with IO::Socket::SSL")?;
                }
                Ok(found)
            }
        }
    }
}

/// A message with the fields that mutt puts behind the others, which say how long the body is.
fn measured(content: &[u8]) -> Vec<u8> {
    let body_at = content.windows(2).position(|octets| octets == b"\n\n").map_or(content.len(), |at| at + 2);
    let (header, body) = content.split_at(body_at);
    let lines = body.split_inclusive(|octet| *octet == b'\n').count();
    let fields = format!("Content-Length: {}\nLines: {lines}\n\n", body.len());
    [header.strip_suffix(b"\n").unwrap_or(header), fields.as_bytes(), body].concat()
}

/// Somebody who collects with one program, all that was ever collected, and the program's memory of it.
pub struct Collection {
    folder: TempDir,
    collector: Collector,
    way: Way,
    login: String,
    password: String,
}

impl Collection {
    /// Nothing has been collected yet.
    ///
    /// # Errors
    /// Where there is no place to collect to.
    pub fn new(collector: Collector, way: Way, login: &str, password: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("collection-")?;
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.path().join("maildir").join(name))?;
        }
        Ok(Self { folder, collector, way, login: login.to_owned(), password: password.to_owned() })
    }

    /// Collects what is new, and gives all that was ever collected, sorted by its octets.
    ///
    /// # Errors
    /// Where the program fails.
    pub fn collect(&self, server: &Server, after: After) -> io::Result<Vec<Vec<u8>>> {
        let addresses = server.addresses()?;
        let port = match self.way {
            Way::StartTls => addresses.pop3.port(),
            Way::Tls => addresses.pop3s.port(),
        };
        let authority = server.certificate().authority.display().to_string();
        let call = Call { collection: self, port: port.to_string(), authority, after };
        match self.collector {
            Collector::Fetchmail => call.fetchmail(),
            Collector::Getmail => call.getmail(),
            Collector::Mpop => call.mpop(),
            Collector::Mutt => call.mutt(),
            Collector::MuttFolder => call.mutt_folder(),
            Collector::SNail => call.s_nail(),
            Collector::Poplib => call.script("python3", "tests/e2e/collect.py"),
            Collector::NetPop3 => call.script("perl", "tests/e2e/collect.pl"),
            Collector::Curl => call.curl(),
            Collector::ClawsMail => call.script("python3", "tests/e2e/claws.py"),
        }?;
        self.collected()
    }

    /// What lies in the Maildir, read or not.
    fn collected(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut collected = Vec::new();
        for name in ["cur", "new"] {
            for file in fs::read_dir(self.maildir().join(name))? {
                collected.push(fs::read(file?.path())?);
            }
        }
        collected.sort();
        Ok(collected)
    }

    fn maildir(&self) -> PathBuf {
        self.folder.path().join("maildir")
    }
}

/// One run of a program.
struct Call<'a> {
    collection: &'a Collection,
    port: String,
    authority: String,
    after: After,
}

impl Call<'_> {
    /// A file of the program's own.
    fn file(&self, name: &str) -> String {
        self.collection.folder.path().join(name).display().to_string()
    }

    fn maildir(&self) -> String {
        self.collection.maildir().display().to_string()
    }

    /// What a shell does with a message that it is handed.
    fn deliver(&self) -> String {
        format!("cat > $(mktemp {}/new/XXXXXXXX)", self.maildir())
    }

    /// Runs a program whose home is the collection's folder.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> io::Result<Said> {
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", self.collection.folder.path()).env("TERM", "dumb");
        run_command(&mut command, input.as_bytes())?.well()
    }

    fn fetchmail(&self) -> io::Result<Said> {
        let Collection { login, password, way, .. } = self.collection;
        let (port, authority, deliver) = (&self.port, &self.authority, self.deliver());
        let tls = match way {
            Way::StartTls => "sslproto TLS1+",
            Way::Tls => "ssl",
        };
        let after = match self.after {
            After::Leave => "keep",
            After::Delete => "nokeep flush",
        };
        let poll = format!(
            "poll localhost port {port} protocol POP3 uidl username \"{login}\" password \"{password}\" {tls} \
             sslcertck sslcertfile \"{authority}\" {after} mda \"{deliver}\"\n"
        );
        let arguments =
            ["-f", "-", "--invisible", "--idfile", &self.file("ids"), "--pidfile", &self.file("pid")];
        // It ends with 1 where there is nothing new.
        let shell = ["-c", "fetchmail \"$@\" || test $? = 1", "sh"];
        self.run("sh", &[shell.as_slice(), &arguments].concat(), &poll)
    }

    fn getmail(&self) -> io::Result<Said> {
        let Collection { login, password, .. } = self.collection;
        let delete = match self.after {
            After::Leave => "false",
            After::Delete => "true",
        };
        let settings = format!(
            "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {}\nusername = {login}\n\
             password = {password}\nca_certs = {}\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
             arguments = (\"-c\", \"{}\")\nallow_root_commands = true\n[options]\nread_all = false\n\
             delete = {delete}\ndelivered_to = false\nreceived = false\n",
            self.port,
            self.authority,
            self.deliver()
        );
        fs::write(self.file("getmailrc"), settings)?;
        self.run("getmail", &["--getmaildir", &self.file(""), "--rcfile", &self.file("getmailrc")], "")
    }

    fn mpop(&self) -> io::Result<Said> {
        let Collection { login, password, way, .. } = self.collection;
        let tls = match way {
            Way::StartTls => "on",
            Way::Tls => "off",
        };
        let keep = match self.after {
            After::Leave => "on",
            After::Delete => "off",
        };
        let arguments = [
            "--file=/dev/null".to_owned(),
            "--host=localhost".to_owned(),
            format!("--port={}", self.port),
            "--tls=on".to_owned(),
            format!("--tls-starttls={tls}"),
            format!("--tls-trust-file={}", self.authority),
            "--auth=on".to_owned(),
            format!("--user={login}"),
            format!("--passwordeval=echo {password}"),
            format!("--keep={keep}"),
            "--received-header=off".to_owned(),
            format!("--uidls-file={}", self.file("uidls")),
            format!("--delivery=maildir,{}", self.maildir()),
        ];
        self.run("mpop", &arguments.each_ref().map(String::as_str), "")
    }

    fn mutt(&self) -> io::Result<Said> {
        let delete = match self.after {
            After::Leave => "no",
            After::Delete => "yes",
        };
        let settings = format!(
            "set pop_pass=\"{}\" pop_delete={delete} pop_host=\"{}\"\npush \"<fetch-mail><exit>\"\n",
            self.collection.password,
            self.url("pops", "pop")
        );
        self.mutt_opens(&self.maildir(), &settings)
    }

    /// What lies in its cache by its unique-id is not new (`~N`) to mutt.
    fn mutt_folder(&self) -> io::Result<Said> {
        let cache = self.file("cache");
        fs::create_dir_all(&cache)?;
        let delete = match self.after {
            After::Leave => "",
            After::Delete => "<delete-pattern>~A<enter>",
        };
        let copy = format!("<copy-message><kill-line>{}<enter>", self.maildir());
        let settings = format!(
            "set message_cachedir=\"{cache}\" delete=yes quit=yes confirmappend=no\n\
             push \"<tag-pattern>~N<enter><tag-prefix-cond>{copy}<end-cond>{delete}<quit>\"\n"
        );
        self.mutt_opens(&self.url("pops", "pop"), &settings)
    }

    fn mutt_opens(&self, folder: &str, settings: &str) -> io::Result<Said> {
        let settings = format!(
            "set ssl_ca_certificates_file=\"{0}\" certificate_file=\"{0}\" ssl_verify_host ssl_force_tls\n\
             set folder=\"{1}\" spoolfile=\"{1}\" mbox_type=maildir record=\"\"\n{settings}",
            self.authority,
            self.maildir()
        );
        fs::write(self.file("muttrc"), settings)?;
        let mutt = format!("mutt -n -F {} -f {folder}", self.file("muttrc"));
        self.run("script", &["-qec", &mutt, "/dev/null"], "")
    }

    fn s_nail(&self) -> io::Result<Said> {
        let copy = format!("copy * \"maildir://{}\"\n", self.maildir());
        let end = match self.after {
            After::Leave => "exit\n",
            After::Delete => "delete *\nquit\n",
        };
        let authority = format!("-Stls-ca-file={}", self.authority);
        let url = self.url("pop3s", "pop3");
        let arguments = ["-:/", "-Sv15-compat", &authority, "-Stls-ca-no-defaults", "-Stls-verify=strict"];
        let arguments = [&arguments, ["-Spop3-use-starttls", "-#", "-f", &url].as_slice()].concat();
        self.run("s-nail", &arguments, &(copy + end))
    }

    /// A program that gets all it has to know as arguments.
    fn script(&self, interpreter: &str, script: &str) -> io::Result<Said> {
        let Collection { login, password, way, .. } = self.collection;
        let way = match way {
            Way::StartTls => "stls",
            Way::Tls => "tls",
        };
        let after = match self.after {
            After::Leave => "leave",
            After::Delete => "delete",
        };
        let script = repository().join(script).display().to_string();
        let arguments = [&self.port, way, &self.authority, login, password, &self.file(""), after];
        self.run(interpreter, &[[script.as_str()].as_slice(), &arguments].concat(), "")
    }

    fn curl(&self) -> io::Result<Said> {
        let listing = self.curl_asks("", &["--request", "UIDL"])?;
        let seen = self.file("seen");
        let mut known = if Path::new(&seen).exists() { fs::read_to_string(&seen)? } else { String::new() };
        for line in String::from_utf8_lossy(&listing.output).lines() {
            let (number, id) = line.split_once(' ').ok_or_else(|| io::Error::other(line.to_owned()))?;
            if !known.lines().any(|known| known == id) {
                let message = self.curl_asks(number, &[])?;
                fs::write(self.collection.maildir().join("new").join(id), message.output)?;
                known = known + id + "\n";
            }
            if self.after == After::Delete {
                // One session for each: the numbers of the others move up, so the first one always goes.
                self.curl_asks("1", &["--request", "DELE", "--head"])?;
            }
        }
        fs::write(&seen, known)?;
        Ok(listing)
    }

    fn curl_asks(&self, path: &str, more: &[&str]) -> io::Result<Said> {
        let url = self.url("pop3s", "pop3") + "/" + path;
        let arguments =
            ["--silent", "--show-error", "--ssl-reqd", "--cacert", &self.authority, "--url", &url];
        self.run("curl", &[&arguments, more].concat(), "")
    }

    /// The maildrop by the scheme of its way.
    fn url(&self, tls: &str, start_tls: &str) -> String {
        let Collection { login, password, way, .. } = self.collection;
        let scheme = match way {
            Way::StartTls => start_tls,
            Way::Tls => tls,
        };
        format!("{scheme}://{}:{password}@localhost:{}", login.replace('@', "%40"), self.port)
    }
}
