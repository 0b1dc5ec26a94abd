//! Rows and their descriptions without the hidden columns at their end.

use bytes::{BufMut, BytesMut};

use super::{HEADER, Header, Reader, WireError, frame};

/// A field of a RowDescription that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenField<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The oid of its type.
    pub type_oid: u32,
}

/// The body of a RowDescription without its last `hidden` fields, which go to `visit`.
///
/// # Errors
/// Fewer fields than that, or anything that does not fill its frame exactly.
pub fn description(body: &[u8], hidden: usize, mut visit: impl FnMut(HiddenField<'_>)) -> Result<Vec<u8>, WireError> {
    let mut reader = Reader::new(body);
    let (count, kept) = counts(&mut reader, hidden)?;
    let mut end = body.len();
    for at in 0..count {
        if at == kept {
            end = body.len().saturating_sub(reader.rest().len());
        }
        let name = reader.cstr_bytes()?;
        // Table and column number.
        reader.bytes(6)?;
        let type_oid = reader.u32()?;
        // Type size, type modifier, format.
        reader.bytes(8)?;
        if at >= kept {
            visit(HiddenField { name, type_oid });
        }
    }
    reader.finish()?;
    let mut out = u16::try_from(kept).map_err(|_| WireError::Field)?.to_be_bytes().to_vec();
    out.extend_from_slice(body.get(2..end).unwrap_or_default());
    Ok(out)
}

/// Appends a DataRow without its last `hidden` values to `out`; each goes to `visit` with its position among them, `None`
/// for NULL.
///
/// # Errors
/// Fewer values than that, or anything that does not fill its frame exactly; nothing is appended then.
pub fn row(
    body: &[u8],
    hidden: usize,
    out: &mut BytesMut,
    mut visit: impl FnMut(usize, Option<&[u8]>),
) -> Result<(), WireError> {
    let mut reader = Reader::new(body);
    let (count, kept) = counts(&mut reader, hidden)?;
    for _ in 0..kept {
        value(&mut reader)?;
    }
    let end = body.len().saturating_sub(reader.rest().len());
    for at in 0..count.saturating_sub(kept) {
        visit(at, value(&mut reader)?);
    }
    reader.finish()?;
    let number = u16::try_from(kept).map_err(|_| WireError::Field)?;
    out.reserve(end.saturating_add(HEADER));
    out.put_slice(&Header { tag: b'D', body: end }.encode());
    out.put_u16(number);
    out.put_slice(body.get(2..end).unwrap_or_default());
    Ok(())
}

/// How many fields there are, and how many are kept.
fn counts(reader: &mut Reader<'_>, hidden: usize) -> Result<(usize, usize), WireError> {
    let count = usize::try_from(reader.i16()?).map_err(|_| WireError::Field)?;
    let kept = count.checked_sub(hidden).ok_or(WireError::Short)?;
    Ok((count, kept))
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, WireError> {
    match reader.i32()? {
        -1 => Ok(None),
        length => reader.bytes(usize::try_from(length).map_err(|_| WireError::Length)?).map(Some),
    }
}

/// A count, which has no sign in a Bind.
fn count(reader: &mut Reader<'_>) -> Result<u16, WireError> {
    reader.i16().map(|count| u16::from_be_bytes(count.to_be_bytes()))
}

/// What follows the two names of a Bind, with the format of `hidden` more result columns as text, where there is one for
/// each column; one for all of them stands as it is, because text is the same in both.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn bind(rest: &[u8], hidden: usize) -> Result<Vec<u8>, WireError> {
    let mut reader = Reader::new(rest);
    for _ in 0..count(&mut reader)? {
        reader.i16()?;
    }
    for _ in 0..count(&mut reader)? {
        value(&mut reader)?;
    }
    let start = rest.len().saturating_sub(reader.rest().len());
    let formats = count(&mut reader)?;
    reader.bytes(usize::from(formats).saturating_mul(2))?;
    reader.finish()?;
    let mut out = rest.to_vec();
    if formats > 1 {
        let more = u16::try_from(hidden).ok().and_then(|hidden| formats.checked_add(hidden)).ok_or(WireError::Field)?;
        for (slot, byte) in out.iter_mut().skip(start).zip(more.to_be_bytes()) {
            *slot = byte;
        }
        out.extend(std::iter::repeat_n(0_u8, hidden.saturating_mul(2)));
    }
    Ok(out)
}

/// The formats of the result's columns that a Bind has behind its values, those of `hidden` more columns with them.
///
/// # Errors
/// As [`bind`].
pub fn formats(rest: &[u8], hidden: usize) -> Result<Vec<u8>, WireError> {
    let whole = bind(rest, hidden)?;
    let mut reader = Reader::new(&whole);
    for _ in 0..count(&mut reader)? {
        reader.i16()?;
    }
    for _ in 0..count(&mut reader)? {
        value(&mut reader)?;
    }
    Ok(reader.rest().to_vec())
}

/// Writes a message of which only the body is there.
pub fn put(out: &mut BytesMut, tag: u8, body: &[u8]) {
    frame(out, tag, |out| out.put_slice(body));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn data_row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    body.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                    body.extend(text.bytes());
                }
            }
        }
        body
    }

    #[test]
    fn the_last_values_are_taken_out_of_a_row() {
        let mut out = BytesMut::new();
        let mut seen = Vec::new();
        let body = data_row(&[Some("a"), None, Some("17"), None]);
        row(&body, 2, &mut out, |at, value| seen.push((at, value.map(<[u8]>::to_vec)))).unwrap();
        assert_eq!(seen, [(0, Some(b"17".to_vec())), (1, None)]);
        let kept = data_row(&[Some("a"), None]);
        assert_eq!(&out[..], [&Header { tag: b'D', body: kept.len() }.encode()[..], &kept].concat());
    }

    #[test]
    fn a_row_that_lacks_a_value_is_an_error() {
        let mut out = BytesMut::new();
        assert_eq!(row(&data_row(&[]), 1, &mut out, |_, _| ()), Err(WireError::Short));
        let mut cut = data_row(&[Some("a"), Some("17")]);
        cut.pop();
        assert_eq!(row(&cut, 1, &mut out, |_, _| ()), Err(WireError::Short));
        cut.extend(b"77");
        assert_eq!(row(&cut, 1, &mut out, |_, _| ()), Err(WireError::LeftOver));
        assert!(out.is_empty());
    }

    #[test]
    fn formats_are_added_where_each_column_has_one() {
        let with = |formats: &[u16]| {
            let mut rest = vec![0, 1, 0, 1, 0, 2, 255, 255, 255, 255, 0, 0, 0, 1, 9];
            rest.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
            rest.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
            rest
        };
        assert_eq!(bind(&with(&[]), 2).unwrap(), with(&[]));
        assert_eq!(bind(&with(&[1]), 2).unwrap(), with(&[1]));
        assert_eq!(bind(&with(&[1, 0]), 2).unwrap(), with(&[1, 0, 0, 0]));
        assert!(bind(&with(&[1, 0])[..17], 2).is_err());
    }

    proptest::proptest! {
        #[test]
        fn random_bodies_never_panic(bytes: Vec<u8>, hidden in 0_usize..40) {
            let mut out = BytesMut::new();
            let _ = (description(&bytes, hidden, |_| ()), row(&bytes, hidden, &mut out, |_, _| ()), bind(&bytes, hidden));
        }
    }
}
