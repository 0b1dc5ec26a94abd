//! The report as one page: no script, nothing loaded from elsewhere, for light and dark screens and for paper.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Block, Cell, Chart, Heat, Page, Table, Word, Words, chart, markup, number, printable};

pub(crate) const STYLE: &str = include_str!("page.css");

/// The beginning of a page that stands by itself, up to its body.
pub(crate) fn head(language: &str, title: &str) -> String {
    let style = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    // Whatever came through: without leave for anything but this style, a browser loads and runs nothing.
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'\" />\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"referrer\" content=\"no-referrer\" />\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        STANDARD.encode(style),
        escape(title)
    )
}

pub(crate) fn render(page: &Page) -> String {
    let language = if page.language.is_empty() { "en" } else { page.language };
    let mut out = head(language, &page.title);
    let _ = writeln!(out, "<h1>{}</h1>", escape(&page.title));
    if page.sections.len() > 1 {
        out.push_str("<nav aria-label=\"Sections\"><ul>");
        for section in &page.sections {
            let _ = write!(out, "<li><a href=\"#{}\">{}</a></li>", section.id, escape(&section.title));
        }
        out.push_str("</ul></nav>\n");
    }
    let mut charts = 0;
    for section in &page.sections {
        let _ = writeln!(out, "<section id=\"{}\">\n<h2>{}</h2>", section.id, escape(&section.title));
        blocks(&mut out, &section.blocks, &mut charts);
        out.push_str("</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Blocks, one after the other; `charts`: how many there are on the page before them.
pub(crate) fn blocks(out: &mut String, blocks: &[Block], charts: &mut usize) {
    for block in blocks {
        match block {
            Block::Text(text) => element(out, "p", &words(text)),
            Block::Warning(text) => {
                let _ = writeln!(out, "<p class=\"warning\"><strong>Look at this:</strong> {}</p>", words(text));
            }
            Block::Heading(text) => element(out, "h3", &words(text)),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>", words(item))).collect();
                element(out, "ul", &items);
            }
            Block::Table(table) => self::table(out, table),
            Block::Folded(title, table) => {
                let _ = writeln!(out, "<details class=\"folded\"><summary>{}</summary>", words(title));
                self::table(out, table);
                out.push_str("</details>\n");
            }
            Block::Chart(chart) => {
                *charts += 1;
                figure(out, chart, *charts);
            }
            Block::Heat(heat) => {
                *charts += 1;
                self::heat(out, heat, *charts);
            }
        }
    }
}

fn element(out: &mut String, name: &str, inner: &str) {
    let _ = writeln!(out, "<{name}>{inner}</{name}>");
}

/// On a narrow screen each row is a card, and each cell says what it is: the roles keep it a table for who hears it.
fn table(out: &mut String, table: &Table) {
    out.push_str("<div class=\"wide\"><table class=\"stacks\" role=\"table\">\n");
    if !table.caption.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", escape(&table.caption));
    }
    out.push_str("<thead role=\"rowgroup\"><tr role=\"row\">");
    for (head, numbers) in &table.heads {
        let tag = if head.is_empty() { "td role=\"cell\"" } else { "th scope=\"col\" role=\"columnheader\"" };
        let _ = write!(out, "<{tag}{}>{}</{}>", class(*numbers), escape(head), tag.get(..2).unwrap_or("td"));
    }
    out.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for row in &table.rows {
        out.push_str("<tr role=\"row\">");
        let heads = table.heads.iter().map(|(head, _)| head.as_ref()).chain(std::iter::repeat(""));
        for (cell, head) in row.iter().zip(heads) {
            let label = if head.is_empty() { String::new() } else { format!(" data-label=\"{}\"", escape(head)) };
            let _ = match cell {
                Cell::Words(text) => write!(out, "<td role=\"cell\"{label}>{}</td>", words(text)),
                Cell::Number(value) => write!(out, "<td role=\"cell\" class=\"number\"{label}>{}</td>", number(*value)),
                Cell::Record(seq) => write!(out, "<td role=\"cell\" class=\"number\"{label}>{seq}</td>"),
                Cell::Bar(part, whole) => {
                    write!(out, "<td role=\"cell\" class=\"bar\"{label}>{}</td>", chart::bar(*part, *whole))
                }
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn class(numbers: bool) -> &'static str {
    if numbers { " class=\"number\"" } else { "" }
}

/// Shades for numbers of two kinds, and the numbers.
fn heat(out: &mut String, heat: &Heat, number: usize) {
    let _ = write!(out, "<figure>\n<figcaption>{}</figcaption>\n", escape(&heat.title));
    chart::heat(out, heat, number);
    out.push_str(
        "<details><summary>The numbers</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"",
    );
    let _ = write!(out, "{}\"><table>\n<thead><tr><td></td>", escape(&heat.title));
    for column in &heat.columns {
        let _ = write!(out, "<th scope=\"col\" class=\"number\">{}</th>", escape(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (row, values) in &heat.rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(row));
        for value in values {
            let _ = write!(out, "<td class=\"number\">{}</td>", super::number(*value));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n</details>\n</figure>\n");
}

/// The chart, its legend, and its numbers for who would rather read them.
fn figure(out: &mut String, chart: &Chart, number: usize) {
    let _ = write!(out, "<figure>\n<figcaption>{}</figcaption>\n", escape(&chart.title));
    chart::draw(out, chart, number);
    out.push_str("<ul class=\"legend\">");
    for (at, (name, _)) in chart.series.iter().enumerate() {
        let _ = write!(out, "<li class=\"{}\">{}</li>", chart::class(at), escape(name));
    }
    out.push_str("</ul>\n");
    let _ = write!(
        out,
        "<details><summary>The numbers</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n\
         <thead><tr><th scope=\"col\">{}</th>",
        escape(&chart.title),
        escape(chart.step)
    );
    for (name, _) in &chart.series {
        let _ = write!(out, "<th scope=\"col\" class=\"number\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (at, step) in chart.steps.iter().enumerate() {
        let values = || chart.series.iter().map(|(_, values)| values.get(at).copied().unwrap_or_default());
        if values().all(|value| value == 0) {
            continue;
        }
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(step));
        for value in values() {
            let _ = write!(out, "<td class=\"number\">{}</td>", super::number(value));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n</details>\n</figure>\n");
}

/// Words as HTML.
pub(crate) fn words(words: &Words) -> String {
    words
        .0
        .iter()
        .map(|word| match word {
            Word::Plain(text) => escape(text),
            Word::Gap(text) => format!("<mark>[{}]</mark>", escape(text)),
            Word::Code(text) if text.is_empty() => "(empty)".to_owned(),
            // A statement is broken anywhere rather than that its table is wider than the page; a name at its dots.
            Word::Code(text) if text.chars().count() > 40 => format!("<code class=\"long\">{}</code>", escape(text)),
            Word::Code(text) => format!("<code>{}</code>", escape(text).replace('.', ".<wbr />")),
        })
        .collect()
}

/// Text that means itself, in an element or between double quotes.
pub(crate) fn escape(text: &str) -> String {
    markup(&printable(text))
}
