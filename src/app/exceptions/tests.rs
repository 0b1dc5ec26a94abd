#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use tempfile::TempDir;

use super::super::grants::tests::{grant, grants};
use super::super::grants::{NewLine, What};
use super::*;
use crate::audit::{AuditLog, Sync};
use crate::catalog::{CatalogBuilder, CatalogStore};
use crate::session::{Catalogs, Parts};
use crate::telemetry::Metrics;

fn policies(rule: &str) -> PolicySet {
    let text = format!(
        "version = 1\n[purposes.p]\nbasis = \"contract\"\n[purposes.incident]\nbasis = \"contract\"\n{rule}\n\
         [roles.r]\nlogins = [\"ann\", \"ben\"]\npurposes = [\"p\"]\n"
    );
    PolicySet::from_sources(&[("test.toml".into(), text)]).unwrap()
}

/// One start of a proxy over the folder.
fn started(folder: &TempDir) -> Exceptions {
    let shared = Shared::new(Parts {
        policies: Arc::new(policies("")),
        catalogs: Catalogs::one(Arc::new(CatalogStore::fixed(CatalogBuilder::new().build()))),
        audit: AuditLog::open(&folder.path().join("log"), Sync::Written).unwrap(),
        metrics: Arc::new(Metrics::default()),
        enforce: Box::new(crate::sql::enforce_form),
        observe: false,
        subject_key: None,
    });
    Exceptions::new(grants(folder.path(), Some([7; 32])), Arc::new(shared.unwrap()))
}

/// The logins whose grants decisions take into account.
fn open(exceptions: &Exceptions) -> Vec<String> {
    exceptions.shared.policies.load().granted().iter().map(|grant| grant.login.clone()).collect()
}

fn told(folder: &TempDir) -> Vec<String> {
    let mut all = Vec::new();
    crate::audit::read::scan(&folder.path().join("log"), |entry| {
        all.extend(entry.text("what").filter(|_| entry.event() == "grant").map(str::to_owned));
        true
    })
    .unwrap();
    all
}

fn end(id: &str) -> NewLine<'_> {
    NewLine { what: What::End(id), reason: None, by: "thabo" }
}

/// As a reload does it.
async fn reload(exceptions: &mut Exceptions, rule: &str) {
    exceptions.shared.policies.store(Arc::new(policies(rule).with_granted(exceptions.in_force())));
    exceptions.look_again();
}

#[tokio::test]
async fn a_grant_that_was_ended_does_not_come_back_with_the_lines_before_its_end() {
    let folder = TempDir::new().unwrap();
    let mut running = started(&folder);
    let file = running.grants.file.clone();
    let first = running.grants.add(grant("ann")).unwrap().id;
    running.look().await;
    assert_eq!(open(&running), ["ann"]);
    let before = fs::read(&file).unwrap();
    running.grants.add(end(&first)).unwrap();
    running.look().await;
    assert!(open(&running).is_empty());
    let whole = fs::read(&file).unwrap();
    for cut in [before.clone(), Vec::new(), whole[..whole.len() - 1].to_vec()] {
        fs::write(&file, &cut).unwrap();
        running.look().await;
        assert!(open(&running).is_empty(), "{}", cut.len());
        assert!(running.trouble.as_ref().unwrap().contains("are gone or others"), "{:?}", running.trouble);
    }
    // Another line behind those that are left changes nothing; the whole file is believed again.
    fs::write(&file, &before).unwrap();
    running.grants.add(grant("ben")).unwrap();
    running.look().await;
    assert!(open(&running).is_empty() && running.trouble.is_some());
    fs::write(&file, &whole).unwrap();
    running.look().await;
    assert_eq!((running.trouble.clone(), told(&folder).last().unwrap().as_str()), (None, "refused"));
    running.shared.audit.close("test").await.unwrap();
    drop(running);

    // Nor after a start: the log says that it was ended. Whether the file was there at the start or comes later.
    fs::write(&file, &before).unwrap();
    let mut later = started(&folder);
    later.look().await;
    assert!(open(&later).is_empty());
    assert!(later.trouble.as_ref().unwrap().contains(&format!("`{first}` was ended")), "{:?}", later.trouble);
    later.shared.audit.close("test").await.unwrap();
    drop(later);
    fs::remove_file(&file).unwrap();
    let mut empty = started(&folder);
    empty.look().await;
    assert_eq!(empty.trouble, None);
    fs::write(&file, &before).unwrap();
    empty.look().await;
    assert!(open(&empty).is_empty());
    assert!(empty.trouble.as_ref().unwrap().contains(&format!("`{first}` was ended")), "{:?}", empty.trouble);
    // Ended once more, the file and the log agree.
    empty.grants.add(end(&first)).unwrap();
    empty.grants.add(grant("ben")).unwrap();
    empty.look().await;
    assert_eq!((open(&empty), empty.trouble.clone()), (vec!["ben".to_owned()], None));
}

