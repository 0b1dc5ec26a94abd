//! A client of raw messages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pgpurpose::wire::startup::{ssl_request, startup_message};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::support::proxy::Proxy;

/// From an address of this machine that nobody else has: attackers have more than one.
pub(crate) fn connect(proxy: &Proxy, number: usize) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = Ipv4Addr::new(127, 10, (number / 8 / 250) as u8, (number / 8 % 250) as u8 + 1);
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port)).into()).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    Some(stream)
}

pub(crate) fn message(stream: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

pub(crate) fn send(stream: &mut impl Write, body: &[u8]) -> std::io::Result<()> {
    let mut out = vec![b'p'];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    stream.write_all(&out)
}

pub(crate) fn initial(first: &[u8]) -> Vec<u8> {
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend_from_slice(&(first.len() as u32).to_be_bytes());
    body.extend_from_slice(first);
    body
}

/// Goes through an exchange with a password; the answer to the proof, and what was sent.
pub(crate) fn exchange(
    proxy: &Proxy,
    number: usize,
    user: &str,
    password: &str,
    replay: Option<&[u8]>,
) -> Option<(u8, Vec<u8>)> {
    let mut stream = connect(proxy, number)?;
    stream.write_all(&startup_message([("user", user), ("database", "shop")])).ok()?;
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    assert_eq!(message(&mut stream).ok()?.0, b'R');
    send(&mut stream, &initial(scram.message())).ok()?;
    let (_, body) = message(&mut stream).ok()?;
    scram.update(body.get(4..)?).ok()?;
    let sent = replay.map_or_else(|| scram.message().to_vec(), <[u8]>::to_vec);
    send(&mut stream, &sent).ok()?;
    let (tag, body) = message(&mut stream).ok()?;
    Some((tag, if tag == b'E' { body } else { sent }))
}

/// A stream of either kind.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// TLS without a look at the certificate, after a request for it.
pub(crate) fn over_tls(mut stream: TcpStream) -> Box<dyn Stream> {
    stream.write_all(&ssl_request()).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"S");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    Box::new(StreamOwned::new(connection, stream))
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
