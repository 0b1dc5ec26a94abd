//! What the console of a configuration is put together from.

use std::sync::Arc;

use super::database::Database;
use super::others::others;
use super::policies::subject_key;
use crate::config::Config;
use crate::console::{Console, Due, DueRequests, Parts};
use crate::requests::Shape;
use crate::requests::register::Register;
use crate::server::admin::Admin;
use crate::server::web::Answer;
use crate::session::Shared;

/// Puts it together where anybody may look.
///
/// # Errors
/// A key or the token cannot be read, or a thread cannot be started.
pub(super) fn start(
    config: &Config,
    shared: &Arc<Shared>,
    admin: &Arc<Admin>,
    database: &Database,
) -> Result<Option<Answer>, String> {
    let settings = &config.admin;
    if !settings.has_console() {
        return Ok(None);
    }
    let (policies, database) = (Arc::clone(shared), database.clone());
    let parts = Parts {
        settings: settings.clone(),
        token: settings.token.as_ref().map(crate::config::SecretSource::read).transpose()?,
        organisation: config.organisation.clone(),
        admin: Arc::clone(admin),
        policies: Box::new(move || policies.policies.load_full()),
        subject_key: subject_key(config)?,
        signer: super::log_options(&config.audit)?.signer,
        kept: config.audit.directory.clone(),
        others: others(settings)?,
        due: due(database),
    };
    Console::start(parts).map(|console| Some(console.answer()))
}

/// Requests that are open, where the proxy's login may read their register.
fn due(database: Database) -> DueRequests {
    Box::new(move || {
        let database = database.clone();
        Box::pin(async move {
            let client = database.client().await.map_err(|error| error.to_string())?;
            let shape = Shape::read(&client).await.map_err(|error| error.to_string())?;
            let register = Register::of(&shape).map_err(|error| error.to_string())?;
            let open = register.open_ones(&client).await.map_err(|error| error.to_string())?;
            let due = open.into_iter().map(|request| Due {
                id: request.id,
                asked: request.asked.to_string(),
                received: request.received,
                by: request.deadline.legal,
            });
            Ok(due.collect())
        })
    })
}
