//! The rules of the house that the compiler does not hold by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top down: a module imports from rows below its own.
const ROWS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["centre", "console", "fleet"],
    &["server"],
    &["session"],
    &["upstream", "requests"],
    &["sql", "audit", "papers", "scan"],
    &["policy"],
    &["catalog", "wire", "mail"],
    &["config"],
    &["error", "document", "telemetry", "page", "cluster"],
];

/// The rooms within the large modules, from the top down; what stands in no room (`sql/steps.rs`) is below them all.
const ROOMS: &[(&str, &[&str])] = &[
    ("sql", &["govern", "rewrite", "resolve", "reviewed", "ast", "witness", "form", "text"]),
    ("policy", &["review", "read", "decide", "model"]),
    ("audit", &["report", "export", "verify", "write", "read", "store", "record"]),
];

fn row(module: &str) -> usize {
    ROWS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("`{module}` stands on no row"))
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of the product itself, with their text: no comments, no strings, no tests.
fn product() -> Vec<(PathBuf, String)> {
    let is_test =
        |path: &Path| path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
    let within = |path: &PathBuf| !is_test(path.strip_prefix(source_root()).unwrap());
    let read = |path: PathBuf| {
        let text = without_comments_and_strings(&fs::read_to_string(&path).unwrap());
        let product = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (path, product)
    };
    rust_files(&source_root()).into_iter().filter(within).map(read).collect()
}

fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        let in_name = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match chars[at] {
            '/' if next == Some('/') => {
                at += chars[at..].iter().take_while(|c| **c != '\n').count();
            }
            '/' if next == Some('*') => at = comment_end(&chars, at),
            'r' if !in_name && raw_hashes(&chars, at).is_some() => {
                at = raw_string_end(&chars, at, raw_hashes(&chars, at).unwrap());
                out.push_str("\"\"");
            }
            '"' => {
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += if chars[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
                out.push_str("\"\"");
            }
            '\'' if next == Some('\\') => {
                at += 3;
                at += chars[at..].iter().take_while(|c| **c != '\'').count() + 1;
                out.push_str("' '");
            }
            '\'' if chars.get(at + 2) == Some(&'\'') => {
                at += 3;
                out.push_str("' '");
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    out
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (Some('/'), Some('*')) => (depth, at) = (depth + 1, at + 2),
            (Some('*'), Some('/')) => (depth, at) = (depth - 1, at + 2),
            (Some(_), _) => at += 1,
            (None, _) => return at,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// How many `#` a raw string that begins here has.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_string_end(chars: &[char], at: usize, hashes: usize) -> usize {
    let mut at = at + hashes + 2;
    while at < chars.len() {
        at += 1;
        if chars[at - 1] == '"' && chars[at..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return at + hashes;
        }
    }
    at
}

/// The path of a file's own module within the crate: `["audit", "write", "log"]`.
fn parts_of(path: &Path) -> Vec<String> {
    let within = path.strip_prefix(source_root()).unwrap().with_extension("");
    let mut parts: Vec<String> =
        within.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The module that a file belongs to, and the depth of its own path within the crate.
fn place(path: &Path) -> (String, usize) {
    let parts = parts_of(path);
    (parts[0].clone(), parts.len())
}

/// The crate's modules that a text names: `crate::x`, `crate::{x, y}`, and `super::…` as far as it leads to the top.
fn named_modules(text: &str, depth: usize) -> BTreeSet<String> {
    names_after(text, &["crate::", "pgpurpose::", &"super::".repeat(depth)])
}

/// What a text names within a module: after `crate::sql::`, and after as many `super::` as lead there.
fn named_within(text: &str, module: &str, depth: usize) -> BTreeSet<String> {
    let up = "super::".repeat(depth.saturating_sub(1));
    let path = format!("crate::{module}::");
    let prefixes: Vec<&str> = [path.as_str(), up.as_str()].into_iter().filter(|prefix| !prefix.is_empty()).collect();
    names_after(text, &prefixes)
}

fn names_after(text: &str, prefixes: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in prefixes {
        for (at, _) in text.match_indices(prefix) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &text[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(first_names(group)),
                None => found.extend(name_at(rest)),
            }
        }
    }
    found
}

fn name_at(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The names at the outermost level of `{a::b, c::{d, e}}`, whose opening brace was taken.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.extend(name_at(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            names.extend(name_at(&group[start..at]));
            break;
        }
    }
    names
}

#[test]
fn modules_import_downwards_only() {
    let modules: BTreeSet<&str> = ROWS.iter().flat_map(|row| row.iter().copied()).collect();
    let mut faults = Vec::new();
    for (path, text) in product() {
        let (module, depth) = place(&path);
        if module == "lib" {
            continue;
        }
        for named in named_modules(&text, depth) {
            if named != module && modules.contains(named.as_str()) && row(&named) <= row(&module) {
                faults.push(format!("{}: `{module}` imports `{named}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which room each name comes from that a module gives out of one: `pub use resolve::{Given, Tested}`.
fn given_out(module: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(source_root().join(module).join("mod.rs")).unwrap();
    let mut found = BTreeMap::new();
    for line in without_comments_and_strings(&text).split(';') {
        let Some((_, path)) = line.split_once("pub use ") else { continue };
        let Some((room, names)) = path.split_once("::") else { continue };
        let names = names.trim_start_matches('{').trim_end_matches('}').split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            let known = name.rsplit_once(" as ").map_or(name, |(_, alias)| alias);
            found.insert(known.to_owned(), room.trim().to_owned());
        }
    }
    found
}

#[test]
fn rooms_import_downwards_only() {
    let mut faults = Vec::new();
    for (module, rooms) in ROOMS {
        let given_out = given_out(module);
        let rank = |room: &str| rooms.iter().position(|held| *held == room);
        for (path, text) in product() {
            let parts: Vec<String> = parts_of(&path);
            let room = match parts.as_slice() {
                [top, room, ..] if top == module => room,
                _ => continue,
            };
            let here = rank(room).unwrap_or(rooms.len());
            for named in named_within(&text, module, parts.len()) {
                // A function and its module may share a name: `sql::parse` is in `ast`, `audit::verify` in its own room.
                let room_of = rank(&named).map(|_| &named).or_else(|| given_out.get(&named));
                if room_of.is_some_and(|other| other != room && rank(other).is_some_and(|there| there <= here)) {
                    faults.push(format!("{}: `{room}` names `{module}::{named}`", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_folder_of_a_large_module_is_a_room() {
    for (module, rooms) in ROOMS {
        let mut folders: Vec<String> = fs::read_dir(source_root().join(module))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| {
                entry.path().is_dir() && entry.file_name() != "tests" && !rust_files(&entry.path()).is_empty()
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let mut held: Vec<String> = rooms.iter().map(|room| (*room).to_owned()).collect();
        folders.sort();
        held.sort();
        assert_eq!(folders, held, "`{module}`");
    }
}

#[test]
fn every_module_stands_on_a_row() {
    for (path, _) in product() {
        let (module, _) = place(&path);
        if module != "lib" {
            row(&module);
        }
    }
}

#[test]
fn the_table_in_the_documentation_is_the_one_held_here() {
    let documented = fs::read_to_string(source_root().join("lib.rs")).unwrap();
    let table = documented.split("```text").nth(1).expect("the table").split("```").next().unwrap();
    let words: Vec<&str> = table.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let held: Vec<&str> = ROWS.iter().flat_map(|row| row.iter().copied()).collect();
    assert_eq!(words, held);
}

#[test]
fn the_policy_knows_neither_sql_text_nor_sockets() {
    let words =
        ["tokio", "sqlparser", "pg_raw_parse", "pgwire", "postgres_protocol", "std::net", "TcpStream", "async fn"];
    for (path, text) in product() {
        if place(&path).0 == "policy" {
            for word in words {
                assert!(!text.contains(word), "{} mentions `{word}`", path.display());
            }
        }
    }
}

/// A decision for a form holds for other constants because no stage looks into one but by asking, which pins it: what asks is
/// `sql::form` alone.
#[test]
fn no_stage_looks_into_a_constant_of_the_tree() {
    let kinds = ["Number", "SingleQuotedString", "EscapedStringLiteral", "NationalStringLiteral", "HexStringLiteral"];
    let more =
        ["DollarQuotedString", "UnicodeStringLiteral", "SingleQuotedByteStringLiteral", "TripleSingleQuotedString"];
    let mut seen = 0;
    for (path, text) in product() {
        let inner = path.strip_prefix(source_root().join("sql")).ok();
        let stage = inner.and_then(|inner| inner.iter().next()).and_then(|room| room.to_str());
        if !stage.is_some_and(|room| ["resolve", "rewrite", "govern", "reviewed"].contains(&room)) {
            continue;
        }
        // Conditions are the policy's own text, and no client's.
        if inner.is_some_and(|inner| inner.starts_with("rewrite/condition") || inner.ends_with("rewrite/condition.rs"))
        {
            continue;
        }
        seen += 1;
        for kind in kinds.iter().chain(&more) {
            let named = format!("Value::{kind}");
            let found = text.match_indices(&named).find(|(at, _)| !text[..*at].ends_with(char::is_alphanumeric));
            assert!(found.is_none(), "{} looks into constants: `{named}`", path.display());
        }
    }
    assert!(seen > 20, "the stages are looked at: {seen}");
}

#[test]
fn nothing_is_unsafe() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for path in rust_files(&source_root()) {
        let text = without_comments_and_strings(&fs::read_to_string(&path).unwrap());
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        assert_eq!(words.filter(|word| *word == "unsafe").count(), 0, "{}", path.display());
    }
}

/// From `head` to the brace that closes the first one after it, for each place where `head` stands.
fn blocks<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(head) {
        let (rest, mut depth) = (&text[at..], 0);
        for (end, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                found.push(&rest[..=end]);
                break;
            }
        }
    }
    found
}

/// What proves a step is made by that step alone: no public field, no public function that gives one out of nothing,
/// and none of the traits that make a value. The documentation of the crate holds what must not compile.
#[test]
fn the_proofs_have_no_public_constructor() {
    for (file, name) in [
        ("policy/decide/permit.rs", "Permit"),
        ("sql/govern/enforced.rs", "Enforced"),
        ("audit/write/audited.rs", "Audited"),
    ] {
        let text = without_comments_and_strings(&fs::read_to_string(source_root().join(file)).unwrap());
        let [before, after]: [&str; 2] =
            text.split(&format!("pub struct {name}")).take(2).collect::<Vec<_>>().try_into().expect("defined once");
        let fields = after.split('}').next().unwrap();
        for field in fields.lines().skip(1).map(str::trim) {
            assert!(
                !field.starts_with("pub ") && !field.starts_with("pub(crate)"),
                "{name} has a public field: {field}"
            );
        }
        let derives = before.rsplit('}').next().unwrap();
        for maker in ["Default", "Deserialize"] {
            assert!(!derives.contains(maker), "{name} derives {maker}");
        }
        for (path, text) in product() {
            let makes = |line: &str| {
                line.starts_with("impl")
                    && ["Default for ", "Deserialize<'de> for ", "From<"].iter().any(|maker| line.contains(maker))
                    && [format!("for {name} "), format!("for {name}<")].iter().any(|made| line.contains(made))
            };
            assert!(!text.lines().any(makes), "{} makes a `{name}` from something else", path.display());
        }
        for block in
            [format!("impl {name} {{"), format!("impl<T> {name}<T> {{")].iter().flat_map(|head| blocks(&text, head))
        {
            for line in block.lines().map(str::trim).filter(|line| line.starts_with("pub fn")) {
                assert!(line.contains("&self") || line.contains("(self"), "{name} can be made by `{line}`");
            }
        }
    }
}

/// Where each kind of text is made, and nowhere else: what may run, and what a client is told of what may not.
#[test]
fn what_runs_and_what_is_told_of_what_does_not_are_written_in_one_file_each() {
    for (within, made, only) in [
        ("sql", "Template::plain(", "sql/govern/enforced.rs"),
        ("sql", "AsItStands(", "sql/govern/enforced.rs"),
        ("sql", "Enforced {", "sql/govern/enforced.rs"),
        ("session", "ErrorFields::refusal(", "session/told.rs"),
        ("", "pgwire::", "wire/own.rs"),
        ("session", "Judgement(Arc::new(", "session/judge/enforcer.rs"),
    ] {
        let mut there = false;
        for (path, text) in product() {
            let path = path.strip_prefix(source_root()).unwrap();
            if path == Path::new(only) {
                there |= text.contains(made);
            } else if path.starts_with(within) {
                assert!(!text.contains(made), "{}: `{made}` belongs in {only}", path.display());
            }
        }
        assert!(there, "{only} has no `{made}` any more");
    }
}

#[test]
fn the_reader_of_sources_sees_through_comments_and_strings() {
    let text = "use crate::{a::B, c::{d, e}}; // crate::f\nlet x = \"crate::g\"; /* crate::h /* */ crate::i */ let c = '\"';\
                crate::j::k(r#\"crate::l\"#); mycrate::m; super::super::n::o";
    let found: Vec<String> = named_modules(&without_comments_and_strings(text), 2).into_iter().collect();
    assert_eq!(found, ["a", "c", "j", "n"]);
    assert_eq!(named_modules("super::super::n::o", 3).len(), 0);
    let within: Vec<String> =
        named_within("use crate::a::{b::C, d}; use super::super::e::F; super::g; crate::h::i", "a", 3)
            .into_iter()
            .collect();
    assert_eq!(within, ["b", "d", "e"]);
    assert_eq!(blocks("impl A { fn b() { } } impl C {}", "impl A"), ["impl A { fn b() { } }"]);
}
