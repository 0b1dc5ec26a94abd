//! The console: where whoever reviews access to personal information works (POPIA s19(2)(c), s8; GDPR art. 32(1)(d)).
//!
//! | file | what it does |
//! | --- | --- |
//! | `web` | from a request to an answer: routes, hosts, forms |
//! | `door` | who may come in, and sessions |
//! | `following` | reads the access log as it grows, into a desk that pages are made from |
//! | `others` | logs of other proxies that it reads as well |
//! | `acts` | what a reviewer does: a record of the access log, or nothing |
//! | `query` | what is looked for, as an address |
//! | `seek` | a page of it, over all logs |
//! | `bundle` | what an auditor is given |
//! | `pages` | the pages |
//!
//! Pages are made on the server and need no script. Each is a record of the access log before it is shown.

mod acts;
pub(crate) mod bundle;
mod door;
mod following;
pub(crate) mod others;
mod pages;
mod query;
mod seek;
pub(crate) mod tables;
mod web;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use tokio::sync::Semaphore;

use crate::audit::SubjectKey;
use crate::audit::checkpoint::Signer;
use crate::config::{Admin as Settings, Organisation, Secret};
use crate::policy::PolicySet;
use crate::server::admin::Admin;
use crate::server::web::Answer;
use door::Door;
use following::{Following, Sources};

/// A request of a data subject that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its number.
    pub(crate) id: i64,
    /// `access`, `correction` ...
    pub(crate) asked: String,
    /// When it came.
    pub(crate) received: Date,
    /// The law's last day.
    pub(crate) by: Date,
}

/// Gives the open requests, or why they cannot be told.
pub(crate) type DueRequests =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<Due>, String>> + Send>> + Send + Sync>;

/// What the console is put together from.
pub(crate) struct Parts {
    /// `[admin]`
    pub(crate) settings: Settings,
    /// What opens it to whoever has it.
    pub(crate) token: Option<Secret>,
    /// `[organisation]`
    pub(crate) organisation: Organisation,
    /// The proxy, its log and what is beside it.
    pub(crate) admin: Arc<Admin>,
    /// Gives the policies in force.
    pub(crate) policies: Box<dyn Fn() -> Arc<PolicySet> + Send + Sync>,
    /// By which the log names subjects.
    pub(crate) subject_key: Option<SubjectKey>,
    /// The key of the log's checkpoints.
    pub(crate) signer: Option<Arc<Signer>>,
    /// Where policies are kept as they were.
    pub(crate) kept: PathBuf,
    /// Logs of other proxies.
    pub(crate) others: Vec<Arc<dyn others::Others>>,
    /// Asks for open requests.
    pub(crate) due: DueRequests,
}

/// The console, running.
pub(crate) struct Console {
    parts: Parts,
    door: Mutex<Door>,
    following: Arc<Following>,
    /// Pages that read the log's files at a time.
    readers: Semaphore,
}

/// Pages that read the log's files at a time.
const READERS: usize = 2;

impl Console {
    /// Puts it together, and begins to read the log.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(parts: Parts) -> Result<Arc<Self>, String> {
        let zone = (parts.policies)().zone().tz().clone();
        let log = &parts.admin.log;
        let following = Following::start(Sources {
            directory: log.directory().to_owned(),
            name: log.name().to_owned(),
            signer: parts.signer.clone(),
            others: parts.others.clone(),
            zone,
        })?;
        let door = Mutex::new(Door::new());
        Ok(Arc::new(Self { parts, door, following, readers: Semaphore::new(READERS) }))
    }

    /// What answers the admin listener.
    pub(crate) fn answer(self: &Arc<Self>) -> Answer {
        let console = Arc::clone(self);
        Arc::new(move |request| {
            let console = Arc::clone(&console);
            Box::pin(async move { web::answer(&console, request).await })
        })
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        // Counts stay right whoever panicked.
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether browsers come by TLS, ours or that of a proxy before it.
    fn is_secure(&self) -> bool {
        let settings = &self.parts.settings;
        settings.tls.is_some() || settings.url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    fn own(&self, key: &str) -> Option<&str> {
        self.parts.organisation.get(key).and_then(|said| said.first()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
