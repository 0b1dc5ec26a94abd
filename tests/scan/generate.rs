//! Makes the values of `south_african.toml`: the same ones each time.

/// Numbers that look random (a linear congruential generator: Knuth, MMIX).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }
}

const FIRST: &[&str] = &[
    "Thandi",
    "Sipho",
    "Nomvula",
    "Pieter",
    "Annelie",
    "Lerato",
    "Kagiso",
    "Mary",
    "Johan",
    "Fatima",
    "Priya",
    "Zanele",
    "Hendrik",
    "Tshepo",
    "Susan",
    "David",
    "Rofhiwa",
    "Tsakani",
    "Bongani",
    "Chantelle",
];
const LAST: &[&str] = &[
    "Mokoena",
    "Dlamini",
    "van der Merwe",
    "Botha",
    "Nkosi",
    "Naidoo",
    "Smith",
    "Pillay",
    "Khumalo",
    "Coetzee",
    "Zulu",
    "Molefe",
    "Jacobs",
    "Baloyi",
    "Mudau",
    "Williams",
    "Pretorius",
    "Sithole",
    "Mahlangu",
    "Adams",
];
const STREETS: &[&str] =
    &["Long Street", "Rivonia Road", "Jan Smuts Avenue", "Main Road", "Church Street", "Beach Road", "Oak Lane"];
const STRATE: &[&str] = &["Kerkstraat", "Langstraat", "Voortrekkerweg", "Eikelaan", "Dorpstraat", "Hoofweg"];
const SUBURBS: &[&str] =
    &["Sandton", "Brackenfell", "Umlazi", "Soweto", "Stellenberg", "Mamelodi", "Centurion", "Gugulethu"];

/// The check digit that makes the Luhn sum come out even.
fn with_luhn(body: &str) -> String {
    (0..10).map(|check| format!("{body}{check}")).find(|text| luhn(text)).unwrap()
}

