//! Where a name stands in a text, as PostgreSQL tells the position of an error: characters from 1.

use super::lex::{self, Kind, Token};

/// The place of the first token of `parts`, joined by dots, that stands for itself; where the last part is empty, of one that a dot
/// follows.
pub fn place_of(text: &str, parts: &[String]) -> Option<usize> {
    let tokens = lex::lex(text).ok()?;
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let named =
        |token: &Token, part: &String| matches!(&token.kind, Kind::Word(name) | Kind::Quoted(name) if name == part);
    let dot = |at: usize| tokens.get(at).is_some_and(|token| token.is_symbol("."));
    let (parts, qualifies) = match parts.split_last() {
        Some((last, table)) if last.is_empty() => (table, true),
        _ => (parts, false),
    };
    let width = (parts.len() * 2).checked_sub(1)?;
    let starts = |at: &usize| {
        let at = *at;
        let whole = parts.iter().enumerate().all(|(number, part)| {
            let here = at + number * 2;
            tokens.get(here).is_some_and(|token| named(token, part)) && (number == 0 || dot(here - 1))
        });
        whole && !(at > 0 && dot(at - 1)) && dot(at + width) == qualifies
    };
    let at = (0..tokens.len()).find(starts)?;
    let before = text.get(..tokens.get(at)?.start)?;
    Some(before.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::place_of;

    #[test]
    fn a_name_is_found_where_it_stands_for_itself() {
        for (text, name, place) in [
            ("SELECT nme FROM t", "nme", Some(8)),
            ("SELECT t.nme, 'nme', nme FROM t", "nme", Some(22)),
            ("SELECT \"é\", t.nme FROM t", "t.nme", Some(13)),
            ("SELECT /* nme */ NME", "nme", Some(18)),
            ("SELECT \"NME\"", "nme", None),
            ("SELECT * FROM a.gone", "a.gone", Some(15)),
            ("SELECT * FROM a.gone", "gone", None),
            ("SELECT x, x.id FROM t", "x.", Some(11)),
        ] {
            let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            assert_eq!(place_of(text, &parts), place, "{text}");
        }
    }
}
