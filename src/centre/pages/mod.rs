//! The pages: what is the same on all of them, and those that are short.

pub(super) mod ask;
pub(super) mod choices;
pub(super) mod enter;
pub(super) mod home;
pub(super) mod machine;
pub(super) mod seen;
pub(super) mod status;

use std::fmt::Write;

use super::Centre;
use super::door::Person;
use super::receipt::REGULATOR;
use super::store::{Details, Entered};
use super::words::{Tongue, name};
use crate::page::html::escape;
use crate::papers::texts::Language;
use crate::policy::Purpose;
use crate::server::site::style_name;

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) centre: &'a Centre,
    pub(super) tongue: Tongue<'a>,
    /// The page's own path behind the language, where it can be asked for in another.
    pub(super) here: &'a str,
    /// What a form brings along.
    pub(super) form: String,
    pub(super) person: Option<&'a Person>,
    pub(super) details: Option<&'a Details>,
}

impl Frame<'_> {
    /// A whole page around its content, which is HTML.
    pub(super) fn page(&self, title: &str, content: &str) -> String {
        self.titled(title, title, content)
    }

    /// The same where the window says more than the heading: that something is wrong.
    fn titled(&self, window: &str, title: &str, content: &str) -> String {
        let t = self.tongue;
        let mut out = String::with_capacity(8 << 10);
        let firm = escape(self.centre.name());
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{window} – {centre}{dash}{firm}</title>\n<link rel=\"stylesheet\" href=\"/{style}\">\n</head>\n<body class=\"centre\">\n\
             <a class=\"skip\" href=\"#content\">{skip}</a>\n<header>\n<div class=\"top\"><a class=\"brand\" href=\"/{lang}/\">{SHIELD}<span>{brand}<small>{centre}</small></span></a>\n",
            lang = t.code(),
            window = escape(window),
            centre = t.html("site.centre"),
            dash = if firm.is_empty() { "" } else { " – " },
            style = style_name(),
            skip = t.html("site.skip"),
            brand = if firm.is_empty() { String::new() } else { firm.clone() },
        );
        self.languages(&mut out);
        out.push_str("</div>\n");
        self.navigation(&mut out);
        let _ = write!(
            out,
            "</header>\n<main id=\"content\" tabindex=\"-1\">\n<h1>{}</h1>\n{content}</main>\n",
            escape(title)
        );
        self.footer(&mut out);
        out.push_str("</body>\n</html>\n");
        out
    }

    fn languages(&self, out: &mut String) {
        let _ = write!(out, "<nav class=\"languages\" aria-label=\"{}\"><ul>", self.tongue.html("site.languages"));
        for language in Language::ALL {
            let code = language.code();
            let current = if code == self.tongue.code() { " aria-current=\"true\"" } else { "" };
            let _ = write!(
                out,
                "<li><a href=\"/{code}/{}\" lang=\"{code}\" hreflang=\"{code}\"{current}>{}</a></li>",
                escape(self.here),
                name(code)
            );
        }
        out.push_str("</ul></nav>\n");
    }

    fn navigation(&self, out: &mut String) {
        let t = self.tongue;
        let pages: &[&str] = match self.person {
            Some(_) => &["", "choices", "requests", "seen"],
            None => &["", "enter", "status"],
        };
        let _ = write!(out, "<nav class=\"pages\" aria-label=\"{}\"><ul>", t.html("site.pages"));
        for page in pages {
            let key = if page.is_empty() { "site.home".to_owned() } else { format!("site.{page}") };
            let current = if *page == self.here || (*page == "enter" && self.here == "code") {
                " aria-current=\"page\""
            } else {
                ""
            };
            let _ = write!(out, "<li><a href=\"/{}/{page}\"{current}>{}</a></li>", t.code(), t.html(&key));
        }
        out.push_str("</ul>");
        if let Some(person) = self.person {
            let _ = write!(
                out,
                "<form class=\"leave\" method=\"post\" action=\"/{}/leave\">{}<span>{}</span> <button class=\"quiet\">{}</button></form>",
                t.code(),
                self.hidden(),
                t.with("site.signed_in", &[("contact", &veiled(&person.contact))]),
                t.html("site.leave")
            );
        }
        out.push_str("</nav>\n");
    }

    fn footer(&self, out: &mut String) {
        let t = self.tongue;
        out.push_str("<footer>\n");
        if let Some(officer) = self.centre.own("information_officer") {
            let _ = write!(out, "<p>{}: {}", t.html("site.officer"), escape(officer));
            if let Some(reach) = self.centre.own("email") {
                let _ = write!(out, ", <a href=\"mailto:{0}\">{0}</a>", escape(reach));
            }
            out.push_str("</p>\n");
        }
        let policies = self.centre.parts.policies.load();
        let hash: String = policies.hash().chars().take(19).collect();
        let date = self.day(&policies.zone().today().to_string());
        let _ = write!(
            out,
            "<p>{}: <a href=\"mailto:{REGULATOR}\">{REGULATOR}</a></p>\n<p class=\"quiet\">{} · <a href=\"/privacy.json\">{}</a></p>\n",
            t.html("site.complain"),
            t.with("site.made", &[("date", &date), ("policy", &hash)]),
            t.html("site.machine")
        );
        out.push_str("</footer>\n");
    }

    /// What every form brings along.
    pub(super) fn hidden(&self) -> String {
        format!("<input type=\"hidden\" name=\"form\" value=\"{}\">", self.form)
    }

    /// A form that begins.
    pub(super) fn form(&self, action: &str) -> String {
        format!("<form method=\"post\" action=\"/{}/{action}\">{}", self.tongue.code(), self.hidden())
    }

    /// What a purpose is for, in the words of the policy, whose language is English.
    pub(super) fn purpose(&self, purpose: &Purpose) -> String {
        match &purpose.description {
            Some(description) => self.foreign(description),
            None => {
                let name = purpose.name.replace(['_', '-', '.'], " ");
                let mut letters = name.chars();
                let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
                self.foreign(&(first + letters.as_str()))
            }
        }
    }

    /// Words of the policy or the organisation on a page of another language.
    pub(super) fn foreign(&self, text: &str) -> String {
        match self.tongue.code() {
            "en" => escape(text),
            _ => format!("<span lang=\"en\">{}</span>", escape(text)),
        }
    }

    /// A kind of information as people call it.
    pub(super) fn kind(&self, category: &str) -> String {
        let last = category.rsplit('.').next().unwrap_or(category);
        let key = format!("kinds.{last}");
        if self.tongue.has(&key) { self.tongue.html(&key) } else { self.foreign(&last.replace('_', " ")) }
    }

    /// A day as people say it, of `2026-12-30`: `30 December 2026`.
    pub(super) fn day(&self, day: &str) -> String {
        let Ok(date) = day.parse::<jiff::civil::Date>() else { return escape(day) };
        let months: Vec<&str> = self.tongue.plain("site.months").split(' ').collect();
        let month = usize::try_from(date.month()).ok().and_then(|month| months.get(month.checked_sub(1)?).copied());
        escape(&format!("{} {} {}", date.day(), month.unwrap_or_default(), date.year()))
    }

    /// A box that must not be overlooked, and where the keyboard goes first.
    pub(super) fn alert(&self, inner: &str) -> String {
        format!("<div class=\"note bad\" role=\"alert\">{inner}</div>\n")
    }
}

