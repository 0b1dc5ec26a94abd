//! Row filters, grounds and dates along the tree of purposes: a policy with all of them, and rows of which each fact is known.
//! What an obligation shows of a row is worked out here once more, from its values alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use pgpurpose::catalog::{RelationName, TypeClass};
use pgpurpose::policy::{
    AccessRequest, Action, ColumnAccess, ConsentFilter, Decision, Exclusion, Limit, PeriodUnit, PolicySet,
    RelationAccess, RelationObligation, RowFilter, Shape, Use, Verb, decide,
};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Each is the child of the one before.
pub(super) const TREE: [&str; 3] = ["p", "p.q", "p.q.r"];
const NAMES: &[&str] = &["p", "p.q", "p.q.r", "other"];
const COLUMNS: &[&str] = &["id", "a", "b"];
pub(super) const TODAY: Date = date(2026, 11, 22);

/// What one purpose of the tree states.
#[derive(Debug, Clone)]
pub(super) struct Level {
    basis: Option<&'static str>,
    child_ground: bool,
    pub(super) min_group: Option<u32>,
    pub(super) queries: Option<u32>,
    /// Days from today.
    pub(super) expires: Option<i32>,
    direct: Option<Direct>,
    lookup_limit: Option<u32>,
    /// A rule of this purpose names a ground for children.
    rule_ground: bool,
    pub(super) denied: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Direct {
    customers: bool,
    first: bool,
    opt_outs: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// The first so many levels are for proof.
    Proof(usize),
    Destruction,
}

#[derive(Debug, Clone)]
pub(super) struct Policy {
    kind: Kind,
    pub(super) levels: Vec<Level>,
    /// Days, by the purpose or `*`.
    retain: BTreeMap<&'static str, u32>,
    births: bool,
    objections: bool,
    /// Whether restrictions name a purpose.
    restrictions: Option<bool>,
    collected_for: Option<Vec<&'static str>>,
    compatible: Vec<(&'static str, &'static str)>,
    pub(super) operator_expires: Option<i32>,
    abroad: bool,
    role_limit: Option<u32>,
}

fn level() -> impl Strategy<Value = Level> {
    let direct = (any::<bool>(), any::<bool>(), weighted(0.5, 1_u32..40))
        .prop_map(|(customers, first, opt_outs)| Direct { customers, first, opt_outs });
    (
        weighted(0.5, select(&["consent", "contract", "public_duty", "legitimate_interest"][..])),
        any::<bool>(),
        weighted(0.2, 2_u32..9),
        weighted(0.3, 1_u32..9),
        weighted(0.2, -2_i32..9),
        weighted(0.4, direct),
        weighted(0.3, 1_u32..200),
        weighted(0.3, Just(true)),
        weighted(0.2, subsequence(COLUMNS, 1..=1)),
    )
        .prop_map(
            |(basis, child_ground, min_group, queries, expires, direct, lookup_limit, rule_ground, denied)| Level {
                basis,
                child_ground,
                min_group,
                queries,
                expires,
                direct,
                lookup_limit,
                rule_ground: rule_ground.unwrap_or(false),
                denied: denied.unwrap_or_default(),
            },
        )
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let kind = prop_oneof![
        4 => Just(Kind::Plain),
        2 => (1_usize..=3).prop_map(Kind::Proof),
        1 => Just(Kind::Destruction)
    ];
    let lines = prop::collection::vec((select(NAMES), select(NAMES)), 0..3);
    let retain = (subsequence(vec!["*", "p", "p.q", "p.q.r", "other"], 0..=3), prop::collection::vec(1_u32..100, 3))
        .prop_map(|(whom, days)| whom.into_iter().zip(days).collect());
    (
        (kind, prop::collection::vec(level(), 3), retain, any::<bool>(), any::<bool>(), weighted(0.6, any::<bool>())),
        (
            weighted(0.4, subsequence(NAMES, 1..=2)),
            lines,
            weighted(0.2, -2_i32..9),
            any::<bool>(),
            weighted(0.3, 1_u32..200),
        ),
    )
        .prop_map(
            |(
                (kind, levels, retain, births, objections, restrictions),
                (collected_for, compatible, operator_expires, abroad, role_limit),
            )| {
                Policy {
                    kind,
                    levels,
                    retain,
                    births,
                    objections,
                    restrictions,
                    collected_for,
                    compatible,
                    operator_expires,
                    abroad,
                    role_limit,
                }
                .consistent()
            },
        )
}

impl Policy {
    /// Without what `check` would refuse.
    fn consistent(mut self) -> Self {
        if self.kind == Kind::Destruction {
            self.retain.retain(|purpose, _| !purpose.starts_with('p'));
        }
        let mut basis = "contract";
        let mut grouped = false;
        for level in &mut self.levels {
            basis = *level.basis.get_or_insert(basis);
            if let Some(direct) = level.direct.as_mut().filter(|_| basis == "consent") {
                (direct.customers, direct.first) = (false, false);
            }
            grouped |= level.min_group.is_some();
            level.queries = level.queries.filter(|_| grouped);
        }
        self
    }

