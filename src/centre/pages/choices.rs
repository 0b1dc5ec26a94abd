//! A switch for each purpose and channel, and the receipt of each change.

use std::fmt::Write;

use super::{Frame, facts};
use crate::centre::acts::{self, Switch, Wishes};
use crate::centre::door::Session;
use crate::centre::receipt::Receipt;
use crate::page::html::escape;
use crate::papers::facts::Facts;
use crate::policy::Purpose;

/// What was just done.
pub(in crate::centre) struct Told<'a> {
    /// What it is proved by; `None` where nothing changed.
    pub(in crate::centre) receipt: Option<&'a Receipt>,
    pub(in crate::centre) purpose: &'a str,
}

pub(in crate::centre) fn render(
    frame: &Frame<'_>,
    wishes: &Wishes,
    session: &Session,
    told: Option<&Told<'_>>,
) -> String {
    let t = frame.tongue;
    let policies = frame.centre.parts.policies.load_full();
    let facts = Facts::of(&policies, policies.zone().today());
    let mut out = String::new();
    if let Some(told) = told {
        note(&mut out, frame, told, policies.purpose(told.purpose));
    }
    let _ = writeln!(out, "<p class=\"lead\">{}</p>", t.html("choices.intro"));
    let purposes: Vec<&Purpose> = facts.purposes.iter().map(|processing| processing.purpose).collect();
    let of = |wanted: &[Switch]| -> Vec<&Purpose> {
        purposes.iter().copied().filter(|purpose| wanted.contains(&acts::switch(frame.centre, purpose))).collect()
    };
    let (consent, interest, fixed) =
        (of(&[Switch::Consent]), of(&[Switch::Objection, Switch::Form]), of(&[Switch::Fixed]));
    if consent.is_empty() && interest.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", t.html("choices.none"));
    }
    for (key, purposes) in [("consent", &consent), ("interest", &interest), ("fixed", &fixed)] {
        if purposes.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "<h2>{}</h2>\n<p>{}</p>\n<ul class=\"switches\">\n",
            t.html(&format!("choices.{key}")),
            t.html(&format!("choices.{key}_text"))
        );
        for purpose in purposes {
            row(&mut out, frame, wishes, purpose, told.is_some_and(|told| told.purpose == purpose.name));
        }
        out.push_str("</ul>\n");
        if key == "consent" {
            let _ = writeln!(out, "<p><a href=\"/{}/ask/offers\">{}</a></p>", t.code(), t.html("choices.form4"));
        }
    }
    if !session.receipts.is_empty() {
        let _ = write!(out, "<h2>{}</h2>\n<ul>\n", t.html("choices.receipts"));
        for receipt in session.receipts.iter().rev() {
            let what = policies.purpose(&receipt.purpose).map(|purpose| acts::sentence(receipt, purpose, t));
            let _ = writeln!(
                out,
                "<li><a href=\"/{}/receipt/{}\">{}</a></li>",
                t.code(),
                receipt.id,
                escape(&what.unwrap_or_default())
            );
        }
        out.push_str("</ul>\n");
    }
    frame.page(t.plain("choices.title"), &out)
}

fn note(out: &mut String, frame: &Frame<'_>, told: &Told<'_>, purpose: Option<&Purpose>) {
    let t = frame.tongue;
    let name = purpose.and_then(|purpose| purpose.description.as_deref()).unwrap_or(told.purpose);
    let text = match told.receipt {
        None => t.html("choices.same"),
        Some(receipt) => {
            let key = if receipt.did.is_on() { "choices.done_on" } else { "choices.done_off" };
            format!(
                "{} <a href=\"/{}/receipt/{}\">{}</a>",
                t.with(key, &[("purpose", name)]),
                t.code(),
                receipt.id,
                t.html("choices.receipt")
            )
        }
    };
    let _ = writeln!(out, "<div class=\"note good\" role=\"status\"><p>{text}</p></div>");
}

