//! The cases of `tests/cases/sql` once more, by all three who judge: a session over pipes in memory, `explain`, and the
//! policies' own tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::watch;

use super::super::check::own_tests::{Ran, passes};
use super::super::explain::Known;
use super::*;
use crate::audit::{AuditLog, SessionFacts, SubjectKey, Sync};
use crate::catalog::{CatalogBuilder, CatalogStore};
use crate::policy::{Expected, PolicyTest};
use crate::session::{Catalogs, Login, Parts, Session, Shared};
use crate::sql::on_parser_stack;
use crate::telemetry::Metrics;
use crate::upstream::{Address, Upstream};
use crate::wire::{Link, Pool};

#[allow(dead_code, unreachable_pub)]
#[path = "../../../tests/cases/file.rs"]
mod file;

use file::{Case, File};

/// All sessions of one file.
struct Proxy {
    shared: Arc<Shared>,
    policies: Arc<PolicySet>,
    catalog: Arc<CatalogStore>,
    search_path: String,
    _log: tempfile::TempDir,
}

impl Proxy {
    fn new(policies: &PolicySet, catalog: &Catalog, search_path: &[String]) -> Self {
        let log = tempfile::tempdir().unwrap();
        let catalog = Arc::new(CatalogStore::fixed(catalog.clone()));
        let policies = Arc::new(policies.clone());
        let shared = Shared::new(Parts {
            policies: Arc::clone(&policies),
            catalogs: Catalogs::one(Arc::clone(&catalog)),
            audit: AuditLog::open(log.path(), Sync::Written).unwrap(),
            metrics: Arc::new(Metrics::default()),
            enforce: Box::new(sql::enforce_form),
            observe: false,
            subject_key: Some(SubjectKey::derive(&[7; 32])),
        })
        .unwrap();
        Self { shared: Arc::new(shared), policies, catalog, search_path: search_path.join(", "), _log: log }
    }

    /// What a session sends to its database for a simple query; `None` where it refuses it.
    async fn sends(&self, case: &Case) -> Option<String> {
        let (mut client, proxy_client) = duplex(1 << 20);
        let (mut database, proxy_database) = duplex(1 << 20);
        let pool = Pool::default();
        let address = Address::Tcp { host: "nowhere.invalid".into(), port: 1 };
        let upstream = Upstream::over(Link::new(Box::new(proxy_database), pool.clone()), address);
        let key = self.shared.cancels.register(upstream.cancel_target(1, &[0; 4]), false);
        let login = Login {
            catalog: Arc::clone(&self.catalog),
            client: Link::new(Box::new(proxy_client), pool),
            upstream,
            facts: SessionFacts { login: case.login.clone(), ..SessionFacts::default() },
            role: Arc::new(self.policies.role_of(&case.login).unwrap().clone()),
            policies: Arc::clone(&self.policies),
            purpose: case.purpose.clone(),
            said: crate::session::SaidAtStart { actor: case.actor.clone(), ..Default::default() },
            search_path: self.search_path.clone(),
            unlike: None,
            encoding: None,
            key,
        };
        let (_stop, stopped) = watch::channel(crate::session::Stop::No);
        let task = tokio::spawn(Box::new(Session::new(Arc::clone(&self.shared), login)).run(stopped));
        let mut query = vec![b'Q'];
        query.extend(u32::try_from(case.sql.len() + 5).unwrap().to_be_bytes());
        query.extend(case.sql.as_bytes());
        // Terminate behind it, so that a session that sends nothing ends.
        query.extend([0, b'X', 0, 0, 0, 4]);
        client.write_all(&query).await.unwrap();
        let mut header = [0; 5];
        let sent = match database.read_exact(&mut header).await {
            Ok(_) if header[0] == b'Q' => {
                let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
                database.read_exact(&mut body).await.unwrap();
                body.pop();
                Some(String::from_utf8(body).unwrap()).filter(|text| !text.is_empty())
            }
            Ok(_) | Err(_) => None,
        };
        task.abort();
        sent
    }
}

