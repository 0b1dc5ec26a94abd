//! Decides statements, those that are long or deep on threads whose stack is large enough, and keeps the decisions.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use jiff::civil::Date;
use tokio::sync::oneshot;

use super::cache::{ActorKey, Cache, ScopeKey, Table};
use super::fits::Fits;
use super::who::Who;
use crate::audit::PreparedAccess;
use crate::catalog::{Catalog, Oid};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, PolicySet, Role};
use crate::sql::{Context, Enforced, Form, Keyed, Redacted, Refused, Step, Steps, redact};
use crate::telemetry::{Histogram, Metrics};

/// Both parsers recurse.
const STACK: usize = 64 * 1024 * 1024;

/// Bytes that all decisions may take together, estimated.
const BUDGET: u64 = 64 * 1024 * 1024;

/// Bytes from which a statement is long.
const LONG: usize = 16 * 1024;

/// A function that decides one statement: [`enforce_form`](crate::sql::enforce_form).
pub type Enforce = dyn Fn(&str, &Form, &Context<'_>) -> Result<Enforced, Box<Refused>> + Send + Sync;

/// A statement that was decided, with what the log says about it.
#[derive(Debug)]
pub(in crate::session) struct Decision {
    pub(in crate::session) enforced: Arc<Enforced>,
    pub(in crate::session) logged: Redacted,
    /// What the records of its runs share, once one was written.
    pub(in crate::session) record: Arc<OnceLock<Arc<PreparedAccess>>>,
}

impl Decision {
    /// The same for another statement of its form; `None` where it does not hold for that.
    fn again(self: &Arc<Self>, form: &Keyed) -> Option<Arc<Self>> {
        if self.enforced.is_closed() {
            return Some(Arc::clone(self));
        }
        let enforced = Arc::new(self.enforced.again(form)?);
        Some(Arc::new(Self { enforced, logged: self.logged.clone(), record: Arc::clone(&self.record) }))
    }

    /// Bytes that it takes, estimated.
    pub(super) fn weight(&self) -> usize {
        self.enforced.weight() + self.logged.statement.len() + 256
    }
}

/// A decision with what it was made under: record, budget, lookups and disclosure of a run all take role, purpose and policies
/// from here. Only [`Enforcer::decide`] makes one, so that none of them can have another purpose than the decision.
///
/// INVARIANT I12: One scope a run: whoever has a decision has its scope from it, and no way to give it another.
#[derive(Debug, Clone)]
pub(in crate::session) struct Judgement(Arc<Under>);

/// One value, so that a session counts who holds it and no counter is shared with the sessions that have the same decision.
#[derive(Debug)]
struct Under {
    decision: Arc<Decision>,
    scope: Arc<Scope>,
}

impl Judgement {
    /// Under what it was decided.
    pub(in crate::session) fn scope(&self) -> &Arc<Scope> {
        &self.0.scope
    }

    /// Whether the two are one decision under one scope.
    pub(in crate::session) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (Arc::ptr_eq(&self.0.decision, &other.0.decision) && Arc::ptr_eq(&self.0.scope, &other.0.scope))
    }
}

impl Deref for Judgement {
    type Target = Decision;

    fn deref(&self) -> &Decision {
        &self.0.decision
    }
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
    /// For whom of the application's users, and for what reason.
    pub(in crate::session) who: Arc<Who>,
    /// `$user` replaced.
    pub(in crate::session) search_path: Vec<String>,
    pub(in crate::session) today: Date,
    pub(in crate::session) observe: bool,
    /// Rows are read later than the statement begins: those that rest on consent have keys.
    pub(in crate::session) later: bool,
    /// Columns that are not there are left to the database to tell of.
    absent: bool,
    table: Table,
}