    fn text(&self) -> String {
        let mut text = String::from("version = 1\n[tables.\"public.t\"]\nsubject = \"id\"\n");
        let mut add = |line: String| writeln!(text, "{line}").unwrap();
        add("columns = { id = \"k\", a = \"k\", b = \"k\", c = \"k\" }".into());
        if self.births {
            add("date_of_birth = \"b\"".into());
        }
        if let Some(list) = &self.collected_for {
            add(format!("collected_for = {{ a = {list:?} }}"));
        }
        if !self.retain.is_empty() {
            let limits: Vec<String> =
                self.retain.iter().map(|(purpose, days)| format!("{purpose:?} = \"{days} days after c\"")).collect();
            add(format!("retain = {{ {} }}", limits.join(", ")));
        }
        add("[tables.\"public.sales\"]\ncolumns = { who = \"k\" }".into());
        let wish = |name: &str, purpose: &str| {
            format!("[{name}]\ntable = \"w.{name}\"\nsubject = \"s\"\n{purpose}active = \"live\"")
        };
        add(wish("consent", "purpose = \"p\"\n"));
        if self.objections {
            add(wish("objections", "purpose = \"p\"\n"));
        }
        if let Some(named) = self.restrictions {
            add(wish("restrictions", if named { "purpose = \"p\"\n" } else { "" }));
        }
        add("[direct_marketing]\napproaches = \"w.approaches\"\nopt_outs = \"w.opt_outs\"".into());
        add("contacts = { email = \"public.t.a\" }\n[purposes.other]\nbasis = \"contract\"".into());
        for (depth, level) in self.levels.iter().enumerate() {
            let name = TREE[depth];
            add(format!("[purposes.\"{name}\"]\nbasis = {:?}", level.basis.unwrap()));
            match self.kind {
                Kind::Plain => {}
                Kind::Proof(levels) => add(format!("proof = {}", depth < levels)),
                Kind::Destruction => add("destruction = true".into()),
            }
            if level.child_ground {
                add("child_ground = \"s35(1)(a): agreed\"".into());
            }
            for (key, number) in [("min_group", level.min_group), ("queries_per_day", level.queries)] {
                if let Some(number) = number {
                    add(format!("{key} = {number}"));
                }
            }
            if let Some(days) = level.expires {
                add(format!("expires = {}", day(days)));
            }
            if let Some(direct) = &level.direct {
                let customers = if direct.customers { "customers = \"public.sales.who\", " } else { "" };
                let opt_outs = direct.opt_outs.map(|days| format!(", opt_outs_days = {days}")).unwrap_or_default();
                add(format!("direct_marketing = {{ {customers}first_approach = {}{opt_outs} }}", direct.first));
            }
            add(format!("[[rules]]\nname = \"{name}\"\nroles = [\"r\"]\npurposes = [\"{name}\"]"));
            add(format!("read = [\"k\"]\nwrite = [\"k\"]\ndelete = [\"public.t\"]\ndeny = {:?}", {
                level.denied.iter().map(|column| format!("public.t.{column}")).collect::<Vec<_>>()
            }));
            if level.rule_ground {
                add("child_ground = \"s35(1)(b)\"".into());
            }
            if let Some(limit) = level.lookup_limit {
                add(format!("lookup_limit = {limit}"));
            }
        }
        add("[[rules]]\nname = \"other\"\nroles = [\"r\"]\npurposes = [\"other\"]\nread = [\"k\"]".into());
        for (from, to) in &self.compatible {
            add(format!("[[compatible]]\nfrom = {from:?}\nto = {to:?}\nreason = \"x\"\nsection = \"s15(2)\""));
        }
        add(format!("[roles.r]\nlogins = [\"r\"]\npurposes = {NAMES:?}\nrecipient = \"them\""));
        add("operator_contract = \"1\"".into());
        if let Some(days) = self.operator_expires {
            add(format!("operator_expires = {}", day(days)));
        }
        if self.abroad {
            add("country = \"DE\"\ncountry_ground = \"s72(1)(a): their law\"".into());
        }
        if let Some(limit) = self.role_limit {
            add(format!("lookup_limit = {limit}"));
        }
        text
    }

