//! Which listing governs one occurrence of a relation: its own, an ancestor's, or none.

use super::{Reason, automatic};
use crate::catalog::RelationName;
use crate::policy::model::{ActorUse, Governance, PolicySet, RelationAccess, Table};

/// What governs a relation.
#[derive(Debug)]
pub(in crate::policy) enum Governed<'a> {
    /// The listing of that name, which is the relation's own or an ancestor's.
    By(RelationName, &'a Table),
    /// No personal information.
    Open,
    /// It may not be used; the reason says why.
    Refused(Reason),
}

/// The listing with columns for a relation: its own, or else its nearest governed ancestor's.
pub(in crate::policy) fn listed<'a>(
    policies: &'a PolicySet,
    access: &RelationAccess,
) -> Option<(RelationName, &'a Table)> {
    let listing = |relation: &RelationName| {
        let table = policies.tables.get(relation).filter(|table| !table.open)?;
        Some((relation.clone(), table))
    };
    listing(&access.relation).or_else(|| match policies.governance(&access.relation) {
        Governance::Open => None,
        Governance::Governed | Governance::UnlistedDeny | Governance::UnlistedAllow => {
            access.ancestors.iter().find_map(listing)
        }
    })
}

/// The listing for a relation. A listed relation is governed by its own listing. One that is not listed is governed by its nearest
/// governed ancestor, else it is what its nearest listed ancestor is, else what `unlisted_tables` says. One that would
/// be open and yet brings rows of governed relations along, or may, is refused.
pub(in crate::policy) fn governed<'a>(
    policies: &'a PolicySet,
    access: &RelationAccess,
    whom: &Whom<'_>,
) -> Governed<'a> {
    let name = &access.relation;
    if let Some(reason) = filled_for_another(policies, access, whom) {
        return Governed::Refused(reason);
    }
    if let Some((listing, table)) = listed(policies, access) {
        return Governed::By(listing, table);
    }
    let own = policies.governance(name);
    if own != Governance::Open {
        let open_above = access.ancestors.iter().any(|ancestor| policies.governance(ancestor) == Governance::Open);
        if own != Governance::UnlistedAllow && !open_above && !access.temporary {
            return Governed::Refused(
                Reason::about(name, whom.not_open(&format!("table `{name}`")))
                    .detail("no policy names it")
                    .hint(format!("list it under `[tables.\"{name}\"]`, with its columns or as `open`")),
            );
        }
    }
    if own == Governance::UnlistedAllow
        && let Some(reason) = automatic::elsewhere(policies, access, whom)
    {
        return Governed::Refused(reason);
    }
    let hint = format!("list it under `[tables.\"{name}\"]` with its own columns");
    let protected = |relation: &&RelationName| {
        policies.governance(relation) == Governance::Governed || policies.keeps_wishes(relation)
    };
    if let Some(reached) = access.reaches.iter().find(protected) {
        return Governed::Refused(
            Reason::about(name, whom.not_open(&format!("relation `{name}`")))
                .detail(format!("it brings along rows of `{reached}`, which a policy governs"))
                .hint(hint),
        );
    }
    if access.opaque {
        return Governed::Refused(
            Reason::about(name, whom.not_open(&format!("relation `{name}`")))
                .detail("its definition calls a function, and what that reads is not known")
                .hint(hint),
        );
    }
    Governed::Open
}

/// The reason against a temporary relation that holds rows of another purpose, or of another actor.
fn filled_for_another(policies: &PolicySet, access: &RelationAccess, whom: &Whom<'_>) -> Option<Reason> {
    let name = &access.relation;
    let reason = || Reason::about(name, whom.not_open(&format!("temporary table `{name}`")));
    if let Some(other) = access.filled.iter().find(|filled| filled.purpose != whom.purpose) {
        return Some(
            reason()
                .detail(format!("it holds rows that were read for purpose `{}`", other.purpose))
                .hint("make one for this purpose, or go back to that one"),
        );
    }
    // Where decisions do not depend on who the actor is any more, one decision would serve them all.
    let by_actor = policies.actor_use(whom.role, whom.purpose) == ActorUse::Value;
    let same = |actor: &String| by_actor && *actor == whom.actor.unwrap_or_default();
    let other = access.filled.iter().filter_map(|filled| filled.actor.as_ref()).find(|actor| !same(actor))?;
    let detail = match other.as_str() {
        "" => "it holds rows that were read without an actor",
        _ => "it holds rows that were read for another actor",
    };
    Some(reason().detail(detail).hint("make one for this actor, and drop it when the actor goes"))
}

/// Whether nobody may write to an open relation: its own listing says so, or else that of an ancestor; or what a write of it would reach,
/// as that of a view does.
pub(super) fn reads_only(policies: &PolicySet, access: &RelationAccess) -> bool {
    is_kept(policies, access) || access.reaches.iter().any(|name| policies.keeps(name))
}

/// The same by its own listing or that of an ancestor alone.
pub(super) fn is_kept(policies: &PolicySet, access: &RelationAccess) -> bool {
    match policies.tables.get(&access.relation) {
        Some(own) => own.read_only,
        None => access.ancestors.iter().any(|name| policies.keeps(name)),
    }
}

/// On whose behalf and why, for messages.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Whom<'a> {
    pub(in crate::policy) role: &'a str,
    pub(in crate::policy) purpose: &'a str,
    /// The application's end user, where that is known.
    pub(in crate::policy) actor: Option<&'a str>,
}

impl Whom<'_> {
    /// `column `x` is not open to role `r` for purpose `p``.
    pub(in crate::policy) fn not_open(&self, what: &str) -> String {
        format!("{what} is not open to role `{}` for purpose `{}`", self.role, self.purpose)
    }
}
