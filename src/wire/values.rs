//! The values of a Bind.

use super::{Reader, WireError};

/// What follows the two names of a Bind, up to the formats of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values<'a> {
    formats: Vec<i16>,
    values: Vec<Option<&'a [u8]>>,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundValue<'a> {
    /// Its bytes; `None` for NULL.
    pub bytes: Option<&'a [u8]>,
    /// Whether they are in the binary format of its type.
    pub binary: bool,
}

impl<'a> Values<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// Anything that does not fit the frame.
    pub fn decode(rest: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(rest);
        let count = |reader: &mut Reader<'_>| reader.i16().map(|count| u16::from_be_bytes(count.to_be_bytes()));
        let mut formats = Vec::new();
        for _ in 0..count(&mut reader)? {
            formats.push(reader.i16()?);
        }
        let mut values = Vec::new();
        for _ in 0..count(&mut reader)? {
            values.push(match reader.i32()? {
                -1 => None,
                length => Some(reader.bytes(usize::try_from(length).map_err(|_| WireError::Length)?)?),
            });
        }
        Ok(Self { formats, values })
    }

    /// The value of a parameter, counted from 1; `None` where there is none, or no format that exists.
    pub fn get(&self, number: usize) -> Option<BoundValue<'a>> {
        let at = number.checked_sub(1)?;
        let format = match self.formats.as_slice() {
            [] => 0,
            [all] => *all,
            each => *each.get(at)?,
        };
        let binary = match format {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(BoundValue { bytes: *self.values.get(at)?, binary })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_format_is_for_all_and_several_are_for_each() {
        let rest = |formats: &[u8]| [formats, &[0, 2, 0, 0, 0, 1, b'7', 255, 255, 255, 255, 0, 0]].concat();
        let value = |bytes, binary| Some(BoundValue { bytes, binary });
        for (formats, first, second) in [
            (&[0, 0][..], value(Some(&b"7"[..]), false), value(None, false)),
            (&[0, 1, 0, 1], value(Some(b"7"), true), value(None, true)),
            (&[0, 2, 0, 0, 0, 1], value(Some(b"7"), false), value(None, true)),
            (&[0, 1, 0, 9], None, None),
        ] {
            let rest = rest(formats);
            let values = Values::decode(&rest).unwrap();
            assert_eq!((values.get(1), values.get(2)), (first, second), "{formats:?}");
            assert_eq!((values.get(0), values.get(3)), (None, None));
        }
        assert_eq!(Values::decode(&[0, 0, 0, 1, 0, 0, 0, 9, 1]), Err(WireError::Short));
        assert_eq!(Values::decode(&[0, 0, 0, 1, 255, 255, 255, 254]), Err(WireError::Length));
    }

    proptest::proptest! {
        #[test]
        fn random_bodies_never_panic(bytes: Vec<u8>, number: usize) {
            let _ = Values::decode(&bytes).map(|values| values.get(number));
        }
    }
}
