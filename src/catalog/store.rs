//! Keeps the current snapshot of one database and replaces it when the database has changed.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, NoTls, Statement};

use super::load::read_changes;
use super::{Catalog, LoadError, Told, Touched, Unapplied, changed_query, load_catalog, plain_query, within_query};

/// How long one load may take.
const LONGEST_LOAD: Duration = Duration::from_secs(30);
/// How often unknown names may cause a load: they are the client's to send. Between two so many may look whether anything was changed, and
/// so many read what was; who comes after these waits for the next load.
const UNKNOWN_NAME_INTERVAL: Duration = Duration::from_millis(500);
const LOOKS: u8 = 100;
const READS: u8 = 4;

/// Which transactions have ended: while this says the same, no row has changed (PostgreSQL's documentation, 9.27.4).
const MOMENT: &str = "SELECT pg_catalog.pg_current_snapshot()::text";

/// How a part of the structure is asked for, in one round trip: what holds for the connection is set once. Where somebody took it back the answer
/// says so, and everything is read.
const FOR_PARTS: &str =
    "SET search_path = pg_catalog, pg_temp; SET jit = off; SET plan_cache_mode = force_generic_plan";

/// Makes the proxy's own connection. The connection's task is running when the client is given out.
pub type Connect =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Client, LoadError>> + Send>> + Send + Sync + 'static>;

/// Connects without TLS, over TCP or a Unix socket.
pub fn connect_plain(config: tokio_postgres::Config) -> Connect {
    Box::new(move || {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) =
                config.connect(NoTls).await.map_err(|error| LoadError::Connect(error.to_string()))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(%error, "the catalog's connection ended");
                }
            });
            Ok(client)
        })
    })
}

/// The current snapshot of one database.
pub struct CatalogStore {
    current: ArcSwap<Catalog>,
    connect: Connect,
    /// Number of loads that were asked for.
    asked: AtomicU64,
    /// The load that must be answered before anything else is decided.
    due: AtomicU64,
    /// What the loads that are due have to read.
    owed: std::sync::Mutex<Touched>,
    /// How much was read, in whole, what has changed, and in part.
    reads: [AtomicU64; 3],
    /// As [`State::answered`], to be read without waiting.
    answered: AtomicU64,
    /// It could not be read when it was looked at last, and that was told.
    away: AtomicBool,
    /// Tells of each snapshot that says something else than the one before.
    epochs: watch::Sender<u64>,
    state: Mutex<State>,
}

struct State {
    client: Option<Client>,
    /// What tells of changes, prepared on that connection.
    changes: Option<Statement>,
    /// What tells of a part: [`plain_query`] and [`within_query`].
    parts: Option<(Statement, Statement)>,
    /// Which transactions had ended when it was read last, as the server writes it.
    moment: Option<String>,
    /// Every load that was asked for up to this number has been answered.
    answered: u64,
    loaded_at: Instant,
    /// How often unknown names have led to a look since.
    looks: u8,
    /// How many of these have read what was changed.
    reads: u8,
}

impl State {
    fn new() -> Self {
        Self {
            client: None,
            changes: None,
            parts: None,
            moment: None,
            answered: 0,
            loaded_at: Instant::now(),
            looks: 0,
            reads: 0,
        }
    }
}

impl std::fmt::Debug for CatalogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogStore").field("epoch", &self.current.load().epoch()).finish_non_exhaustive()
    }
}

