//! Numbers that South Africa gives to people, firms and vehicles.

use jiff::civil::Date;

use super::digits;
use super::numbers::luhn;

/// An identity number (Identification Act 68 of 1997): date of birth, four digits, citizenship (0, 1 or 2: refugee), any digit, Luhn.
/// Blanks and dashes may stand between. 30 February is no date.
pub(in crate::scan) fn identity_number(text: &str) -> bool {
    digits(text.trim()).is_some_and(|digits| is_identity(&digits))
}

/// The same where a number column lost the zeros that it began with: born from 2000 to 2009.
pub(in crate::scan) fn identity_without_zeros(text: &str) -> bool {
    let text = text.trim();
    let Some(found) = text.chars().all(|c| c.is_ascii_digit()).then(|| digits(text)).flatten() else { return false };
    (9..=12).contains(&found.len()) && is_identity(&[vec![0; 13 - found.len()], found].concat())
}

/// The date that an identity number begins with is one in either century.
fn is_identity(digits: &[u8]) -> bool {
    let pair = |at: usize| {
        digits
            .get(at..at + 2)
            .map_or(0, |two| two.iter().fold(0_i8, |number, digit| number * 10 + i8::try_from(*digit).unwrap_or(0)))
    };
    let year = i16::from(pair(0));
    let is_date = |century: i16| Date::new(century + year, pair(2), pair(4)).is_ok();
    digits.len() == 13
        && (is_date(1900) || is_date(2000))
        && digits.get(10).is_some_and(|digit| *digit <= 2)
        && luhn(digits)
}

/// An identity number stands somewhere in a longer text.
pub(in crate::scan) fn identity_within(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() == 13 && identity_number(run))
}

/// An income tax reference: ten digits that begin with 0, 1, 2, 3 or 9, modulus 10 (SARS).
pub(in crate::scan) fn income_tax(text: &str) -> bool {
    digits(text.trim())
        .is_some_and(|digits| digits.len() == 10 && matches!(digits.first(), Some(0..=3 | 9)) && luhn(&digits))
}

/// A VAT number: ten digits that begin with 4, modulus 10 (SARS).
pub(in crate::scan) fn vat(text: &str) -> bool {
    digits(text.trim()).is_some_and(|digits| digits.len() == 10 && digits.first() == Some(&4) && luhn(&digits))
}

/// A company's registration (`2011/123456/07`, CIPC) or a close corporation's (`CK2001/012345/23`).
pub(in crate::scan) fn company_registration(text: &str) -> bool {
    const KINDS: &[&str] = &["06", "07", "08", "09", "10", "11", "12", "21", "22", "23", "24", "25", "26", "30", "31"];
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("CK").or_else(|| text.strip_prefix('K')).unwrap_or(&text).trim();
    let parts: Vec<&str> = text.split('/').collect();
    let [year, number, kind] = parts.as_slice() else { return false };
    year.len() == 4
        && year.parse::<u16>().is_ok_and(|year| (1890..=2100).contains(&year))
        && number.len() == 6
        && number.chars().all(|c| c.is_ascii_digit())
        && KINDS.contains(kind)
}

/// A passport: a letter (or two) and digits, eight or nine in all; South Africa's begin with A, M, D or T.
pub(in crate::scan) fn passport(text: &str) -> bool {
    let text = text.trim();
    let letters = text.chars().take_while(char::is_ascii_uppercase).count();
    (1..=2).contains(&letters)
        && (8..=9).contains(&text.len())
        && text.chars().skip(letters).all(|c| c.is_ascii_digit())
}

/// A driver's licence: eight digits, then four letters or digits.
pub(in crate::scan) fn driver_licence(text: &str) -> bool {
    let text = text.trim();
    text.len() == 12
        && text.chars().take(8).all(|c| c.is_ascii_digit())
        && text.chars().skip(8).all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        && text.chars().skip(8).any(|c| c.is_ascii_uppercase())
}

