//! TLS towards clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::wire::end_point;

/// PostgreSQL's protocol in ALPN; direct TLS demands it.
pub(super) const ALPN: &[u8] = b"postgresql";
/// HTTP's.
const HTTP: &[u8] = b"http/1.1";

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

/// Certificate, key, and what is demanded of clients. Clones share what [`ListenTls::reload`] replaces.
#[derive(Debug, Clone)]
pub struct ListenTls {
    current: Arc<ArcSwap<Loaded>>,
    files: Arc<Files>,
    pub(super) required: bool,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    alpn: &'static [u8],
}

/// What the files hold now. Connections keep what they began with.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// What a login over TLS is bound to: `tls-server-end-point` of the certificate.
    pub(super) end_point: Option<Vec<u8>>,
    /// SHA-256 of the files, to see that they have changed.
    digest: Vec<u8>,
}

impl ListenTls {
    /// Reads PEM files. `required`: connections without TLS are refused. `client_ca`: clients must have a certificate, and so
    /// must use TLS.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn new(cert: &Path, key: &Path, client_ca: Option<&Path>, required: bool) -> Result<Self, ListenTlsError> {
        let client_ca = client_ca.map(Path::to_path_buf);
        let required = required || client_ca.is_some();
        Self::of(Files { cert: cert.to_path_buf(), key: key.to_path_buf(), client_ca, alpn: ALPN }, required)
    }

    /// The same for a site: HTTP, and nobody without TLS. `client_ca`: a client may have a certificate, and one without is let in.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn for_site(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, ListenTlsError> {
        let client_ca = client_ca.map(Path::to_path_buf);
        Self::of(Files { cert: cert.to_path_buf(), key: key.to_path_buf(), client_ca, alpn: HTTP }, true)
    }

    fn of(files: Files, required: bool) -> Result<Self, ListenTlsError> {
        let loaded = Loaded::read(&files)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(loaded)), files: Arc::new(files), required })
    }

    /// Reads the files again. Whether they have changed; connections that are open keep what they have.
    ///
    /// # Errors
    /// A file that cannot be read or used; what was there before stays in use.
    pub fn reload(&self) -> Result<bool, ListenTlsError> {
        if self.files.digest()? == self.current.load().digest {
            return Ok(false);
        }
        self.current.store(Arc::new(Loaded::read(&self.files)?));
        Ok(true)
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }
}

impl Files {
    fn digest(&self) -> Result<Vec<u8>, ListenTlsError> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for file in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            let bytes = std::fs::read(file).map(zeroize::Zeroizing::new).map_err(|error| wrong(file, &error))?;
            context.update(&bytes.len().to_be_bytes());
            context.update(&bytes);
        }
        Ok(context.finish().as_ref().to_vec())
    }
}

impl Loaded {
    fn read(files: &Files) -> Result<Self, ListenTlsError> {
        // Before the files themselves: one that changes in between is read again.
        let digest = files.digest()?;
        let chain = certificates(&files.cert)?;
        let end_point = chain.first().and_then(|certificate| end_point(certificate));
        let (key, client_ca) = (files.key.as_path(), files.client_ca.as_deref());
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if files.alpn == HTTP { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| wrong(file, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![files.alpn.to_vec()];
        Ok(Self { config: Arc::new(config), end_point, digest })
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
