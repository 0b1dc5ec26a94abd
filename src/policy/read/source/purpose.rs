//! Purposes as they are written: consent, direct marketing, and what a purpose is compatible with.

use crate::document::{Document, Located, Place, Section, quoted};

#[derive(Debug)]
pub(in crate::policy) struct WrittenPurpose {
    pub(in crate::policy) name: Located<String>,
    pub(in crate::policy) basis: Option<Located<String>>,
    pub(in crate::policy) description: Option<String>,
    pub(in crate::policy) expires: Option<jiff::civil::Date>,
    pub(in crate::policy) review: Option<jiff::civil::Date>,
    pub(in crate::policy) min_group: Option<u32>,
    pub(in crate::policy) proof: Option<Located<bool>>,
    pub(in crate::policy) destruction: Option<Located<bool>>,
    pub(in crate::policy) child_ground: Option<Located<String>>,
    pub(in crate::policy) direct_marketing: Option<WrittenDirect>,
    pub(in crate::policy) queries_per_day: Option<Located<u32>>,
    pub(in crate::policy) order: Option<Located<String>>,
    pub(in crate::policy) grant: Option<Located<String>>,
}

/// `direct_marketing` of a purpose.
#[derive(Debug)]
pub(in crate::policy) struct WrittenDirect {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) customers: Option<Located<String>>,
    pub(in crate::policy) customers_where: Option<Located<String>>,
    pub(in crate::policy) first_approach: bool,
    pub(in crate::policy) opt_outs_days: Option<Located<u32>>,
}

/// `[direct_marketing]`.
#[derive(Debug)]
pub(in crate::policy) struct WrittenMarketing {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) approaches: Option<Located<String>>,
    pub(in crate::policy) subject: Option<Located<String>>,
    pub(in crate::policy) opt_outs: Option<Located<String>>,
    pub(in crate::policy) opt_out_lists: Option<Located<String>>,
    /// Kind and column.
    pub(in crate::policy) contacts: Vec<(Located<String>, Located<String>)>,
}

/// `[[compatible]]`.
#[derive(Debug)]
pub(in crate::policy) struct WrittenCompatible {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) from: Option<Located<String>>,
    pub(in crate::policy) to: Option<Located<String>>,
    pub(in crate::policy) reason: Option<Located<String>>,
    pub(in crate::policy) section: Option<Located<String>>,
}

/// A table of consents, objections or restrictions.
#[derive(Debug)]
pub(in crate::policy) struct WrittenConsent {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) table: Option<Located<String>>,
    pub(in crate::policy) subject: Option<Located<String>>,
    pub(in crate::policy) purpose: Option<Located<String>>,
    pub(in crate::policy) active: Option<Located<String>>,
    pub(in crate::policy) evidence: Option<Located<String>>,
    pub(in crate::policy) given_at: Option<Located<String>>,
    pub(in crate::policy) cursor_seconds: Option<Located<u32>>,
    pub(in crate::policy) lock_seconds: Option<Located<u32>>,
}

pub(super) fn purpose(document: &mut Document, name: Located<String>, mut section: Section<'_>) -> WrittenPurpose {
    let basis = section.string("basis", document);
    let description = section.string("description", document).map(|text| text.value);
    let expires = section.date("expires", document).map(|date| date.value);
    let review = section.date("review", document).map(|date| date.value);
    let min_group = section.integer("min_group", 2..=1_000_000, document).map(|number| number.value);
    let proof = section.boolean("proof", document);
    let destruction = section.boolean("destruction", document);
    let child_ground = section.string("child_ground", document);
    let direct_marketing = section.section("direct_marketing", document).map(|section| direct(document, section));
    let queries_per_day = section.integer("queries_per_day", 1..=1_000_000, document);
    let order = section.string("order", document);
    let grant = section.string("grant", document);
    section.finish(document);
    WrittenPurpose {
        name,
        basis,
        description,
        expires,
        review,
        min_group,
        queries_per_day,
        order,
        proof,
        destruction,
        child_ground,
        direct_marketing,
        grant,
    }
}

fn direct(document: &mut Document, mut section: Section<'_>) -> WrittenDirect {
    let written = WrittenDirect {
        place: section.place.clone(),
        customers: section.string("customers", document),
        customers_where: section.string("customers_where", document),
        first_approach: section.boolean("first_approach", document).is_some_and(|first| first.value),
        opt_outs_days: section.integer("opt_outs_days", 1..=3660, document),
    };
    section.finish(document);
    written
}

pub(super) fn marketing(document: &mut Document, mut section: Section<'_>) -> WrittenMarketing {
    let written = WrittenMarketing {
        place: section.place.clone(),
        approaches: section.string("approaches", document),
        subject: section.string("subject", document),
        opt_outs: section.string("opt_outs", document),
        opt_out_lists: section.string("opt_out_lists", document),
        contacts: section
            .section("contacts", document)
            .map(|mut contacts| contacts.rest())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(kind, node)| Some((kind, node.string(document)?)))
            .collect(),
    };
    section.finish(document);
    written
}

pub(super) fn compatible(document: &mut Document, mut section: Section<'_>) -> WrittenCompatible {
    let written = WrittenCompatible {
        place: section.place.clone(),
        from: section.string("from", document),
        to: section.string("to", document),
        reason: section.string("reason", document),
        section: section.string("section", document),
    };
    section.finish(document);
    written
}

/// A table of consents, objections or restrictions; the last may do without a column for the purpose.
pub(super) fn consent(document: &mut Document, mut section: Section<'_>, by_purpose: bool) -> WrittenConsent {
    let place = section.place.clone();
    let name = section.name().to_owned();
    let written = WrittenConsent {
        place: place.clone(),
        table: section.string("table", document),
        subject: section.string("subject", document),
        purpose: section.string("purpose", document),
        active: section.string("active", document),
        evidence: section.string("evidence", document),
        given_at: section.string("given_at", document),
        cursor_seconds: section.integer("cursor_seconds", 1..=604_800, document),
        lock_seconds: section.integer("lock_seconds", 1..=3600, document),
    };
    let given = [
        ("table", written.table.is_some()),
        ("subject", written.subject.is_some()),
        ("purpose", written.purpose.is_some() || !by_purpose),
        ("active", written.active.is_some()),
    ];
    let missing: Vec<&str> = given.into_iter().filter(|(_, given)| !given).map(|(key, _)| key).collect();
    if !missing.is_empty() {
        document.fault(&place, format!("`{name}` lacks {}", quoted(missing)));
    }
    section.finish(document);
    written
}
