//! Finds who has an address or number, and sends the code. Nobody's request waits for it, so that an answer takes no longer for who is
//! known than for who is not.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Centre;
use super::door::Asked;
use crate::audit::LookedUp;
use crate::mail::Message;
use crate::policy::ContactKind;
use crate::requests::told::Step;

/// Somebody asked for a code.
#[derive(Debug)]
pub(super) struct Knock {
    pub(super) asked: Asked,
    pub(super) kind: ContactKind,
    /// What was typed, in its one form.
    pub(super) normal: String,
    pub(super) language: &'static str,
}

/// Longest before a code is looked after, drawn anew each time: what it costs falls into nobody's next request in particular.
const SOON_MS: u64 = 300;
/// Looked after at a time.
const AT_ONCE: usize = 4;

/// Takes them as they come, until the centre has gone.
pub(super) async fn answer(centre: Weak<Centre>, mut waiting: mpsc::Receiver<Knock>) {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    while let Some(knock) = waiting.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Some(centre) = centre.upgrade() else { return };
        tokio::spawn(async move {
            let _place = place;
            tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % SOON_MS)).await;
            if let Err(error) = one(&centre, &knock).await {
                tracing::warn!(%error, "a code of the privacy centre was not sent");
            }
        });
    }
}

/// The record of the lookup comes first; who is found is told to the door before the code leaves.
async fn one(centre: &Centre, knock: &Knock) -> Result<(), String> {
    let parts = &centre.parts;
    let table = parts.people.to_string();
    let columns = parts.known.iter().filter(|(kind, _)| *kind == knock.kind);
    let lookups: Vec<LookedUp> = columns.map(|(_, column)| parts.told.lookup(&table, column, &knock.normal)).collect();
    let step = Step { step: "find", request: None, subject: None, says: "for a code of the centre", lookups: &lookups };
    parts.told.tell(&step).await.map_err(|error| error.to_string())?;
    let found = parts.store.find(knock.kind, &knock.normal).await.map_err(|error| error.to_string())?;
    let Some(person) = found else { return Ok(()) };
    let Some(tongue) = centre.tongues.get(knock.language) else { return Ok(()) };
    centre.door().found(&knock.asked, person.clone());
    let code = [("code", knock.asked.code.as_str()), ("name", centre.name())];
    let sent = if person.by_mail {
        let (subject, text) = (tongue.filled("mail.code_subject", &code), tongue.filled("mail.code", &code));
        parts.mailer.send(&Message::new(person.contact, subject, text)).await
    } else {
        parts.mailer.sms(&international(&person.contact), &tongue.filled("mail.code_sms", &code)).await
    };
    sent.map_err(|error| error.to_string())
}

/// A number on record as a telephone takes it: `+27825550101`.
pub(super) fn international(number: &str) -> String {
    format!("+{}", ContactKind::Phone.normalised(number).unwrap_or_default())
}
