//! Row filters besides consent, as conditions that the database evaluates: retention, children, lists of subjects, direct
//! marketing.
//!
//! Each is a total function of the row, so that it fails on no value. Days are South Africa's, two hours before UTC all year,
//! so that a session's own time zone moves no limit.

use super::condition::said::Whom;
use super::{Fail, fail, filter};
use crate::catalog::{Catalog, Column, Relation, RelationName, TypeClass, quote_ident, quote_literal};
use crate::error::Refusal;
use crate::policy::{
    Approach, Birth, ContactKind, Customers, Exclusion, Limit, OptOuts, Period, PeriodUnit, ROWS, RecordPurposes,
    RowFilter, SinceColumn, SubjectPath,
};

/// What a table of subjects' wishes is called within a filter.
const WISH: &str = "pgpurpose_wish";
/// What the table is called that knows when people were born, or how they are reached.
const PERSON: &str = "pgpurpose_person";
/// The law's age of majority (POPIA s1, `child`).
const MAJORITY: Period = Period { amount: 18, unit: PeriodUnit::Year };
/// A date of birth longer ago is a placeholder.
const LONGEST_LIFE: Period = Period { amount: 120, unit: PeriodUnit::Year };

/// Where a filter stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) relation: &'a Relation,
    /// What its row is called.
    pub(super) row: &'a str,
    pub(super) subject: Option<&'a SubjectPath>,
    pub(super) catalog: &'a Catalog,
    pub(super) whom: Whom<'a>,
}

/// One filter as a condition.
///
/// # Errors
/// 42501 where a table or column that it needs is not there: the purpose is closed.
pub(super) fn condition(filter: &RowFilter, place: Place<'_>) -> Result<String, Fail> {
    match filter {
        RowFilter::Kept(limits) => all(limits.iter().map(|limit| place.kept(limit))),
        RowFilter::Due(limits) => due(limits, place),
        RowFilter::Adults(birth) => place.adults(birth),
        RowFilter::NotListed(exclusion) => place.not_listed(exclusion),
        RowFilter::Approachable(approach) => place.approachable(approach),
        RowFilter::Own(own) => super::condition::condition_for(
            ROWS,
            &own.condition,
            place.relation,
            place.row,
            place.catalog,
            Some(place.whom),
        ),
        RowFilter::Allowed(purposes, names) => place.allowed(purposes, names),
        RowFilter::OfActor(own) => place.own(own),
    }
}

/// What the value of one column of a new row must meet, where it tells anything: `row` has that column only. `born` is the
/// row's date of birth, where the column is the identity number.
///
/// # Errors
/// As [`condition`].
pub(super) fn of_value(
    filter: &RowFilter,
    place: Place<'_>,
    column: &str,
    born: Option<&str>,
) -> Result<Option<String>, Fail> {
    let tells_subject = place.subject.is_some_and(|path| path.column() == column);
    let value = at(place.row, column);
    match filter {
        RowFilter::Adults(birth) => match &birth.register {
            Some((table, key)) if *table != place.relation.name => {
                if !tells_subject {
                    return Ok(None);
                }
                let register = relation_of(place.catalog, table)?;
                column_of(register, key)?;
                let child = format!("NOT {}", adult(birth, register, PERSON)?);
                Ok(Some(format!("NOT {}", place.exists(table, PERSON, key, &child)?)))
            }
            Some(_) | None if birth.date.as_deref() == Some(column) => {
                let birth = Birth { number: None, ..birth.clone() };
                Ok(Some(format!("({value} IS NULL OR {})", adult(&birth, place.relation, place.row)?)))
            }
            Some(_) | None if birth.number.as_deref() == Some(column) => {
                let birth = Birth { date: None, ..birth.clone() };
                let known = born.map(|born| format!("{born} IS NOT NULL OR ")).unwrap_or_default();
                Ok(Some(format!("({value} IS NULL OR {known}{})", adult(&birth, place.relation, place.row)?)))
            }
            Some(_) | None => Ok(None),
        },
        RowFilter::NotListed(exclusion) if tells_subject => place.not_listed(exclusion).map(Some),
        RowFilter::Own(own) if own.columns.len() == 1 && own.columns.iter().all(|own| own == column) => {
            condition(filter, place).map(Some)
        }
        RowFilter::OfActor(own) => place.own_value(own, column),
        RowFilter::NotListed(_)
        | RowFilter::Kept(_)
        | RowFilter::Due(_)
        | RowFilter::Approachable(_)
        | RowFilter::Own(_)
        | RowFilter::Allowed(..) => Ok(None),
    }
}