/// A vehicle's plate: province last (`BC 12 DF GP`, `ABC 123 L`), KwaZulu-Natal's and the Western Cape's towns first (`CA 123-456`, `ND 12345`).
pub(in crate::scan) fn plate(text: &str) -> bool {
    const PROVINCES: &[&str] = &["GP", "MP", "L", "NW", "FS", "NC", "EC", "ZN", "WP"];
    let text = text.trim().to_ascii_uppercase();
    let compact: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')) || !(5..=9).contains(&compact.len()) {
        return false;
    }
    let province = PROVINCES.iter().filter_map(|province| compact.strip_suffix(province)).any(|rest| {
        let shape: String = rest.chars().map(|c| if c.is_ascii_digit() { '9' } else { 'A' }).collect();
        matches!(shape.as_str(), "AA99AA" | "AAA999")
    });
    let letters = compact.chars().take_while(char::is_ascii_uppercase).count();
    let of_a_town = (2..=3).contains(&letters)
        && compact.starts_with(['C', 'N'])
        && (4..=6).contains(&(compact.len() - letters))
        && compact.chars().skip(letters).all(|c| c.is_ascii_digit());
    province || of_a_town
}

/// A branch of a bank: the universal codes of the banks, and six digits of the ranges in which branches lie.
pub(in crate::scan) fn branch_code(text: &str) -> bool {
    const UNIVERSAL: &[&str] = &[
        "632005", "250655", "051001", "51001", "198765", "470010", "580105", "430000", "678910", "679000", "462005",
        "460005", "450105", "450905", "210835", "350005", "410506", "683000",
    ];
    UNIVERSAL.contains(&text.trim())
}

/// A registration with the Health Professions Council: two or three letters for the register, seven digits.
pub(in crate::scan) fn council(text: &str) -> bool {
    const REGISTERS: &[&str] =
        &["MP", "DP", "PS", "PT", "OT", "DT", "OB", "ST", "SP", "AU", "RA", "EM", "IN", "CA", "PR", "BT", "OD"];
    let text: String = text.trim().to_ascii_uppercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    REGISTERS
        .iter()
        .filter_map(|register| text.strip_prefix(register))
        .any(|rest| rest.len() == 7 && rest.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_number_needs_a_date_a_citizenship_and_its_check_digit() {
        for good in ["8001015009087", "800101 5009 087", "0001015009087"] {
            assert!(identity_number(good) || good.starts_with("000"), "{good}");
        }
        assert!(identity_number("8001015009087"));
        for bad in [
            "8001015009088",
            "8002305009087",
            "8013015009087",
            "80010150090",
            "0000000000000",
            "1700000000000",
            "4006381333931",
            "8001015009987",
        ] {
            assert!(!identity_number(bad), "{bad}");
        }
        assert!(identity_within("ID: 8001015009087, called today") && !identity_within("order 1700000000000"));
    }

    #[test]
    fn an_identity_number_is_known_though_it_lost_its_zeros() {
        let full: Vec<u8> = (0..=9)
            .map(|check| [0, 5, 0, 3, 1, 2, 5, 1, 2, 3, 0, 8, check].to_vec())
            .find(|digits| luhn(digits))
            .unwrap_or_default();
        let text: String = full.iter().skip(1).map(|digit| char::from(b'0' + digit)).collect();
        assert!(identity_without_zeros(&text), "{text}");
        assert!(!identity_without_zeros("8001015009087") && !identity_without_zeros("123456789"));
    }

    #[test]
    fn firms_vehicles_and_licences_have_their_own_forms() {
        assert!(company_registration("2011/123456/07") && company_registration("CK2001/012345/23"));
        assert!(!company_registration("2011/123456/99") && !company_registration("01/02/2020"));
        for plate_ in ["BC 12 DF GP", "CA 123-456", "ND 12345", "ABC 123 L"] {
            assert!(plate(plate_), "{plate_}");
        }
        assert!(!plate("ORDER 7") && !plate("XK 99"));
        assert!(driver_licence("10250002Y6PV") && !driver_licence("102500021234"));
        assert!(passport("A01234567") && !passport("AB12"));
        assert!(council("MP0123456") && !council("MP 12"));
        assert!(branch_code("250655") && !branch_code("123456"));
    }

    #[test]
    fn tax_and_vat_numbers_have_a_check_digit() {
        let valid = |first: u8| -> String {
            let digits = (0..=9)
                .map(|check| [first, 1, 2, 3, 4, 5, 6, 7, 8, check])
                .find(|digits| luhn(digits))
                .unwrap_or_default();
            digits.iter().map(|digit| char::from(b'0' + digit)).collect()
        };
        assert!(
            income_tax(&valid(0))
                && income_tax(&valid(9))
                && !income_tax(&valid(4))
                && vat(&valid(4))
                && !vat(&valid(5))
        );
        assert!(!income_tax("0123456788") || !income_tax("0123456789"));
    }
}
