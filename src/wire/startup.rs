//! The first packet of a connection: it has no tag.

use super::{Reader, WireError};

/// The longest start-up packet that PostgreSQL accepts (`MAX_STARTUP_PACKET_LENGTH`), the length field included.
pub const MAX_PACKET: usize = 10_000;

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

/// What a client may send first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Asks for TLS.
    Ssl,
    /// Asks for encryption by GSSAPI.
    GssEnc,
    /// Asks to cancel what another connection runs.
    Cancel {
        /// The process id of BackendKeyData.
        pid: u32,
        /// Its secret: 4 bytes, or up to 256 since protocol 3.2.
        secret: Vec<u8>,
    },
    /// Begins a session.
    Startup(Startup),
}

/// A StartupMessage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Major version; 3 is the only one that is spoken.
    pub major: u16,
    /// Minor version.
    pub minor: u16,
    /// Names and values in their order.
    pub parameters: Vec<(String, String)>,
}

impl Startup {
    /// The last value of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The length of a packet from its first four bytes, the length field included; `None` while they are not there.
///
/// # Errors
/// A length that no start-up packet may have: nothing is buffered for it.
pub fn packet_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let Some((&length, _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| WireError::Length)?;
    if (8..=MAX_PACKET).contains(&length) { Ok(Some(length)) } else { Err(WireError::Length) }
}

impl Packet {
    /// Reads a packet; `body` is what follows the length field.
    ///
    /// # Errors
    /// Anything that does not fill its frame exactly, text that is not UTF-8, a key that no cancel request has.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let code = reader.u32()?;
        match code {
            SSL => reader.finish().map(|()| Self::Ssl),
            GSSENC => reader.finish().map(|()| Self::GssEnc),
            CANCEL => {
                let pid = reader.u32()?;
                let secret = reader.rest().to_vec();
                if !(4..=256).contains(&secret.len()) {
                    return Err(WireError::Length);
                }
                Ok(Self::Cancel { pid, secret })
            }
            version => {
                let [a, b, c, d] = version.to_be_bytes();
                let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                let mut parameters = Vec::new();
                if major == 3 {
                    loop {
                        let name = reader.cstr()?;
                        if name.is_empty() {
                            break;
                        }
                        parameters.push((name.to_owned(), reader.cstr()?.to_owned()));
                    }
                    reader.finish()?;
                }
                Ok(Self::Startup(Startup { major, minor, parameters }))
            }
        }
    }
}

/// A CancelRequest as bytes.
pub fn cancel_request(pid: u32, secret: &[u8]) -> Vec<u8> {
    let length = u32::try_from(secret.len().saturating_add(12)).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(secret.len() + 12);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&CANCEL.to_be_bytes());
    out.extend_from_slice(&pid.to_be_bytes());
    out.extend_from_slice(secret);
    out
}

/// An SSLRequest as bytes.
pub fn ssl_request() -> [u8; 8] {
    let [a, b, c, d] = SSL.to_be_bytes();
    [0, 0, 0, 8, a, b, c, d]
}

/// A StartupMessage of protocol 3.0 as bytes. A zero byte cannot stand in a name or value; both are cut there.
pub fn startup_message<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut body = bytes::BytesMut::new();
    body.extend_from_slice(&0x0003_0000_u32.to_be_bytes());
    for (name, value) in parameters {
        super::put_cstr(&mut body, name);
        super::put_cstr(&mut body, value);
    }
    body.extend_from_slice(&[0]);
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&body);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use super::*;

    #[test]
    fn a_start_up_packet_is_read_back_as_it_was_written() {
        let bytes = startup_message([("user", "thandi"), ("database", "shop")]);
        assert_eq!(packet_length(&bytes), Ok(Some(bytes.len())));
        let Packet::Startup(startup) = Packet::decode(&bytes[4..]).unwrap() else { panic!("not a start-up") };
        assert_eq!((startup.major, startup.minor), (3, 0));
        assert_eq!(startup.parameter("user"), Some("thandi"));
        assert_eq!(startup.parameter("replication"), None);
    }

    #[test]
    fn a_gigabyte_announced_before_login_is_refused_by_its_length() {
        assert_eq!(packet_length(&0x4000_0000_u32.to_be_bytes()), Err(WireError::Length));
        assert_eq!(packet_length(&10_001_u32.to_be_bytes()), Err(WireError::Length));
        assert_eq!(packet_length(&7_u32.to_be_bytes()), Err(WireError::Length));
        assert_eq!(packet_length(&[0, 0, 0]), Ok(None));
    }

    #[test]
    fn bytes_behind_the_end_of_the_parameters_are_refused() {
        let mut bytes = startup_message([("user", "a")]);
        bytes.push(b'x');
        assert_eq!(Packet::decode(&bytes[4..]), Err(WireError::LeftOver));
        assert_eq!(Packet::decode(&[4, 210, 22, 47, 0]), Err(WireError::LeftOver));
    }

    #[test]
    fn a_cancel_request_carries_a_long_key() {
        let bytes = cancel_request(7, &[9; 32]);
        assert_eq!(Packet::decode(&bytes[4..]), Ok(Packet::Cancel { pid: 7, secret: vec![9; 32] }));
        assert_eq!(Packet::decode(&cancel_request(7, &[9; 3])[4..]), Err(WireError::Length));
    }

    proptest::proptest! {
        #[test]
        fn random_packets_never_panic(bytes: Vec<u8>) {
            let _ = packet_length(&bytes);
            let _ = Packet::decode(&bytes);
        }
    }
}
