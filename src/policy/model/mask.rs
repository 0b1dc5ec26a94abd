//! Masks as values. How one is written in SQL is the rewrite's business; `docs/masks.md` has a table of them.

use std::collections::BTreeSet;
use std::fmt;

use crate::catalog::TypeClass;

/// What is shown instead of a value. Every mask keeps the column's type, and shows NULL as NULL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mask {
    /// NULL.
    Null,
    /// A constant text.
    Fixed(String),
    /// The first n characters, the rest as `*`.
    First(u32),
    /// The last n characters, the rest as `*`.
    Last(u32),
    /// The first and the last characters, and a text of the policy's between them.
    Partial {
        /// Characters kept at the beginning.
        prefix: u32,
        /// What stands between.
        text: String,
        /// Characters kept at the end.
        suffix: u32,
    },
    /// `t***@e***.za`: first character of name and host, the last label kept.
    Email,
    /// The beginning of the year, month ... that holds the date or time, in UTC.
    Calendar(Unit),
    /// The lower end of the band of width n that holds the value.
    Band(u64),
    /// `20 to 29`: the range of width n that holds the whole number that a text is.
    Range(u64),
    /// The greatest of these that is not above the value; ascending.
    Steps(Vec<i64>),
    /// The value, moved by at most so much: the same for the same subject and value.
    Noise(Noise),
    /// All dates of one subject moved by the same number of days, at most so many.
    Shift(u32),
    /// A keyed pseudonym, another key per purpose.
    Token,
    /// A keyed pseudonym that reads like a person's name.
    Name(NamePart),
    /// A South African identity number: nothing of it, unless said otherwise.
    SaId {
        /// Keeps the two digits of the year of birth.
        year: bool,
        /// Keeps whether digit seven says female or male.
        sex: bool,
    },
    /// A South African phone number, `+27`, `0027` or `0`.
    Phone(PhonePart),
    /// A bank account: the last three digits.
    Account,
    /// A payment card: the last four digits.
    Card,
    /// What an address that is separated by commas ends with.
    Address(AddressPart),
    /// The first two of the four digits of a postal code.
    PostalArea,
    /// A tax number of ten digits: the last three.
    TaxNumber,
    /// A company's registration number: year and kind.
    CompanyNumber,
    /// An address of the Internet: its network, /24 or /48.
    Network,
    /// Of a URL: scheme and host.
    Host,
    /// Of a JSON object: these keys.
    Keys(BTreeSet<String>),
}

/// Parts of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
}

impl Unit {
    /// All of them with their names, which are PostgreSQL's too.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Hour, "hour"),
        (Self::Day, "day"),
        (Self::Week, "week"),
        (Self::Month, "month"),
        (Self::Quarter, "quarter"),
        (Self::Year, "year"),
        (Self::Decade, "decade"),
    ];

    /// As a policy and `date_trunc` write it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, name)| name)
    }
}

/// How far a value is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noise {
    /// A number, by at most so many per cent of itself.
    Percent(u32),
    /// A date, by at most so many days.
    Days(u32),
    /// A time, by at most so many hours.
    Hours(u32),
}

/// Which name is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum NamePart {
    Full,
    Given,
    Family,
}

/// What is kept of a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhonePart {
    /// The last digits, at most four.
    Last(u32),
    /// The two digits of the town's area, or of the mobile network.
    Area,
}

/// What is kept of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressPart {
    /// The last part: the town.
    Town,
    /// The last two parts: suburb and town.
    Suburb,
}

/// The longest prefix or suffix a mask may keep.
pub(in crate::policy) const MAX_KEPT: u32 = 1000;
/// Widest band: what a `bigint` can hold.
pub(in crate::policy) const MAX_BAND: u64 = i64::MAX as u64;
/// Longest constant, in bytes.
pub(in crate::policy) const MAX_FIXED: usize = 1000;
/// Longest list of steps or keys.
pub(in crate::policy) const MAX_LISTED: usize = 100;
/// The farthest that noise and shift may go.
pub(in crate::policy) const MAX_DAYS: u32 = 3660;

