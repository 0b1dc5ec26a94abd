//! The page for the person: what was seen of them, by whom and why, in plain words (POPIA s23(1)(b), s23(2)).

use std::fmt::Write;

use crate::audit::{SeenFor, Sightings, Whom};
use crate::cli::output::markup;
use crate::config::Zone;
use crate::page::html::head;
use crate::policy::{Basis, OURSELVES, PolicySet};

/// The page, on its own: no script, nothing loaded from elsewhere.
pub(super) fn page(subject: &str, found: &Sightings, policies: &PolicySet, zone: &Zone) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "{}<h1>Who has seen your information</h1>\n\
         <p>This page answers what section 23 of the Protection of Personal Information Act lets you ask: who has had \
         access to the information that is kept about you. It is about the record with the number <b>{}</b>",
        head("en", "Who has seen your information"),
        escape(subject)
    );
    match (&found.log_from, &found.log_to) {
        (Some(from), Some(to)) => {
            let _ = writeln!(out, ", and covers the time from {} to {}.</p>", moment(from), moment(to));
        }
        (_, _) => out.push_str(".</p>\n"),
    }
    let _ = writeln!(out, "<p class=\"quiet\">Days and times are those of {zone}.</p>");
    let (own, third): (Vec<_>, Vec<_>) = found.seen.iter().partition(|(whom, _)| whom.recipient == OURSELVES);
    section(&mut out, "Other organisations", &third, policies, "No other organisation has seen your record.");
    section(
        &mut out,
        "Within the organisation",
        &own,
        policies,
        "Nobody within the organisation has seen your record.",
    );
    groups(&mut out, found);
    limits(&mut out, found);
    out.push_str("</body></html>");
    out
}

/// A table's headings; on a narrow screen each row is a card, and the roles keep it a table for who hears it.
fn heads(names: [&str; 4]) -> String {
    let names: String =
        names.iter().map(|name| format!("<th scope=\"col\" role=\"columnheader\">{name}</th>")).collect();
    format!(
        "<table class=\"stacks\" role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">{names}</tr></thead><tbody role=\"rowgroup\">\n"
    )
}

fn section(out: &mut String, title: &str, rows: &[(&Whom, &SeenFor)], policies: &PolicySet, none: &str) {
    let _ = writeln!(out, "<h2>{title}</h2>");
    if rows.is_empty() {
        let _ = writeln!(out, "<p>{none}</p>");
        return;
    }
    out.push_str(&heads(["Who", "Why", "What they saw", "When"]));
    for (whom, seen) in rows {
        let who = if whom.recipient == OURSELVES { &whom.role } else { &whom.recipient };
        let _ = writeln!(
            out,
            "<tr role=\"row\"><td role=\"cell\" data-label=\"Who\">{}</td><td role=\"cell\" data-label=\"Why\"><span>{}</span></td>\
             <td role=\"cell\" data-label=\"What they saw\"><ul>{}</ul></td><td role=\"cell\" data-label=\"When\">{}</td></tr>",
            escape(who),
            why(&whom.purpose, policies),
            what(seen),
            when(seen.statements, &seen.first, &seen.last)
        );
    }
    out.push_str("</tbody></table>\n");
}

fn why(purpose: &str, policies: &PolicySet) -> String {
    let Some(known) = policies.purpose(purpose) else { return escape(purpose) };
    let mut text = escape(known.description.as_deref().unwrap_or(purpose));
    let _ = write!(
        text,
        "<br><span class=\"quiet\">{} (section {} of the Act)</span>",
        because(known.basis),
        known.basis.section().trim_start_matches('s')
    );
    text
}

fn because(basis: Basis) -> &'static str {
    match basis {
        Basis::Consent => "you agreed to it",
        Basis::Contract => "a contract with you needs it",
        Basis::LegalObligation => "a law demands it",
        Basis::SubjectInterest => "it protects your interests",
        Basis::PublicDuty => "a public body needs it for its duty",
        Basis::LegitimateInterest => "the organisation has a legitimate interest in it",
    }
}

/// By category: the columns, and whether a part of each only.
fn what(seen: &SeenFor) -> String {
    let mut text = String::new();
    for (relation, columns) in &seen.columns {
        for (name, column) in columns {
            let table = relation.rsplit('.').next().unwrap_or(relation);
            let category = column.category.as_deref().map(|c| format!(" <span class=\"quiet\">({})</span>", escape(c)));
            let part = if column.plain { "" } else { ", hidden in part" };
            let _ =
                write!(text, "<li>{} in {}{}{part}</li>", escape(name), escape(table), category.unwrap_or_default());
        }
    }
    text
}

fn when(times: usize, first: &str, last: &str) -> String {
    match times {
        1 => format!("once, {}", moment(first)),
        _ => format!("{times} times, from {} to {}", moment(first), moment(last)),
    }
}

fn groups(out: &mut String, found: &Sightings) {
    out.push_str("<h2>Counts and statistics that you may have been part of</h2>\n");
    if found.tally.groups.is_empty() {
        out.push_str("<p>There were none.</p>\n");
        return;
    }
    out.push_str(
        "<p>Here rows were counted, compared or searched without any single person's row being shown, so that it is not \
         known whether yours was among them.</p>\n",
    );
    out.push_str(&heads(["Who", "Why", "Of what", "When"]));
    for (group, times) in &found.tally.groups {
        let filter = group.filter.as_deref().map(|filter| format!(", where <code>{}</code>", escape(filter)));
        let _ = writeln!(
            out,
            "<tr role=\"row\"><td role=\"cell\" data-label=\"Who\">{}</td><td role=\"cell\" data-label=\"Why\">{}</td>\
             <td role=\"cell\" data-label=\"Of what\"><span>{}{}</span></td><td role=\"cell\" data-label=\"When\">{}</td></tr>",
            escape(if group.whom.recipient == OURSELVES { &group.whom.role } else { &group.whom.recipient }),
            escape(&group.whom.purpose),
            escape(&group.relation),
            filter.unwrap_or_default(),
            when(times.statements, &times.first, &times.last)
        );
    }
    out.push_str("</tbody></table>\n");
}

fn limits(out: &mut String, found: &Sightings) {
    out.push_str("<h2>What this page does not show</h2>\n<ul>");
    out.push_str("<li>What was seen before the time that it covers, or on paper, or in another system.</li>");
    for (login, times) in &found.tally.unrestricted {
        let _ = write!(
            out,
            "<li>What the login {} saw while it maintained the database: {}. Each of its statements is in the log.</li>",
            escape(login),
            when(times.statements, &times.first, &times.last)
        );
    }
    out.push_str("</ul>\n");
}

/// `2026-11-22 10:00` of a time stamp, which is shown in the page's zone.
fn moment(time: &str) -> String {
    escape(&time.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect::<String>())
}

fn escape(text: &str) -> String {
    markup(&text.replace(char::is_control, "\u{fffd}"))
}
