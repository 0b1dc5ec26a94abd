//! Check digits: Luhn (ISO/IEC 7812-1 annex B), IBAN (ISO 13616), payment cards, EAN-13.

use super::digits;

/// The Luhn sum is a multiple of ten.
pub(in crate::scan) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let doubled = u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// A card number of the big schemes: first digits and length that are issued, Luhn.
pub(in crate::scan) fn payment_card(text: &str) -> bool {
    let Some(digits) = digits(text.trim()) else { return false };
    let leading = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let issued = match digits.len() {
        13 | 19 => false, // 13: EAN-13 and epoch milliseconds are met far more often than the cards of that length.
        14 => matches!(leading(2), 36 | 38 | 39) || (300..=305).contains(&leading(3)),
        15 => matches!(leading(2), 34 | 37),
        16 => {
            leading(1) == 4
                || (51..=55).contains(&leading(2))
                || (2221..=2720).contains(&leading(4))
                || leading(4) == 6011
                || leading(2) == 65
                || (3528..=3589).contains(&leading(4))
        }
        _ => false,
    };
    issued && luhn(&digits)
}

/// An IBAN: country, check digits by modulus 97, length within what countries use.
pub(in crate::scan) fn iban(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    if !(15..=34).contains(&compact.len()) || !compact.iter().all(char::is_ascii_alphanumeric) {
        return false;
    }
    let (head, rest) = compact.split_at(4);
    let country = head.iter().take(2).all(char::is_ascii_alphabetic) && head.iter().skip(2).all(char::is_ascii_digit);
    let mut remainder = 0_u32;
    for c in rest.iter().chain(head) {
        let Some(value) = c.to_digit(36) else { return false };
        remainder = if value < 10 { remainder * 10 + value } else { remainder * 100 + value } % 97;
    }
    country && remainder == 1
}

/// An EAN-13, as stands under bar codes: what an article has, not a person.
pub(in crate::scan) fn ean13(text: &str) -> bool {
    let Some(digits) = digits(text.trim()) else { return false };
    let sum: u32 =
        digits.iter().enumerate().map(|(at, digit)| u32::from(*digit) * if at % 2 == 1 { 3 } else { 1 }).sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

/// Milliseconds since 1970 of the years 2001 to 2065.
pub(in crate::scan) fn epoch_milliseconds(text: &str) -> bool {
    let text = text.trim().split('.').next().unwrap_or_default();
    text.len() == 13 && text.parse::<u64>().is_ok_and(|number| (1_000_000_000_000..3_000_000_000_000).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_decide() {
        for card in ["4111 1111 1111 1111", "5555555555554444", "378282246310005", "6011-1111-1111-1117"] {
            assert!(payment_card(card), "{card}");
        }
        for other in ["4111111111111112", "1234567890123456", "9999999999999995", "4006381333931", ""] {
            assert!(!payment_card(other), "{other}");
        }
        assert!(iban("DE89 3704 0044 0532 0130 00") && iban("GB82WEST12345698765432"));
        assert!(!iban("DE88 3704 0044 0532 0130 00") && !iban("HELLO WORLD 12345"));
        assert!(ean13("4006381333931") && !ean13("4006381333932"));
        assert!(
            epoch_milliseconds("1700000000000")
                && epoch_milliseconds("1700000000000.0")
                && !epoch_milliseconds("8001015009087")
        );
    }
}
