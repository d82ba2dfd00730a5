//! `mailstack rules`: the rules of an account for its mail are set, shown, checked and tried.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mailstore::{AdministrationError, Filing, NoRuleFile, RULE_FILE_OCTETS_MAX, RuleFile, Store};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use smtpd::filing::rules::{Answer, Decision, Facts, Mistake, Place as Put, Rules, decide};
use smtpd::session::Class;
use thiserror::Error;

use crate::arguments::{RulesCommand, RulesTestOptions};
use crate::output::Output;
use crate::place::Place;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";
/// Most octets of a message that are read to try rules with it.
const MESSAGE_OCTETS_MAX: u64 = 1 << 30;

/// Why rules were not set, or cannot be tried.
#[derive(Debug, Error)]
enum RulesError {
    #[error("reading {} failed", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{name} is no rules")]
    NoRuleFile {
        name: String,
        #[source]
        source: NoRuleFile,
    },
    #[error("{name} is not text in UTF-8")]
    NoText { name: String },
    #[error("{name}, {mistake}")]
    Mistake { name: String, mistake: Mistake },
    #[error(
        "{account} has no maildrop {maildrop}; make it with `mailstack account subaddress add {account} {maildrop}`"
    )]
    NoMaildrop { account: Mailbox, maildrop: String },
    #[error("{0} has no rules; name a file with some")]
    NoRules(Mailbox),
    #[error(transparent)]
    Administration(#[from] AdministrationError),
}

/// Rules that can be read, and their text.
struct Readable {
    file: RuleFile,
    rules: Rules,
}

/// Runs the command.
pub(crate) async fn run(command: &RulesCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    let (RulesCommand::Set { address, whereabouts, .. }
    | RulesCommand::Show { address, whereabouts }
    | RulesCommand::Check { address, whereabouts, .. }
    | RulesCommand::Test(RulesTestOptions { address, whereabouts, .. })
    | RulesCommand::Remove { address, whereabouts }) = command;
    let address = Mailbox::parse(address)?;
    let store = Place::find(whereabouts)?.open().await?;
    let lines = asked(command, &store, &address).await;
    store.close().await;
    output.text(&lines?);
    Ok(())
}

/// Does it, and says what came of it.
async fn asked(command: &RulesCommand, store: &Store, address: &Mailbox) -> Result<String, Box<dyn Error>> {
    match command {
        RulesCommand::Set { file, .. } => {
            let Readable { file, rules } = readable(store, address, Some(file)).await?;
            check_maildrops(store, address, &rules).await?;
            store.rule_files.set_rule_file(address, Some(file)).await?;
            Ok(format!("{address} has these rules now: {}\n", rules.len()))
        }
        RulesCommand::Show { .. } => {
            let rules = store.rule_files.rule_file(address).await?;
            Ok(rules.map(String::from).unwrap_or_default())
        }
        RulesCommand::Check { file, .. } => {
            let Readable { rules, .. } = readable(store, address, file.as_deref()).await?;
            check_maildrops(store, address, &rules).await?;
            Ok(format!("these rules are right: {}\n", rules.len()))
        }
        RulesCommand::Test(options) => {
            let Readable { rules, .. } = readable(store, address, options.file.as_deref()).await?;
            let message = read(&options.message, MESSAGE_OCTETS_MAX)?;
            let decision = tried(&rules, address, &message, options)?;
            let filing = filing(store, address).await?;
            Ok(told(&decision, address, filing.as_ref()))
        }
        RulesCommand::Remove { .. } => {
            store.rule_files.set_rule_file(address, None).await?;
            Ok(format!("{address} has no rules any more\n"))
        }
    }
}

/// The rules in a file, or those that the account has.
async fn readable(store: &Store, address: &Mailbox, file: Option<&Path>) -> Result<Readable, RulesError> {
    let Some(path) = file else {
        let file = store.rule_files.rule_file(address).await?;
        let file = file.ok_or_else(|| RulesError::NoRules(address.clone()))?;
        return parsed(&format!("rules of {address}"), file);
    };
    let name = path.display().to_string();
    let limit = u64::try_from(RULE_FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let text =
        String::from_utf8(read(path, limit)?).map_err(|_| RulesError::NoText { name: name.clone() })?;
    match RuleFile::new(text) {
        Ok(file) => parsed(&name, file),
        Err(source) => Err(RulesError::NoRuleFile { name, source }),
    }
}

fn parsed(name: &str, file: RuleFile) -> Result<Readable, RulesError> {
    let mistake = |mistake| RulesError::Mistake { name: name.to_owned(), mistake };
    let rules = Rules::parse(file.as_str()).map_err(mistake)?;
    Ok(Readable { file, rules })
}

/// At most `octets_max` of a file.
fn read(path: &Path, octets_max: u64) -> Result<Vec<u8>, RulesError> {
    let mut octets = Vec::new();
    let read = if path == Path::new(STANDARD_INPUT) {
        io::stdin().take(octets_max).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(octets_max).read_to_end(&mut octets))
    };
    read.map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
    Ok(octets)
}

