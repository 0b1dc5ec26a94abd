//! What README.md and docs/costs.md say of a run: written between two marks, so that nobody copies a figure by hand.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::load::Sample;
use super::places::Way;

/// Between these a page is written anew.
const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";

/// One way's figures in a part: its two keys, and what was measured.
type Figures = (&'static str, &'static str, Sample);

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Measured {
    /// What was run, where and how.
    pub(crate) about: String,
    /// By the part's name.
    loads: Vec<(String, Vec<Figures>)>,
    /// MB at rest, and kB more for each idle session, by the way's key.
    pub(crate) memory: Vec<(&'static str, f64, f64)>,
    /// All tables, as they were printed.
    tables: String,
}

/// A goal of one figure over another, or of the figure itself.
struct Goal {
    what: &'static str,
    part: &'static str,
    way: &'static str,
    /// In this the figure is counted; of another way's.
    base: &'static str,
    figure: fn(&Sample) -> f64,
    at_most: Option<f64>,
    at_least: Option<f64>,
}

const fn most(what: &'static str, part: &'static str, way: &'static str, base: &'static str, limit: f64) -> Goal {
    Goal { what, part, way, base, figure: |sample| sample.cpu, at_most: Some(limit), at_least: None }
}

const fn least(what: &'static str, part: &'static str, way: &'static str, base: &'static str, limit: f64) -> Goal {
    Goal { what, part, way, base, figure: |sample| sample.rate, at_most: None, at_least: Some(limit) }
}

const GOALS: [Goal; 12] = [
    most("prepared, 8 clients, masked: CPU, of the relay's", "prepared/8", "masked", "relay", 1.3),
    most("prepared, 32 clients, masked: CPU, of the relay's", "prepared/32", "masked", "relay", 1.3),
    least("prepared, 8 clients, masked: rate, of PgBouncer's", "prepared/8", "masked", "pgbouncer", 0.95),
    least("prepared, 32 clients, masked: rate, of PgBouncer's", "prepared/32", "masked", "pgbouncer", 0.95),
    most("values in the text, 8 clients, masked: CPU, of the relay's", "simple/8", "masked", "relay", 1.6),
    least("values in the text, 8 clients, masked: rate, of PgBouncer's", "simple/8", "masked", "pgbouncer", 0.9),
    most("every statement new, pgbench's SELECT: CPU, µs", "new/short", "masked", "", 120.0),
    most("every statement new, ten-table join of 2 kB: CPU, µs", "new/join", "masked", "", 600.0),
    least("`always`, 32 clients: rate, of `written`", "prepared/32", "always", "masked", 0.5),
    most("log-in, `passthrough`: CPU, µs", "login", "passthrough", "", 400.0),
    least("log-in, `passthrough`: rate, of direct's", "login", "passthrough", "direct", 1.0),
    least("log-in, `relay`: rate, of the bare relay's", "login", "plain", "relay", 1.0),
];

impl Measured {
    /// Nothing yet.
    pub(crate) fn about(about: String) -> Self {
        Self { about, ..Self::default() }
    }

    /// Prints a piece, and keeps it.
    pub(crate) fn say(&mut self, text: &str) {
        print!("{text}");
        self.tables.push_str(text);
    }

    pub(crate) fn add(&mut self, part: &str, results: &[(Way, Sample)]) {
        let kept = results.iter().map(|(way, sample)| (way.key, way.name, *sample)).collect();
        self.loads.push((part.to_owned(), kept));
    }

    fn of(&self, part: &str, way: &str) -> Option<Sample> {
        let (_, results) = self.loads.iter().find(|(held, _)| held == part)?;
        results.iter().find(|(key, ..)| *key == way).map(|(_, _, sample)| *sample)
    }

    /// A row for each way: CPU and rate by three loads, and what one client waits longer than without it.
    fn ways(&self) -> String {
        const PARTS: [&str; 3] = ["prepared/8", "prepared/32", "simple/8"];
        let mut out = "| way | prepared, 8 clients | prepared, 32 clients | values in the text, 8 clients | p50 more at 1 client |\n\
                       | --- | ---: | ---: | ---: | ---: |\n"
            .to_owned();
        let Some((_, results)) = self.loads.iter().find(|(part, _)| part == PARTS[0]) else { return String::new() };
        for (key, name, _) in results {
            write!(out, "| {name} |").unwrap();
            for part in PARTS {
                match self.of(part, key) {
                    Some(Sample { cpu, rate, .. }) if cpu > 0.0 => write!(out, " {cpu:.0} µs, {} |", grouped(rate)),
                    Some(Sample { rate, .. }) => write!(out, " {} |", grouped(rate)),
                    None => write!(out, " |"),
                }
                .unwrap();
            }
            match (self.of("prepared/1", key), self.of("prepared/1", "direct")) {
                (Some(_), Some(_)) if *key == "direct" => out.push_str(" |\n"),
                (Some(own), Some(direct)) => writeln!(out, " {:.0} µs |", own.p50 - direct.p50).unwrap(),
                _ => out.push_str(" |\n"),
            }
        }
        out
    }

    /// A row for each goal, met or not.
    fn goals(&self) -> String {
        let mut out = "| | goal | measured | |\n| --- | ---: | ---: | --- |\n".to_owned();
        let mut row = |what: &str, measured: f64, at_most: Option<f64>, at_least: Option<f64>| {
            let digits = if measured >= 20.0 { 0 } else { 2 };
            let (sign, limit, met) = match (at_most, at_least) {
                (Some(limit), _) => ("≤", limit, measured <= limit),
                (None, limit) => ("≥", limit.unwrap(), measured >= limit.unwrap()),
            };
            let met = if met { "met" } else { "missed" };
            writeln!(out, "| {what} | {sign} {limit} | {measured:.digits$} | {met} |").unwrap();
        };
        for goal in &GOALS {
            let Some(own) = self.of(goal.part, goal.way) else { continue };
            let base =
                if goal.base.is_empty() { Some(1.0) } else { self.of(goal.part, goal.base).map(|s| (goal.figure)(&s)) };
            if let Some(base) = base {
                row(goal.what, (goal.figure)(&own) / base, goal.at_most, goal.at_least);
            }
        }
        if let (Some(own), Some(relay)) = (self.of("prepared/1", "masked"), self.of("prepared/1", "relay")) {
            row("prepared, 1 client, masked: p50 more than by the relay, µs", own.p50 - relay.p50, Some(10.0), None);
        }
        if let Some((_, rest, each)) = self.memory.iter().find(|(key, ..)| *key == "plain") {
            row("memory at rest, MB", *rest, Some(25.0), None);
            row("memory of an idle session, kB", *each, Some(4.0), None);
        }
        out
    }

    /// Writes the figures into README.md, the plot and all tables beside it under docs/.
    pub(crate) fn write(&self, readme: &Path, plot: &str) {
        let docs = readme.parent().unwrap_or(Path::new("")).join("docs");
        fs::write(docs.join("costs.svg"), plot).unwrap();
        let short = format!(
            "{}\n\n{}\n![CPU a query and queries a second by each way](docs/costs.svg)\n",
            self.about,
            self.ways()
        );
        between(readme, &short);
        between(&docs.join("costs.md"), &format!("{}\n\n{}\n{}", self.about, self.goals(), self.tables));
        println!("\nREADME.md, docs/costs.md and docs/costs.svg are written.");
    }

    /// The goals, on standard output.
    pub(crate) fn tell(&self) {
        println!("\n### Goals\n\n{}", self.goals());
    }
}

/// `12,345`.
fn grouped(rate: f64) -> String {
    let rate = rate.round();
    if rate < 1000.0 { format!("{rate:.0}") } else { format!("{:.0},{:03.0}", (rate / 1000.0).floor(), rate % 1000.0) }
}

/// Puts the text between the marks of a page.
fn between(page: &Path, text: &str) {
    let held = fs::read_to_string(page).unwrap();
    let (before, rest) = held.split_once(BEGIN).unwrap_or_else(|| panic!("{} has no {BEGIN}", page.display()));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{} has no {END}", page.display()));
    fs::write(page, format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end())).unwrap();
}
