//! What a change of the policies opens and closes: who sees, looks up, sets or deletes what, for which purpose.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::catalog::RelationName;
use crate::policy::decide::column::{Sight, standing};
use crate::policy::decide::filters::Filtering;
use crate::policy::decide::govern::Whom;
use crate::policy::model::{Basis, Governance, Mask, PolicySet, RelationAccess, Role, RowFilter, Verb, column_name};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// It gives somebody more than before; what cannot be compared counts as that.
    pub opens: bool,
    /// In words.
    pub text: String,
}

/// What somebody may do with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Nothing,
    Through(Mask),
    Plainly,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    seen: Seen,
    lookup: bool,
    write: bool,
}

impl View {
    const NOTHING: Self = Self { seen: Seen::Nothing, lookup: false, write: false };
    const ALL: Self = Self { seen: Seen::Plainly, lookup: false, write: true };

    fn seen(&self) -> String {
        match &self.seen {
            Seen::Nothing => "closed".to_owned(),
            Seen::Through(mask) => format!("masked as `{mask}`"),
            Seen::Plainly => "read".to_owned(),
        }
    }
}

impl Seen {
    /// Whether it shows no more than the other.
    fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Plainly) => true,
            (Self::Through(a), Self::Through(b)) => a.clone().meet(b.clone()) == *a,
            (Self::Through(_), Self::Nothing) | (Self::Plainly, Self::Nothing | Self::Through(_)) => false,
        }
    }
}

impl PolicySet {
    /// What differs between older policies and these, openings first.
    ///
    /// Patterns that are not fitted to a database are compared as they are written, as if they were names.
    pub fn changes_since(&self, old: &Self) -> Vec<Difference> {
        let (old, new) = (&old.patterns_as_names(), &self.patterns_as_names());
        let mut changes = Changes { all: Vec::new() };
        changes.logins(old, new);
        changes.roles(old, new);
        changes.relations(old, new);
        changes.functions(old, new);
        let mut all = changes.all;
        all.sort_by(|a, b| (!a.opens, &a.text).cmp(&(!b.opens, &b.text)));
        all.dedup();
        all
    }
}

struct Changes {
    all: Vec<Difference>,
}

impl Changes {
    fn note(&mut self, opens: bool, text: String) {
        self.all.push(Difference { opens, text });
    }

    fn logins(&mut self, old: &PolicySet, new: &PolicySet) {
        let logins: BTreeSet<&String> = old.logins.keys().chain(new.logins.keys()).collect();
        for login in logins {
            match (old.logins.get(login), new.logins.get(login)) {
                (Some(before), Some(now)) if before != now => {
                    self.note(true, format!("login `{login}` is in role `{now}`, and was in role `{before}`"));
                }
                (Some(_), Some(_)) | (None, None) => {}
                (None, Some(now)) => self.note(true, format!("login `{login}` is in role `{now}`, and was in none")),
                (Some(before), None) => {
                    self.note(false, format!("login `{login}` is in no role, and was in role `{before}`"));
                }
            }
        }
    }

    fn roles(&mut self, old: &PolicySet, new: &PolicySet) {
        for role in new.roles.values() {
            let before = old.roles.get(&role.name).map(AsRef::as_ref);
            let unrestricted = |role: Option<&Role>| role.is_some_and(|role| role.unrestricted.is_some());
            match (unrestricted(before), role.unrestricted.is_some()) {
                (false, true) => self.note(true, format!("role `{}` is unrestricted", role.name)),
                (true, false) => self.note(false, format!("role `{}` is no longer unrestricted", role.name)),
                (false, false) | (true, true) => {}
            }
            let Some(before) = before else { continue };
            if role.ddl != before.ddl {
                let verb = if role.ddl { "may" } else { "may no longer" };
                self.note(role.ddl, format!("role `{}` {verb} change the schema", role.name));
            }
            if (&role.recipient, &role.country) != (&before.recipient, &before.country) {
                let text = format!(
                    "role `{}` gives to `{}` in {}, and gave to `{}` in {}",
                    role.name, role.recipient, role.country, before.recipient, before.country
                );
                self.note(true, text);
            }
            let ends = |role: &Role| role.operator_expires.unwrap_or(jiff::civil::Date::MAX);
            self.ends(&format!("role `{}`", role.name), ends(before), ends(role));
            if role.training != before.training {
                let says =
                    |role: &Role| role.training.map_or_else(|| "none".to_owned(), |period| format!("one in {period}"));
                let text =
                    format!("role `{}` demands {} of training, and demanded {}", role.name, says(role), says(before));
                let longest = |role: &Role| role.training.map_or(Date::MAX, |period| period.after(Date::ZERO));
                self.note(longest(role) > longest(before), text);
            }
            let limit = |role: &Role| role.lookup_limit.unwrap_or(crate::policy::model::DEFAULT_LOOKUP_LIMIT);
            if limit(before) != limit(role) {
                let text = format!(
                    "role `{}` may look up {} values a minute, and could {}",
                    role.name,
                    limit(role),
                    limit(before)
                );
                self.note(limit(role) > limit(before), text);
            }
        }
        for purpose in new.purposes.values() {
            let Some(before) = old.purposes.get(&purpose.name) else { continue };
            let ends = |expires: Option<jiff::civil::Date>| expires.unwrap_or(jiff::civil::Date::MAX);
            self.ends(&format!("purpose `{}`", purpose.name), ends(before.expires), ends(purpose.expires));
            if before.basis != purpose.basis {
                let text = format!(
                    "purpose `{}` rests on `{}` ({}), and rested on `{}`",
                    purpose.name,
                    purpose.basis.name(),
                    purpose.basis.section(),
                    before.basis.name()
                );
                self.note(purpose.basis != Basis::Consent, text);
            }
        }
    }

