//! What a learner's line does: a statement goes through the proxy, a command is run as anybody would run it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::Setting;
use super::walk::Ended;
use crate::app::runtime;
use crate::audit::read::{Entry, last, scan};
use crate::cli::demo::SHOP_DATABASE;
use crate::cli::output::printable;
use crate::cluster::SUPERUSER;

/// So many rows are shown.
const SHOWN: usize = 20;
/// Commands that a lesson runs; none of them goes on for ever.
const VERBS: [&str; 5] = ["subject", "audit", "check", "explain", "training"];
const LONGEST: Duration = Duration::from_secs(120);

/// What a line did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What was typed, without `pgpurpose` before it.
    pub(super) line: String,
    /// What came back.
    pub(super) text: String,
    /// Whether it was carried out.
    pub(super) fine: bool,
}

/// The learner's desk.
pub(super) struct Desk {
    runtime: Runtime,
    /// Behind the proxy.
    direct: Client,
    /// By login and database.
    sessions: BTreeMap<(String, String), Client>,
    host: String,
    port: u16,
    learner: String,
    config: PathBuf,
    folder: PathBuf,
    log: PathBuf,
}

fn ended(error: impl std::fmt::Display) -> Ended {
    Ended(error.to_string())
}

async fn connected(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Desk {
    pub(super) fn new(setting: &Setting) -> Result<Self, Ended> {
        let runtime = runtime().map_err(ended)?;
        let mut behind = tokio_postgres::Config::new();
        behind.host_path(&setting.socket).port(setting.server_port).user(SUPERUSER).dbname(SHOP_DATABASE);
        let direct = runtime.block_on(connected(&behind)).map_err(ended)?;
        Ok(Self {
            runtime,
            direct,
            sessions: BTreeMap::new(),
            host: setting.host(),
            port: setting.listen.port(),
            learner: setting.learner.clone(),
            config: setting.officer_config.clone(),
            folder: setting.folder.clone(),
            log: setting.folder.join("audit"),
        })
    }

    /// A session through the proxy, whose application calls itself so.
    fn session(&self, login: &str, database: &str, application: &str) -> Result<Client, Ended> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user(login).dbname(database).application_name(application);
        self.runtime.block_on(connected(&config)).map_err(|error| Ended(described(&error)))
    }

    /// A statement, in the learner's session of that login.
    pub(super) fn ask(&mut self, login: &str, database: Option<&str>, sql: &str) -> Result<Said, Ended> {
        let key = (login.to_owned(), database.unwrap_or(SHOP_DATABASE).to_owned());
        if self.sessions.get(&key).is_none_or(Client::is_closed) {
            let session = self.session(&key.0, &key.1, "lesson")?;
            self.sessions.insert(key.clone(), session);
        }
        let Some(session) = self.sessions.get(&key) else { return Err(ended("there is no session")) };
        let (text, fine) = match self.runtime.block_on(session.simple_query(sql)) {
            Ok(messages) => (table(&messages), true),
            Err(error) => (described(&error), false),
        };
        Ok(Said { line: sql.to_owned(), text, fine })
    }

    /// The same for somebody else, who is played: nobody sees what comes back.
    pub(super) fn play(&self, login: &str, application: &str, statements: &[String]) -> Result<(), Ended> {
        let session = self.session(login, SHOP_DATABASE, application)?;
        for sql in statements {
            // A refusal is what is played as well.
            let _ = self.runtime.block_on(session.simple_query(sql));
        }
        Ok(())
    }

    /// Whether this holds in the database.
    pub(super) fn holds(&self, sql: &str) -> Result<bool, Ended> {
        let row = self.runtime.block_on(self.direct.query_one(sql, &[])).map_err(|error| Ended(described(&error)))?;
        row.try_get(0).map_err(ended)
    }

    /// A command of this program's own, with the officer's configuration.
    pub(super) fn run(&self, line: &str) -> Result<Said, Ended> {
        let not = |why: &str| Ok(Said { line: line.to_owned(), text: format!("  {why}"), fine: false });
        let Some(mut words) = words(line) else { return not("a quote is not closed") };
        if words.first().is_some_and(|first| first == "pgpurpose") {
            words.remove(0);
        }
        if !words.first().is_some_and(|verb| VERBS.contains(&verb.as_str())) {
            return not(&format!("in a lesson the commands are {}", VERBS.join(", ")));
        }
        if words.iter().any(|word| matches!(word.as_str(), "-f" | "--follow")) {
            return not("it would go on for ever: leave -f out");
        }
        let mut command = Command::new(std::env::current_exe().map_err(ended)?);
        command.current_dir(&self.folder).env("USER", &self.learner).env("NO_COLOR", "1").args(&words);
        // `audit keygen` and the like take none; every verb of a lesson does.
        if !words.iter().any(|word| word == "--config" || word.starts_with("--config=")) {
            command.arg("--config").arg(&self.config);
        }
        let (text, fine) = finished(command)?;
        Ok(Said { line: words.join(" "), text, fine })
    }

    /// The number of the log's last record.
    pub(super) fn mark(&self) -> Result<u64, Ended> {
        let newest = last(&self.log, 1, 1 << 20, |entry| entry.seq().is_some()).map_err(ended)?;
        Ok(newest.first().and_then(Entry::seq).unwrap_or(0))
    }

    /// Records after that one, oldest first.
    pub(super) fn since(&self, mark: u64) -> Result<Vec<Entry>, Ended> {
        let mut found = Vec::new();
        scan(&self.log, |entry| {
            if entry.seq().is_some_and(|seq| seq > mark) {
                found.push(entry);
            }
            true
        })
        .map_err(ended)?;
        Ok(found)
    }
}

