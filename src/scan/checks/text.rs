//! Names of people, street addresses, and free text that mentions people.

use super::{identity, online, phones};
use crate::scan::lexicon::Lexicon;
use crate::scan::words::plain;

/// How much a text is like the name of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scan) enum Person {
    /// A first name and more, one word of it a known surname or title.
    Whole,
    /// One of its words is a known first name, or the only one a known name.
    Part,
    /// Has the form of a name; its words are not known.
    Form,
    /// Has not even that.
    No,
}

/// Reads a text as the name of a person: up to six words of letters, particles such as `van der` and titles included, `Surname, First` too.
pub(in crate::scan) fn person(text: &str, lexicon: &Lexicon) -> Person {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).collect();
    let is_word = |word: &&str| {
        word.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\'' | '-' | '’' | '"' | '(' | ')'))
            && word.chars().any(char::is_alphabetic)
    };
    if words.is_empty() || words.len() > 6 || text.chars().count() > 60 || !words.iter().all(is_word) {
        return Person::No;
    }
    let capital =
        words.iter().filter(|word| word.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase)).count();
    let read: Vec<String> = words.iter().map(|word| plain(word.trim_matches(|c: char| !c.is_alphabetic()))).collect();
    let known = |word: &String, test: fn(&Lexicon, &str) -> bool| {
        test(lexicon, word) || word.split('-').next_back().is_some_and(|last| test(lexicon, last))
    };
    let first = read.iter().filter(|word| known(word, Lexicon::is_first_name)).count();
    let surname = read.iter().filter(|word| known(word, Lexicon::is_surname)).count();
    let titled = read.first().is_some_and(|word| lexicon.is_title(word)) && read.len() > 1;
    let either =
        read.iter().filter(|word| known(word, Lexicon::is_first_name) || known(word, Lexicon::is_surname)).count();
    match read.len() {
        1 if first > 0 || surname > 0 => Person::Part,
        1 if capital == 1 => Person::Form,
        1 => Person::No,
        _ if titled && capital > 1 => Person::Whole,
        _ if first > 0 && surname > 0 && either > 1 && capital > 1 => Person::Whole,
        _ if (first > 0 || surname > 0) && capital > 1 && read.len() <= 4 => Person::Part,
        2..=4 if capital > 1 => Person::Form,
        _ if first > 0 && surname > 0 && either > 1 && read.len() <= 3 && read.iter().all(|word| word.len() > 2) => {
            Person::Part
        }
        _ => Person::No,
    }
}

/// A street address: a number and a word such as `street` or `straat`, or a post box.
pub(in crate::scan) fn street_address(text: &str, lexicon: &Lexicon) -> bool {
    let length = text.chars().count();
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(plain).collect();
    let number = words
        .iter()
        .take(6)
        .position(|word| word.chars().next().is_some_and(|c| c.is_ascii_digit()) && word.chars().count() <= 6);
    let street = words
        .iter()
        .enumerate()
        .any(|(at, word)| at > 0 && lexicon.is_street(word) || lexicon.is_street(word) && word.chars().count() > 4)
        || words.iter().any(|word| {
            word.chars().count() > 6
                && ["straat", "weg", "laan", "rylaan", "singel", "strasse", "straße"]
                    .iter()
                    .any(|end| word.ends_with(end))
        });
    let box_ = words.windows(2).any(|pair| matches!(pair, [a, b] if (a == "po" || a == "p" || a == "private") && (b == "box" || b == "bag" || b == "o"))) || words.first().is_some_and(|word| word == "posbus" || word == "privaatsak");
    let dated = text.contains(':')
        && words.len() > 4
        && words.iter().filter(|word| word.chars().all(|c| c.is_ascii_digit())).count() > 3;
    (6..=160).contains(&length)
        && words.len() >= 2
        && words.len() <= 25
        && number.is_some()
        && (street || box_)
        && !dated
}

/// A longer text that mentions a person: an e-mail address, an identity number, a number to dial, a title with a name, a first name with a surname.
pub(in crate::scan) fn mentions_people(text: &str, lexicon: &Lexicon) -> bool {
    if online::email_within(text) || identity::identity_within(text) {
        return true;
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '+'))
        .filter(|word| !word.is_empty())
        .collect();
    let capital = |word: &str| {
        word.chars().next().is_some_and(char::is_uppercase) && word.chars().skip(1).any(char::is_lowercase)
    };
    let named = words.windows(2).any(|pair| match pair {
        [first, second] if capital(first) && capital(second) => {
            let (first, second) = (plain(first), plain(second));
            lexicon.is_title(&first) || (lexicon.is_first_name(&first) && lexicon.is_surname(&second))
        }
        _ => false,
    });
    named || dialled_within(text)
}

fn dialled_within(text: &str) -> bool {
    let run = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')');
    text.split(|c: char| !run(c))
        .map(str::trim)
        .filter(|run| run.chars().filter(char::is_ascii_digit).count() >= 9)
        .any(|run| {
            (run.starts_with('0') || run.starts_with('+'))
                && phones::phone(run) == Some(phones::Written::AsANumberToDial)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn people_are_known_in_the_languages_of_the_country() {
        let lexicon = Lexicon::built_in().unwrap();
        for name in [
            "Thandi Mokoena",
            "Pieter van der Merwe",
            "DLAMINI, Sipho",
            "Mev. A. Botha",
            "Mary Smith",
            "Nomvula Dlamini-Zulu",
        ] {
            assert_eq!(person(name, &lexicon), Person::Whole, "{name}");
        }
        for other in ["Blue cotton shirt", "SKU 123", "https://a.b", "Acme (Pty) Ltd 2", "cape town", "in stock"] {
            assert!(matches!(person(other, &lexicon), Person::No | Person::Form), "{other}");
        }
    }

    #[test]
    fn addresses_need_a_number_and_a_street() {
        let lexicon = Lexicon::built_in().unwrap();
        for address in [
            "12 Long Street, Cape Town",
            "Kerkstraat 7, Stellenbosch",
            "Posbus 123, Bellville",
            "PO Box 99",
            "8 Rivonia Rd",
            "Eenheid 4, Protea Woonstelle",
        ] {
            assert!(street_address(address, &lexicon), "{address}");
        }
        for other in ["Blue cotton shirt", "2024-01-31 10:00:00", "Cape Town", "12", "1.88 m"] {
            assert!(!street_address(other, &lexicon), "{other}");
        }
    }

    #[test]
    fn free_text_mentions_people_or_does_not() {
        let lexicon = Lexicon::built_in().unwrap();
        for text in [
            "spoke to Mrs Naidoo about it",
            "Please call Thandi Mokoena back",
            "her number is 082 555 1234, after five",
            "ID 8001015009087 was given",
            "mail to a@b.co.za",
        ] {
            assert!(mentions_people(text, &lexicon), "{text}");
        }
        for text in [
            "The parcel arrived late",
            "Order 1700000000000 was shipped on 2024-01-31",
            "A fine Red Wine from the Cape",
        ] {
            assert!(!mentions_people(text, &lexicon), "{text}");
        }
    }
}
