//! Masks over texts, and over what is written in them. `text` is the column as an expression of type `text`.

use std::collections::BTreeSet;

use crate::catalog::quote_literal;
use crate::policy::{AddressPart, PhonePart};

/// The text without what people write between digits.
fn digits(text: &str) -> String {
    format!("pg_catalog.regexp_replace({text}, '[^0-9]', '', 'g')")
}

/// `shown` where the text has this form, else a constant.
fn where_it_is(text: &str, form: &str, shown: &str, otherwise: &str) -> String {
    format!("CASE WHEN {text} ~ {} THEN {shown} ELSE {} END", quote_literal(form), quote_literal(otherwise))
}

/// `n` characters shown and the rest as stars; a value that is not longer than `n` is all stars.
pub(super) fn first(text: &str, n: u32) -> String {
    kept(text, "rpad", "left", n)
}

/// The same from the end.
pub(super) fn last(text: &str, n: u32) -> String {
    kept(text, "lpad", "right", n)
}

fn kept(text: &str, padded: &str, part: &str, n: u32) -> String {
    let length = format!("pg_catalog.length({text})");
    let shown = format!("CASE WHEN {length} > {n} THEN {n} ELSE 0 END");
    format!("pg_catalog.{padded}(pg_catalog.{part}({text}, {shown}), {length}, '*')")
}

pub(super) fn partial(text: &str, prefix: u32, between: &str, suffix: u32) -> String {
    let (between, shown) = (quote_literal(between), u64::from(prefix) + u64::from(suffix));
    format!(
        "CASE WHEN pg_catalog.length({text}) > {shown} THEN pg_catalog.concat(pg_catalog.left({text}, {prefix}), {between}, \
         pg_catalog.right({text}, {suffix})) ELSE {between} END"
    )
}

/// What stands behind the last dot is shown where it can be the end of an address, and is no text of its own.
pub(super) fn email(text: &str) -> String {
    format!(
        "pg_catalog.concat(pg_catalog.left({text}, 1), '***@', pg_catalog.left(pg_catalog.split_part({text}, '@', 2), 1), \
         '***', (pg_catalog.regexp_match({text}, '@.*([.][A-Za-z0-9-]{{2,24}})$'))[1])"
    )
}

/// Thirteen digits: date of birth, four for the sequence (from 5000: male), citizenship, one that has no meaning any
/// more, and the check digit.
pub(super) fn sa_id(text: &str, year: bool, sex: bool) -> String {
    let digits = digits(text);
    let born = if year { format!("pg_catalog.left({digits}, 2)") } else { "'**'".to_owned() };
    // The digit itself is a tenth of the sequence number: only what it says of the sex is shown.
    let sex = if sex {
        format!("CASE WHEN pg_catalog.substr({digits}, 7, 1) < '5' THEN '0' ELSE '5' END")
    } else {
        "'*'".to_owned()
    };
    let shown = format!("pg_catalog.concat({born}, '****', {sex}, '******')");
    where_it_is(&digits, "^[0-9]{13}$", &shown, "*************")
}

/// `+27` and nine digits, however it is written.
pub(super) fn phone(text: &str, part: PhonePart) -> String {
    let digits = format!("pg_catalog.regexp_replace({text}, '[^0-9+]', '', 'g')");
    let shown = match part {
        PhonePart::Last(n) => {
            let stars = "*".repeat(9_usize.saturating_sub(n.try_into().unwrap_or(9)));
            format!("pg_catalog.concat('+27{stars}', pg_catalog.right({digits}, {n}))")
        }
        PhonePart::Area => {
            format!("pg_catalog.concat('+27', pg_catalog.left(pg_catalog.right({digits}, 9), 2), '*******')")
        }
    };
    where_it_is(&digits, "^([+]27|0027|27|0)[1-9][0-9]{8}$", &shown, "+***********")
}

pub(super) fn account(text: &str) -> String {
    let digits = digits(text);
    let shown = format!("pg_catalog.concat('******', pg_catalog.right({digits}, 3))");
    where_it_is(&digits, "^[0-9]{7,20}$", &shown, "*********")
}

/// PCI DSS 3.4.1 lets no more be shown than the first six and the last four.
pub(super) fn card(text: &str) -> String {
    let digits = digits(text);
    let shown = format!("pg_catalog.concat('**** **** **** ', pg_catalog.right({digits}, 4))");
    where_it_is(&digits, "^[0-9]{12,19}$", &shown, "**** **** **** ****")
}

