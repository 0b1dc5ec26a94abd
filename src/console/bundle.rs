//! What an auditor is given: one file with a page for people, the same for programs, checkpoints of each day, a list of what is in it with
//! its digests, signed with the log's key, and how all of it is verified.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{Cursor, Read as _, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::Console;
use super::acts;
use super::door::Who;
use super::pages::matrix::{lines, logins, told};
use super::pages::policies::Changed;
use super::pages::{Frame, pictures};
use super::tables;
use super::web::changes;
use crate::audit::chain::Hash;
use crate::audit::checkpoint::PublicKey;
use crate::audit::report::{Campaign, Exception, Finding, Review, Stretch};
use crate::page::html::{self, escape};
use crate::page::{Block, Cell, Page, Section, Table, Words, count, heads};
use crate::policy::PolicySet;
use crate::requests::told::{is_signed, sign};

/// The page that offers it.
pub(super) fn page(frame: &Frame<'_>, problem: Option<&str>) -> String {
    let mut out = String::new();
    if let Some(problem) = problem {
        let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
    }
    out.push_str(
        "<p class=\"lead\">One file for whoever audits: what was found and what was said of it, campaigns, policies with what each change opened, \
         who has what, exceptions, and the signed checkpoints by which the access log itself can be held to all of it.</p>\n",
    );
    let signed = match &frame.console.parts.signer {
        Some(signer) => format!(
            "<p>It is signed with the key of the log’s checkpoints. Its public half, which the auditor should have by another way: <code class=\"long\">{}</code></p>\n",
            escape(&signer.public().to_string())
        ),
        None => "<p class=\"warning\">The log has no signing key (<code>[audit] signing_key</code>): the file will not be signed.</p>\n".to_owned(),
    };
    out.push_str(&signed);
    if frame.who.is_officer() {
        let _ = writeln!(
            out,
            "<form method=\"post\" action=\"/bundle\">{}<button>Sign and download</button></form>",
            frame.hidden()
        );
    } else {
        out.push_str("<p class=\"quiet\">An officer signs and downloads it.</p>\n");
    }
    frame.page("For an auditor", &out)
}

/// All that goes into it, as the desk has it at one moment.
struct Content {
    findings: Vec<Finding>,
    more: u64,
    reviews: Vec<Review>,
    changes: Vec<(Stretch, Option<Changed>)>,
    exceptions: Vec<Exception>,
    campaigns: Vec<Campaign>,
    checkpoints: String,
    span: String,
    last: u64,
}

impl Content {
    async fn of(console: &Arc<Console>, frame: &Frame<'_>) -> Self {
        let stretches = console.following.desk().stretches().to_vec();
        let changes = changes(console, stretches).await;
        let desk = console.following.desk();
        let (findings, more) = desk.open();
        let (first, last, records) = desk.reach();
        let when = |at: Option<crate::audit::report::At>| at.map_or_else(String::new, |at| frame.time(at.time));
        let mut checkpoints = String::new();
        for checkpoint in desk.checkpoints() {
            let _ = writeln!(checkpoints, "{}", checkpoint.line);
        }
        Self {
            findings,
            more,
            reviews: desk.reviews().cloned().collect(),
            changes,
            exceptions: desk.exceptions(Timestamp::now()).into_iter().cloned().collect(),
            campaigns: desk.campaigns().to_vec(),
            checkpoints,
            span: format!(
                "{} from {} to {}, times of {}",
                count(records, "record"),
                when(first),
                when(last),
                frame.zone
            ),
            last: desk.ends().get(&0).map_or(0, |last| last.seq),
        }
    }
}

