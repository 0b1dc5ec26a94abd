//! The order of messages, by table: `cases.toml` says what the client sends, what the database answers, and what comes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;

use super::pending::Run;
use super::running::Judged;
use super::settings::{SaidAtStart, Settings};
use super::{Answer, Door, Ended, Flow, How, Next, Refused, Reply, Strange};
use crate::audit::Logged;
use crate::catalog::CatalogBuilder;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::PolicySet;
use crate::session::judge::enforcer::{Enforcer, Judgement, Scope};
use crate::sql;
use crate::telemetry::Metrics;
use crate::wire::backend::Status;
use crate::wire::frontend::{Tag, Target};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support", "billing"]
[roles.migrator]
logins = ["migrator"]
unrestricted = "tests"
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "support")]
    login: String,
    /// Messages of the client, or one line of answers of the database behind `database`; then `=>` and all that comes of them.
    steps: Vec<Vec<String>>,
}

fn support() -> String {
    "support".to_owned()
}

/// The machine between a client and a database that are lines of a table. What comes of a message is written down: `>` to the
/// database, `<` to the client, `#` to the log.
struct Bench {
    flow: Flow<()>,
    scope: Arc<Scope>,
    /// What the client sent and the machine has not looked at.
    waiting: VecDeque<String>,
    seq: u64,
    said: Vec<String>,
}

impl Bench {
    fn new(login: &str) -> Self {
        let policies = Arc::new(PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap());
        let role = policies.shared_role_of(login).unwrap();
        let unrestricted = role.unrestricted.is_some();
        let enforcer = Enforcer::new(Box::new(sql::enforce_form), 1, Arc::new(Metrics::default())).unwrap();
        let (catalog, today) = (Arc::new(CatalogBuilder::new().build()), jiff::civil::date(2026, 11, 29));
        let (purpose, path) = ("support".to_owned(), vec!["public".to_owned()]);
        let scope =
            enforcer.scope(policies, catalog, role, login.into(), purpose.clone(), Arc::default(), path.clone(), today);
        let flow = Flow::new(Settings::new(purpose, path, SaidAtStart::default()), unrestricted);
        Self { flow, scope: Arc::new(scope), waiting: VecDeque::new(), seq: 0, said: Vec::new() }
    }

    fn say(&mut self, text: impl Into<String>) {
        self.said.push(text.into());
    }

    fn judge(&self, text: &str) -> Result<Judged, Refusal> {
        let enforced = match self.scope.role.unrestricted {
            Some(_) => sql::relay_unrestricted(text, &self.scope.role),
            None => sql::enforce(text, &self.scope.context()),
        };
        let decision = Judgement::of_a_test(enforced.map_err(|no| no.refusal)?, text, &self.scope);
        Ok(Judged { text: text.into(), decision, stated: None })
    }

