//! Policies as they changed: restarts are folded, and each change says what it opened and closed.

use std::fmt::Write;

use super::Frame;
use crate::audit::report::Stretch;
use crate::page::html::escape;
use crate::page::{Words, count};
use crate::policy::Difference;

/// Changes that are shown.
pub(in crate::console) const SHOWN: usize = 30;

/// What a change did, or why that cannot be told.
pub(in crate::console) type Changed = Result<Vec<Difference>, String>;

/// The newest first, each with what it changed against the one before.
pub(in crate::console) fn render(
    frame: &Frame<'_>,
    changes: &[(Stretch, Option<Changed>)],
    starts: u64,
    older: usize,
) -> String {
    let mut out = format!(
        "<p class=\"lead\">{} of the proxy, and {}: starts under the same policies are not listed.</p>\n",
        count(starts, "start"),
        match changes.len() as u64 + older as u64 {
            0 | 1 => "no change of the policies".to_owned(),
            all => format!("{} of the policies", count(all - 1, "change")),
        }
    );
    for (stretch, changed) in changes {
        change(&mut out, frame, stretch, changed.as_ref());
    }
    if changes.is_empty() {
        out.push_str("<p>The log holds none yet.</p>\n");
    }
    if older > 0 {
        let _ = writeln!(out, "<p class=\"quiet\">{} before these.</p>", count(older as u64, "change"));
    }
    frame.page("Policies", &out)
}

fn change(out: &mut String, frame: &Frame<'_>, stretch: &Stretch, changed: Option<&Changed>) {
    let hash: String = stretch.policy.chars().take(19).collect();
    let _ = write!(
        out,
        "<section class=\"card\">\n<h2>From {} <small><code>{}</code></small></h2>\n<p>{}{}. Record {}.</p>\n",
        frame.time(stretch.at.time),
        escape(&hash),
        if stretch.mode == "observe" { "<strong>Observe mode: nothing is enforced.</strong> " } else { "" },
        count(stretch.starts, "start"),
        stretch.at.seq
    );
    match changed {
        None => out.push_str("<p class=\"quiet\">The log holds nothing before.</p>\n"),
        Some(Err(why)) => {
            let _ = writeln!(out, "<p class=\"quiet\">What it changed cannot be told: {}</p>", escape(why));
        }
        Some(Ok(all)) if all.is_empty() => out.push_str("<p>It opens and closes nothing.</p>\n"),
        Some(Ok(all)) => {
            for (opens, title, class) in [(true, "Opens", "opens"), (false, "Closes", "closes")] {
                let lines: Vec<&Difference> = all.iter().filter(|one| one.opens == opens).collect();
                if lines.is_empty() {
                    continue;
                }
                let _ = write!(out, "<h3>{title}</h3>\n<ul class=\"{class}\">");
                for line in lines.iter().take(200) {
                    let _ = write!(out, "<li>{}</li>", super::words(&Words::said(&line.text)));
                }
                out.push_str("</ul>\n");
                if lines.len() > 200 {
                    let _ = writeln!(out, "<p class=\"quiet\">and {} more.</p>", lines.len() - 200);
                }
            }
        }
    }
    for refused in &stretch.refused {
        let _ = writeln!(out, "<p class=\"warning\">Not taken: {}</p>", escape(refused));
    }
    out.push_str("</section>\n");
}
