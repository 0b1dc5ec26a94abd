//! What a StartupMessage may ask for.

use crate::error::{Refusal, SqlState, Stage};
use crate::policy::PolicySet;
use crate::sql;
use crate::wire::startup::Startup;

/// Settings that a client may begin with: none of them changes how a statement is read, by whom it is run, or what the
/// log and the decision say about it; those that choose plans are held to the policies too ([`no_plans`]). In the spelling of
/// PostgreSQL; compared without case.
const ALLOWED: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_connection_check_interval",
    "client_min_messages",
    "cursor_tuple_fraction",
    "DateStyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "enable_bitmapscan",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_seqscan",
    "enable_sort",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "IntervalStyle",
    "jit",
    "join_collapse_limit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "maintenance_work_mem",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    "random_page_cost",
    "search_path",
    "statement_timeout",
    "synchronous_commit",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "temp_buffers",
    "TimeZone",
    "transaction_timeout",
    "work_mem",
    "xmloption",
];

/// The longest name that PostgreSQL keeps (`NAMEDATALEN` less one), in bytes.
const LONGEST_NAME: usize = 63;

/// The proxy's own setting.
const PURPOSE: &str = "pgpurpose.purpose";
const ACTOR: &str = "pgpurpose.actor";
const TICKET: &str = "pgpurpose.ticket";

/// What a client asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) login: String,
    /// The database, as the server knows it.
    pub(super) database: String,
    /// Settings to pass on.
    pub(super) settings: Vec<(String, String)>,
    pub(super) application: String,
    /// An encoding that is another than the proxy's, where one was asked for.
    pub(super) encoding: Option<String>,
    /// By the connection's option, else by the database's name.
    pub(super) purpose: Option<String>,
    /// By the connection's option.
    pub(super) actor: Option<String>,
    /// Likewise.
    pub(super) ticket: Option<String>,
}

/// Checks a StartupMessage.
pub(super) fn read(startup: &Startup) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    let mut by_database = None;
    let mut database = None;
    for (name, value) in &startup.parameters {
        match name.as_str() {
            "user" => wanted.login.clone_from(value),
            "database" => database = Some(value.as_str()),
            "options" => {
                for (name, value) in options(value)? {
                    setting(&mut wanted, &name, value)?;
                }
            }
            // PostgreSQL reads these as false.
            "replication" if ["false", "off", "no", "0"].contains(&value.to_ascii_lowercase().as_str()) => {}
            "replication" => {
                let message = "replication connections are not supported";
                return Err(Refusal::unsupported(Stage::Session, message)
                    .hint("replication delivers rows that no policy governs: connect to the database itself"));
            }
            name if name.starts_with("_pq_.") => {}
            name => setting(&mut wanted, name, value.clone())?,
        }
    }
    if wanted.login.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message));
    }
    wanted.database = match database.filter(|database| !database.is_empty()).map(|name| (name, name.rsplit_once('@'))) {
        Some((_, Some((database, purpose)))) if !database.is_empty() && !purpose.is_empty() => {
            by_database = Some(purpose.to_owned());
            database.to_owned()
        }
        Some((database, _)) => database.to_owned(),
        // As PostgreSQL has it; a login is no place for a purpose.
        None => wanted.login.clone(),
    };
    // PostgreSQL cuts what is longer, and what it cuts would be another name than the one that was decided about.
    if let Some(long) = [&wanted.login, &wanted.database].into_iter().find(|name| name.len() > LONGEST_NAME) {
        let message = format!("name `{}...` is longer than {LONGEST_NAME} bytes", cut(long));
        return Err(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message));
    }
    if wanted.purpose.is_none() {
        wanted.purpose = by_database;
    }
    Ok(wanted)
}

/// Refuses every encoding but the one that the proxy reads.
pub(super) fn only_utf8(wanted: &Wanted) -> Result<(), Refusal> {
    let Some(asked) = &wanted.encoding else { return Ok(()) };
    // The message stands in the access log too, and a client may write anything.
    let message = "this client_encoding is not supported: only UTF8 is";
    Err(Refusal::new(Stage::Session, SqlState::INVALID_PARAMETER_VALUE, message)
        .detail(format!("the client asked for `{asked}`"))
        .hint("set PGCLIENTENCODING=UTF8, or `client_encoding=UTF8` in the connection string"))
}