impl Scope {
    /// What the pipeline is given of it.
    pub(in crate::session) fn context(&self) -> Context<'_> {
        Context {
            observe: self.observe,
            later: self.later,
            absent: self.absent,
            actor: self.who.actor.as_deref(),
            ticket: self.who.ticket.as_deref(),
            ..Context::new(&self.catalog, &self.policies, &self.login, &self.purpose, &self.search_path, self.today)
        }
    }

    /// Whether a decision made under the other still holds under this one, and a run of it would be recorded alike.
    pub(in crate::session) fn same(&self, other: &Self) -> bool {
        self.who == other.who && self.decides_alike(other)
    }

    fn decides_alike(&self, other: &Self) -> bool {
        self.table.is(&other.table)
            || (self.login == other.login
                && self.role.name == other.role.name
                && self.purpose == other.purpose
                && self.search_path == other.search_path
                && self.today == other.today
                && self.policies.version() == other.policies.version()
                && self.observe == other.observe
                && self.catalog.epoch() == other.catalog.epoch())
    }
}

type Answer = Result<Decision, Box<Rejected>>;

struct Job {
    text: String,
    form: Arc<Form>,
    types: Vec<Oid>,
    scope: Arc<Scope>,
    answer: oneshot::Sender<Answer>,
}

/// The threads and the cache.
pub(in crate::session) struct Enforcer {
    metrics: Arc<Metrics>,
    enforce: Arc<Enforce>,
    jobs: Sender<Job>,
    /// Long statements, one at a time: a thread keeps the memory that it once needed.
    long: Sender<Job>,
    cache: Cache,
    fits: Fits,
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
        Ok(Self { metrics, enforce, jobs, long, cache: Cache::new(BUDGET), fits: Fits::default() })
    }

    /// Keeps decisions within so many bytes from now on; 0 keeps none.
    pub(in crate::session) fn keep(&mut self, bytes: u64) {
        self.cache = Cache::new(bytes);
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
        who: Arc<Who>,
        search_path: Vec<String>,
        today: Date,
    ) -> Scope {
        let policies = self.fits.of(&policies, &catalog);
        let observe = policies.observes();
        let table = self.cache.table(
            &login,
            ScopeKey {
                role: role.name.clone(),
                actor: ActorKey::of(policies.actor_use(&role.name, &purpose), &who),
                purpose: purpose.clone(),
                search_path: search_path.clone(),
                today,
                policy: policies.version().to_owned(),
                observe,
                later: false,
                epoch: catalog.epoch(),
            },
        );
        let (later, absent) = (false, false);
        Scope { policies, catalog, role, login, purpose, who, search_path, today, observe, later, absent, table }
    }

    /// The same scope for statements whose rows are read later than they begin.
    pub(in crate::session) fn later(&self, scope: &Scope) -> Scope {
        self.like(scope, Arc::clone(&scope.catalog), true)
    }

    /// The same scope for a statement that was refused for a column that is not there; `None` where anything is hidden: what the
    /// database says is then not for the client.
    pub(in crate::session) fn absent(&self, scope: &Scope) -> Option<Arc<Scope>> {
        let asked = || Scope { absent: true, ..self.like(scope, Arc::clone(&scope.catalog), scope.later) };
        scope.policies.hides_nothing().then(|| Arc::new(asked()))
    }

    /// The same scope by another snapshot of the database's structure.
    pub(in crate::session) fn by(&self, scope: &Scope, catalog: Arc<Catalog>) -> Arc<Scope> {
        Arc::new(self.like(scope, catalog, scope.later))
    }

    fn like(&self, scope: &Scope, catalog: Arc<Catalog>, later: bool) -> Scope {
        let key = ScopeKey {
            role: scope.role.name.clone(),
            actor: ActorKey::of(scope.policies.actor_use(&scope.role.name, &scope.purpose), &scope.who),
            purpose: scope.purpose.clone(),
            search_path: scope.search_path.clone(),
            today: scope.today,
            policy: scope.policies.version().to_owned(),
            observe: scope.observe,
            later,
            epoch: catalog.epoch(),
        };
        Scope {
            policies: self.fits.of(&scope.policies, &catalog),
            catalog,
            role: Arc::clone(&scope.role),
            login: scope.login.clone(),
            purpose: scope.purpose.clone(),
            who: Arc::clone(&scope.who),
            search_path: scope.search_path.clone(),
            today: scope.today,
            observe: scope.observe,
            later,
            absent: scope.absent,
            table: self.cache.table(&scope.login, key),
        }
    }

    /// Decides a statement whose parameters have these declared types, or finds the decision.
    pub(in crate::session) async fn decide(
        &self,
        text: &str,
        types: &[Oid],
        scope: &Arc<Scope>,
    ) -> Result<Judgement, Box<Rejected>> {
        let judged = |decision| Judgement(Arc::new(Under { decision, scope: Arc::clone(scope) }));
        let open = scope.table.keeps() && !scope.absent && !scope.observe && scope.role.unrestricted.is_none();
        let found = |form: &Keyed| scope.table.get(form).and_then(|decision| decision.again(form));
        if let Some(decision) = Keyed::quick(text, types, open).as_ref().and_then(found) {
            self.metrics.cache_hits.bump();
            return Ok(judged(decision));
        }
        let form = match Form::read(text, types, open) {
            Ok(form) => form,
            Err(refusal) if scope.role.unrestricted.is_none() => {
                return Err(reject(crate::sql::in_its_words(refusal, text), redact(text)));
            }
            Err(_) => Form::of_text(text),
        };
        if let Some(decision) = found(&form) {
            self.metrics.cache_hits.bump();
            return Ok(judged(decision));
        }
        self.metrics.cache_misses.bump();
        let started = Instant::now();
        let form = Arc::new(form);
        let answer = if form.is_small() {
            Some(decide_caught(&*self.enforce, text, &form, types, scope, &self.metrics))
        } else {
            self.send(text, &form, types, scope).await
        };
        self.metrics.decide.observe(started.elapsed());
        match answer {
            Some(Ok(decision)) => {
                let decision = Arc::new(decision);
                if !decision.enforced.is_of_whom() && !scope.absent {
                    scope.table.put(&form, &decision);
                }
                Ok(judged(decision))
            }
            Some(Err(rejected)) => Err(rejected),
            None => Err(reject(Refusal::internal(Stage::Session), redact(text))),
        }
    }

    /// Has a statement that is long or deep decided by a thread whose stack is large enough; `None` where there is none.
    async fn send(&self, text: &str, form: &Arc<Form>, types: &[Oid], scope: &Arc<Scope>) -> Option<Answer> {
        let (answer, decided) = oneshot::channel();
        let (text, form, types) = (text.to_owned(), Arc::clone(form), types.to_vec());
        let queue = if text.len() < LONG { &self.jobs } else { &self.long };
        queue.send(Job { text, form, types, scope: Arc::clone(scope), answer }).ok()?;
        decided.await.ok()
    }
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
        let Ok(Job { text, form, types, scope, answer }) = job else { return };
        // The session may be gone.
        let _ = answer.send(decide_caught(enforce, &text, &form, &types, &scope, metrics));
    }
}

