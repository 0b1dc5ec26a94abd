//! Decides statements on threads whose stack is large enough, and keeps the decisions.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use jiff::civil::Date;
use tokio::sync::oneshot;

use super::cache::{Cache, ScopeKey, Table};
use crate::audit::PreparedAccess;
use crate::catalog::{Catalog, Oid};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, PolicySet, Role};
use crate::sql::{Context, Enforced, Redacted, Refused, Step, Steps, redact};
use crate::telemetry::{Histogram, Metrics};

/// Both parsers recurse (design, settled choices).
const STACK: usize = 64 * 1024 * 1024;

/// Bytes from which a statement is long.
const LONG: usize = 16 * 1024;

/// A function that decides one statement.
pub type Enforce = dyn Fn(&str, &Context<'_>) -> Result<Enforced, Box<Refused>> + Send + Sync;

/// A statement that was decided, with what the log says about it.
#[derive(Debug)]
pub(in crate::session) struct Decision {
    pub(in crate::session) enforced: Arc<Enforced>,
    pub(in crate::session) logged: Redacted,
    /// What the records of its runs share, once one was written.
    pub(in crate::session) record: OnceLock<PreparedAccess>,
}

/// A statement that was refused, with what the log says about it.
#[derive(Debug)]
pub(in crate::session) struct Rejected {
    pub(in crate::session) refusal: Refusal,
    pub(in crate::session) report: AccessReport,
    pub(in crate::session) logged: Redacted,
}

/// On whose behalf, why and under which snapshots: all that a decision depends on but the text.
#[derive(Debug)]
pub(in crate::session) struct Scope {
    pub(in crate::session) policies: Arc<PolicySet>,
    pub(in crate::session) catalog: Arc<Catalog>,
    pub(in crate::session) role: Arc<Role>,
    pub(in crate::session) login: String,
    pub(in crate::session) purpose: String,
    /// `$user` replaced.
    pub(in crate::session) search_path: Vec<String>,
    pub(in crate::session) today: Date,
    pub(in crate::session) observe: bool,
    table: Arc<Table>,
}

impl Scope {
    /// What the pipeline is given of it.
    pub(in crate::session) fn context(&self) -> Context<'_> {
        Context {
            catalog: &self.catalog,
            policies: &self.policies,
            login: &self.login,
            purpose: &self.purpose,
            search_path: &self.search_path,
            today: self.today,
            observe: self.observe,
            parameters: &[],
            steps: Steps::default(),
        }
    }

    /// Whether a decision made under the other still holds under this one.
    pub(in crate::session) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
            || (self.login == other.login
                && self.role.name == other.role.name
                && self.purpose == other.purpose
                && self.search_path == other.search_path
                && self.today == other.today
                && self.policies.hash() == other.policies.hash()
                && self.catalog.epoch() == other.catalog.epoch())
    }
}

type Answer = Result<Decision, Box<Rejected>>;

struct Job {
    text: String,
    types: Vec<Oid>,
    scope: Arc<Scope>,
    answer: oneshot::Sender<Answer>,
}

/// The threads and the cache.
pub(in crate::session) struct Enforcer {
    metrics: Arc<Metrics>,
    jobs: Sender<Job>,
    /// Long statements, one at a time: a thread keeps the memory that it once needed.
    long: Sender<Job>,
    cache: Cache,
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer").finish_non_exhaustive()
    }
}

impl Enforcer {
    /// Starts so many threads; they end with the enforcer.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(in crate::session) fn new(enforce: Box<Enforce>, threads: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let enforce: Arc<Enforce> = Arc::from(enforce);
        let (jobs, inbox) = channel::<Job>();
        let (long, long_inbox) = channel::<Job>();
        let (inbox, long_inbox) = (Arc::new(Mutex::new(inbox)), Arc::new(Mutex::new(long_inbox)));
        let named = (0..threads.max(1)).map(|number| (format!("decide-{number}"), &inbox));
        for (name, inbox) in named.chain([("decide-long".to_owned(), &long_inbox)]) {
            let (inbox, enforce, metrics) = (Arc::clone(inbox), Arc::clone(&enforce), Arc::clone(&metrics));
            thread::Builder::new().name(name).stack_size(STACK).spawn(move || work(&inbox, &*enforce, &metrics))?;
        }
        Ok(Self { metrics, jobs, long, cache: Cache::default() })
    }

    /// A scope; its decisions are shared with every equal one.
    #[allow(clippy::too_many_arguments)]
    pub(in crate::session) fn scope(
        &self,
        policies: Arc<PolicySet>,
        catalog: Arc<Catalog>,
        role: Arc<Role>,
        login: String,
        purpose: String,
        search_path: Vec<String>,
        today: Date,
        observe: bool,
    ) -> Scope {
        let table = self.cache.table(ScopeKey {
            login: login.clone(),
            role: role.name.clone(),
            purpose: purpose.clone(),
            search_path: search_path.clone(),
            today,
            policy: policies.hash().to_owned(),
            epoch: catalog.epoch(),
        });
        Scope { policies, catalog, role, login, purpose, search_path, today, observe, table }
    }

    /// Decides a statement whose parameters have these declared types, or finds the decision.
    pub(in crate::session) async fn decide(
        &self,
        text: &str,
        types: &[Oid],
        scope: &Arc<Scope>,
    ) -> Result<Arc<Decision>, Box<Rejected>> {
        let key = key_of(text, types);
        if let Some(decision) = scope.table.get(&key) {
            self.metrics.cache_hits.bump();
            return Ok(decision);
        }
        self.metrics.cache_misses.bump();
        let started = Instant::now();
        let (answer, decided) = oneshot::channel();
        let job = Job { text: text.to_owned(), types: types.to_vec(), scope: Arc::clone(scope), answer };
        let queue = if text.len() < LONG { &self.jobs } else { &self.long };
        let sent = queue.send(job).is_ok();
        let answer = if sent { decided.await.ok() } else { None };
        self.metrics.decide.observe(started.elapsed());
        match answer {
            Some(Ok(decision)) => {
                let decision = Arc::new(decision);
                self.cache.keep_within_budget();
                scope.table.put(&key, &decision);
                Ok(decision)
            }
            Some(Err(rejected)) => Err(rejected),
            None => Err(reject(Refusal::internal(Stage::Session), redact(text))),
        }
    }
}

