//! Reads a mask as a policy writes it.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::policy::model::mask::{
    AddressPart, MAX_BAND, MAX_DAYS, MAX_FIXED, MAX_KEPT, MAX_LISTED, Mask, NamePart, Noise, PhonePart, Unit, is_quoted,
};

/// All masks, for who writes one that is not there.
const ALL: &str = "`null`, `fixed(text)`, `first(n)`, `last(n)`, `partial(n, text, n)`, `email`, `hour`, `day`, `week`, \
    `month`, `quarter`, `year`, `decade`, `band(n)`, `range(n)`, `steps(n, ...)`, `noise(n%)`, `noise(n days)`, \
    `noise(n hours)`, `shift(n days)`, `token`, `name`, `sa_id`, `phone`, `account`, `card`, `address(suburb)`, \
    `address(town)`, `postal_area`, `tax_number`, `company_number`, `network`, `host`, `keys(key, ...)`";

/// Reads `null`, `first(1)`, `fixed(hidden)`, `fixed("hidden")`, `band(10)` ... The error says what is wrong.
impl FromStr for Mask {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let text = written.trim();
        let (name, argument) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(argument) => (name.trim(), Some(argument)),
                None => return Err(format!("mask `{written}` is not closed with `)`")),
            },
        };
        let plain = |mask: Self| match argument {
            None => Ok(mask),
            Some(_) => Err(format!("mask `{name}` takes nothing in parentheses")),
        };
        let number = |max: u64, least: u64| {
            argument
                .and_then(|argument| argument.trim().parse::<u64>().ok())
                .filter(|number| (least..=max).contains(number))
                .ok_or_else(|| format!("mask `{name}` takes a whole number from {least} to {max}, as in `{name}(4)`"))
        };
        let kept = || number(u64::from(MAX_KEPT), 0).map(|n| u32::try_from(n).unwrap_or(0));
        if let Some((unit, _)) = Unit::ALL.iter().find(|(_, unit)| *unit == name) {
            return plain(Self::Calendar(*unit));
        }
        match name {
            "null" => plain(Self::Null),
            "email" => plain(Self::Email),
            "token" => plain(Self::Token),
            "account" => plain(Self::Account),
            "card" => plain(Self::Card),
            "postal_area" => plain(Self::PostalArea),
            "tax_number" => plain(Self::TaxNumber),
            "company_number" => plain(Self::CompanyNumber),
            "network" => plain(Self::Network),
            "host" => plain(Self::Host),
            "first" => kept().map(Self::First),
            "last" => kept().map(Self::Last),
            "band" => number(MAX_BAND, 1).map(Self::Band),
            "range" => number(MAX_BAND, 1).map(Self::Range),
            "fixed" => match argument {
                Some(text) => constant(name, text).map(Self::Fixed),
                None => Err("mask `fixed` takes a text, as in `fixed(hidden)`".to_owned()),
            },
            "partial" => partial(argument.unwrap_or_default()),
            "steps" => steps(argument.unwrap_or_default()),
            "noise" => noise(argument.unwrap_or_default()),
            "shift" => match amount(argument.unwrap_or_default()) {
                Some((days, "day" | "days")) => Ok(Self::Shift(days)),
                Some(_) | None => Err(format!("mask `shift` takes from 1 to {MAX_DAYS} days, as in `shift(30 days)`")),
            },
            "name" => match argument.map(str::trim) {
                None => Ok(Self::Name(NamePart::Full)),
                Some("given") => Ok(Self::Name(NamePart::Given)),
                Some("family") => Ok(Self::Name(NamePart::Family)),
                Some(_) => Err("mask `name` is `name`, `name(given)` or `name(family)`".to_owned()),
            },
            "sa_id" => sa_id(argument),
            "phone" => match argument.map(str::trim) {
                None => Ok(Self::Phone(PhonePart::Last(2))),
                Some("area") => Ok(Self::Phone(PhonePart::Area)),
                Some(digits) => match digits.parse() {
                    Ok(digits @ 0..=4) => Ok(Self::Phone(PhonePart::Last(digits))),
                    Ok(_) | Err(_) => {
                        Err("mask `phone` keeps at most 4 digits, as in `phone(2)`, or `phone(area)`".to_owned())
                    }
                },
            },
            "address" => match argument.map(str::trim) {
                Some("town") => Ok(Self::Address(AddressPart::Town)),
                Some("suburb") => Ok(Self::Address(AddressPart::Suburb)),
                Some(_) | None => Err("mask `address` is `address(suburb)` or `address(town)`".to_owned()),
            },
            "keys" => keys(argument.unwrap_or_default()),
            "shuffle" => Err(
                "there is no mask `shuffle`: it shows real values, which a rare one is told by, and reads the whole \
                 table for each statement; `token` and `name` put made-up values there"
                    .to_owned(),
            ),
            _ => Err(format!(
                "there is no mask `{written}`: masks are {ALL}{}",
                if name == "hash" {
                    "; `token` is the keyed pseudonym: a hash without a key is undone by guessing"
                } else {
                    ""
                }
            )),
        }
    }
}

