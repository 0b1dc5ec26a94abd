//! TLS towards the database.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

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
}

impl UpstreamTls {
    /// No TLS.
    pub fn disabled() -> Self {
        Self { mode: TlsMode::Disable, config: None }
    }

    /// Reads the CA where one is given.
    ///
    /// # Errors
    /// A CA file that cannot be used, or `verify-full` without one.
    pub fn new(mode: TlsMode, ca: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let roots = ca.map(read_roots).transpose()?;
        let config = match (mode, roots) {
            (TlsMode::Disable, _) => return Ok(Self::disabled()),
            (TlsMode::VerifyFull, None) => return Err(TlsError::NoCa),
            (TlsMode::VerifyFull | TlsMode::Require | TlsMode::Prefer, Some(roots)) => {
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            (TlsMode::Require | TlsMode::Prefer, None) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
                .with_no_client_auth(),
        };
        Ok(Self { mode, config: Some(Arc::new(config)) })
    }
}

fn read_roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let wrong = |reason: String| TlsError::Ca { file: file.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
        roots
            .add(certificate.map_err(|error| wrong(error.to_string()))?)
            .map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(roots) }
}

/// Encrypts without knowing to whom, as libpq's `sslmode=require` does without a root certificate.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