    pub(super) fn load(&self) -> PolicySet {
        let text = self.text();
        PolicySet::from_sources(&[("p.toml".into(), text.clone())])
            .unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
    }
}

fn day(days: i32) -> Date {
    TODAY.checked_add(days.days()).unwrap()
}

/// All that is known of a row and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) age: u32,
    pub(super) adult: bool,
    /// `None`: one that names no purpose.
    pub(super) objections: BTreeSet<Option<&'static str>>,
    pub(super) restrictions: BTreeSet<Option<&'static str>>,
    pub(super) consents: BTreeSet<&'static str>,
    /// Asked for consent, whatever the answer.
    pub(super) asked: BTreeSet<&'static str>,
    pub(super) customer: bool,
    pub(super) approached: bool,
    pub(super) opted_out: bool,
    /// Days since the day of the list; `None`: there is no list.
    pub(super) list: Option<u32>,
}

fn row() -> impl Strategy<Value = Row> {
    let wish = || {
        let whom: Vec<Option<&'static str>> = NAMES.iter().copied().map(Some).chain([None]).collect();
        weighted(0.3, subsequence(whom, 1..=2)).prop_map(|some| some.unwrap_or_default().into_iter().collect())
    };
    let names = || subsequence(NAMES, 0..=4).prop_map(|names| names.into_iter().collect::<BTreeSet<_>>());
    let flag = any::<bool>;
    (0_u32..110, flag(), wish(), wish(), names(), names(), flag(), flag(), flag(), weighted(0.9, 0_u32..45)).prop_map(
        |(age, adult, objections, restrictions, consents, asked, customer, approached, opted_out, list)| Row {
            age,
            adult,
            objections,
            restrictions,
            asked: asked.union(&consents).copied().collect(),
            consents,
            customer,
            approached,
            opted_out,
            list,
        },
    )
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 40)
}

impl Row {
    fn agreed(&self, purposes: &[String]) -> bool {
        purposes.iter().all(|purpose| self.consents.contains(purpose.as_str()))
    }

    fn within(&self, limit: &Limit) -> bool {
        assert_eq!(limit.period.unit, PeriodUnit::Day);
        self.age <= limit.period.amount
    }

    fn listed(&self, exclusion: &Exclusion) -> bool {
        let listed = match exclusion.list {
            pgpurpose::policy::ExclusionList::Objections => &self.objections,
            pgpurpose::policy::ExclusionList::Restrictions => &self.restrictions,
        };
        listed.iter().any(|entry| match (&exclusion.purposes, entry) {
            (None, _) => true,
            (Some(_), None) => exclusion.general,
            (Some((_, names)), Some(name)) => names.iter().any(|known| known == name),
        })
    }

