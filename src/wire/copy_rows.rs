//! Rows of COPY TO STDOUT without the hidden columns at their end. PostgreSQL sends each row as a message of its own
//! ("Message Formats": CopyData).

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{Header, Reader, WireError};

/// How the rows of a COPY are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyForm {
    /// The format.
    pub format: CopyFormat,
    /// The first message names the columns.
    pub header: bool,
}

/// The format of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// Fields with escapes.
    Text {
        /// Between fields.
        delimiter: u8,
    },
    /// Fields that may be quoted.
    Csv {
        /// Between fields.
        delimiter: u8,
        /// Around a field.
        quote: u8,
        /// Before a quote within one.
        escape: u8,
    },
    /// Fields with lengths.
    Binary,
}

/// What begins a COPY in binary.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Takes the columns out, message by message of one COPY.
#[derive(Debug, Default)]
pub struct CopyTrim {
    begun: bool,
    /// Where the fields of the row at hand stand.
    fields: Vec<Range<usize>>,
    value: Vec<u8>,
}

impl CopyTrim {
    /// Appends a CopyData without the last `hidden` fields of its row to `out`; each goes to `visit` with its position
    /// among them, as text without escapes. The first message may name columns, or begin the binary format; the last of that
    /// ends it.
    ///
    /// # Errors
    /// Fewer fields than that, or a message that is no whole row; nothing is appended then.
    pub fn message(
        &mut self,
        form: CopyForm,
        body: &[u8],
        hidden: usize,
        out: &mut BytesMut,
        mut visit: impl FnMut(usize, &[u8]),
    ) -> Result<(), WireError> {
        let first = !std::mem::replace(&mut self.begun, true);
        match form.format {
            CopyFormat::Binary => binary(first, body, hidden, out, visit),
            CopyFormat::Text { delimiter } => {
                let line = body.strip_suffix(b"\n").ok_or(WireError::Unterminated)?;
                text_fields(line, delimiter, &mut self.fields);
                let kept = self.kept(hidden)?;
                if !(first && form.header) {
                    for (at, range) in self.fields.iter().skip(kept).enumerate() {
                        unescape(line.get(range.clone()).unwrap_or_default(), &mut self.value);
                        visit(at, &self.value);
                    }
                }
                put_line(self.visible(line, kept), out);
                Ok(())
            }
            CopyFormat::Csv { delimiter, quote, escape } => {
                let line = body.strip_suffix(b"\n").ok_or(WireError::Unterminated)?;
                csv_fields(line, (delimiter, quote, escape), &mut self.fields)?;
                let kept = self.kept(hidden)?;
                if !(first && form.header) {
                    for (at, range) in self.fields.iter().skip(kept).enumerate() {
                        unquote(line.get(range.clone()).unwrap_or_default(), quote, escape, &mut self.value);
                        visit(at, &self.value);
                    }
                }
                let visible = self.visible(line, kept);
                if kept == 1 && visible == b"\\." {
                    // Alone on its line it would end the data; PostgreSQL quotes it where it is the only column.
                    put_line(&[&[quote], visible, &[quote]].concat(), out);
                } else {
                    put_line(visible, out);
                }
                Ok(())
            }
        }
    }

    fn kept(&self, hidden: usize) -> Result<usize, WireError> {
        self.fields.len().checked_sub(hidden).ok_or(WireError::Short)
    }

    fn visible<'a>(&self, line: &'a [u8], kept: usize) -> &'a [u8] {
        let end = kept.checked_sub(1).and_then(|last| self.fields.get(last)).map_or(0, |last| last.end);
        line.get(..end).unwrap_or_default()
    }
}

/// The body of a CopyOutResponse without the formats of its last `hidden` columns.
///
/// # Errors
/// Fewer columns than that, or anything that does not fill its frame exactly.
pub fn response(body: &[u8], hidden: usize) -> Result<Vec<u8>, WireError> {
    let mut reader = Reader::new(body);
    let format = reader.u8()?;
    let count = usize::try_from(reader.i16()?).map_err(|_| WireError::Field)?;
    let kept = count.checked_sub(hidden).ok_or(WireError::Short)?;
    let formats = reader.bytes(count.saturating_mul(2))?;
    reader.finish()?;
    let mut out = vec![format];
    out.extend(u16::try_from(kept).map_err(|_| WireError::Field)?.to_be_bytes());
    out.extend(formats.iter().take(kept.saturating_mul(2)));
    Ok(out)
}

