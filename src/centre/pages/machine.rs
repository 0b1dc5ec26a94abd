//! The same for programs: `/privacy.json`.

use serde_json::{Value, json};

use crate::centre::Centre;
use crate::papers::facts::Facts;
use crate::papers::texts::Language;
use crate::policy::Way;

/// What is held and why, and where people turn to; from the policies in force.
pub(in crate::centre) fn render(centre: &Centre) -> String {
    let policies = centre.parts.policies.load_full();
    let today = policies.zone().today();
    let facts = Facts::of(&policies, today);
    let url = &centre.parts.settings.url;
    let own = |key: &str| centre.parts.organisation.get(key).map(|said| said.join("; "));
    let purposes: Vec<Value> = facts
        .purposes
        .iter()
        .map(|processing| {
            let purpose = processing.purpose;
            let information: Vec<Value> = processing
                .categories
                .iter()
                .map(|(category, used)| {
                    let ways: Vec<&str> = used.ways.iter().map(|way| way_name(*way)).collect();
                    json!({ "category": category, "ways": ways, "special": used.special, "grounds": used.grounds })
                })
                .collect();
            let recipients: Vec<Value> = processing
                .roles
                .iter()
                .map(|role| {
                    json!({ "role": role.name, "recipient": role.recipient, "country": role.country,
                            "contract": role.operator_contract, "ground_abroad": role.country_ground })
                })
                .collect();
            json!({
                "purpose": purpose.name,
                "description": purpose.description,
                "part_of": purpose.parent,
                "basis": purpose.basis.name(),
                "section": format!("POPIA {}", purpose.basis.section()),
                "information": information,
                "recipients": recipients,
                "least_group": purpose.min_group,
                "expires": purpose.expires.map(|day| day.to_string()),
            })
        })
        .collect();
    let retention: Vec<Value> = policies
        .retained()
        .iter()
        .flat_map(|retained| {
            let record = retained.table.to_string();
            let of = |(purpose, limit): &(Option<&str>, &crate::policy::Limit)| {
                json!({ "record": record, "purpose": purpose, "period": limit.to_string() })
            };
            retained.limits.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    let content = json!({
        "version": 1,
        "date": today.to_string(),
        "policy": policies.hash(),
        "enforced": !policies.observes(),
        "responsible_party": {
            "name": own("name"), "information_officer": own("information_officer"), "email": own("email"),
            "telephone": own("telephone"), "street_address": own("street_address"), "website": own("website"),
        },
        "purposes": purposes,
        "retention": retention,
        "languages": Language::ALL.map(Language::code),
        "rights": {
            "see": format!("{url}/en/ask/see"), "correct": format!("{url}/en/ask/correct"),
            "delete": format!("{url}/en/ask/delete"), "object": format!("{url}/en/ask/object"),
            "choose": format!("{url}/en/choices"), "who_looked": format!("{url}/en/seen"), "status": format!("{url}/en/status"),
        },
        "receipts": { "form": "ISO/IEC TS 27560:2023", "ed25519": centre.parts.keys.receipts.public().to_string() },
        "regulator": "https://inforegulator.org.za",
    });
    serde_json::to_string_pretty(&content).unwrap_or_default()
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Read => "read",
        Way::Mask => "mask",
        Way::Lookup => "lookup",
        Way::Write => "write",
    }
}
