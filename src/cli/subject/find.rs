//! `pgpurpose subject find`.

use clap::Args;
use serde_json::json;
use tokio_postgres::Client;

use super::{Common, Desk};
use crate::audit::LookedUp;
use crate::cli::Ending;
use crate::cli::output::{Output, printable};
use crate::policy::ContactKind;
use crate::requests::deletion::Trouble;
use crate::requests::find::{find, known, people};
use crate::requests::told::Step;
use crate::scan::Lexicon;

#[derive(Debug, Args)]
#[group(id = "by_what", required = true, multiple = false, args = ["email", "phone", "id_number"])]
pub(super) struct FindArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The e-mail address on record
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The telephone number on record, in any form
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// The South African identity number
    #[arg(long, value_name = "NUMBER")]
    id_number: Option<String>,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    desk: &Desk,
    client: &mut Client,
    arguments: &FindArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let asked = [
        (ContactKind::Email, &arguments.email),
        (ContactKind::Phone, &arguments.phone),
        (ContactKind::IdNumber, &arguments.id_number),
    ];
    let Some((kind, value)) = asked.into_iter().find_map(|(kind, value)| Some((kind, value.as_deref()?))) else {
        return Err(Trouble::Refused("say by what: --email, --phone or --id-number".to_owned()));
    };
    let lexicon = Lexicon::built_in().map_err(|error| Trouble::Refused(error.to_string()))?;
    let map = desk.map(None)?;
    let known = known(&map, &desk.policies, &lexicon);
    let lookups: Vec<LookedUp> = known
        .iter()
        .filter(|column| column.kind == kind)
        .filter_map(|column| Some((map.shape.tables.get(column.table)?, column)))
        .map(|(table, column)| desk.told.lookup(&table.name.to_string(), &column.column, value))
        .collect();
    desk.told.tell(&Step { step: "find", request: None, subject: None, says: "", lookups: &lookups }).await?;
    let found = find(&*client, &map, &known, kind, value).await?;
    let people = people(&map).map(|name| name.to_string()).unwrap_or_default();
    if arguments.json {
        let keys: serde_json::Map<String, serde_json::Value> =
            found.keys.iter().map(|(key, columns)| (key.clone(), json!(columns))).collect();
        output.line(json!({ "people": people, "keys": keys, "more": found.more }));
    } else {
        for (key, columns) in &found.keys {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            output.line(format_args!("{people} {}  ({})", printable(key), columns.join(", ")));
        }
        match found.keys.len() {
            0 => output.remark(format_args!("nobody of `{people}` has that {}", kind.name())),
            1 => {}
            keys => output.remark(format_args!(
                "{keys} keys have that {}: one person with several, or several who share it. Make sure before you answer",
                kind.name()
            )),
        }
        if found.more {
            output.remark("there are more; so many people share it that it finds nobody");
        }
    }
    Ok(if found.keys.is_empty() { Ending::Failed } else { Ending::Fine })
}
