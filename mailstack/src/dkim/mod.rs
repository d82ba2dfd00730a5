//! `mailstack dkim`: the keys that sign outgoing mail are made, published, used and removed.

mod published;
mod zone;

use std::error::Error;
use std::io::{self, Read as _};

use mailwire::address::Domain;
use mailwire::clock;
use smtpd::dkim::{Algorithm, Folder, Key, Selector, Signatory, State};
use thiserror::Error;

use self::zone::record_lines;
use crate::arguments::{DkimCommand, MakeOptions};
use crate::maildrop::moment;
use crate::output::Output;
use crate::place::Place;

/// Octets of a message that are read and signed at a time.
const PIECE_OCTETS: usize = 64 << 10;
/// Most octets of a message on standard input: more than any server takes.
const MESSAGE_OCTETS_MAX: u64 = 1 << 30;

/// Why a message cannot be signed by hand.
#[derive(Debug, Error)]
pub(crate) enum SignError {
    #[error("reading the message failed")]
    Read(#[source] io::Error),
    #[error("the message has more than {MESSAGE_OCTETS_MAX} octets, which no server takes; it is not signed")]
    TooLong,
    #[error(
        "no key signs for the domain in the message's From; `mailstack dkim list` shows which ones there are"
    )]
    Nobody,
}

/// Does what `command` says.
pub(crate) async fn run(command: &DkimCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        DkimCommand::Make(options) => make(options, output)?,
        DkimCommand::Import { domain, selector, file, whereabouts } => {
            let (domain, folder) = (Domain::parse(domain)?, folder(&Place::find(whereabouts)?));
            let key = folder.take(&domain, selector, file)?;
            shown(&domain, &[key], output);
        }
        DkimCommand::Use { domain, selectors, none: _, unchecked, whereabouts } => {
            let (domain, place) = (Domain::parse(domain)?, Place::find(whereabouts)?);
            let folder = folder(&place);
            if !unchecked {
                published::check(&folder.keys(&domain)?, &domain, selectors, whereabouts).await?;
            }
            folder.sign_with(&domain, selectors)?;
            output.line(&used(&domain, selectors));
        }
        DkimCommand::List { plain, whereabouts } => {
            let folder = folder(&Place::find(whereabouts)?);
            for name in folder.domains()? {
                for key in folder.keys(&Domain::parse(&name)?)? {
                    if *plain {
                        output.text(&self::plain(&name, &key));
                    } else {
                        output.line(&row(&name, &key));
                    }
                }
            }
        }
        DkimCommand::Show { domain, whereabouts } => {
            let domain = Domain::parse(domain)?;
            let keys = folder(&Place::find(whereabouts)?).keys(&domain)?;
            output.lines(&record_lines(&domain, &keys));
        }
        DkimCommand::Remove { domain, selector, whereabouts } => {
            let domain = Domain::parse(domain)?;
            folder(&Place::find(whereabouts)?).remove(&domain, selector)?;
            output.line(&format!("the key {selector} of {domain} is removed; its record can go from DNS"));
        }
        DkimCommand::Sign { whereabouts } => sign(folder(&Place::find(whereabouts)?), output).await?,
    }
    Ok(())
}

fn folder(place: &Place) -> Folder {
    Folder::new(place.dkim.keys.clone())
}

fn make(options: &MakeOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let domain = Domain::parse(&options.domain)?;
    let folder = folder(&Place::find(&options.whereabouts)?);
    let kinds = options.kind.map_or_else(|| Algorithm::ALL.to_vec(), |kind| vec![kind.into()]);
    let mut keys = Vec::new();
    for algorithm in kinds {
        let selector = match &options.selector {
            Some(selector) => selector.clone(),
            None => free_selector(&folder, &domain, algorithm)?,
        };
        keys.push(folder.make(&domain, &selector, algorithm)?);
    }
    shown(&domain, &keys, output);
    Ok(())
}

/// Year, month and kind, with a number where that is taken.
fn free_selector(folder: &Folder, domain: &Domain, algorithm: Algorithm) -> Result<Selector, Box<dyn Error>> {
    let month: String = moment::shown(clock::unix_seconds()).chars().take(7).collect();
    let name = format!("{month}-{}", algorithm.name());
    let taken: Vec<_> = folder.keys(domain)?.into_iter().map(|key| key.selector).collect();
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered).map(|name| name.parse::<Selector>());
    let free = names.find(|selector| selector.as_ref().map_or(true, |selector| !taken.contains(selector)));
    Ok(free.unwrap_or_else(|| name.parse())?)
}

/// New keys, and what is to be done with them.
fn shown(domain: &Domain, keys: &[Key], output: &Output) {
    output.line("Publish in DNS:");
    output.line("");
    output.lines(&record_lines(domain, keys));
    output.line("");
    let selectors: Vec<_> = keys.iter().map(|key| key.selector.as_str()).collect();
    output.line("and, once that is done, let mail be signed:");
    output.line("");
    output.line(&format!("    mailstack dkim use {domain} {}", selectors.join(" ")));
}

fn used(domain: &Domain, selectors: &[Selector]) -> String {
    let names: Vec<_> = selectors.iter().map(Selector::as_str).collect();
    match names.as_slice() {
        [] => format!("mail of {domain} is not signed any more"),
        names => format!("mail of {domain} is signed with {} from now on", names.join(" and ")),
    }
}

/// A line for people.
fn row(domain: &str, key: &Key) -> String {
    let made = moment::shown(seconds(key.made_at));
    format!(
        "{}._domainkey.{domain}  {}  {}  made {made}",
        key.selector,
        key.pair.algorithm(),
        state(key.state)
    )
}

/// A line for programs.
fn plain(domain: &str, key: &Key) -> String {
    let made = seconds(key.made_at).to_string();
    [domain, key.selector.as_str(), key.pair.algorithm().name(), state(key.state), &made].join("\t") + "\n"
}

const fn state(state: State) -> &'static str {
    match state {
        State::Signs => "signs",
        State::Rests => "rests",
    }
}

fn seconds(at: i64) -> u64 {
    u64::try_from(at).unwrap_or_default()
}

async fn sign(folder: Folder, output: &Output) -> Result<(), Box<dyn Error>> {
    let mut message = Vec::new();
    let octets =
        io::stdin().take(MESSAGE_OCTETS_MAX + 1).read_to_end(&mut message).map_err(SignError::Read)?;
    if u64::try_from(octets).is_ok_and(|octets| octets > MESSAGE_OCTETS_MAX) {
        return Err(SignError::TooLong.into());
    }
    let signing = Signatory::new(folder).begin().await;
    for piece in message.chunks(PIECE_OCTETS) {
        if !signing.pass(piece.to_vec()).await {
            break;
        }
    }
    let fields = signing.finish().await?;
    if fields.is_empty() {
        return Err(SignError::Nobody.into());
    }
    output.octets(&fields)?;
    output.octets(&message)?;
    Ok(())
}