/// What stands after the last comma, or the last but one, as far as there is no digit in it and something before it. A
/// postal code at the end is left out.
pub(super) fn address(text: &str, part: AddressPart) -> String {
    let lines = format!("pg_catalog.regexp_replace({text}, '[[:space:]]*([,;]|[\r\n])+[[:space:]]*', ', ', 'g')");
    let plain = format!("pg_catalog.regexp_replace({lines}, '[[:space:],]+[0-9]{{4}}[[:space:],.]*$', '')");
    let ending = |form: &str| format!("(pg_catalog.regexp_match({plain}, '{form}'))[1]");
    let town = ending("[^,]+, ([^,0-9]+)$");
    match part {
        AddressPart::Town => format!("COALESCE({town}, '***')"),
        AddressPart::Suburb => format!("COALESCE({}, {town}, '***')", ending("[^,]+, ([^,0-9]+, [^,0-9]+)$")),
    }
}

pub(super) fn postal_area(text: &str) -> String {
    let digits = digits(text);
    where_it_is(&digits, "^[0-9]{4}$", &format!("pg_catalog.concat(pg_catalog.left({digits}, 2), '**')"), "****")
}

pub(super) fn tax_number(text: &str) -> String {
    let digits = digits(text);
    let shown = format!("pg_catalog.concat('*******', pg_catalog.right({digits}, 3))");
    where_it_is(&digits, "^[0-9]{10}$", &shown, "**********")
}

/// `2012/123456/07`: the year of registration, a sequence number, the kind of company.
pub(super) fn company_number(text: &str) -> String {
    let text = format!("pg_catalog.btrim({text})");
    let shown = format!("pg_catalog.concat(pg_catalog.left({text}, 4), '/******/', pg_catalog.right({text}, 2))");
    where_it_is(&text, "^[0-9]{4}/[0-9]{6}/[0-9]{2}$", &shown, "****/******/**")
}

/// Scheme and host, without user, port, path, query and fragment. What is a plain address is told by a test that captures nothing and
/// cut at its signs, which is a sixth of the cost of a match; what has a user, or a host in brackets, is matched. Nothing is shown
/// of an address that has a user and no host behind it.
pub(super) fn host(text: &str) -> String {
    let plain = "^[A-Za-z][A-Za-z0-9+.-]*://[^][/?#:@[:space:]]+(:[0-9]*)?($|[/?#])";
    let part = |whole: &str, sign: char, at: u8| format!("pg_catalog.split_part({whole}, '{sign}', {at})");
    let host = [':', '?', '#'].iter().fold(part(text, '/', 3), |host, sign| part(&host, *sign, 1));
    let scheme = part(text, '/', 1);
    let found = format!(
        "pg_catalog.regexp_match({text}, '^[[:space:]]*([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([[][0-9A-Fa-f:.]+[]]|[^][/?#:@[:space:]]+)(?![^/?#]*@)')"
    );
    format!(
        "CASE WHEN {text} ~ '{plain}' THEN {scheme} || '//' || {host} || '/' \
         ELSE COALESCE(pg_catalog.array_to_string({found}, '') || '/', '***') END"
    )
}

/// An address that is kept as text: /24 of version 4, /48 of version 6 where its first three groups are written out. The tests
/// capture nothing, which is a sixth of the cost of a match that does.
pub(super) fn network(text: &str) -> String {
    let group = |at: u8| format!("pg_catalog.split_part({text}, ':', {at})");
    let four = "^[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}";
    let cut = |address: &str| format!("pg_catalog.rtrim({address}, '0123456789') || '0/24'");
    format!(
        "CASE WHEN {text} ~ '{four}$' THEN {} WHEN {text} ~ '{four}/[0-9]+$' THEN {} \
         WHEN {text} ~ '^([0-9A-Fa-f]{{1,4}}:){{3}}[0-9A-Fa-f:]*(/[0-9]+)?$' \
         THEN pg_catalog.concat({}, ':', {}, ':', {}, '::/48') ELSE '***' END",
        cut(text),
        cut(&format!("pg_catalog.split_part({text}, '/', 1)")),
        group(1),
        group(2),
        group(3)
    )
}

/// These keys of an object, where it has them; JSON's `null` for what is no object.
pub(super) fn keys(value: &str, keys: &BTreeSet<String>) -> String {
    let object = "'{}'::pg_catalog.jsonb";
    let kept = keys.iter().map(|key| {
        let key = format!("{}::pg_catalog.text", quote_literal(key));
        format!(
            " || CASE WHEN ({value} -> {key}) IS NULL THEN {object} ELSE pg_catalog.jsonb_build_object({key}, {value} -> {key}) END"
        )
    });
    let kept: String = kept.collect();
    format!(
        "CASE WHEN pg_catalog.jsonb_typeof({value}) = 'object' THEN {object}{kept} ELSE 'null'::pg_catalog.jsonb END"
    )
}