/// Rows past each limit; none where there is no limit.
pub(super) fn due(limits: &[Limit], place: Place<'_>) -> Result<String, Fail> {
    if limits.is_empty() {
        return Ok("false".to_owned());
    }
    all(limits.iter().map(|limit| place.past(limit)))
}

fn all(conditions: impl Iterator<Item = Result<String, Fail>>) -> Result<String, Fail> {
    Ok(conditions.collect::<Result<Vec<_>, _>>()?.join(" AND "))
}

impl Place<'_> {
    fn subject(&self) -> Result<&SubjectPath, Fail> {
        self.subject
            .ok_or_else(|| fail(format!("the policy does not say whose the rows of `{}` are", self.relation.name)))
    }

    /// Whether the row is within its period. One without a date has not begun it.
    fn kept(&self, limit: &Limit) -> Result<String, Fail> {
        self.since(limit, |value, class| {
            let cut = cut_off(limit.period, class)?;
            let compare = if class == TypeClass::Date { ">=" } else { ">" };
            Some(format!("({value} IS NULL OR {value} {compare} {cut})"))
        })
    }

    fn past(&self, limit: &Limit) -> Result<String, Fail> {
        self.since(limit, |value, class| {
            let cut = cut_off(limit.period, class)?;
            let compare = if class == TypeClass::Date { "<" } else { "<=" };
            Some(format!("{value} {compare} {cut}"))
        })
    }

    fn since(&self, limit: &Limit, test: impl Fn(&str, TypeClass) -> Option<String>) -> Result<String, Fail> {
        let no_date = |table: &RelationName, column: &str| {
            fail(format!("the purpose is closed: rows of `{table}` are kept by `{column}`, which is not a date"))
        };
        match &limit.since {
            SinceColumn::Own(name) => {
                let column = column_of(self.relation, name)?;
                test(&at(self.row, name), column.class).ok_or_else(|| no_date(&self.relation.name, name))
            }
            SinceColumn::Of(table, name) => {
                let column = column_of(relation_of(self.catalog, table)?, name)?;
                let chain = filter::chain(self.subject()?, self.row);
                let position = position(self.subject()?, table)
                    .ok_or_else(|| fail(format!("rows of `{}` do not lead to `{table}`", self.relation.name)))?;
                let met = test(&at(&filter::step(position), name), column.class).ok_or_else(|| no_date(table, name))?;
                let conditions: String = chain.conditions.iter().map(|one| format!("{one} AND ")).collect();
                Ok(format!("EXISTS (SELECT 1 FROM {} WHERE {conditions}{met})", chain.from.join(", ")))
            }
        }
    }

    /// `EXISTS (SELECT 1 FROM <way to the subject>, table AS alias WHERE <way> AND alias.key = <subject> AND more)`.
    pub(super) fn exists(&self, table: &RelationName, alias: &str, key: &str, more: &str) -> Result<String, Fail> {
        let chain = filter::chain(self.subject()?, self.row);
        let from: String = chain.from.iter().map(|item| format!("{item}, ")).collect();
        let conditions: String = chain.conditions.iter().map(|condition| format!("{condition} AND ")).collect();
        let more = if more.is_empty() { String::new() } else { format!(" AND {more}") };
        Ok(format!(
            "EXISTS (SELECT 1 FROM {from}{} AS \"{alias}\" WHERE {conditions}{} = {}{more})",
            table.to_sql(),
            at(alias, key),
            chain.subject
        ))
    }

    fn adults(&self, birth: &Birth) -> Result<String, Fail> {
        match &birth.register {
            None => adult(birth, self.relation, self.row),
            Some((table, _)) if *table == self.relation.name => adult(birth, self.relation, self.row),
            Some((table, key)) => {
                let register = relation_of(self.catalog, table)?;
                column_of(register, key)?;
                self.exists(table, PERSON, key, &adult(birth, register, PERSON)?)
            }
        }
    }

    fn not_listed(&self, exclusion: &Exclusion) -> Result<String, Fail> {
        let Exclusion { list: _, table, subject, purposes, general, active } = exclusion;
        let relation = relation_of(self.catalog, table)?;
        column_of(relation, subject)?;
        let active = super::condition::condition("active", active, relation, WISH, self.catalog)?;
        let concerned = match purposes {
            None => String::new(),
            Some((column, names)) => {
                column_of(relation, column)?;
                let column = at(WISH, column);
                let named = one_of(&column, names);
                if *general { format!("({column} IS NULL OR {named}) AND ") } else { format!("{named} AND ") }
            }
        };
        // A condition that is unknown leaves the row out as well.
        let more = format!("{concerned}{active} IS NOT FALSE");
        Ok(format!("NOT {}", self.exists(table, WISH, subject, &more)?))
    }

    /// Whether the record allows one of the purposes. One that says nothing allows none.
    fn allowed(&self, purposes: &RecordPurposes, names: &[String]) -> Result<String, Fail> {
        let quoted: Vec<String> = names.iter().map(|name| quote_literal(name)).collect();
        let quoted = quoted.join(", ");
        match purposes {
            RecordPurposes::Column(name) => {
                let (column, value) = (column_of(self.relation, name)?, at(self.row, name));
                match column.class {
                    TypeClass::Text | TypeClass::Enum => Ok(one_of(&format!("{value}::pg_catalog.text"), names)),
                    TypeClass::Array => Ok(format!(
                        "pg_catalog.arrayoverlap({value}::pg_catalog.text[], ARRAY[{quoted}]::pg_catalog.text[])"
                    )),
                    TypeClass::Jsonb => Ok(format!(
                        "(pg_catalog.jsonb_typeof({value}) = 'array' AND \
                         pg_catalog.jsonb_exists_any({value}, ARRAY[{quoted}]::pg_catalog.text[]))"
                    )),
                    _ => Err(fail(format!(
                        "the purpose is closed: `{}.{name}` says for which purposes a record may be used, and is of type {}",
                        self.relation.name, column.type_sql
                    ))),
                }
            }
            RecordPurposes::Table { table, record, key, purpose, place: _ } => {
                let listed = relation_of(self.catalog, table)?;
                column_of(listed, record)?;
                column_of(listed, purpose)?;
                column_of(self.relation, key)?;
                Ok(format!(
                    "EXISTS (SELECT 1 FROM {} AS \"{WISH}\" WHERE {} = {} AND {})",
                    table.to_sql(),
                    at(WISH, record),
                    at(self.row, key),
                    one_of(&at(WISH, purpose), names)
                ))
            }
        }
    }

    fn approachable(&self, approach: &Approach) -> Result<String, Fail> {
        let mut conditions = Vec::new();
        if !approach.only_consent {
            let mut alternatives = Vec::new();
            if let Some(consent) = &approach.consent {
                alternatives.push(filter::consent(consent, self.subject()?, self.row, self.catalog)?);
            }
            if let Some(customers) = &approach.customers {
                alternatives.push(self.customer(customers)?);
            }
            if let Some((table, subject)) = &approach.first {
                column_of(relation_of(self.catalog, table)?, subject)?;
                let mut never = format!("NOT {}", self.exists(table, WISH, subject, "")?);
                // Who withheld consent before is not asked again.
                if let Some(consent) = &approach.consent {
                    let same = one_of(&at(WISH, &consent.purpose_column), &consent.purposes);
                    let answered = self.exists(&consent.table, WISH, &consent.subject, &same)?;
                    never = format!("({never} AND NOT {answered})");
                }
                alternatives.push(never);
            }
            conditions.push(match alternatives.as_slice() {
                [] => "false".to_owned(),
                alternatives => format!("({})", alternatives.join(" OR ")),
            });
        }
        if let Some(opt_outs) = &approach.opt_outs {
            conditions.push(self.not_opted_out(opt_outs)?);
        }
        Ok(if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") })
    }

    fn customer(&self, customers: &Customers) -> Result<String, Fail> {
        let relation = relation_of(self.catalog, &customers.table)?;
        column_of(relation, &customers.subject)?;
        let condition = match &customers.condition {
            None => String::new(),
            Some(text) => super::condition::condition("customers_where", text, relation, WISH, self.catalog)?,
        };
        self.exists(&customers.table, WISH, &customers.subject, &condition)
    }

    /// A list that is not stale, and nothing by which the subject is reached on it.
    fn not_opted_out(&self, opt_outs: &OptOuts) -> Result<String, Fail> {
        let list = relation_of(self.catalog, &opt_outs.table)?;
        column_of(list, "kind")?;
        column_of(list, "digest")?;
        let lists = relation_of(self.catalog, &opt_outs.lists)?;
        if column_of(lists, "as_of")?.class != TypeClass::Date {
            return Err(fail(format!("the purpose is closed: `{}.as_of` is not a date", opt_outs.lists)));
        }
        let table = opt_outs.table.to_sql();
        let (lists, as_of) = (opt_outs.lists.to_sql(), at(WISH, "as_of"));
        let fresh = format!(
            "{as_of} >= {} AND {as_of} <= {TODAY}",
            day(Period { amount: opt_outs.days, unit: PeriodUnit::Day })
        );
        // One list at least, and none that is stale, or of a day to come.
        let mut conditions = vec![
            format!("EXISTS (SELECT 1 FROM {lists} AS \"{WISH}\" WHERE {fresh})"),
            format!("NOT EXISTS (SELECT 1 FROM {lists} AS \"{WISH}\" WHERE ({fresh}) IS NOT TRUE)"),
        ];
        for contact in &opt_outs.contacts {
            let person = relation_of(self.catalog, &contact.table)?;
            column_of(person, &contact.subject)?;
            let column = column_of(person, &contact.column)?;
            let text = text(column, &at(PERSON, &contact.column), contact.kind).ok_or_else(|| {
                fail(format!("the purpose is closed: `{}.{}` is not a text", contact.table, contact.column))
            })?;
            let same = format!(
                "EXISTS (SELECT 1 FROM {table} AS \"{WISH}\" WHERE {} = {} AND {} = {})",
                at(WISH, "kind"),
                quote_literal(contact.kind.name()),
                at(WISH, "digest"),
                digest(&text, contact.kind)
            );
            conditions.push(format!("NOT {}", self.exists(&contact.table, PERSON, &contact.subject, &same)?));
        }
        Ok(conditions.join(" AND "))
    }
}