async fn filing(store: &Store, address: &Mailbox) -> Result<Option<Filing>, Box<dyn Error>> {
    let Some(login) = store.directory.account(&address.text()).await? else { return Ok(None) };
    Ok(store.directory.filing(login.account.maildrop).await?)
}

/// Every maildrop that the rules name must be there.
async fn check_maildrops(store: &Store, address: &Mailbox, rules: &Rules) -> Result<(), Box<dyn Error>> {
    // That there is such an account is found out here as well.
    store.rule_files.rule_file(address).await?;
    let filing = filing(store, address).await?;
    for detail in rules.maildrops() {
        if filing.as_ref().and_then(|filing| filing.further(detail.as_str())).is_none() {
            let maildrop = detail.to_string();
            return Err(RulesError::NoMaildrop { account: address.clone(), maildrop }.into());
        }
    }
    Ok(())
}

/// What the rules do with a message, which may have the line ends of a file.
fn tried(
    rules: &Rules,
    address: &Mailbox,
    message: &[u8],
    options: &RulesTestOptions,
) -> Result<Decision, Box<dyn Error>> {
    let to = options.to.as_deref().map(Mailbox::parse).transpose()?.unwrap_or_else(|| address.clone());
    let mut class = Class::Wanted;
    if options.junk {
        class.take_for_junk("--junk");
    }
    let end = [b"\r\n\r\n".as_slice(), b"\n\n"];
    let end = end.into_iter().filter_map(|end| message.windows(end.len()).position(|part| part == end)).min();
    let header = message.get(..end.unwrap_or(message.len())).unwrap_or_default();
    Ok(decide(
        rules,
        &Facts {
            reverse_path: options.from.as_ref().unwrap_or(&ReversePath::Null),
            recipients: std::slice::from_ref(&to),
            octets: u64::try_from(message.len())?,
            header,
            is_authenticated: options.authenticated,
            class: &class,
            doubt: None,
            account: address,
            personal: std::slice::from_ref(&to),
            now: clock::unix_seconds(),
        },
    ))
}

/// What the answer says, and how often.
fn answered(answer: &Answer) -> Vec<String> {
    let Answer { vacation, why_not } = answer;
    if why_not.is_some() {
        return Vec::new();
    }
    let subject = vacation.subject.as_deref().unwrap_or("Auto: and that of the message");
    let head = format!("    once in {} days, subject: {subject}", vacation.days);
    std::iter::once(head).chain(vacation.text.trim().lines().map(|line| format!("    | {line}"))).collect()
}

