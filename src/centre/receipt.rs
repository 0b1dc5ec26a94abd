//! What a person is given of each change: a consent record's receipt, with the fields of ISO/IEC TS 27560:2023, signed.
//!
//! The record names the purpose, the kinds of information, who decides and who receives, how long it is kept, what the person did and when. The
//! person stands in it by the log's pseudonym alone.

use serde_json::{Value, json};

use super::keys::Keys;
use crate::config::Organisation;
use crate::papers::facts::{Facts, HERE, Processing};
use crate::policy::{OURSELVES, PolicySet};
use crate::server::site::random;

/// Who complains writes here.
pub(super) const REGULATOR: &str = "POPIAComplaints@inforegulator.org.za";

/// One change, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    /// When: RFC 3339, UTC.
    pub(super) time: String,
    /// The purpose's name.
    pub(super) purpose: String,
    /// What the person did.
    pub(super) did: Did,
    /// The whole, as JSON.
    pub(super) json: String,
}

/// What a person did with a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    /// Agreed.
    Gave,
    /// Agreed no longer.
    Withdrew,
    /// Objected (POPIA s11(3)).
    Objected,
    /// Took the objection back.
    Lifted,
}

impl Did {
    /// Whether the purpose goes on.
    pub(super) fn is_on(self) -> bool {
        matches!(self, Self::Gave | Self::Lifted)
    }

    /// The step, as register and log have it.
    pub(super) fn step(self) -> &'static str {
        match self {
            Self::Gave => "give consent",
            Self::Withdrew => "withdraw consent",
            Self::Objected => "object",
            Self::Lifted => "take objection back",
        }
    }

    /// The state of an event, in the standard's words where it has one.
    fn state(self) -> &'static str {
        match self {
            Self::Gave => "consent_given",
            Self::Withdrew => "consent_withdrawn",
            Self::Objected => "objection_made",
            Self::Lifted => "objection_withdrawn",
        }
    }
}

/// What a receipt is made from.
pub(super) struct Made<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) organisation: &'a Organisation,
    pub(super) keys: &'a Keys,
    /// How people reach the centre.
    pub(super) url: &'a str,
    /// The language in which it was done.
    pub(super) language: &'static str,
    /// The person, by pseudonym.
    pub(super) principal: &'a str,
    /// How it was made sure who it is; none where a link did it.
    pub(super) shown: &'a str,
}

impl Made<'_> {
    /// For one change, now.
    pub(super) fn receipt(&self, purpose: &str, did: Did) -> Receipt {
        let id = random().chars().take(32).collect::<String>();
        let now = jiff::Timestamp::now();
        let time = now.to_string();
        let facts = Facts::of(self.policies, self.policies.zone().today());
        let processing = facts.purposes.iter().find(|processing| processing.purpose.name == purpose);
        let own = |key: &str| self.organisation.get(key).map(|said| said.join("; "));
        let content = json!({
            "schema_version": "ISO/IEC TS 27560:2023",
            "record_id": id,
            "receipt_id": id,
            "receipt_timestamp": time,
            "pii_principal_id": self.principal,
            "pii_processing": [{
                "privacy_notice": format!("{}/{}/", self.url, self.language),
                "language": self.language,
                "purposes": [processing.map(|processing| purpose_of(processing, self, &facts))],
            }],
            "party_identification": [{
                "party_id": "responsible_party",
                "party_role": "pii_controller",
                "party_name": own("name"),
                "party_address": own("street_address"),
                "party_email": own("email"),
                "party_phone": own("telephone"),
                "party_url": own("website"),
                "party_contact": own("information_officer"),
            }],
            "event": [{
                "event_time": time,
                "event_type": "explicit",
                "event_state": did.state(),
                "entity_id": self.principal,
                "identified_by": self.shown,
            }],
            "policy": self.policies.hash(),
        });
        let signed = crate::requests::told::sign(content, Some(&self.keys.receipts));
        let json = serde_json::to_string_pretty(&signed).unwrap_or_default();
        Receipt { id, time, purpose: purpose.to_owned(), did, json }
    }
}

fn purpose_of(processing: &Processing<'_>, made: &Made<'_>, facts: &Facts<'_>) -> Value {
    let information = processing.categories.iter().map(
        |(category, used)| json!({ "pii_type": category, "special_pii_category": used.special, "pii_optional": false }),
    );
    let third: Vec<Value> = processing
        .roles
        .iter()
        .filter(|role| role.recipient != OURSELVES)
        .map(|role| json!({ "name": role.recipient, "country": role.country, "contract": role.operator_contract }))
        .collect();
    let abroad = processing.roles.iter().any(|role| role.country != HERE);
    let kept: Vec<Value> = facts
        .policies
        .retained()
        .iter()
        .flat_map(|retained| {
            let table = retained.table.to_string();
            let of = |(purpose, limit): &(Option<&str>, &crate::policy::Limit)| {
                purpose
                    .is_none_or(|purpose| purpose == processing.purpose.name)
                    .then(|| json!({ "record": table, "period": limit.to_string() }))
            };
            retained.limits.iter().filter_map(of).collect::<Vec<_>>()
        })
        .collect();
    json!({
        "purpose": processing.purpose.name,
        "purpose_description": processing.purpose.description,
        "lawful_basis": processing.purpose.basis.name(),
        "lawful_basis_section": format!("POPIA {}", processing.purpose.basis.section()),
        "pii_information": information.collect::<Vec<_>>(),
        "pii_controllers": ["responsible_party"],
        "collection_method": "privacy centre",
        "retention_period": kept,
        "recipient_third_parties": third,
        "geographic_restrictions": if abroad { Value::Null } else { json!(HERE) },
        "jurisdictions": [HERE],
        "withdrawal_method": format!("{}/{}/choices", made.url, made.language),
        "privacy_rights": format!("{}/{}/requests", made.url, made.language),
        "authority_party": format!("Information Regulator (South Africa), {REGULATOR}"),
    })
}
