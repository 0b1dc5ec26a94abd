//! Splits the name of a column into words.

use std::collections::HashSet;

/// `HomePhoneNo`, `home_phone_no`, `HOME-PHONE NO` and, where the words are known, `homephoneno`: `home`, `phone`, `no`.
///
/// Lower case without accents; digits are words of their own, except where letters and digits are one known word (`ipv4`).
pub(super) fn split(name: &str, known: &HashSet<String>) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
        let whole = plain(part);
        if known.contains(&whole) {
            words.push(whole);
            continue;
        }
        for humped in humps(part) {
            let word = plain(&humped);
            match run_together(&word, known) {
                Some(found) => words.extend(found),
                None => words.push(word),
            }
        }
    }
    words
}

/// Lower case, without the accents that Afrikaans, French, German, Spanish and Portuguese write.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            'š' => 's',
            other => other,
        })
        .collect()
}

/// `userID2Name` is `user`, `ID`, `2`, `Name`; `HTTPHost` is `HTTP`, `Host`.
fn humps(part: &str) -> Vec<String> {
    let chars: Vec<char> = part.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        let next = chars.get(at + 1);
        let begins = before.is_none_or(|before| {
            (c.is_uppercase() && before.is_lowercase())
                || (c.is_uppercase() && before.is_uppercase() && next.is_some_and(|next| next.is_lowercase()))
                || (c.is_numeric() != before.is_numeric())
        });
        match words.last_mut() {
            Some(last) if !begins => last.push(*c),
            Some(_) | None => words.push(c.to_string()),
        }
    }
    words
}

/// Shorter words than this are found by chance in any text.
const SHORTEST: usize = 3;
const SHORTEST_AT_THE_END: &[&str] = &["id", "no", "nr", "ip"];
const LONGEST: usize = 40;

/// Known words one behind the other that are the whole of it: the fewest.
fn run_together(word: &str, known: &HashSet<String>) -> Option<Vec<String>> {
    let chars: Vec<char> = word.chars().collect();
    if chars.len() > LONGEST || known.contains(word) || chars.len() < 2 * SHORTEST - 1 {
        return None;
    }
    // The best way to reach each position.
    let mut best: Vec<Option<Vec<String>>> = vec![None; chars.len() + 1];
    if let Some(start) = best.first_mut() {
        *start = Some(Vec::new());
    }
    for end in 1..=chars.len() {
        for start in 0..end {
            let piece: String = chars.get(start..end).unwrap_or_default().iter().collect();
            let short = end - start < SHORTEST;
            let fits = if short {
                end == chars.len() && SHORTEST_AT_THE_END.contains(&piece.as_str())
            } else {
                known.contains(&piece)
            };
            let Some(Some(before)) = best.get(start).filter(|_| fits).cloned() else { continue };
            let better = best.get(end).and_then(Option::as_ref).is_none_or(|now| before.len() + 1 < now.len());
            if better && let Some(place) = best.get_mut(end) {
                *place = Some([before, vec![piece]].concat());
            }
        }
    }
    best.pop().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> HashSet<String> {
        ["home", "phone", "geboortedatum", "cust", "first", "name", "date", "birth", "ipv4"].map(str::to_owned).into()
    }

    #[test]
    fn names_are_split_however_they_are_written() {
        for (name, words) in [
            ("HomePhoneNo", "home phone no"),
            ("home_phone-no", "home phone no"),
            ("homephoneno", "home phone no"),
            ("HOMEPHONE", "home phone"),
            ("custfirstname", "cust first name"),
            ("GeboorteDatum2", "geboorte datum 2"),
            ("geboortedatum", "geboortedatum"),
            ("userID", "user id"),
            ("HTTPHost", "http host"),
            ("ipv4", "ipv4"),
            ("address1", "address 1"),
            ("Primêre_E-pos", "primere e pos"),
            ("grandparent", "grandparent"),
            ("^New Attribute^", "new attribute"),
        ] {
            assert_eq!(split(name, &known()).join(" "), words, "{name}");
        }
    }
}
