//! `pgpurpose subject`: what data subjects ask for, from the request to its outcome.
//!
//! Each verb that touches a person's rows, or the register, is a record of the access log and a step of the request: first the record, then
//! the deed.

mod act;
mod delete;
mod export;
mod find;
mod letters;
mod register;

use clap::{Args, Subcommand};
use tokio_postgres::Client;

use super::Ending;
use super::output::{Output, printable};
use super::setup::{self, Source};
use crate::app::{Database, runtime};
use crate::catalog::{Catalog, RelationName};
use crate::config::Config;
use crate::policy::PolicySet;
use crate::requests::clock::Holidays;
use crate::requests::deletion::Trouble;
use crate::requests::register::{Register, Request};
use crate::requests::told::Told;
use crate::requests::{PersonMap, Shape};

#[derive(Debug, Args)]
pub(super) struct SubjectArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find a person's key by e-mail address, telephone or identity number; recorded as a lookup
    #[command(after_help = "Example:\n  pgpurpose subject find --config pgpurpose.toml --email thandi@example.co.za")]
    Find(find::FindArgs),
    /// Enter a request in the register, and say by when it is to be answered
    #[command(
        after_help = "Example:\n  pgpurpose subject open --config pgpurpose.toml --asked access --subject 17 --form email --identified 'code to the number on record'"
    )]
    Open(register::OpenArgs),
    /// A request, its steps and its time
    #[command(after_help = "Example:\n  pgpurpose subject show --config pgpurpose.toml 17")]
    Show(register::ShowArgs),
    /// Requests that wait, the most urgent first; ends with 1 where one is late
    #[command(after_help = "Example:\n  pgpurpose subject due --config pgpurpose.toml --ics requests.ics")]
    Due(register::DueArgs),
    /// Give a request its one extension, for a ground of PAIA s57
    #[command(after_help = "Example:\n  pgpurpose subject extend --config pgpurpose.toml 17 --ground consultation")]
    Extend(register::ExtendArgs),
    /// Close a request with its outcome
    #[command(after_help = "Example:\n  pgpurpose subject close --config pgpurpose.toml 17 --outcome granted")]
    Close(register::CloseArgs),
    /// Everything that is held about the person, and who has seen it, as one ZIP file
    #[command(after_help = "Example:\n  pgpurpose subject export --config pgpurpose.toml 17 -o 17.zip")]
    Export(export::ExportArgs),
    /// Correct a value of the person's
    #[command(
        after_help = "The value is read from standard input where --value is not given, so that it stands in no history of a shell.\n\nExample:\n  pgpurpose subject correct --config pgpurpose.toml 17 --column public.customers.city --value Gqeberha"
    )]
    Correct(act::CorrectArgs),
    /// Plan what goes, what is made anonymous and what stays, or carry it out
    #[command(
        after_help = "Examples:\n  pgpurpose subject delete --config pgpurpose.toml 17 --plan\n  pgpurpose subject delete --config pgpurpose.toml 17 --apply --certificate 17.json"
    )]
    Delete(delete::DeleteArgs),
    /// Enter an objection to a purpose: the next statement of every session honours it
    #[command(after_help = "Example:\n  pgpurpose subject object --config pgpurpose.toml 17 --purpose marketing")]
    Object(act::ObjectArgs),
    /// Restrict what is done with the person's records
    #[command(
        after_help = "Example:\n  pgpurpose subject restrict --config pgpurpose.toml 17 --ground accuracy_contested"
    )]
    Restrict(act::RestrictArgs),
    /// Enter a consent, or its end
    #[command(
        after_help = "Example:\n  pgpurpose subject consent --config pgpurpose.toml 17 --purpose marketing.sms --withdraw"
    )]
    Consent(act::ConsentArgs),
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    source: Source,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Whose keys are meant, where the policies know several kinds of people: `public.customers`
    #[arg(long, value_name = "TABLE")]
    of: Option<RelationName>,
    /// Who does it, for the register and the log [default: the name under which you are logged in here]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Everything that a verb works with.
struct Desk {
    config: Config,
    policies: PolicySet,
    catalog: std::sync::Arc<Catalog>,
    shape: Shape,
    of: Option<RelationName>,
    by: String,
    told: Told,
}

