//! Every key of a policy file, with what it takes and what it says: from here come the reference (`docs/policy-keys.md`) and the JSON
//! Schema for editors (`docs/policy.schema.json`), and a test holds it to what the reader asks for.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// `false` alone.
    No,
    /// A whole number from one to the other.
    Number(u32, u32),
    /// A date without quotes.
    Date,
    /// A table with the keys of that section.
    Section(&'static str),
    /// Tables of any name, each with the keys of that section.
    Named(&'static str),
    /// A list of tables with the keys of that section.
    List(&'static str),
    /// Texts by any name.
    TextsByName,
    /// Lists of texts by any name.
    ListsByName,
    /// Any of these.
    Either(&'static [Self]),
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The section that it stands in; empty for the top.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it says.
    pub says: &'static str,
}

const fn key(section: &'static str, name: &'static str, takes: Takes, says: &'static str) -> Key {
    Key { section, name, takes, says }
}

const BASES: &[&str] =
    &["consent", "contract", "legal_obligation", "subject_interest", "public_duty", "legitimate_interest"];

/// All of them, section by section.
pub const KEYS: &[Key] = &[
    key("", "version", Takes::Number(1, 1), "obligatory in each file: `1`"),
    key(
        "",
        "unlisted_tables",
        Takes::OneOf(&["deny", "allow"]),
        "whether tables that no policy names are closed (as where it is not said) or open",
    ),
    key(
        "",
        "tables",
        Takes::Either(&[Takes::Named("tables.*"), Takes::TextsByName]),
        "tables, or patterns for them; beside them `\"schema.table.column\" = \"category\"` with `*` in it",
    ),
    key(
        "",
        "columns",
        Takes::TextsByName,
        "patterns for columns of every listed table, and their categories: `\"*.created_at\" = \"operational\"`",
    ),
    key("", "categories", Takes::Named("categories.*"), "what is said of a category for all rules"),
    key("", "purposes", Takes::Named("purposes.*"), "why data are accessed; a dotted name is a child"),
    key("", "roles", Takes::Named("roles.*"), "who accesses them"),
    key("", "rules", Takes::List("rules"), "what a role may do for a purpose"),
    key("", "consent", Takes::Section("consent"), "where the database keeps consents"),
    key("", "objections", Takes::Section("objections"), "where it keeps objections (s11(3))"),
    key("", "restrictions", Takes::Section("restrictions"), "where it keeps restrictions (s14(6))"),
    key("", "direct_marketing", Takes::Section("direct_marketing"), "what direct marketing needs to know (s69)"),
    key("", "compatible", Takes::List("compatible"), "uses that are compatible with the purpose of collection (s15)"),
    key("", "functions", Takes::Section("functions"), "functions of the database's own"),
    key("", "settings", Takes::Section("settings"), "settings of applications"),
    key("", "notifications", Takes::Section("notifications"), "channels of NOTIFY"),
    key("", "tests", Takes::List("tests"), "what `pgpurpose check` runs"),
    key(
        "tables.*",
        "open",
        Takes::Either(&[Takes::Flag, Takes::OneOf(&["read"])]),
        "no personal information: every column, for every role that may use the table; `\"read\"`: and nobody writes to it through the proxy",
    ),
    key(
        "tables.*",
        "subject",
        Takes::Either(&[Takes::Text, Takes::Section("tables.*.subject"), Takes::No]),
        "the column that names whose row it is, or by which other table it is known; `false`: rows are of no data subject",
    ),
    key(
        "tables.*",
        "columns",
        Takes::TextsByName,
        "the category of each column, or of those that a pattern names; another column is closed",
    ),
    key(
        "tables.*",
        "purposes",
        Takes::Either(&[Takes::Text, Takes::Section("tables.*.purposes")]),
        "where each record says for which purposes it may be used: a column of it, or a table",
    ),
    key("tables.*", "star", Takes::OneOf(&["omit", "refuse"]), "`*` leaves closed columns out, or is refused"),
    key(
        "tables.*",
        "record_subjects",
        Takes::Either(&[Takes::Flag, Takes::OneOf(&["pseudonym", "plain"])]),
        "the access log says whose rows were seen",
    ),
    key(
        "tables.*",
        "retain",
        Takes::Either(&[Takes::Text, Takes::TextsByName]),
        "how long rows are kept: `5 years after closed_on`, `until closes_on`; or one for each purpose, `*` for the others (s14)",
    ),
    key("tables.*", "date_of_birth", Takes::Text, "the column that says when the person was born (s34-35)"),
    key(
        "tables.*",
        "identity_number",
        Takes::Text,
        "the column with the South African identity number, asked where there is no date of birth",
    ),
    key("tables.*", "no_children", Takes::Text, "why its rows are never a child's"),
    key(
        "tables.*",
        "collected_for",
        Takes::Either(&[Takes::Texts, Takes::ListsByName]),
        "the purposes for which values were collected, or those of each column (s15)",
    ),
    key("tables.*.subject", "column", Takes::Text, "the row's own column"),
    key("tables.*.subject", "references", Takes::Text, "the column that it refers to, as `schema.table.column`"),
    key("tables.*.purposes", "table", Takes::Text, "the table that says it of each record"),
    key("tables.*.purposes", "record", Takes::Text, "its column that names the record"),
    key("tables.*.purposes", "key", Takes::Text, "the record's own column that is named there"),
    key("tables.*.purposes", "purpose", Takes::Text, "its column that names the purpose"),
    key(
        "categories.*",
        "special",
        Takes::Flag,
        "special personal information (s26): a rule that opens it names its ground",
    ),
    key("categories.*", "mask", Takes::Text, "the mask where a rule says mask without one"),
    key(
        "categories.*",
        "default",
        Takes::OneOf(&["read", "mask"]),
        "what each rule that opens anything opens of it, unless it names it",
    ),
    key(
        "purposes.*",
        "basis",
        Takes::OneOf(BASES),
        "why it is lawful (s11(1)); obligatory, but a child may have its parent's",
    ),
    key("purposes.*", "description", Takes::Text, "what it is for"),
    key("purposes.*", "expires", Takes::Date, "past this day it is refused, and so are its children"),
    key("purposes.*", "review", Takes::Date, "past this day `check` warns"),
    key("purposes.*", "min_group", Takes::Number(2, 1_000_000), "aggregates only, over at least so many data subjects"),
    key(
        "purposes.*",
        "queries_per_day",
        Takes::Number(1, 1_000_000),
        "statements over groups that a login may run in a day",
    ),
    key(
        "purposes.*",
        "grant",
        Takes::OneOf(&["one person", "two persons", "never"]),
        "who may open it for a time to a login (docs/grants.md); one person where it is not said",
    ),
    key("purposes.*", "order", Takes::OneOf(&["shuffle"]), "rows come in no order but what a statement asks for"),
    key("purposes.*", "proof", Takes::Flag, "it has no limit of retention but its own (s14(6)(b))"),
    key("purposes.*", "destruction", Takes::Flag, "it sees only rows that are past every limit (s14(4))"),
    key("purposes.*", "child_ground", Takes::Text, "the ground of s35 on which rows of children are opened"),
    key("purposes.*", "direct_marketing", Takes::Section("purposes.*.direct_marketing"), "whom it may approach (s69)"),
    key(
        "purposes.*.direct_marketing",
        "customers",
        Takes::Text,
        "the column that names who bought, as `schema.table.column`",
    ),
    key("purposes.*.direct_marketing", "customers_where", Takes::Text, "a condition over that table's columns"),
    key("purposes.*.direct_marketing", "first_approach", Takes::Flag, "who was never approached may be, once"),
    key("purposes.*.direct_marketing", "opt_outs_days", Takes::Number(1, 3660), "how old a list of opt-outs may be"),
    key("roles.*", "logins", Takes::Texts, "PostgreSQL logins; a login is in one role"),
    key("roles.*", "purposes", Takes::Texts, "the purposes it may declare; the first is the default"),
    key("roles.*", "recipient", Takes::Text, "`internal`, or the third party's name"),
    key("roles.*", "operator_contract", Takes::Text, "the written contract with the third party (s21)"),
    key("roles.*", "operator_expires", Takes::Date, "past this day every statement of the role is refused"),
    key("roles.*", "country", Takes::Text, "where the recipient is, as two letters; `ZA` where it is not said"),
    key("roles.*", "country_ground", Takes::Text, "why information may leave for another country (s72(1))"),
    key("roles.*", "transfer_ground", Takes::Text, "an older spelling of `country_ground`"),
    key(
        "roles.*",
        "lookup_limit",
        Takes::Number(1, 100_000),
        "lookups of raw values that a session may make in a minute",
    ),
    key(
        "roles.*",
        "actor",
        Takes::OneOf(&["free", "required", "each"]),
        "whether its statements must say the application's end user (docs/actors.md); free where it is not said",
    ),
    key(
        "roles.*",
        "actor_from_application",
        Takes::Text,
        "where actor and ticket stand in `application_name`: `crm/{actor}/{ticket}`",
    ),
    key("roles.*", "unrestricted", Takes::Text, "why its statements are relayed as they are"),
    key("roles.*", "ddl", Takes::Flag, "it may change the database's structure"),
    key(
        "roles.*",
        "training",
        Takes::Text,
        "how long a lesson counts for who uses the role, as `12 months` (docs/lessons.md)",
    ),
    key("rules", "name", Takes::Text, "obligatory: refusals and the log speak of it"),
    key("rules", "roles", Takes::Texts, "whom it is about; obligatory"),
    key("rules", "purposes", Takes::Texts, "for what; obligatory"),
    key("rules", "read", Takes::Texts, "categories, or columns as `schema.table.column`, that are seen as they are"),
    key(
        "rules",
        "mask",
        Takes::Either(&[Takes::TextsByName, Takes::Texts]),
        "what is seen through a mask, or a list: each through its category's",
    ),
    key("rules", "lookup", Takes::Texts, "what may be tested by `=` on the raw value"),
    key("rules", "write", Takes::Texts, "what may be set"),
    key("rules", "deny", Takes::Texts, "what stays closed, whatever other rules say"),
    key(
        "rules",
        "delete",
        Takes::Texts,
        "tables, or patterns for them, whose rows may be deleted; `[\"*\"]`: every table with columns",
    ),
    key(
        "rules",
        "rows",
        Takes::Either(&[Takes::Text, Takes::TextsByName]),
        "which rows it opens: a condition over a table's own columns, `login` being the session's; or one for each table",
    ),
    key(
        "rules",
        "own",
        Takes::Text,
        "which rows of what it opens are the actor's own: `account_manager = actor` (docs/actors.md)",
    ),
    key("rules", "ground", Takes::Text, "the section of s27-33 on which a special category is opened"),
    key("rules", "child_ground", Takes::Text, "the section of s35 on which rows of children are opened"),
    key("rules", "keep_masked", Takes::Flag, "what comes back as its own mask leaves the value as it is"),
    key("rules", "lookup_limit", Takes::Number(1, 100_000), "as that of a role; the least holds"),
    key("consent", "table", Takes::Text, "the table, as `schema.table`"),
    key("consent", "subject", Takes::Text, "its column that names the data subject"),
    key("consent", "purpose", Takes::Text, "its column that names the purpose"),
    key("consent", "active", Takes::Text, "SQL over its columns that says a consent is live"),
    key("consent", "evidence", Takes::Text, "the column without which a consent proves nothing"),
    key("consent", "given_at", Takes::Text, "the column that says when it was given"),
    key(
        "consent",
        "cursor_seconds",
        Takes::Number(1, 604_800),
        "how long after its opening a cursor may be read; 3600 where it is not said",
    ),
    key(
        "consent",
        "lock_seconds",
        Takes::Number(1, 3600),
        "how long a statement may wait for a lock; 10 where it is not said",
    ),
    key("objections", "table", Takes::Text, "the table, as `schema.table`"),
    key("objections", "subject", Takes::Text, "its column that names the data subject"),
    key("objections", "purpose", Takes::Text, "its column that names the purpose"),
    key("objections", "active", Takes::Text, "SQL over its columns that says an objection is in force"),
    key("restrictions", "table", Takes::Text, "the table, as `schema.table`"),
    key("restrictions", "subject", Takes::Text, "its column that names the data subject"),
    key("restrictions", "purpose", Takes::Text, "its column that names the purpose; left out: every purpose is meant"),
    key("restrictions", "active", Takes::Text, "SQL over its columns that says a restriction is in force"),
    key("direct_marketing", "approaches", Takes::Text, "the register of approaches"),
    key(
        "direct_marketing",
        "subject",
        Takes::Text,
        "its column that names the data subject; `subject_id` where it is not said",
    ),
    key("direct_marketing", "opt_outs", Takes::Text, "the table of opt-outs"),
    key(
        "direct_marketing",
        "opt_out_lists",
        Takes::Text,
        "the table of the lists that they come from; beside it where it is not said",
    ),
    key(
        "direct_marketing",
        "contacts",
        Takes::TextsByName,
        "the columns by which people are reached: `email`, `phone`, `id_number`",
    ),
    key("compatible", "from", Takes::Text, "the purpose of collection"),
    key("compatible", "to", Takes::Text, "the purpose of use"),
    key("compatible", "reason", Takes::Text, "why they are compatible"),
    key("compatible", "section", Takes::Text, "`s15(2)`, or one of `s15(3)(a)` to `(f)`"),
    key(
        "functions",
        "allow",
        Takes::Texts,
        "functions that statements may call, as `schema.name`; they run as they are written",
    ),
    key("settings", "allow", Takes::Texts, "settings of applications, as `prefix.name` or `prefix.*`"),
    key(
        "notifications",
        "allow",
        Takes::Texts,
        "channels whose payloads are shown, or the beginning of their names: `cache_*`",
    ),
    key("tests", "name", Takes::Text, "its name"),
    key("tests", "login", Takes::Text, "who asks; obligatory"),
    key("tests", "purpose", Takes::Text, "for what; the role's default where it is left out"),
    key("tests", "actor", Takes::Text, "the application's end user"),
    key("tests", "sql", Takes::Text, "the statement; obligatory"),
    key(
        "tests",
        "expect",
        Takes::OneOf(&["allow", "mask", "deny", "aggregate"]),
        "what must come out; `aggregate`: it runs, and shows groups only",
    ),
    key("tests", "reason", Takes::Text, "what must appear in the reason"),
];