/// An officer takes it: the record, and then the file. Gives its name and its bytes.
pub(super) async fn make(console: &Arc<Console>, frame: &Frame<'_>, who: &Who) -> Result<(String, Vec<u8>), String> {
    if !who.is_officer() {
        return Err("An officer signs and downloads it.".to_owned());
    }
    if !console.following.is_caught_up() {
        return Err("The log is still being read: a part of it would be missing.".to_owned());
    }
    let content = Content::of(console, frame).await;
    let policies = (console.parts.policies)();
    let html = html::render(&as_page(frame, &content, &policies));
    let json = as_json(console, &content, &policies);
    let json = serde_json::to_string_pretty(&json).map_err(|error| error.to_string())?;
    let log = console.parts.admin.log.name().to_owned();
    let public = console.parts.signer.as_ref().map(|signer| signer.public().to_string());
    let verify = how_to_verify(public.as_deref(), &log, content.last);
    let files = [
        ("index.html", html),
        ("bundle.json", json),
        ("checkpoints.jsonl", content.checkpoints),
        ("VERIFY.txt", verify),
    ];
    let digests: Vec<Value> = files
        .iter()
        .map(|(name, text)| json!({ "name": name, "sha256": Hash::of(text.as_bytes()).to_string() }))
        .collect();
    let manifest = json!({
        "what": "pgpurpose bundle for an auditor, version 1",
        "made": format!("{:.6}", Timestamp::now()),
        "by": who.name,
        "log": log,
        "last_record": content.last,
        "policy": policies.hash(),
        "files": digests,
    });
    let manifest = sign(manifest, console.parts.signer.as_deref()).to_string();
    let digest = Hash::of(manifest.as_bytes()).to_string();
    acts::view(console, Some(who), "bundle", &format!("manifest {digest}")).await?;
    let wrong = |error: &dyn std::fmt::Display| format!("The file cannot be made: {error}");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in
        files.iter().map(|(name, text)| (*name, text.as_str())).chain([("manifest.json", manifest.as_str())])
    {
        zip.start_file(name, SimpleFileOptions::default()).map_err(|error| wrong(&error))?;
        zip.write_all(text.as_bytes()).map_err(|error| wrong(&error))?;
    }
    let bytes = zip.finish().map_err(|error| wrong(&error))?.into_inner();
    Ok((format!("access-review-{}.zip", frame.zone.today()), bytes))
}

/// A bundle that was looked at.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many files the list names.
    pub(crate) files: usize,
    /// Whether the list is signed with one of the keys that were given.
    pub(crate) signed: bool,
    /// When it was made, and by whom.
    pub(crate) made: String,
    texts: Vec<(String, String)>,
}

impl Checked {
    /// Each file with its bytes.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, usize)> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text.len()))
    }

    /// One of the files.
    #[cfg(test)]
    pub(crate) fn text(&self, name: &str) -> String {
        self.texts.iter().find(|(known, _)| known == name).map_or_else(String::new, |(_, text)| text.clone())
    }
}

/// Bytes of one file that are still read.
const MOST_BYTES: u64 = 512 << 20;

/// Holds a bundle to its list, and the list to the keys.
///
/// # Errors
/// It is none, or a file of it is not what the list says.
pub(crate) fn check(bytes: &[u8], keys: &[PublicKey]) -> Result<Checked, String> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("it is no ZIP file: {error}"))?;
    let mut texts = Vec::new();
    for at in 0..zip.len() {
        let file = zip.by_index(at).map_err(|error| error.to_string())?;
        let name = file.name().map_err(|error| error.to_string())?.into_owned();
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        texts.push((name, text));
    }
    let of = |name: &str| texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
    let list: Value =
        of("manifest.json").and_then(|text| serde_json::from_str(text).ok()).ok_or("it has no `manifest.json`")?;
    let said = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let listed = list.get("files").and_then(Value::as_array).ok_or("`manifest.json` lists no files")?;
    for file in listed {
        let name = said(file, "name");
        let text = of(&name).ok_or_else(|| format!("`{name}` is listed and is not there"))?;
        if Hash::of(text.as_bytes()).to_string() != said(file, "sha256") {
            return Err(format!("`{name}` is not what was signed: it was changed"));
        }
    }
    let is_listed = |name: &str| listed.iter().any(|file| said(file, "name") == name);
    if let Some((name, _)) = texts.iter().find(|(name, _)| name != "manifest.json" && !is_listed(name)) {
        return Err(format!("`{name}` is there and is not listed"));
    }
    let signed = keys.iter().any(|key| is_signed(&list, key));
    Ok(Checked {
        files: listed.len(),
        signed,
        made: format!("{} by {}", said(&list, "made"), said(&list, "by")),
        texts,
    })
}

/// A bundle of which a part of a file is another.
#[cfg(test)]
pub(super) fn tests_change(bytes: &[u8], name: &str, from: &str, to: &str) -> Vec<u8> {
    let Ok(checked) = check(bytes, &[]) else { return Vec::new() };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, text) in checked.texts {
        let _ = zip.start_file(&file, SimpleFileOptions::default());
        let text = if file == name { text.replace(from, to) } else { text };
        let _ = zip.write_all(text.as_bytes());
    }
    zip.finish().map(Cursor::into_inner).unwrap_or_default()
}

