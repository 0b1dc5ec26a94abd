//! A server that takes e-mail.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::MailError;
use crate::config::{MailTls, Smtp};

/// One connection a message: the few that are sent need no pool.
pub(super) type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How long one step of the exchange may take.
const STEP: Duration = Duration::from_secs(15);

/// Reads password and authorities.
pub(super) fn transport(smtp: &Smtp) -> Result<Transport, String> {
    let host = &smtp.address.host;
    let tls = match smtp.tls {
        MailTls::Disable => Tls::None,
        MailTls::StartTls => Tls::Required(parameters(smtp)?),
        MailTls::Implicit => Tls::Wrapper(parameters(smtp)?),
    };
    let mut builder = Transport::builder_dangerous(host).port(smtp.address.port).tls(tls).timeout(Some(STEP));
    if let Some((login, password)) = &smtp.login {
        builder = builder.credentials(Credentials::new(login.clone(), password.read()?.expose().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(smtp.address.host.clone());
    if let Some(file) = &smtp.tls_ca {
        let wrong = |reason: String| format!("the authorities in `{}`: {reason}", file.display());
        builder = builder.certificate_store(CertificateStore::None);
        let mut found = false;
        for one in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
            let one = one.map_err(|error| wrong(error.to_string()))?;
            let one = Certificate::from_der(one.to_vec()).map_err(|error| wrong(error.to_string()))?;
            (builder, found) = (builder.add_root_certificate(one), true);
        }
        if !found {
            return Err(wrong("there are none".to_owned()));
        }
    }
    builder.build().map_err(|error| format!("TLS towards the mail server: {error}"))
}

/// Without the server's own words.
pub(super) fn told(error: &Error) -> MailError {
    if let Some(code) = error.status() {
        return MailError::Refused(code.into());
    }
    MailError::Unreachable(if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_tls() {
        "its certificate or its TLS cannot be used"
    } else if error.is_response() {
        "what it says is not SMTP"
    } else if error.is_client() {
        "it does not offer what `[mail]` asks for: STARTTLS, or a log-in with a password"
    } else {
        "there is no connection to it"
    })
}