fn put_line(line: &[u8], out: &mut BytesMut) {
    out.put_slice(&Header { tag: b'd', body: line.len().saturating_add(1) }.encode());
    out.put_slice(line);
    out.put_u8(b'\n');
}

fn text_fields(line: &[u8], delimiter: u8, fields: &mut Vec<Range<usize>>) {
    fields.clear();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in line.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == delimiter {
            fields.push(start..at);
            start = at.saturating_add(1);
        }
    }
    fields.push(start..line.len());
}

/// A field as PostgreSQL's `CopyAttributeOutText` escapes it.
fn unescape(field: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'b') => 8,
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'v') => 11,
            Some(b'f') => 12,
            Some(b'r') => b'\r',
            Some(other) => *other,
            None => b'\\',
        });
    }
}

fn csv_fields(
    line: &[u8],
    (delimiter, quote, escape): (u8, u8, u8),
    fields: &mut Vec<Range<usize>>,
) -> Result<(), WireError> {
    fields.clear();
    let (mut start, mut at, mut within) = (0, 0, false);
    while let Some(byte) = line.get(at) {
        if within {
            let next = line.get(at.saturating_add(1));
            if *byte == escape && next.is_some_and(|next| *next == quote || *next == escape) {
                at = at.saturating_add(1);
            } else if *byte == quote {
                within = false;
            }
        } else if *byte == quote && at == start {
            within = true;
        } else if *byte == delimiter {
            fields.push(start..at);
            start = at.saturating_add(1);
        }
        at = at.saturating_add(1);
    }
    fields.push(start..line.len());
    if within { Err(WireError::Unterminated) } else { Ok(()) }
}

fn unquote(field: &[u8], quote: u8, escape: u8, out: &mut Vec<u8>) {
    out.clear();
    let Some(inner) = field.strip_prefix(&[quote]).and_then(|inner| inner.strip_suffix(&[quote])) else {
        out.extend_from_slice(field);
        return;
    };
    let mut bytes = inner.iter().peekable();
    while let Some(byte) = bytes.next() {
        match bytes.peek() {
            Some(next) if *byte == escape && (**next == quote || **next == escape) => {
                out.push(**next);
                bytes.next();
            }
            Some(_) | None => out.push(*byte),
        }
    }
}

