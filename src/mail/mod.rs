//! Messages to people: e-mail by SMTP or a command, and short texts to telephones by a command. What goes in is never told
//! elsewhere: no address, number or text stands in an error or a log.

pub(crate) mod command;
mod smtp;

use std::fmt;
use std::time::Duration;

use lettre::AsyncTransport;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};

use crate::config::{Mail, MailWay};

/// How long a command may take.
const MOST: Duration = Duration::from_secs(60);

/// What one person is told by e-mail, as plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The address, alone or with a name before it: `thandi@example.co.za`, `Thandi <thandi@example.co.za>`.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The body.
    pub text: String,
    /// Where one click ends messages of this kind (RFC 8058): an `https` address.
    pub unsubscribe: Option<String>,
}

impl Message {
    /// Without a way to unsubscribe: for what somebody has just asked for, and for operators.
    pub fn new(to: impl Into<String>, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { to: to.into(), subject: subject.into(), text: text.into(), unsubscribe: None }
    }
}

/// Personal information: it is not printed.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message(..)")
    }
}

/// Why a message did not leave. Nothing of the message or of the server's words, which may repeat the address, is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// `[mail]` says no way.
    #[error("`[mail]` says no way for {0}")]
    NoWay(&'static str),
    /// What it is sent to is no address or number.
    #[error("what the message is for is no {0}")]
    NoAddress(&'static str),
    /// A header holds what no header may.
    #[error("the message cannot be written as e-mail")]
    NotWritten,
    /// The server's answer; its number is that of RFC 5321.
    #[error("the mail server answered {0}")]
    Refused(u16),
    /// Something on the way to it.
    #[error("the mail server cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The command.
    #[error("the command that sends it {0}")]
    Command(String),
}

/// What messages leave by.
pub struct Mailer {
    from: Option<Mailbox>,
    way: Option<Way>,
    sms: Option<Vec<String>>,
}

enum Way {
    Smtp(smtp::Transport),
    Command(Vec<String>),
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer(..)")
    }
}

impl Mailer {
    /// Reads the password and the authorities; connects to nothing yet.
    ///
    /// # Errors
    /// One of them cannot be read, or `from` is no address.
    pub fn new(config: &Mail) -> Result<Self, String> {
        let way = match &config.way {
            None => None,
            Some(MailWay::Smtp(smtp)) => Some(Way::Smtp(smtp::transport(smtp)?)),
            Some(MailWay::Command(parts)) => Some(Way::Command(parts.clone())),
        };
        let from = match way {
            None => None,
            Some(_) => Some(config.from.parse().map_err(|_| "`[mail] from` is no address".to_owned())?),
        };
        Ok(Self { from, way, sms: config.sms.clone() })
    }

    /// Whether there is a way for e-mail.
    pub fn takes_mail(&self) -> bool {
        self.way.is_some()
    }

    /// Whether there is a way for short texts.
    pub fn takes_sms(&self) -> bool {
        self.sms.is_some()
    }

    /// Sends one message, within a minute. It has left when the server or the command has taken it.
    ///
    /// # Errors
    /// It was not taken; whether to try again is for who asks.
    pub async fn send(&self, message: &Message) -> Result<(), MailError> {
        let (Some(way), Some(from)) = (&self.way, &self.from) else { return Err(MailError::NoWay("e-mail")) };
        let to: Mailbox = message.to.parse().map_err(|_| MailError::NoAddress("e-mail address"))?;
        let letter = letter(from.clone(), to, message)?;
        match way {
            Way::Smtp(transport) => transport.send(letter).await.map(drop).map_err(|error| smtp::told(&error)),
            Way::Command(parts) => commanded(parts, None, &letter.formatted()).await,
        }
    }

    /// Sends a short text to a telephone number, `+27821234567`: the command finds it in `PGPURPOSE_TO`, and the text on its
    /// standard input.
    ///
    /// # Errors
    /// The number is none, or the command did not end well within a minute.
    pub async fn sms(&self, number: &str, text: &str) -> Result<(), MailError> {
        let Some(parts) = &self.sms else { return Err(MailError::NoWay("telephones")) };
        let digits = number.strip_prefix('+').unwrap_or(number);
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MailError::NoAddress("telephone number"));
        }
        commanded(parts, Some(("PGPURPOSE_TO", number)), text.as_bytes()).await
    }
}

async fn commanded(parts: &[String], variable: Option<(&str, &str)>, message: &[u8]) -> Result<(), MailError> {
    let ended = tokio::time::timeout(MOST, command::run(parts, variable, message)).await;
    ended.unwrap_or_else(|_| Err("did not end within a minute".to_owned())).map_err(MailError::Command)
}

/// The message as RFC 5322 has it. A header is folded and encoded by the crate, so that no line end in a subject makes another.
fn letter(from: Mailbox, to: Mailbox, message: &Message) -> Result<lettre::Message, MailError> {
    let id = format!("<{:032x}@{}>", rand::random::<u128>(), from.email.domain());
    let mut builder: MessageBuilder = lettre::Message::builder()
        .from(from)
        .to(to)
        .subject(message.subject.replace(['\r', '\n'], " "))
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN);
    let mut raw = vec![("Auto-Submitted", "auto-generated".to_owned())];
    if let Some(url) = &message.unsubscribe {
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>') {
            return Err(MailError::NotWritten);
        }
        raw.push(("List-Unsubscribe", format!("<{url}>")));
        raw.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    for (name, value) in raw {
        let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MailError::NotWritten)?;
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    builder.body(message.text.clone()).map_err(|_| MailError::NotWritten)
}

#[cfg(test)]
mod tests;
