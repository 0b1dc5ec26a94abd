//! What somebody does: first the record of the access log. Where that cannot be written, nothing is shown and nothing counts.

use std::collections::BTreeSet;

use super::Console;
use super::door::Who;
use super::pages::inbox::VERDICTS;
use super::pages::matrix::{lines, told};
use crate::audit::Event;
use crate::audit::report::matters;
use crate::page::count;
use crate::policy::PolicySet;

/// Most characters of somebody's own words.
const MOST_WORDS: usize = 1_500;

/// Somebody's own words, no longer than a record takes.
pub(super) fn comment(text: &str) -> String {
    text.trim().chars().take(MOST_WORDS).collect()
}

async fn append(console: &Console, event: Event<'_>) -> Result<u64, String> {
    let failed = |error: crate::audit::AuditError| {
        format!("Nothing is shown or done, for the access log cannot be written: {error}")
    };
    let record = event.record().map_err(failed)?;
    console.parts.admin.log.append(record).await.map_err(failed)
}

/// The same, and waits until the pages know of it.
async fn append_and_show(console: &Console, event: Event<'_>) -> Result<(), String> {
    let seq = append(console, event).await?;
    console.following.has(seq).await;
    Ok(())
}

/// A page is looked at, somebody comes in or is not let in, or something is taken away.
pub(super) async fn view(console: &Console, who: Option<&Who>, page: &str, says: &str) -> Result<(), String> {
    let (by, standing) = who.map_or(("", ""), |who| (who.name.as_str(), who.standing.name()));
    append(console, Event::Console { by, standing, page, says }).await.map(drop)
}

/// Findings of one matter are judged.
pub(super) async fn review(
    console: &Console,
    who: &Who,
    verdict: &str,
    ids: &[&str],
    said: &str,
) -> Result<(), String> {
    let comment = comment(said);
    if !VERDICTS.iter().any(|(known, _, _)| *known == verdict) {
        return Err("Say whether it is expected, to be asked about, or an incident.".to_owned());
    }
    if verdict != "expected" && comment.is_empty() {
        return Err("Say why: who will be asked what, or what the incident is.".to_owned());
    }
    let (findings, what, day, login, actor) = {
        let (open, _) = console.following.desk().open();
        let wanted: BTreeSet<&str> = ids.iter().copied().collect();
        let chosen: Vec<_> = open.iter().filter(|finding| wanted.contains(finding.id().as_str())).collect();
        let all = matters(chosen.iter().copied());
        let [matter] = all.as_slice() else {
            return Err("That was judged already, or is not one matter: look at the inbox again.".to_owned());
        };
        let findings: Vec<String> = matter.findings.iter().map(|finding| finding.id()).collect();
        let actor = matter.actor().map(str::to_owned);
        (findings, matter.told(), matter.day().to_owned(), matter.login().to_owned(), actor)
    };
    let event = Event::Review {
        verdict,
        findings: &findings,
        what: &what,
        day: &day,
        login: &login,
        actor: actor.as_deref(),
        by: &who.name,
        standing: who.standing.name(),
        comment: &comment,
    };
    append_and_show(console, event).await
}

/// One step of a campaign.
struct Step<'a> {
    what: &'a str,
    campaign: &'a str,
    policy: &'a str,
    line: Option<(&'a str, &'a str)>,
    has: &'a str,
    said: &'a str,
}

async fn step(console: &Console, who: &Who, step: Step<'_>) -> Result<(), String> {
    let comment = comment(step.said);
    let event = Event::Campaign {
        what: step.what,
        campaign: step.campaign,
        policy: step.policy,
        role: step.line.map(|(role, _)| role),
        purpose: step.line.map(|(_, purpose)| purpose),
        has: step.has,
        by: &who.name,
        standing: who.standing.name(),
        comment: &comment,
    };
    append_and_show(console, event).await
}

/// An officer begins a campaign over the policies in force; gives its name.
pub(super) async fn begin(console: &Console, who: &Who, policies: &PolicySet, said: &str) -> Result<String, String> {
    if !who.is_officer() {
        return Err("An officer begins a campaign.".to_owned());
    }
    let today = policies.zone().today();
    let before =
        console.following.desk().campaigns().iter().filter(|one| one.campaign.contains(&today.to_string())).count();
    let campaign = format!("c-{today}-{}", before + 1);
    let grants = policies.grants();
    let has = count(lines(&grants).len() as u64, "line");
    let begun = Step { what: "begun", campaign: &campaign, policy: policies.hash(), line: None, has: &has, said };
    step(console, who, begun).await?;
    Ok(campaign)
}

/// A line of an open campaign is judged.
pub(super) async fn judge(
    console: &Console,
    who: &Who,
    campaign: &str,
    about: &PolicySet,
    (role, purpose, what, said): (&str, &str, &str, &str),
) -> Result<(), String> {
    let what = match what {
        "certified" => "certified",
        "revoked" if comment(said).is_empty() => return Err("Say why it is revoked.".to_owned()),
        "revoked" => "revoked",
        _ => return Err("Say whether it is certified or revoked.".to_owned()),
    };
    let grants = about.grants();
    let all = lines(&grants);
    let has = all.get(&(role, purpose)).map(told).ok_or_else(|| "The campaign has no such line.".to_owned())?;
    let line = Some((role, purpose));
    step(console, who, Step { what, campaign, policy: about.hash(), line, has: &has, said }).await
}

/// An officer closes a campaign of which every line was judged.
pub(super) async fn close(
    console: &Console,
    who: &Who,
    campaign: &str,
    about: &PolicySet,
    said: &str,
) -> Result<(), String> {
    if !who.is_officer() {
        return Err("An officer closes a campaign.".to_owned());
    }
    let grants = about.grants();
    let has = {
        let desk = console.following.desk();
        let known = desk.campaigns().iter().find(|known| known.campaign == campaign && known.closed.is_none());
        let known = known.ok_or_else(|| "There is no such campaign that is open.".to_owned())?;
        let judged: BTreeSet<(&str, &str)> =
            known.lines.iter().map(|line| (line.role.as_str(), line.purpose.as_str())).collect();
        if lines(&grants).keys().any(|line| !judged.contains(line)) {
            return Err("Not every line is judged yet.".to_owned());
        }
        let revoked = known.lines.iter().filter(|line| !line.certified).count() as u64;
        format!("{}, of which {revoked} revoked", count(known.lines.len() as u64, "line"))
    };
    step(console, who, Step { what: "closed", campaign, policy: about.hash(), line: None, has: &has, said }).await
}
