//! The file of exceptions beside the policies: who may use which purpose until when, and why.
//!
//! `grants.jsonl` stands in the folder of the first policy file. Each line is one JSON object that is added and never changed: a grant, or
//! the end of one before its time. `prev` is the SHA-256 of the line before without its line end (64 zeros for the first), and `signature`
//! is over `pgpurpose grant 1`, the end of that line, and the object without it: Ed25519 by `[audit] signing_key`, or, where there is
//! none, HMAC-SHA-256 by the key of subjects. Where one line does not hold, none of them is in force.
//!
//! `grants.head` stands beside the access log, where whoever deploys policies need not write: how many lines there are and the SHA-256 of
//! the last, signed likewise. A file that does not begin with these was cut, and no grant is in force.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::audit::chain::{Hash, hex};
use crate::audit::checkpoint::{GRANT, Signer};
use crate::audit::replace;
use crate::config::Config;
use crate::policy::Granted;

const NAME: &str = "grants.jsonl";
const HEAD: &str = "grants.head";
/// A longer file is none.
const LARGEST: u64 = 4 << 20;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// `grant` or `end`.
    pub(crate) event: String,
    /// Names the grant.
    pub(crate) id: String,
    /// When it was written.
    pub(crate) time: String,
    /// Of a grant: the PostgreSQL login, the purpose, and when it is gone.
    pub(crate) login: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) until: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Who wrote it.
    pub(crate) by: String,
    /// Who approved it besides.
    pub(crate) approved_by: Option<String>,
    prev: String,
    signature: Option<String>,
}

/// A grant as the file tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) line: Line,
    pub(crate) login: String,
    pub(crate) purpose: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// When and by whom it was ended before its time.
    pub(crate) ended: Option<(Timestamp, String)>,
}

impl Grant {
    /// Whether it is in force.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.from <= now && now < self.until
    }

    pub(crate) fn granted(&self) -> Granted {
        let (login, purpose) = (self.login.clone(), self.purpose.clone());
        let approved = self.line.approved_by.as_ref().is_some_and(|who| is_another(who, &self.line.by, &self.login));
        Granted { id: self.line.id.clone(), login, purpose, until: self.until, approved }
    }
}

/// Whether who approved is neither who granted nor who is granted.
pub(crate) fn is_another(who: &str, by: &str, login: &str) -> bool {
    let who = who.trim();
    !who.is_empty() && who != by.trim() && who != login.trim()
}

enum Key {
    Signing(Box<Signer>),
    Shared(hmac::Key),
}

impl Key {
    fn sign(&self, text: &str) -> String {
        match self {
            Self::Signing(signer) => signer.sign_grant(text),
            Self::Shared(key) => hex(hmac::sign(key, format!("{GRANT}{text}").as_bytes()).as_ref()),
        }
    }

    fn holds(&self, text: &str, signature: &str) -> bool {
        match self {
            Self::Signing(signer) => signer.public().signed_grant(text, signature),
            // A keyed digest is made again; nobody learns from how long the comparison takes.
            Self::Shared(_) => subtle::ConstantTimeEq::ct_eq(self.sign(text).as_bytes(), signature.as_bytes()).into(),
        }
    }
}

/// Up to where the file goes at least.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    lines: usize,
    last: String,
    signature: String,
}

impl Head {
    fn text(&self) -> String {
        format!("head {} {}", self.lines, self.last)
    }
}