/// Refuses what chooses how rows are found, where the policies hide something: the order in which they come tells of hidden columns.
pub(super) fn no_plans(wanted: &Wanted, policies: &PolicySet) -> Result<(), Refusal> {
    match wanted.settings.iter().find(|(name, _)| sql::chooses_plans(name, policies)) {
        Some((name, _)) => Err(not_at_start(name)),
        None => Ok(()),
    }
}

fn not_at_start(name: &str) -> Refusal {
    let message = format!("setting `{name}` may not be set at the start of a connection");
    Refusal::new(Stage::Session, SqlState::INSUFFICIENT_PRIVILEGE, message)
        .hint("remove it from the connection's options")
}

/// As much of a name as PostgreSQL keeps.
pub(super) fn cut(name: &str) -> &str {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

fn setting(wanted: &mut Wanted, name: &str, value: String) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case(PURPOSE) {
        wanted.purpose = Some(value);
    } else if name.eq_ignore_ascii_case(ACTOR) {
        sql::check_said("actor", &value)?;
        wanted.actor = Some(value);
    } else if name.eq_ignore_ascii_case(TICKET) {
        sql::check_said("ticket", &value)?;
        wanted.ticket = Some(value);
    } else if name.eq_ignore_ascii_case("client_encoding") {
        let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
        // `auto` is libpq's: from the client's locale, which libpq resolves itself.
        if !["utf8", "unicode"].contains(&plain.to_ascii_lowercase().as_str()) {
            wanted.encoding = Some(value);
        }
    } else if FIXED.iter().any(|(fixed, only)| name.eq_ignore_ascii_case(fixed) && value.eq_ignore_ascii_case(only)) {
        // It has that value anyway.
    } else if let Some(allowed) = ALLOWED.iter().find(|allowed| name.eq_ignore_ascii_case(allowed)) {
        if *allowed == "application_name" {
            cut(&value).clone_into(&mut wanted.application);
        }
        wanted.settings.retain(|(name, _)| name != allowed);
        wanted.settings.push(((*allowed).to_owned(), value));
    } else {
        return Err(not_at_start(name));
    }
    Ok(())
}

/// What every session of the proxy begins with: so proxy and database read a text alike.
pub(super) const FIXED: &[(&str, &str)] =
    &[("client_encoding", "UTF8"), ("standard_conforming_strings", "on"), ("backslash_quote", "safe_encoding")];

/// Whether PgBouncer takes the setting at start-up, and sees that the server it lends has it (its documentation,
/// `ignore_startup_parameters`).
pub(super) fn pooler_takes(name: &str) -> bool {
    ["client_encoding", "standard_conforming_strings", "application_name", "datestyle", "timezone"]
        .iter()
        .any(|taken| name.eq_ignore_ascii_case(taken))
}