pub(super) fn run(arguments: &SubjectArgs, output: &mut Output) -> Ending {
    let common = match &arguments.verb {
        Verb::Find(arguments) => &arguments.common,
        Verb::Open(arguments) => &arguments.common,
        Verb::Show(arguments) => &arguments.common,
        Verb::Due(arguments) => &arguments.common,
        Verb::Extend(arguments) => &arguments.common,
        Verb::Close(arguments) => &arguments.common,
        Verb::Export(arguments) => &arguments.common,
        Verb::Correct(arguments) => &arguments.common,
        Verb::Delete(arguments) => &arguments.common,
        Verb::Object(arguments) => &arguments.common,
        Verb::Restrict(arguments) => &arguments.common,
        Verb::Consent(arguments) => &arguments.common,
    };
    let Some((config, policies)) = setup::loaded(common.source.load(), output) else { return Ending::Wrong };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return output.wrong(error),
    };
    let done = runtime.block_on(async {
        let (desk, mut client) = Desk::open(common, config, policies).await?;
        match &arguments.verb {
            Verb::Find(arguments) => find::run(&desk, &mut client, arguments, output).await,
            Verb::Open(arguments) => register::open(&desk, &mut client, arguments, output).await,
            Verb::Show(arguments) => register::show(&desk, &mut client, arguments, output).await,
            Verb::Due(arguments) => register::due(&desk, &mut client, arguments, output).await,
            Verb::Extend(arguments) => register::extend(&desk, &mut client, arguments, output).await,
            Verb::Close(arguments) => register::close(&desk, &mut client, arguments, output).await,
            Verb::Export(arguments) => export::run(&desk, &mut client, arguments, output).await,
            Verb::Correct(arguments) => act::correct(&desk, &mut client, arguments, output).await,
            Verb::Delete(arguments) => delete::run(&desk, &mut client, arguments, output).await,
            Verb::Object(arguments) => act::object(&desk, &mut client, arguments, output).await,
            Verb::Restrict(arguments) => act::restrict(&desk, &mut client, arguments, output).await,
            Verb::Consent(arguments) => act::consent(&desk, &mut client, arguments, output).await,
        }
    });
    match done {
        Ok(ending) => ending,
        // Nothing was found wrong with usage: what was asked could not be done.
        Err(trouble) => {
            output.wrong(printable(&trouble.to_string()));
            Ending::Failed
        }
    }
}

impl Desk {
    async fn open(common: &Common, config: Config, policies: PolicySet) -> Result<(Self, Client), Trouble> {
        let database =
            Database::find(&config, &policies, common.database.as_deref()).await.map_err(Trouble::Refused)?;
        let catalog = database.catalog().await.map_err(Trouble::Refused)?.current();
        let client = database.client().await.map_err(Trouble::Refused)?;
        let shape = Shape::read(&client).await?;
        let by = common.by.clone().or_else(|| std::env::var("USER").ok()).filter(|by| !by.trim().is_empty());
        let by = by.ok_or_else(|| Trouble::Refused("who does it is not known: say so with --by".to_owned()))?;
        let told =
            crate::app::told(&config, &config.upstream.catalog_login, &database.name, &by).map_err(Trouble::Refused)?;
        let policies = policies.fitted(&catalog);
        let desk = Self { config, policies, catalog, shape, of: common.of.clone(), by, told };
        Ok((desk, client))
    }

    /// Where the people's rows are.
    fn map(&self, of: Option<&RelationName>) -> Result<PersonMap<'_>, Trouble> {
        PersonMap::new(&self.shape, &self.policies, of.or(self.of.as_ref()))
            .map_err(|none| Trouble::Refused(none.to_string()))
    }

    fn register(&self) -> Result<Register, Trouble> {
        Register::of(&self.shape)
    }

    /// An open request that somebody acts on.
    async fn request(&self, client: &Client, id: i64) -> Result<(Register, Request), Trouble> {
        let register = self.register()?;
        let request = register.get(client, id).await?;
        match &request.closed {
            None => Ok((register, request)),
            Some(_) => {
                Err(Trouble::Refused(format!("request {id} is closed: what comes after it is a request of its own")))
            }
        }
    }

    fn holidays(&self) -> Holidays {
        let requests = &self.config.requests;
        Holidays::new(requests.proclaimed.iter().copied(), requests.proclaimed_until)
    }

    fn today(&self) -> jiff::civil::Date {
        self.policies.zone().today()
    }
}