/// In words: each place with the maildrop that it is, and the lines that have decided.
fn told(decision: &Decision, address: &Mailbox, filing: Option<&Filing>) -> String {
    let mut lines = vec![decision.to_string()];
    let further = |detail: &str| {
        let is_there = filing.is_some_and(|filing| filing.further(detail).is_some());
        is_there.then(|| format!("{address}, maildrop {detail}"))
    };
    for place in &decision.places {
        let (place, note) = match place {
            Put::Own => (None, ""),
            Put::Junk => (further("junk"), " (there is no maildrop junk)"),
            Put::Further(detail) => (further(detail.as_str()), " (that maildrop is not there)"),
        };
        let place = place.unwrap_or_else(|| format!("{address}{note}"));
        lines.push(format!("  goes to {place}"));
    }
    if let Some(answer) = &decision.answer {
        lines.push(format!("  {answer}"));
        lines.extend(answered(answer));
    }
    if decision.is_given_up {
        lines.push("  the rules take too long for this message, and do nothing with it".to_owned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mailstore::Detail;
    use mailwire::secret::Secret;

    use super::*;
    use crate::arguments::Whereabouts;
    use crate::output::tests::Printed;
    use crate::trial::Trial;

    const ALICE: &str = "alice@example.test";

    struct House {
        folder: tempfile::TempDir,
    }

    impl House {
        /// A server that nobody runs, with alice, who has a maildrop for lists.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = mailstore::open(Trial::new(folder.path().to_owned()).store()).await.unwrap();
            let address = Mailbox::parse(ALICE).unwrap();
            store.administration.add_account(&address, &Secret::new("own".to_owned())).await.unwrap();
            store.administration.add_maildrop(&address, &Detail::parse("lists").unwrap()).await.unwrap();
            store.close().await;
            Self { folder }
        }

        fn whereabouts(&self) -> Whereabouts {
            Whereabouts { config: None, dir: Some(self.folder.path().to_owned()) }
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        }

        async fn run(&self, command: RulesCommand) -> Result<String, String> {
            let printed = Printed::default();
            match run(&command, &printed.output()).await {
                Ok(()) => Ok(printed.text()),
                Err(error) => Err(mailwire::cause::chain(&*error)),
            }
        }

        async fn set(&self, text: &str) -> Result<String, String> {
            let file = self.file("rules", text);
            let address = ALICE.to_owned();
            self.run(RulesCommand::Set { address, file, whereabouts: self.whereabouts() }).await
        }

        async fn show(&self) -> String {
            let (address, whereabouts) = (ALICE.to_owned(), self.whereabouts());
            self.run(RulesCommand::Show { address, whereabouts }).await.unwrap()
        }

        async fn test(&self, message: &str, class: &Class) -> Result<String, String> {
            self.run(RulesCommand::Test(RulesTestOptions {
                address: ALICE.to_owned(),
                file: None,
                message: self.file("message", message),
                from: None,
                to: None,
                junk: class.is_junk(),
                authenticated: false,
                whereabouts: self.whereabouts(),
            }))
            .await
        }
    }

    #[tokio::test]
    async fn rules_are_set_shown_tried_and_removed() {
        let house = House::new().await;
        let junk = Class::Junk(String::new());
        let text = "# lists\nif header \"List-Id\" exists\nthen maildrop \"lists\"\nif junk then discard\n";
        assert_eq!(house.set(text).await.unwrap(), "alice@example.test has these rules now: 2\n");
        assert_eq!(house.show().await, text);
        for message in ["List-Id: <x>\n\nbody\n", "A: b\r\nLIST-ID: x\r\n\r\nbody\r\n"] {
            let told = house.test(message, &junk).await.unwrap();
            assert_eq!(
                told,
                "line 2: into the maildrop lists\n  goes to alice@example.test, maildrop lists\n"
            );
        }
        assert_eq!(house.test("A: b\n\nList-Id: x\n", &junk).await.unwrap(), "line 4: discarded\n");
        let told = house.test("A: b\n", &Class::Wanted).await.unwrap();
        assert_eq!(told, "no rule: kept\n  goes to alice@example.test\n");
        house.set("always vacation \"I am away.\nAsk Bob.\" days 3 subject \"Away\"").await.unwrap();
        let told = house.test("To: alice@example.test\n", &Class::Wanted).await.unwrap();
        assert_eq!(
            told,
            "line 1: kept\n  goes to alice@example.test\n  its sender is not answered: it comes from nobody\n"
        );
        let (address, whereabouts) = (ALICE.to_owned(), house.whereabouts());
        house.run(RulesCommand::Remove { address, whereabouts }).await.unwrap();
        assert_eq!(house.show().await, "");
        let said = house.test("A: b\n", &Class::Wanted).await.unwrap_err();
        assert_eq!(said, "alice@example.test has no rules; name a file with some");
    }

    #[tokio::test]
    async fn rules_with_a_mistake_change_nothing() {
        let house = House::new().await;
        house.set("always keep").await.unwrap();
        let said = house.set("always\n  kept").await.unwrap_err();
        assert!(said.contains("rules, line 2, column 3: there is `kept`"), "{said}");
        let said = house.set("always maildrop \"gone\"").await.unwrap_err();
        assert!(said.contains("mailstack account subaddress add alice@example.test gone"), "{said}");
        let said = house.set("").await.unwrap_err();
        assert!(said.contains("1 to 16384 octets"), "{said}");
        assert_eq!(house.show().await, "always keep");
        let (address, whereabouts) = ("nobody@example.test".to_owned(), house.whereabouts());
        let file = house.file("rules", "always keep");
        let said =
            house.run(RulesCommand::Check { address, file: Some(file), whereabouts }).await.unwrap_err();
        assert!(said.contains("there is no"), "{said}");
    }
}