fn how_to_verify(public: Option<&str>, log: &str, last: u64) -> String {
    let key = public.unwrap_or("KEY");
    let signed = match public {
        Some(key) => format!(
            "The list is signed by the key\n  {key}\nCompare it with the one that you were given by another way: a key that comes with what it signs proves nothing.\n"
        ),
        None => {
            "The list is NOT signed: the log had no signing key. Nothing below proves who made this file.\n".to_owned()
        }
    };
    format!(
        "How this file is verified\n=========================\n\n1. That it is as it was signed, and of whom: manifest.json lists each other file with its SHA-256.\n   {signed}\n\
         \x20    pgpurpose audit bundle FILE.zip --public-key {key}\n\n\
         2. That the access log of log {log} is the one that it speaks of: take a copy of the log's folder, and hold it to the key and to the\n\
         \x20  checkpoints in here, which nobody can have changed since.\n\n\
         \x20    pgpurpose audit verify --dir COPY --public-key {key} --checkpoint checkpoints.jsonl\n\n\
         3. That what index.html says is so: every line names its record (the last one is {last}).\n\n\
         \x20    pgpurpose audit search --dir COPY --event review --json\n\
         \x20    pgpurpose audit search --dir COPY --event campaign --json\n\
         \x20    pgpurpose audit report --dir COPY --public-key {key} --out report.html\n\n\
         What it does not prove: that everything was found that there was to be found; that who logged in as somebody was that person.\n"
    )
}

fn as_json(console: &Console, content: &Content, policies: &PolicySet) -> Value {
    let grants = policies.grants();
    let has: Vec<Value> = lines(&grants)
        .iter()
        .map(|((role, purpose), has)| {
            let used = console.following.desk().used_for(role, purpose);
            json!({
                "role": role, "purpose": purpose, "logins": logins(policies, role), "has": told(has),
                "statements": used.map_or(0, |used| used.statements), "last_used": used.map(|used| used.last.time.to_string()),
            })
        })
        .collect();
    let changes: Vec<Value> = content
        .changes
        .iter()
        .map(|(stretch, changed)| {
            let of = |opens: bool| {
                let all = changed.as_ref().and_then(|changed| changed.as_ref().ok());
                all.map(|all| {
                    all.iter().filter(|one| one.opens == opens).map(|one| one.text.clone()).collect::<Vec<_>>()
                })
            };
            let unknown = changed.as_ref().and_then(|changed| changed.as_ref().err());
            json!({ "policy": stretch, "opens": of(true), "closes": of(false), "unknown": unknown })
        })
        .collect();
    json!({
        "log": { "name": console.parts.admin.log.name(), "said": content.span, "last_record": content.last },
        "organisation": { "name": console.own("name"), "information_officer": console.own("information_officer") },
        "reviews": content.reviews,
        "open_findings": content.findings,
        "findings_not_kept": content.more,
        "campaigns": content.campaigns,
        "policies": changes,
        "who_has_what": has,
        "exceptions": content.exceptions,
    })
}

fn as_page(frame: &Frame<'_>, content: &Content, policies: &PolicySet) -> Page {
    let section = |id, title, blocks| Section { id, title: Cow::Borrowed(title), blocks };
    let mut facts = Vec::new();
    for (key, name) in [("name", "Responsible party"), ("information_officer", "Information officer")] {
        facts.extend(frame.console.own(key).map(|said| Words::from(format!("{name}: {said}"))));
    }
    facts.push(content.span.clone().into());
    if !frame.others.is_empty() {
        let others: Vec<String> =
            frame.others.values().map(|other| format!("{} (log {})", other.label, other.name)).collect();
        facts.push(
            format!("Findings and judgements are of this log and of those of other proxies: {}.", others.join(", "))
                .into(),
        );
    }
    let judged = count(content.reviews.len() as u64, "judgement");
    facts.push(format!("{judged}; {} not judged yet.", count(content.findings.len() as u64, "finding")).into());
    facts.push(
        format!(
            "{}, the policies changed {}.",
            count(content.campaigns.len() as u64, "campaign"),
            count(content.changes.len().saturating_sub(1) as u64, "time")
        )
        .into(),
    );
    Page {
        language: "",
        title: "Review of access to personal information".to_owned(),
        sections: vec![
            section("summary", "In short", vec![Block::List(facts)]),
            section(
                "reviews",
                "What was judged",
                vec![or_none(tables::reviews(
                    content.reviews.iter().rev(),
                    |time| frame.time(time),
                    |seq| frame.record(seq),
                ))],
            ),
            section("open", "Found and not judged", vec![open(frame, &content.findings)]),
            section("campaigns", "Campaigns", campaigns(frame, &content.campaigns)),
            section("policies", "Policies as they changed", changed(frame, &content.changes)),
            section("has", "Who has what", vec![who_has(frame, policies)]),
            section("exceptions", "Exceptions in force", vec![or_none(tables::exceptions(frame, &content.exceptions))]),
            section("pictures", "Pictures", pictures::parts(frame)),
        ],
    }
}

