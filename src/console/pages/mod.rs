//! The pages: what is around each of them, and those that are short.

pub(super) mod campaigns;
pub(super) mod find;
pub(super) mod inbox;
pub(super) mod matrix;
pub(super) mod pictures;
pub(super) mod policies;
pub(super) mod proxy;

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;

use super::Console;
use super::door::Who;
use super::following::Other;
use crate::audit::report::of_log;
use crate::config::Zone;
use crate::page::html::{self, escape};
use crate::page::{Block, Cell, Words};
use crate::server::admin::{CLOCK, OBSERVED};
use crate::server::site::style_name;

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) console: &'a Console,
    pub(super) who: &'a Who,
    /// What a form brings along.
    pub(super) form: &'a str,
    /// The page's own place in the navigation.
    pub(super) here: &'static str,
    pub(super) zone: Zone,
    /// By number: logs beside the proxy's own.
    pub(super) others: BTreeMap<u64, Other>,
}

/// Where one can go.
const PLACES: [(&str, &str); 8] = [
    ("/", "Inbox"),
    ("/find", "Find"),
    ("/matrix", "Who has what"),
    ("/policies", "Policies"),
    ("/campaigns", "Campaigns"),
    ("/pictures", "Pictures"),
    ("/bundle", "For an auditor"),
    ("/proxy", "Proxy"),
];

/// A page's beginning, up to its header.
fn head(title: &str, firm: &str) -> String {
    let dash = if firm.is_empty() { "" } else { " – " };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{} – Access review{dash}{firm}</title>\n\
         <link rel=\"stylesheet\" href=\"/{}\">\n</head>\n<body class=\"centre console\">\n\
         <a class=\"skip\" href=\"#content\">To the content</a>\n<header>\n<div class=\"top\"><a class=\"brand\" href=\"/\"><span>{}<small>Access \
         review</small></span></a>\n",
        escape(title),
        style_name(),
        if firm.is_empty() { "pgpurpose" } else { firm },
        firm = escape(firm),
    )
}

fn end(out: &mut String, console: &Console) {
    out.push_str("<footer>\n");
    if let Some(officer) = console.own("information_officer") {
        let _ = writeln!(out, "<p>Information officer: {}</p>", escape(officer));
    }
    let _ = write!(
        out,
        "<p class=\"quiet\">pgpurpose {}. Every page that is shown here is a record of the access log.</p>\n</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
}

impl Frame<'_> {
    /// A whole page around its content, which is HTML.
    pub(super) fn page(&self, title: &str, content: &str) -> String {
        let mut out = head(title, self.console.own("name").unwrap_or_default());
        let _ = write!(
            out,
            "<form class=\"leave\" method=\"post\" action=\"/leave\">{}<span>{}, {}</span> <button class=\"quiet\">Log out</button></form>\n\
             </div>\n<nav class=\"pages\" aria-label=\"Pages\"><ul>",
            self.hidden(),
            escape(&self.who.name),
            self.who.standing.name()
        );
        for (place, name) in PLACES {
            let current = if place == self.here { " aria-current=\"page\"" } else { "" };
            let _ = write!(out, "<li><a href=\"{place}\"{current}>{name}</a></li>");
        }
        let _ =
            write!(out, "</ul></nav>\n</header>\n<main id=\"content\" tabindex=\"-1\">\n<h1>{}</h1>\n", escape(title));
        self.remarks(&mut out);
        out.push_str(content);
        out.push_str("</main>\n");
        end(&mut out, self.console);
        out
    }

    /// What must not be overlooked, whatever is looked at.
    fn remarks(&self, out: &mut String) {
        let running = (self.console.parts.admin.running)();
        let mut all: Vec<String> = Vec::new();
        all.extend(running.observe.then(|| OBSERVED.to_owned()));
        all.extend(
            running
                .not_loaded
                .map(|why| format!("The last reload was not taken, and what was in force before is: {why}")),
        );
        all.extend(
            running.misfit.map(|why| format!("The database has changed, and the policies no longer fit it: {why}")),
        );
        all.extend(self.console.parts.admin.log.status().clock_in_doubt.then(|| CLOCK.to_owned()));
        all.extend(self.console.following.trouble());
        if !self.console.following.is_caught_up() {
            // Whoever makes the page may hold the desk.
            let read = crate::page::count(self.console.following.read(), "record");
            let of = if self.console.parts.others.is_empty() {
                format!(" of {}", crate::page::number(self.console.parts.admin.log.status().last_seq))
            } else {
                String::new()
            };
            all.push(format!("The log is still being read: {read} so far{of}. What follows is of these."));
        }
        for remark in all {
            let _ = writeln!(out, "<p class=\"warning\">{}</p>", escape(&remark));
        }
    }

    /// What every form brings along.
    pub(super) fn hidden(&self) -> String {
        format!("<input type=\"hidden\" name=\"form\" value=\"{}\">", escape(self.form))
    }

    /// A record by its number; of another log, with what that is called.
    pub(super) fn record(&self, seq: u64) -> Cell {
        match of_log(seq) {
            (0, seq) => Cell::Record(seq),
            (_, _) => self.record_name(seq).into(),
        }
    }

    /// The same in a sentence.
    pub(super) fn record_name(&self, seq: u64) -> String {
        let (log, seq) = of_log(seq);
        let label = |other: &Other| format!("{seq} of {}", other.label);
        self.others.get(&log).map_or_else(|| seq.to_string(), label)
    }

    /// `2026-11-22 10:00`.
    pub(super) fn time(&self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.zone.tz().clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The same of a time as records have it.
    pub(super) fn time_of(&self, text: &str) -> String {
        text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |time| self.time(time))
    }
}

