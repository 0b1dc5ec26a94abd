//! Where the console listens: an address that was configured or none, and one that was not as soon as it is free.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config;
use crate::server::ListenTls;
use crate::server::admin::{self, Admin};
use crate::server::web::Answer;

/// How often is looked whether an address that was taken is free.
const AGAIN: Duration = Duration::from_secs(5);
/// How often certificate and key are read again.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);

/// Serves it from now on. Without an address nothing is served.
///
/// # Errors
/// The address that the configuration names cannot be listened on, in words for the operator.
pub(super) async fn start(wanted: &config::Admin, admin: Arc<Admin>, reviewing: Option<Answer>) -> Result<(), String> {
    let Some(address) = wanted.address.clone() else { return Ok(()) };
    let tls = match &wanted.tls {
        None => None,
        Some(tls) => {
            let made = ListenTls::for_site(&tls.certificate, &tls.key, tls.client_ca.as_deref());
            Some(made.map_err(|error| error.to_string())?)
        }
    };
    let renewed = tls.clone();
    let bind = async move || {
        TcpListener::bind((address.host.as_str(), address.port)).await.map_err(|error| (address.clone(), error))
    };
    let first = match bind().await {
        Ok(listener) => Some(listener),
        Err((address, error)) if error.kind() == ErrorKind::AddrInUse && !wanted.configured => {
            tracing::warn!(
                "there is no console yet: another process listens on `{address}`, which follows from `[listen]` because `[admin] address` \
                 is not configured; it comes once the address is free"
            );
            None
        }
        Err((address, error)) if error.kind() == ErrorKind::AddrInUse => {
            return Err(format!(
                "another process listens on `{address}`, where `[admin] address` wants the console: name another port, `\"off\"`, or nothing, \
                 which takes one beside that of `[listen]`"
            ));
        }
        Err((address, error)) => return Err(format!("cannot listen on `{address}` for the console: {error}")),
    };
    tokio::spawn(async move {
        let listener = match first {
            Some(listener) => listener,
            None => loop {
                tokio::time::sleep(AGAIN).await;
                if let Ok(listener) = bind().await {
                    tracing::info!("the console is there");
                    break listener;
                }
            },
        };
        admin::serve(listener, admin, tls, reviewing).await;
    });
    if let Some(tls) = renewed {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CERTIFICATE_EVERY).await;
                let tls = tls.clone();
                if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tls.reload()).await {
                    tracing::error!(%error, "the console's certificate was not loaded; the one before stays in use");
                }
            }
        });
    }
    Ok(())
}
