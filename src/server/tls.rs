//! TLS towards clients.

use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// PostgreSQL's protocol in ALPN; direct TLS demands it.
pub(super) const ALPN: &[u8] = b"postgresql";

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ListenTlsError {
    /// A file.
    #[error("`{file}` cannot be used: {reason}")]
    File {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// What rustls says.
    #[error("certificate and key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Certificate, key, and what is demanded of clients.
#[derive(Debug, Clone)]
pub struct ListenTls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) required: bool,
}

impl ListenTls {
    /// Reads PEM files. `required`: connections without TLS are refused. `client_ca`: clients must have a certificate.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn new(cert: &Path, key: &Path, client_ca: Option<&Path>, required: bool) -> Result<Self, ListenTlsError> {
        let chain = certificates(cert)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| wrong(file, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), required })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ListenTlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(|error| wrong(file, &error))?.collect();
    let chain = chain.map_err(|error| wrong(file, &error))?;
    if chain.is_empty() { Err(wrong(file, &"it holds no certificate")) } else { Ok(chain) }
}

fn wrong(file: &Path, reason: &dyn std::fmt::Display) -> ListenTlsError {
    ListenTlsError::File { file: file.display().to_string(), reason: reason.to_string() }
}
