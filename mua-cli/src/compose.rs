//! Makes a message of what the user gave: header section, text, attachments.

use std::io::{self, Write};
use std::path::Path;

use mail_builder::MessageBuilder;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};
use mailwire::clock;
use mailwire::header::field;

use crate::failure::{Exit, Failure};
use crate::header::{self, Address};
use crate::random;

/// Octets of text and attachments together; they lie in memory while the message is made.
pub(crate) const PARTS_OCTETS_MAX: u64 = 256 << 20;

/// What the user gave.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) from: Address,
    pub(crate) to: Vec<Address>,
    pub(crate) cc: Vec<Address>,
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
    pub(crate) attachments: Vec<Attachment>,
}

/// A file that goes along.
#[derive(Debug)]
pub(crate) struct Attachment {
    file_name: String,
    octets: Vec<u8>,
}

impl Attachment {
    /// With the last part of the file's path as its name.
    pub(crate) fn new(path: &Path, octets: Vec<u8>) -> Result<Self, Failure> {
        let name = path.file_name().map_or_else(|| "attachment".into(), |name| name.to_string_lossy());
        header::without_controls(&name).map_err(|error| {
            Failure::caused(Exit::Usage, format!("cannot attach {}", path.display()), &error)
        })?;
        Ok(Self { file_name: name.into_owned(), octets })
    }

    /// Base64 always, so that what arrives is what was sent, octet for octet.
    fn part(&self) -> MimePart<'_> {
        let content_type = content_type(&self.file_name, &self.octets);
        let disposition = header::attachment_disposition(&self.file_name);
        MimePart {
            headers: vec![
                ("Content-Type".into(), Raw::new(content_type).into()),
                ("Content-Disposition".into(), Raw::new(disposition).into()),
            ],
            contents: BodyPart::Binary(self.octets.as_slice().into()),
        }
    }
}

/// By the file name's ending; what is not known is octets and no more.
fn content_type(file_name: &str, octets: &[u8]) -> &'static str {
    let ending = Path::new(file_name).extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("txt" | "log" | "md" | "patch" | "diff") if std::str::from_utf8(octets).is_ok() => {
            "text/plain; charset=utf-8"
        }
        Some("html" | "htm") => "text/html",
        Some("csv") => "text/csv",
        Some("pdf") => "application/pdf",
        Some("zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        _ => "application/octet-stream",
    }
}

impl Draft {
    /// Writes the whole message.
    pub(crate) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(self.header_section()?.as_bytes())?;
        let mut builder = MessageBuilder::new().text_body(self.text.as_str());
        if !self.attachments.is_empty() {
            builder.attachments = Some(self.attachments.iter().map(Attachment::part).collect());
        }
        builder.write_body(output)
    }

    /// All but the fields of the body. There is no Bcc: nobody is to see it (RFC 5322 §3.6.3).
    fn header_section(&self) -> io::Result<String> {
        let seconds = clock::unix_seconds();
        let date = Date::new(i64::try_from(seconds).unwrap_or(0)).to_rfc822();
        let mut fields = vec![("Date", date), ("From", self.from.header())];
        if !self.to.is_empty() {
            fields.push(("To", header::list(&self.to)));
        }
        if !self.cc.is_empty() {
            fields.push(("Cc", header::list(&self.cc)));
        }
        if self.to.is_empty() && self.cc.is_empty() {
            // Some servers take a message without any recipient in it for spam.
            fields.push(("To", "undisclosed-recipients:;".to_owned()));
        }
        if let Some(subject) = &self.subject {
            fields.push(("Subject", header::unstructured(subject)));
        }
        fields.push(("Message-ID", self.message_id(seconds)?));
        fields.push(("MIME-Version", "1.0".to_owned()));
        Ok(fields.iter().map(|(name, value)| field(name, value)).collect())
    }

    /// `msg-id`, RFC 5322 §3.6.4, with the sender's domain, which says no more than From does.
    fn message_id(&self, seconds: u64) -> io::Result<String> {
        Ok(format!("<{seconds}.{}@{}>", random::name()?, self.from.mailbox.domain()))
    }
}

