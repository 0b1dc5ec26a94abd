//! The privacy centre: a small site on which data subjects see what is held and why, choose, ask, and see who looked (POPIA s11, s18, s23,
//! s24, s69).
//!
//! | file | what it does |
//! | --- | --- |
//! | `web` | from a request to an answer: routes and forms; what sites have in common is in `server::site` |
//! | `door` | codes, tries, sessions; `keys` derives what is secret |
//! | `knock` | finds who has an address and sends the code, outside of any request |
//! | `acts` | what a person does: first the record in the access log, then the deed |
//! | `receipt` | what a person is given of it |
//! | `store` | the database, by functions alone; `setup` makes those that depend on tables |
//! | `pages` | the pages; `words` their texts |
//!
//! Pages are made on the server, need no script, load one stylesheet, and set one cookie.

mod acts;
mod door;
mod keys;
mod knock;
mod pages;
mod receipt;
mod setup;
mod store;
mod web;
mod words;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, mpsc};

use crate::catalog::RelationName;
use crate::config::{Centre as Settings, Organisation};
use crate::mail::Mailer;
use crate::policy::{ContactKind, PolicySet};
use crate::requests::clock::Holidays;
use crate::requests::told::Told;
use crate::server::web::{Answer, Site};
use door::Door;
pub(crate) use keys::Keys;
pub(crate) use setup::sql;
pub(crate) use store::Store;
use words::Tongues;

/// What the centre is put together from.
pub(crate) struct Parts {
    /// `[centre]`
    pub(crate) settings: Settings,
    /// `[organisation]`
    pub(crate) organisation: Organisation,
    /// Its keys.
    pub(crate) keys: Keys,
    /// The policies in force; a reload puts others there.
    pub(crate) policies: Arc<ArcSwap<PolicySet>>,
    /// The database.
    pub(crate) store: Store,
    /// How codes and receipts leave.
    pub(crate) mailer: Mailer,
    /// Where each step is told.
    pub(crate) told: Told,
    /// The table whose key people have.
    pub(crate) people: RelationName,
    /// Its columns by which people are found, for the record of a lookup.
    pub(crate) known: Vec<(ContactKind, String)>,
    /// Public holidays, for deadlines.
    pub(crate) holidays: Holidays,
    /// The access log's folder, where it can be read from here.
    pub(crate) log: Option<PathBuf>,
}

/// The centre, running.
pub(crate) struct Centre {
    parts: Parts,
    tongues: Tongues,
    door: Mutex<Door>,
    /// Codes that are to be sent.
    knocks: mpsc::Sender<knock::Knock>,
    /// Readers of the access log at a time.
    readers: Semaphore,
}

/// Codes that wait to be sent; with more, nothing is sent and nobody is told.
const MOST_KNOCKS: usize = 1_000;
/// Readers of the access log at a time.
const READERS: usize = 2;

impl Centre {
    /// Puts it together, and begins to send codes.
    ///
    /// # Errors
    /// The texts cannot be read: a fault of this program.
    pub(crate) fn start(parts: Parts) -> Result<Arc<Self>, String> {
        let (knocks, waiting) = mpsc::channel(MOST_KNOCKS);
        let centre = Arc::new(Self {
            parts,
            tongues: Tongues::read()?,
            door: Mutex::new(Door::new()),
            knocks,
            readers: Semaphore::new(READERS),
        });
        tokio::spawn(knock::answer(Arc::downgrade(&centre), waiting));
        Ok(centre)
    }

    /// As a site for [`crate::server::web::serve`].
    pub(crate) fn site(self: &Arc<Self>, tls: Option<crate::server::ListenTls>) -> Site {
        let (centre, forwarded) = (Arc::clone(self), self.parts.settings.forwarded);
        let answer: Answer = Arc::new(move |request| {
            let centre = Arc::clone(&centre);
            Box::pin(async move { web::answer(&centre, request).await })
        });
        Site { tls, forwarded, answer }
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        // Counts stay right whoever panicked.
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who the responsible party is, in short.
    fn name(&self) -> &str {
        self.own("name").unwrap_or("")
    }

    fn own(&self, key: &str) -> Option<&str> {
        self.parts.organisation.get(key).and_then(|said| said.first()).map(String::as_str)
    }
}

/// Who looked at a person's record, as a page in one of the centre's languages (`en`, `af`, `zu`), for who is sent it.
///
/// # Errors
/// There is no such language, or the texts cannot be read.
pub(crate) fn seen_page(
    code: &str,
    subject: &str,
    found: &crate::audit::Sightings,
    policies: &PolicySet,
) -> Result<crate::page::Page, String> {
    let tongues = Tongues::read()?;
    let tongue = tongues.get(code).ok_or_else(|| format!("there are no texts in `{code}`: `en`, `af` and `zu`"))?;
    Ok(pages::seen::alone(tongue, subject, found, policies))
}
