//! Requests: the regulations' forms 1 (objection), 2 (correction, deletion) and 4 (consent to direct marketing), and a request for
//! access, filled in as far as we know.

use std::fmt::Write;

use super::{Frame, facts, veiled};
use crate::centre::Centre;
use crate::centre::acts::{Switch, switch};
use crate::centre::web::MOST_WORDS;
use crate::page::html::escape;
use crate::papers::facts::Facts;
use crate::policy::{Basis, PolicySet, Purpose};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::centre) enum Kind {
    Access,
    Correction,
    Deletion,
    Objection,
    Consent,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Access, Self::Correction, Self::Deletion, Self::Objection, Self::Consent];

    /// As a path has it.
    pub(in crate::centre) fn path(self) -> &'static str {
        match self {
            Self::Access => "see",
            Self::Correction => "correct",
            Self::Deletion => "delete",
            Self::Objection => "object",
            Self::Consent => "offers",
        }
    }

    pub(in crate::centre) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.path() == path)
    }

    /// As the register has it.
    pub(in crate::centre) fn asked(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Correction => "correction",
            Self::Deletion => "deletion",
            Self::Objection => "objection",
            Self::Consent => "consent",
        }
    }

    /// The form under the regulations relating to the Act.
    fn form(self) -> Option<u8> {
        match self {
            Self::Access => None,
            Self::Correction | Self::Deletion => Some(2),
            Self::Objection => Some(1),
            Self::Consent => Some(4),
        }
    }

    fn needs_what(self) -> bool {
        matches!(self, Self::Correction | Self::Deletion)
    }

    fn has_why(self) -> bool {
        matches!(self, Self::Correction | Self::Deletion | Self::Objection)
    }

    fn has_purposes(self) -> bool {
        matches!(self, Self::Objection | Self::Consent)
    }
}

/// What somebody filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::centre) struct Filled {
    pub(in crate::centre) what: String,
    pub(in crate::centre) why: String,
    pub(in crate::centre) purposes: Vec<String>,
    /// Of a deletion, which of form 2's two wishes it is.
    pub(in crate::centre) wish: String,
    /// It was sent.
    pub(in crate::centre) tried: bool,
}

/// Form 2 asks which of two: what is wrong with the information, or that the record may not be kept (section 24(1)).
const WISHES: [(&str, &str, &str); 2] =
    [("wrong", "24(1)(a)", "ask.wish_wrong"), ("kept", "24(1)(b)", "ask.wish_kept")];

impl Filled {
    /// Which of form 2's two wishes it is; the first where none was chosen.
    fn wish(&self) -> (&'static str, &'static str, &'static str) {
        let [first, second] = WISHES;
        if self.wish == second.0 { second } else { first }
    }

    /// What is wrong with a field, as the key of a text.
    fn problem(&self, field: &str, kind: Kind, known: &[&str]) -> Option<&'static str> {
        if !self.tried {
            return None;
        }
        let long = |text: &str| (text.chars().count() > MOST_WORDS / 2).then_some("ask.too_long");
        match field {
            "what" if kind.needs_what() && self.what.is_empty() => Some("ask.needed"),
            "what" => long(&self.what),
            "why" => long(&self.why),
            _ if kind.has_purposes() && !self.purposes.iter().any(|purpose| known.contains(&purpose.as_str())) => {
                Some("ask.choose")
            }
            _ => None,
        }
    }
}

/// Purposes of which a form speaks.
fn purposes<'a>(centre: &Centre, policies: &'a PolicySet, kind: Kind) -> Vec<&'a Purpose> {
    let facts = Facts::of(policies, policies.zone().today());
    let all = facts.purposes.iter().map(|processing| processing.purpose);
    let fits = |purpose: &&Purpose| match kind {
        Kind::Objection => {
            !matches!(purpose.basis, Basis::Contract | Basis::LegalObligation | Basis::Consent)
                || purpose.is_direct_marketing()
        }
        Kind::Consent => switch(centre, purpose) == Switch::Consent,
        Kind::Access | Kind::Correction | Kind::Deletion => false,
    };
    all.filter(fits).collect()
}

/// What the register keeps of it; `None` where something is missing or too long.
pub(in crate::centre) fn wanted(centre: &Centre, kind: Kind, filled: &Filled) -> Option<String> {
    let policies = centre.parts.policies.load_full();
    let known: Vec<&str> = purposes(centre, &policies, kind).iter().map(|purpose| purpose.name.as_str()).collect();
    if ["what", "why", "purpose"].iter().any(|field| filled.problem(field, kind, &known).is_some()) {
        return None;
    }
    let mut parts = Vec::new();
    let chosen: Vec<&str> =
        filled.purposes.iter().map(String::as_str).filter(|purpose| known.contains(purpose)).collect();
    if !chosen.is_empty() {
        parts.push(format!("purposes: {}", chosen.join(", ")));
    }
    if kind == Kind::Deletion {
        let (_, section, _) = filled.wish();
        parts.push(format!("section {section}"));
    }
    parts.extend([&filled.what, &filled.why].into_iter().filter(|text| !text.is_empty()).cloned());
    Some(parts.join("\n\n"))
}