/// Enough of an address to know it by: `t•••@example.co.za`, `•••••0101`.
pub(super) fn veiled(contact: &str) -> String {
    match contact.split_once('@') {
        Some((before, host)) => format!("{}•••@{host}", before.chars().take(1).collect::<String>()),
        None => {
            let digits: Vec<char> = contact.chars().filter(char::is_ascii_digit).collect();
            format!("•••••{}", digits.iter().rev().take(4).rev().collect::<String>())
        }
    }
}

/// A page that says that something did not work.
pub(super) fn wrong(frame: &Frame<'_>, key: &'static str) -> String {
    let t = frame.tongue;
    let content = format!(
        "{}<p><a class=\"button\" href=\"/{}/\">{}</a></p>\n",
        frame.alert(&format!("<p>{}</p>", t.html(key))),
        t.code(),
        t.html("error.back")
    );
    frame.page(t.plain("error.title"), &content)
}

/// Where somebody is in: what can be done.
pub(super) fn you(frame: &Frame<'_>) -> String {
    let t = frame.tongue;
    let contact = frame.person.map(|person| veiled(&person.contact)).unwrap_or_default();
    let cards = [("choices", "do_choose"), ("requests", "do_see"), ("seen", "do_seen"), ("", "home")];
    let mut content = format!("<p class=\"lead\">{}</p>\n", t.with("you.intro", &[("contact", &contact)]));
    content.push_str(&doors(frame, &cards));
    frame.page(t.plain("you.title"), &content)
}