/// Judges every case of a file three times; what comes out otherwise in one of them.
async fn differences(path: &std::path::Path, ran: &mut [usize; 2]) -> Vec<String> {
    let file = File::read(path);
    let (policies, known) = (file.policies(), Known { catalog: file.catalog(), database: Some("shop".into()) });
    let search_path = file.search_path();
    let proxy = Proxy::new(&policies, &known.catalog, &search_path);
    let mut wrong = Vec::new();
    // What a client declares for its parameters, `explain` is not told.
    for case in file.case.iter().filter(|case| case.parameters.is_empty()) {
        let question = Question {
            policies: &policies,
            catalog: &known.catalog,
            role: policies.role_of(&case.login).unwrap(),
            login: &case.login,
            purpose: Some(&case.purpose),
            actor: case.actor.as_deref(),
            today: jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date(),
            search_path: search_path.clone(),
        };
        let explained = on_parser_stack(|| judge(&case.sql, &question)).unwrap();
        let sent = tokio::time::timeout(Duration::from_secs(60), proxy.sends(case)).await.expect("the session hangs");
        let told = match &explained {
            Judged::Runs { text, .. } => Some(text.clone()),
            Judged::Refused { .. } => None,
        };
        ran[usize::from(told.is_none())] += 1;
        if sent != told {
            wrong.push(format!("{}: the session sends {sent:?}, `explain` says {told:?}", case.name));
        }
        // A policy's own test has the path of a session that nothing was set for.
        if file.own_path().is_none() {
            let test = PolicyTest {
                file: "case.toml".into(),
                line: 1,
                name: None,
                login: case.login.clone(),
                purpose: Some(case.purpose.clone()),
                actor: case.actor.clone(),
                sql: case.sql.clone(),
                expect: Expected::Verdict(explained.verdict()),
                reason: None,
            };
            match passes(&test, &policies, &known) {
                Ok(Ran::Passed) => {}
                other => wrong.push(format!("{}: as a test of the policy: {other:?}", case.name)),
            }
        }
    }
    wrong
}

#[test]
fn a_session_explain_and_a_policys_own_test_judge_alike() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut files: Vec<_> = std::fs::read_dir("tests/cases/sql").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut wrong, mut ran) = (Vec::new(), [0; 2]);
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let found = runtime.block_on(differences(&file, &mut ran));
        wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran.iter().all(|count| *count > 50), "{ran:?}");
}

#[test]
fn what_leads_out_of_a_purpose_that_ended_is_open_and_what_reads_is_not() {
    let policy = "version = 1\n[tables.\"public.t\"]\nsubject = \"id\"\ncolumns = { id = \"key\" }\n\
        [purposes.old]\nbasis = \"contract\"\nexpires = 2026-01-01\n[purposes.new]\nbasis = \"contract\"\n\
        [roles.r]\nlogins = [\"r\"]\npurposes = [\"old\", \"new\"]\n\
        [[rules]]\nname = \"all\"\nroles = [\"r\"]\npurposes = [\"old\", \"new\"]\nread = [\"key\"]\n";
    let policies = PolicySet::from_sources(&[("case.toml".to_owned(), policy.to_owned())]).unwrap();
    let mut builder = CatalogBuilder::new();
    builder.table("public.t".parse().unwrap(), &[("id", "int4")], &["id"]);
    let catalog = builder.build();
    let proxy = Proxy::new(&policies, &catalog, &["public".to_owned()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (sql, open) in [
        ("ROLLBACK", true),
        ("COMMIT", true),
        ("DISCARD ALL", true),
        ("SET pgpurpose.purpose = 'new'", true),
        ("SET pgpurpose.purpose = 'old'", false),
        ("SET pgpurpose.purpose = 'nothing'", false),
        ("BEGIN", false),
        ("SELECT id FROM t", false),
        ("/* purpose='new' */ SELECT id FROM t", true),
    ] {
        let question = Question {
            policies: &policies,
            catalog: &catalog,
            role: policies.role_of("r").unwrap(),
            login: "r",
            purpose: Some("old"),
            actor: None,
            today: jiff::civil::date(2026, 11, 29),
            search_path: default_path("r"),
        };
        let explained = on_parser_stack(|| judge(sql, &question)).unwrap();
        assert_eq!(explained.verdict() != Verdict::Deny, open, "{sql}: {explained:?}");
        let case = Case {
            name: String::new(),
            login: "r".into(),
            purpose: "old".into(),
            actor: None,
            sql: sql.into(),
            parameters: Vec::new(),
            expect: explained.verdict(),
            reason: None,
            sqlstate: None,
        };
        assert_eq!(runtime.block_on(proxy.sends(&case)).is_some(), open, "{sql}, in a session");
    }
}