/// The file, and the key that its lines are signed with.
pub(crate) struct Grants {
    pub(crate) file: PathBuf,
    /// Where it is written how far it goes.
    head: PathBuf,
    key: Option<Key>,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Grants {
    /// Of a configuration.
    ///
    /// # Errors
    /// No policy file is there, or the key cannot be read.
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let first = config.policy.matching()?.into_iter().next().ok_or("no policy file is named")?;
        let file = first.parent().unwrap_or(Path::new("")).join(NAME);
        let shared = || -> Result<Option<Key>, String> {
            let source = config.audit.subject_key.as_ref().or(config.policy.token_key.as_ref());
            let Some(source) = source else { return Ok(None) };
            let root = hmac::Key::new(hmac::HMAC_SHA256, source.read_key()?.expose());
            let own = hmac::sign(&root, b"pgpurpose grants");
            Ok(Some(Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()))))
        };
        let key = match &config.audit.signing_key {
            Some(source) => {
                let signer = Signer::new(source.read_key()?.expose());
                Some(Key::Signing(Box::new(signer.ok_or_else(|| format!("the key at {source} cannot sign"))?)))
            }
            None => shared()?,
        };
        Ok(Self { file, head: config.audit.directory.join(HEAD), key })
    }

    /// Notes how far the file goes, so that a cut of it shows while no proxy runs too.
    ///
    /// # Errors
    /// It does not hold, or the note cannot be written, in words.
    pub(crate) fn mark(&self) -> Result<(), String> {
        let Some(key) = &self.key else { return Ok(()) };
        let bytes = self.bytes().map_err(|error| self.at(&format!("it cannot be read: {error}")))?;
        let (_, last) = self.of_bytes(&bytes)?;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let mut head = Head { lines, last, signature: String::new() };
        head.signature = key.sign(&head.text());
        let text = serde_json::to_string(&head).map_err(|error| error.to_string())?;
        replace(&self.head, text.as_bytes(), true).map_err(|error| {
            format!(
                "`{}` cannot be written ({error}): an end that no proxy has logged yet is not held against a cut of the file",
                self.head.display()
            )
        })
    }

    /// Whether the file has what the note says.
    fn is_whole(&self, lines: &[&str]) -> Result<(), String> {
        let wrong = |what: &str| format!("`{}`: {what}: no grant is in force", self.head.display());
        let text = match fs::read_to_string(&self.head) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        let head: Head = serde_json::from_str(&text).map_err(|_| wrong("it does not say how far the grants go"))?;
        if !self.key.as_ref().is_some_and(|key| key.holds(&head.text(), &head.signature)) {
            return Err(wrong("its signature does not match"));
        }
        let last = head.lines.checked_sub(1).map(|at| lines.get(at).map(|line| Hash::of(line.as_bytes()).to_string()));
        match last {
            None => Ok(()),
            Some(Some(last)) if last == head.last => Ok(()),
            Some(_) => Err(self.at("lines of it were cut off: no grant is in force")),
        }
    }

    /// The bytes of the file, none where it is not there.
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        match fs::metadata(&self.file) {
            Ok(found) if found.len() > LARGEST => Err(io::Error::other("it is too long")),
            Ok(_) => fs::read(&self.file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Every grant, oldest first.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it does not hold: none is in force.
    pub(crate) fn all(&self) -> Result<Vec<Grant>, String> {
        Ok(self.read()?.0)
    }

    fn read(&self) -> Result<(Vec<Grant>, String), String> {
        let bytes = self.bytes().map_err(|error| self.at(&format!("it cannot be read: {error}")))?;
        self.of_bytes(&bytes)
    }

    /// What is wrong with the file.
    pub(crate) fn at(&self, what: &str) -> String {
        format!("`{}`: {what}", self.file.display())
    }

    /// Every grant of the file's bytes, and the SHA-256 of the last line.
    ///
    /// # Errors
    /// A line does not hold: none is in force.
    pub(crate) fn of_bytes(&self, bytes: &[u8]) -> Result<(Vec<Grant>, String), String> {
        let at = |what: &str| self.at(what);
        let text = std::str::from_utf8(bytes).map_err(|_| at("it is no text"))?;
        let (mut grants, mut prev) = (Vec::<Grant>::new(), Hash::GENESIS.to_string());
        for (number, written) in text.lines().enumerate() {
            let wrong = |what: &str| at(&format!("line {}: {what}: no grant is in force", number + 1));
            let line: Line = serde_json::from_str(written).map_err(|_| wrong("it is no grant"))?;
            let key = self.key.as_ref().ok_or_else(|| wrong("there is no key that it could be signed with"))?;
            let unsigned = serde_json::to_string(&Line { signature: None, ..line.clone() });
            let unsigned = unsigned.map_err(|_| wrong("it is no grant"))?;
            if !line.signature.as_deref().is_some_and(|signature| key.holds(&unsigned, signature)) {
                return Err(wrong("its signature does not match"));
            }
            if line.prev != prev {
                return Err(wrong("the line before it is another"));
            }
            prev = Hash::of(written.as_bytes()).to_string();
            let moment = |text: &str| text.parse::<Timestamp>().map_err(|_| wrong("it says no time"));
            let time = moment(&line.time)?;
            match (line.event.as_str(), &line.login, &line.purpose, &line.until) {
                ("grant", Some(login), Some(purpose), Some(until)) => {
                    let (login, purpose, until) = (login.clone(), purpose.clone(), moment(until)?);
                    grants.push(Grant { line, login, purpose, from: time, until, ended: None });
                }
                ("end", None, None, None) => {
                    let grant = grants.iter_mut().find(|grant| grant.line.id == line.id && grant.ended.is_none());
                    grant.ok_or_else(|| wrong("it ends no grant"))?.ended = Some((time, line.by));
                }
                (_, _, _, _) => return Err(wrong("it is no grant")),
            }
        }
        self.is_whole(&text.lines().collect::<Vec<_>>())?;
        Ok((grants, prev))
    }

    /// Adds a line, on disk when this returns.
    ///
    /// # Errors
    /// There is no key, what stands there does not hold, or the file cannot be written.
    pub(crate) fn add(&self, new: NewLine<'_>) -> Result<Line, String> {
        let key = self.key.as_ref().ok_or(
            "grants are signed, and the configuration names no key: set `[audit] signing_key` (`pgpurpose audit keygen`)",
        )?;
        let (grants, prev) = self.read()?;
        let (event, id, grant) = match new.what {
            What::Grant { login, purpose, until, approved_by } => {
                ("grant", format!("g-{:08x}", rand::random::<u32>()), Some((login, purpose, until, approved_by)))
            }
            What::End(id) => {
                let open = grants.iter().any(|grant| grant.line.id == id && grant.is_open(Timestamp::now()));
                if !open {
                    return Err(format!("no grant `{id}` is in force: `pgpurpose grant list` shows them"));
                }
                ("end", id.to_owned(), None)
            }
        };
        let mut line = Line {
            event: event.to_owned(),
            id,
            time: format!("{:.6}", Timestamp::now()),
            login: grant.as_ref().map(|(login, ..)| (*login).to_owned()),
            purpose: grant.as_ref().map(|(_, purpose, ..)| (*purpose).to_owned()),
            until: grant.as_ref().map(|(_, _, until, _)| format!("{until:.6}")),
            reason: new.reason.map(str::to_owned),
            by: new.by.to_owned(),
            approved_by: grant.and_then(|(.., approved)| approved).map(str::to_owned),
            prev,
            signature: None,
        };
        let unsigned = serde_json::to_string(&line).map_err(|error| error.to_string())?;
        line.signature = Some(key.sign(&unsigned));
        let written = serde_json::to_string(&line).map_err(|error| error.to_string())?;
        let failed = |error: io::Error| format!("`{}` cannot be written: {error}", self.file.display());
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.file).map_err(failed)?;
        // Two who grant at once would each follow the same line.
        file.lock().map_err(failed)?;
        if self.read()?.1 != line.prev {
            return Err("somebody else has written a grant at this moment: try again".to_owned());
        }
        file.write_all(format!("{written}\n").as_bytes()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        Ok(line)
    }
}

/// What is to be added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewLine<'a> {
    pub(crate) what: What<'a>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) by: &'a str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    Grant { login: &'a str, purpose: &'a str, until: Timestamp, approved_by: Option<&'a str> },
    End(&'a str),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(super) mod tests {
    use super::*;

    pub(in crate::app) fn grants(folder: &Path, key: Option<[u8; 32]>) -> Grants {
        let key = key.map(|key| Key::Signing(Box::new(Signer::new(&key).unwrap())));
        Grants { file: folder.join(NAME), head: folder.join(HEAD), key }
    }

    impl Grants {
        /// Those that are in force, as a set of policies takes them.
        fn in_force(&self, now: Timestamp) -> Result<Vec<Granted>, String> {
            Ok(self.all()?.iter().filter(|grant| grant.is_open(now)).map(Grant::granted).collect())
        }
    }

    pub(in crate::app) fn grant(login: &str) -> NewLine<'_> {
        let until = Timestamp::now() + jiff::SignedDuration::from_hours(2);
        let what = What::Grant { login, purpose: "incident", until, approved_by: None };
        NewLine { what, reason: Some("OPS-12"), by: "thabo" }
    }

    #[test]
    fn who_granted_and_who_is_granted_approve_nothing() {
        for (who, counts) in [("naledi", true), ("thabo", false), (" thabo", false), ("ann", false), (" ", false)] {
            assert_eq!(is_another(who, "thabo", "ann"), counts, "{who}");
        }
    }

    #[test]
    fn an_end_that_no_proxy_has_seen_is_not_cut_off_again() {
        let folder = tempfile::tempdir().unwrap();
        let own = grants(folder.path(), Some([7; 32]));
        let first = own.add(grant("ann")).unwrap();
        own.mark().unwrap();
        let before = fs::read_to_string(&own.file).unwrap();
        own.add(NewLine { what: What::End(&first.id), reason: None, by: "thabo" }).unwrap();
        // Noted before the end: it is no cut that more stands there now.
        assert!(own.in_force(Timestamp::now()).unwrap().is_empty());
        own.mark().unwrap();
        let (whole, noted) = (fs::read_to_string(&own.file).unwrap(), fs::read_to_string(&own.head).unwrap());
        let cut = |text: &str| {
            fs::write(&own.file, text).unwrap();
            let told = own.in_force(Timestamp::now());
            assert!(told.as_ref().is_err_and(|why| why.contains("no grant is in force")), "{told:?}");
        };
        cut(&before);
        cut("");
        fs::remove_file(&own.file).unwrap();
        assert!(own.all().is_err());
        // The note itself is signed, and belongs to these lines.
        fs::write(&own.file, &whole).unwrap();
        for changed in [
            noted.replace("\"lines\":2", "\"lines\":1"),
            noted.replace("\"signature\":\"", "\"signature\":\"0"),
            "{}".to_owned(),
        ] {
            fs::write(&own.head, changed).unwrap();
            assert!(own.all().unwrap_err().contains("no grant is in force"));
        }
        fs::write(&own.head, &noted).unwrap();
        assert_eq!(own.all().unwrap().len(), 1);
        own.add(grant("ben")).unwrap();
        assert_eq!(own.in_force(Timestamp::now()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_changed_removed_or_signed_by_somebody_else_puts_no_grant_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let own = grants(folder.path(), Some([7; 32]));
        let first = own.add(grant("ann")).unwrap();
        own.add(grant("ben")).unwrap();
        own.add(NewLine { what: What::End(&first.id), reason: None, by: "thabo" }).unwrap();
        let now = Timestamp::now();
        let open: Vec<String> = own.in_force(now).unwrap().into_iter().map(|grant| grant.login).collect();
        assert_eq!(open, ["ben"]);
        assert!(own.in_force(now + jiff::SignedDuration::from_hours(3)).unwrap().is_empty(), "gone by itself");
        assert!(own.add(NewLine { what: What::End(&first.id), reason: None, by: "thabo" }).is_err(), "it has ended");
        let text = fs::read_to_string(&own.file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let changed = [
            text.replace("\"ben\"", "\"eve\""),
            [lines[1], lines[2]].join("\n"),
            [lines[1], lines[0], lines[2]].join("\n"),
            [lines[0], lines[2]].join("\n"),
            [lines[0], lines[0]].join("\n"),
            text.replace("\"signature\":\"", "\"signature\":\"0"),
            "{}\n".to_owned(),
        ];
        for other in changed {
            fs::write(&own.file, &other).unwrap();
            assert!(own.in_force(now).unwrap_err().contains("no grant is in force"), "{other}");
        }
        fs::write(&own.file, &text).unwrap();
        assert!(grants(folder.path(), Some([8; 32])).all().is_err(), "another key");
        assert!(grants(folder.path(), None).all().is_err() && grants(folder.path(), None).add(grant("ann")).is_err());
    }
}