impl Mask {
    /// Whether the mask can keep a type of this class.
    pub fn fits(&self, class: TypeClass) -> bool {
        use TypeClass as T;
        let number = matches!(class, T::Integer | T::Numeric | T::Float);
        let time = matches!(class, T::Timestamp | T::TimestampTz);
        let date = time || class == T::Date;
        match self {
            Self::Null => true,
            Self::Fixed(_)
            | Self::First(_)
            | Self::Last(_)
            | Self::Partial { .. }
            | Self::Email
            | Self::Range(_)
            | Self::Name(_)
            | Self::SaId { .. }
            | Self::Phone(_)
            | Self::Account
            | Self::Card
            | Self::Address(_)
            | Self::PostalArea
            | Self::TaxNumber
            | Self::CompanyNumber
            | Self::Host => class == T::Text,
            Self::Calendar(Unit::Hour | Unit::Day) => time,
            Self::Calendar(Unit::Week | Unit::Month | Unit::Quarter | Unit::Year | Unit::Decade) => date,
            Self::Band(_) | Self::Steps(_) | Self::Noise(Noise::Percent(_)) => number,
            Self::Noise(Noise::Days(_)) | Self::Shift(_) => date,
            Self::Noise(Noise::Hours(_)) => time,
            Self::Token => matches!(class, T::Text | T::Uuid | T::Integer),
            Self::Network => matches!(class, T::Inet | T::Text),
            Self::Keys(_) => class == T::Jsonb,
        }
    }

    /// Whether it is computed with the purpose's key.
    pub fn is_keyed(&self) -> bool {
        matches!(self, Self::Token | Self::Name(_) | Self::Noise(_) | Self::Shift(_))
    }

    /// Whether equal values have equal pseudonyms whoever they are of: who may write a guess and read its pseudonym, looks up who has it.
    pub fn is_dictionary(&self) -> bool {
        matches!(self, Self::Token | Self::Name(_))
    }

    /// Whether it is another for each data subject, so that the table must say whose its rows are.
    pub fn needs_subject(&self) -> bool {
        matches!(self, Self::Shift(_))
    }

    /// What both masks let through: where two rules mask one column differently, this is shown. Where neither of
    /// the two can be computed from the other's result it is [`Mask::Null`]. The order of the rules does not matter.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Self::First(a), Self::First(b)) => Self::First(a.min(b)),
            (Self::Last(a), Self::Last(b)) => Self::Last(a.min(b)),
            (Self::Calendar(a), Self::Calendar(b)) => coarser(a, b).map_or(Self::Null, Self::Calendar),
            (Self::Band(a), Self::Band(b)) => common_multiple(a, b).map_or(Self::Null, Self::Band),
            (Self::Range(a), Self::Range(b)) => common_multiple(a, b).map_or(Self::Null, Self::Range),
            (Self::SaId { year, sex }, Self::SaId { year: y, sex: s }) => Self::SaId { year: year && y, sex: sex && s },
            (Self::Phone(PhonePart::Last(a)), Self::Phone(PhonePart::Last(b))) => {
                Self::Phone(PhonePart::Last(a.min(b)))
            }
            (Self::Address(_), Self::Address(AddressPart::Town))
            | (Self::Address(AddressPart::Town), Self::Address(_)) => Self::Address(AddressPart::Town),
            (Self::Keys(a), Self::Keys(b)) => Self::Keys(a.intersection(&b).cloned().collect()),
            (a, b) if a == b => a,
            (_, _) => Self::Null,
        }
    }
}

/// The unit whose beginnings are beginnings of the other too. Weeks do not begin with months.
fn coarser(a: Unit, b: Unit) -> Option<Unit> {
    let (fine, coarse) = (a.min(b), a.max(b));
    (fine == coarse || fine != Unit::Week).then_some(coarse)
}

/// The narrowest band that both bands can be coarsened to: the least common multiple.
fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x).and_then(|part| part.checked_mul(b)).filter(|width| *width <= MAX_BAND)
}

