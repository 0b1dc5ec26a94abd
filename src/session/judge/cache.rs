//! Decisions, kept by everything that they depend on, within a budget of bytes of which each login has its share.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use quick_cache::sync::Cache as Recent;
use quick_cache::{Equivalent, Weighter};

use super::enforcer::Decision;
use super::who::Who;
use crate::policy::ActorUse;
use crate::sql::{Form, Keyed, Slot};

/// The longest form whose decision is kept, in bytes.
const LONGEST: usize = 64 * 1024;
/// Logins whose decisions are kept; past it, those go that have no session.
const LOGINS: usize = 64;
/// A login has no more than this part of the budget, so that the second that comes finds room.
const LARGEST_SHARE: u64 = 2;
/// Scopes of one login: it changed its purpose or its search path so often.
const SCOPES: usize = 512;

/// Everything but the statement that a decision of a login's depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScopeKey {
    pub(super) role: String,
    pub(super) purpose: String,
    pub(super) actor: ActorKey,
    pub(super) search_path: Vec<String>,
    pub(super) today: jiff::civil::Date,
    pub(super) policy: String,
    /// Whether it is only observed.
    pub(super) observe: bool,
    /// Whether its rows are read later.
    pub(super) later: bool,
    pub(super) epoch: u64,
}

/// The actor, as far as decisions depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ActorKey {
    /// Whoever it is, or nobody.
    Any,
    /// Whether there is one.
    Known(bool),
    /// This one.
    Is(Option<String>),
}

impl ActorKey {
    pub(super) fn of(used: ActorUse, who: &Who) -> Self {
        match used {
            ActorUse::Nothing => Self::Any,
            ActorUse::Presence => Self::Known(who.actor.is_some()),
            ActorUse::Value => Self::Is(who.actor.clone()),
        }
    }
}

/// What is known of a form.
#[derive(Debug, Clone)]
enum Entry {
    /// The decision.
    Decided(Arc<Decision>),
    /// It depends on these constants: the decision is kept by their values, too.
    Pinned(Arc<[Slot]>),
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    scope: u64,
    form: Box<str>,
}

struct Sought<'a> {
    scope: u64,
    form: &'a str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought { scope: self.scope, form: &self.form }.hash(state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scope.hash(state);
        self.form.hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.scope == key.scope && *self.form == *key.form
    }
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let entry = match entry {
            Entry::Decided(decision) => decision.weight(),
            Entry::Pinned(slots) => size_of_val::<[Slot]>(slots),
        };
        (size_of::<(Key, Entry)>() + key.form.len() + entry) as u64
    }
}

/// The decisions for one login, the least used of which go first.
#[derive(Debug)]
struct Store {
    scopes: Mutex<HashMap<ScopeKey, u64>>,
    recent: Recent<Key, Entry, Bytes>,
}

/// Decisions of one scope.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// `None` where none are kept.
    store: Option<Arc<Store>>,
    scope: u64,
}

impl Table {
    /// Whether the two are of the same scope.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.store, &other.store) {
            (Some(store), Some(others)) => self.scope == other.scope && Arc::ptr_eq(store, others),
            _ => false,
        }
    }

    /// Whether decisions are kept.
    pub(super) fn keeps(&self) -> bool {
        self.store.is_some()
    }

    /// The decision about this form, for the values of these constants where it depends on any.
    pub(super) fn get(&self, form: &Keyed) -> Option<Arc<Decision>> {
        let store = self.store.as_ref()?;
        let seek = |form: &str| store.recent.get(&Sought { scope: self.scope, form });
        match seek(form.key())? {
            Entry::Decided(decision) => Some(decision),
            Entry::Pinned(slots) => match seek(&form.pinned_key(&slots)?)? {
                Entry::Decided(decision) => Some(decision),
                Entry::Pinned(_) => None,
            },
        }
    }

    /// Keeps a decision.
    pub(super) fn put(&self, form: &Form, decision: &Arc<Decision>) {
        let Some(store) = &self.store else { return };
        let key = |form: &str| Key { scope: self.scope, form: form.into() };
        if form.key().len() > LONGEST {
            return;
        }
        let mut pins: Vec<Slot> =
            if decision.enforced.is_closed() { form.slots().collect() } else { decision.enforced.pins().collect() };
        if let Some(Entry::Pinned(held)) = store.recent.get(&Sought { scope: self.scope, form: form.key() }) {
            pins.extend(held.iter());
            pins.sort_unstable();
            pins.dedup();
        }
        if pins.is_empty() {
            store.recent.insert(key(form.key()), Entry::Decided(Arc::clone(decision)));
        } else if let Some(pinned) = form.pinned_key(&pins)
            && pinned.len() <= LONGEST
        {
            store.recent.insert(key(form.key()), Entry::Pinned(pins.into()));
            store.recent.insert(key(&pinned), Entry::Decided(Arc::clone(decision)));
        }
    }
}

/// All decisions.
#[derive(Debug)]
pub(super) struct Cache {
    logins: DashMap<String, Arc<Store>>,
    /// Bytes of all logins together, estimated; 0 keeps none.
    budget: u64,
    scopes: AtomicU64,
}

impl Cache {
    pub(super) fn new(budget: u64) -> Self {
        Self { logins: DashMap::new(), budget, scopes: AtomicU64::new(0) }
    }

    /// The table of a login's scope.
    pub(super) fn table(&self, login: &str, key: ScopeKey) -> Table {
        if self.budget == 0 {
            return Table { store: None, scope: 0 };
        }
        let known = self.logins.get(login).map(|store| Arc::clone(store.value()));
        let store = known.unwrap_or_else(|| self.arrive(login));
        let mut scopes = store.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.len() >= SCOPES && !scopes.contains_key(&key) {
            // Numbers are never used again: what was decided under these is not found, and goes as it is not used.
            scopes.clear();
        }
        let scope = *scopes.entry(key).or_insert_with(|| self.scopes.fetch_add(1, Ordering::Relaxed));
        drop(scopes);
        Table { store: Some(store), scope }
    }

