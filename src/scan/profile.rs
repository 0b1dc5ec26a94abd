//! What the values of one column are like: how many pass which check. No value leaves this module.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::text::Person;
use super::checks::{dates, identity, numbers, online, phones, text};
use super::lexicon::Lexicon;
use super::words::plain;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Email,
    Dialled,
    PhoneDigits,
    LooksDialled,
    Identity,
    IdentityWithoutZeros,
    IncomeTax,
    Vat,
    Company,
    Passport,
    DriverLicence,
    Plate,
    Council,
    Branch,
    Card,
    Iban,
    Ean,
    Epoch,
    Ip,
    Mac,
    CoordinatePair,
    Coordinate,
    Url,
    Dated,
    Age,
    PersonWhole,
    PersonPart,
    PersonForm,
    OneWord,
    FirstNameAlone,
    Address,
    Mention,
    Boolean,
    Number,
    DigitsOnly,
    Letters,
    Prose,
    Long,
}

/// Counts over the values that are not blank.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Values that are not blank.
    pub(super) n: usize,
    pub(super) distinct: usize,
    counts: BTreeMap<Check, usize>,
    /// By the kind's name: how many are in its vocabulary, and whether two different ones of its marks are there.
    vocabulary: BTreeMap<String, (usize, usize)>,
    pub(super) years: Option<(i16, i16)>,
    /// How many are six digits and more.
    pub(super) five_digits: usize,
}

/// Longer values are looked at this far.
const LOOKED_AT: usize = 2_000;

impl Profile {
    pub(super) fn of(values: &[String], lexicon: &Lexicon) -> Self {
        let mut profile = Self::default();
        let mut different = BTreeSet::new();
        let mut seen_marks: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for value in values {
            let value: String = value.trim().chars().take(LOOKED_AT).collect();
            if is_blank(&value) {
                continue;
            }
            profile.n += 1;
            profile.count(&value, lexicon);
            let word: String =
                plain(&value).replace(['/', '_', '-'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
            let word = if word.is_empty() || value.len() <= 3 { value.to_lowercase() } else { word };
            for (kind, known) in &lexicon.context.values {
                if known.all.contains(&word) || known.all.contains(&value.to_lowercase()) {
                    profile.vocabulary.entry(kind.clone()).or_default().0 += 1;
                }
                if known.marks.contains(&word) || known.marks.contains(&value.to_lowercase()) {
                    seen_marks.entry(kind).or_default().insert(word.clone());
                }
            }
            different.insert(value);
        }
        for (kind, marks) in seen_marks {
            profile.vocabulary.entry(kind.to_owned()).or_default().1 = marks.len();
        }
        profile.distinct = different.len();
        profile
    }

    fn count(&mut self, value: &str, lexicon: &Lexicon) {
        let mut add = |check: Check, holds: bool| {
            if holds {
                *self.counts.entry(check).or_default() += 1;
            }
        };
        let lower = value.to_lowercase();
        let digits = value.chars().filter(char::is_ascii_digit).count();
        add(Check::Email, online::email(value));
        let phone = phones::phone(value);
        add(Check::Dialled, phone == Some(phones::Written::AsANumberToDial));
        add(Check::PhoneDigits, phone == Some(phones::Written::AsDigits));
        add(Check::LooksDialled, phones::looks_dialled(value));
        add(Check::Identity, identity::identity_number(value));
        add(Check::IdentityWithoutZeros, identity::identity_without_zeros(value));
        add(Check::IncomeTax, identity::income_tax(value));
        add(Check::Vat, identity::vat(value));
        add(Check::Company, identity::company_registration(value));
        add(Check::Passport, identity::passport(value));
        add(Check::DriverLicence, identity::driver_licence(value));
        add(Check::Plate, identity::plate(value));
        add(Check::Council, identity::council(value));
        add(Check::Branch, identity::branch_code(value));
        add(Check::Card, numbers::payment_card(value));
        add(Check::Iban, numbers::iban(value));
        add(Check::Ean, numbers::ean13(value));
        add(Check::Epoch, numbers::epoch_milliseconds(value));
        add(Check::Ip, online::ip(value));
        add(Check::Mac, online::mac(value));
        add(Check::CoordinatePair, online::coordinates(value));
        add(Check::Coordinate, online::coordinate(value));
        add(Check::Url, online::url(value));
        add(Check::Age, dates::age(value));
        let person = text::person(value, lexicon);
        add(Check::PersonWhole, person == Person::Whole);
        add(Check::PersonPart, person == Person::Part);
        add(Check::PersonForm, person == Person::Form);
        let one_word = !value.contains(char::is_whitespace);
        add(Check::OneWord, one_word);
        add(Check::FirstNameAlone, one_word && lexicon.is_first_name(&plain(value)));
        add(Check::Address, text::street_address(value, lexicon));
        let prose = value.split_whitespace().count() >= 5;
        add(Check::Prose, prose);
        add(Check::Mention, prose && text::mentions_people(value, lexicon));
        add(
            Check::Boolean,
            matches!(
                lower.as_str(),
                "true"
                    | "false"
                    | "t"
                    | "f"
                    | "yes"
                    | "no"
                    | "y"
                    | "n"
                    | "ja"
                    | "nee"
                    | "0"
                    | "1"
                    | "0.0"
                    | "1.0"
                    | "on"
                    | "off"
            ),
        );
        add(Check::Number, value.parse::<f64>().is_ok());
        add(Check::DigitsOnly, value.chars().all(|c| c.is_ascii_digit()));
        add(Check::Letters, value.chars().any(char::is_alphabetic));
        add(Check::Long, value.chars().count() > 60);
        let year = dates::year(value).filter(|_| value.len() > 4);
        add(Check::Dated, year.is_some());
        if let Some(year) = dates::year(value) {
            self.years = Some(self.years.map_or((year, year), |(from, to)| (from.min(year), to.max(year))));
        }
        self.five_digits += usize::from(digits >= 5);
    }

    /// How many pass.
    pub(super) fn hits(&self, check: Check) -> usize {
        self.counts.get(&check).copied().unwrap_or(0)
    }

    /// The share that passes, from 0 to 1.
    pub(super) fn share(&self, check: Check) -> f64 {
        share(self.hits(check), self.n)
    }

    /// Kinds whose vocabulary the column keeps to, with the share; two different marks must be there, or one where the whole column is one value.
    pub(super) fn vocabularies(&self) -> impl Iterator<Item = (&str, f64, usize)> {
        self.vocabulary.iter().map(|(kind, (hits, marks))| (kind.as_str(), share(*hits, self.n), *marks))
    }
}

/// What stands for no value.
pub(super) fn is_blank(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || matches!(
            value.to_ascii_lowercase().as_str(),
            "null" | "none" | "n/a" | "na" | "nan" | "-" | "--" | "nil" | "nvt" | "n.v.t." | "\\n"
        )
}

fn share(hits: usize, of: usize) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    if of == 0 { 0.0 } else { count(hits) / count(of) }
}