/// Runs to its end, or is ended.
fn finished(mut command: Command) -> Result<(String, bool), Ended> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(ended)?;
    let read = |from: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut text = String::new();
            from.map(|mut from| from.read_to_string(&mut text)).transpose().map(|_| text)
        })
    };
    let results = read(child.stdout.take().map(|from| Box::new(from) as Box<dyn Read + Send>));
    let remarks = read(child.stderr.take().map(|from| Box::new(from) as Box<dyn Read + Send>));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(ended)? {
            Some(status) => break status,
            None if begun.elapsed() > LONGEST => child.kill().map_err(ended)?,
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut text = String::new();
    for part in [results, remarks] {
        text.push_str(&part.join().map_err(|_| ended("the command's output cannot be read"))?.map_err(ended)?);
    }
    Ok((text, status.success()))
}

/// The words of a line, as a shell would part them: quotes keep blanks. `None` where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Rows as `psql` shows them without its frame; what was done where there are none.
fn table(messages: &[SimpleQueryMessage]) -> String {
    let mut lines = Vec::new();
    let mut rows = 0_usize;
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let names: Vec<&str> = columns.iter().map(tokio_postgres::SimpleColumn::name).collect();
                lines.push(format!("  {}", names.join(" | ")));
            }
            SimpleQueryMessage::Row(row) => {
                rows += 1;
                if rows <= SHOWN {
                    let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("")).collect();
                    lines.push(format!("  {}", printable(&cells.join(" | "))));
                }
            }
            SimpleQueryMessage::CommandComplete(count) => {
                let more = if rows > SHOWN { format!(", of which {SHOWN} are shown") } else { String::new() };
                lines.push(format!("  ({count} row{}{more})", if *count == 1 { "" } else { "s" }));
            }
            _ => {}
        }
    }
    lines.join("\n")
}

fn described(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return format!("  {error}") };
    let mut text = format!("  ERROR:  {}", db.message());
    for (name, part) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
        if let Some(part) = part {
            text.push_str(&format!("\n  {name}:  {part}"));
        }
    }
    text
}

impl Setting {
    /// An address that stands for all of them is not one to connect to.
    fn host(&self) -> String {
        if self.listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { self.listen.ip().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_line_is_parted_as_a_shell_would() {
        let parted = |line| words(line).map(|words| words.join("|"));
        assert_eq!(parted("subject find --email 'a b@c.d'").as_deref(), Some("subject|find|--email|a b@c.d"));
        assert_eq!(parted("  a  \"b c\"d ''").as_deref(), Some("a|b cd|"));
        assert_eq!(parted("a 'b"), None);
    }
}
