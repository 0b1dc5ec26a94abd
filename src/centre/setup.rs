//! The functions that the centre's login may call, for one database and its policies, as SQL: who has an address, which consents and
//! objections are live, and how they change. `deploy/privacy.sql` has those that are the same everywhere.

use std::fmt::Write;

use crate::policy::{ContactKind, ExclusionList, PolicySet};
use crate::requests::deletion::Trouble;
use crate::requests::find::{described, known, searched};
use crate::requests::wishes::{Consents, Exclusions};
use crate::requests::{PersonMap, Shape};
use crate::scan::Lexicon;

/// Each runs with its owner's rights and one search path, whoever calls it and however.
const HEAD: &str = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// The text, to be applied by the database's owner after `deploy/privacy.sql`; and what could not be made, in words.
///
/// # Errors
/// The policies name no people, or the people's own table has neither an address nor a number.
pub(crate) fn sql(policies: &PolicySet, shape: &Shape, map: &PersonMap<'_>) -> Result<(String, Vec<String>), Trouble> {
    let lexicon = Lexicon::built_in().map_err(|error| Trouble::Refused(error.to_string()))?;
    let mut out = String::from(
        "-- Made by `pgpurpose centre --sql` from the policies and the database's tables. Make it anew when either changes.\nBEGIN;\n",
    );
    let mut missing = Vec::new();
    // Addresses that a person gave for themselves, and not those that stand in a message to somebody.
    let columns: Vec<_> =
        known(map, policies, &lexicon).into_iter().filter(|known| known.table == map.register).collect();
    let mut any = false;
    for (kind, name) in [(ContactKind::Email, "centre_find_email"), (ContactKind::Phone, "centre_find_phone")] {
        let texts = searched(map, &columns, kind);
        if texts.is_empty() {
            missing.push(format!("no column of the people's own table is known to hold an {}", kind.name()));
            continue;
        }
        any = true;
        let body = format!(
            "SELECT DISTINCT ON (found.key) found.key, found.contact FROM ({}) AS found WHERE found.key IS NOT NULL \
             ORDER BY found.key, found.contact LIMIT 2",
            texts.join(" UNION ")
        );
        function(&mut out, name, "wanted text", "TABLE (subject text, contact text)", "STABLE", &body);
    }
    if !any {
        return Err(Trouble::Refused(missing.join("; ")));
    }
    if let Some(body) = described(map, policies, &lexicon) {
        let gives = "TABLE (name text, address text, email text, phone text)";
        function(&mut out, "centre_person", "subject text", gives, "STABLE", &body);
    }
    let three = "subject text, purpose text, proof text";
    match Consents::of(policies, shape)
        .and_then(|consents| Ok((consents.live(), consents.give()?, consents.withdraw()?)))
    {
        Ok((live, give, withdraw)) => {
            function(&mut out, "centre_consents", "subject text", "SETOF text", "STABLE", &live);
            function(&mut out, "centre_give", three, "bigint", "VOLATILE", &counted(&give));
            function(&mut out, "centre_withdraw", three, "bigint", "VOLATILE", &counted(&withdraw));
        }
        Err(trouble) => missing.push(trouble.to_string()),
    }
    match Exclusions::of(policies, shape, ExclusionList::Objections) {
        Ok(objections) => match objections.live() {
            Some(live) => {
                function(&mut out, "centre_objections", "subject text", "SETOF text", "STABLE", &live);
                function(&mut out, "centre_object", three, "bigint", "VOLATILE", &counted(&objections.enter()));
                if let Some(lift) = objections.lift() {
                    function(&mut out, "centre_lift", three, "bigint", "VOLATILE", &counted(&lift));
                }
            }
            None => missing.push("an objection names no purpose in that table".to_owned()),
        },
        Err(trouble) => missing.push(trouble.to_string()),
    }
    out.push_str("COMMIT;\n");
    Ok((out, missing))
}

fn counted(change: &str) -> String {
    format!("WITH changed AS ({change} RETURNING 1) SELECT pg_catalog.count(*) FROM changed")
}

fn function(out: &mut String, name: &str, takes: &str, gives: &str, kind: &str, body: &str) {
    let types: Vec<&str> = takes.split(", ").filter_map(|part| part.split(' ').nth(1)).collect();
    let signature = format!("privacy.{name}({})", types.join(", "));
    let _ = write!(
        out,
        "CREATE OR REPLACE FUNCTION privacy.{name}({takes}) RETURNS {gives} LANGUAGE sql {kind} {HEAD} AS $pgpurpose$\n{body}\n$pgpurpose$;\n\
         REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;\nGRANT EXECUTE ON FUNCTION {signature} TO privacy_centre;\n"
    );
}
