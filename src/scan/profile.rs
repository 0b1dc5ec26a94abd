//! What the values of one column are like: how many pass which check. No value leaves this module.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// How many have five digits and more.
    pub(super) five_digits: usize,
}

/// Longer values are looked at this far.
const LOOKED_AT: usize = 2_000;
/// So many different values of a column are looked at: what a share needs, and no more time.
const DIFFERENT: usize = 250;
/// Longer values are in no vocabulary.
const LONGEST_WORD: usize = 40;

/// Whether a value is one of a kind of number.
type IsNumber = fn(&str) -> bool;

/// Numbers by check digit or form.
const NUMBERS: &[(Check, IsNumber)] = &[
    (Check::Identity, identity::identity_number),
    (Check::IdentityWithoutZeros, identity::identity_without_zeros),
    (Check::IncomeTax, identity::income_tax),
    (Check::Vat, identity::vat),
    (Check::Company, identity::company_registration),
    (Check::Passport, identity::passport),
    (Check::DriverLicence, identity::driver_licence),
    (Check::Plate, identity::plate),
    (Check::Council, identity::council),
    (Check::Branch, identity::branch_code),
    (Check::Card, numbers::payment_card),
    (Check::Iban, numbers::iban),
    (Check::Ean, numbers::ean13),
    (Check::Epoch, numbers::epoch_milliseconds),
    (Check::CoordinatePair, online::coordinates),
];

/// The values that are not blank, each once with how often it stands there, in the order in which they are met.
fn different(values: &[String]) -> Vec<(String, usize)> {
    let mut at: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(&str, usize)> = Vec::new();
    for value in values.iter().map(|value| value.trim()).filter(|value| !is_blank(value)) {
        if let Some((_, times)) = at.get(value).and_then(|place| found.get_mut(*place)) {
            *times += 1;
        } else if found.len() < DIFFERENT {
            at.insert(value, found.len());
            found.push((value, 1));
        }
    }
    found.into_iter().map(|(value, times)| (value.chars().take(LOOKED_AT).collect(), times)).collect()
}

fn is_boolean(value: &str) -> bool {
    const WORDS: &[&str] =
        &["true", "false", "t", "f", "yes", "no", "y", "n", "ja", "nee", "0", "1", "0.0", "1.0", "on", "off"];
    value.len() <= 5 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}

impl Profile {
    pub(super) fn of(values: &[String], lexicon: &Lexicon) -> Self {
        let mut profile = Self::default();
        let mut seen_marks: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (value, times) in different(values) {
            profile.n += times;
            profile.distinct += 1;
            profile.count(&value, times, lexicon);
            if value.chars().count() > LONGEST_WORD {
                continue;
            }
            let lower = value.to_lowercase();
            let word: String =
                plain(&value).replace(['/', '_', '-'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
            for (kind, known) in &lexicon.context.values {
                if known.all.contains(&lower) || known.all.contains(&word) {
                    profile.vocabulary.entry(kind.clone()).or_default().0 += times;
                    if known.marks.contains(&lower) || known.marks.contains(&word) {
                        seen_marks.entry(kind).or_default().insert(word.clone());
                    }
                }
            }
        }
        for (kind, marks) in seen_marks {
            profile.vocabulary.entry(kind.to_owned()).or_default().1 = marks.len();
        }
        profile
    }

    /// Checks one value that stands so many times in the column; those that are dear run only where they could hold.
    fn count(&mut self, value: &str, times: usize, lexicon: &Lexicon) {
        let mut add = |check: Check, holds: bool| {
            if holds {
                *self.counts.entry(check).or_default() += times;
            }
        };
        let digits = value.chars().filter(char::is_ascii_digit).count();
        let letters = value.chars().any(char::is_alphabetic);
        add(Check::Letters, letters);
        add(Check::Long, value.chars().count() > 60);
        add(Check::Number, value.parse::<f64>().is_ok());
        add(Check::DigitsOnly, value.len() == digits);
        add(Check::Boolean, is_boolean(value));
        add(Check::Email, online::email(value));
        add(Check::Url, online::url(value));
        add(Check::Ip, online::ip(value));
        add(Check::Mac, value.len() == 17 && online::mac(value));
        add(Check::LooksDialled, phones::looks_dialled(value));
        if digits >= 4 {
            let phone = phones::phone(value);
            add(Check::Dialled, phone == Some(phones::Written::AsANumberToDial));
            add(Check::PhoneDigits, phone == Some(phones::Written::AsDigits));
            for (check, holds) in NUMBERS {
                add(*check, holds(value));
            }
        }
        add(Check::Coordinate, digits > 0 && online::coordinate(value));
        add(Check::Age, digits > 0 && dates::age(value));
        let one_word = !value.contains(char::is_whitespace);
        add(Check::OneWord, one_word);
        let words = if letters && one_word { 1 } else { value.split_whitespace().count() };
        let person = if letters && digits == 0 && words <= 6 { text::person(value, lexicon) } else { Person::No };
        add(Check::PersonWhole, person == Person::Whole);
        add(Check::PersonPart, person == Person::Part);
        add(Check::PersonForm, person == Person::Form);
        add(Check::FirstNameAlone, one_word && person == Person::Part && lexicon.is_first_name(&plain(value)));
        add(Check::Address, letters && digits > 0 && text::street_address(value, lexicon));
        add(Check::Prose, words >= 5);
        add(Check::Mention, words >= 5 && text::mentions_people(value, lexicon));
        let year = (digits >= 4).then(|| dates::year(value)).flatten();
        add(Check::Dated, year.is_some() && value.len() > 4);
        if let Some(year) = year {
            self.years = Some(self.years.map_or((year, year), |(from, to)| (from.min(year), to.max(year))));
        }
        self.five_digits += if digits >= 5 { times } else { 0 };
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
    const WORDS: &[&str] = &["null", "none", "n/a", "na", "nan", "-", "--", "nil", "nvt", "n.v.t.", "\\n"];
    let value = value.trim();
    value.is_empty() || (value.len() <= 6 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(value)))
}

fn share(hits: usize, of: usize) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    if of == 0 { 0.0 } else { count(hits) / count(of) }
}
