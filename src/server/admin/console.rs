//! The page for a person: how the proxy does, and what was decided last.

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::ready::{CLOCK, OBSERVED};
use super::{Admin, Readiness};
use crate::audit::read::{Entry, last};
use crate::config::Zone;

/// So many decisions are shown.
const DECISIONS: usize = 25;
/// So many bytes of each log file are read for them.
const REACH: u64 = 256 << 10;

const STYLE: &str = concat!(
    include_str!("../../page/page.css"),
    "td.n{text-align:right;font-variant-numeric:tabular-nums}\
.loud{background:#a40e26;color:#fff;font-size:1.4rem;font-weight:700;padding:.6rem 1rem}.ok{color:#116329}.bad,.deny{color:var(--bad-text);font-weight:600}.mask{color:#7d4e00;font-weight:600}.allow{color:#116329;font-weight:600}\
@media(prefers-color-scheme:dark){.ok,.allow{color:#56d364}.mask{color:#e3b341}}"
);

/// The page as HTML. Everything that a client or a policy has chosen is escaped.
pub(super) async fn render(admin: &Admin, readiness: &Readiness, pages: Arc<Semaphore>) -> String {
    let running = (admin.running)();
    let directory = admin.log.directory().to_owned();
    let page = pages.acquire_owned().await;
    let read = tokio::task::spawn_blocking(move || {
        // Until the log is read, also where whoever asked has gone.
        let _page = page;
        last(&directory, DECISIONS, REACH, |entry| entry.event() == "access")
    });
    let decisions =
        read.await.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));

    let mut page = String::with_capacity(32 << 10);
    let out = &mut page;
    put(out, format_args!("<!doctype html><html lang=en><head><meta charset=utf-8><title>pgpurpose</title>"));
    put(out, format_args!("<meta name=viewport content=\"width=device-width\"><meta http-equiv=refresh content=5>"));
    put(out, format_args!("<style>{STYLE}</style></head><body><h1>pgpurpose {}</h1>", env!("CARGO_PKG_VERSION")));
    if running.observe {
        put(out, format_args!("<p class=loud>{OBSERVED}</p>"));
    }
    if let Some(why) = &running.not_loaded {
        put(
            out,
            format_args!(
                "<p class=bad>The last reload was not taken, and what was in force before is: {}</p>",
                Escaped(why)
            ),
        );
    }
    if let Some(why) = &running.misfit {
        put(
            out,
            format_args!(
                "<p class=bad>The database has changed, and the policies no longer fit it: {}</p>",
                Escaped(why)
            ),
        );
    }
    if admin.log.status().clock_in_doubt {
        put(out, format_args!("<p class=bad>{}</p>", Escaped(CLOCK)));
    }

    put(out, format_args!("<table><tr><th>Part</th><th>State</th></tr>"));
    for (name, part) in readiness.parts() {
        match part {
            Ok(()) => put(out, format_args!("<tr><td>{name}</td><td class=ok>ok</td></tr>")),
            Err(error) => put(out, format_args!("<tr><td>{name}</td><td class=bad>{}</td></tr>", Escaped(error))),
        }
    }
    put(
        out,
        format_args!(
            "<tr><td>policy</td><td><code>{}</code> ({})</td></tr>",
            Escaped(&running.policy),
            if running.observe { "observe" } else { "enforce" }
        ),
    );
    let epoch = running.catalog.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
    put(out, format_args!("<tr><td>catalog epoch</td><td>{epoch}</td></tr>"));
    put(out, format_args!("<tr><td>last record</td><td>{}</td></tr></table>", admin.log.status().last_seq));

    let metrics = &admin.metrics;
    put(out, format_args!("<h2>Since start</h2><table>"));
    for (name, count) in [
        ("statements as asked", metrics.statements_allowed.get()),
        ("statements masked", metrics.statements_masked.get()),
        ("statements refused", metrics.statements_denied.get()),
        ("sessions opened", metrics.sessions_opened.get()),
        ("logins refused", metrics.logins_refused.get()),
        ("incidents", metrics.incidents.get()),
        ("decisions from the cache", metrics.cache_hits.get()),
        ("connections to the database that failed", metrics.upstream_errors.get()),
    ] {
        put(out, format_args!("<tr><td>{name}</td><td class=n>{count}</td></tr>"));
    }
    put(out, format_args!("<tr><td>sessions open now</td><td class=n>{}</td></tr></table>", metrics.sessions.get()));

    put(out, format_args!("<h2>Last decisions</h2>"));
    match decisions {
        Ok(decisions) => table(out, &decisions, &running.zone),
        Err(error) => put(out, format_args!("<p class=bad>the log cannot be read: {}</p>", Escaped(&error))),
    }
    put(out, format_args!("</body></html>\n"));
    page
}

fn table(out: &mut String, decisions: &[Entry], zone: &Zone) {
    if decisions.is_empty() {
        return put(out, format_args!("<p>None yet.</p>"));
    }
    put(
        out,
        format_args!(
            "<table><tr><th>Time ({})</th><th>Login</th><th>Purpose</th><th>Verdict</th><th>Statement</th></tr>",
            Escaped(&zone.to_string())
        ),
    );
    for entry in decisions.iter().rev() {
        let text = |field| entry.text(field).unwrap_or("");
        let verdict = match text("verdict") {
            "allow" => "allow",
            "mask" => "mask",
            _ => "deny",
        };
        let shown = zone.show_text(text("time"));
        // Day and time, without parts of a second and the zone, which stands above.
        let time = shown.get(..19).unwrap_or("").replace('T', " ");
        let reason = entry.text("reason").map(|reason| format!("<br>{}", Escaped(reason))).unwrap_or_default();
        put(
            out,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class={verdict}>{verdict}</td><td><code>{}</code>{reason}</td></tr>",
                Escaped(&time),
                Escaped(text("login")),
                Escaped(text("purpose")),
                Escaped(&shortened(text("statement")))
            ),
        );
    }
    put(out, format_args!("</table>"));
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(400).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(what);
}

/// Text as HTML shows it.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
