//! Headings that stand twice: TOML calls each key below the second one a fault, and says nothing of what was meant.

/// A heading in one pair of brackets that stood before.
pub(super) struct Repeated {
    /// `rules`.
    name: String,
    first: usize,
    /// Line of the second, from 1.
    pub(super) line: usize,
}

impl Repeated {
    /// What is wrong and what would help.
    pub(super) fn message(&self) -> String {
        let Self { name, first, .. } = self;
        let helps = if name.contains(['.', '"']) {
            "put the keys of both together".to_owned()
        } else {
            format!("put the keys of both together, or, where each is one of several, write `[[{name}]]`")
        };
        format!("`[{name}]` stands at line {first} already: {helps}")
    }
}

/// The second heading of each name, once a name.
pub(super) fn headers(text: &str) -> Vec<Repeated> {
    let mut seen: Vec<(&str, usize, bool)> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let header = line.strip_prefix('[').filter(|rest| !rest.starts_with('[')).and_then(|rest| {
            let (name, after) = rest.split_once(']')?;
            let after = after.trim_start();
            (after.is_empty() || after.starts_with('#')).then(|| name.trim())
        });
        let Some(name) = header.filter(|name| !name.is_empty() && !name.contains([',', '=', '{'])) else { continue };
        match seen.iter_mut().find(|(other, ..)| *other == name) {
            None => seen.push((name, number + 1, false)),
            Some((_, first, told)) if !*told => {
                *told = true;
                found.push(Repeated { name: name.to_owned(), first: *first, line: number + 1 });
            }
            Some(_) => {}
        }
    }
    found
}
