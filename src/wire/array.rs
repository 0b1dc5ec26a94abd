//! Arrays of text as PostgreSQL reads them (its manual, "Array Input and Output Syntax").

/// `{"a","b"}`, each quoted.
pub fn text<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for value in values {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'"');
        for byte in value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        let values: [&[u8]; 4] = [b"1", b"a,b}", b"say \"x\"", b"c\\d"];
        assert_eq!(text(values), br#"{"1","a,b}","say \"x\"","c\\d"}"#);
        assert_eq!(text([]), b"{}");
    }
}
