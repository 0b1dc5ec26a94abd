//! Dates, as far as their years are concerned.

/// The year of a date in any usual form: `1980-01-31`, `31/01/1980`, `Jan 31, 1980`, `1980`; with a time behind it too.
pub(in crate::scan) fn year(text: &str) -> Option<i16> {
    let text = text.trim();
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 4);
    let mut years = runs.filter_map(|run| run.parse::<i16>().ok()).filter(|year| (1880..=2100).contains(year));
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    (text.chars().count() <= 35 && letters <= 12).then(|| years.next()).flatten()
}

/// Years of a life, written as a number.
pub(in crate::scan) fn age(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok_and(|number| (0.0..=120.0).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_is_found_in_any_usual_form() {
        for (text, found) in [
            ("1980-01-31", Some(1980)),
            ("31/01/1980", Some(1980)),
            ("Jan 31, 1980", Some(1980)),
            ("1980-01-31 10:00:00+02", Some(1980)),
            ("12.50", None),
            ("8001015009087", None),
        ] {
            assert_eq!(year(text), found, "{text}");
        }
    }
}
