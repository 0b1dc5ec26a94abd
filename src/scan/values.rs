//! What the values of a column propose, and what they refute.

use super::judge::Class;
use super::kind::Kind;
use super::profile::{Check, Profile};

/// One thing that the values may be.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) kind: Kind,
    pub(super) confidence: f64,
    /// How many values.
    pub(super) hits: usize,
    /// What they have, in words.
    pub(super) what: &'static str,
    /// A check that chance does not pass: it stands against the name too.
    pub(super) certain: bool,
}

/// A check that proposes a kind by itself: from which share, how many values at least, how sure at a full share, and whether chance can pass it.
struct ByCheck(Check, Kind, f64, usize, f64, bool, &'static str);

const BY_CHECK: &[ByCheck] = &[
    ByCheck(Check::Email, Kind::Email, 0.5, 1, 0.97, true, "an e-mail address"),
    ByCheck(Check::Identity, Kind::NationalId, 0.5, 1, 0.97, true, "13 digits, a date, check digit right"),
    ByCheck(
        Check::IdentityWithoutZeros,
        Kind::NationalId,
        0.5,
        3,
        0.9,
        true,
        "13 digits but for leading zeros, a date, check digit right",
    ),
    ByCheck(
        Check::Dialled,
        Kind::Phone,
        0.5,
        1,
        0.92,
        true,
        "a number of a telephone number plan, written to be dialled",
    ),
    ByCheck(Check::PhoneDigits, Kind::Phone, 0.95, 20, 0.55, false, "digits of a telephone number plan"),
    ByCheck(Check::Iban, Kind::Financial, 0.5, 1, 0.97, true, "an IBAN, check digits right"),
    ByCheck(Check::Card, Kind::Financial, 0.7, 2, 0.93, true, "a payment card's first digits, check digit right"),
    ByCheck(Check::Branch, Kind::Financial, 0.8, 4, 0.75, false, "a bank's branch code"),
    ByCheck(Check::Ip, Kind::Network, 0.6, 2, 0.85, false, "an address of the Internet"),
    ByCheck(Check::Mac, Kind::Device, 0.6, 1, 0.93, true, "a hardware address"),
    ByCheck(Check::CoordinatePair, Kind::Location, 0.6, 1, 0.85, true, "a latitude and a longitude"),
    ByCheck(Check::Company, Kind::Organisation, 0.6, 1, 0.9, true, "a registration of CIPC"),
    ByCheck(Check::DriverLicence, Kind::DriverLicence, 0.8, 5, 0.7, false, "the form of a driver's licence"),
    ByCheck(Check::Plate, Kind::Vehicle, 0.7, 4, 0.85, false, "the form of a number plate"),
    ByCheck(Check::Council, Kind::PersonId, 0.7, 3, 0.85, false, "a registration with a health council"),
    ByCheck(Check::IncomeTax, Kind::TaxNumber, 0.9, 8, 0.85, false, "ten digits of a tax number, check digit right"),
    ByCheck(Check::Vat, Kind::Organisation, 0.9, 6, 0.85, false, "ten digits of a VAT number, check digit right"),
    ByCheck(Check::Address, Kind::Address, 0.5, 1, 0.88, false, "a street address"),
];

/// Everything that the values may be, in no particular order.
pub(super) fn proposals(profile: &Profile, class: Class, people: bool) -> Vec<Proposal> {
    let mut found = Vec::new();
    if matches!(class, Class::Bool | Class::Uuid | Class::Bytes | Class::Document) || profile.n == 0 {
        return found;
    }
    if matches!(class, Class::Inet) {
        found.push(Proposal {
            kind: Kind::Network,
            confidence: 0.85,
            hits: profile.n,
            what: "an address of the Internet, by its type",
            certain: true,
        });
    }
    if matches!(class, Class::Mac) {
        found.push(Proposal {
            kind: Kind::Device,
            confidence: 0.85,
            hits: profile.n,
            what: "a hardware address, by its type",
            certain: true,
        });
    }
    for ByCheck(check, kind, from, least, full, certain, what) in BY_CHECK {
        let share = profile.share(*check);
        if share >= *from && profile.distinct >= *least && !is_trap(*check, profile) {
            found.push(Proposal {
                kind: *kind,
                confidence: full * (0.6 + 0.4 * share),
                hits: profile.hits(*check),
                what,
                certain: *certain,
            });
        }
    }
    found.extend(names(profile, people));
    found.extend(vocabulary(profile));
    found.extend(born(profile, class, people));
    found.extend(free_text(profile));
    found
}

/// What passes a check and is something else.
fn is_trap(check: Check, profile: &Profile) -> bool {
    match check {
        // Digits that are bar codes or moments: one in ten passes another check digit too.
        Check::Identity
        | Check::IdentityWithoutZeros
        | Check::Card
        | Check::IncomeTax
        | Check::Vat
        | Check::PhoneDigits => {
            let others = profile.share(Check::Ean).max(profile.share(Check::Epoch));
            others > profile.share(check)
        }
        // Money and measures.
        Check::Branch => profile.distinct < 2,
        Check::Address => {
            profile.share(Check::Url) > 0.3 || (profile.share(Check::Prose) > 0.9 && profile.share(Check::Long) > 0.7)
        }
        _ => false,
    }
}

fn names(profile: &Profile, people: bool) -> Option<Proposal> {
    let whole = profile.hits(Check::PersonWhole);
    let known = whole + profile.hits(Check::PersonPart);
    let form = known + profile.hits(Check::PersonForm);
    let share = |hits: usize| ratio(hits, profile.n);
    let what = "a first name and a surname";
    let several = profile.distinct >= 3;
    if share(whole) >= 0.35 && share(form) >= 0.8 && profile.distinct >= 2 && profile.share(Check::OneWord) < 0.5 {
        return Some(Proposal {
            kind: Kind::PersonName,
            confidence: 0.6 + 0.35 * share(whole),
            hits: whole,
            what,
            certain: false,
        });
    }
    if share(known) >= 0.6 && share(form) >= 0.85 && several && profile.share(Check::OneWord) < 0.5 {
        let confidence = if people { 0.7 } else { 0.56 };
        return Some(Proposal {
            kind: Kind::PersonName,
            confidence,
            hits: known,
            what: "words, one of them a known name of people",
            certain: false,
        });
    }
    let alone = profile.hits(Check::FirstNameAlone);
    if share(alone) >= 0.7 && profile.distinct >= 4 && profile.share(Check::OneWord) >= 0.9 {
        let confidence = if people { 0.75 } else { 0.55 };
        return Some(Proposal {
            kind: Kind::PersonName,
            confidence,
            hits: alone,
            what: "a first name",
            certain: false,
        });
    }
    None
}

fn vocabulary(profile: &Profile) -> Option<Proposal> {
    let best = profile
        .vocabularies()
        .filter(|(_, share, marks)| *share >= 0.8 && *marks >= 2 && profile.n >= 3)
        .max_by(|a, b| (a.1, a.2).partial_cmp(&(b.1, b.2)).unwrap_or(std::cmp::Ordering::Equal))?;
    let kind = Kind::named(best.0)?;
    // M and F alone are letters; the other vocabularies are words.
    let confidence = if kind == Kind::Gender && profile.distinct <= 3 && profile.share(Check::Letters) > 0.9 {
        0.66
    } else {
        0.5 + 0.3 * best.1
    };
    Some(Proposal { kind, confidence, hits: scaled(best.1, profile.n), what: "a word of that kind", certain: false })
}

/// Dates that lie where births lie: long ago and far apart, in a table about people.
fn born(profile: &Profile, class: Class, people: bool) -> Option<Proposal> {
    let (from, to) = profile.years?;
    let dated = profile.share(Check::Dated) >= 0.9 || class == Class::Date;
    let long_ago = from <= 1985 && to - from >= 20 && to <= 2022;
    (dated && long_ago && people && profile.distinct >= 5).then_some(Proposal {
        kind: Kind::Birth,
        confidence: 0.62,
        hits: profile.n,
        what: "a date, as old and as far apart as births",
        certain: false,
    })
}

fn free_text(profile: &Profile) -> Option<Proposal> {
    let mentions = profile.hits(Check::Mention);
    let prose = profile.share(Check::Prose) >= 0.4;
    (prose && mentions >= 2 && ratio(mentions, profile.n) >= 0.1).then(|| Proposal {
        kind: Kind::FreeText,
        confidence: 0.6 + 0.3 * ratio(mentions, profile.n),
        hits: mentions,
        what: "text that mentions people",
        certain: false,
    })
}

/// Why values cannot be of the kind that the name says; `None`: they can.
pub(super) fn refuted(kind: Kind, profile: &Profile) -> Option<&'static str> {
    let most = |check: Check| profile.share(check) > 0.6;
    if most(Check::Boolean)
        && !kind.is_special()
        && !matches!(kind, Kind::Family | Kind::Gender | Kind::Birth | Kind::Area)
    {
        return Some("the values are yes or no");
    }
    let digits_enough = ratio(profile.five_digits, profile.n) >= 0.5;
    match kind {
        Kind::PersonName | Kind::UserName | Kind::Social => {
            if !most(Check::Letters) {
                Some("the values hold no letters")
            } else if most(Check::Url) && kind == Kind::PersonName {
                Some("the values are addresses of pages")
            } else if most(Check::Dated) {
                Some("the values are dates")
            } else {
                None
            }
        }
        Kind::Email => (!most(Check::Letters)).then_some("the values hold no letters"),
        Kind::Phone => (!most(Check::LooksDialled)).then_some("the values have not the digits of a telephone number"),
        Kind::NationalId | Kind::Passport | Kind::TaxNumber | Kind::DriverLicence | Kind::TrafficRegister => {
            (!digits_enough).then_some("the values have too few digits")
        }
        Kind::Address => (most(Check::Number) || !most(Check::Letters)).then_some("the values are numbers"),
        Kind::Area | Kind::Vehicle => most(Check::Long).then_some("the values are long texts"),
        Kind::Location => (profile.share(Check::Coordinate) + profile.share(Check::CoordinatePair) < 0.3
            && !most(Check::Number))
        .then_some("the values are no coordinates"),
        Kind::Birth => (profile.share(Check::Number) < 0.3
            && profile.years.is_none()
            && ratio(profile.five_digits, profile.n) < 0.3
            && !most(Check::Letters))
        .then_some("the values are no dates or ages"),
        Kind::Gender => (most(Check::Long) || most(Check::Prose)).then_some("the values are texts"),
        Kind::Network => (!most(Check::Ip) && ratio(profile.five_digits, profile.n) < 0.5 && !most(Check::Letters))
            .then_some("the values are no addresses"),
        Kind::PersonId => (most(Check::Prose) || most(Check::Url)).then_some("the values are texts"),
        Kind::FreeText => Some("the values mention no people"),
        Kind::Photo => most(Check::Number).then_some("the values are numbers"),
        Kind::Employment
        | Kind::Nationality
        | Kind::Language
        | Kind::Organisation
        | Kind::Family
        | Kind::Financial
        | Kind::Credential
        | Kind::Device
        | Kind::Health
        | Kind::Race
        | Kind::Religion
        | Kind::Politics
        | Kind::Union
        | Kind::SexLife
        | Kind::Biometric
        | Kind::Crime
        | Kind::Document
        | Kind::None => None,
    }
}

pub(super) fn ratio(hits: usize, of: usize) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    if of == 0 { 0.0 } else { count(hits) / count(of) }
}

/// How many of `of` a share is.
fn scaled(share: f64, of: usize) -> usize {
    (0..=of).find(|hits| ratio(*hits, of) + 1e-9 >= share).unwrap_or(of)
}