/// As policies write it; [`Mask::from_str`](std::str::FromStr) reads it back.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Fixed(text) => write!(f, "fixed({})", written(text)),
            Self::First(n) => write!(f, "first({n})"),
            Self::Last(n) => write!(f, "last({n})"),
            Self::Partial { prefix, text, suffix } => write!(f, "partial({prefix}, {}, {suffix})", written(text)),
            Self::Email => f.write_str("email"),
            Self::Calendar(unit) => f.write_str(unit.name()),
            Self::Band(n) => write!(f, "band({n})"),
            Self::Range(n) => write!(f, "range({n})"),
            Self::Steps(steps) => write!(f, "steps({})", listed(steps)),
            Self::Noise(Noise::Percent(n)) => write!(f, "noise({n}%)"),
            Self::Noise(Noise::Days(n)) => write!(f, "noise({n} days)"),
            Self::Noise(Noise::Hours(n)) => write!(f, "noise({n} hours)"),
            Self::Shift(n) => write!(f, "shift({n} days)"),
            Self::Token => f.write_str("token"),
            Self::Name(NamePart::Full) => f.write_str("name"),
            Self::Name(NamePart::Given) => f.write_str("name(given)"),
            Self::Name(NamePart::Family) => f.write_str("name(family)"),
            Self::SaId { year, sex } => match (year, sex) {
                (false, false) => f.write_str("sa_id"),
                (true, false) => f.write_str("sa_id(year)"),
                (false, true) => f.write_str("sa_id(sex)"),
                (true, true) => f.write_str("sa_id(year, sex)"),
            },
            Self::Phone(PhonePart::Last(n)) => write!(f, "phone({n})"),
            Self::Phone(PhonePart::Area) => f.write_str("phone(area)"),
            Self::Account => f.write_str("account"),
            Self::Card => f.write_str("card"),
            Self::Address(AddressPart::Town) => f.write_str("address(town)"),
            Self::Address(AddressPart::Suburb) => f.write_str("address(suburb)"),
            Self::PostalArea => f.write_str("postal_area"),
            Self::TaxNumber => f.write_str("tax_number"),
            Self::CompanyNumber => f.write_str("company_number"),
            Self::Network => f.write_str("network"),
            Self::Host => f.write_str("host"),
            Self::Keys(keys) => write!(f, "keys({})", keys.iter().cloned().collect::<Vec<_>>().join(", ")),
        }
    }
}

