//! What holds for every policy, tried on generated ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

mod evaluated;
mod filters;
mod inference;
mod settings;

use std::collections::BTreeSet;
use std::fmt::Write;

use pgpurpose::catalog::{RelationName, TypeClass};
use pgpurpose::policy::{
    AccessRequest, Action, ColumnAccess, Decision, Mask, PolicySet, RelationAccess, RelationObligation, Shape, Use,
    Verb, decide,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const TARGETS: &[&str] = &["k1", "k2", "k3", "public.t.a", "public.t.b", "public.u.a"];
const PURPOSES: &[&str] = &["p", "p.q", "p.q.r", "other"];
const COLUMNS: &[&str] = &["a", "b", "c", "d"];
const MASKS: &[&str] =
    &["null", "email", "first(1)", "first(3)", "last(2)", "fixed(x)", "noise(10%)", "band(4)", "year"];

#[derive(Debug, Clone)]
struct Rule {
    purposes: Vec<&'static str>,
    read: Vec<&'static str>,
    mask: Vec<(&'static str, &'static str)>,
    lookup: Vec<&'static str>,
    write: Vec<&'static str>,
    deny: Vec<&'static str>,
    delete: bool,
}

fn some(of: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of, 0..=most)
}

fn rule() -> impl Strategy<Value = Rule> {
    let mask = (some(TARGETS, 3), prop::collection::vec(select(MASKS), 3))
        .prop_map(|(targets, masks)| targets.into_iter().zip(masks).collect());
    (
        subsequence(PURPOSES, 1..=3),
        some(TARGETS, 4),
        mask,
        some(TARGETS, 2),
        some(TARGETS, 3),
        some(TARGETS, 1),
        any::<bool>(),
    )
        .prop_map(|(purposes, read, mask, lookup, write, deny, delete)| Rule {
            purposes,
            read,
            mask,
            lookup,
            write,
            deny,
            delete,
        })
}

fn set(rules: &[Rule]) -> PolicySet {
    PolicySet::from_sources(&[("p.toml".into(), HEAD.into()), ("r.toml".into(), written(rules))]).unwrap()
}

const HEAD: &str = r#"
version = 1
[tables."public.t"]
subject = "a"
columns = { a = "k1", b = "k2", c = "k3" }
[tables."public.u"]
columns = { a = "k1", b = "k3", d = "k2" }
[purposes.p]
basis = "contract"
[purposes."p.q"]
[purposes."p.q.r"]
[purposes.other]
basis = "contract"
[roles.r]
logins = ["r"]
purposes = ["p", "p.q", "p.q.r", "other"]
"#;

fn written(rules: &[Rule]) -> String {
    let mut text = String::from("version = 1\n");
    for (number, rule) in rules.iter().enumerate() {
        let list = |list: &[&str]| format!("{list:?}");
        let mask: Vec<String> = rule.mask.iter().map(|(target, mask)| format!("{target:?} = {mask:?}")).collect();
        let delete = if rule.delete { "[\"public.t\"]" } else { "[]" };
        write!(
            text,
            "[[rules]]\nname = \"rule {number}\"\nroles = [\"r\"]\npurposes = {}\nread = {}\nmask = {{ {} }}\nlookup = {}\nwrite = {}\ndeny = {}\ndelete = {delete}\nkeep_masked = true\n",
            list(&rule.purposes),
            list(&rule.read),
            mask.join(", "),
            list(&rule.lookup),
            list(&rule.write),
            list(&rule.deny)
        )
        .unwrap();
    }
    text
}

/// What is open of one column, one number or mask for each way to use it.
#[derive(Debug, Clone, PartialEq)]
struct Open {
    place: String,
    seen: Seen,
    set: bool,
    starred: bool,
    deleted: bool,
    direct: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Nothing,
    Through(Mask, bool),
    Plainly,
}

impl Open {
    /// At most as open as the other.
    fn within(&self, other: &Self) -> bool {
        let seen = match (&self.seen, &other.seen) {
            (Seen::Nothing, _) | (_, Seen::Plainly) => true,
            (Seen::Through(a, x), Seen::Through(b, y)) => a.clone().meet(b.clone()) == *a && (*y || !x),
            (Seen::Plainly | Seen::Through(..), _) => false,
        };
        seen && self.set <= other.set
            && self.starred <= other.starred
            && self.deleted <= other.deleted
            && self.direct <= other.direct
    }
}

fn ask(
    set: &PolicySet,
    purpose: &str,
    table: &str,
    verb: Verb,
    column: &str,
    class: TypeClass,
    uses: &[Use],
) -> Decision {
    let uses = uses.iter().copied().collect::<BTreeSet<_>>();
    access(set, purpose, table, verb, vec![ColumnAccess { name: column.into(), class, uses }])
}

fn access(set: &PolicySet, purpose: &str, table: &str, verb: Verb, columns: Vec<ColumnAccess>) -> Decision {
    decide(
        set,
        &AccessRequest {
            login: "r".into(),
            purpose: purpose.into(),
            actor: None,
            today: jiff::civil::date(2026, 11, 22),
            relations: vec![RelationAccess {
                relation: RelationName::new("public", table),
                ancestors: Vec::new(),
                reaches: Vec::new(),
                opaque: false,
                verb,
                star: columns.iter().any(|column| column.uses.contains(&Use::Star)),
                columns,
                temporary: false,
                filled: std::collections::BTreeSet::new(),
                whole_row_write: verb == Verb::Delete,
                automatic: pgpurpose::policy::Automatic::default(),
            }],
            structure: None,
            consequences: Vec::new(),
            shape: Shape::default(),
        },
    )
}

