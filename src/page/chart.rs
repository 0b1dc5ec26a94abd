//! Charts as SVG: bars, one on top of the other. Drawn by hand, so that the page needs nothing but itself.

use std::fmt::Write;

use super::html::escape;
use super::{Chart, Heat, number};

/// Told apart by those who see few colours, on white and on black (Okabe and Ito); the last is for the others. `page.css` has
/// them for the legend.
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999"];

/// One drawing for wide screens and paper, one for narrow ones, where letters would be too small otherwise: the stylesheet shows one.
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    left: f64,
    /// So many steps are named below the axis.
    named: usize,
}

const SIZES: [Size; 2] = [
    Size { class: "on-wide", width: 900.0, height: 240.0, left: 84.0, named: 8 },
    Size { class: "on-narrow", width: 340.0, height: 200.0, left: 56.0, named: 3 },
];
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// A label's width, about.
const LABEL: f64 = 90.0;

/// The class of a series in the legend.
pub(crate) fn class(at: usize) -> String {
    format!("s{}", at.min(COLOURS.len() - 1))
}

fn colour(at: usize) -> &'static str {
    COLOURS.get(at).or(COLOURS.last()).copied().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)] // a pixel does not show it
fn float(number: u64) -> f64 {
    number as f64
}

/// A round number that is no less: 1, 2 or 5 with zeros.
fn rounded_up(number: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let candidate = step.saturating_mul(factor);
            if candidate >= number || candidate == u64::MAX {
                return candidate;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// The chart of this number in the page.
pub(crate) fn draw(out: &mut String, chart: &Chart, id: usize) {
    for size in &SIZES {
        draw_in(out, chart, id, size);
    }
}

/// Its beginning, with what it says to who cannot see it.
fn begin(out: &mut String, (class, width, height): (&str, f64, f64), id: usize, title: &str, description: &str) {
    let id = format!("chart{id}-{class}");
    let _ = write!(
        out,
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
        escape(title),
        escape(description)
    );
}

fn draw_in(out: &mut String, chart: &Chart, id: usize, size: &Size) {
    let Size { class, width, height: whole, left: margin, named } = *size;
    let count = chart.steps.len().max(1);
    let total = |at: usize| chart.series.iter().filter_map(|(_, values)| values.get(at)).sum::<u64>();
    let most = rounded_up((0..count).map(total).max().unwrap_or_default().max(1));
    let (plot_width, plot_height) = (width - margin, whole - TOP - BOTTOM);
    let base = TOP + plot_height;
    begin(out, (class, width, whole), id, &chart.title, &chart.description);
    let ticks = if most == 1 { vec![0, 1] } else { vec![0, most / 2, most] };
    for tick in ticks {
        let y = base - plot_height * float(tick) / float(most);
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{margin}\" y1=\"{y:.1}\" x2=\"{width}\" y2=\"{y:.1}\" />\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{}</text>",
            margin - 6.0,
            y + 4.0,
            number(tick)
        );
    }
    let slot = plot_width / float(count as u64);
    let bar = (slot * 0.8).min(48.0);
    let every = count.div_ceil(named);
    for (at, step) in chart.steps.iter().enumerate() {
        let left = margin + slot * float(at as u64) + (slot - bar) / 2.0;
        let mut below = 0;
        for (number_of_series, (name, values)) in chart.series.iter().enumerate() {
            let value = values.get(at).copied().unwrap_or_default();
            if value == 0 {
                continue;
            }
            let height = plot_height * float(value) / float(most);
            let y = base - plot_height * float(below) / float(most) - height;
            below += value;
            let _ = writeln!(
                out,
                "<rect fill=\"{}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\">\
                 <title>{}: {} {}</title></rect>",
                colour(number_of_series),
                escape(step),
                escape(name),
                number(value)
            );
        }
        if at.is_multiple_of(every) {
            // No label is cut off at the edge, or stands upon the one before it.
            let middle = left + bar / 2.0;
            let shift = (middle + LABEL / 2.0 - width).max(0.0);
            if at == 0 || slot * float(every as u64) - shift > LABEL {
                let (x, y) = (middle - shift, whole - 8.0);
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" text-anchor=\"middle\">{}</text>",
                    escape(step)
                );
            }
        }
    }
    out.push_str("</svg>\n");
}

/// Shades: on wide screens the columns run along, on narrow ones down.
pub(crate) fn heat(out: &mut String, heat: &Heat, id: usize) {
    let most = heat.rows.iter().flat_map(|(_, values)| values).copied().max().unwrap_or_default().max(1);
    for (class, along) in [("on-wide", true), ("on-narrow", false)] {
        let (cell, row, left, top) = if along { (33.0, 24.0, 90.0, 20.0) } else { (38.0, 15.0, 56.0, 20.0) };
        let (columns, rows) = (heat.columns.len(), heat.rows.len());
        let (across, down) = if along { (columns, rows) } else { (rows, columns) };
        let width = left + cell * float(across as u64) + 8.0;
        let height = top + row * float(down as u64) + 2.0;
        begin(out, (class, width, height), id, &heat.title, &heat.description);
        for (at, (name, values)) in heat.rows.iter().enumerate() {
            let (at, short) = (float(at as u64), name.chars().take(3).collect::<String>());
            let (x, y, anchor, label) = match along {
                true => (left - 6.0, top + row * (at + 0.7), "end", name.as_str()),
                false => (left + cell * (at + 0.5), top - 6.0, "middle", short.as_str()),
            };
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" text-anchor=\"{anchor}\">{}</text>",
                escape(label)
            );
            for (step, value) in values.iter().enumerate() {
                let (step_at, column) = (float(step as u64), heat.columns.get(step).map_or("", String::as_str));
                let (x, y) = match along {
                    true => (left + cell * step_at, top + row * at),
                    false => (left + cell * at, top + row * step_at),
                };
                // The square root keeps what is little to be seen beside what is much.
                let shade = if *value == 0 { 0.06 } else { 0.15 + 0.85 * (float(*value) / float(most)).sqrt() };
                let _ = writeln!(
                    out,
                    "<rect class=\"heat\" fill-opacity=\"{shade:.2}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
                     <title>{} {}: {}</title></rect>",
                    cell - 2.0,
                    row - 2.0,
                    escape(name),
                    escape(column),
                    number(*value)
                );
            }
        }
        for (step, column) in heat.columns.iter().enumerate().filter(|(step, _)| step.is_multiple_of(3)) {
            let step = float(step as u64);
            let (x, y, anchor) = match along {
                true => (left + cell * (step + 0.5), top - 6.0, "middle"),
                false => (left - 6.0, top + row * (step + 0.8), "end"),
            };
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" text-anchor=\"{anchor}\">{}</text>",
                escape(column)
            );
        }
        out.push_str("</svg>\n");
    }
}

/// A bar for a cell of a table.
pub(crate) fn bar(part: u64, whole: u64) -> String {
    let width = 100.0 * float(part) / float(whole.max(1));
    format!(
        "<svg viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect fill=\"{}\" x=\"0\" y=\"2\" width=\"{width:.1}\" height=\"8\" /></svg>",
        colour(0)
    )
}

#[cfg(test)]
mod tests {
    use super::rounded_up;

    #[test]
    fn an_axis_ends_with_a_round_number() {
        let pairs =
            [(1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (50, 50), (51, 100), (1234, 2000), (u64::MAX, u64::MAX)];
        for (number, round) in pairs {
            assert_eq!(rounded_up(number), round, "{number}");
        }
    }
}
