//! What was found and nobody judged yet: what one did on one day is one matter, with what is usual beside what was seen.

use std::fmt::Write;

use super::{Frame, words};
use crate::audit::report::{Matter, Review, matters};
use crate::console::query::encoded;
use crate::page::html::escape;
use crate::page::{Words, count};

/// Matters on a page.
const PER_PAGE: usize = 20;
/// Judgements that are shown below.
const REVIEWS: usize = 10;

/// What a reviewer can say, and what it means.
pub(in crate::console) const VERDICTS: [(&str, &str, &str); 3] = [
    ("expected", "Expected", "there is a reason for it"),
    ("ask", "Ask", "somebody will be asked"),
    ("incident", "Incident", "it is treated as a compromise (POPIA s22)"),
];

/// The inbox, or one further page of it.
pub(in crate::console) fn render(frame: &Frame<'_>, page: usize, done: Option<&str>, problem: Option<&str>) -> String {
    let desk = frame.console.following.desk();
    let (findings, more) = desk.open();
    let all = matters(&findings);
    let mut out = String::new();
    if let Some(done) = done {
        let _ = writeln!(out, "<div class=\"note good\" role=\"status\"><p>{}</p></div>", escape(done));
    }
    if let Some(problem) = problem {
        let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
    }
    let _ = match all.first() {
        None => writeln!(out, "<p class=\"lead\">Nothing waits for you.</p>"),
        Some(first) => writeln!(
            out,
            "<p class=\"lead\">{} {} for you, the heaviest first: {}, {}.</p>",
            count(all.len() as u64, "matter"),
            if all.len() == 1 { "waits" } else { "wait" },
            words(&first.who()),
            escape(first.day())
        ),
    };
    if more > 0 {
        let _ = writeln!(
            out,
            "<p class=\"warning\">{} were too many to be kept here; the report has them.</p>",
            count(more, "older finding")
        );
    }
    let begin = page.saturating_mul(PER_PAGE).min(all.len());
    for (at, matter) in all.iter().enumerate().skip(begin).take(PER_PAGE) {
        card(&mut out, frame, matter, at);
    }
    if all.len() > PER_PAGE {
        out.push_str("<nav class=\"paging\" aria-label=\"Further matters\"><ul>");
        if page > 0 {
            let _ = write!(out, "<li><a class=\"button\" href=\"/?page={}\">Heavier</a></li>", page - 1);
        }
        if begin + PER_PAGE < all.len() {
            let _ = write!(out, "<li><a class=\"button\" href=\"/?page={}\">Further matters</a></li>", page + 1);
        }
        out.push_str("</ul></nav>\n");
    }
    reviewed(&mut out, frame, desk.reviews());
    frame.page("Inbox", &out)
}

fn card(out: &mut String, frame: &Frame<'_>, matter: &Matter<'_>, at: usize) {
    let _ = write!(
        out,
        "<section class=\"card matter\" aria-labelledby=\"matter{at}\">\n<h2 id=\"matter{at}\">{} <small>{}</small></h2>\n<ul class=\"seen\">\n",
        words(&matter.who()),
        escape(matter.day())
    );
    for finding in &matter.findings {
        let (what, usual) = finding.told();
        let _ = writeln!(
            out,
            "<li><strong>{}</strong><br><span class=\"quiet\">usual: {}</span></li>",
            words(&what),
            words(&usual)
        );
    }
    let actor = matter.actor().map_or_else(String::new, |actor| format!("&amp;actor={}", encoded(actor)));
    let day = encoded(matter.day());
    let _ = write!(
        out,
        "</ul>\n<p><a href=\"/find?login={}{actor}&amp;since={day}&amp;until={day}\">What they did that day</a></p>\n\
         <form method=\"post\" action=\"/review\">{}",
        encoded(matter.login()),
        frame.hidden()
    );
    for finding in &matter.findings {
        let _ = write!(out, "<input type=\"hidden\" name=\"finding\" value=\"{}\">", escape(&finding.id()));
    }
    let _ = write!(
        out,
        "\n<div class=\"field\"><label for=\"comment{at}\">Why you judge so <span class=\"visually-hidden\">of {}, {}</span></label>\
         <textarea id=\"comment{at}\" name=\"comment\" rows=\"2\"></textarea></div>\n<div class=\"buttons\">",
        plain(&matter.who()),
        escape(matter.day())
    );
    for (verdict, name, means) in VERDICTS {
        let _ = write!(out, "<button name=\"verdict\" value=\"{verdict}\" title=\"{means}\">{name}</button>");
    }
    out.push_str("</div></form>\n</section>\n");
}

/// Words without their form.
fn plain(words: &Words) -> String {
    words.0.iter().map(|word| escape(word.text())).collect()
}

fn reviewed<'a>(out: &mut String, frame: &Frame<'_>, reviews: impl DoubleEndedIterator<Item = &'a Review>) {
    out.push_str("<h2>Judged last</h2>\n");
    let mut any = false;
    for review in reviews.rev().take(REVIEWS) {
        if !std::mem::replace(&mut any, true) {
            out.push_str("<ul class=\"judged\">\n");
        }
        let who =
            review.actor.as_ref().map_or_else(|| review.login.clone(), |actor| format!("{} as {actor}", review.login));
        let _ = writeln!(
            out,
            "<li><span class=\"badge {}\">{}</span> <code>{}</code>, {}: {}<br><span class=\"quiet\">{}, {} (record {})</span>{}</li>",
            escape(&review.verdict),
            escape(&review.verdict),
            escape(&who),
            escape(&review.day),
            escape(&review.what),
            escape(&review.by),
            frame.time(review.at.time),
            escape(&frame.record_name(review.at.seq)),
            if review.comment.is_empty() { String::new() } else { format!("<br>“{}”", escape(&review.comment)) }
        );
    }
    out.push_str(if any { "</ul>\n" } else { "<p>Nothing yet.</p>\n" });
}
