//! Masks of texts over whatever may stand in a column: what each shows is held to what its row of `docs/masks.md` says, worked out
//! here once more over characters.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Zoo, run};

/// Short and empty texts, several bytes a character, combining characters, both directions of writing, no width, ends of lines,
/// signs of patterns, and what looks like that for which a mask is.
const SEEDS: &[&str] = &[
    "",
    " ",
    "a",
    "é",
    "e\u{301}",
    "a@b",
    "@",
    "@@",
    "a@",
    "@b",
    "a@b.c",
    "a@b.co",
    "ab",
    "abc",
    "abcd",
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "👩‍👩‍👧",
    "\u{202e}abc",
    "שלום",
    "مرحبا",
    "\u{200b}",
    "\u{feff}x",
    "ß",
    "İ",
    "漢字",
    "a\u{301}\u{301}\u{301}",
    "a\nb",
    "\r\n",
    "\t",
    "%",
    "_",
    "\\",
    "\\1",
    "$1",
    "'",
    "''",
    "\"",
    "^$",
    ".*",
    "()",
    "[",
    "*",
    "****",
    "???",
    "ann@x.org about her illness",
    "ann@x.org.",
    "ann@x. secret words",
    "a@b.c.d.e",
    "a@[10.0.0.1]",
    "\"a b\"@c.za",
    "a@b.पब्लिक",
    "8502175800086",
    "850217 5800 086",
    "８５０２１７５８０００８６",
    "85021758000860",
    "0821234567",
    "+27 82 123 4567",
    "0027821234567",
    "+27 (0) 82 123 4567",
    "27821234567",
    "082123456",
    "+1 202 555 0101",
    "62001234567",
    "4111111111111111",
    "411111111111",
    "2012/123456/07",
    " 2012/123456/07 ",
    "2012/123456/077",
    "8001",
    "80011",
    "012345678",
    "0123456789",
    "41",
    "-41",
    "+41",
    "41.5",
    "1e3",
    "99999999999999999999999",
    "10.0.0.1",
    "300.1.1.1",
    "10.0.0.1/33",
    "::1",
    "2001:db8:1:2::3",
    "1.2.3",
    "https://u:p@h.example/p?q#f",
    "//h/p",
    "javascript:alert(1)",
    "http://",
    "h.example/p",
    "http://u:p@[::1]:80/",
    "12 Long Street, Gardens, Cape Town, 8001",
    "Long Street, Cape Town",
    ",",
    ",,",
    "a,b",
    "a, b, c",
    "8001, 8002",
    "x\u{2028}y, z",
];

fn texts() -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let piece = prop_oneof![
        4 => proptest::sample::select(SEEDS).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9@., /:+-]{0,12}",
        1 => "[0-9]{1,20}",
        1 => "\\PC{0,4}",
        1 => "[\u{300}-\u{30f}\u{590}-\u{5ff}\u{202a}-\u{202e}\u{1f600}-\u{1f64f}]{1,4}"
    ];
    let text = proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat());
    let mut texts: Vec<String> = SEEDS.iter().map(|&seed| seed.to_owned()).collect();
    texts.extend((0..600).map(|_| text.new_tree(&mut runner).unwrap().current()));
    // PostgreSQL has no text with a zero byte.
    texts.iter_mut().for_each(|text| text.retain(|c| c != '\0'));
    texts
}