fn or_none(table: Table) -> Block {
    if table.rows.is_empty() { Block::Text("None.".into()) } else { Block::Table(table) }
}

fn open(frame: &Frame<'_>, findings: &[Finding]) -> Block {
    let rows = findings.iter().rev().map(|finding| {
        let (what, usual) = finding.told();
        vec![
            frame.time(finding.at.time).into(),
            finding.whose().into(),
            what.into(),
            usual.into(),
            frame.record(finding.at.seq),
        ]
    });
    or_none(Table {
        caption: String::new(),
        heads: heads([("when", false), ("who", false), ("what", false), ("usual for it", false), ("record", true)]),
        rows: rows.collect(),
    })
}

fn campaigns(frame: &Frame<'_>, campaigns: &[Campaign]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for campaign in campaigns.iter().rev() {
        let state = match &campaign.closed {
            Some((at, by, said)) => format!("closed {} by {by}, record {}. {said}", frame.time(at.time), at.seq),
            None => "open".to_owned(),
        };
        blocks.push(Block::Heading(campaign.campaign.clone().into()));
        let begun = frame.time(campaign.at.time);
        blocks.push(Block::Text(
            format!("Begun {begun} by {} over {}, record {}; {state}", campaign.by, campaign.has, campaign.at.seq)
                .into(),
        ));
        let rows = campaign.lines.iter().map(|line| {
            vec![
                Words::code(&line.role).into(),
                Words::code(&line.purpose).into(),
                line.has.clone().into(),
                (if line.certified { "certified" } else { "revoked" }).into(),
                line.comment.clone().into(),
                line.by.clone().into(),
                Cell::Record(line.at.seq),
            ]
        });
        blocks.push(or_none(Table {
            caption: String::new(),
            heads: heads([
                ("role", false),
                ("purpose", false),
                ("has", false),
                ("judged", false),
                ("why", false),
                ("by", false),
                ("record", true),
            ]),
            rows: rows.collect(),
        }));
    }
    if blocks.is_empty() {
        blocks.push(Block::Text("None.".into()));
    }
    blocks
}

fn changed(frame: &Frame<'_>, changes: &[(Stretch, Option<Changed>)]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (stretch, changed) in changes {
        blocks
            .push(Block::Heading(Words::from(format!("From {} ", frame.time(stretch.at.time))).name(&stretch.policy)));
        let starts = count(stretch.starts, "start");
        blocks.push(Block::Text(format!("{}, {starts}, record {}", stretch.mode, stretch.at.seq).into()));
        match changed {
            None => {}
            Some(Err(why)) => blocks.push(Block::Text(format!("What it changed cannot be told: {why}").into())),
            Some(Ok(all)) if all.is_empty() => blocks.push(Block::Text("It opens and closes nothing.".into())),
            Some(Ok(all)) => {
                let line = |one: &crate::policy::Difference| {
                    Words::from(if one.opens { "opens: " } else { "closes: " }).and(Words::said(&one.text))
                };
                blocks.push(Block::List(all.iter().map(line).collect()));
            }
        }
    }
    if blocks.is_empty() {
        blocks.push(Block::Text("None.".into()));
    }
    blocks
}

fn who_has(frame: &Frame<'_>, policies: &PolicySet) -> Block {
    let grants = policies.grants();
    let all = lines(&grants);
    let desk = frame.console.following.desk();
    let rows = all.iter().map(|((role, purpose), has)| {
        let used = desk.used_for(role, purpose);
        vec![
            Words::code(*role).into(),
            Words::some(&logins(policies, role)).into(),
            Words::code(*purpose).into(),
            told(has).into(),
            Cell::Number(used.map_or(0, |used| used.statements)),
            used.map_or_else(|| "never".to_owned(), |used| frame.time(used.last.time)).into(),
        ]
    });
    or_none(Table {
        caption: String::new(),
        heads: heads([
            ("role", false),
            ("logins", false),
            ("purpose", false),
            ("has", false),
            ("statements", true),
            ("used last", false),
        ]),
        rows: rows.collect(),
    })
}
