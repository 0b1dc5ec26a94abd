//! A place in the text that was sent, as one in the text that was asked.

use super::lex::{Kind, Token, lex};

/// Where the client wrote what stands at this place of the text that ran, in characters from 1; `None` where that is not certain.
///
/// What runs has the client's words in the client's order, with others between them: a word that both have as often stands for itself.
pub fn place_in(asked: &str, sent: &str, place: usize) -> Option<usize> {
    let byte = |(byte, _)| byte;
    let end = |text: &str| text.chars().count().saturating_add(1);
    if place == end(sent) {
        return Some(end(asked));
    }
    let at = sent.char_indices().nth(place.checked_sub(1)?).map(byte)?;
    let (asked_tokens, sent_tokens) = (lex(asked).ok()?, lex(sent).ok()?);
    let mut number = sent_tokens.iter().position(|token| token.start == at)?;
    loop {
        let token = sent_tokens.get(number)?;
        let found = numbers(&asked_tokens, token);
        if let same @ 1.. = found.len() {
            let all = numbers(&sent_tokens, token);
            if all.len() != same {
                return None;
            }
            let which = all.iter().position(|other| *other == number)?;
            let token = asked_tokens.get(*found.get(which)?)?;
            return Some(end(asked.get(..token.start)?));
        }
        // A schema that the client left out: its relation or function stands behind the dot.
        if !sent_tokens.get(number.checked_add(1)?)?.is_symbol(".") {
            return None;
        }
        number = number.checked_add(2)?;
    }
}

fn numbers(tokens: &[Token], like: &Token) -> Vec<usize> {
    let same = |(number, token): (usize, &Token)| is_same(&token.kind, &like.kind).then_some(number);
    tokens.iter().enumerate().filter_map(same).collect()
}

/// A name in quotes, and the same without.
fn is_same(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::Word(one) | Kind::Quoted(one), Kind::Word(other) | Kind::Quoted(other)) => one == other,
        (Kind::Number { text: one, .. }, Kind::Number { text: other, .. }) => one == other,
        (Kind::Comment, _) => false,
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_the_same_word_or_of_none() {
        let asked = "SELECT é, 'x'::int FROM t WHERE nope(a) = 1";
        let sent = "SELECT \"é\", 'x'::int FROM \"public\".\"t\" AS \"t\" WHERE pg_catalog.nope(a) = 1";
        let place = |word: &str| {
            let byte = sent.find(word).unwrap_or_default();
            place_in(asked, sent, sent.get(..byte).unwrap_or_default().chars().count() + 1)
        };
        assert_eq!(place("'x'"), Some(11));
        assert_eq!(place("pg_catalog"), Some(33));
        assert_eq!(place("\"public\""), None, "t stands twice in what was sent");
        assert_eq!(place("1"), Some(43));
        assert_eq!(place_in(asked, sent, sent.chars().count() + 1), Some(44));
        assert_eq!(place_in("SELECT a", "SELECT b", 8), None);
    }
}