/// One pair of quotes around a text is taken off.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    if !is_quoted(text) {
        return text;
    }
    let mut inner = text.chars();
    inner.next();
    inner.next_back();
    inner.as_str()
}

fn constant(name: &str, text: &str) -> Result<String, String> {
    let text = unquoted(text);
    if text.len() > MAX_FIXED {
        Err(format!("mask `{name}` takes at most {MAX_FIXED} bytes"))
    } else if text.chars().any(char::is_control) {
        Err(format!("mask `{name}` takes no control characters"))
    } else {
        Ok(text.to_owned())
    }
}

/// `2, ****, 3`: the text may hold commas.
fn partial(argument: &str) -> Result<Mask, String> {
    let wrong = || {
        format!(
            "mask `partial` takes two whole numbers up to {MAX_KEPT} with a text between them, as in `partial(2, ****, 3)`"
        )
    };
    let (prefix, rest) = argument.split_once(',').ok_or_else(wrong)?;
    let (text, suffix) = rest.rsplit_once(',').ok_or_else(wrong)?;
    let kept = |text: &str| text.trim().parse::<u32>().ok().filter(|kept| *kept <= MAX_KEPT).ok_or_else(wrong);
    Ok(Mask::Partial { prefix: kept(prefix)?, text: constant("partial", text)?, suffix: kept(suffix)? })
}

fn steps(argument: &str) -> Result<Mask, String> {
    let wrong = || {
        format!("mask `steps` takes up to {MAX_LISTED} whole numbers in ascending order, as in `steps(0, 18, 35, 65)`")
    };
    let steps: Vec<i64> =
        argument.split(',').map(|step| step.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let ascending = steps.is_sorted_by(|a, b| a < b) && steps.len() <= MAX_LISTED;
    if ascending { Ok(Mask::Steps(steps)) } else { Err(wrong()) }
}

/// `30 days`.
fn amount(argument: &str) -> Option<(u32, &str)> {
    let (number, unit) = argument.trim().split_once(' ')?;
    let number = number.parse().ok().filter(|number| (1..=MAX_DAYS).contains(number))?;
    Some((number, unit.trim()))
}

fn noise(argument: &str) -> Result<Mask, String> {
    let percent = argument.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let noise = match (percent, amount(argument)) {
        (Some(percent @ 1..=100), _) => Some(Noise::Percent(percent)),
        (_, Some((days, "day" | "days"))) => Some(Noise::Days(days)),
        (_, Some((hours, "hour" | "hours"))) => Some(Noise::Hours(hours)),
        (_, _) => None,
    };
    noise.map(Mask::Noise).ok_or_else(|| {
        format!(
            "mask `noise` takes from 1 to 100 per cent, or up to {MAX_DAYS} days or hours, as in `noise(10%)`, `noise(30 days)`"
        )
    })
}

fn sa_id(argument: Option<&str>) -> Result<Mask, String> {
    let mut mask = (false, false);
    for kept in argument.into_iter().flat_map(|argument| argument.split(',')) {
        match kept.trim() {
            "year" => mask.0 = true,
            "sex" => mask.1 = true,
            _ => {
                return Err(
                    "mask `sa_id` keeps nothing, or what is named, as in `sa_id(year)`, `sa_id(sex)`, `sa_id(year, sex)`"
                        .to_owned(),
                );
            }
        }
    }
    Ok(Mask::SaId { year: mask.0, sex: mask.1 })
}

fn keys(argument: &str) -> Result<Mask, String> {
    let keys: BTreeSet<String> = argument.split(',').map(|key| key.trim().to_owned()).collect();
    let plain = |key: &String| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-. ".contains(c));
    if keys.iter().all(plain) && keys.len() <= MAX_LISTED {
        Ok(Mask::Keys(keys))
    } else {
        Err(format!(
            "mask `keys` takes up to {MAX_LISTED} names of letters, digits, `_`, `-` and `.`, as in `keys(plan, country)`"
        ))
    }
}
