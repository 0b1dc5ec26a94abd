//! Records that somebody looks for, and people who were seen, over all logs of an audit database. The database leaves out what
//! cannot match; what matches is decided here, as over files.

use std::collections::{BTreeMap, HashMap};

use super::logs::{AuditDb, DbError, Parameter};
use crate::audit::read::Entry;
use crate::audit::{Filter, Gathering, Search, Sightings, Wanted};

/// Records whose outcomes are asked for at once.
const PORTION: usize = 200;

/// Conditions of a query, and their parameters.
#[derive(Default)]
pub(super) struct Where {
    conditions: Vec<String>,
    pub(super) parameters: Vec<Parameter>,
}

impl Where {
    pub(super) fn add(&mut self, condition: &str, parameter: Parameter) {
        self.parameters.push(parameter);
        self.conditions.push(condition.replace('?', &format!("${}", self.parameters.len())));
    }

    fn is(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(&format!("{column} = ?"), Box::new(value.clone()));
        }
    }

    fn between(&mut self, since: Option<jiff::Timestamp>, until: Option<jiff::Timestamp>) {
        for (operator, time) in [(">=", since), ("<", until)] {
            if let Some(time) = time {
                self.add(&format!("time {operator} (?::text)::timestamptz"), Box::new(time.to_string()));
            }
        }
    }

    /// One value of a group stands in the line. What JSON could write in another way is not asked for, and a line with `\u` is let
    /// through: see [`Sieve`](crate::audit::read).
    fn holds(&mut self, values: &[String]) {
        let other_ways = |c: char| matches!(c, '"' | '\\' | '/') || c < ' ';
        if values.is_empty() || values.iter().any(|value| value.contains(other_ways)) {
            return;
        }
        let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        self.add(
            "(position('\\u' IN line) > 0 OR EXISTS (SELECT FROM unnest(?::text[]) AS v (t) WHERE position(v.t IN line) > 0))",
            Box::new(quoted),
        );
    }

    pub(super) fn text(&self) -> String {
        if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" AND ") }
    }
}

/// An outcome that waits for its turn: time as text of the database, log, number.
type Turn = (String, String, i64);

