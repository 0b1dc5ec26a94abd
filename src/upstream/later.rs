//! Settings that a pooler does not take at start-up. They are set once the session is there, and again after what takes them away.

use bytes::{BufMut, BytesMut};
use zeroize::Zeroizing;

use crate::wire::frontend::{Parse, Target};
use crate::wire::{frame, put_cstr};

/// Names the statement and the portal. Clients may not begin a name so.
const NAME: &str = "pgpurpose.settings";
/// How many CloseComplete end the answer: of the portal, and of the statement.
pub const SETTINGS_CLOSED: u8 = 2;

/// Names and values; some of them are keys.
pub(super) struct Later(Vec<(String, Zeroizing<String>)>);

impl Later {
    pub(super) fn new<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(settings.into_iter().map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned()))).collect())
    }

    /// Parse, Bind, Execute and Close of the one statement that sets them all. Names and values are parameters, so that no text holds
    /// them, and no row of the answer does.
    pub(super) fn put(&self, out: &mut BytesMut) {
        let one = |at: usize| format!("pg_catalog.set_config(${}, ${}, false) IS NULL", at * 2 + 1, at * 2 + 2);
        let sql = format!("SELECT {}", (0..self.0.len()).map(one).collect::<Vec<_>>().join(", "));
        Parse { name: NAME, sql: &sql, types: &[0, 0] }.encode(out);
        frame(out, b'B', |body| {
            put_cstr(body, NAME);
            put_cstr(body, NAME);
            // Formats of values: as text; values; formats of results: as text.
            body.put_u16(0);
            body.put_u16(u16::try_from(self.0.len() * 2).unwrap_or_default());
            for text in self.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]) {
                body.put_u32(u32::try_from(text.len()).unwrap_or_default());
                body.put_slice(text.as_bytes());
            }
            body.put_u16(0);
        });
        frame(out, b'E', |body| {
            put_cstr(body, NAME);
            body.put_u32(0);
        });
        for target in [Target::Portal, Target::Statement] {
            frame(out, b'C', |body| {
                body.put_u8(target.byte());
                put_cstr(body, NAME);
            });
        }
    }
}
