//! What differs between installations: `${NAME}` in a text becomes the environment's, `${NAME:-otherwise}` has what stands where there is
//! none, and `$${` is `${` itself.

use std::collections::BTreeMap;

/// A text with the environment's values in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Each variable that was there, with its value; where it was not, with what stands instead.
    pub(super) used: BTreeMap<String, String>,
    /// Variables that were not there; they stay as they are written.
    pub(super) missing: Vec<String>,
}

/// Puts the values in. What is no variable's name stays as it is written.
pub(super) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> Expanded {
    let mut expanded = Expanded::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.text.push_str(before);
            expanded.text.push_str("${");
            rest = after;
            continue;
        }
        expanded.text.push_str(before);
        let within = after.split_once('}');
        let Some(((name, otherwise), behind)) = within.map(|(within, behind)| (parts(within), behind)) else {
            expanded.text.push_str("${");
            rest = after;
            continue;
        };
        if !is_name(name) {
            expanded.text.push_str("${");
            rest = after;
            continue;
        }
        match value(name).or_else(|| otherwise.map(str::to_owned)) {
            Some(value) => {
                expanded.text.push_str(&value);
                expanded.used.insert(name.to_owned(), value);
            }
            None => {
                // As it stands, so that no other fault follows from what would be left.
                expanded.text.push_str(&format!("${{{name}}}"));
                expanded.missing.push(name.to_owned());
            }
        }
        rest = behind;
    }
    expanded.text.push_str(rest);
    expanded
}

fn parts(within: &str) -> (&str, Option<&str>) {
    within.split_once(":-").map_or((within, None), |(name, otherwise)| (name, Some(otherwise)))
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn a_variable_becomes_its_value_and_one_that_is_missing_what_stands_instead() {
        let value = |name: &str| (name == "SCHEMA").then(|| "shop".to_owned());
        let text = |text: &str| expand(text, value).text;
        assert_eq!(text("${SCHEMA}.customers"), "shop.customers");
        assert_eq!(text("${OTHER:-public}.customers and ${SCHEMA:-x}"), "public.customers and shop");
        assert_eq!(text("$${SCHEMA} ${} ${a b} $1 ${SCHEMA"), "${SCHEMA} ${} ${a b} $1 ${SCHEMA");
        assert_eq!(expand("a ${OTHER} b", value).missing, ["OTHER"]);
        assert_eq!(expand("${SCHEMA}${OTHER:-}", value).used.len(), 2);
        // A value is not looked at again.
        assert_eq!(expand("${A}", |_| Some("${SCHEMA}".to_owned())).text, "${SCHEMA}");
    }
}