fn luhn(text: &str) -> bool {
    let sum: u32 = text
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, b)| {
            let d = u32::from(b - b'0') * if at % 2 == 1 { 2 } else { 1 };
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn ean(body: &str) -> String {
    let sum: u32 = body.bytes().enumerate().map(|(at, b)| u32::from(b - b'0') * if at % 2 == 1 { 3 } else { 1 }).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn date(random: &mut Random, from: u64, to: u64) -> (u64, u64, u64) {
    (from + random.below(to - from), 1 + random.below(12), 1 + random.below(28))
}

fn identity(random: &mut Random) -> String {
    let (year, month, day) = date(random, 1945, 2009);
    with_luhn(&format!("{:02}{month:02}{day:02}{}{}8", year % 100, random.digits(4), u8::from(random.below(20) == 0)))
}

fn full_name(random: &mut Random) -> String {
    format!("{} {}", random.pick(FIRST), random.pick(LAST))
}

fn email(random: &mut Random) -> String {
    let (first, last) = (random.pick(FIRST).to_lowercase(), random.pick(LAST).replace(' ', "").to_lowercase());
    format!("{first}.{last}{}@{}", random.below(99), random.pick(&["example.co.za", "voorbeeld.co.za", "example.org"]))
}

fn mobile(random: &mut Random) -> String {
    let (prefix, a, b) = (random.pick(&["082", "083", "072", "073", "084", "076"]), random.digits(3), random.digits(4));
    match random.below(3) {
        0 => format!("{prefix} {a} {b}"),
        1 => format!("{prefix}{a}{b}"),
        _ => format!("+27 {} {a} {b}", &prefix[1..]),
    }
}

/// The value of the row with that number.
pub(crate) fn value(make: &str, row: u64, random: &mut Random) -> String {
    personal(make, random).or_else(|| of_people(make, random)).unwrap_or_else(|| other(make, row, random))
}

fn personal(make: &str, random: &mut Random) -> Option<String> {
    Some(match make {
        "first_name" => random.pick(FIRST).to_owned(),
        "surname" => random.pick(LAST).to_owned(),
        "full_name" => full_name(random),
        "doctor" => format!("Dr {}", random.pick(LAST)),
        "initials" => random.pick(&["J.", "P. J.", "S", "A.M.", "T"]).to_owned(),
        "username" => format!("{}{}", random.pick(FIRST).to_lowercase(), random.below(999)),
        "identity_number" => identity(random),
        "identity_spaced" => {
            let id = identity(random);
            format!("{} {} {}", &id[..6], &id[6..10], &id[10..])
        }
        "identity_bigint" => identity(random).trim_start_matches('0').to_owned(),
        "birth_date" => {
            let (y, m, d) = date(random, 1945, 2009);
            format!("{y}-{m:02}-{d:02}")
        }
        "mobile" => mobile(random),
        "phone" => {
            if random.below(2) == 0 {
                mobile(random)
            } else {
                format!("(0{}) 4{}-{}", random.pick(&["21", "11", "31", "12"]), random.digits(2), random.digits(4))
            }
        }
        "msisdn" => format!("27{}{}", random.pick(&["82", "83", "72"]), random.digits(7)),
        "email" => email(random),
        "email_array" => format!("{{{},{}}}", email(random), email(random)),
        "address" => format!("{} {}, {}", 1 + random.below(200), random.pick(STREETS), random.pick(SUBURBS)),
        "address_af" => format!("{} {}, {}", random.pick(STRATE), 1 + random.below(200), random.pick(SUBURBS)),
        "suburb" => random.pick(SUBURBS).to_owned(),
        "postal_code" => random.digits(4),
        "income_tax" => {
            let body = format!("{}{}", random.pick(&["0", "1", "2", "3", "9"]), random.digits(8));
            with_luhn(&body)
        }
        "vat" => {
            let body = format!("4{}", random.digits(8));
            with_luhn(&body)
        }
        "account" => random.digits(10),
        "branch" => random.pick(&["632005", "250655", "051001", "198765", "470010"]).to_owned(),
        "driver_licence" => format!(
            "{}{}{}",
            random.digits(8),
            random.pick(&["AB", "CD", "TX", "ZK"]),
            random.pick(&["1A", "2B", "9Z"])
        ),
        "passport" => format!("{}{}", random.pick(&["A", "M", "D"]), random.digits(8)),
        "plate" => {
            format!("{} {} {} GP", random.pick(&["BC", "DF", "HK"]), random.digits(2), random.pick(&["KL", "ZN", "TT"]))
        }
        "company_number" => format!("{}/{}/07", 1995 + random.below(30), random.digits(6)),
        "member_number" => format!("{}{}", random.pick(&["M", "L", "P"]), random.digits(7)),
        _ => return None,
    })
}

fn of_people(make: &str, random: &mut Random) -> Option<String> {
    let words: &[&str] = match make {
        "gender" => &["Male", "Female"],
        "gender_af" => &["Manlik", "Vroulik"],
        "race" => &["African", "White", "Coloured", "Indian"],
        "union" => &["NUMSA", "NEHAWU", "SADTU", "Solidariteit", "None"],
        "religion" => &["NG Kerk", "Moslem", "Metodis", "Hindoe", "Geen"],
        "marital" => &["Married", "Single", "Divorced", "Widowed"],
        "language" => &["Afrikaans", "isiZulu", "English", "isiXhosa", "Setswana"],
        "scheme" => &["Discovery Health", "Bonitas", "GEMS", "Medihelp"],
        "icd10" => &["E11.9", "I10", "J45.0", "B20", "F32.1"],
        "allergy" => &["Penisillien", "Geen", "Neute", "Aspirien"],
        "blood" => &["A+", "O+", "B-", "AB+"],
        _ => &[],
    };
    if !words.is_empty() {
        return Some(random.pick(words).to_owned());
    }
    Some(match make {
        "note_with_people" => match random.below(3) {
            0 => format!("Please call {} before you deliver the parcel", full_name(random)),
            1 => format!("Customer asked to be reached on {} after five", mobile(random)),
            _ => "The parcel was left at the gate as agreed".to_owned(),
        },
        "person_json" => format!(
            r#"{{"naam":"{}","kontak":{{"selfoon":"{}"}},"telling":{}}}"#,
            full_name(random),
            mobile(random),
            random.below(9)
        ),
        "coordinates" => {
            format!("-{}.{},{}.{}", 25 + random.below(9), random.digits(5), 18 + random.below(12), random.digits(5))
        }
        "ip" => format!("41.{}.{}.{}", random.below(255), random.below(255), 1 + random.below(250)),
        "mac" => (0..6).map(|_| format!("{:02x}", random.below(256))).collect::<Vec<_>>().join(":"),
        "hash" => format!("pbkdf2_sha256$600000${}", random.digits(40)),
        _ => return None,
    })
}

fn other(make: &str, row: u64, random: &mut Random) -> String {
    match make {
        "serial" => (row + 1).to_string(),
        "order_number" => format!("{}", 8_000_000_000_000 + row * 7_919 + random.below(5_000)),
        "order_text" => format!("ORD-{}", random.digits(10)),
        "ean13" => {
            let body = format!("600{}", random.digits(9));
            ean(&body)
        }
        "epoch" => format!("{}", 1_600_000_000_000 + random.below(150_000_000_000)),
        "year_code" => random.pick(&["2023/24", "2024/25", "2025/26"]).to_owned(),
        "uuid" => format!(
            "{}-{}-4{}-8{}-{}",
            random.digits(8),
            random.digits(4),
            random.digits(3),
            random.digits(3),
            random.digits(12)
        ),
        "boolean" => random.pick(&["true", "false"]).to_owned(),
        "moment" => {
            let (y, m, d) = date(random, 2022, 2026);
            format!("{y}-{m:02}-{d:02} 1{}:{}{}:00", random.below(10), random.below(6), random.below(10))
        }
        "recent_date" => {
            let (y, m, d) = date(random, 2018, 2026);
            format!("{y}-{m:02}-{d:02}")
        }
        "money" => format!("{}.{:02}", 10 + random.below(90_000), random.below(100)),
        "count" => random.below(5_000).to_string(),
        "small" => random.below(9).to_string(),
        "room" => format!("{}{}", random.pick(&["A", "B", "C"]), random.digits(2)),
        "url" => format!("https://www.voorbeeld{}.co.za/", random.below(900)),
        "agent" => format!("Mozilla/5.0 (X11; Linux x86_64; rv:{}.0)", 90 + random.below(40)),
        "settings_json" => {
            format!(r#"{{"theme":"{}","page_size":{}}}"#, random.pick(&["dark", "light"]), 10 + random.below(90))
        }
        "tag_array" => format!("{{{},{}}}", random.pick(&["new", "sale"]), random.pick(&["web", "app"])),
        _ => {
            let words: &[&str] = match make {
                "status" => &["open", "paid", "shipped", "closed"],
                "status_af" => &["oop", "betaal", "gestuur", "gesluit"],
                "phone_type" => &["home", "work", "mobile"],
                "city" => &["Durban", "Cape Town", "Pretoria", "Polokwane", "Gqeberha"],
                "province" => &["Gauteng", "Limpopo", "Wes-Kaap", "KwaZulu-Natal"],
                "channel" => &["web", "store", "referral", "radio"],
                "product" => &["Blue cotton shirt", "Braai grid", "Rooibos 80s", "Steel kettle", "Leather boots"],
                "prose" => &[
                    "The newest model of this range, with two years of guarantee",
                    "Made of strong steel and easy to clean after use",
                    "It arrived late and the box was damaged on one side",
                ],
                "colour" => &["black", "white", "red", "blue"],
                "department" => &["Finance", "Logistics", "Sales", "Mining", "Retail"],
                "make" => &["Toyota", "Ford", "Volkswagen", "Nissan"],
                "company" => {
                    &["Kaap Vrugte (Edms) Bpk", "Protea Steel (Pty) Ltd", "Karoo Wol BK", "Highveld Data (Pty) Ltd"]
                }
                other => panic!("nothing makes `{other}`"),
            };
            random.pick(words).to_owned()
        }
    }
}