/// Blocks as HTML.
pub(super) fn blocks(blocks: &[Block]) -> String {
    let mut out = String::new();
    html::blocks(&mut out, blocks, &mut 0);
    out
}

/// A heading with its blocks.
pub(super) fn section(title: &str, inner: &[Block]) -> String {
    format!("<section>\n<h2>{}</h2>\n{}</section>\n", escape(title), blocks(inner))
}

/// A field of a form with its label.
pub(super) fn field(name: &str, label: &str, hint: &str, value: &str) -> String {
    let (described, hint) = match hint {
        "" => (String::new(), String::new()),
        hint => {
            (format!(" aria-describedby=\"{name}-hint\""), format!("<p class=\"hint\" id=\"{name}-hint\">{hint}</p>"))
        }
    };
    format!(
        "<div class=\"field\"><label for=\"{name}\">{label}</label>{hint}<input id=\"{name}\" name=\"{name}\" value=\"{}\"{described} autocomplete=\"off\"></div>\n",
        escape(value)
    )
}

/// Words as HTML.
pub(super) fn words(words: &Words) -> String {
    html::words(words)
}

/// Where one comes in.
pub(super) fn enter(console: &Console, form: &str, problem: Option<&str>) -> String {
    let mut out = head("Log in", console.own("name").unwrap_or_default());
    out.push_str("</div>\n</header>\n<main id=\"content\" tabindex=\"-1\">\n<h1>Log in</h1>\n");
    if let Some(problem) = problem {
        let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
    }
    let _ = write!(
        out,
        "<form method=\"post\" action=\"/enter\"><input type=\"hidden\" name=\"form\" value=\"{}\">\n\
         <div class=\"field\"><label for=\"name\">Name</label><input id=\"name\" name=\"name\" autocomplete=\"username\" required></div>\n\
         <div class=\"field\"><label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required></div>\n<button>Log in</button></form>\n</main>\n",
        escape(form)
    );
    end(&mut out, console);
    out
}

/// Something did not work, for whoever is in or not.
pub(super) fn wrong(console: &Console, what: &str) -> String {
    let mut out = head("That did not work", console.own("name").unwrap_or_default());
    let _ = write!(
        out,
        "</div>\n</header>\n<main id=\"content\" tabindex=\"-1\">\n<h1>That did not work</h1>\n<div class=\"note bad\" role=\"alert\"><p>{}</p></div>\n\
         <p><a class=\"button\" href=\"/\">To the inbox</a></p>\n</main>\n",
        escape(what)
    );
    end(&mut out, console);
    out
}