    fn log(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// What the client sent, as far as it is looked at now.
    fn serve(&mut self) {
        while let Some(text) = self.waiting.pop_front() {
            match self.flow.door() {
                Door::Open => self.message(&text),
                door => {
                    if door == Door::ShutAsking {
                        self.say(">H");
                    }
                    self.waiting.push_front(text);
                    return;
                }
            }
        }
    }

    fn message(&mut self, text: &str) {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let tag = match kind {
            "Query" => Tag::Query,
            "Parse" => Tag::Parse,
            "Bind" => Tag::Bind,
            "Describe" => Tag::Describe,
            "Execute" => Tag::Execute,
            "Close" => Tag::Close,
            "Sync" => Tag::Sync,
            "Flush" => Tag::Flush,
            "CopyData" => Tag::CopyData,
            "CopyDone" => Tag::CopyDone,
            "CopyFail" => Tag::CopyFail,
            "FunctionCall" => Tag::FunctionCall,
            "Terminate" => Tag::Terminate,
            other => panic!("no message is called `{other}`"),
        };
        match self.flow.next(tag) {
            Next::Handle => {
                if let Err(refusal) = self.handle(tag, rest) {
                    self.refuse(refusal, matches!(tag, Tag::Query | Tag::FunctionCall));
                }
            }
            Next::Drop => self.say("dropped"),
            Next::Ignore => self.say("ignored"),
            Next::PassCopy => self.say(">d"),
            Next::EndCopy { done } => self.end_copy(done),
            Next::BreakCopy => self.end_copy(false),
            Next::Leave => self.say("gone"),
        }
    }

    fn end_copy(&mut self, done: bool) {
        self.flow.copy_ended();
        self.say(if done { ">c" } else { ">f" });
    }

    fn refuse(&mut self, refusal: Refusal, simple: bool) {
        match self.flow.refuse(Logged::of_a_test(refusal), simple) {
            Refused::Now(refusal, status) => {
                self.say(format!("<E{}", refusal.refusal().sqlstate.as_str()));
                if let Some(status) = status {
                    self.say(format!("<Z{}", letter(status)));
                }
            }
            Refused::InOrder { sync } => self.say(if sync { ">! >S" } else { ">!" }),
        }
    }

    fn handle(&mut self, tag: Tag, rest: &str) -> Result<(), Refusal> {
        let words: Vec<&str> = rest.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
        let target = if words[0] == "S" { Target::Statement } else { Target::Portal };
        match tag {
            Tag::Query => return self.query(rest),
            Tag::Parse => {
                let judged = self.judge(rest.split_once(' ').unwrap().1)?;
                let seq = self.log();
                let running = self.flow.runs(&judged.decision).expect("what EXECUTE runs is there");
                self.flow.parsed(
                    words[0],
                    Arc::new(judged.into_prepared(None)),
                    running.rows().clone(),
                    (seq, ()),
                    false,
                );
                self.say(">P");
            }
            Tag::Bind => {
                let prepared = self.flow.names.statement(words[1]).cloned().ok_or_else(|| unknown("26000"))?;
                self.flow.bound(words[0], prepared, None, None);
                self.say(">B");
            }
            Tag::Describe => {
                let prepared = match target {
                    Target::Statement => self.flow.names.statement(words[1]).cloned(),
                    Target::Portal => self.flow.names.portal(words[1]).map(|portal| portal.prepared.clone()),
                };
                self.flow.describing(&prepared.ok_or_else(|| unknown("26000"))?, false);
                self.say(">D");
            }
            Tag::Execute => return self.execute(words[0]),
            Tag::Close => {
                self.flow.closing(target, words[1], false);
                self.say(">C");
            }
            Tag::Sync => {
                self.flow.synced();
                self.say(">S");
            }
            Tag::Flush => {
                self.flow.flushed();
                self.say(">H");
            }
            Tag::FunctionCall => return Err(unknown("0A000")),
            Tag::CopyData | Tag::CopyDone | Tag::CopyFail | Tag::Terminate => panic!("handled by `next`"),
        }
        Ok(())
    }

    fn query(&mut self, text: &str) -> Result<(), Refusal> {
        self.flow.begin_query();
        let (mut runs, mut refused) = (Vec::new(), None);
        for statement in sql::split(text).unwrap() {
            match self.judge(statement) {
                Ok(judged) => {
                    let running = self.flow.runs(&judged.decision).expect("what EXECUTE runs is there");
                    let undo = self.flow.expect_effect(&judged);
                    runs.push((running, undo));
                }
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        if let Some(refusal) = refused {
            self.flow.abandon_query(runs.into_iter().rev().flat_map(|(_, undo)| undo.into_iter().rev()));
            return Err(refusal);
        }
        let begun = |(running, undo)| Run::begun(self.log(), running, undo);
        let runs: Vec<Run> = runs.into_iter().map(begun).collect();
        self.flow.queried(runs);
        self.say(">Q");
        Ok(())
    }

    fn execute(&mut self, portal: &str) -> Result<(), Refusal> {
        let opened = self.flow.names.portal(portal).cloned().ok_or_else(|| unknown("34000"))?;
        let prepared = opened.prepared;
        let running = self.flow.running_of(&prepared).expect("what EXECUTE runs is there");
        if self.flow.needs_description(&prepared) {
            self.flow.describing(&prepared, true);
            self.say(">D");
        }
        let logged = self.flow.take_unspent_seq(&prepared, running.rows());
        let seq = logged.unwrap_or_else(|| self.log());
        let judged = Judged { text: Arc::clone(&prepared.text), decision: running.statement().clone(), stated: None };
        let undo = self.flow.expect_effect(&judged);
        self.flow.executing(Run::begun(seq, running, undo).described());
        self.say(">E");
        Ok(())
    }

    /// Answers of the database, by the notation of what is shown.
    fn answers(&mut self, line: &str) {
        for shown in words(line) {
            if let Err(strange) = self.answer(&shown) {
                self.say(match strange {
                    Strange::Unexpected => "unexpected".to_owned(),
                    Strange::Incident(seq, _) => format!("incident({})", seq.map_or("-".into(), |seq| seq.to_string())),
                });
                return;
            }
        }
        self.serve();
    }

    fn answer(&mut self, shown: &str) -> Result<(), Strange> {
        let (tag, rest) = shown.split_at(1);
        let inner = rest.trim_start_matches('(').trim_end_matches(')');
        let answer = match tag {
            "1" => Answer::Parsed,
            "2" => Answer::Bound,
            "3" => Answer::Closed,
            "t" => Answer::Parameters,
            "T" => {
                let description = self.flow.description()?;
                if description.running.is_none() {
                    return Err(Strange::Incident(description.seq, "no column may come"));
                }
                Answer::Described
            }
            "n" => Answer::NoData,
            "G" => Answer::CopyIn,
            "H" => Answer::CopyOut,
            "c" => Answer::CopyDone,
            "C" => Answer::Complete(inner),
            "I" => Answer::Empty,
            "s" => Answer::Suspended,
            "E" => Answer::Failed { sqlstate: inner, fatal: inner.starts_with("57") },
            "Z" => Answer::Ready(status(inner)),
            "D" | "d" => {
                let run = self.flow.rows_come(tag == "d")?;
                run.rows += u64::from(tag == "D");
                self.say(format!("<{tag}"));
                return Ok(());
            }
            other => panic!("the database says no `{other}`"),
        };
        let reply = self.flow.answer(answer)?;
        self.told();
        match reply {
            Reply::Pass => self.say(format!("<{shown}")),
            Reply::Hide => {}
            Reply::Refusal(refusal) => self.say(format!("<E{}", refusal.refusal().sqlstate.as_str())),
        }
        Ok(())
    }

    fn told(&mut self) {
        for ended in self.flow.ended() {
            self.said.push(match ended {
                Ended::Run { seq, how: How::Done(rows), .. } => {
                    format!("#{seq}:ok{}", rows.map_or(String::new(), |rows| format!("({rows})")))
                }
                Ended::Run { seq, how: How::Failed(sqlstate, rows), .. } => {
                    format!("#{seq}:{sqlstate}{}", rows.map_or(String::new(), |rows| format!("({rows})")))
                }
                Ended::Run { seq, how: How::Skipped, .. } => format!("#{seq}:skipped"),
                Ended::Run { seq, how: How::Lost(rows), .. } => {
                    format!("#{seq}:lost{}", rows.map_or(String::new(), |rows| format!("({rows})")))
                }
                Ended::Purpose { before, after } => format!("#purpose({before},{after})"),
                Ended::Structure(_) => "#structure".to_owned(),
            });
        }
    }

    /// What the machine knows, for steps that ask.
    fn asked(&mut self, question: &str) -> bool {
        let there = |there: bool| if there { "there" } else { "none" };
        let told = match question.split_once(' ') {
            Some(("statement?", name)) => there(self.flow.names.statement(name).is_some()).to_owned(),
            Some(("portal?", name)) => there(self.flow.names.portal(name).is_some()).to_owned(),
            None if question == "purpose?" => {
                format!("{}/{}", self.flow.ahead().purpose(), self.flow.confirmed_purpose())
            }
            None if question == "path?" => self.flow.ahead().path().join(","),
            None if question == "end" => {
                self.flow.lose_all();
                self.told();
                return true;
            }
            _ => return false,
        };
        self.say(told);
        true
    }

    fn step(&mut self, step: &[String]) -> Result<(), String> {
        let (expected, messages) = step.split_last().unwrap();
        let expected = expected.strip_prefix("=>").expect("a step ends with what comes of it").trim();
        for text in messages {
            if let Some(line) = text.strip_prefix("database ") {
                self.answers(line);
            } else if !self.asked(text) {
                self.waiting.push_back(text.clone());
                self.serve();
            }
        }
        let said = std::mem::take(&mut self.said).join(" ");
        if said == expected { Ok(()) } else { Err(format!("{messages:?}\n  expected {expected}\n  came     {said}")) }
    }
}

fn unknown(sqlstate: &str) -> Refusal {
    let sqlstate = match sqlstate {
        "26000" => SqlState::INVALID_SQL_STATEMENT_NAME,
        "34000" => SqlState::INVALID_CURSOR_NAME,
        _ => SqlState::FEATURE_NOT_SUPPORTED,
    };
    Refusal::new(Stage::Session, sqlstate, "not for this test")
}

fn letter(status: Status) -> char {
    match status {
        Status::Idle => 'I',
        Status::Transaction => 'T',
        Status::Failed => 'E',
    }
}

fn status(letter: &str) -> Status {
    Status::decode(letter.as_bytes()).unwrap()
}

/// Words of a line; a space within brackets is part of its word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut depth) = (vec![String::new()], 0);
    for letter in line.chars() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if letter == ' ' && depth == 0 {
            words.push(String::new());
        } else {
            words.last_mut().unwrap().push(letter);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

impl Flow<()> {
    fn take_unspent_seq(&mut self, prepared: &Arc<super::names::Prepared>, reported: &Judgement) -> Option<u64> {
        let fits =
            self.unspent.iter().find(|unspent| Arc::ptr_eq(&unspent.prepared, prepared)).map(|unspent| unspent.seq);
        self.take_unspent(prepared, reported).and(fits)
    }
}

#[test]
fn messages_are_answered_in_the_order_of_the_protocol() {
    let catalogue: Catalogue = toml::from_str(include_str!("cases.toml")).unwrap();
    let mut wrong = Vec::new();
    for case in &catalogue.case {
        let mut bench = Bench::new(&case.login);
        for step in &case.steps {
            if let Err(difference) = bench.step(step) {
                wrong.push(format!("{}: {difference}", case.name));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), catalogue.case.len(), wrong.join("\n"));
}
