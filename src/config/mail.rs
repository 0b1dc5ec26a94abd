//! `[mail]`: how messages leave: to an SMTP server or a command, and short ones to telephones by a command.

use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::address::HostPort;
use super::read::{parsed, path, secret, word};
use super::secret::SecretSource;
use crate::document::{Document, Section};

/// How messages leave. At least one of `way` and `sms` is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whom e-mail comes from: `Ubuntu Market <privacy@shop.example>`; empty only where there is no way for it.
    pub from: String,
    /// Which way e-mail takes.
    pub way: Option<MailWay>,
    /// A program and its arguments that send a text to a telephone; docs/configuration.md says what it is handed.
    pub sms: Option<Vec<String>>,
}

/// Which way e-mail takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailWay {
    /// To a server.
    Smtp(Smtp),
    /// A program and its arguments, to whose standard input the whole message goes, as to `sendmail -t -i`.
    Command(Vec<String>),
}

/// A server that takes e-mail (RFC 5321, RFC 6409).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// Where it is.
    pub address: HostPort,
    /// TLS towards it.
    pub tls: MailTls,
    /// PEM file of the authorities of its certificate, instead of those of the machine.
    pub tls_ca: Option<PathBuf>,
    /// Login and password, where it asks for them.
    pub login: Option<(String, SecretSource)>,
}

/// TLS towards a server that takes e-mail; with it the certificate is always checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// The connection begins in clear, and goes on only in TLS (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Never.
    Disable,
}

/// `None` where there is no such section, or a fault was noted.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Option<Mail> {
    let mut section = section?;
    let from = section.string("from", document);
    if let Some(text) = &from
        && text.value.parse::<Mailbox>().is_err()
    {
        document.fault(&text.place, "`from` is no address: write `\"Ubuntu Market <privacy@shop.example>\"`");
    }
    let smtp = smtp(&mut section, document, base);
    let command = self::command(&mut section, "command", document);
    let sms = self::command(&mut section, "sms", document);
    let place = section.place.clone();
    if smtp.is_some() && command.is_some() {
        document.fault(&place, "`smtp` and `command` are two ways for e-mail: leave one out");
    }
    let way = smtp.map(MailWay::Smtp).or_else(|| command.map(MailWay::Command));
    if way.is_none() && sms.is_none() {
        document.fault(&place, "`[mail]` says no way: `smtp`, `command` or `sms`");
    }
    if way.is_some() && from.is_none() {
        document.fault(&place, "`[mail]` needs `from`: whom e-mail comes from");
    }
    section.finish(document);
    Some(Mail { from: from.map(|from| from.value).unwrap_or_default(), way, sms })
}

fn smtp(section: &mut Section<'_>, document: &mut Document, base: &Path) -> Option<Smtp> {
    let address = section.string("smtp", document);
    let words = [("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit), ("disable", MailTls::Disable)];
    let tls = word("tls", section.string("tls", document), &words, MailTls::StartTls, document);
    let tls_ca = path(section, "tls_ca", base, document);
    let login = section.string("login", document);
    let password = secret(section, "password", base, document);
    if login.is_some() != password.is_some() {
        document.fault(&section.place.clone(), "`login` and `password` go together");
    }
    let place = address.as_ref().map(|address| address.place.clone());
    let address: Option<HostPort> = address.and_then(|text| parsed(&text, document));
    if let (Some(place), Some(address)) = (&place, &address)
        && tls == MailTls::Disable
        && login.is_some()
        && !address.is_loopback()
    {
        document.fault(place, "the password would go over the network in clear: `tls` is `starttls` or `implicit`");
    }
    let login = login.map(|login| login.value).zip(password);
    Some(Smtp { address: address?, tls, tls_ca, login })
}

/// A program and its arguments.
fn command(section: &mut Section<'_>, key: &'static str, document: &mut Document) -> Option<Vec<String>> {
    let node = section.take(key)?;
    let place = node.place.clone();
    let parts: Vec<String> = node.strings(document).into_iter().map(|part| part.value).collect();
    if parts.first().is_none_or(String::is_empty) {
        document.fault(&place, format!("`{key}` is a program and its arguments: `[\"/usr/sbin/sendmail\", \"-t\"]`"));
        return None;
    }
    Some(parts)
}
