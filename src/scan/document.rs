//! Arrays and JSON: what elements and paths hold.

use std::collections::BTreeMap;

use serde_json::Value;

use super::judge::{Class, Facts, Sample, Verdict, judge_table};
use super::kind::Kind;
use super::lexicon::Lexicon;

/// Deeper and wider documents are looked at this far.
const DEEPEST: usize = 8;
const PATHS: usize = 400;

/// The values of a column; of an array its elements.
pub(super) fn elements(facts: &Facts, values: &[String]) -> Vec<String> {
    let is_array = facts.type_sql.trim_end().ends_with("[]");
    if !is_array {
        return values.to_vec();
    }
    values.iter().flat_map(|value| array_elements(value)).collect()
}

/// The elements of an array as PostgreSQL writes one: `{a,"b c",NULL}`; those of inner arrays too.
fn array_elements(text: &str) -> Vec<String> {
    let (mut elements, mut now, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                now.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' | '}' | ',' if !quoted => {
                if !now.trim().is_empty() && now != "NULL" {
                    elements.push(std::mem::take(&mut now));
                }
                now.clear();
            }
            _ => now.push(c),
        }
    }
    elements
}

/// A column of documents: each path is judged like a column. `None`: the column holds none.
pub(super) fn judge_document(facts: &Facts, lexicon: &Lexicon) -> Option<Verdict> {
    let sample = facts.sample.as_ref()?;
    let typed = Class::of(&facts.type_sql) == Class::Document;
    let documents: Vec<Value> = sample
        .values
        .iter()
        .filter(|value| value.trim_start().starts_with(['{', '[']))
        .filter_map(|value| serde_json::from_str::<Value>(value).ok())
        .filter(|value| value.is_object() || value.is_array())
        .collect();
    if documents.is_empty() || (!typed && documents.len() * 2 < sample.values.len()) {
        return None;
    }
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for document in &documents {
        gather(document, String::from("$"), 0, &mut paths);
    }
    Some(judge_paths(facts, paths, documents.len(), lexicon))
}

fn gather(value: &Value, path: String, depth: usize, paths: &mut BTreeMap<String, Vec<String>>) {
    if depth > DEEPEST || (paths.len() >= PATHS && !paths.contains_key(&path)) {
        return;
    }
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| gather(value, format!("{path}.{key}"), depth + 1, paths))
        }
        Value::Array(items) => {
            items.iter().take(20).for_each(|item| gather(item, format!("{path}[]"), depth + 1, paths))
        }
        Value::String(text) => paths.entry(path).or_default().push(text.clone()),
        Value::Number(number) => paths.entry(path).or_default().push(number.to_string()),
        Value::Bool(truth) => paths.entry(path).or_default().push(truth.to_string()),
        Value::Null => {}
    }
}

/// A key that looks like data (a number, an address) is not repeated in evidence.
fn shown(path: &str) -> String {
    path.split('.')
        .map(|part| {
            let fine = part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '[' | ']'))
                && part.chars().filter(char::is_ascii_digit).count() < 4
                && part.chars().count() <= 40;
            if fine { part } else { "*" }
        })
        .collect::<Vec<_>>()
        .join(".")
}

fn judge_paths(facts: &Facts, paths: BTreeMap<String, Vec<String>>, documents: usize, lexicon: &Lexicon) -> Verdict {
    let leaf = |path: &str| {
        path.rsplit('.')
            .map(|part| part.trim_end_matches("[]"))
            .find(|part| !part.is_empty() && *part != "$")
            .unwrap_or(&facts.name)
            .to_owned()
    };
    let columns: Vec<Facts> = paths
        .iter()
        .map(|(path, values)| Facts {
            name: leaf(path),
            type_sql: "text".to_owned(),
            comment: None,
            sample: Some(Sample { rows: values.len(), values: values.clone(), ..Sample::default() }),
        })
        .collect();
    let verdicts = judge_table(&facts.name, &columns, lexicon);
    let mut found: Vec<(String, Kind, f64)> = paths
        .keys()
        .zip(&verdicts)
        .filter_map(|(path, verdict)| verdict.kind.map(|kind| (shown(path), kind, verdict.confidence)))
        .collect();
    found.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
    let best = found.iter().map(|(.., confidence)| *confidence).fold(0.0, f64::max);
    let rows = facts.sample.as_ref().map_or(0, |sample| sample.rows);
    if found.is_empty() {
        return Verdict::nothing(
            0.75,
            format!("nothing personal in {} paths of {documents} documents in {rows} sampled", paths.len()),
            None,
        );
    }
    let listed: Vec<String> =
        found.iter().take(12).map(|(path, kind, _)| format!("`{path}` ({})", kind.words())).collect();
    let more =
        if found.len() > listed.len() { format!(" and {} more", found.len() - listed.len()) } else { String::new() };
    // Special personal information makes the whole document special.
    let kind = found.iter().map(|(_, kind, _)| *kind).find(|kind| kind.is_special()).unwrap_or(Kind::Document);
    Verdict {
        kind: Some(kind),
        confidence: best,
        evidence: format!("{documents} documents in {rows} sampled hold {}{more}", listed.join(", ")),
        suggested: None,
        paths: found.into_iter().map(|(path, kind, _)| (path, kind)).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::scan::judge;

    fn column(name: &str, type_sql: &str, values: &[&str]) -> Verdict {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let facts = Facts {
            name: name.to_owned(),
            type_sql: type_sql.to_owned(),
            comment: None,
            sample: Some(Sample { rows: values.len(), values, ..Sample::default() }),
        };
        judge(&facts, &Lexicon::built_in().unwrap())
    }

    #[test]
    fn a_document_that_holds_a_person_is_known_by_its_paths() {
        let verdict = column(
            "data",
            "jsonb",
            &[
                r#"{"klant":{"van":"Botha","selfoon":"082 555 1234"},"total":12}"#,
                r#"{"klant":{"van":"Nkosi","selfoon":"083 555 1234"},"total":3}"#,
            ],
        );
        assert_eq!(verdict.category(), Some("document"));
        assert!(
            verdict.evidence.contains("`$.klant.selfoon`") && !verdict.evidence.contains("082"),
            "{}",
            verdict.evidence
        );
        assert_eq!(column("settings", "jsonb", &[r#"{"theme":"dark","page_size":20}"#]).category(), None);
        assert_eq!(
            column("data", "text", &[r#"{"diagnosis":"asthma"}"#, r#"{"diagnosis":"tb"}"#]).category(),
            Some("health")
        );
    }

    #[test]
    fn keys_that_are_data_are_not_repeated() {
        let verdict = column("by_person", "jsonb", &[r#"{"8001015009087":{"email":"a@b.co.za"}}"#]);
        assert!(verdict.category().is_some() && !verdict.evidence.contains("8001015009087"), "{}", verdict.evidence);
    }

    #[test]
    fn elements_of_arrays_are_looked_at() {
        assert_eq!(array_elements(r#"{a,"b \"c\", d",NULL,{e}}"#), ["a", "b \"c\", d", "e"]);
        assert_eq!(
            column("addresses", "text[]", &[r#"{a@b.co.za,"c@d.org"}"#, "{e@f.com}"]).category(),
            Some("contact")
        );
        assert_eq!(column("tags", "text[]", &["{red,blue}", "{green}"]).category(), None);
    }
}
