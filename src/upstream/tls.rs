//! TLS towards the database.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::verify::{Trusted, Unverified};

/// When TLS is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    #[default]
    Disable,
    /// Where the server offers it.
    Prefer,
    /// Always; the certificate is checked only where a CA is given.
    Require,
    /// Always; certificate and host name are checked.
    VerifyFull,
}

/// Why TLS towards the database cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the CA.
    #[error("the CA file `{file}` cannot be used: {reason}")]
    Ca {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The proxy's own certificate or key.
    #[error("`{file}` cannot be used: {reason}")]
    Own {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// `verify-full` without a CA.
    #[error("`verify-full` needs `tls_ca`")]
    NoCa,
    /// What rustls says.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Mode and settings.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    pub(super) mode: TlsMode,
    pub(super) config: Option<Arc<ClientConfig>>,
    /// Certificates are checked, with their names.
    verified: bool,
}

impl UpstreamTls {
    /// No TLS.
    pub fn disabled() -> Self {
        Self { mode: TlsMode::Disable, config: None, verified: false }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified
    }

    /// Reads the CA where one is given, and the proxy's own certificate and key, which are shown to a database that asks.
    ///
    /// # Errors
    /// A CA file that cannot be used, or `verify-full` without one.
    pub fn new(mode: TlsMode, ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let roots = ca.map(|file| read_roots(file).map(|roots| (file, roots))).transpose()?;
        let builder = match (mode, roots) {
            (TlsMode::Disable, _) => return Ok(Self::disabled()),
            (TlsMode::VerifyFull, None) => return Err(TlsError::NoCa),
            (TlsMode::VerifyFull | TlsMode::Require | TlsMode::Prefer, Some((file, roots))) => {
                let trusted = Trusted::new(roots, provider)
                    .map_err(|reason| TlsError::Ca { file: file.display().to_string(), reason })?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(trusted))
            }
            (TlsMode::Require | TlsMode::Prefer, None) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
            }
        };
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, key) = identity(certificate, key)?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        Ok(Self { mode, config: Some(Arc::new(config)), verified: ca.is_some() })
    }
}

/// `tls-server-end-point` of the server that a connection is to.
pub(super) fn peer_end_point(connection: &rustls::ClientConnection) -> Option<Vec<u8>> {
    crate::wire::end_point(connection.peer_certificates()?.first()?)
}

fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let wrong = |file: &Path, reason: String| TlsError::Own { file: file.display().to_string(), reason };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|error| wrong(certificate, error.to_string()))?.collect();
    let chain = chain.map_err(|error| wrong(certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    Ok((chain, key))
}

fn read_roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::Ca { file: file.display().to_string(), reason };
    let roots: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?.collect();
    let roots = roots.map_err(|error| wrong(error.to_string()))?;
    if roots.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(roots) }
}