/// Where a relation stands on the way to the subject.
fn position(path: &SubjectPath, table: &RelationName) -> Option<usize> {
    let (mut path, mut number) = (path, 0);
    while let SubjectPath::Through { relation, next, .. } = path {
        if relation == table {
            return Some(number);
        }
        (path, number) = (next, number + 1);
    }
    None
}

fn relation_of<'a>(catalog: &'a Catalog, table: &RelationName) -> Result<&'a Relation, Fail> {
    catalog
        .relation(table)
        .map(|relation| relation.as_ref())
        .ok_or_else(|| fail(format!("the purpose is closed: table `{table}` does not exist")))
}

fn column_of<'a>(relation: &'a Relation, column: &str) -> Result<&'a Column, Fail> {
    relation
        .column(column)
        .ok_or_else(|| fail(format!("the purpose is closed: `{}` has no column `{column}`", relation.name)))
}

fn at(alias: &str, column: &str) -> String {
    format!("{}.{}", quote_ident(alias), quote_ident(column))
}

/// South Africa's clock.
const NOW: &str = "pg_catalog.timezone('02:00'::pg_catalog.interval, pg_catalog.now())";
const TODAY: &str = "(pg_catalog.timezone('02:00'::pg_catalog.interval, pg_catalog.now()))::pg_catalog.date";

