//! What a person does. First the record of the access log, then the deed; without the record nothing is done.

use std::sync::Arc;

use super::Centre;
use super::door::Person;
use super::knock::international;
use super::receipt::{Did, Made, Receipt};
use super::words::Tongue;
use crate::mail::Message;
use crate::policy::{Basis, Purpose};
use crate::requests::clock::Deadline;
use crate::requests::deletion::Trouble;
use crate::requests::told::Step;

/// How a purpose can be switched here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    /// It rests on consent.
    Consent,
    /// It may be objected to (s11(3)).
    Objection,
    /// The same, and an objection is entered with form 1, since no table of objections is known here.
    Form,
    /// It cannot be.
    Fixed,
}

/// How it can be.
pub(super) fn switch(centre: &Centre, purpose: &Purpose) -> Switch {
    let can = centre.parts.store.can;
    match purpose.basis {
        Basis::Consent if can.consent => Switch::Consent,
        Basis::Consent => Switch::Fixed,
        Basis::SubjectInterest | Basis::PublicDuty | Basis::LegitimateInterest if can.object && can.lift => {
            Switch::Objection
        }
        Basis::SubjectInterest | Basis::PublicDuty | Basis::LegitimateInterest => Switch::Form,
        Basis::Contract | Basis::LegalObligation => Switch::Fixed,
    }
}

/// Which purposes are on, for one person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    pub(super) consents: Vec<String>,
    pub(super) objections: Vec<String>,
}

impl Wishes {
    pub(super) async fn of(centre: &Centre, subject: &str) -> Result<Self, Trouble> {
        let store = &centre.parts.store;
        Ok(Self { consents: store.consents(subject).await?, objections: store.objections(subject).await? })
    }

    /// A child needs its parents' consent besides its own.
    pub(super) fn is_on(&self, centre: &Centre, purpose: &Purpose) -> bool {
        match switch(centre, purpose) {
            Switch::Consent => self.consents.contains(&purpose.name),
            Switch::Objection => !self.objections.contains(&purpose.name),
            Switch::Form | Switch::Fixed => true,
        }
    }
}

/// Switches one purpose; `None` where nothing changed, since it was so.
pub(super) async fn change(
    centre: &Arc<Centre>,
    person: &Person,
    purpose: &str,
    on: bool,
    tongue: Tongue<'_>,
) -> Result<Option<Receipt>, Trouble> {
    let policies = centre.parts.policies.load_full();
    let known = policies.purpose(purpose).ok_or_else(|| Trouble::Refused("there is no such purpose".to_owned()))?;
    let did = match (switch(centre, known), on) {
        (Switch::Consent, true) => Did::Gave,
        (Switch::Consent, false) => Did::Withdrew,
        (Switch::Objection, true) => Did::Lifted,
        (Switch::Objection, false) => Did::Objected,
        (Switch::Form | Switch::Fixed, _) => return Err(Trouble::Refused("it cannot be switched".to_owned())),
    };
    let receipt = enact(centre, &person.subject, shown(person), purpose, did, tongue.code()).await?;
    if let Some(receipt) = &receipt {
        let (centre, person, receipt) = (Arc::clone(centre), person.clone(), receipt.clone());
        let (known, code) = (known.clone(), tongue.code());
        tokio::spawn(async move { send(&centre, &person, &receipt, &known, code).await });
    }
    Ok(receipt)
}

/// One click of a mail ends a purpose, whoever clicks: the link was sent to the person.
pub(super) async fn unsubscribe(
    centre: &Centre,
    subject: &str,
    purpose: &str,
    language: &'static str,
) -> Result<(), Trouble> {
    let policies = centre.parts.policies.load_full();
    let known = policies.purpose(purpose).ok_or_else(|| Trouble::Refused("there is no such purpose".to_owned()))?;
    let did = match switch(centre, known) {
        Switch::Consent => Did::Withdrew,
        Switch::Objection => Did::Objected,
        Switch::Form | Switch::Fixed => return Err(Trouble::Refused("it cannot be switched".to_owned())),
    };
    enact(centre, subject, "a link of an e-mail", purpose, did, language).await.map(drop)
}