fn action(decision: Decision, column: &str) -> Option<Action> {
    let Decision::Permit(permit) = decision else { return None };
    match &permit.relations()[0] {
        RelationObligation::Open { .. } => panic!("nothing is open here"),
        RelationObligation::Governed { columns, .. } => Some(columns[column].action.clone()),
    }
}

fn openness(set: &PolicySet, purpose: &str) -> Vec<Open> {
    let mut found = Vec::new();
    for table in ["t", "u"] {
        for column in COLUMNS {
            for class in [TypeClass::Text, TypeClass::Integer, TypeClass::Date] {
                let ask = |verb, uses: &[Use]| action(ask(set, purpose, table, verb, column, class, uses), column);
                found.push(Open {
                    place: format!("{table}.{column} {class:?}"),
                    seen: match ask(Verb::Select, &[Use::Output, Use::Lookup]) {
                        None => Seen::Nothing,
                        Some(Action::Mask { mask, lookup }) => Seen::Through(mask, lookup),
                        Some(Action::Read) => Seen::Plainly,
                        Some(Action::Omit | Action::Write) => panic!("neither is an answer to a named column"),
                    },
                    set: ask(Verb::Update, &[Use::Write]).is_some(),
                    starred: ask(Verb::Select, &[Use::Star]).is_some_and(|action| action != Action::Omit),
                    deleted: matches!(access(set, purpose, table, Verb::Delete, Vec::new()), Decision::Permit(_)),
                    direct: ask(Verb::Update, &[Use::Target]).is_some(),
                });
            }
        }
    }
    found
}

fn all_within(narrow: &[Open], wide: &[Open]) -> Result<(), TestCaseError> {
    for (a, b) in narrow.iter().zip(wide) {
        prop_assert_eq!(&a.place, &b.place);
        prop_assert!(a.within(b), "{:?} is more open than {:?}", a, b);
    }
    Ok(())
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_prohibition_never_opens_anything(rules in rules(), at in any::<prop::sample::Index>(), target in select(TARGETS)) {
        let mut stricter = rules.clone();
        stricter[at.index(rules.len())].deny.push(target);
        let (before, after) = (set(&rules), set(&stricter));
        for purpose in PURPOSES {
            all_within(&openness(&after, purpose), &openness(&before, purpose))?;
        }
    }

    #[test]
    fn a_rule_that_only_denies_never_opens_anything(rules in rules(), only in rule()) {
        let mut stricter = rules.clone();
        stricter.push(Rule { read: vec![], mask: vec![], lookup: vec![], write: vec![], delete: false, ..only });
        let (before, after) = (set(&rules), set(&stricter));
        for purpose in PURPOSES {
            all_within(&openness(&after, purpose), &openness(&before, purpose))?;
        }
    }

    #[test]
    fn without_a_rule_that_neither_denies_nor_masks_nothing_is_opened(rules in rules(), gone in rule()) {
        let mut more = rules.clone();
        more.push(Rule { deny: vec![], mask: vec![], ..gone });
        let (with, without) = (set(&more), set(&rules));
        for purpose in PURPOSES {
            all_within(&openness(&without, purpose), &openness(&with, purpose))?;
        }
    }

    #[test]
    fn a_mask_on_what_is_read_never_shows_more(rules in rules(), target in select(TARGETS), mask in select(MASKS)) {
        // Only where the column is open without it: a mask is also a way to open one.
        let mut stricter = rules.clone();
        stricter.push(Rule { purposes: PURPOSES.to_vec(), read: vec![], mask: vec![(target, mask)], lookup: vec![], write: vec![], deny: vec![], delete: false });
        let (before, after) = (set(&rules), set(&stricter));
        for purpose in PURPOSES {
            for (a, b) in openness(&after, purpose).iter().zip(&openness(&before, purpose)) {
                if b.seen != Seen::Nothing {
                    prop_assert!(a.within(b), "{:?} is more open than {:?}", a, b);
                }
            }
        }
    }

    #[test]
    fn a_child_never_sees_more_than_its_parent(rules in rules()) {
        let set = set(&rules);
        for (child, parent) in [("p.q", "p"), ("p.q.r", "p.q"), ("p.q.r", "p")] {
            all_within(&openness(&set, child), &openness(&set, parent))?;
        }
    }

    #[test]
    fn the_order_of_rules_and_files_does_not_matter(rules in rules()) {
        let mut turned = rules.clone();
        turned.reverse();
        let (a, b) = (set(&rules), set(&turned));
        for purpose in PURPOSES {
            prop_assert_eq!(openness(&a, purpose), openness(&b, purpose));
        }
        let sources = [("p.toml".to_owned(), HEAD.to_owned()), ("r.toml".to_owned(), written(&rules))];
        let swapped = [sources[1].clone(), sources[0].clone()];
        let (a, b) = (PolicySet::from_sources(&sources).unwrap(), PolicySet::from_sources(&swapped).unwrap());
        prop_assert_eq!(a.hash(), b.hash());
        for purpose in PURPOSES {
            prop_assert_eq!(openness(&a, purpose), openness(&b, purpose));
        }
    }

    #[test]
    fn a_decision_is_the_same_every_time(rules in rules()) {
        let set = set(&rules);
        for purpose in PURPOSES {
            prop_assert_eq!(openness(&set, purpose), openness(&set, purpose));
        }
    }

    #[test]
    fn no_text_makes_loading_panic(text in "\\PC{0,200}") {
        let _ = PolicySet::from_sources(&[("p.toml".into(), text.clone())]);
        let _ = PolicySet::from_sources(&[("p.toml".into(), format!("version = 1\n{text}"))]);
    }
}