fn ago(period: Period) -> String {
    format!("({NOW} - '{period}'::pg_catalog.interval)")
}

fn day(period: Period) -> String {
    format!("{}::pg_catalog.date", ago(period))
}

/// The moment so long ago, in a type that compares with a column's without a session's time zone; an index on the column
/// serves the comparison.
fn cut_off(period: Period, class: TypeClass) -> Option<String> {
    match class {
        TypeClass::Date => Some(day(period)),
        TypeClass::Timestamp => Some(ago(period)),
        TypeClass::TimestampTz => Some(format!("pg_catalog.timezone('02:00'::pg_catalog.interval, {})", ago(period))),
        _ => None,
    }
}

/// Whether a person is certainly no child: the date of birth where there is one, else the identity number.
fn adult(birth: &Birth, relation: &Relation, row: &str) -> Result<String, Fail> {
    let misfit = |name: &str| {
        fail(format!("the purpose is closed: `{}.{name}` does not say when somebody was born", relation.name))
    };
    let date = match &birth.date {
        None => None,
        Some(name) => {
            let value = at(row, name);
            let date = match column_of(relation, name)?.class {
                TypeClass::Date => value.clone(),
                TypeClass::Timestamp => format!("{value}::pg_catalog.date"),
                TypeClass::TimestampTz => {
                    format!("(pg_catalog.timezone('02:00'::pg_catalog.interval, {value}))::pg_catalog.date")
                }
                _ => return Err(misfit(name)),
            };
            // Infinity is no day, and a day long before anybody alive a placeholder.
            Some((value, format!("({date} <= {} AND {date} > {})", day(MAJORITY), day(LONGEST_LIFE))))
        }
    };
    let number = match &birth.number {
        None => None,
        Some(name) => {
            let text = text(column_of(relation, name)?, &at(row, name), ContactKind::IdNumber);
            Some(adult_by_number(&text.ok_or_else(|| misfit(name))?))
        }
    };
    // Unknown is a child.
    Ok(match (date, number) {
        (Some((_, date)), None) => format!("({date} IS TRUE)"),
        (None, Some(number)) => format!("({number} IS TRUE)"),
        (Some((value, date)), Some(number)) => {
            format!("(CASE WHEN {value} IS NOT NULL THEN {date} ELSE {number} END IS TRUE)")
        }
        (None, None) => "false".to_owned(),
    })
}

