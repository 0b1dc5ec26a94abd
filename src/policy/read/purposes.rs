//! Validates `[purposes]`: the tree, each purpose's lawful basis, and what it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{WrittenDirect, WrittenPurpose};
use super::told::{spoken, twice};
use super::wishes;
use crate::document::quoted;
use crate::document::{Fault, Located, Place};
use crate::policy::model::{Basis, GrantRule, PolicySet, Purpose};

/// The purposes by name, and what each says of direct marketing, which refers to tables.
pub(in crate::policy) fn purposes(
    written: Vec<WrittenPurpose>,
    faults: &mut Vec<Fault>,
) -> (BTreeMap<String, Purpose>, BTreeMap<String, WrittenDirect>) {
    let mut bases: BTreeMap<String, Option<Basis>> = BTreeMap::new();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for purpose in &written {
        let name = &purpose.name;
        if let Some(before) = places.insert(name.value.clone(), name.place.clone()) {
            twice("purpose", &name.value, &name.place, &before, faults);
        }
        let basis = purpose.basis.as_ref().and_then(|basis| {
            let parsed = Basis::parse(&basis.value);
            if parsed.is_none() {
                faults.push(Fault::error(
                    &basis.place,
                    format!(
                        "unknown basis `{}`: POPIA s11(1) knows {}",
                        basis.value,
                        quoted(Basis::ALL.iter().map(|(_, name, _)| name))
                    ),
                ));
            }
            parsed
        });
        bases.insert(name.value.clone(), basis);
    }
    let grouped: BTreeSet<String> = written
        .iter()
        .filter(|purpose| purpose.min_group.is_some())
        .map(|purpose| purpose.name.value.clone())
        .collect();
    let (mut purposes, mut marketing) = (BTreeMap::new(), BTreeMap::new());
    let mut flags = BTreeMap::new();
    for purpose in written {
        let name = purpose.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !name.value.chars().all(plain) || name.value.split('.').any(str::is_empty) {
            faults.push(Fault::error(
                &name.place,
                format!("purpose `{}`: a name has letters, digits, `_`, `-`, and dots between them", name.value),
            ));
        }
        let parent = name.value.rsplit_once('.').map(|(parent, _)| parent.to_owned());
        if let Some(parent) = &parent
            && !bases.contains_key(parent)
        {
            faults.push(Fault::error(
                &name.place,
                format!("purpose `{}` is a child of `{parent}`, and there is no purpose `{parent}`", name.value),
            ));
        }
        let own = bases.get(&name.value).copied().flatten();
        let basis = own.or_else(|| {
            let mut above = parent.clone();
            while let Some(ancestor) = above {
                if let Some(basis) = bases.get(&ancestor).copied().flatten() {
                    return Some(basis);
                }
                above = ancestor.rsplit_once('.').map(|(parent, _)| parent.to_owned());
            }
            None
        });
        if basis.is_none() && purpose.basis.is_none() {
            faults.push(Fault::error(
                &name.place,
                format!("purpose `{}` has no `basis`: without one of POPIA s11(1) it is not lawful", name.value),
            ));
        }
        let place = name.place;
        // Any basis stands in for a faulty one: the set is not used then.
        let basis = basis.unwrap_or(Basis::LegitimateInterest);
        if let Some(direct) = purpose.direct_marketing {
            marketing.insert(name.value.clone(), direct);
        }
        let child_ground = child_ground(purpose.child_ground, faults);
        if let Some(budget) = &purpose.queries_per_day
            && !lineage(&name.value).any(|name| grouped.contains(name))
        {
            let message = format!(
                "purpose `{}` has `queries_per_day` without `min_group`: only queries over groups are counted",
                name.value
            );
            faults.push(Fault::error(&budget.place, message));
        }
        flags.insert(name.value.clone(), (purpose.proof, purpose.destruction));
        purposes.insert(
            name.value.clone(),
            Purpose {
                name: name.value,
                description: purpose.description,
                basis,
                expires: purpose.expires,
                review: purpose.review,
                min_group: purpose.min_group,
                queries_per_day: purpose.queries_per_day.map(|budget| budget.value),
                shuffle: shuffle(purpose.order, faults),
                parent,
                proof: false,
                destruction: false,
                child_ground,
                direct_marketing: None,
                grant: grant(purpose.grant, faults),
                place,
            },
        );
    }
    keeping(flags, &mut purposes, faults);
    (purposes, marketing)
}