fn title(frame: &Frame<'_>, kind: Kind) -> String {
    let key = if kind == Kind::Consent { "ask.marketing".to_owned() } else { format!("asked.{}", kind.asked()) };
    frame.tongue.filled(&key, &[])
}

/// The form.
pub(in crate::centre) fn render(frame: &Frame<'_>, kind: Kind, filled: &Filled) -> String {
    let t = frame.tongue;
    let policies = frame.centre.parts.policies.load_full();
    let purposes = purposes(frame.centre, &policies, kind);
    let known: Vec<&str> = purposes.iter().map(|purpose| purpose.name.as_str()).collect();
    let most = (MOST_WORDS / 2).to_string();
    let problem = |field: &str| filled.problem(field, kind, &known).map(|key| t.with(key, &[("count", &most)]));
    let mut out = String::new();
    let problems: Vec<(&str, String)> =
        ["purpose", "what", "why"].iter().filter_map(|field| Some((*field, problem(field)?))).collect();
    if !problems.is_empty() {
        let items: String =
            problems.iter().map(|(field, text)| format!("<li><a href=\"#{field}\">{text}</a></li>")).collect();
        out.push_str(&frame.alert(&format!("<p><strong>{}</strong></p><ul>{items}</ul>", t.html("error.fix"))));
    }
    let intro = match kind {
        Kind::Consent => t.with("ask.marketing_text", &[("name", frame.centre.name())]),
        kind => t.html(&format!("ask.{}_text", kind.asked())),
    };
    let _ = write!(
        out,
        "<p class=\"lead\">{intro}</p>\n{}{}\n",
        parties(frame, kind),
        frame.form(&format!("ask/{}", kind.path()))
    );
    if kind.has_purposes() {
        boxes(&mut out, frame, kind, filled, &purposes, problem("purpose"));
    }
    if kind == Kind::Deletion {
        wishes(&mut out, frame, filled);
    }
    if matches!(kind, Kind::Access | Kind::Correction | Kind::Deletion) {
        let asked = kind.asked();
        let (label, hint) = (t.html(&format!("ask.what_{asked}")), t.html(&format!("ask.what_{asked}_hint")));
        area(&mut out, "what", &label, &hint, &filled.what, kind.needs_what(), problem("what"));
    }
    if kind.has_why() {
        let hint = if kind == Kind::Objection { "ask.why_hint_marketing" } else { "ask.why_hint" };
        area(&mut out, "why", &t.html("ask.why"), &t.html(hint), &filled.why, false, problem("why"));
    }
    let send = if kind == Kind::Consent { "ask.marketing_send" } else { "ask.send" };
    let _ = write!(out, "<p><button>{}</button></p>\n</form>\n", t.html(send));
    frame.page(&title(frame, kind), &out)
}

fn wishes(out: &mut String, frame: &Frame<'_>, filled: &Filled) {
    let t = frame.tongue;
    let _ = writeln!(out, "<fieldset id=\"wish\"><legend>{}</legend>", t.html("ask.wish"));
    for (value, section, key) in WISHES {
        let checked = if filled.wish().0 == value { " checked" } else { "" };
        let _ = writeln!(
            out,
            "<label class=\"box\"><input type=\"radio\" name=\"wish\" value=\"{value}\"{checked}> <span>{}</span></label>",
            t.with(key, &[("section", section)])
        );
    }
    out.push_str("</fieldset>\n");
}

fn boxes(
    out: &mut String,
    frame: &Frame<'_>,
    kind: Kind,
    filled: &Filled,
    purposes: &[&Purpose],
    wrong: Option<String>,
) {
    let t = frame.tongue;
    let legend = if kind == Kind::Consent { "ask.marketing_which" } else { "ask.what_objection" };
    let described = if wrong.is_some() { " aria-describedby=\"purpose-problem\"" } else { "" };
    let _ = writeln!(out, "<fieldset id=\"purpose\" tabindex=\"-1\"{described}><legend>{}</legend>", t.html(legend));
    if let Some(wrong) = wrong {
        let _ = writeln!(out, "<p class=\"problem\" id=\"purpose-problem\">{wrong}</p>");
    }
    for purpose in purposes {
        let checked = if filled.purposes.contains(&purpose.name) { " checked" } else { "" };
        let _ = writeln!(
            out,
            "<label class=\"box\"><input type=\"checkbox\" name=\"purpose\" value=\"{}\"{checked}> <span>{}</span></label>",
            escape(&purpose.name),
            frame.purpose(purpose)
        );
    }
    out.push_str("</fieldset>\n");
}