    fn is_visible(&self, consent: Option<&ConsentFilter>, filters: &[RowFilter]) -> bool {
        consent.is_none_or(|consent| self.agreed(&consent.purposes)) && filters.iter().all(|filter| self.meets(filter))
    }

    fn meets(&self, filter: &RowFilter) -> bool {
        match filter {
            RowFilter::Kept(limits) => limits.iter().all(|limit| self.within(limit)),
            RowFilter::Due(limits) => !limits.is_empty() && limits.iter().all(|limit| !self.within(limit)),
            RowFilter::Adults(_) => self.adult,
            RowFilter::NotListed(exclusion) => !self.listed(exclusion),
            RowFilter::Approachable(approach) => {
                let by_consent = approach.consent.as_ref().is_some_and(|consent| self.agreed(&consent.purposes));
                let first = approach.first.is_some()
                    && !self.approached
                    && approach
                        .consent
                        .as_ref()
                        .is_none_or(|consent| !consent.purposes.iter().any(|name| self.asked.contains(name.as_str())));
                let reached =
                    approach.only_consent || by_consent || (approach.customers.is_some() && self.customer) || first;
                let fresh = |days| !self.opted_out && self.list.is_some_and(|age| age <= days);
                reached && approach.opt_outs.as_ref().is_none_or(|opt_outs| fresh(opt_outs.days))
            }
            RowFilter::Own(_) | RowFilter::Allowed(..) | RowFilter::OfActor(_) => {
                panic!("no policy that is made here has such a filter")
            }
        }
    }
}

/// What a purpose may do on a day, as far as the shape of the question does not matter.
#[derive(Debug)]
pub(super) struct Seen {
    columns: BTreeMap<String, Action>,
    pub(super) rows: BTreeSet<usize>,
    /// Of which of these rows new ones may be added.
    added: BTreeSet<usize>,
    group: Option<u32>,
    lookups: u32,
}

fn ask(set: &PolicySet, purpose: &str, today: Date, verb: Verb, columns: &[(&str, Use)]) -> Decision {
    let columns = columns.iter().map(|(name, used)| ColumnAccess {
        name: (*name).into(),
        class: TypeClass::Text,
        uses: BTreeSet::from([*used]),
    });
    decide(
        set,
        &AccessRequest {
            login: "r".into(),
            purpose: purpose.into(),
            actor: None,
            today,
            relations: vec![RelationAccess {
                relation: RelationName::new("public", "t"),
                ancestors: Vec::new(),
                reaches: Vec::new(),
                opaque: false,
                verb,
                star: columns.clone().any(|column| column.uses.contains(&Use::Star)),
                columns: columns.collect(),
                temporary: false,
                filled: std::collections::BTreeSet::new(),
                whole_row_write: verb == Verb::Delete,
                automatic: pgpurpose::policy::Automatic::default(),
            }],
            structure: None,
            // Also where groups must be large, the rest is to be seen.
            consequences: Vec::new(),
            shape: Shape { grouped: true },
        },
    )
}