async fn enact(
    centre: &Centre,
    subject: &str,
    shown: &str,
    purpose: &str,
    did: Did,
    language: &'static str,
) -> Result<Option<Receipt>, Trouble> {
    let parts = &centre.parts;
    let policies = parts.policies.load_full();
    let principal = parts.told.key.as_ref().map_or_else(|| "-".to_owned(), |key| key.pseudonym(subject));
    let made = Made {
        policies: &policies,
        organisation: &parts.organisation,
        keys: &centre.parts.keys,
        url: &parts.settings.url,
        language,
        principal: &principal,
        shown,
    };
    let receipt = made.receipt(purpose, did);
    let says = format!("`{purpose}`, receipt {}", receipt.id);
    let step = Step { step: did.step(), request: None, subject: Some(subject), says: &says, lookups: &[] };
    parts.told.tell(&step).await?;
    let proof = format!("privacy centre, receipt {}", receipt.id);
    let changed = parts.store.change(did, subject, purpose, &proof).await?;
    Ok((changed > 0).then_some(receipt))
}

/// How it was made sure who it is.
pub(super) fn shown(person: &Person) -> &'static str {
    if person.by_mail { "code to the e-mail address on record" } else { "code to the number on record" }
}

/// What was done, in a sentence.
pub(super) fn sentence(receipt: &Receipt, purpose: &Purpose, tongue: Tongue<'_>) -> String {
    let key = match receipt.did {
        Did::Gave => "receipt.gave",
        Did::Withdrew => "receipt.withdrew",
        Did::Objected => "receipt.objected",
        Did::Lifted => "receipt.lifted",
    };
    tongue.filled(key, &[("purpose", purpose.description.as_deref().unwrap_or(&purpose.name))])
}

/// The receipt goes to the person too, and so tells them of a change that they did not make. That it did not leave changes nothing.
async fn send(centre: &Centre, person: &Person, receipt: &Receipt, purpose: &Purpose, language: &str) {
    let Some(tongue) = centre.tongues.get(language) else { return };
    let what = sentence(receipt, purpose, tongue);
    let url = format!("{}/{}/choices", centre.parts.settings.url, tongue.code());
    let holes = [("what", what.as_str()), ("url", url.as_str()), ("name", centre.name()), ("id", receipt.id.as_str())];
    let mailer = &centre.parts.mailer;
    let sent = if person.by_mail {
        let text = format!("{}\n{}\n", tongue.filled("mail.receipt", &holes), receipt.json);
        mailer.send(&Message::new(&person.contact, tongue.filled("mail.receipt_subject", &holes), text)).await
    } else {
        mailer.sms(&international(&person.contact), &tongue.filled("mail.receipt_sms", &holes)).await
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "a receipt of the privacy centre was not sent");
    }
}

/// Enters a request; gives its reference, and by when it is answered.
pub(super) async fn ask(
    centre: &Centre,
    person: &Person,
    asked: &str,
    wanted: Option<&str>,
) -> Result<(String, Deadline), Trouble> {
    let parts = &centre.parts;
    let today = parts.policies.load().zone().today();
    let deadline = Deadline::of(today, false, &parts.holidays)
        .ok_or_else(|| Trouble::Refused("today is beyond the calendar".to_owned()))?;
    let says = format!("{asked}, by the person");
    let step = Step { step: "open", request: None, subject: Some(&person.subject), says: &says, lookups: &[] };
    parts.told.tell(&step).await?;
    let people = parts.people.to_string();
    let id = parts.store.enter(asked, &people, &person.subject, shown(person), wanted, today, deadline).await?;
    Ok((parts.keys.reference(id), deadline))
}
