//! What a form of a page holds.

/// The fields of a form as browsers send it (`application/x-www-form-urlencoded`); what is no text is left out.
pub(crate) fn fields(body: &[u8]) -> Vec<(String, String)> {
    let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).take(64);
    parts
        .filter_map(|part| {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let (name, value) = part.split_at(at);
            Some((decoded(name)?, decoded(value.get(1..).unwrap_or_default())?))
        })
        .collect()
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                out.push(digit()? << 4 | digit()?);
            }
            byte => out.push(*byte),
        }
    }
    String::from_utf8(out).ok().map(|text| text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let read = |text: &str| fields(text.as_bytes());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("a=1&b=x+y%2Bz&c=&d"), [pair("a", "1"), pair("b", "x y+z"), pair("c", ""), pair("d", "")]);
        assert_eq!(
            read("a=%C3%AB%0D%0Ab&purpose=x&purpose=y"),
            [pair("a", "ë\nb"), pair("purpose", "x"), pair("purpose", "y")]
        );
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%FF", "%FF=a"] {
            assert_eq!(read(wrong), [], "{wrong}");
        }
    }
}