    /// A login's first session: each has the same share of the budget.
    fn arrive(&self, login: &str) -> Arc<Store> {
        if self.logins.len() >= LOGINS {
            self.logins.retain(|_, store| Arc::strong_count(store) > 1);
        }
        // Nothing else of the map may be touched while an entry is held.
        let recent = Recent::with_weighter(1024, self.share(), Bytes);
        let new = Arc::new(Store { scopes: Mutex::default(), recent });
        let store = Arc::clone(self.logins.entry(login.to_owned()).or_insert(new).value());
        let share = self.share();
        for held in &self.logins {
            if held.recent.capacity() != share {
                held.recent.set_capacity(share);
            }
        }
        store
    }

    fn share(&self) -> u64 {
        self.budget / LARGEST_SHARE.max(self.logins.len() as u64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::CatalogBuilder;
    use crate::policy::PolicySet;
    use crate::sql::{Context, enforce_form, redact};

    const POLICY: &str = "version = 1\n[purposes.p]\nbasis = \"contract\"\n\
        [roles.r]\nlogins = [\"ann\", \"ben\"]\npurposes = [\"p\"]\n";

    fn key(purpose: &str) -> ScopeKey {
        ScopeKey {
            role: "r".to_owned(),
            purpose: purpose.to_owned(),
            actor: ActorKey::Any,
            search_path: Vec::new(),
            today: jiff::civil::date(2026, 11, 29),
            policy: String::new(),
            observe: false,
            later: false,
            epoch: 1,
        }
    }

    fn form(text: &str) -> Form {
        Form::read(text, &[], true).unwrap()
    }

    fn decided(text: &str) -> Arc<Decision> {
        let policies = PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap();
        let catalog = CatalogBuilder::new().build();
        let context = Context::new(&catalog, &policies, "ann", "p", &[], jiff::civil::date(2026, 11, 29));
        let enforced = enforce_form(text, &form(text), &context).map_err(|refused| refused.refusal.message).unwrap();
        Arc::new(Decision { enforced: Arc::new(enforced), logged: redact(text), record: Arc::default() })
    }

    fn put(table: &Table, text: &str) {
        table.put(&form(text), &decided(text));
    }

    #[test]
    fn statements_that_differ_in_constants_share_a_decision_and_those_that_differ_where_it_was_asked_do_not() {
        let cache = Cache::new(1 << 20);
        let table = cache.table("ann", key("p"));
        put(&table, "SELECT 1 + 2 AS a, 'x' AS b");
        let found = |text: &str| {
            let form = form(text);
            let enforced = table.get(&form)?.enforced.again(&form)?;
            Some(enforced.text().to_owned())
        };
        assert_eq!(found("SELECT 30 + 7 AS a, E'it\\'s \\\\' AS b").unwrap(), "SELECT 30 + 7 AS a, E'it''s \\\\' AS b");
        assert!(found("SELECT 30.5 + 7 AS a, 'x' AS b").is_none(), "another class is another form");
        assert!(found("SELECT 1 + 2 AS a, 'x' AS c").is_none());
        put(&table, "SELECT current_setting('TimeZone') || 'x'");
        assert!(found("SELECT current_setting('TimeZone') || 'y'").is_some());
        assert!(found("SELECT current_setting('pgpurpose.purpose') || 'y'").is_none(), "the name was asked for");
        assert!(cache.table("ann", key("q")).get(&form("SELECT 1 + 2 AS a, 'x' AS b")).is_none());
        assert!(cache.table("ben", key("p")).get(&form("SELECT 1 + 2 AS a, 'x' AS b")).is_none());
    }

    #[test]
    fn a_flood_of_new_forms_by_one_login_leaves_another_s_decisions_alone() {
        let budget = 1 << 20;
        let cache = Cache::new(budget);
        let (ann, ben) = (cache.table("ann", key("p")), cache.table("ben", key("p")));
        put(&ann, "SELECT 1 AS mine");
        let flood = decided("SELECT 1 AS flood");
        for number in 0..20_000 {
            ben.put(&form(&format!("SELECT 1 AS flood_{number}")), &flood);
        }
        for number in 0..2_000 {
            let table = cache.table("ben", key(&format!("purpose {number}")));
            table.put(&form("SELECT 1 AS flood"), &flood);
        }
        assert!(ann.get(&form("SELECT 1 AS mine")).is_some());
        let weight: u64 = cache.logins.iter().map(|store| store.recent.weight()).sum();
        assert!(weight <= budget && weight > budget / 4, "{weight} bytes");
    }

    #[test]
    fn many_logins_share_the_budget_and_none_is_kept_without_one() {
        let cache = Cache::new(8 << 20);
        let decision = decided("SELECT 1 AS a");
        for login in 0..500 {
            let table = cache.table(&format!("login {login}"), key("p"));
            for number in 0..40 {
                table.put(&form(&format!("SELECT 1 AS a_{number}")), &decision);
            }
        }
        assert!(cache.logins.len() <= LOGINS, "{}", cache.logins.len());
        let weight: u64 = cache.logins.iter().map(|store| store.recent.weight()).sum();
        assert!(weight <= 8 << 20, "{weight} bytes");
        let none = Cache::new(0).table("ann", key("p"));
        none.put(&form("SELECT 1 AS a"), &decision);
        assert!(!none.keeps() && none.get(&form("SELECT 1 AS a")).is_none());
    }
}