/// What a decision is kept by: the text, and the types that are declared, behind a byte that no text from the wire holds.
fn key_of<'a>(text: &'a str, types: &[Oid]) -> Cow<'a, str> {
    if types.iter().all(|oid| *oid == 0) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(types.iter().fold(format!("{text}\0"), |key, oid| key + &oid.to_string() + ","))
}

/// How long each step took, all times together that it was taken.
#[derive(Default)]
struct Watch(Mutex<Times>);

#[derive(Default)]
struct Times {
    now: Option<(Step, Instant)>,
    took: Vec<(Step, Duration)>,
}

impl Times {
    fn end(&mut self, at: Instant) {
        let Some((step, since)) = self.now.take() else { return };
        let more = at.duration_since(since);
        match self.took.iter_mut().find(|(taken, _)| *taken == step) {
            Some((_, took)) => *took += more,
            None => self.took.push((step, more)),
        }
    }
}

impl Watch {
    fn begin(&self, step: Step) {
        let (mut times, at) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        times.end(at);
        times.now = Some((step, at));
    }

    fn observe(self, metrics: &Metrics) {
        let mut times = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        times.end(Instant::now());
        for (step, took) in times.took {
            histogram(metrics, step).observe(took);
        }
    }
}

fn histogram(metrics: &Metrics, step: Step) -> &Histogram {
    match step {
        Step::Parse => &metrics.stages.parse,
        Step::Witness => &metrics.stages.witness,
        Step::Resolve => &metrics.stages.resolve,
        Step::Decide => &metrics.stages.decide,
        Step::Rewrite => &metrics.stages.rewrite,
    }
}

/// A refusal with the report that says no more than it.
pub(in crate::session) fn reject(refusal: Refusal, logged: Redacted) -> Box<Rejected> {
    let report = AccessReport::deny(refusal.message.clone());
    Box::new(Rejected { refusal, report, logged })
}

fn work(inbox: &Mutex<Receiver<Job>>, enforce: &Enforce, metrics: &Metrics) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { text, types, scope, answer }) = job else { return };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(enforce, &text, &types, &scope, metrics)));
        let decided = decided.unwrap_or_else(|_| {
            tracing::error!("a decision panicked; the statement was refused");
            Err(reject(Refusal::internal(Stage::Session), redact("")))
        });
        // The session may be gone.
        let _ = answer.send(decided);
    }
}

fn decide(enforce: &Enforce, text: &str, types: &[Oid], scope: &Scope, metrics: &Metrics) -> Answer {
    let logged = redact(text);
    let decided = if scope.role.unrestricted.is_some() {
        crate::sql::relay_unrestricted(text, &scope.role)
    } else {
        let watch = Watch::default();
        let told = |step| watch.begin(step);
        let decided = enforce(text, &Context { parameters: types, steps: Steps::told(&told), ..scope.context() });
        watch.observe(metrics);
        decided
    };
    match decided {
        Ok(enforced) => Ok(Decision { enforced: Arc::new(enforced), logged, record: OnceLock::new() }),
        Err(refused) => Err(Box::new(Rejected { refusal: refused.refusal, report: refused.report, logged })),
    }
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn decisions_are_kept_by_declared_types() {
        let keys = [key_of("SELECT $1", &[]), key_of("SELECT $1", &[1082]), key_of("SELECT $1", &[0, 1082])];
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
        assert_eq!(keys[0], key_of("SELECT $1", &[0]));
    }
}
