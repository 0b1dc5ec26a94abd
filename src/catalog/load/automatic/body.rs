//! Whether a trigger's body touches nothing but the row: `NEW.updated_at := now(); RETURN NEW;` and the like, which most
//! triggers of applications are. Read as words only, and anything that is not certain is not so.

use crate::catalog::automatic::FUNCTIONS;

/// What may stand in such a body besides names of the row's fields and [`FUNCTIONS`]: words of PL/pgSQL that read and write nothing.
const WORDS: &str = "begin end if then elsif else return new old null true false is not distinct from and or \
    tg_op current_timestamp current_date localtimestamp trim coalesce nullif greatest least case when in between like";

/// The fields of the old and new row that it looks at, where it does no more than that. A field that is only given a
/// value is not looked at.
pub(super) fn of_the_row_alone(source: &str) -> Option<Vec<String>> {
    let tokens = tokens(source)?;
    let mut looks_at = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let lower = token.to_ascii_lowercase();
        let field = match (lower.as_str(), tokens.get(at.saturating_add(1)).map(String::as_str)) {
            ("new" | "old", Some(".")) => tokens.get(at.saturating_add(2)),
            _ => None,
        };
        if let Some(field) = field {
            if !is_word(field) {
                return None;
            }
            let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|word| word.to_ascii_lowercase());
            let begins = before.is_none_or(|word| matches!(word.as_str(), ";" | "begin" | "then" | "else"));
            let set = matches!(tokens.get(at.saturating_add(3)).map(String::as_str), Some(":=" | "="));
            if !(begins && set) {
                looks_at.push(field.to_ascii_lowercase());
            }
            at = at.saturating_add(3);
            continue;
        }
        if is_word(token) && !WORDS.split_ascii_whitespace().chain(FUNCTIONS).any(|word| word == lower) {
            return None;
        }
        // The whole row goes back, and nowhere else.
        if matches!(lower.as_str(), "new" | "old") {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|word| word.to_ascii_lowercase());
            if before.as_deref() != Some("return") {
                return None;
            }
        }
        at = at.saturating_add(1);
    }
    looks_at.sort();
    looks_at.dedup();
    Some(looks_at)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Words, numbers, signs; strings as one sign. `None` for what is not plain: quoted names, dollar quotes, casts, escapes.
fn tokens(source: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                tokens.push(word);
            }
            '-' if chars.peek() == Some(&'-') => while chars.next_if(|next| *next != '\n').is_some() {},
            '\'' => {
                loop {
                    match chars.next()? {
                        '\\' => return None,
                        '\'' if chars.next_if_eq(&'\'').is_none() => break,
                        _ => {}
                    }
                }
                tokens.push("'".to_owned());
            }
            ':' if chars.next_if_eq(&'=').is_some() => tokens.push(":=".to_owned()),
            '=' | '<' | '>' | '+' | '-' | '*' | '(' | ')' | ';' | '.' | ',' | '|' => tokens.push(c.to_string()),
            _ => return None,
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_sets_fields_of_the_row_touches_nothing_else() {
        let set = |source: &str| of_the_row_alone(source);
        assert_eq!(set("BEGIN NEW.updated_at = now(); RETURN NEW; END"), Some(vec![]));
        assert_eq!(set("begin\n  new.updated_at := clock_timestamp(); -- now\n  return new;\nend;"), Some(vec![]));
        assert_eq!(
            set(
                "BEGIN IF NEW.email IS DISTINCT FROM OLD.email THEN NEW.city := lower(NEW.town); END IF; RETURN NEW; END"
            ),
            Some(vec!["email".to_owned(), "town".to_owned()])
        );
        assert_eq!(set("BEGIN RETURN NULL; END"), Some(vec![]));
    }

    #[test]
    fn what_could_reach_further_is_not_taken() {
        for source in [
            "BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END",
            "BEGIN PERFORM f(NEW.id); RETURN NEW; END",
            "BEGIN NEW.city := (SELECT email FROM people LIMIT 1); RETURN NEW; END",
            "BEGIN NEW.city := (TABLE people); RETURN NEW; END",
            "BEGIN EXECUTE 'x'; RETURN NEW; END",
            "BEGIN NEW.city := f(NEW.id); RETURN NEW; END",
            "BEGIN NEW.city := public.now(); RETURN NEW; END",
            "BEGIN NEW.city := NEW::text; RETURN NEW; END",
            "BEGIN NEW := OLD; RETURN NEW; END",
            "BEGIN RAISE NOTICE '%', NEW.email; RETURN NEW; END",
            "DECLARE x text := 'a'; BEGIN RETURN NEW; END",
            "BEGIN NEW.\"city\" := 'x'; RETURN NEW; END",
        ] {
            assert_eq!(of_the_row_alone(source), None, "{source}");
        }
    }
}
