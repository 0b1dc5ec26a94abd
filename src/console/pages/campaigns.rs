//! Campaigns: what everybody has is certified or revoked, line by line, and the campaign is closed with evidence.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Frame;
use super::matrix::{Has, lines, logins, told};
use crate::audit::report::{Campaign, CampaignLine};
use crate::page::html::escape;
use crate::page::{Words, count};
use crate::policy::PolicySet;

/// All of them, and the form that begins one.
pub(in crate::console) fn render(frame: &Frame<'_>, policies: &PolicySet, problem: Option<&str>) -> String {
    let desk = frame.console.following.desk();
    let mut out = String::from(
        "<p class=\"lead\">In a campaign somebody looks at everything that each role may use for each purpose, and says of each line whether it is still needed.</p>\n",
    );
    if let Some(problem) = problem {
        let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
    }
    for campaign in desk.campaigns().iter().rev() {
        let state = match &campaign.closed {
            Some((at, by, _)) => format!("closed {} by {}", frame.time(at.time), escape(by)),
            None => "open".to_owned(),
        };
        let revoked = campaign.lines.iter().filter(|line| !line.certified).count() as u64;
        let _ = write!(
            out,
            "<section class=\"card\">\n<h2><a href=\"/campaign/{0}\">{0}</a></h2>\n<p>Begun {1} by {2} over {3}; {4}, of which {5} revoked; {state}.</p>\n{6}</section>\n",
            escape(&campaign.campaign),
            frame.time(campaign.at.time),
            escape(&campaign.by),
            escape(&campaign.has),
            count(campaign.lines.len() as u64, "line") + " judged",
            crate::page::number(revoked),
            if campaign.comment.is_empty() {
                String::new()
            } else {
                format!("<p>“{}”</p>\n", escape(&campaign.comment))
            }
        );
    }
    if desk.campaigns().is_empty() {
        out.push_str("<p>There was none yet.</p>\n");
    }
    drop(desk);
    let grants = policies.grants();
    let _ = if frame.who.is_officer() {
        write!(
            out,
            "<h2>Begin a campaign</h2>\n<form method=\"post\" action=\"/campaigns\">{}<div class=\"field\"><label for=\"comment\">What it is for</label>\
             <p class=\"hint\" id=\"comment-hint\">It lists {} under the policies in force now.</p>\
             <input id=\"comment\" name=\"comment\" aria-describedby=\"comment-hint\"></div><button>Begin</button></form>\n",
            frame.hidden(),
            count(lines(&grants).len() as u64, "line")
        )
    } else {
        writeln!(out, "<p class=\"quiet\">An officer begins a campaign.</p>")
    };
    frame.page("Campaigns", &out)
}

/// One campaign with its lines: those of the policies that it is about where these are known, else of those that are in force.
pub(in crate::console) fn one(
    frame: &Frame<'_>,
    campaign: &Campaign,
    about: &PolicySet,
    now: &PolicySet,
    problem: Option<&str>,
) -> String {
    let (grants, present) = (about.grants(), now.grants());
    let (all, present) = (lines(&grants), lines(&present));
    let judged: BTreeMap<(&str, &str), &CampaignLine> =
        campaign.lines.iter().map(|line| ((line.role.as_str(), line.purpose.as_str()), line)).collect();
    let open = all.keys().filter(|key| !judged.contains_key(*key)).count() as u64;
    let mut out = String::new();
    if let Some(problem) = problem {
        let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
    }
    let _ = match &campaign.closed {
        Some((at, by, comment)) => writeln!(
            out,
            "<p class=\"lead\">Closed {} by {} (record {}).{}</p>",
            frame.time(at.time),
            escape(by),
            at.seq,
            if comment.is_empty() { String::new() } else { format!(" “{}”", escape(comment)) }
        ),
        None => writeln!(
            out,
            "<p class=\"lead\">{} of {} {} to be judged.</p>",
            crate::page::number(open),
            count(all.len() as u64, "line"),
            if open == 1 { "is" } else { "are" }
        ),
    };
    // What waits comes first.
    let waits = |key: &(&str, &str)| !judged.contains_key(key);
    for (at, ((role, purpose), has)) in
        all.iter().filter(|(key, _)| waits(key)).chain(all.iter().filter(|(key, _)| !waits(key))).enumerate()
    {
        let line = Line {
            role,
            purpose,
            has,
            judged: judged.get(&(*role, *purpose)).copied(),
            still: present.get(&(*role, *purpose)),
        };
        line.card(&mut out, frame, campaign, &logins(about, role), at);
    }
    close(&mut out, frame, campaign, open);
    frame.page(&campaign.campaign, &out)
}

