//! What may stand in a policy: as JSON Schema (draft 2020-12, <https://json-schema.org/draft/2020-12>), and as a page.

use serde_json::{Map, Value, json};

use crate::policy::{KEYS, Key, Takes};

/// The schema, indented.
pub(super) fn json() -> String {
    let mut schema = section("");
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("pgpurpose policy"));
        object.insert("required".to_owned(), json!(["version"]));
    }
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// One section: these keys and no other.
fn section(name: &str) -> Value {
    let keys = KEYS.iter().filter(|key| key.section == name);
    let properties: Map<String, Value> = keys.map(|key| (key.name.to_owned(), described(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn described(key: &Key) -> Value {
    let mut value = takes(key.takes);
    if let Some(object) = value.as_object_mut() {
        object.insert("description".to_owned(), json!(key.says.replace('`', "")));
    }
    value
}

fn takes(what: Takes) -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let by_name = |value: Value| json!({ "type": "object", "additionalProperties": value });
    match what {
        Takes::Text => json!({ "type": "string" }),
        // `${NAME}` stands for what the environment has.
        Takes::OneOf(texts) => json!({ "anyOf": [{ "enum": texts }, { "type": "string", "pattern": "\\$\\{" }] }),
        Takes::Texts => texts(),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::No => json!({ "const": false }),
        Takes::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Takes::Date => json!({ "type": "string", "format": "date" }),
        Takes::Section(name) => section(name),
        Takes::Named(name) => by_name(section(name)),
        Takes::List(name) => json!({ "type": "array", "items": section(name) }),
        Takes::TextsByName => by_name(takes(Takes::Text)),
        Takes::ListsByName => by_name(texts()),
        // Tables by any name, each of either kind.
        Takes::Either([Takes::Named(name), Takes::TextsByName]) => {
            by_name(json!({ "anyOf": [section(name), { "type": "string" }] }))
        }
        Takes::Either(all) => json!({ "anyOf": all.iter().map(|one| takes(*one)).collect::<Vec<_>>() }),
    }
}

/// A table of each section's keys.
pub(super) fn markdown() -> String {
    let mut page = String::from(
        "# Policy files: every key\n\n`pgpurpose policy keys` writes this page, `pgpurpose policy schema` the same for editors \
         ([policy.schema.json](policy.schema.json)). [policies.md](policies.md) says how they work together.\n",
    );
    let mut before = None;
    for key in KEYS {
        if before != Some(key.section) {
            let heading = match key.section {
                "" => "At the top".to_owned(),
                name if KEYS.iter().any(|key| matches!(key.takes, Takes::List(listed) if listed == name)) => {
                    format!("`[[{name}]]`")
                }
                name => format!("`[{}]`", name.replace(".*", ".NAME")),
            };
            page.push_str(&format!("\n## {heading}\n\n| key | takes | says |\n| --- | --- | --- |\n"));
            before = Some(key.section);
        }
        page.push_str(&format!("| `{}` | {} | {} |\n", key.name, words(key.takes).replace('|', "\\|"), key.says));
    }
    page
}

fn words(what: Takes) -> String {
    let listed = |texts: &[&str]| texts.iter().map(|text| format!("`\"{text}\"`")).collect::<Vec<_>>().join(", ");
    match what {
        Takes::Text => "text".to_owned(),
        Takes::OneOf(texts) => listed(texts),
        Takes::Texts => "list of texts".to_owned(),
        Takes::Flag => "`true`, `false`".to_owned(),
        Takes::No => "`false`".to_owned(),
        Takes::Number(least, most) if least == most => format!("`{least}`"),
        Takes::Number(least, most) => format!("{least} to {most}"),
        Takes::Date => "date".to_owned(),
        Takes::Section(_) => "table, below".to_owned(),
        Takes::Named(_) => "tables by name, below".to_owned(),
        Takes::List(_) => "list of tables, below".to_owned(),
        Takes::TextsByName => "texts by name".to_owned(),
        Takes::ListsByName => "lists of texts by name".to_owned(),
        Takes::Either(all) => all.iter().map(|one| words(*one)).collect::<Vec<_>>().join(", or "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::policy::PolicySet;

    /// A policy with every section once: what the reader asks for in each is what there is.
    const EVERY: &str = r#"
version = 1
[tables."s.t"]
subject = { column = "a", references = "s.u.a" }
purposes = { table = "s.p", record = "r", key = "a", purpose = "p" }
[categories.c]
[purposes.p]
[purposes.p.direct_marketing]
[roles.r]
[[rules]]
[consent]
[objections]
[restrictions]
[direct_marketing]
[[compatible]]
[functions]
[settings]
[notifications]
[[tests]]
[columns]
"#;

    fn kind(section: &str) -> String {
        let named = |prefix: &str, name: &str| section.replace(&format!("{prefix}.{name}"), &format!("{prefix}.*"));
        let mut kind = section.to_owned();
        for (prefix, name) in [("tables", "\"s.t\""), ("categories", "c"), ("purposes", "p"), ("roles", "r")] {
            if section.starts_with(&format!("{prefix}.{name}")) {
                kind = named(prefix, name);
            }
        }
        kind
    }

    #[test]
    fn every_key_that_the_reader_asks_for_is_in_the_reference_and_no_other() {
        let asked: BTreeMap<String, BTreeSet<&str>> =
            PolicySet::keys_asked_for(&[("every.toml".to_owned(), EVERY.to_owned())])
                .into_iter()
                .map(|(section, keys)| (kind(&section), keys))
                .filter(|(_, keys)| !keys.is_empty())
                .collect();
        let mut told: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for key in KEYS {
            told.entry(key.section.to_owned()).or_default().insert(key.name);
        }
        // The three lists of wishes are read alike; what stands in one alone is a fault in the others.
        let asked = asked.into_iter().map(|(section, keys)| {
            let own: BTreeSet<&str> = keys
                .into_iter()
                .filter(|key| {
                    !matches!(section.as_str(), "objections" | "restrictions")
                        || !["evidence", "given_at", "cursor_seconds", "lock_seconds"].contains(key)
                })
                .collect();
            (section, own)
        });
        assert_eq!(asked.collect::<BTreeMap<_, _>>(), told);
    }

    #[test]
    fn the_pages_are_what_the_list_of_keys_gives() {
        for (file, wanted) in
            [("docs/policy-keys.md", markdown()), ("docs/policy.schema.json", format!("{}\n", json()))]
        {
            let there = std::fs::read_to_string(file).unwrap_or_default();
            assert!(there == wanted, "`{file}` is not what `pgpurpose policy keys` or `policy schema` writes");
        }
    }

    /// As far as types go: what the schema refuses, and whether it takes what the reader takes.
    fn holds(schema: &Value, value: &toml::Value) -> bool {
        if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
            return any.iter().any(|one| holds(one, value));
        }
        if let Some(wanted) = schema.get("const") {
            return value.as_bool() == wanted.as_bool();
        }
        if let Some(all) = schema.get("enum").and_then(Value::as_array) {
            return all.iter().any(|one| one.as_str() == value.as_str());
        }
        match (schema.get("type").and_then(Value::as_str), value) {
            (Some("string"), toml::Value::String(_)) => {
                schema.get("format").is_none() && schema.get("pattern").is_none()
            }
            (Some("string"), toml::Value::Datetime(_)) => schema.get("format").is_some(),
            (Some("boolean"), toml::Value::Boolean(_)) => true,
            (Some("integer"), toml::Value::Integer(number)) => {
                let bound = |key: &str| schema.get(key).and_then(Value::as_i64).unwrap();
                (bound("minimum")..=bound("maximum")).contains(number)
            }
            (Some("array"), toml::Value::Array(items)) => items.iter().all(|item| holds(&schema["items"], item)),
            (Some("object"), toml::Value::Table(table)) => table.iter().all(|(key, value)| {
                match (schema.get("properties").and_then(|all| all.get(key)), schema.get("additionalProperties")) {
                    (Some(own), _) => holds(own, value),
                    (None, Some(Value::Bool(_)) | None) => false,
                    (None, Some(other)) => holds(other, value),
                }
            }),
            _ => false,
        }
    }

    #[test]
    fn the_schema_takes_the_sample_policies_and_refuses_what_the_reader_refuses() {
        let schema: Value = serde_json::from_str(&json()).unwrap();
        let mut count = 0;
        for file in glob::glob("policies/*.toml").unwrap().chain(glob::glob("tests/*/policy.toml").unwrap()) {
            let text = std::fs::read_to_string(file.unwrap()).unwrap();
            assert!(holds(&schema, &toml::Value::Table(toml::from_str(&text).unwrap())), "{text}");
            count += 1;
        }
        assert!(count > 3, "{count} files");
        for wrong in [
            "version = 2",
            "version = 1\ncolour = \"red\"",
            "version = 1\n[tables.\"a.b\"]\nopen = \"write\"",
            "version = 1\n[tables.\"a.b\"]\ncolums = {}",
            "version = 1\n[purposes.p]\nexpires = \"2027-01-01\"",
            "version = 1\n[rules]\nname = \"x\"",
        ] {
            assert!(!holds(&schema, &toml::Value::Table(toml::from_str(wrong).unwrap())), "{wrong}");
        }
    }
}