/// Large links to what can be done.
pub(super) fn doors(frame: &Frame<'_>, cards: &[(&str, &str)]) -> String {
    let t = frame.tongue;
    let mut out = String::from("<ul class=\"doors\">\n");
    for (path, key) in cards {
        let (title, text) = match *key {
            "home" => (t.html("site.home"), t.html("home.purposes")),
            key => (t.html(&format!("home.{key}")), t.html(&format!("home.{key}_text"))),
        };
        let _ =
            writeln!(out, "<li><a href=\"/{}/{path}\"><strong>{title}</strong><span>{text}</span></a></li>", t.code());
    }
    out.push_str("</ul>\n");
    out
}

/// What somebody asked for, and what can be.
pub(super) fn requests(frame: &Frame<'_>, entered: &[Entered]) -> String {
    let t = frame.tongue;
    let mut content =
        format!("<p class=\"lead\">{}</p>\n<h2>{}</h2>\n", t.html("requests.intro"), t.html("requests.ask"));
    content.push_str("<ul class=\"doors\">\n");
    for kind in [ask::Kind::Access, ask::Kind::Correction, ask::Kind::Deletion, ask::Kind::Objection] {
        let asked = kind.asked();
        let _ = writeln!(
            content,
            "<li><a href=\"/{}/ask/{}\"><strong>{}</strong><span>{}</span></a></li>",
            t.code(),
            kind.path(),
            t.html(&format!("asked.{asked}")),
            t.html(&format!("ask.{asked}_text"))
        );
    }
    let _ = write!(content, "</ul>\n<h2>{}</h2>\n", t.html("requests.yours"));
    if entered.is_empty() {
        let _ = writeln!(content, "<p>{}</p>", t.html("requests.none"));
    }
    for one in entered {
        content.push_str(&request(frame, one, 3));
    }
    frame.page(t.plain("requests.title"), &content)
}

/// One request, with where it stands.
pub(super) fn request(frame: &Frame<'_>, one: &Entered, level: u8) -> String {
    let t = frame.tongue;
    let state = one.outcome.as_deref().unwrap_or("open");
    let reference = frame.centre.parts.keys.reference(one.id);
    let mut rows = vec![
        ("requests.reference", format!("<code>{reference}</code>")),
        ("requests.received", frame.day(&one.received)),
    ];
    match &one.closed {
        None => rows.push(("requests.by", frame.day(&one.legal_by))),
        Some(closed) => {
            rows.push(("requests.state", format!("{} ({})", t.html(&format!("requests.{state}")), frame.day(closed))))
        }
    }
    format!(
        "<section class=\"card\">\n<h{level}>{} <span class=\"badge {state}\">{}</span></h{level}>\n{}</section>\n",
        t.html(&format!("asked.{}", one.asked)),
        t.html(&format!("requests.{state}")),
        facts(frame, &rows)
    )
}

/// Names and what stands there, which is HTML.
pub(super) fn facts(frame: &Frame<'_>, rows: &[(&str, String)]) -> String {
    let mut out = String::from("<dl class=\"facts\">\n");
    for (key, value) in rows {
        let _ = writeln!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", frame.tongue.html(key));
    }
    out.push_str("</dl>\n");
    out
}

/// The only drawing: a shield with a tick.
const SHIELD: &str = "<svg class=\"shield\" viewBox=\"0 0 32 32\" width=\"32\" height=\"32\" aria-hidden=\"true\" focusable=\"false\"><path class=\"a\" d=\"M16 2 4 6.5v8.6C4 22.6 9 28.2 16 30c7-1.8 12-7.4 12-14.9V6.5z\"/><path class=\"b\" d=\"m10.5 15.8 4 4 7.5-8\" fill=\"none\"/></svg>";