struct Line<'a> {
    role: &'a str,
    purpose: &'a str,
    has: &'a Has<'a>,
    judged: Option<&'a CampaignLine>,
    /// What is open now.
    still: Option<&'a Has<'a>>,
}

impl Line<'_> {
    fn card(&self, out: &mut String, frame: &Frame<'_>, campaign: &Campaign, logins: &[&str], at: usize) {
        let used = frame.console.following.desk().used_for(self.role, self.purpose);
        let used = used.map_or_else(
            || "never used".to_owned(),
            |used| format!("{}, last {}", count(used.statements, "statement"), frame.time(used.last.time)),
        );
        let _ = write!(
            out,
            "<section class=\"card\" aria-labelledby=\"line{at}\">\n<h2 id=\"line{at}\"><code>{}</code> for <code>{}</code></h2>\n<p>{}</p>\n<p class=\"quiet\">Logins: {}. Use: {used}.</p>\n",
            escape(self.role),
            escape(self.purpose),
            escape(&told(self.has)),
            if logins.is_empty() { "none".to_owned() } else { super::words(&Words::some(logins)) }
        );
        if let Some(judged) = self.judged {
            let (class, word) = if judged.certified { ("", "certified") } else { ("refused", "revoked") };
            let _ = writeln!(
                out,
                "<p><span class=\"badge {class}\">{word}</span> {}, {} (record {}){}</p>",
                escape(&judged.by),
                frame.time(judged.at.time),
                judged.at.seq,
                if judged.comment.is_empty() { String::new() } else { format!(": “{}”", escape(&judged.comment)) }
            );
            if !judged.certified && self.still.is_some() {
                out.push_str(
                    "<p class=\"warning\">The policies in force still open it: whoever writes them takes it out.</p>\n",
                );
            }
        }
        if campaign.closed.is_none() {
            let _ = writeln!(
                out,
                "<form method=\"post\" action=\"/campaign/{}\">{}<input type=\"hidden\" name=\"role\" value=\"{}\"><input type=\"hidden\" name=\"purpose\" value=\"{}\">\
                 <div class=\"field\"><label for=\"why{at}\">Why <span class=\"visually-hidden\">of {} for {}</span></label><input id=\"why{at}\" name=\"comment\"></div>\
                 <div class=\"buttons\"><button name=\"what\" value=\"certified\">Certify</button><button class=\"other\" name=\"what\" value=\"revoked\">Revoke</button></div></form>",
                escape(&campaign.campaign),
                frame.hidden(),
                escape(self.role),
                escape(self.purpose),
                escape(self.role),
                escape(self.purpose),
            );
        }
        out.push_str("</section>\n");
    }
}

fn close(out: &mut String, frame: &Frame<'_>, campaign: &Campaign, open: u64) {
    if campaign.closed.is_some() {
        return;
    }
    let _ = match (open, frame.who.is_officer()) {
        (0, true) => write!(
            out,
            "<h2>Close it</h2>\n<form method=\"post\" action=\"/campaign/{}/close\">{}<div class=\"field\"><label for=\"closing\">What you say of it</label>\
             <input id=\"closing\" name=\"comment\"></div><button>Close the campaign</button></form>\n",
            escape(&campaign.campaign),
            frame.hidden()
        ),
        (0, false) => writeln!(out, "<p>Every line is judged: an officer closes the campaign.</p>"),
        (_, _) => writeln!(out, "<p class=\"quiet\">It can be closed once every line is judged.</p>"),
    };
}