pub(super) fn seen(set: &PolicySet, purpose: &str, rows: &[Row], today: Date) -> Option<Seen> {
    let all: Vec<(&str, Use)> = COLUMNS.iter().map(|column| (*column, Use::Output)).collect();
    let mut columns = BTreeMap::new();
    let (mut shown, mut group, mut lookups) = (None, None, 0);
    for asked in &all {
        let Decision::Permit(permit) = ask(set, purpose, today, Verb::Select, &[*asked]) else { continue };
        let RelationObligation::Governed { columns: found, consent, rows: filters, min_group, .. } =
            &permit.relations()[0]
        else {
            panic!("nothing is open here");
        };
        columns.insert(asked.0.to_owned(), found[asked.0].action.clone());
        let visible = |row: &Row| row.is_visible(consent.as_ref(), filters);
        shown = Some((0..rows.len()).filter(|at| visible(&rows[*at])).collect::<BTreeSet<_>>());
        (group, lookups) = (*min_group, permit.lookup_limit());
    }
    let mut added = BTreeSet::new();
    for column in COLUMNS {
        let Decision::Permit(permit) = ask(set, purpose, today, Verb::Insert, &[(column, Use::Write)]) else {
            continue;
        };
        let RelationObligation::Governed { added: filters, .. } = &permit.relations()[0] else {
            panic!("nothing is open here");
        };
        added.extend((0..rows.len()).filter(|at| filters.iter().all(|filter| rows[*at].meets(filter))));
    }
    Some(Seen { columns, rows: shown?, added, group, lookups })
}

/// That nothing of the one is more open than of the other.
fn within(narrow: Option<&Seen>, wide: Option<&Seen>) -> Result<(), TestCaseError> {
    let Some(narrow) = narrow else { return Ok(()) };
    let Some(wide) = wide else { return Err(TestCaseError::fail(format!("{narrow:?} is open where nothing may be"))) };
    for (column, action) in &narrow.columns {
        prop_assert_eq!(Some(action), wide.columns.get(column), "column {}", column);
    }
    prop_assert!(narrow.rows.is_subset(&wide.rows), "rows {:?} and not only {:?}", narrow.rows, wide.rows);
    prop_assert!(narrow.added.is_subset(&wide.added), "new rows {:?} and not only {:?}", narrow.added, wide.added);
    prop_assert!(narrow.group >= wide.group, "groups of {:?} instead of {:?}", narrow.group, wide.group);
    prop_assert!(narrow.lookups <= wide.lookups, "{} lookups instead of {}", narrow.lookups, wide.lookups);
    Ok(())
}

