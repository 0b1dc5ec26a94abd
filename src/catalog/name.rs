//! Names of relations, and how names and literals are written in SQL.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A relation's schema and name, both as the catalog has them (case kept, quotes removed).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationName {
    /// The schema.
    pub schema: String,
    /// The relation within it.
    pub name: String,
}

impl RelationName {
    /// From its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// As SQL text: each part quoted where it must be.
    pub fn to_sql(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}

/// As policies and log records write it: `public.customers`.
impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain_or_quoted(&self.schema))?;
        f.write_str(".")?;
        f.write_str(&plain_or_quoted(&self.name))
    }
}

/// Reads `schema.name`; a part that holds a dot is written in double quotes. Case is kept as written.
impl FromStr for RelationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = split_dotted(text)?;
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), Some(schema), None) => Ok(Self { schema, name }),
            _ => Err(format!("`{text}` is not `schema.name`")),
        }
    }
}

/// Splits `a.b."c.d"` at the dots outside quotes.
///
/// # Errors
/// An empty part, or a quote that is not closed.
pub fn split_dotted(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            ('"', _) => quoted = !quoted,
            ('.', false) => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    if quoted || parts.iter().any(String::is_empty) {
        return Err(format!("`{text}` is not a name"));
    }
    Ok(parts)
}

fn plain_or_quoted(part: &str) -> Cow<'_, str> {
    if part.contains(['.', '"']) {
        Cow::Owned(format!("\"{}\"", part.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(part)
    }
}

/// Writes a name as an identifier, always in double quotes: then no keyword list has to be kept.
pub fn quote_ident(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    // Hardly a name has a quote in it, and every name that runs comes by here.
    for (at, part) in name.split('"').enumerate() {
        if at > 0 {
            quoted.push_str("\"\"");
        }
        quoted.push_str(part);
    }
    quoted.push('"');
    quoted
}

/// Writes a string constant. One that holds a backslash is written `E'…'`, so that it means the same whatever
/// `standard_conforming_strings` says.
pub fn quote_literal(value: &str) -> String {
    if value.contains('\\') {
        format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}
