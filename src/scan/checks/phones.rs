//! Telephone numbers, by Google's number plans (crate `phonenumber`).

use phonenumber::country;

/// How a number was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scan) enum Written {
    /// With `+`, brackets, blanks, dashes, or the zero that dialling within a country begins with: nobody writes a count so.
    AsANumberToDial,
    /// Digits alone, which could be anything.
    AsDigits,
}

/// Whether a number plan gives out that number: South Africa's, or with `+` its own country's; North America's for ten digits that are set off.
pub(in crate::scan) fn phone(text: &str) -> Option<Written> {
    let text = text.trim();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_decimal = text.starts_with('-') || (text.matches('.').count() == 1 && text.parse::<f64>().is_ok());
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | ' ' | '-' | '.' | '/' | '\u{a0}' | 'x');
    if !(9..=15).contains(&digits)
        || text.chars().count() > 24
        || !text.chars().all(allowed)
        || looks_dated(text)
        || is_decimal
    {
        return None;
    }
    let valid =
        |region, text: &str| phonenumber::parse(Some(region), text).is_ok_and(|number| phonenumber::is_valid(&number));
    let set_off = text.starts_with('+') || text.starts_with('(') || text.contains(['-', ' ', '.', '(']);
    let local = (text.starts_with('0') || text.starts_with("27") || set_off) && valid(country::ZA, text);
    if local || (text.starts_with("00") && valid(country::ZA, &text.replacen("00", "+", 1))) {
        return Some(if set_off || text.starts_with('0') { Written::AsANumberToDial } else { Written::AsDigits });
    }
    // 515.123.4567: three, three and four digits.
    let groups: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).map(str::len).filter(|len| *len > 0).collect();
    if matches!(groups.as_slice(), [3, 3, 4] | [1, 3, 3, 4]) && valid(country::US, text) {
        return Some(Written::AsANumberToDial);
    }
    // A mobile number that lost its zero. Other countries' digits alone are no evidence: some plan fits most long numbers.
    let bare = digits == 9 && text.starts_with(['6', '7', '8']) && valid(country::ZA, &format!("0{text}"));
    bare.then_some(Written::AsDigits)
}

/// `2024-01-31 10`, `31.01.2024 1015`: dates have as many digits.
fn looks_dated(text: &str) -> bool {
    let groups: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).map(str::len).collect();
    matches!(groups.as_slice(), [4, 2, 2, ..] | [2, 2, 4, ..])
}

/// Digits as many as a telephone number has, written in any way: enough where the name of the column says the rest.
pub(in crate::scan) fn looks_dialled(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    (6..=16).contains(&digits) && letters <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_plan_decides() {
        for dialled in [
            "082 555 1234",
            "+27 (0)82 555 1234",
            "0825551234",
            "0027 82 555 1234",
            "+27825551234",
            "(021) 461 5000",
            "+44 20 7946 0958",
        ] {
            assert_eq!(phone(dialled), Some(Written::AsANumberToDial), "{dialled}");
        }
        assert_eq!(phone("27825551234"), Some(Written::AsDigits));
        for other in [
            "2024-01-31 10",
            "1700000000000",
            "ORD-0001234",
            "12.50",
            "4006381333931",
            "0123",
            "8001015009087",
            "-33.9248685",
        ] {
            assert_ne!(phone(other), Some(Written::AsANumberToDial), "{other}");
        }
    }
}
