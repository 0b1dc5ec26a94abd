//! The server's configuration.

mod address;
mod admin;
mod alerts;
mod audit;
mod auth;
mod centre;
mod changed;
mod fleet;
mod mail;
mod organisation;
mod place;
mod read;
mod requests;
mod secret;
mod server;
mod telemetry;
mod verifier;
mod zone;

pub use address::{HostPort, UpstreamAddress};
pub use admin::{Admin, Person, Standing};
pub use alerts::{Alerts, Webhook};
pub use audit::{ActorsAs, Audit, AuditSync, HttpSink, PostgresSink, SinkRecords, Sinks};
pub use centre::Centre;
pub use fleet::Fleet;
pub use mail::{Mail, MailTls, MailWay, Smtp};
pub use organisation::Organisation;
pub use place::{HttpUrl, SyslogAddress};
pub use requests::Requests;
pub use secret::{Key, Secret, SecretSource};
pub use server::{
    Auth, AuthMethod, ClientCertificate, Config, Limits, Listen, Login, Mode, Policy, PolicyBundle, ServerTls,
    Upstream, UpstreamTls,
};
pub use telemetry::Telemetry;
pub use verifier::{DIGEST, Shape, Shapes, Verifier};
pub use zone::{When, Zone};