/// Thirteen digits of which the first six are a day of some century.
const ID_NUMBER: &str = "^([0-9]{2}((0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])|(0[469]|11)(0[1-9]|[12][0-9]|30)|\
    02(0[1-9]|1[0-9]|2[0-8]))|([02468][048]|[13579][26])0229)[0-9]{7}$";

/// Born in this century or the last: this one, where that day has been, makes a child of whom it makes under 18. Then
/// the last one does not count, since it is not known which is meant.
fn adult_by_number(text: &str) -> String {
    let digits = format!("pg_catalog.translate({text}, ' -', '')");
    let born = format!("pg_catalog.concat('20', pg_catalog.left({digits}, 6))");
    let written = |day: &str| format!("pg_catalog.to_char({day}, 'YYYYMMDD')");
    let majority = written(&day(MAJORITY));
    let today = written(TODAY);
    format!("(pg_catalog.textregexeq({digits}, '{ID_NUMBER}') AND ({born} <= {majority} OR {born} > {today}))")
}

/// A column as text, where it can hold what is meant. Numbers lose their zeros at the front.
fn text(column: &Column, value: &str, kind: ContactKind) -> Option<String> {
    match (column.class, kind) {
        (TypeClass::Text, _) => Some(format!("{value}::pg_catalog.text")),
        (TypeClass::Integer | TypeClass::Numeric, ContactKind::IdNumber) => {
            Some(format!("pg_catalog.lpad({value}::pg_catalog.text, 13, '0')"))
        }
        _ => None,
    }
}