impl AuditDb {
    /// Every record that matches, and the outcome of each that does, by time, given to `each` with the name of its log until it
    /// answers `false`.
    ///
    /// # Errors
    /// The database's.
    pub fn search(&mut self, filter: &Filter, mut each: impl FnMut(&str, Entry) -> bool) -> Result<(), DbError> {
        let template = self.template(filter)?;
        let mut searches: HashMap<String, Search> = HashMap::new();
        let rows = self.matching(filter)?;
        let mut found: Vec<(Turn, Entry)> = Vec::new();
        let mut outcomes: BTreeMap<Turn, Entry> = BTreeMap::new();
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            for row in rows.by_ref() {
                let (log, seq, time, line): (String, i64, String, String) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                let Some(entry) = Entry::parse(line.as_bytes()) else { continue };
                let search = searches.entry(log.clone()).or_insert_with(|| template.clone());
                if search.wants(&entry) {
                    found.push(((time, log, seq), entry));
                }
                if found.len() == PORTION {
                    break;
                }
            }
            if filter.event.is_none() {
                self.outcomes(&found, &mut outcomes)?;
            }
            for (turn, entry) in found.drain(..) {
                while let Some(next) = outcomes.first_entry().filter(|next| *next.key() < turn) {
                    let ((_, log, _), outcome) = next.remove_entry();
                    if !each(&log, outcome) {
                        return Ok(());
                    }
                }
                if !each(&turn.1, entry) {
                    return Ok(());
                }
            }
        }
        for ((_, log, _), outcome) in outcomes {
            if !each(&log, outcome) {
                return Ok(());
            }
        }
        self.connection().check()
    }

    /// A search that knows the long statements whose whole text matches.
    fn template(&mut self, filter: &Filter) -> Result<Search, DbError> {
        let mut search = Search::new(filter.clone());
        if filter.statement.is_some() {
            for row in self.rows("SELECT line FROM audit.records WHERE event = 'statement'", &[])? {
                let line: String = row.try_get(0)?;
                if let Some(entry) = Entry::parse(line.as_bytes()) {
                    search.learn(&entry);
                }
            }
            self.connection().check()?;
        }
        Ok(search)
    }

    /// What the database can leave out of what does not match.
    pub(super) fn conditions(&self, filter: &Filter) -> Where {
        let mut wanted = Where::default();
        for (column, value) in [
            ("login", &filter.login),
            ("role", &filter.role),
            ("recipient", &filter.recipient),
            ("verdict", &filter.verdict),
            ("event", &filter.event),
        ] {
            wanted.is(column, value.as_ref());
        }
        if self.newer {
            wanted.is("ticket", filter.ticket.as_ref());
            if !filter.actor.is_empty() {
                wanted.add("actor = ANY (?)", Box::new(filter.actor.clone()));
            }
        }
        if let Some(purpose) = &filter.purpose {
            wanted.add("starts_with(purpose, ?)", Box::new(purpose.clone()));
        }
        wanted.between(filter.since, filter.until);
        wanted.holds(&filter.subject);
        wanted.holds(&filter.lookup);
        if filter.event.is_none() {
            // Those of what matches are asked for by themselves.
            wanted.conditions.push("event <> 'outcome'".to_owned());
        }
        wanted
    }

    fn matching(&mut self, filter: &Filter) -> Result<super::logs::Rows, DbError> {
        let wanted = self.conditions(filter);
        let sql = format!(
            "SELECT log, seq, time::text, line FROM audit.records WHERE {} ORDER BY time, log COLLATE \"C\", seq",
            wanted.text()
        );
        self.rows(&sql, &wanted.parameters)
    }

    fn outcomes(&mut self, found: &[(Turn, Entry)], into: &mut BTreeMap<Turn, Entry>) -> Result<(), DbError> {
        let runs = found.iter().filter_map(|((_, log, seq), entry)| {
            let of = match entry.event() {
                "access" => Some(*seq),
                "lookup" | "groups" => entry.number("of").and_then(|of| i64::try_from(of).ok()),
                _ => None,
            };
            Some((log.clone(), of?))
        });
        let (logs, ofs): (Vec<String>, Vec<i64>) = runs.unzip();
        let rows = self.connection().query(
            "SELECT r.log, r.seq, r.time::text, r.line FROM audit.records AS r \
             JOIN unnest($1::text[], $2::bigint[]) AS w (log, seq) ON r.log = w.log AND r.\"of\" = w.seq WHERE r.event = 'outcome'",
            &[&logs, &ofs],
        )?;
        for row in rows {
            let line: String = row.try_get(3)?;
            if let Some(entry) = Entry::parse(line.as_bytes()) {
                into.insert((row.try_get(2)?, row.try_get(0)?, row.try_get(1)?), entry);
            }
        }
        Ok(())
    }

    /// Who was seen, and by whom, over all logs.
    ///
    /// # Errors
    /// The database's.
    pub fn sightings(&mut self, wanted: &Wanted) -> Result<Sightings, DbError> {
        let mut query = Where::default();
        query.conditions.push("event IN ('access', 'disclosure')".to_owned());
        query.is("login", wanted.login.as_ref());
        if self.newer && !wanted.actor.is_empty() {
            query.add("actor = ANY (?)", Box::new(wanted.actor.clone()));
        }
        query.between(wanted.since, wanted.until);
        if !wanted.subjects.is_empty() {
            // People who are not known one by one count too.
            let more = ["aggregate", "unrestricted"].map(str::to_owned);
            let subjects: Vec<String> = wanted.subjects.iter().cloned().chain(more).collect();
            query.holds(&subjects);
        }
        let numbers: HashMap<String, u64> =
            self.logs().iter().zip(0_u64..).map(|(log, number)| (log.name.clone(), number)).collect();
        let sql =
            format!("SELECT log, line FROM audit.records WHERE {} ORDER BY time, log COLLATE \"C\", seq", query.text());
        let mut gathering = Gathering::new(wanted);
        for row in self.rows(&sql, &query.parameters)? {
            let (log, line): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(entry) = Entry::parse(line.as_bytes()) {
                gathering.take(entry.of_log(numbers.get(&log).copied().unwrap_or_default()));
            }
        }
        self.connection().check()?;
        let told = |time: jiff::Timestamp| format!("{time:.6}");
        let span = self.span();
        Ok(gathering.finish(span.map(|(from, _)| told(from)), span.map(|(_, to)| told(to))))
    }
}
