//! Every decoder of the wire: whatever the bytes, none panics, and what a message is read as is written as it was.

use bytes::BytesMut;
use pgpurpose::wire::{ErrorFields, Header, backend, frontend, startup};

/// Every decoder gets all of the bytes.
pub fn run(data: &[u8]) {
    if let Ok(Some(header)) = Header::read(data) {
        assert_eq!(header.encode().as_slice(), data.get(..header.encode().len()).unwrap_or_default(), "a header");
    }
    if let Some(&tag) = data.first() {
        let _ = frontend::Tag::new(tag);
    }
    if let Ok(parse) = frontend::Parse::decode(data) {
        let mut out = BytesMut::new();
        parse.encode(&mut out);
        assert!(out.ends_with(data), "a Parse message is written as it was read");
    }
    for whole in [data.len(), data.len().saturating_mul(2)] {
        let _ = frontend::BindHead::decode(data, whole);
    }
    let _ = frontend::query(data);
    let _ = frontend::target(data);
    let _ = frontend::execute(data);
    let _ = frontend::empty(data);
    let _ = startup::packet_length(data);
    let _ = startup::Packet::decode(data);
    let _ = backend::Status::decode(data);
    let _ = backend::Authentication::decode(data);
    let _ = backend::row_description(data, |_, _| ());
    let _ = backend::data_row(data);
    let _ = backend::command_tag(data).map(backend::rows_of);
    let _ = backend::parameter_status(data);
    let _ = backend::key_data(data);
    if let Ok(fields) = ErrorFields::decode(data) {
        let mut out = BytesMut::new();
        fields.encode(b'E', &mut out);
        assert!(out.len() <= data.len() + 6, "an error grows by its header at most");
    }
    let _ = ErrorFields::decode_part(data);
}
