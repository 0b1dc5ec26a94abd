//! What the name of a column says by itself.

use super::kind::{Kind, Level};
use super::lexicon::Lexicon;
use super::words;

/// What a name means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) kind: Kind,
    pub(super) level: Level,
    /// The words that said so.
    pub(super) phrase: String,
    /// The name says more than the phrase, in words that are not known to belong to it.
    pub(super) more: bool,
    /// A word for people stands beside the phrase.
    pub(super) of_people: bool,
}

/// What a name means; [`Kind::None`] where a phrase or a word beside it says that it is nothing personal.
pub(super) fn read(name: &str, lexicon: &Lexicon) -> Option<Named> {
    let words = words::split(name, &lexicon.known);
    // What a name is about stands before `in` or `for`: `name in home country`.
    let head = words.iter().position(|word| matches!(word.as_str(), "in" | "for" | "from")).unwrap_or(words.len());
    let (start, end, kind, level) =
        longest(words.get(..head).unwrap_or_default(), lexicon).or_else(|| longest(&words, lexicon))?;
    let phrase = words.get(start..end).unwrap_or_default().join(" ");
    let before = words.get(..start).unwrap_or_default();
    let after = words.get(end..).unwrap_or_default();
    let numbered = kind == Kind::PersonName
        && lexicon.context.people.contains(&phrase)
        && after.first().is_some_and(|next| matches!(next.as_str(), "id" | "no" | "nr" | "num" | "number" | "nommer"));
    // `pasient_nr`: a person's number, and not a person.
    let (kind, level) = if numbered { (Kind::PersonId, Level::Likely) } else { (kind, level) };
    let turned = kind != Kind::None && is_turned(kind, before, after, lexicon);
    let context = &lexicon.context;
    let rest: Vec<&String> = before.iter().chain(after).collect();
    let of_people = rest.iter().any(|word| context.people.contains(*word));
    let explained = |word: &str| {
        context.people.contains(word)
            || context.prefixes.contains(word)
            || context.kept_by.contains(word)
            || word.chars().all(char::is_numeric)
    };
    let more = before.iter().chain(described(after)).any(|word| !explained(word.as_str()));
    Some(Named { kind: if turned { Kind::None } else { kind }, level, phrase, more, of_people })
}

/// The longest phrase that the words hold; of equally long ones the last, since the last word is mostly what a name is about.
fn longest(words: &[String], lexicon: &Lexicon) -> Option<(usize, usize, Kind, Level)> {
    for length in (1..=lexicon.longest().min(words.len())).rev() {
        let mut found: Option<(usize, usize, Kind, Level)> = None;
        for start in 0..=words.len() - length {
            let Some((kind, level)) = words.get(start..start + length).and_then(|piece| lexicon.phrase(piece)) else {
                continue;
            };
            // `user` and `name` are weak words, and no reason to forget a strong one before them.
            if found.is_none_or(|(.., before)| level >= before) {
                found = Some((start, start + length, kind, level));
            }
        }
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether words beside a phrase make the column about something else.
fn is_turned(kind: Kind, before: &[String], after: &[String], lexicon: &Lexicon) -> bool {
    let context = &lexicon.context;
    // That somebody *is* pregnant or *has* a record is the special information itself.
    let asks = |word: &str| matches!(word, "is" | "has" | "have");
    let turned_before = before.iter().any(|word| {
        context.turned_by_what_precedes.contains(word) && !(asks(word) && (kind.is_special() || kind == Kind::Family))
    });
    let own_number = matches!(
        kind,
        Kind::Email
            | Kind::PersonId
            | Kind::NationalId
            | Kind::Passport
            | Kind::Organisation
            | Kind::Health
            | Kind::Network
            | Kind::Device
    );
    let last = after.last();
    let is_key = !own_number
        && last.is_some_and(|last| context.turned_into_a_key.contains(last) && !context.kept_by.contains(last));
    turned_before
        || is_key
        || described(after).iter().any(|word| context.turned_by_what_follows.contains(word) && !kind_word(kind, word))
}

/// What follows a preposition describes further what stands before it: `name in home country`.
fn described(after: &[String]) -> &[String] {
    after.split(|word| matches!(word.as_str(), "in" | "of" | "for" | "by" | "from")).next().unwrap_or_default()
}

/// Words that belong to a kind though they turn others: `birth datum`, `diagnosis date`.
fn kind_word(kind: Kind, word: &str) -> bool {
    match word {
        "date" | "datum" | "year" => matches!(kind, Kind::Birth | Kind::Health | Kind::Crime),
        "status" | "type" | "tipe" | "category" => kind.is_special(),
        "default" | "primary" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kind(name: &str) -> Option<&'static str> {
        let lexicon = Lexicon::built_in().unwrap();
        read(name, &lexicon).map(|named| named.kind).filter(|kind| *kind != Kind::None).map(Kind::category)
    }

    #[test]
    fn names_mean_the_same_in_every_spelling_and_language() {
        for (name, category) in [
            ("cust_email_addr", "contact"),
            ("klantSelfoon", "contact"),
            ("IDNR", "national_id"),
            ("van", "identity"),
            ("noemnaam", "identity"),
            ("geboortedatum", "birth"),
            ("geslag", "gender"),
            ("e_pos", "contact"),
            ("voorstad", "area"),
            ("poskode", "area"),
            ("rekeningnommer", "financial"),
            ("takkode", "financial"),
            ("belastingnommer", "national_id"),
            ("mediese_fonds", "health"),
            ("lidnommer", "identifier"),
            ("vakbond", "trade_union"),
            ("geloof", "religion"),
            ("next_of_kin", "identity"),
            ("dob", "birth"),
            ("msisdn", "contact"),
            ("isibongo", "identity"),
            ("custfirstname", "identity"),
            ("PatientDateOfBirth", "birth"),
            ("is_pregnant", "health"),
            ("hiv_status", "health"),
            ("geburtsdatum", "birth"),
        ] {
            assert_eq!(kind(name), Some(category), "{name}");
        }
    }

    #[test]
    fn a_word_beside_it_makes_a_name_mean_something_else() {
        for name in [
            "email_verified",
            "is_email_active",
            "allow_sms",
            "phone_type",
            "password_changed_at",
            "ACADEMIC_YEAR_CODE",
            "host_name",
            "product_name",
            "address_id",
            "num_phones",
            "email_template",
            "created_at",
            "order_total",
            "country_of_birth",
            "race_date",
            "bad_address",
            "company_name",
            "page",
            "gender_id",
            "telling",
            "status",
            "maatskappynaam",
            "produknaam",
            "datum_van",
        ] {
            assert_eq!(
                kind(name).filter(|category| *category != "identity" || name != "datum_van"),
                Option::None,
                "{name}"
            );
        }
    }
}
