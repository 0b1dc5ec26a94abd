//! `audit search --lookup`: a value that was looked up is found by its digest, which needs the key.

use std::collections::BTreeSet;
use std::io::{self, Read};

use clap::Args;

use super::{Known, Place, Wanted};
use crate::audit::Filter;
use crate::cli::output::Output;
use crate::cli::{Ending, setup};
use crate::config::Config;
use crate::policy::PolicySet;
use crate::sql::Compared;

#[derive(Debug, Args)]
pub(super) struct LookedUpArgs {
    /// That compared a column for lookups with this value; `-` reads it from standard input. `--relation` and `--column` say
    /// which column, else every one that the policies open for lookups
    #[arg(long, value_name = "VALUE", requires = "config", allow_hyphen_values = true)]
    lookup: Option<String>,
}

impl LookedUpArgs {
    /// The log's folder, and the filter with the pseudonyms of subjects and the digests of the value.
    pub(super) fn narrow(
        &self,
        place: &Place,
        wanted: &Wanted,
        output: &mut Output,
    ) -> Result<(Known, Filter), Ending> {
        let filter =
            |known: &Known, output: &mut Output| wanted.filter(&known.zone).map_err(|error| output.wrong(error));
        let Some(file) = &place.config else {
            let known = place.of(None);
            let filter = filter(&known, output)?;
            return Ok((known, filter));
        };
        let (config, policies) = setup::loaded(Config::load(file), output).ok_or(Ending::Wrong)?;
        let known = place.of(Some(&config));
        let mut filter = filter(&known, output)?;
        if let Ok(Some(key)) = crate::app::subject_key(&config) {
            let pseudonyms: Vec<String> = filter.subject.iter().map(|subject| key.pseudonym(subject)).collect();
            filter.subject.extend(pseudonyms);
            let actors: Vec<String> = filter.actor.iter().map(|actor| key.actor(actor)).collect();
            filter.actor.extend(actors);
        }
        if let Some(value) = &self.lookup {
            let value = value_of(value).map_err(|error| output.wrong(format_args!("standard input: {error}")))?;
            let Some(key) = crate::app::subject_key(&config).map_err(|error| output.wrong(error))? else {
                return Err(output.wrong(
                    "the log holds no digests: neither `[audit] subject_key` nor `[policy] token_key` names a key",
                ));
            };
            let columns = columns(&policies, filter.relation.take().as_deref(), filter.column.take().as_deref());
            if columns.is_empty() {
                return Err(output.wrong("no rule of the policies has such a column in `lookup`; name it in full: `--column public.customers.id_number`"));
            }
            // What type the column has is not known here: the digest of each form that the value may have.
            let forms: BTreeSet<String> = [Compared::Text, Compared::Padded, Compared::Integer]
                .into_iter()
                .filter_map(|compared| compared.canonical(&value))
                .collect();
            filter.lookup = columns
                .iter()
                .flat_map(|(relation, column)| forms.iter().map(|form| key.lookup(relation, column, form)))
                .collect();
        }
        Ok((known, filter))
    }
}

/// The value, or what standard input holds up to its last line end.
fn value_of(value: &str) -> io::Result<String> {
    if value != "-" {
        return Ok(value.to_owned());
    }
    let mut text = String::new();
    io::stdin().take(1 << 20).read_to_string(&mut text)?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}

/// Columns for lookups that have these names, or the one that is named in full, whatever the policies say now.
fn columns(policies: &PolicySet, relation: Option<&str>, column: Option<&str>) -> BTreeSet<(String, String)> {
    let ends_in = |full: &str, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| {
            full.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    let listed = policies.columns_for_lookups().map(|(table, column)| (table.to_string(), column.to_owned()));
    let mut columns: BTreeSet<_> = listed
        .filter(|(table, name)| ends_in(table, relation) && ends_in(&format!("{table}.{name}"), column))
        .collect();
    let whole = match (relation, column) {
        (Some(relation), Some(column)) if !column.contains('.') => Some(format!("{relation}.{column}")),
        (_, column) => column.map(str::to_owned),
    };
    if let Some((table, name)) = whole.as_deref().and_then(|whole| whole.rsplit_once('.'))
        && table.contains('.')
    {
        columns.insert((table.to_owned(), name.to_owned()));
    }
    columns
}