    fn ends(&mut self, what: &str, before: jiff::civil::Date, now: jiff::civil::Date) {
        let day = |day: jiff::civil::Date| {
            if day == jiff::civil::Date::MAX { "never".to_owned() } else { format!("after {day}") }
        };
        if before != now {
            self.note(now > before, format!("{what} is refused {}, and was {}", day(now), day(before)));
        }
    }

    fn functions(&mut self, old: &PolicySet, new: &PolicySet) {
        for (schema, name) in new.functions.difference(&old.functions) {
            self.note(true, format!("function `{schema}.{name}` may be called"));
        }
        for (schema, name) in old.functions.difference(&new.functions) {
            self.note(false, format!("function `{schema}.{name}` may no longer be called"));
        }
        if old.unlisted_allowed != new.unlisted_allowed {
            let word = if new.unlisted_allowed { "open" } else { "closed" };
            self.note(new.unlisted_allowed, format!("tables that no policy names are {word}"));
        }
    }

    fn relations(&mut self, old: &PolicySet, new: &PolicySet) {
        let mut pairs: BTreeSet<(&str, &str)> = BTreeSet::new();
        for set in [old, new] {
            for role in set.roles.values().filter(|role| role.unrestricted.is_none()) {
                pairs.extend(role.purposes.iter().map(|purpose| (role.name.as_str(), purpose.as_str())));
            }
        }
        let tables: BTreeSet<&RelationName> = old.tables.keys().chain(new.tables.keys()).collect();
        for (role, purpose) in pairs {
            let whom = format!("role `{role}` for purpose `{purpose}`");
            let may = |set: &PolicySet| {
                set.roles.get(role).is_some_and(|role| role.purposes.iter().any(|own| own == purpose))
            };
            match (may(old), may(new)) {
                (false, true) => self.note(true, format!("{whom}: may use the purpose")),
                (true, false) => self.note(false, format!("{whom}: may no longer use the purpose")),
                (true, true) | (false, false) => {}
            }
            for table in &tables {
                self.columns(&whom, (role, purpose), table, old, new);
                self.rows(&whom, (role, purpose), table, old, new);
            }
        }
    }

    fn columns(&mut self, whom: &str, who: (&str, &str), table: &RelationName, old: &PolicySet, new: &PolicySet) {
        let listed = |set: &PolicySet| -> BTreeSet<String> {
            set.tables.get(table).map(|table| table.columns.keys().cloned().collect()).unwrap_or_default()
        };
        let mut columns: BTreeSet<String> = listed(old).union(&listed(new)).cloned().collect();
        if columns.is_empty() {
            columns.insert("*".to_owned());
        }
        // Columns that change alike are told together.
        let mut told: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
        for column in columns {
            let (before, now) = (view(old, who, table, &column), view(new, who, table, &column));
            let mut tell = |opens: bool, what: String| told.entry((opens, what)).or_default().push(column.clone());
            if before.seen != now.seen {
                tell(!now.seen.within(&before.seen), format!("{}, and was {}", now.seen(), before.seen()));
            }
            if before.lookup != now.lookup {
                let word = if now.lookup { "looked up" } else { "no longer looked up" };
                tell(now.lookup, word.to_owned());
            }
            if before.write != now.write {
                let word = if now.write { "set" } else { "no longer set" };
                tell(now.write, word.to_owned());
            }
        }
        for ((opens, what), columns) in told {
            let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column_name(table, column))).collect();
            self.note(opens, format!("{whom}: {} {what}", names.join(", ")));
        }
        match (deletes(old, who, table), deletes(new, who, table)) {
            (false, true) => self.note(true, format!("{whom}: rows of `{table}` deleted")),
            (true, false) => self.note(false, format!("{whom}: rows of `{table}` no longer deleted")),
            (true, true) | (false, false) => {}
        }
    }

    fn rows(&mut self, whom: &str, who: (&str, &str), table: &RelationName, old: &PolicySet, new: &PolicySet) {
        // Who sees nothing of it in one of them gains or loses its columns, which is told.
        let (Some(before), Some(now)) = (filters(old, who, table), filters(new, who, table)) else { return };
        for filter in now.0.iter().filter(|filter| !before.0.contains(filter)) {
            self.note(false, format!("{whom}: rows of `{table}` are left out by {}", filter.1));
        }
        for filter in before.0.iter().filter(|filter| !now.0.contains(filter)) {
            self.note(true, format!("{whom}: rows of `{table}` are no longer left out by {}", filter.1));
        }
        if before.1 != now.1 {
            let size = |least: Option<u32>| least.map_or("rows one by one".to_owned(), |n| format!("groups of {n}"));
            let text = format!("{whom}: `{table}` shows {}, and showed {}", size(now.1), size(before.1));
            self.note(now.1.unwrap_or(0) < before.1.unwrap_or(0), text);
        }
    }
}

