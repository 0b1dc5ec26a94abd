//! `scan --review`: somebody decides about what the scan is unsure of.

use std::io::BufRead;
use std::path::Path;

use jiff::ZonedDateTime;

use super::super::output::{Output, Style, printable};
use crate::scan::{Judged, Kept, KeptVerdict, Kind, Level, Outcome, Verdict, seen};

/// Asks on the terminal, and keeps each answer as soon as it is given.
///
/// # Errors
/// The answers cannot be read or kept.
pub(super) fn ask(
    judged: &[Judged],
    kept: &mut Kept,
    who: &str,
    file: &Path,
    output: &mut Output,
) -> Result<(), String> {
    let open: Vec<(String, &str, &Verdict)> = judged
        .iter()
        .flat_map(|table| {
            let name = table.name();
            table
                .columns()
                .map(move |(column, verdict)| (format!("{name}.{}", column.name), column.type_sql.as_str(), verdict))
                .collect::<Vec<_>>()
        })
        .filter(|(column, _, verdict)| {
            verdict.level() == Level::Unsure && proposed(verdict).is_some() && kept.of(column).is_none()
        })
        .collect();
    if open.is_empty() {
        output.line("nothing is unsure that nobody has decided about");
        return Ok(());
    }
    output.line(format_args!("{} columns. y: yes; n: nothing personal; a category; s: skip; q: stop. A reason may follow: `n a courier's number`", open.len()));
    let mut answers = std::io::stdin().lock().lines();
    let of = open.len();
    for (at, (column, type_sql, verdict)) in open.into_iter().enumerate() {
        let Some(kind) = proposed(verdict) else { continue };
        let shown = output.styled(Style::Heading, printable(&column));
        output.line(format_args!(
            "{}/{of} {shown} ({type_sql}): {}? {}",
            at + 1,
            kind.category(),
            printable(&verdict.evidence)
        ));
        let answer = loop {
            let Some(line) = answers.next() else { return Ok(()) };
            let line = line.map_err(|error| format!("the answer cannot be read: {error}"))?;
            match read_answer(&line, kind) {
                Ok(answer) => break answer,
                Err(error) => output.line(error),
            }
        };
        let (outcome, category, why) = match answer {
            Answer::Stop => return Ok(()),
            Answer::Skip => continue,
            Answer::Is(category, why) => (Outcome::Confirmed, Some(category), why),
            Answer::Nothing(why) => (Outcome::Dismissed, None, why),
        };
        let when = ZonedDateTime::now().date().to_string();
        kept.verdicts.push(KeptVerdict {
            column,
            verdict: outcome,
            category,
            by: who.to_owned(),
            when,
            why,
            seen: seen(verdict),
        });
        kept.save(file).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn proposed(verdict: &Verdict) -> Option<Kind> {
    verdict.kind.or(verdict.suggested)
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Is(String, String),
    Nothing(String),
    Skip,
    Stop,
}

fn read_answer(line: &str, proposed: Kind) -> Result<Answer, String> {
    let (word, why) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let why = why.trim().to_owned();
    match word.to_lowercase().as_str() {
        "y" | "yes" | "ja" | "j" => Ok(Answer::Is(proposed.category().to_owned(), why)),
        "n" | "no" | "nee" => Ok(Answer::Nothing(why)),
        "" | "s" | "skip" => Ok(Answer::Skip),
        "q" | "quit" => Ok(Answer::Stop),
        category if Kind::categories().contains(&category) => Ok(Answer::Is(category.to_owned(), why)),
        other => Err(format!(
            "`{}` is neither y, n, s, q nor a category: {}",
            printable(other),
            Kind::categories().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_may_carry_its_reason() {
        let read = |line: &str| read_answer(line, Kind::Phone);
        assert_eq!(read("y").unwrap(), Answer::Is("contact".to_owned(), String::new()));
        assert_eq!(read("n  a courier's number ").unwrap(), Answer::Nothing("a courier's number".to_owned()));
        assert_eq!(
            read("Health seen in the form").unwrap(),
            Answer::Is("health".to_owned(), "seen in the form".to_owned())
        );
        assert_eq!(read("").unwrap(), Answer::Skip);
        assert!(read("perhaps").unwrap_err().contains("`perhaps`"));
    }
}
