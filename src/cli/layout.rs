//! A statement over several lines, for people: what runs stands in one.

/// Words before which a line begins, longest first; a word may be part of a longer one.
const CLAUSES: [&str; 24] = [
    "LEFT OUTER JOIN",
    "RIGHT OUTER JOIN",
    "FULL OUTER JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
    "INNER JOIN",
    "CROSS JOIN",
    "GROUP BY",
    "ORDER BY",
    "UNION ALL",
    "FROM",
    "WHERE",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "RETURNING",
    "UNION",
    "VALUES",
    "JOIN",
    "SET",
    "AND",
    "WHEN",
    "ELSE",
];

/// Longest part that stays on one line.
const WIDTH: usize = 100;

/// The statement with line breaks before its clauses and indented within its parentheses; no letter of it is changed but the spaces
/// between words. What is short stays as it is.
pub(super) fn laid_out(sql: &str) -> String {
    if sql.chars().count() <= WIDTH {
        return sql.to_owned();
    }
    let mut out = String::with_capacity(sql.len() + sql.len() / 8);
    // Whether each open parenthesis holds something long, and so is laid out.
    let mut open: Vec<bool> = Vec::new();
    let mut rest = sql;
    while let Some(letter) = rest.chars().next() {
        if let Some(quoted) = quoted(rest) {
            out.push_str(quoted);
            rest = rest.get(quoted.len()..).unwrap_or_default();
            continue;
        }
        let within = open.last().copied().unwrap_or(true);
        if within && let Some(clause) = clause(rest, &out) {
            break_line(&mut out, depth(&open));
            out.push_str(clause);
            rest = rest.get(clause.len()..).unwrap_or_default();
            continue;
        }
        match letter {
            '(' => {
                let long = within && inside(rest).chars().count() > WIDTH;
                out.push('(');
                open.push(long);
                if long {
                    break_line(&mut out, depth(&open));
                    rest = rest.get(1..).unwrap_or_default().trim_start();
                    continue;
                }
            }
            ')' => {
                if open.pop() == Some(true) {
                    break_line(&mut out, depth(&open));
                }
                out.push(')');
            }
            ',' if within && line_length(&out) > WIDTH / 2 => {
                out.push(',');
                break_line(&mut out, depth(&open) + 1);
                rest = rest.get(1..).unwrap_or_default().trim_start();
                continue;
            }
            letter => out.push(letter),
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    out
}

/// How far a line is indented.
fn depth(open: &[bool]) -> usize {
    open.iter().filter(|long| **long).count()
}

fn line_length(out: &str) -> usize {
    out.rsplit('\n').next().map_or(0, |line| line.chars().count())
}

fn break_line(out: &mut String, depth: usize) {
    out.truncate(out.trim_end_matches(' ').len());
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

/// A constant or a quoted name at the beginning, to its end.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return text.get(..=at);
        }
    }
    Some(text)
}

/// What stands in the parentheses that open here.
fn inside(text: &str) -> &str {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if let Some(quoted) = text.get(at..).and_then(quoted) {
            at += quoted.len();
            continue;
        }
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return text.get(1..at).unwrap_or_default(),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += letter.len_utf8();
    }
    text
}

/// A clause that begins here, at the beginning of a word.
fn clause(text: &str, before: &str) -> Option<&'static str> {
    let word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$');
    if before.chars().next_back().is_some_and(word) {
        return None;
    }
    CLAUSES.into_iter().find(|clause| {
        text.get(..clause.len()).is_some_and(|start| start == *clause)
            && !text.get(clause.len()..).and_then(|rest| rest.chars().next()).is_some_and(word)
    })
}

#[cfg(test)]
mod tests {
    use super::laid_out;

    #[test]
    fn a_long_statement_is_laid_out_and_no_word_of_it_is_changed() {
        let sql = "SELECT \"c\".\"full_name\" AS \"full_name\", 'x (FROM ''y'' WHERE' AS t FROM (SELECT r.\"id\" AS \"id\", \
                   pg_catalog.left(r.\"name\", 1) AS \"name\" FROM \"public\".\"customers\" AS r WHERE r.\"id\" > 3 AND EXISTS \
                   (SELECT 1 FROM \"privacy\".\"consents\" AS w WHERE w.\"subject_id\" = r.\"id\" AND w.\"purpose\" = 'marketing')) AS \"c\" \
                   LEFT JOIN \"public\".\"from\" AS f ON f.\"a FROM\" = c.id ORDER BY 1";
        let laid = laid_out(sql);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&laid).replace("( ", "(").replace(" )", ")"), words(sql));
        assert!(laid.lines().all(|line| line.chars().count() < 130), "{laid}");
        assert!(laid.contains("\nFROM (\n  SELECT r.") && laid.contains("\nLEFT JOIN"), "{laid}");
        assert!(laid.contains("'x (FROM ''y'' WHERE'") && laid.contains("\"a FROM\""), "{laid}");
        assert_eq!(laid_out("SELECT 1 FROM t"), "SELECT 1 FROM t");
    }
}