fn binary(
    first: bool,
    body: &[u8],
    hidden: usize,
    out: &mut BytesMut,
    mut visit: impl FnMut(usize, &[u8]),
) -> Result<(), WireError> {
    let mut reader = Reader::new(body);
    if first {
        if reader.bytes(SIGNATURE.len())? != SIGNATURE {
            return Err(WireError::Field);
        }
        // Flags, and the header's extension.
        reader.u32()?;
        let more = usize::try_from(reader.u32()?).map_err(|_| WireError::Length)?;
        reader.bytes(more)?;
    }
    let begin = body.len().saturating_sub(reader.rest().len());
    if reader.rest().is_empty() || reader.rest() == [0xff, 0xff] {
        out.put_slice(&Header { tag: b'd', body: body.len() }.encode());
        out.put_slice(body);
        return Ok(());
    }
    let count = usize::try_from(reader.i16()?).map_err(|_| WireError::Field)?;
    let kept = count.checked_sub(hidden).ok_or(WireError::Short)?;
    let value = |reader: &mut Reader<'_>| -> Result<Range<usize>, WireError> {
        let length = reader.i32()?;
        let start = body.len().saturating_sub(reader.rest().len());
        if length != -1 {
            reader.bytes(usize::try_from(length).map_err(|_| WireError::Length)?)?;
        }
        Ok(start..body.len().saturating_sub(reader.rest().len()))
    };
    for _ in 0..kept {
        value(&mut reader)?;
    }
    let end = body.len().saturating_sub(reader.rest().len());
    for at in 0..count.saturating_sub(kept) {
        let range = value(&mut reader)?;
        visit(at, body.get(range).unwrap_or_default());
    }
    reader.finish()?;
    out.put_slice(&Header { tag: b'd', body: end }.encode());
    out.put_slice(body.get(..begin).unwrap_or_default());
    out.put_u16(u16::try_from(kept).map_err(|_| WireError::Field)?);
    out.put_slice(body.get(begin.saturating_add(2)..end).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::HEADER;

    fn trimmed(form: CopyForm, messages: &[&[u8]], hidden: usize) -> Result<(Vec<String>, Vec<String>), WireError> {
        let (mut trim, mut lines, mut seen) = (CopyTrim::default(), Vec::new(), Vec::new());
        for message in messages {
            let mut out = BytesMut::new();
            trim.message(form, message, hidden, &mut out, |_, value| seen.push(String::from_utf8_lossy(value).into()))?;
            assert_eq!(Header::read(&out).unwrap().unwrap().total(), out.len());
            lines.push(String::from_utf8_lossy(out.get(HEADER..).unwrap()).into_owned());
        }
        Ok((lines, seen))
    }

    #[test]
    fn the_last_fields_are_taken_out_of_text() {
        let form = |delimiter, header| CopyForm { format: CopyFormat::Text { delimiter }, header };
        let (lines, seen) = trimmed(form(b'\t', false), &[b"a\\\tb\t\\N\t=1\\t7\n", b"x\ty\t\n"], 1).unwrap();
        assert_eq!((lines, seen), (vec!["a\\\tb\t\\N\n".into(), "x\ty\n".into()], vec!["=1\t7".into(), String::new()]));
        let (lines, seen) = trimmed(form(b'|', true), &[b"a|h\n", b"x\\|y|\\|z\n"], 1).unwrap();
        assert_eq!((lines, seen), (vec!["a\n".into(), "x\\|y\n".into()], vec!["|z".into()]));
        assert_eq!(trimmed(form(b'\t', false), &[b"=1\n"], 1).unwrap().0, ["\n"]);
        assert_eq!(trimmed(form(b'\t', false), &[b"=1\n"], 2), Err(WireError::Short));
        assert_eq!(trimmed(form(b'\t', false), &[b"a\t=1"], 1), Err(WireError::Unterminated));
    }

    #[test]
    fn the_last_fields_are_taken_out_of_csv() {
        let form =
            |quote, escape| CopyForm { format: CopyFormat::Csv { delimiter: b',', quote, escape }, header: false };
        let (lines, seen) = trimmed(form(b'"', b'"'), &[b"\"a,\"\"b\n\",,\"=1,\"\"7\"\n", b"\\.,\n"], 1).unwrap();
        assert_eq!(lines, ["\"a,\"\"b\n\",\n", "\"\\.\"\n"]);
        assert_eq!(seen, ["=1,\"7", ""]);
        let (lines, seen) = trimmed(form(b'\'', b'\\'), &[b"'a\\'\\\\',=2\n"], 1).unwrap();
        assert_eq!((lines, seen), (vec!["'a\\'\\\\'\n".into()], vec!["=2".into()]));
        assert_eq!(trimmed(form(b'"', b'"'), &[b"\"a,=1\n"], 1), Err(WireError::Unterminated));
    }

    #[test]
    fn the_last_fields_are_taken_out_of_binary() {
        let form = CopyForm { format: CopyFormat::Binary, header: false };
        let start = [SIGNATURE, &[0; 8]].concat();
        let row = b"\0\x02\0\0\0\x01a\0\0\0\x02=7";
        let mut trim = CopyTrim::default();
        let (mut out, mut seen) = (BytesMut::new(), Vec::new());
        trim.message(form, &[&start, &row[..]].concat(), 1, &mut out, |_, value| seen.push(value.to_vec())).unwrap();
        trim.message(form, b"\xff\xff", 1, &mut out, |_, _| ()).unwrap();
        let kept = [&start, &b"\0\x01\0\0\0\x01a"[..]].concat();
        let expected = [&Header { tag: b'd', body: kept.len() }.encode()[..], &kept, b"d\0\0\0\x06\xff\xff"].concat();
        assert_eq!((&out[..], seen), (&expected[..], vec![b"=7".to_vec()]));
        let mut trim = CopyTrim::default();
        assert!(trim.message(form, row, 1, &mut out, |_, _| ()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn random_messages_never_panic(bytes: Vec<u8>, hidden in 0_usize..4, delimiter: u8, quote: u8, escape: u8) {
            let (mut trim, mut out) = (CopyTrim::default(), BytesMut::new());
            for format in [CopyFormat::Text { delimiter }, CopyFormat::Csv { delimiter, quote, escape }, CopyFormat::Binary] {
                let _ = trim.message(CopyForm { format, header: false }, &bytes, hidden, &mut out, |_, _| ());
            }
            let _ = response(&bytes, hidden);
        }
    }
}