fn may_use(set: &PolicySet, (role, purpose): (&str, &str)) -> bool {
    set.roles.get(role).is_some_and(|role| role.purposes.iter().any(|own| own == purpose))
}

fn view(set: &PolicySet, who: (&str, &str), table: &RelationName, column: &str) -> View {
    if !may_use(set, who) {
        return View::NOTHING;
    }
    let listing = match set.governance(table) {
        Governance::Open if set.keeps(table) => {
            return View { write: false, ..View::ALL };
        }
        Governance::Open | Governance::UnlistedAllow => return View::ALL,
        Governance::UnlistedDeny => return View::NOTHING,
        Governance::Governed => set.tables.get(table),
    };
    let Some(listing) = listing else { return View::NOTHING };
    let standing = standing(set, who.0, &set.lineage(who.1), table, listing, column, None);
    let (seen, lookup) = match standing.sight {
        Sight::Hidden(_) => (Seen::Nothing, false),
        Sight::Masked { mask, lookup, .. } => (Seen::Through(mask), lookup),
        Sight::Plain { .. } => (Seen::Plainly, false),
    };
    View { seen, lookup, write: standing.write.is_some() }
}

fn deletes(set: &PolicySet, who: (&str, &str), table: &RelationName) -> bool {
    may_use(set, who)
        && match set.governance(table) {
            Governance::Open => !set.keeps(table),
            Governance::UnlistedAllow => true,
            Governance::UnlistedDeny => false,
            Governance::Governed => set
                .lineage(who.1)
                .iter()
                .all(|purpose| set.rules_deleting(table).any(|rule| rule.applies(who.0, &purpose.name))),
        }
}

/// A filter in full.
fn meant(filter: &RowFilter) -> String {
    match filter {
        // Where it is looked up besides follows from the tables.
        RowFilter::OfActor(own) => format!("{} {:?}", own.rule, own.condition),
        filter @ (RowFilter::Own(_)
        | RowFilter::Allowed(..)
        | RowFilter::Kept(_)
        | RowFilter::Due(_)
        | RowFilter::Adults(_)
        | RowFilter::NotListed(_)
        | RowFilter::Approachable(_)) => format!("{filter:?}"),
    }
}

/// What leaves rows out, in full and in words, and the size of groups; `None` where nothing is seen.
#[allow(clippy::type_complexity)]
fn filters(set: &PolicySet, who: (&str, &str), table: &RelationName) -> Option<(Vec<(String, String)>, Option<u32>)> {
    if !may_use(set, who) {
        return None;
    }
    let listing = match set.governance(table) {
        Governance::Open | Governance::UnlistedAllow => return Some((Vec::new(), None)),
        Governance::UnlistedDeny => return None,
        Governance::Governed => set.tables.get(table)?,
    };
    let lineage = set.lineage(who.1);
    if !listing.columns.keys().any(|column| view(set, who, table, column).seen != Seen::Nothing) {
        return None;
    }
    let access = RelationAccess {
        relation: table.clone(),
        ancestors: Vec::new(),
        reaches: Vec::new(),
        opaque: false,
        verb: Verb::Select,
        star: false,
        columns: Vec::new(),
        temporary: false,
        filled: std::collections::BTreeSet::new(),
        whole_row_write: false,
        automatic: crate::policy::Automatic::default(),
    };
    let filtering = Filtering {
        policies: set,
        // Whoever it is: conditions over the actor's rows stand as they are.
        whom: Whom { role: who.0, purpose: who.1, actor: Some("") },
        lineage: &lineage,
        access: &access,
        name: table,
        table: listing,
    };
    let mut found: Vec<(String, String)> = filtering
        .filters(&mut Vec::new())
        .iter()
        .map(|filter| (meant(filter), format!("`{}`", filter.describe())))
        .collect();
    let consent = lineage.iter().filter(|purpose| purpose.basis == Basis::Consent);
    found.extend(consent.map(|purpose| {
        let how = set.consent.as_ref().map(|source| format!("{} {} {}", source.table, source.subject, source.active));
        (format!("consent {} {how:?}", purpose.name), format!("consent to `{}`", purpose.name))
    }));
    Some((found, lineage.iter().filter_map(|purpose| purpose.min_group).max()))
}
