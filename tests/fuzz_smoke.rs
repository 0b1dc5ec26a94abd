//! The fuzz targets of `fuzz/`, driven for some seconds by a mutator with a seed, so that they run where cargo-fuzz is not
//! installed. `PGPURPOSE_FUZZ_SECONDS` (5 for each target) and `PGPURPOSE_FUZZ_SEED`.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

#[path = "../fuzz/targets/forms.rs"]
mod forms;
#[path = "../fuzz/targets/frames.rs"]
mod frames;
#[path = "../fuzz/targets/policy.rs"]
mod policy;
#[path = "../fuzz/targets/sql.rs"]
mod sql;

/// Pieces where lexers and decoders go wrong.
const PIECES: &[&[u8]] = &[
    b"'",
    b"\"",
    b"/*",
    b"*/",
    b"--",
    b"\n",
    b"$$",
    b"$a$",
    b"E'",
    b"U&\"",
    b"\\",
    b";",
    b"(",
    b")",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x04",
    b"\x7f\xff",
    b" SELECT ",
    b" FROM users ",
    b" secret ",
    b"::",
    b" UNION ALL ",
    b"&",
    b"- -",
    b"\xf0\x9f\x98\x80",
    b"=",
    b"[",
    b"]",
    b"{",
    b"}",
    b".",
    b"[[rules]]\n",
    b"mask",
    b"deny",
    b"1e9",
    b"$1",
    b" ONLY ",
    b"@",
    b" TABLE users ",
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn mutate(rng: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus.choose(rng).unwrap().clone();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=data.len());
        let end = (at + rng.random_range(0..8)).min(data.len());
        match rng.random_range(0..6) {
            0 => drop(data.splice(at..at, PIECES.choose(rng).unwrap().iter().copied())),
            1 => drop(data.splice(at..end, PIECES.choose(rng).unwrap().iter().copied())),
            2 => drop(data.drain(at..end)),
            3 if at < data.len() => data[at] = rng.random(),
            4 => {
                let other = corpus.choose(rng).unwrap();
                let from = rng.random_range(0..=other.len());
                data.splice(at..at, other[from..].iter().copied());
            }
            _ => {
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
        }
    }
    data
}

fn drive(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    for data in &corpus {
        target(data);
    }
    let seed = number("PGPURPOSE_FUZZ_SEED", 1);
    let mut rng = StdRng::seed_from_u64(seed);
    let ends = Instant::now() + Duration::from_secs(number("PGPURPOSE_FUZZ_SECONDS", 5));
    let mut count = 0_usize;
    let mut slowest = Duration::ZERO;
    while Instant::now() < ends {
        let data = mutate(&mut rng, &corpus);
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(|| target(&data));
        slowest = slowest.max(started.elapsed());
        assert!(
            outcome.is_ok(),
            "`{name}` fails with seed {seed}, input {count}: {:?}",
            String::from_utf8_lossy(&data)
        );
        count += 1;
    }
    println!("{name}: {count} inputs, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(20), "`{name}` hangs");
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    drive("frames", frames::run);
}

#[test]
fn no_text_makes_the_way_of_a_statement_panic_or_read_a_denied_column() {
    drive("sql", sql::run);
}

/// The corpus of statements, one byte or more changed at random: none is read in one way by one parser and in another by
/// the other. `fuzz/targets/sql.rs` holds what was understood to PostgreSQL's tree once more, and a parser that hangs is
/// one input that takes longer than all of them may.
#[test]
fn mutated_statements_are_refused_or_read_alike() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        fs::read_dir(root.join("fuzz/corpus/sql")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut corpus: Vec<String> =
        paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect();
    // What clients send, from the catalogue of useful statements.
    let useful: toml::Value =
        toml::from_str(&fs::read_to_string(root.join("tests/bypass/benign.toml")).unwrap()).unwrap();
    let cases = useful["group"].as_array().unwrap().iter().flat_map(|group| group["cases"].as_array().unwrap());
    let texts = cases.flat_map(|case| case.as_array().unwrap()).filter_map(toml::Value::as_str);
    corpus.extend(texts.filter(|text| text.to_lowercase().starts_with("select")).map(str::to_owned));
    let mut rng = StdRng::seed_from_u64(number("PGPURPOSE_FUZZ_SEED", 7));
    let (mut count, mut understood) = (0_usize, 0_usize);
    let ends = Instant::now() + Duration::from_secs(number("PGPURPOSE_FUZZ_SECONDS", 5));
    while Instant::now() < ends {
        let mut bytes = corpus.choose(&mut rng).unwrap().as_bytes().to_vec();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..=bytes.len());
            match rng.random_range(0..3) {
                0 if at < bytes.len() => bytes[at] = rng.random_range(1..128),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, *b"'\"$\\/*-;&|~(E ".choose(&mut rng).unwrap()),
            }
        }
        let started = Instant::now();
        understood += usize::from(sql::agrees(&String::from_utf8_lossy(&bytes)));
        assert!(started.elapsed() < Duration::from_secs(20), "hangs: {bytes:?}");
        count += 1;
    }
    println!("{count} mutated statements, {understood} understood");
    assert!(understood > count / 20, "hardly anything is understood any more");
}

#[test]
fn no_constants_make_a_decision_for_a_form_another_than_the_one_from_nothing() {
    drive("sql", sql::exchange);
}

#[test]
fn no_text_makes_the_reading_of_policies_panic() {
    drive("policy", policy::run);
}
