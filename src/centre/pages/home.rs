//! What is held and why, from the policies that are enforced.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Frame, doors};
use crate::page::html::escape;
use crate::papers::facts::{Facts, HERE, Processing};
use crate::policy::{OURSELVES, PolicySet, Purpose, Way};

pub(in crate::centre) fn render(frame: &Frame<'_>) -> String {
    let t = frame.tongue;
    let policies = frame.centre.parts.policies.load_full();
    let facts = Facts::of(&policies, policies.zone().today());
    let name = match frame.centre.name() {
        "" => t.plain("site.us").to_owned(),
        name => name.to_owned(),
    };
    let mut out = format!("<p class=\"lead\">{}</p>\n", t.with("home.intro", &[("name", &name)]));
    let places: &[(&str, &str)] = match frame.person {
        Some(_) => &[("choices", "do_choose"), ("requests", "do_see"), ("seen", "do_seen")],
        None => &[("enter", "do_choose"), ("enter", "do_see"), ("enter", "do_seen"), ("status", "do_status")],
    };
    let _ = write!(
        out,
        "<h2>{}</h2>\n{}<h2>{}</h2>\n",
        t.html("home.of_yours"),
        doors(frame, places),
        t.html("home.purposes")
    );
    out.push_str("<div class=\"cards\">\n");
    for processing in &facts.purposes {
        card(&mut out, frame, &policies, processing);
    }
    let _ = write!(out, "</div>\n<h2>{}</h2>\n<ul class=\"chips\">", t.html("home.all_kinds"));
    let mut kinds: BTreeMap<String, bool> = BTreeMap::new();
    for (category, special) in facts.categories() {
        *kinds.entry(frame.kind(category)).or_default() |= special;
    }
    for (kind, special) in kinds {
        let _ = write!(out, "<li>{}</li>", chip(frame, &kind, special, false));
    }
    out.push_str("</ul>\n");
    frame.page(t.plain("home.title"), &out)
}

fn chip(frame: &Frame<'_>, kind: &str, special: bool, partly: bool) -> String {
    let mut out = kind.to_owned();
    if partly {
        let _ = write!(out, " <small>({})</small>", frame.tongue.html("ways.mask"));
    }
    if special {
        let _ = write!(out, " <strong class=\"special\">{}</strong>", frame.tongue.html("home.special"));
    }
    out
}

fn card(out: &mut String, frame: &Frame<'_>, policies: &PolicySet, processing: &Processing<'_>) {
    let t = frame.tongue;
    let purpose = processing.purpose;
    let _ = write!(
        out,
        "<section class=\"card\">\n<h3>{}{}</h3>\n<p><span class=\"badge {basis}\">{}</span> <small>POPIA {}</small></p>\n<dl class=\"facts\">\n",
        above(frame, policies, purpose),
        frame.purpose(purpose),
        t.html(&format!("because.{}", purpose.basis.name())),
        purpose.basis.section(),
        basis = purpose.basis.name(),
    );
    let mut kinds: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for (category, used) in &processing.categories {
        let (special, partly) = kinds.entry(frame.kind(category)).or_insert((false, true));
        *special |= used.special;
        *partly &= used.ways.contains(&Way::Mask) && !used.ways.contains(&Way::Read);
    }
    let _ = write!(out, "<div><dt>{}</dt><dd><ul class=\"chips\">", t.html("home.information"));
    for (kind, (special, partly)) in kinds {
        let _ = write!(out, "<li>{}</li>", chip(frame, &kind, special, partly));
    }
    out.push_str("</ul>");
    if let Some(least) = purpose.min_group {
        let _ = write!(out, "<p>{}</p>", t.with("home.group", &[("count", &least.to_string())]));
    }
    let _ = write!(
        out,
        "</dd></div>\n<div><dt>{}</dt><dd>{}</dd></div>\n",
        t.html("home.seen_by"),
        seen_by(frame, processing)
    );
    let _ = write!(
        out,
        "<div><dt>{}</dt><dd>{}</dd></div>\n</dl>\n</section>\n",
        t.html("home.kept"),
        kept(frame, policies, &purpose.name)
    );
}

/// What a purpose is a part of.
fn above(frame: &Frame<'_>, policies: &PolicySet, purpose: &Purpose) -> String {
    let parent = purpose.parent.as_deref().and_then(|parent| policies.purpose(parent));
    parent.map(|parent| format!("<small>{} ›</small> ", frame.purpose(parent))).unwrap_or_default()
}

fn seen_by(frame: &Frame<'_>, processing: &Processing<'_>) -> String {
    let t = frame.tongue;
    let mut who: Vec<String> = Vec::new();
    for role in &processing.roles {
        let mut text = if role.recipient == OURSELVES {
            let role = role.name.replace(['_', '-'], " ");
            t.filled("seen.ourselves", &[("role", &role)])
        } else {
            role.recipient.clone()
        };
        if role.country != HERE {
            let _ = write!(text, ", {}", t.filled("home.country", &[("country", &role.country)]));
        }
        if let Some(contract) = &role.operator_contract {
            let _ = write!(text, " ({})", t.filled("home.contract_ref", &[("contract", contract)]));
        }
        let text = escape(&text);
        if !who.contains(&text) {
            who.push(text);
        }
    }
    who.join("<br>")
}

/// How long records are kept for this purpose.
fn kept(frame: &Frame<'_>, policies: &PolicySet, purpose: &str) -> String {
    let mut out = Vec::new();
    for retained in policies.retained() {
        let own = retained.limits.iter().find(|(of, _)| *of == Some(purpose));
        let limit = own.or_else(|| retained.limits.iter().find(|(of, _)| of.is_none()));
        if let Some((_, limit)) = limit {
            let table = retained.table.name.replace('_', " ");
            out.push(frame.foreign(&format!("{table}: {}", limit.to_string().replace('_', " "))));
        }
    }
    if out.is_empty() { frame.tongue.html("home.kept_none") } else { out.join("<br>") }
}
