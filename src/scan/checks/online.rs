//! Addresses of the net, and of the earth.

use std::net::IpAddr;

/// An e-mail address: something, `@`, a domain with a dot.
pub(in crate::scan) fn email(text: &str) -> bool {
    let text = text.trim();
    let text = text.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(text);
    let Some((local, domain)) = text.split_once('@') else { return false };
    let local_part = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let domain_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '-');
    let top = domain.rsplit('.').next().unwrap_or_default();
    !local.is_empty()
        && text.chars().count() <= 254
        && local.chars().all(local_part)
        && domain.contains('.')
        && domain.split('.').all(domain_part)
        && top.chars().count() >= 2
        && top.chars().all(char::is_alphabetic)
}

/// An e-mail address stands somewhere in a longer text.
pub(in crate::scan) fn email_within(text: &str) -> bool {
    text.contains('@')
        && text
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '(' | ')' | '"' | ':'))
            .any(|word| email(word.trim_end_matches(['.', '!', '?'])))
}

/// An address of the Internet, with a network's length or without.
pub(in crate::scan) fn ip(text: &str) -> bool {
    let text = text.trim();
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    (address.contains('.') || address.matches(':').count() >= 2) && address.parse::<IpAddr>().is_ok()
}

/// A hardware address: six pairs of hexadecimal digits.
pub(in crate::scan) fn mac(text: &str) -> bool {
    let text = text.trim();
    [':', '-'].iter().any(|mark| {
        let pairs: Vec<&str> = text.split(*mark).collect();
        pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit()))
    })
}

/// A latitude and a longitude with four digits behind the point or more, as text or as a point: `-33.9249,18.4241`.
pub(in crate::scan) fn coordinates(text: &str) -> bool {
    let inner = text
        .trim()
        .trim_start_matches(|c: char| c.is_alphabetic() || c == '=' || c == ';')
        .trim_start_matches(['(', '[', ' '])
        .trim_end_matches([')', ']']);
    let parts: Vec<&str> = inner.split([',', ' ', ';']).filter(|part| !part.is_empty()).collect();
    let fine = |part: &&str, limit: f64| {
        part.split_once('.').is_some_and(|(_, digits)| digits.len() >= 3)
            && part.parse::<f64>().is_ok_and(|number| number.abs() <= limit)
    };
    matches!(parts.as_slice(), [first, second] if fine(first, 180.0) && fine(second, 180.0))
}

/// One of the two.
pub(in crate::scan) fn coordinate(text: &str) -> bool {
    let text = text.trim();
    text.parse::<f64>().is_ok_and(|number| number.abs() <= 180.0) && text.contains('.')
}

/// An address of a page.
pub(in crate::scan) fn url(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("http://")
        || text.starts_with("https://")
        || text.starts_with("www.")
        || text.starts_with("ftp://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_whole() {
        for good in ["a@b.co.za", "Thandi <thandi.m@voorbeeld.co.za>", "o'neil+x@ex-ample.org"] {
            assert!(email(good), "{good}");
        }
        for bad in ["a@b", "@b.com", "a b@c.de", "user@host.1", "name"] {
            assert!(!email(bad), "{bad}");
        }
        assert!(email_within("write to me: a@b.co.za.") && !email_within("meet @ noon."));
        assert!(ip("10.0.0.1") && ip("10.0.0.0/8") && ip("2001:db8::1") && !ip("1.2.3") && !ip("12:30"));
        assert!(mac("53:41:ef:a6:22:44") && !mac("53:41:ef"));
        assert!(
            coordinates("-33.9249,18.4241")
                && coordinates("(18.4241, -33.9249)")
                && coordinates("POINT(18.42410 -33.92490)")
                && !coordinates("1,2")
                && !coordinates("1200.5000,3.0001")
        );
    }
}
