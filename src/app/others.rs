//! Logs of other proxies that the console of a configuration is about too: folders, and an audit database.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::Filter;
use crate::audit::chain::{self, Link};
use crate::audit::read::{Entry, Page};
use crate::config::Admin;
use crate::console::others::{Folder, Others};
use crate::fleet::{AuditDb, AuditPlace, DbError};

/// Those that `[admin]` names.
///
/// # Errors
/// The audit database is none that can be reached so, in words.
pub(super) fn others(admin: &Admin) -> Result<Vec<Arc<dyn Others>>, String> {
    let mut all: Vec<Arc<dyn Others>> = Vec::new();
    for folder in &admin.logs {
        all.push(Arc::new(Folder::new(folder.clone())));
    }
    if let Some(place) = &admin.audit_db {
        let place = AuditPlace::read(place).map_err(|error| format!("`audit_db` under `[admin]`: {error}"))?;
        all.push(Arc::new(Database { place }));
    }
    Ok(all)
}

/// An audit database. Each question looks at one moment of it, over a connection of its own.
struct Database {
    place: AuditPlace,
}

impl Database {
    fn ask<T>(&self, question: impl FnOnce(&mut AuditDb) -> Result<T, DbError>) -> Result<T, String> {
        let asked = AuditDb::open(&self.place).and_then(|mut database| question(&mut database));
        asked.map_err(|error| error.to_string())
    }
}

impl Others for Database {
    fn names(&self) -> Result<Vec<String>, String> {
        self.ask(|database| Ok(database.logs().iter().map(|log| log.name.clone()).collect()))
    }

    fn behind(&self, logs: &[(String, u64)], each: &mut dyn FnMut(&str, Entry) -> bool) -> Result<(), String> {
        let name = |number: u64| usize::try_from(number).ok().and_then(|number| logs.get(number));
        self.ask(|database| {
            database.behind(logs, |number, entry| name(number).is_some_and(|(log, _)| each(log, entry)))
        })
    }

    fn holds(&self, log: &str, link: Link) -> Result<bool, String> {
        let line = self.ask(|database| database.line(log, link.seq))?;
        let sealed = line.and_then(|line| chain::open(line.as_bytes()).ok());
        Ok(sealed.is_some_and(|sealed| sealed.seq == link.seq && sealed.hash == link.hash))
    }

    fn page(
        &self,
        log: &str,
        filter: &Filter,
        before: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Page, String> {
        self.ask(|database| database.page(log, filter, before, most, patience))
    }
}