#[tokio::test]
async fn policies_that_want_two_persons_take_out_what_one_has_granted() {
    let folder = TempDir::new().unwrap();
    let mut running = started(&folder);
    running.grants.add(grant("ann")).unwrap();
    let until = Timestamp::now() + SignedDuration::from_hours(2);
    // Approved by nobody else than who granted it: the policy of that day did not ask.
    let what = What::Grant { login: "ben", purpose: "incident", until, approved_by: Some("thabo") };
    running.grants.add(NewLine { what, reason: Some("OPS-12"), by: "thabo" }).unwrap();
    running.look().await;
    assert_eq!(open(&running), ["ann", "ben"]);
    reload(&mut running, "grant = \"two persons\"").await;
    assert!(open(&running).is_empty(), "at once");
    running.look().await;
    assert!(open(&running).is_empty() && running.in_force().is_empty());
    assert_eq!(told(&folder), ["in_force", "in_force", "withdrawn", "withdrawn"]);
    let what = What::Grant { login: "ben", purpose: "incident", until, approved_by: Some("naledi") };
    running.grants.add(NewLine { what, reason: Some("OPS-12"), by: "thabo" }).unwrap();
    running.look().await;
    assert_eq!(open(&running), ["ben"]);
    // The file is the same, and other policies take others of it.
    reload(&mut running, "grant = \"one person\"").await;
    running.look().await;
    assert_eq!(open(&running).len(), 3);
    reload(&mut running, "grant = \"never\"").await;
    running.look().await;
    assert!(open(&running).is_empty());
}

#[tokio::test]
async fn a_grant_that_the_log_does_not_hold_is_not_in_force_then_nor_after_a_reload() {
    let folder = TempDir::new().unwrap();
    let mut running = started(&folder);
    let first = running.grants.add(grant("ann")).unwrap().id;
    running.look().await;
    assert_eq!(open(&running), ["ann"]);
    // Every later append fails.
    running.shared.audit.close("test").await.unwrap();
    let until = Timestamp::now() + SignedDuration::from_hours(2);
    for _ in 0..2 {
        let what = What::Grant { login: "ben", purpose: "incident", until, approved_by: None };
        running.grants.add(NewLine { what, reason: Some("OPS-13"), by: "thabo" }).unwrap();
    }
    running.look().await;
    assert_eq!(open(&running), ["ann"], "neither of two");
    reload(&mut running, "").await;
    assert_eq!(open(&running), ["ann"], "nor by a reload");
    // An end counts, logged or not, and is owed to the log.
    running.grants.add(end(&first)).unwrap();
    running.look().await;
    assert!(open(&running).is_empty() && running.in_force().is_empty());
    assert_eq!(running.owed.iter().map(|grant| grant.id.as_str()).collect::<Vec<_>>(), [first.as_str()]);
    running.look().await;
    assert_eq!((running.owed.len(), told(&folder)), (1, vec!["in_force".to_owned()]));
}