/// Text for a message's body: UTF-8 without what a mail may not hold.
pub(crate) fn text(octets: Vec<u8>) -> Result<String, Failure> {
    let advice = "Attach it by --attach, or send a complete message by --raw.";
    let text = String::from_utf8(octets).map_err(|error| {
        Failure::caused(Exit::Data, "the text of the message is not UTF-8", &error).advise(advice)
    })?;
    if text.contains('\0') {
        return Err(Failure::new(Exit::Data, "there is a NUL in the text of the message").advise(advice));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use mail_parser::{Message, MessageParser, MimeHeaders};

    use super::*;

    fn draft() -> Draft {
        Draft {
            from: Address::parse("Jörg <j@a.example>").unwrap(),
            to: Address::parse_list("b@b.example, C <c@c.example>").unwrap(),
            cc: Vec::new(),
            subject: Some("Grüße".to_owned()),
            text: "Hello.\n.\nä\n".to_owned(),
            attachments: Vec::new(),
        }
    }

    fn written(draft: &Draft) -> String {
        let mut octets = Vec::new();
        draft.write(&mut octets).unwrap();
        String::from_utf8(octets).unwrap()
    }

    fn read(text: &str) -> Message<'_> {
        MessageParser::new().parse(text).unwrap()
    }

    #[test]
    fn a_message_has_each_field_once_and_reads_back() {
        let text = written(&draft());
        for name in
            ["Date: ", "From: ", "To: ", "Subject: ", "Message-ID: <", "MIME-Version: 1.0", "Content-Type: "]
        {
            assert_eq!(
                text.matches(&format!("\r\n{name}")).count() + usize::from(text.starts_with(name)),
                1,
                "{name}"
            );
        }
        let message = read(&text);
        assert_eq!(message.subject(), Some("Grüße"));
        assert_eq!(message.from().unwrap().first().unwrap().name(), Some("Jörg"));
        assert_eq!(message.to().unwrap().iter().count(), 2);
        assert!(message.message_id().unwrap().ends_with("@a.example"));
        let body = message.body_text(0).unwrap().replace("\r\n", "\n");
        assert_eq!(body, "Hello.\n.\nä\n");
        assert!(message.date().unwrap().is_valid());
    }

    #[test]
    fn blind_recipients_leave_no_field() {
        let text = written(&Draft { to: Vec::new(), ..draft() });
        assert!(text.contains("\r\nTo: undisclosed-recipients:;\r\n"));
        assert!(!text.to_ascii_lowercase().contains("bcc"));
    }

    #[test]
    fn attachments_come_back_octet_for_octet() {
        let octets: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let lines = b"line\nline\r\n\r.".to_vec();
        let text = written(&Draft {
            attachments: vec![
                Attachment::new(Path::new("/x/grüße.bin"), octets.clone()).unwrap(),
                Attachment::new(Path::new("notes.txt"), lines.clone()).unwrap(),
            ],
            ..draft()
        });
        let message = read(&text);
        assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), "Hello.\n.\nä\n");
        let first = message.attachment(0).unwrap();
        assert_eq!((first.attachment_name(), first.contents()), (Some("grüße.bin"), octets.as_slice()));
        let second = message.attachment(1).unwrap();
        assert_eq!((second.attachment_name(), second.contents()), (Some("notes.txt"), lines.as_slice()));
        assert_eq!(second.content_type().unwrap().ctype(), "text");
        assert!(text.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn text_that_mail_cannot_carry_is_refused() {
        assert_eq!(text(b"\xff".to_vec()).unwrap_err().exit(), Exit::Data);
        assert_eq!(text(b"a\0b".to_vec()).unwrap_err().exit(), Exit::Data);
        assert!(Attachment::new(Path::new("a\nb"), Vec::new()).is_err());
    }
}
