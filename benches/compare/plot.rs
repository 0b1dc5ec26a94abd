//! The figures as bars, in SVG that reads on light and dark pages.

use std::fmt::Write;

/// One bar.
pub(crate) struct Bar {
    pub(crate) way: &'static str,
    /// Microseconds of CPU a query.
    pub(crate) cpu: f64,
    /// Queries a second.
    pub(crate) rate: f64,
}

const WIDTH: f64 = 900.0;
const NAMES: f64 = 330.0;
const BAR: f64 = 14.0;
const STEP: f64 = 19.0;
/// Of the longest bar of one of the two columns.
const LONGEST: f64 = 200.0;
const COLUMN: f64 = 285.0;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.h{font-weight:600}.o{fill:#8c959f}.p{fill:#0969da}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.o{fill:#6e7681}.p{fill:#4493f8}}";

/// A group of bars under each heading: CPU on the left, throughput on the right.
pub(crate) fn svg(groups: &[(String, Vec<Bar>)]) -> String {
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let height = 40.0 + STEP * rows as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"CPU a query and queries a second by each way to the database\">\n<style>{STYLE}</style>\n"
    );
    text(&mut out, NAMES, 18.0, "h", "CPU of the process between, µs a query");
    text(&mut out, NAMES + COLUMN, 18.0, "h", "queries a second");
    let mut y = 40.0;
    for (heading, bars) in groups {
        text(&mut out, 8.0, y, "h", heading);
        y += STEP;
        let most = |figure: fn(&Bar) -> f64| bars.iter().map(figure).fold(f64::MIN_POSITIVE, f64::max);
        let (cpu, rate) = (most(|bar| bar.cpu), most(|bar| bar.rate));
        for bar in bars {
            let class = if bar.way.starts_with("pgpurpose") { "p" } else { "o" };
            text(&mut out, 16.0, y, "", bar.way);
            draw(&mut out, class, NAMES, y, bar.cpu / cpu, &format!("{:.0}", bar.cpu));
            draw(&mut out, class, NAMES + COLUMN, y, bar.rate / rate, &format!("{:.0}", bar.rate));
            y += STEP;
        }
        y += STEP;
    }
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, x: f64, y: f64, class: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(out, "<text x=\"{x:.0}\" y=\"{y:.0}\" class=\"{class}\">{what}</text>").unwrap();
}

fn draw(out: &mut String, class: &str, x: f64, y: f64, part: f64, figure: &str) {
    let (width, top) = (LONGEST * part, y - 11.0);
    writeln!(out, "<rect x=\"{x:.0}\" y=\"{top:.0}\" width=\"{width:.1}\" height=\"{BAR}\" class=\"{class}\"/>")
        .unwrap();
    text(out, x + width + 5.0, y, "", figure);
}