fn area(out: &mut String, name: &str, label: &str, hint: &str, value: &str, needed: bool, wrong: Option<String>) {
    let (described, invalid) = match &wrong {
        Some(_) => (format!("{name}-hint {name}-problem"), " aria-invalid=\"true\""),
        None => (format!("{name}-hint"), ""),
    };
    let _ = write!(
        out,
        "<div class=\"field\"><label for=\"{name}\">{label}</label>\n<p class=\"hint\" id=\"{name}-hint\">{hint}</p>\n"
    );
    if let Some(wrong) = wrong {
        let _ = writeln!(out, "<p class=\"problem\" id=\"{name}-problem\">{wrong}</p>");
    }
    let needed = if needed { " required" } else { "" };
    let _ = writeln!(
        out,
        "<textarea id=\"{name}\" name=\"{name}\" rows=\"4\" maxlength=\"{}\"{needed} aria-describedby=\"{described}\"{invalid}>\n{}</textarea></div>",
        MOST_WORDS / 2,
        lines(value, "\n")
    );
}

/// A person's own words as HTML.
fn lines(text: &str, between: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join(between)
}

/// The parts of a form that we know: both parties.
fn parties(frame: &Frame<'_>, kind: Kind) -> String {
    let t = frame.tongue;
    let contact = frame.person.map(|person| veiled(&person.contact)).unwrap_or_default();
    let mut out = String::from("<section class=\"card form\">\n");
    if let Some(number) = kind.form() {
        let _ = writeln!(out, "<p class=\"badge\">{}</p>", t.with("ask.form", &[("number", &number.to_string())]));
    }
    let _ = writeln!(out, "<h2>{}</h2>", t.html("ask.about_you"));
    let mut about = Vec::new();
    if let (Some(details), Some(person)) = (frame.details, frame.person) {
        let number = Some(&person.subject);
        for (key, value) in [
            ("ask.your_name", details.name.as_ref()),
            ("ask.your_number", number),
            ("ask.address", details.address.as_ref()),
            ("ask.your_phone", details.phone.as_ref()),
            ("ask.your_email", details.email.as_ref()),
        ] {
            about.extend(value.map(|value| (key, escape(value))));
        }
    }
    about.push(("ask.identified", t.with("ask.identified_text", &[("contact", &contact)])));
    out.push_str(&facts(frame, &about));
    let _ = writeln!(out, "<h2>{}</h2>", t.html("ask.about_us"));
    let mut rows = Vec::new();
    for (key, own) in [
        ("ask.responsible", "name"),
        ("ask.officer", "information_officer"),
        ("ask.address", "street_address"),
        ("ask.your_phone", "telephone"),
        ("ask.reach", "email"),
    ] {
        if let Some(value) = frame.centre.own(own) {
            rows.push((key, escape(value)));
        }
    }
    out.push_str(&facts(frame, &rows));
    out.push_str("</section>\n");
    out
}

/// What was entered, with its reference: the person's copy.
pub(in crate::centre) fn done(frame: &Frame<'_>, kind: Kind, filled: &Filled, reference: &str, by: &str) -> String {
    let t = frame.tongue;
    let mut out = format!(
        "<div class=\"note good\" role=\"status\"><p>{}</p><p class=\"reference\"><code>{reference}</code></p><p>{}</p></div>\n",
        t.html("ask.done_text"),
        t.with("ask.until", &[("date", &frame.day(by))])
    );
    let _ = write!(
        out,
        "<h2>{}</h2>\n{}<section class=\"card form\">\n",
        escape(&title(frame, kind)),
        parties(frame, kind)
    );
    let policies = frame.centre.parts.policies.load_full();
    for purpose in purposes(frame.centre, &policies, kind).iter().filter(|one| filled.purposes.contains(&one.name)) {
        let _ = writeln!(out, "<p>{}</p>", frame.purpose(purpose));
    }
    if kind == Kind::Deletion {
        let (_, section, key) = filled.wish();
        let _ = writeln!(out, "<h3>{}</h3>\n<p>{}</p>", t.html("ask.wish"), t.with(key, &[("section", section)]));
    }
    for (key, text) in [(format!("ask.what_{}", kind.asked()), &filled.what), ("ask.why".to_owned(), &filled.why)] {
        if !text.is_empty() {
            let _ = writeln!(out, "<h3>{}</h3>\n<p class=\"words\">{}</p>", t.html(&key), lines(text, "<br>"));
        }
    }
    let _ = write!(
        out,
        "<p>{}</p>\n</section>\n<p>{}</p>\n<p><a class=\"button\" href=\"/{}/requests\">{}</a></p>\n",
        t.with("ask.made", &[("date", &frame.day(&policies.zone().today().to_string()))]),
        t.html("ask.print"),
        t.code(),
        t.html("requests.title")
    );
    frame.page(t.plain("ask.done"), &out)
}