/// SHA-256 of the one form.
fn digest(text: &str, kind: ContactKind) -> String {
    format!("pg_catalog.sha256(pg_catalog.convert_to({}, 'UTF8'))", contact_form(text, kind))
}

/// The one form of what people are reached or known by, as [`ContactKind::normalised`] has it: an SQL expression over the text `text`.
pub fn contact_form(text: &str, kind: ContactKind) -> String {
    let digits = format!("pg_catalog.regexp_replace({text}, '[^0-9]', '', 'g')");
    match kind {
        ContactKind::Email => format!(
            "pg_catalog.translate(pg_catalog.btrim({text}), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
        ),
        ContactKind::Phone => format!(
            "CASE WHEN pg_catalog.left({digits}, 2) = '00' THEN pg_catalog.substr({digits}, 3) \
             WHEN pg_catalog.left({digits}, 1) = '0' THEN pg_catalog.concat('27', pg_catalog.substr({digits}, 2)) \
             ELSE {digits} END"
        ),
        ContactKind::IdNumber => digits,
    }
}

/// Whether a row of the table, which the statement calls `row`, is within any of these periods: it must not go yet (POPIA s14(1)).
///
/// # Errors
/// 42501 where a table or column is not there, or is no date.
pub fn still_kept(
    table: &RelationName,
    limits: &[Limit],
    subject: Option<&SubjectPath>,
    catalog: &Catalog,
    row: &str,
) -> Result<String, Refusal> {
    let place = Place { relation: relation_of(catalog, table)?, row, subject, catalog, whom: Whom::NOBODY };
    let within: Vec<String> = limits.iter().map(|limit| place.kept(limit)).collect::<Result<_, _>>()?;
    Ok(if within.is_empty() { "false".to_owned() } else { format!("({})", within.join(" OR ")) })
}

/// What of a table is due for destruction, as one row: how many rows, of how many subjects (NULL where the policy does not
/// say whose they are), and the day of the oldest, as text.
///
/// # Errors
/// 42501 where a table or column is not there, or is no date.
pub fn due_counts(
    table: &RelationName,
    limits: &[Limit],
    subject: Option<&SubjectPath>,
    catalog: &Catalog,
) -> Result<String, Refusal> {
    const ROW: &str = "pgpurpose_row";
    let relation = relation_of(catalog, table)?;
    let place = Place { relation, row: ROW, subject, catalog, whom: Whom::NOBODY };
    let condition = due(limits, place)?;
    let counted = subject.map_or_else(
        || "NULL::pg_catalog.int8".to_owned(),
        |path| format!("pg_catalog.count(DISTINCT {})", filter::subject(path, ROW)),
    );
    let mut oldest = Vec::new();
    for limit in limits {
        let day = match &limit.since {
            SinceColumn::Own(column) => at(ROW, column),
            SinceColumn::Of(since, column) => {
                let chain = filter::chain(place.subject()?, ROW);
                let step = position(place.subject()?, since)
                    .ok_or_else(|| fail(format!("rows of `{table}` do not lead to `{since}`")))?;
                format!(
                    "(SELECT {} FROM {} WHERE {})",
                    at(&filter::step(step), column),
                    chain.from.join(", "),
                    chain.conditions.join(" AND ")
                )
            }
        };
        oldest.push(format!("pg_catalog.min(({day})::pg_catalog.date)"));
    }
    let oldest = if oldest.is_empty() { "NULL".to_owned() } else { format!("LEAST({})", oldest.join(", ")) };
    Ok(format!(
        "SELECT pg_catalog.count(*), {counted}, ({oldest})::pg_catalog.text FROM {} AS \"{ROW}\" WHERE {condition}",
        table.to_sql()
    ))
}

/// Whether the column is one of these texts: IN, by an operator that can be named.
fn one_of<'a>(column: &str, texts: impl IntoIterator<Item = &'a String>) -> String {
    let each: Vec<String> = texts.into_iter().map(|text| format!("{column} = {}", quote_literal(text))).collect();
    if each.is_empty() { "false".to_owned() } else { format!("({})", each.join(" OR ")) }
}
