//! Names of encodings.

/// Whether a name of an encoding means UTF-8, as PostgreSQL reads such names: letters and digits count, their case does not
/// (`pg_char_to_encoding`).
pub fn is_utf8(encoding: &str) -> bool {
    let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.eq_ignore_ascii_case("utf8") || plain.eq_ignore_ascii_case("unicode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_utf_8_is_one_by_its_letters_and_digits() {
        assert!(["UTF8", "utf-8", "UNICODE", "Unicode", "UTF_8"].into_iter().all(is_utf8));
        assert!(!["LATIN1", "UTF16", "SQL_ASCII", ""].into_iter().any(is_utf8));
    }
}