impl CatalogStore {
    /// Connects and reads the first snapshot, which has epoch 1.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn open(connect: Connect) -> Result<Self, LoadError> {
        Self::open_from(connect, 1).await
    }

    /// The same with another first epoch, so that snapshots of several databases never have the same.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn open_from(connect: Connect, first_epoch: u64) -> Result<Self, LoadError> {
        let mut client = None;
        let catalog = load_on(&connect, &mut client, first_epoch).await?;
        let state = State { client, ..State::new() };
        Ok(Self {
            owed: std::sync::Mutex::default(),
            reads: Default::default(),
            current: ArcSwap::from_pointee(catalog),
            connect,
            asked: AtomicU64::new(0),
            due: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            away: AtomicBool::new(false),
            epochs: watch::Sender::new(first_epoch),
            state: Mutex::new(state),
        })
    }

    /// A store whose snapshot is given and never changes: for tests and for `explain` without a database.
    pub fn fixed(catalog: Catalog) -> Self {
        let epochs = watch::Sender::new(catalog.epoch());
        Self {
            owed: std::sync::Mutex::default(),
            reads: Default::default(),
            current: ArcSwap::from_pointee(catalog),
            connect: Box::new(|| Box::pin(async { Err(LoadError::Connect("there is no database".to_owned())) })),
            asked: AtomicU64::new(0),
            due: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            away: AtomicBool::new(false),
            epochs,
            state: Mutex::new(State::new()),
        }
    }

    /// The current snapshot.
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Takes over what an earlier snapshot of the same database knew of names.
    pub fn follow(&self, before: &Catalog) {
        let mut own = (*self.current()).clone();
        own.remember(before);
        self.current.store(Arc::new(own));
    }

    /// Is changed with each snapshot that says something else than the one before; the value is its epoch.
    pub fn epochs(&self) -> watch::Receiver<u64> {
        self.epochs.subscribe()
    }

    /// Whether this is the newest snapshot.
    pub fn is_current(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(catalog, &self.current.load())
    }

    /// Reads the catalog again: after DDL has passed. What it gives was read after this was called. Calls that come while a
    /// load runs share the next one. The epoch grows only when something has changed.
    ///
    /// # Errors
    /// [`LoadError`]; the snapshot stays as it was.
    pub async fn reload(&self) -> Result<Arc<Catalog>, LoadError> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut state = self.state.lock().await;
        if state.answered >= ticket {
            return Ok(self.current());
        }
        self.load_locked(&mut state, true).await
    }

    /// Says that the database has changed, and what in it: from now on [`settled`](Self::settled) waits for a snapshot that was read later.
    pub fn outdated(&self, touched: &Touched) {
        if touched.is_nothing() {
            return;
        }
        // With the number under one lock: who reads up to that number reads this.
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.add(touched);
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.due.fetch_max(ticket, Ordering::SeqCst);
    }

    /// How often everything was read, what had changed, and a part, since the store was opened.
    pub fn reads(&self) -> [u64; 3] {
        self.reads.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Whether the snapshot is newer than every change that was told of.
    pub fn is_settled(&self) -> bool {
        self.answered.load(Ordering::SeqCst) >= self.due.load(Ordering::SeqCst)
    }

    /// Waits until the snapshot is newer than every change that was told of; at once where none was.
    ///
    /// # Errors
    /// [`LoadError`]: the snapshot is older than the database.
    pub async fn settled(&self) -> Result<(), LoadError> {
        if self.is_settled() {
            return Ok(());
        }
        // On the heap: every statement of every session comes by here, and hardly one has to wait.
        Box::pin(async {
            let mut state = self.state.lock().await;
            if state.answered >= self.due.load(Ordering::SeqCst) {
                return Ok(());
            }
            if self.settle_part(&mut state).await {
                return Ok(());
            }
            self.load_locked(&mut state, false).await.map(|_| ())
        })
        .await
    }

    /// Reads the catalog again because a name is not known. Where that was done a moment ago, only if anything has changed since; a few times
    /// at once, and then with the next load, which is waited for.
    ///
    /// # Errors
    /// [`LoadError`]; the snapshot stays as it was.
    pub async fn reload_for_unknown_name(&self) -> Result<Arc<Catalog>, LoadError> {
        let mut state = self.state.lock().await;
        if state.loaded_at.elapsed() >= UNKNOWN_NAME_INTERVAL {
            (state.looks, state.reads) = (0, 0);
            return self.load_locked(&mut state, false).await;
        }
        state.looks = state.looks.saturating_add(1);
        if state.looks <= LOOKS {
            if !has_moved(&state).await {
                return Ok(self.current());
            }
            state.reads = state.reads.saturating_add(1);
        }
        if state.looks > LOOKS || state.reads > READS {
            let rest = UNKNOWN_NAME_INTERVAL.saturating_sub(state.loaded_at.elapsed());
            drop(state);
            tokio::time::sleep(rest).await;
            let mut state = self.state.lock().await;
            // Whoever loaded meanwhile did so later than this was asked for.
            if state.loaded_at.elapsed() >= UNKNOWN_NAME_INTERVAL {
                (state.looks, state.reads) = (0, 0);
                return self.load_locked(&mut state, false).await;
            }
            return Ok(self.current());
        }
        let loaded_at = state.loaded_at;
        let loaded = self.load_locked(&mut state, false).await;
        // Looks do not put off the next load.
        state.loaded_at = loaded_at;
        loaded
    }

    /// Reads what has changed, if any transaction has ended since it was read last: for statements that change the structure and do not
    /// pass through the proxy. Costs one short query where nothing was written.
    ///
    /// # Errors
    /// [`LoadError`]; the snapshot stays as it was.
    pub async fn catch_up(&self) -> Result<(), LoadError> {
        let mut state = self.state.lock().await;
        if !has_moved(&state).await {
            return Ok(());
        }
        self.load_locked(&mut state, false).await.map(|_| ())
    }

    /// Looks whether anything has changed; with `whole`, reads all of it. That the database is away is told once, and that it is back.
    pub async fn look(&self, whole: bool) {
        let read = if whole { self.reload().await.map(|_| ()) } else { self.catch_up().await };
        match read {
            Ok(()) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the catalog is read again");
                }
            }
            Err(error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the catalog could not be read again; the last snapshot stays");
                }
            }
        }
    }

    /// Looks again and again, for statements that change the structure and do not pass through the proxy: for what has changed
    /// `often`, for all of it `every` so long. Never ends by itself.
    pub async fn keep_fresh(&self, often: Duration, every: Duration) {
        let mut whole = Instant::now();
        loop {
            tokio::time::sleep(often).await;
            let all = whole.elapsed() >= every;
            if all {
                whole = Instant::now();
            }
            self.look(all).await;
        }
    }

    /// Reads what is owed, where that is known to be a part; whether it was read.
    ///
    /// The moment from which on changes are not in the snapshot stays: the next look reads whatever has changed since, so that it would find what a
    /// part had left out.
    async fn settle_part(&self, state: &mut State) -> bool {
        let (owed, covers) = {
            let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
            (owed.clone(), self.asked.load(Ordering::SeqCst))
        };
        if owed.is_nothing() {
            return false;
        }
        let current = self.current();
        let Some(mut loaded) = part(state, &current, &owed).await else { return false };
        self.count(2);
        self.put(&mut loaded, &current);
        self.answer(state, covers, Some(&owed));
        true
    }

    fn count(&self, kind: usize) {
        if let Some(count) = self.reads.get(kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes over a snapshot that was read later, where it says something else.
    fn put(&self, loaded: &mut Catalog, current: &Arc<Catalog>) {
        loaded.remember(current);
        let loaded = std::mem::take(loaded);
        if !loaded.same_contents(current) {
            let epoch = loaded.epoch();
            tracing::info!(epoch, "the catalog has changed");
            self.current.store(Arc::new(loaded));
            self.epochs.send_replace(epoch);
        } else if loaded.since() != current.since() || !loaded.same_parts(current) {
            // The same, as of later: what is read next is less.
            self.current.store(Arc::new(loaded.under(current.epoch())));
        }
    }

    /// Everything that was asked for up to a number is read; `owed` of what is owed, `None` for all of it.
    fn answer(&self, state: &mut State, covers: u64, owed: Option<&Touched>) {
        {
            let mut left = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
            // What came meanwhile is read with the next load, and what was read is read again then: that is no fault.
            if owed.is_none_or(|owed| *left == *owed) && self.asked.load(Ordering::SeqCst) == covers {
                *left = Touched::Nothing;
            }
        }
        state.answered = covers;
        self.answered.store(covers, Ordering::SeqCst);
    }

    /// `whole`: also what only a whole load tells; else what has changed.
    async fn load_locked(&self, state: &mut State, whole: bool) -> Result<Arc<Catalog>, LoadError> {
        let covers = self.asked.load(Ordering::SeqCst);
        let current = self.current();
        let loaded = match if whole { None } else { changes(state, &current).await } {
            Some(loaded) => {
                self.count(1);
                Ok(loaded)
            }
            None => {
                self.count(0);
                (state.changes, state.parts, state.moment) = (None, None, None);
                load_on(&self.connect, &mut state.client, current.epoch() + 1).await
            }
        };
        // A failing database is not asked more often than a healthy one.
        state.loaded_at = Instant::now();
        let mut loaded = loaded?;
        self.put(&mut loaded, &current);
        self.answer(state, covers, None);
        Ok(self.current())
    }
}

/// Whether a transaction has ended since the catalog was read, or may have.
async fn has_moved(state: &State) -> bool {
    let (Some(before), Some(client)) = (&state.moment, &state.client) else { return true };
    match timeout(LONGEST_LOAD, client.query_one(MOMENT, &[])).await {
        Ok(Ok(row)) => row.try_get::<_, String>(0).map_or(true, |now| now != *before),
        Ok(Err(_)) | Err(_) => true,
    }
}

/// The snapshot with what was touched as it is now; `None` where more has to be read than that.
async fn part(state: &mut State, current: &Catalog, touched: &Touched) -> Option<Catalog> {
    let mut question = current.question(touched, false)?;
    let client = state.client.as_ref().filter(|client| !client.is_closed())?;
    let read = async {
        let (plain, within) = match &state.parts {
            Some(prepared) => prepared,
            None => {
                client.batch_execute(FOR_PARTS).await?;
                let prepared = (client.prepare(plain_query()).await?, client.prepare(within_query()).await?);
                state.parts.insert(prepared)
            }
        };
        loop {
            let rows = client.query(if question.within { within } else { plain }, &[&question.about]).await?;
            let rows = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
            match current.told(&rows.collect::<Result<Vec<_>, tokio_postgres::Error>>()?, current.epoch() + 1, true) {
                Ok(Told::Next(next)) => return Ok(Some(*next)),
                Ok(Told::More) if !question.within => match current.question(touched, true) {
                    Some(more) => question = more,
                    None => return Ok(None),
                },
                Ok(Told::More) | Err(_) => return Ok(None),
            }
        }
    };
    match timeout(LONGEST_LOAD, read).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            let error: tokio_postgres::Error = error;
            tracing::warn!(%error, "a part of the catalog could not be read; what has changed is read");
            state.parts = None;
            None
        }
        Err(_) => {
            state.client = None;
            None
        }
    }
}