fn row(out: &mut String, frame: &Frame<'_>, wishes: &Wishes, purpose: &Purpose, just_now: bool) {
    let t = frame.tongue;
    let policies = frame.centre.parts.policies.load_full();
    let id = escape(&purpose.name.replace('.', "-"));
    let child = if purpose.parent.is_some() { " class=\"child\"" } else { "" };
    let on = wishes.is_on(frame.centre, purpose);
    let _ = write!(
        out,
        "<li{child}><div><strong id=\"p-{id}\">{}</strong><small>{} · POPIA {}</small></div>",
        frame.purpose(purpose),
        t.html(&format!("because.{}", purpose.basis.name())),
        purpose.basis.section()
    );
    let off_above = purpose.parent.as_deref().and_then(|parent| policies.purpose(parent));
    let off_above = off_above.filter(|parent| !wishes.is_on(frame.centre, parent));
    match (acts::switch(frame.centre, purpose), off_above) {
        (Switch::Fixed, _) => {
            let _ = write!(out, "<span class=\"state\">{}</span>", t.html("choices.fixed"));
        }
        (Switch::Form, _) => {
            let _ = write!(out, "<a href=\"/{}/ask/object\">{}</a>", t.code(), t.html("choices.object_form"));
        }
        (Switch::Consent | Switch::Objection, Some(parent)) if !on => {
            let above = parent.description.as_deref().unwrap_or(&parent.name);
            let _ = write!(out, "<small>{}</small>", t.with("choices.parent", &[("parent", above)]));
        }
        (Switch::Consent | Switch::Objection, _) => {
            let focus = if just_now { " autofocus" } else { "" };
            let (to, word, checked) = if on { ("off", "choices.on", "true") } else { ("on", "choices.off", "false") };
            let _ = write!(
                out,
                "{}<input type=\"hidden\" name=\"purpose\" value=\"{}\"><input type=\"hidden\" name=\"to\" value=\"{to}\">\
                 <button class=\"switch\" role=\"switch\" aria-checked=\"{checked}\" aria-labelledby=\"p-{id}\"{focus}><span aria-hidden=\"true\"></span>{}</button></form>",
                frame.form("choices"),
                escape(&purpose.name),
                t.html(word)
            );
        }
    }
    out.push_str("</li>\n");
}

/// One receipt.
pub(in crate::centre) fn receipt(frame: &Frame<'_>, receipt: &Receipt) -> String {
    let t = frame.tongue;
    let policies = frame.centre.parts.policies.load_full();
    let purpose = policies.purpose(&receipt.purpose);
    let what = purpose.map(|purpose| acts::sentence(receipt, purpose, t)).unwrap_or_default();
    let zone = policies.zone();
    let time: String = zone.show_text(&receipt.time).chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect();
    let mut rows = vec![
        ("receipt.when", format!("{} ({})", escape(&time), escape(&zone.to_string()))),
        ("receipt.number", format!("<code class=\"long\">{}</code>", receipt.id)),
    ];
    if let Some(purpose) = purpose {
        let basis = t.html(&format!("because.{}", purpose.basis.name()));
        rows.push(("receipt.basis", format!("{basis} (POPIA {})", purpose.basis.section())));
    }
    rows.push((
        "receipt.signed",
        format!("<code class=\"long\">Ed25519 {}</code>", frame.centre.parts.keys.receipts.public()),
    ));
    let contact = frame.person.map(|person| super::veiled(&person.contact)).unwrap_or_default();
    let content = format!(
        "<p class=\"lead\">{}</p>\n<section class=\"card\">\n{}</section>\n<p>{} {}</p>\n<p><a class=\"button\" href=\"/{}/receipt/{}.json\" download>{}</a></p>\n",
        escape(&what),
        facts(frame, &rows),
        t.html("receipt.keep"),
        t.with("receipt.sent", &[("contact", &contact)]),
        t.code(),
        receipt.id,
        t.html("receipt.download")
    );
    frame.page(t.plain("receipt.title"), &content)
}