/// Reads `-c name=value --name=value` as PostgreSQL's `pg_split_opts` does: white space parts, a backslash keeps what
/// follows it.
fn options(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
            word.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        words.push(word);
    }
    let unknown = || {
        Refusal::new(Stage::Session, SqlState::INVALID_PARAMETER_VALUE, "the connection's `options` cannot be read")
            .hint("only `-c name=value` and `--name=value` are taken")
    };
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let pair = if word == "-c" {
            words.next().ok_or_else(unknown)?
        } else if let Some(pair) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            pair.to_owned()
        } else {
            return Err(unknown());
        };
        let (name, value) = pair.split_once('=').ok_or_else(unknown)?;
        // PostgreSQL reads a dash in a name as an underscore.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wanted(parameters: &[(&str, &str)]) -> Result<Wanted, Refusal> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        read(&Startup { major: 3, minor: 0, parameters })
    }

    #[test]
    fn the_purpose_is_taken_from_the_option_before_the_database_name() {
        let by_name = wanted(&[("user", "a"), ("database", "shop@billing")]).unwrap();
        assert_eq!((by_name.database.as_str(), by_name.purpose.as_deref()), ("shop", Some("billing")));
        let both =
            wanted(&[("user", "a"), ("database", "shop@x"), ("options", "-c pgpurpose.purpose=billing")]).unwrap();
        assert_eq!((both.database.as_str(), both.purpose.as_deref()), ("shop", Some("billing")));
        let none = wanted(&[("user", "a")]).unwrap();
        assert_eq!((none.database.as_str(), none.purpose.as_deref()), ("a", None));
    }

    #[test]
    fn actor_and_ticket_are_taken_from_the_options() {
        let both =
            wanted(&[("user", "a"), ("options", "-c pgpurpose.actor=u42 -c pgpurpose.ticket=OPS\\ 12")]).unwrap();
        assert_eq!((both.actor.as_deref(), both.ticket.as_deref()), (Some("u42"), Some("OPS 12")));
        assert!(wanted(&[("user", "a"), ("pgpurpose.actor", &"x".repeat(129))]).is_err());
    }

    #[test]
    fn the_last_of_a_name_counts_as_in_postgresql() {
        let twice = wanted(&[("user", "a"), ("database", "x"), ("user", "b"), ("database", "y@p")]).unwrap();
        assert_eq!((twice.login.as_str(), twice.database.as_str(), twice.purpose.as_deref()), ("b", "y", Some("p")));
        let message =
            Startup { major: 3, minor: 0, parameters: vec![("user".into(), "a".into()), ("user".into(), "b".into())] };
        assert_eq!(message.parameter("user"), Some("b"), "what the log says is what is checked");
    }

    #[test]
    fn an_at_sign_names_a_purpose_in_the_database_only() {
        let database = |parameters: &[(&str, &str)]| {
            let wanted = wanted(parameters).unwrap();
            (wanted.database, wanted.purpose)
        };
        let none = || None::<String>;
        assert_eq!(database(&[("user", "thandi@shop.example")]), ("thandi@shop.example".into(), none()));
        assert_eq!(
            database(&[("user", "a"), ("database", "we@ird@billing")]),
            ("we@ird".into(), Some("billing".into()))
        );
        assert_eq!(database(&[("user", "a"), ("database", "@x")]), ("@x".into(), none()));
        assert_eq!(database(&[("user", "a"), ("database", "shop@")]), ("shop@".into(), none()));
    }

    #[test]
    fn names_that_postgresql_would_cut_are_refused() {
        let long = "x".repeat(64);
        assert!(wanted(&[("user", &long)]).unwrap_err().message.contains("longer than 63 bytes"));
        assert!(wanted(&[("user", "a"), ("database", &long)]).is_err());
        assert!(wanted(&[("user", &"x".repeat(63))]).is_ok());
        let application = wanted(&[("user", "a"), ("application_name", &"é".repeat(40))]).unwrap().application;
        assert_eq!(application, "é".repeat(31), "cut between characters, as PostgreSQL shows it");
    }

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        let wanted = wanted(&[("user", "a"), ("options", r"-c search_path=a\ b,c  --work-mem=4MB -cjit=off")]).unwrap();
        let settings: Vec<_> = wanted.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(settings, [("search_path", "a b,c"), ("work_mem", "4MB"), ("jit", "off")]);
    }

    #[test]
    fn settings_that_change_how_a_statement_runs_are_refused_by_name() {
        for name in [
            "session_replication_role",
            "role",
            "row_security",
            "standard_conforming_strings",
            "local_preload_libraries",
        ] {
            let refusal = wanted(&[("user", "a"), ("options", &format!("-c {name}=off"))]).unwrap_err();
            assert!(refusal.message.contains(name), "{refusal}");
        }
        assert!(wanted(&[("user", "a"), ("options", "-r out.txt")]).is_err());
        assert!(wanted(&[("user", "a"), ("options", "-c standard_conforming_strings=on")]).is_ok());
    }

    #[test]
    fn other_encodings_and_replication_are_refused() {
        assert!(wanted(&[("user", "a"), ("client_encoding", "'utf-8'")]).is_ok());
        let other = wanted(&[("user", "a"), ("client_encoding", "SJIS")]).unwrap();
        assert_eq!(only_utf8(&other).unwrap_err().sqlstate.as_str(), "22023");
        assert!(only_utf8(&wanted(&[("user", "a"), ("client_encoding", "utf8")]).unwrap()).is_ok());
        assert_eq!(wanted(&[("user", "a"), ("replication", "database")]).unwrap_err().sqlstate.as_str(), "0A000");
        assert!(wanted(&[("user", "a"), ("replication", "false")]).is_ok());
        assert!(wanted(&[("database", "a")]).is_err());
    }
}
