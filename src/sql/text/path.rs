//! `search_path` as a text.

/// Reads a value of `search_path` as PostgreSQL writes it: names between commas, quoted where they must be.
pub fn parse_search_path(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        let mut name = String::new();
        match chars.peek() {
            None => return names,
            Some('"') => {
                chars.next();
                while let Some(c) = chars.next() {
                    if c != '"' {
                        name.push(c);
                    } else if chars.next_if_eq(&'"').is_some() {
                        name.push('"');
                    } else {
                        break;
                    }
                }
            }
            Some(_) => {
                while let Some(c) = chars.next_if(|c| *c != ',' && !c.is_whitespace()) {
                    name.extend(c.to_lowercase());
                }
            }
        }
        if !name.is_empty() {
            names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_is_read_with_its_quotes() {
        assert_eq!(parse_search_path(r#""$user", public"#), ["$user", "public"]);
        assert_eq!(parse_search_path(r#""My ""Own"", Schema",B"#), [r#"My "Own", Schema"#, "b"]);
        assert!(parse_search_path("").is_empty());
        assert!(parse_search_path(r#""""#).is_empty());
    }
}
