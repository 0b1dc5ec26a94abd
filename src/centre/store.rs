//! The database, as the centre's own login sees it: functions of the schema `privacy`, and nothing else.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::door::Person;
use super::receipt::Did;
use crate::catalog::Connect;
use crate::policy::ContactKind;
use crate::requests::clock::Deadline;
use crate::requests::deletion::Trouble;

/// A request, as the person who made it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entered {
    pub(super) id: i64,
    pub(super) asked: String,
    pub(super) received: String,
    pub(super) legal_by: String,
    pub(super) outcome: Option<String>,
    pub(super) closed: Option<String>,
}

/// What `pgpurpose centre --sql` could make for this database and these policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Can {
    pub(super) email: bool,
    pub(super) phone: bool,
    pub(super) consent: bool,
    pub(super) object: bool,
    pub(super) lift: bool,
    pub(super) person: bool,
}

/// What a form says of the person who fills it in, as it is on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Details {
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
}

/// A connection that is made again when it has gone.
pub(crate) struct Store {
    connect: Connect,
    client: Mutex<Option<Arc<Client>>>,
    /// What it can do.
    pub(super) can: Can,
}

const FUNCTIONS: &str = "SELECT pg_catalog.to_regprocedure(name) IS NOT NULL \
    AND pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(name)::oid, 'EXECUTE') \
    FROM ROWS FROM (pg_catalog.unnest($1::text[])) WITH ORDINALITY AS f(name, at) ORDER BY at";

impl Store {
    /// Connects, and looks what there is.
    ///
    /// # Errors
    /// The database is away, or what the centre cannot do without is not there.
    pub(crate) async fn open(connect: Connect) -> Result<Self, Trouble> {
        let mut store = Self { connect, client: Mutex::new(None), can: Can::default() };
        let names = [
            "privacy.centre_open(text,text,text,text,text,text,text,text,text)",
            "privacy.centre_requests(text,text)",
            "privacy.centre_status(bigint)",
            "privacy.centre_find_email(text)",
            "privacy.centre_find_phone(text)",
            "privacy.centre_consents(text)",
            "privacy.centre_give(text,text,text)",
            "privacy.centre_withdraw(text,text,text)",
            "privacy.centre_objections(text)",
            "privacy.centre_object(text,text,text)",
            "privacy.centre_lift(text,text,text)",
            "privacy.centre_person(text)",
        ];
        let client = store.client().await?;
        let rows = client.query(FUNCTIONS, &[&names.as_slice()]).await?;
        let there: Vec<bool> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let has = |at: usize| there.get(at).copied().unwrap_or_default();
        if !(has(0) && has(1) && has(2)) {
            return Err(Trouble::Refused(
                "the database has no functions for the privacy centre, or its login is not in `privacy_centre`: apply \
                 `deploy/privacy.sql`, and GRANT privacy_centre"
                    .to_owned(),
            ));
        }
        store.can = Can {
            email: has(3),
            phone: has(4),
            consent: has(5) && has(6) && has(7),
            object: has(8) && has(9),
            lift: has(10),
            person: has(11),
        };
        if !store.can.email && !store.can.phone {
            return Err(Trouble::Refused(
                "the database cannot say who has an address or number: `pgpurpose centre --config FILE --sql | psql` makes what is needed"
                    .to_owned(),
            ));
        }
        Ok(store)
    }

    async fn client(&self) -> Result<Arc<Client>, Trouble> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new((self.connect)().await.map_err(|error| Trouble::Refused(error.to_string()))?);
        client.batch_execute("SET statement_timeout = '10s'; SET lock_timeout = '5s'").await?;
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Who has it on record; nobody where it is nobody's, or more than one person's.
    pub(super) async fn find(&self, kind: ContactKind, normal: &str) -> Result<Option<Person>, Trouble> {
        let sql = match kind {
            ContactKind::Email if self.can.email => "SELECT subject, contact FROM privacy.centre_find_email($1)",
            ContactKind::Phone if self.can.phone => "SELECT subject, contact FROM privacy.centre_find_phone($1)",
            ContactKind::Email | ContactKind::Phone | ContactKind::IdNumber => return Ok(None),
        };
        let rows = self.client().await?.query(sql, &[&normal]).await?;
        // A row for each person: whose address it is cannot be told of two.
        let [row] = rows.as_slice() else { return Ok(None) };
        Ok(Some(Person { subject: row.try_get(0)?, contact: row.try_get(1)?, by_mail: kind == ContactKind::Email }))
    }