/// That the stricter policy opens nothing more to any purpose of the tree.
fn stricter(strict: &Policy, before: &Policy, rows: &[Row]) -> Result<(), TestCaseError> {
    let (strict, before) = (strict.load(), before.load());
    for purpose in TREE {
        within(seen(&strict, purpose, rows, TODAY).as_ref(), seen(&before, purpose, rows, TODAY).as_ref())?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_child_sees_no_row_column_or_smaller_group_that_its_parent_does_not(policy in policy(), rows in rows(), days in 0_i32..10) {
        let set = policy.load();
        let seen = TREE.map(|purpose| seen(&set, purpose, &rows, day(days)));
        for (child, parent) in [(1, 0), (2, 1), (2, 0)] {
            within(seen[child].as_ref(), seen[parent].as_ref())?;
            let of_parent: Vec<_> = set.budgets(TREE[parent]).collect();
            let of_child: Vec<_> = set.budgets(TREE[child]).collect();
            prop_assert!(of_parent.iter().all(|budget| of_child.contains(budget)), "a budget of the parent's is missing");
        }
    }

    #[test]
    fn a_denied_column_is_closed_to_its_purpose_and_every_child(policy in policy(), level in 0_usize..3, column in select(COLUMNS)) {
        let mut denies = policy;
        denies.levels[level].denied.push(column);
        let set = denies.load();
        for purpose in &TREE[level..] {
            for (verb, used) in [(Verb::Select, Use::Output), (Verb::Select, Use::Lookup), (Verb::Update, Use::Write),
                (Verb::Insert, Use::Write), (Verb::Update, Use::Target)] {
                let decision = ask(&set, purpose, TODAY, verb, &[(column, used)]);
                prop_assert!(matches!(decision, Decision::Denial(_)), "{purpose} {verb:?} {used:?}");
            }
        }
    }

    #[test]
    fn a_ground_that_falls_away_opens_nothing(policy in policy(), rows in rows(), level in 0_usize..3) {
        let mut less = Vec::new();
        let mut without = |change: fn(&mut Policy, usize)| {
            let mut changed = policy.clone();
            change(&mut changed, level);
            less.push(changed);
        };
        without(|policy, level| policy.levels[level].child_ground = false);
        without(|policy, level| policy.levels[level].rule_ground = false);
        without(|policy, _| { policy.compatible.pop(); });
        without(|policy, level| if let Some(direct) = &mut policy.levels[level].direct { direct.customers = false });
        without(|policy, level| if let Some(direct) = &mut policy.levels[level].direct { direct.first = false });
        without(|policy, _| if let Some(list) = policy.collected_for.as_mut().filter(|list| list.len() > 1) { list.pop(); });
        for less in &less {
            stricter(less, &policy, &rows)?;
        }
    }

    #[test]
    fn a_further_filter_adds_no_row(policy in policy(), rows in rows(), level in 0_usize..3, days in 1_u32..100) {
        let mut more = Vec::new();
        let mut with = |change: &dyn Fn(&mut Policy)| {
            let mut changed = policy.clone();
            change(&mut changed);
            more.push(changed);
        };
        with(&|policy| policy.births = true);
        with(&|policy| policy.objections = true);
        with(&|policy| if policy.restrictions.is_none() { policy.restrictions = Some(false) });
        with(&|policy| if policy.collected_for.is_none() { policy.collected_for = Some(vec!["other"]) });
        with(&|policy| {
            let own = &mut policy.levels[level].min_group;
            *own = Some(own.unwrap_or(2) + 1);
        });
        with(&|policy| if let Some(direct) = &mut policy.levels[level].direct {
            direct.opt_outs = Some(direct.opt_outs.map_or(days, |before| before.min(days)));
        });
        // Where rows are destroyed, each period that has passed shows more.
        if policy.kind != Kind::Destruction {
            let limits: Vec<&str> = policy.retain.keys().copied().collect();
            with(&|policy| for limit in policy.retain.values_mut() { *limit = days.min(*limit) });
            if limits.is_empty() {
                with(&|policy| { policy.retain.insert("*", days); });
            } else if !limits.contains(&"*") {
                with(&|policy| { policy.retain.insert(TREE[level], policy.retain.get(TREE[level]).map_or(days, |own| days.min(*own))); });
            }
        }
        for more in &more {
            stricter(more, &policy, &rows)?;
        }
    }

    #[test]
    fn past_its_end_a_purpose_its_children_and_an_operator_see_nothing(policy in policy(), rows in rows(), days in -3_i32..10) {
        let set = policy.load();
        let mut endless = policy.clone();
        endless.operator_expires = None;
        endless.levels.iter_mut().for_each(|level| level.expires = None);
        let endless = endless.load();
        for (depth, purpose) in TREE.iter().enumerate() {
            let ends = policy.levels[..=depth].iter().filter_map(|level| level.expires).chain(policy.operator_expires).min();
            let found = seen(&set, purpose, &rows, day(days));
            if ends.is_some_and(|end| days > end) {
                prop_assert!(found.is_none(), "{purpose} ended {ends:?}");
                let delete = ask(&set, purpose, day(days), Verb::Delete, &[]);
                prop_assert!(matches!(delete, Decision::Denial(_)));
            } else {
                let before = seen(&endless, purpose, &rows, day(days));
                prop_assert_eq!(found.map(|seen| seen.rows), before.map(|seen| seen.rows), "until then, as without an end");
            }
        }
    }

    #[test]
    fn a_recipient_abroad_is_nobody_without_a_ground(policy in policy()) {
        let mut abroad = policy;
        abroad.abroad = true;
        let text = abroad.text().replace("country_ground = \"s72(1)(a): their law\"\n", "");
        let faults = PolicySet::from_sources(&[("p.toml".into(), text)]).unwrap_err();
        prop_assert!(faults.iter().any(|fault| fault.message.contains("needs a `country_ground`")), "{faults:?}");
    }
}