fn grant(written: Option<Located<String>>, faults: &mut Vec<Fault>) -> GrantRule {
    let Some(written) = written else { return GrantRule::default() };
    GrantRule::parse(&written.value).unwrap_or_else(|| {
        let message = format!("`grant` is `one person`, `two persons` or `never`, and not `{}`", written.value);
        faults.push(Fault::error(&written.place, message));
        GrantRule::Never
    })
}

/// A purpose's name and its ancestors'.
fn lineage(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(parent, _)| parent))
}

/// A flag as it is written.
type Flag = Option<Located<bool>>;

/// `proof` and `destruction`: a child has its parent's, and cannot have one that its parent lacks.
fn keeping(flags: BTreeMap<String, (Flag, Flag)>, purposes: &mut BTreeMap<String, Purpose>, faults: &mut Vec<Fault>) {
    // A parent's name is shorter, so that it stands before its children.
    for (name, (proof, destruction)) in flags {
        let above = purposes
            .get(&name)
            .and_then(|purpose| purposes.get(purpose.parent.as_ref()?))
            .map(|parent| (parent.name.clone(), parent.proof, parent.destruction));
        let mut flag = |key: &str, own: &Option<Located<bool>>, above: Option<(&String, bool)>| {
            match (own, above) {
                (Some(own), Some((parent, false))) if own.value => faults.push(Fault::error(
                    &own.place,
                    format!("purpose `{name}` is for `{key}`, and `{parent}` is not: a child sees at most what its parent does"),
                )),
                (Some(own), Some((parent, true))) if !own.value && key == "destruction" => faults.push(Fault::error(
                    &own.place,
                    format!("`{parent}` is for destruction, and so are its children"),
                )),
                (Some(_) | None, _) => {}
            }
            own.as_ref().map_or(above.is_some_and(|(_, flag)| flag), |own| own.value)
        };
        let kept = flag("proof", &proof, above.as_ref().map(|(parent, proof, _)| (parent, *proof)));
        let destroyed = flag("destruction", &destruction, above.as_ref().map(|(parent, _, gone)| (parent, *gone)));
        if let (true, Some(place)) = (kept && destroyed, proof.or(destruction).map(|flag| flag.place)) {
            let message = format!("purpose `{name}` is both for `proof`, which keeps rows, and for `destruction`");
            faults.push(Fault::error(&place, message));
        }
        if let Some(purpose) = purposes.get_mut(&name) {
            (purpose.proof, purpose.destruction) = (kept, destroyed);
        }
    }
}

/// `order` knows one word.
fn shuffle(written: Option<Located<String>>, faults: &mut Vec<Fault>) -> bool {
    let Some(written) = written else { return false };
    if written.value != "shuffle" {
        let message = format!("`order` is `shuffle`, and not `{}`", written.value);
        faults.push(Fault::error(&written.place, message));
    }
    true
}

/// A ground of s35 must be one of its letters.
pub(in crate::policy) fn child_ground(written: Option<Located<String>>, faults: &mut Vec<Fault>) -> Option<String> {
    let place = written.as_ref().map(|ground| ground.place.clone()).unwrap_or_default();
    let ground = spoken(written, "`child_ground`", faults)?;
    if !["(a)", "(b)", "(c)", "(d)", "(e)"].iter().any(|letter| ground.contains(&format!("s35(1){letter}"))) {
        faults.push(Fault::error(
            &place,
            "`child_ground` must name one of the grounds of POPIA s35(1)(a)-(e), such as `s35(1)(a): a guardian consented`",
        ));
    }
    Some(ground)
}

/// What each purpose says of direct marketing; a child that says nothing has its parent's.
pub(in crate::policy) fn direct_marketing(
    written: BTreeMap<String, WrittenDirect>,
    set: &mut PolicySet,
    faults: &mut Vec<Fault>,
) {
    for (name, written) in written {
        if let Some(purpose) = set.purposes.get(&name)
            && purpose.basis == Basis::Consent
            && (written.customers.is_some() || written.first_approach)
        {
            faults.push(Fault::error(
                &written.place,
                format!(
                    "purpose `{name}` rests on consent, which leaves no room for `customers` and `first_approach`: state \
                     `basis = \"legitimate_interest\"`, and those who consented are reached all the same"
                ),
            ));
        }
        let direct = wishes::direct(written, set, faults);
        if let Some(purpose) = set.purposes.get_mut(&name) {
            purpose.direct_marketing = Some(direct);
        }
    }
    let names: Vec<String> = set.purposes.keys().cloned().collect();
    for name in names {
        let inherited = set.lineage(&name).iter().find_map(|level| level.direct_marketing.clone());
        if let Some(purpose) = set.purposes.get_mut(&name) {
            purpose.direct_marketing = inherited;
        }
    }
}