fn listed(steps: &[i64]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A text between parentheses: in quotes where they are needed to read it back.
fn written(text: &str) -> String {
    if is_quoted(text) || text.trim() != text { format!("\"{text}\"") } else { text.to_owned() }
}

pub(in crate::policy) fn is_quoted(text: &str) -> bool {
    ['"', '\''].into_iter().any(|quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn any_mask() -> impl Strategy<Value = Mask> {
        prop_oneof![
            Just(Mask::Null),
            Just(Mask::Email),
            (0..Unit::ALL.len()).prop_map(|unit| Mask::Calendar(Unit::ALL[unit].0)),
            Just(Mask::Token),
            prop_oneof![
                Just(Mask::Name(NamePart::Full)),
                Just(Mask::Name(NamePart::Given)),
                Just(Mask::Name(NamePart::Family)),
                Just(Mask::Account),
                Just(Mask::Card),
                Just(Mask::PostalArea),
                Just(Mask::TaxNumber),
                Just(Mask::CompanyNumber),
                Just(Mask::Network),
                Just(Mask::Host),
                Just(Mask::Phone(PhonePart::Area)),
                Just(Mask::Address(AddressPart::Town)),
                Just(Mask::Address(AddressPart::Suburb)),
            ],
            (0..=4_u32).prop_map(|n| Mask::Phone(PhonePart::Last(n))),
            (any::<bool>(), any::<bool>()).prop_map(|(year, sex)| Mask::SaId { year, sex }),
            (1..=100_u32).prop_map(|n| Mask::Noise(Noise::Percent(n))),
            (1..=MAX_DAYS).prop_map(|n| Mask::Noise(Noise::Days(n))),
            (1..=MAX_DAYS).prop_map(|n| Mask::Noise(Noise::Hours(n))),
            (1..=MAX_DAYS).prop_map(Mask::Shift),
            (1..=MAX_BAND).prop_map(Mask::Range),
            proptest::collection::btree_set(any::<i64>(), 1..5)
                .prop_map(|steps| Mask::Steps(steps.into_iter().collect())),
            proptest::collection::btree_set("[a-z_]{1,3}", 1..5).prop_map(Mask::Keys),
            (0..=5_u32, "[ -~'\"(),]{0,9}", 0..=5_u32).prop_map(|(prefix, text, suffix)| Mask::Partial {
                prefix,
                text,
                suffix
            }),
            (0..=MAX_KEPT).prop_map(Mask::First),
            (0..=MAX_KEPT).prop_map(Mask::Last),
            (1..=MAX_BAND).prop_map(Mask::Band),
            (1..=40_u64).prop_map(Mask::Band),
            "[ -~'\"()]{0,12}".prop_map(Mask::Fixed),
            "\\PC{0,12}".prop_map(Mask::Fixed),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mask in any_mask()) {
            prop_assert_eq!(mask.to_string().parse::<Mask>().unwrap(), mask);
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = text.parse::<Mask>();
        }

        #[test]
        fn the_order_of_masks_does_not_matter(a in any_mask(), b in any_mask(), c in any_mask()) {
            prop_assert_eq!(a.clone().meet(b.clone()), b.clone().meet(a.clone()));
            prop_assert_eq!(a.clone().meet(a.clone()), a.clone());
            prop_assert_eq!(a.clone().meet(b.clone()).meet(c.clone()), a.meet(b.meet(c)));
        }

        #[test]
        fn what_two_masks_share_fits_where_both_fit(a in any_mask(), b in any_mask()) {
            for class in [TypeClass::Text, TypeClass::Integer, TypeClass::Date, TypeClass::TimestampTz, TypeClass::Uuid, TypeClass::Float, TypeClass::Inet, TypeClass::Jsonb] {
                if a.fits(class) && b.fits(class) {
                    prop_assert!(a.clone().meet(b.clone()).fits(class));
                }
            }
        }
    }

    #[test]
    fn quotes_around_a_fixed_text_are_optional() {
        for written in ["fixed(hidden)", "fixed('hidden')", "fixed( \"hidden\" )"] {
            assert_eq!(written.parse(), Ok(Mask::Fixed("hidden".into())), "{written}");
        }
    }

    #[test]
    fn a_mask_that_is_not_one_is_told_why() {
        for (written, told) in [
            ("hash", "there is no mask `hash`"),
            ("first", "takes a whole number"),
            ("first(-1)", "takes a whole number"),
            ("first(1", "not closed"),
            ("null(3)", "takes nothing"),
            ("band(0)", "takes a whole number from 1"),
            ("fixed", "takes a text"),
            ("fixed(a\nb)", "no control characters"),
            ("hash", "`token` is the keyed"),
            ("shuffle", "real values"),
            ("partial(1, x)", "as in `partial(2, ****, 3)`"),
            ("noise(3)", "as in `noise(10%)`"),
            ("noise(0%)", "as in `noise(10%)`"),
            ("shift(10)", "as in `shift(30 days)`"),
            ("steps(3, 1)", "in ascending order"),
            ("sa_id(day)", "`sa_id(year, sex)`"),
            ("phone(5)", "at most 4"),
            ("address", "`address(suburb)`"),
            ("keys()", "as in `keys(plan, country)`"),
            ("name(middle)", "`name(given)`"),
        ] {
            let error = written.parse::<Mask>().unwrap_err();
            assert!(error.contains(told), "{written}: {error}");
        }
    }

    #[test]
    fn bands_meet_at_their_common_multiple() {
        assert_eq!(Mask::Band(4).meet(Mask::Band(6)), Mask::Band(12));
        assert_eq!(Mask::Band(MAX_BAND).meet(Mask::Band(2)), Mask::Null);
        assert_eq!(Mask::First(3).meet(Mask::First(1)), Mask::First(1));
        assert_eq!(Mask::First(3).meet(Mask::Last(1)), Mask::Null);
    }
}