    /// What their own row says of them; empty where no column is known for it.
    pub(super) async fn details(&self, subject: &str) -> Result<Details, Trouble> {
        if !self.can.person {
            return Ok(Details::default());
        }
        let sql = "SELECT name, address, email, phone FROM privacy.centre_person($1)";
        let Some(row) = self.client().await?.query_opt(sql, &[&subject]).await? else { return Ok(Details::default()) };
        let text = |at: usize| -> Result<Option<String>, Trouble> {
            Ok(row.try_get::<_, Option<String>>(at)?.filter(|text| !text.is_empty()))
        };
        Ok(Details { name: text(0)?, address: text(1)?, email: text(2)?, phone: text(3)? })
    }

    async fn names(&self, can: bool, sql: &str, subject: &str) -> Result<Vec<String>, Trouble> {
        if !can {
            return Ok(Vec::new());
        }
        let rows = self.client().await?.query(sql, &[&subject]).await?;
        rows.iter().map(|row| row.try_get(0).map_err(Trouble::from)).collect()
    }

    /// Purposes to which there is a live consent.
    pub(super) async fn consents(&self, subject: &str) -> Result<Vec<String>, Trouble> {
        self.names(self.can.consent, "SELECT privacy.centre_consents($1)", subject).await
    }

    /// Purposes to which there is an objection.
    pub(super) async fn objections(&self, subject: &str) -> Result<Vec<String>, Trouble> {
        self.names(self.can.object, "SELECT privacy.centre_objections($1)", subject).await
    }

    /// Does it; gives how many rows were entered or changed.
    pub(super) async fn change(&self, did: Did, subject: &str, purpose: &str, proof: &str) -> Result<i64, Trouble> {
        let sql = match did {
            Did::Gave => "SELECT privacy.centre_give($1, $2, $3)",
            Did::Withdrew => "SELECT privacy.centre_withdraw($1, $2, $3)",
            Did::Objected => "SELECT privacy.centre_object($1, $2, $3)",
            Did::Lifted => "SELECT privacy.centre_lift($1, $2, $3)",
        };
        Ok(self.client().await?.query_one(sql, &[&subject, &purpose, &proof]).await?.try_get(0)?)
    }

    /// Enters a request; gives its number.
    #[allow(clippy::too_many_arguments)] // what the row holds
    pub(super) async fn enter(
        &self,
        asked: &str,
        people: &str,
        subject: &str,
        identified: &str,
        wanted: Option<&str>,
        received: jiff::civil::Date,
        deadline: Deadline,
    ) -> Result<i64, Trouble> {
        let days = [received, deadline.strict, deadline.legal, deadline.known_until].map(|day| day.to_string());
        let [received, strict, legal, known] = &days;
        let with: [&(dyn ToSql + Sync); 9] =
            [&asked, &people, &subject, &identified, &wanted, received, strict, legal, known];
        let sql = "SELECT privacy.centre_open($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        Ok(self.client().await?.query_one(sql, &with).await?.try_get(0)?)
    }

    /// The requests of a person, the newest first.
    pub(super) async fn requests(&self, people: &str, subject: &str) -> Result<Vec<Entered>, Trouble> {
        let sql = "SELECT id, asked, received, law_by, outcome, closed FROM privacy.centre_requests($1, $2)";
        self.client().await?.query(sql, &[&people, &subject]).await?.iter().map(entered).collect()
    }

    /// One of them, without whose it is.
    pub(super) async fn status(&self, id: i64) -> Result<Option<Entered>, Trouble> {
        let sql = "SELECT id, asked, received, law_by, outcome, closed FROM privacy.centre_status($1)";
        self.client().await?.query_opt(sql, &[&id]).await?.as_ref().map(entered).transpose()
    }
}

fn entered(row: &tokio_postgres::Row) -> Result<Entered, Trouble> {
    Ok(Entered {
        id: row.try_get(0)?,
        asked: row.try_get(1)?,
        received: row.try_get(2)?,
        legal_by: row.try_get(3)?,
        outcome: row.try_get(4)?,
        closed: row.try_get(5)?,
    })
}
