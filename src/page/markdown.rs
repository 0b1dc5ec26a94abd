//! The report as Markdown (GitHub's, for its tables). Readable on a terminal too: nothing in it is a command to one.

use std::fmt::Write;

use super::{Block, Cell, Chart, Heat, Page, Table, Word, Words, number, printable};

/// Characters of the longest bar.
const BAR: u64 = 20;

pub(crate) fn render(page: &Page) -> String {
    let mut out = format!("# {}\n", plain(&page.title));
    for section in &page.sections {
        let _ = write!(out, "\n## {}\n", plain(&section.title));
        for block in &section.blocks {
            out.push('\n');
            match block {
                Block::Text(text) => line(&mut out, &words(text)),
                Block::Warning(text) => line(&mut out, &format!("> **Look at this:** {}", words(text))),
                Block::Heading(text) => line(&mut out, &format!("### {}", words(text))),
                Block::List(items) => items.iter().for_each(|item| line(&mut out, &format!("- {}", words(item)))),
                Block::Table(table) => self::table(&mut out, table),
                Block::Folded(title, table) => {
                    line(&mut out, &format!("### {}\n", words(title)));
                    self::table(&mut out, table);
                }
                Block::Chart(chart) => self::chart(&mut out, chart),
                Block::Heat(heat) => self::heat(&mut out, heat),
            }
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn table(out: &mut String, table: &Table) {
    let heads: Vec<String> = table.heads.iter().map(|(head, _)| plain(head)).collect();
    let rules: Vec<&str> = table.heads.iter().map(|(_, number)| if *number { "---:" } else { "---" }).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" | "));
    if !table.caption.is_empty() {
        let _ = write!(out, "{}:\n\n", plain(&table.caption));
    }
    let _ = write!(out, "| {} |\n| {} |\n", heads.join(" | "), rules.join(" | "));
    rows.for_each(|row| {
        let _ = writeln!(out, "| {row} |");
    });
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Words(text) => words(text),
        Cell::Number(value) => number(*value),
        Cell::Record(seq) => seq.to_string(),
        Cell::Bar(part, whole) => bar(*part, *whole),
    }
}

fn bar(part: u64, whole: u64) -> String {
    let length = (u128::from(part) * u128::from(BAR)).div_ceil(u128::from(whole.max(1)));
    "▇".repeat(usize::try_from(length).unwrap_or_default())
}

/// As a table, one row for each step in which there is anything.
fn chart(out: &mut String, chart: &Chart) {
    let total = |at: usize| chart.series.iter().filter_map(|(_, values)| values.get(at)).sum::<u64>();
    let most = (0..chart.steps.len()).map(total).max().unwrap_or_default();
    let mut heads = vec![plain(chart.step)];
    heads.extend(chart.series.iter().map(|(name, _)| code(name)));
    heads.extend(chart.sums.then(|| "in all".to_owned()));
    heads.push(String::new());
    let numbers = chart.series.len() + usize::from(chart.sums);
    let rules: Vec<&str> =
        std::iter::once("---").chain(std::iter::repeat_n("---:", numbers)).chain(std::iter::once("---")).collect();
    let _ = write!(out, "{}:\n\n| {} |\n| {} |\n", plain(&chart.title), heads.join(" | "), rules.join(" | "));
    for (at, step) in chart.steps.iter().enumerate() {
        let all = total(at);
        if all == 0 {
            continue;
        }
        let mut cells = vec![plain(step)];
        cells.extend(chart.series.iter().map(|(_, values)| number(values.get(at).copied().unwrap_or_default())));
        cells.extend(chart.sums.then(|| number(all)));
        cells.push(bar(all, most));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// As a table of its numbers.
fn heat(out: &mut String, heat: &Heat) {
    let heads: Vec<String> = heat.columns.iter().map(|column| plain(column)).collect();
    let rules = vec!["---:"; heat.columns.len()].join(" | ");
    let _ = write!(out, "{}:\n\n| | {} |\n| --- | {rules} |\n", plain(&heat.title), heads.join(" | "));
    for (row, values) in &heat.rows {
        let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
        let _ = writeln!(out, "| {} | {} |", plain(row), values.join(" | "));
    }
}

fn words(words: &Words) -> String {
    words
        .0
        .iter()
        .map(|word| match word {
            Word::Plain(text) => plain(text),
            Word::Code(text) => code(text),
            Word::Gap(text) => format!("**\\[{}\\]**", plain(text)),
        })
        .collect()
}

/// Text that means itself: no mark-up, no HTML, no link, no other cell and no other line.
fn plain(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let link = c == ':' && rest.as_str().starts_with("//") || c == '.' && out.to_ascii_lowercase().ends_with("www");
        if link || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '@' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span that ends where the text does.
fn code(text: &str) -> String {
    let text = printable(text).replace('|', "\\|");
    if text.trim().is_empty() {
        return plain("(empty)");
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.starts_with(' ') && text.ends_with(' ') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_log_stays_text() {
        assert_eq!(
            plain("a <script> | `b` *c* [d](http://e)\n"),
            "a \\<script\\> \\| \\`b\\` \\*c\\* \\[d\\](http\\://e)\\\\n"
        );
        assert_eq!(plain("\u{1b}[31m"), "\\\\u{1b}\\[31m");
        assert_eq!(plain("www.x.org a@b.org"), "www\\.x.org a\\@b.org");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(code("x\ny\u{1b}"), "`x\\ny\\u{1b}`");
        assert_eq!(code(""), "(empty)");
    }

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        assert_eq!((bar(0, 10), bar(5, 10).chars().count(), bar(10, 10).chars().count()), (String::new(), 10, 20));
        assert_eq!(bar(1, 1_000_000), "▇");
        assert_eq!(bar(0, 0), "");
    }
}