fn decide_caught(
    enforce: &Enforce,
    text: &str,
    form: &Form,
    types: &[Oid],
    scope: &Scope,
    metrics: &Metrics,
) -> Answer {
    catch_unwind(AssertUnwindSafe(|| decide(enforce, text, form, types, scope, metrics))).unwrap_or_else(|_| {
        tracing::error!("a decision panicked; the statement was refused");
        Err(reject(Refusal::internal(Stage::Session), redact("")))
    })
}

fn decide(enforce: &Enforce, text: &str, form: &Form, types: &[Oid], scope: &Scope, metrics: &Metrics) -> Answer {
    let logged = redact(text);
    let decided = if scope.role.unrestricted.is_some() {
        crate::sql::relay_unrestricted(text, &scope.role)
    } else {
        let watch = Watch::default();
        let told = |step| watch.begin(step);
        let decided = enforce(text, form, &Context { parameters: types, steps: Steps::told(&told), ..scope.context() });
        watch.observe(metrics);
        decided
    };
    match decided {
        Ok(enforced) => Ok(Decision { enforced: Arc::new(enforced), logged, record: Arc::default() }),
        Err(refused) => Err(Box::new(Rejected { refusal: refused.refusal, report: refused.report, logged })),
    }
}

#[cfg(test)]
impl Judgement {
    /// For tests of what only passes one on.
    pub(in crate::session) fn of_a_test(enforced: Enforced, text: &str, scope: &Arc<Scope>) -> Self {
        let decision = Decision { enforced: Arc::new(enforced), logged: redact(text), record: Arc::default() };
        Self(Arc::new(Under { decision: Arc::new(decision), scope: Arc::clone(scope) }))
    }
}