fn digits(text: &str) -> Vec<char> {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn ending(text: &str, count: usize) -> String {
    let digits = digits(text);
    digits[digits.len() - count..].iter().collect()
}

fn stars(count: usize) -> String {
    "*".repeat(count)
}

/// A mask, and what it may show of a text.
type Shows = (&'static str, fn(&str) -> String);

/// Masks whose outcome is one text, as the table of masks says it.
const EXACTLY: &[Shows] = &[
    ("fixed(gone)", |_| "gone".to_owned()),
    ("first(1)", |text| first(text, 1)),
    ("first(3)", |text| first(text, 3)),
    ("last(1)", |text| last(text, 1)),
    ("last(4)", |text| last(text, 4)),
    ("partial(2, ***, 2)", |text| partial(text, 2, 2)),
    ("partial(0, ***, 1)", |text| partial(text, 0, 1)),
    ("sa_id", |_| stars(13)),
    ("sa_id(year, sex)", |text| {
        let digits = digits(text);
        if digits.len() != 13 {
            return stars(13);
        }
        format!("{}{}****{}******", digits[0], digits[1], if digits[6] < '5' { '0' } else { '5' })
    }),
    ("account", |text| counted(text, 7..=20, "******", 3, 9)),
    ("tax_number", |text| counted(text, 10..=10, "*******", 3, 10)),
    ("card", |text| match digits(text).len() {
        12..=19 => format!("**** **** **** {}", ending(text, 4)),
        _ => "**** **** **** ****".to_owned(),
    }),
    ("postal_area", |text| match digits(text).as_slice() {
        [a, b, _, _] => format!("{a}{b}**"),
        _ => stars(4),
    }),
    ("phone", |text| phone(text, |nine| format!("+27*******{}", &nine[7..]))),
    ("phone(3)", |text| phone(text, |nine| format!("+27******{}", &nine[6..]))),
    ("phone(area)", |text| phone(text, |nine| format!("+27{}*******", &nine[..2]))),
    ("email", email),
];

fn first(text: &str, n: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= n { stars(all.len()) } else { all[..n].iter().collect::<String>() + &stars(all.len() - n) }
}

fn last(text: &str, n: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= n {
        stars(all.len())
    } else {
        stars(all.len() - n) + &all[all.len() - n..].iter().collect::<String>()
    }
}

fn partial(text: &str, front: usize, back: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= front + back {
        return "***".to_owned();
    }
    let part = |part: &[char]| part.iter().collect::<String>();
    format!("{}***{}", part(&all[..front]), part(&all[all.len() - back..]))
}

fn counted(text: &str, count: std::ops::RangeInclusive<usize>, front: &str, shown: usize, otherwise: usize) -> String {
    if count.contains(&digits(text).len()) { format!("{front}{}", ending(text, shown)) } else { stars(otherwise) }
}

/// The nine digits behind the country's code or the zero, where there are nine.
fn phone(text: &str, shown: impl Fn(&str) -> String) -> String {
    let kept: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    let nine = ["+27", "0027", "27", "0"]
        .iter()
        .filter_map(|code| kept.strip_prefix(code))
        .find(|rest| rest.len() == 9 && !rest.starts_with('0') && rest.bytes().all(|byte| byte.is_ascii_digit()));
    nine.map_or_else(|| "+***********".to_owned(), shown)
}

/// The first letters before and behind the first `@`, and a last label that can be one.
fn email(text: &str) -> String {
    let letter = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    let behind = text.split('@').nth(1).unwrap_or_default();
    let label = text.split_once('@').and_then(|(_, rest)| rest.rsplit_once('.')).map_or("", |(_, label)| label);
    let can_be =
        (2..=24).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let label = if can_be { format!(".{label}") } else { String::new() };
    format!("{}***@{}***{label}", letter(text), letter(behind))
}

#[test]
fn no_mask_shows_more_of_any_text_than_it_says() {
    run(async |zoo: Zoo| {
        let texts = texts();
        zoo.client.batch_execute("TRUNCATE zoo").await.unwrap();
        for (id, text) in (0_i64..).zip(&texts) {
            zoo.client.execute("INSERT INTO zoo (id, a_text) VALUES ($1, $2)", &[&id, text]).await.unwrap();
        }
        for (mask, shows) in EXACTLY {
            let seen = zoo.seen(mask, "care", "a_text").await;
            assert_eq!(seen.len(), texts.len());
            for (text, seen) in texts.iter().zip(seen) {
                assert_eq!(seen, Some(shows(text)), "{mask} of {text:?}");
            }
        }
        // What these show is not one text, and of one form.
        for mask in [
            "null",
            "token",
            "name",
            "range(10)",
            "company_number",
            "network",
            "host",
            "address(suburb)",
            "address(town)",
        ] {
            let seen = zoo.seen(mask, "care", "a_text").await;
            for (text, seen) in texts.iter().zip(seen) {
                let told = format!("{mask} of {text:?}: {seen:?}");
                let Some(seen) = seen else {
                    assert_eq!(mask, "null", "{told}");
                    continue;
                };
                match mask {
                    "token" => {
                        let hash = seen.strip_prefix("tok_").expect(&told);
                        assert!(hash.len() == 20 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
                    }
                    "name" => assert!(
                        seen.chars().all(|c| c.is_alphabetic() || " '-".contains(c)) && !seen.is_empty(),
                        "{told}"
                    ),
                    "range(10)" => {
                        let ends = seen.split_once(" to ").map(|(from, to)| (from.parse::<i128>(), to.parse::<i128>()));
                        let wide =
                            matches!(ends, Some((Ok(from), Ok(to))) if to - from == 9 && from.rem_euclid(10) == 0);
                        assert!(wide || seen == "*", "{told}");
                    }
                    "company_number" => {
                        let known = text.trim_matches(' ').split('/').map(str::len).eq([4, 6, 2]);
                        assert!(
                            seen == "****/******/**" || (known && seen.contains("/******/") && seen.len() == 14),
                            "{told}"
                        );
                    }
                    "network" => {
                        assert!(seen == "***" || seen.ends_with(".0/24") || seen.ends_with("::/48"), "{told}");
                        assert!(seen.len() <= 20, "{told}");
                    }
                    "host" => {
                        let behind = seen.split_once("://").map(|(_, host)| host);
                        let host = behind.and_then(|host| host.strip_suffix('/'));
                        let bare = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
                        assert!(seen == "***" || host.is_some_and(bare), "{told}");
                    }
                    // Words behind a comma, never a number: neither a house's nor a code.
                    _ => {
                        assert!(!seen.contains(|c: char| c.is_ascii_digit()), "{told}");
                        assert!(
                            seen == "***" || seen.matches(',').count() <= usize::from(mask == "address(suburb)"),
                            "{told}"
                        );
                        assert!(seen == "***" || text.chars().count() > seen.chars().count(), "{told}");
                    }
                }
            }
        }
    });
}