/// The snapshot with what has changed since; `None` where only a whole load tells.
async fn changes(state: &mut State, current: &Catalog) -> Option<Catalog> {
    let client = state.client.as_ref().filter(|client| !client.is_closed())?;
    let since = current.since()?;
    let mut moment = None;
    let read = async {
        if state.changes.is_none() {
            state.changes = Some(client.prepare(changed_query()).await?);
        }
        let Some(prepared) = &state.changes else { return Ok(Vec::new()) };
        client
            .batch_execute(
                "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off; \
                 SET LOCAL plan_cache_mode = force_generic_plan",
            )
            .await?;
        // Before what is read: what ends between the two is read again.
        moment = client.query_one(MOMENT, &[]).await?.try_get::<_, String>(0).ok();
        let rows = read_changes(client, prepared, since).await?;
        client.batch_execute("COMMIT").await?;
        Ok(rows)
    };
    let read = timeout(LONGEST_LOAD, read).await;
    state.moment = moment.filter(|_| matches!(read, Ok(Ok(_))));
    match read {
        Ok(Ok(rows)) => match current.changed(&rows, current.epoch() + 1, true) {
            Ok(changed) => Some(changed),
            Err(Unapplied::Others) => None,
            Err(error @ Unapplied::Unreadable) => {
                tracing::warn!(%error, "the catalog is read as a whole");
                None
            }
        },
        Ok(Err(error)) => {
            let error: LoadError = error;
            tracing::warn!(%error, "the catalog is read as a whole");
            state.client = None;
            None
        }
        Err(_) => {
            state.client = None;
            None
        }
    }
}

/// Loads over the connection that is there, or over a new one where there is none or it has broken.
async fn load_on(connect: &Connect, client: &mut Option<Client>, epoch: u64) -> Result<Catalog, LoadError> {
    let load = async {
        if let Some(open) = client.as_mut().filter(|client| !client.is_closed()) {
            match load_catalog(open, epoch).await {
                Err(LoadError::Query(error)) if error.is_closed() => {}
                other => return other,
            }
        }
        let fresh = client.insert(connect().await?);
        load_catalog(fresh, epoch).await
    };
    let result = timeout(LONGEST_LOAD, load).await.unwrap_or(Err(LoadError::Timeout(LONGEST_LOAD.as_secs())));
    if result.is_err() {
        *client = None;
    }
    result
}
