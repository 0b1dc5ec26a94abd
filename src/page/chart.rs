//! Charts as SVG: bars, one on top of the other. Drawn by hand, so that the page needs nothing but itself.

use std::fmt::Write;

use super::html::escape;
use super::{Chart, number};

/// Told apart by those who see few colours, on white and on black (Okabe and Ito); the last is for the others. `page.css` has
/// them for the legend.
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999"];

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 84.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// So many steps are named below the axis.
const NAMED: usize = 8;
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
    let count = chart.steps.len().max(1);
    let total = |at: usize| chart.series.iter().filter_map(|(_, values)| values.get(at)).sum::<u64>();
    let most = rounded_up((0..count).map(total).max().unwrap_or_default().max(1));
    let (plot_width, plot_height) = (WIDTH - LEFT, HEIGHT - TOP - BOTTOM);
    let base = TOP + plot_height;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"chart{id}-title chart{id}-desc\">\n\
         <title id=\"chart{id}-title\">{}</title>\n<desc id=\"chart{id}-desc\">{}</desc>\n",
        escape(&chart.title),
        escape(&chart.description)
    );
    let ticks = if most == 1 { vec![0, 1] } else { vec![0, most / 2, most] };
    for tick in ticks {
        let y = base - plot_height * float(tick) / float(most);
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" />\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(tick)
        );
    }
    let slot = plot_width / float(count as u64);
    let bar = (slot * 0.8).min(48.0);
    let every = count.div_ceil(NAMED);
    for (at, step) in chart.steps.iter().enumerate() {
        let left = LEFT + slot * float(at as u64) + (slot - bar) / 2.0;
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
            let shift = (middle + LABEL / 2.0 - WIDTH).max(0.0);
            if at == 0 || slot * float(every as u64) - shift > LABEL {
                let (x, y) = (middle - shift, HEIGHT - 8.0);
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
