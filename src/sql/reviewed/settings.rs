//! Which settings a governed session may change or see: an allow-list.
//!
//! INVARIANT I7: No client can change enforcement: no setting that is not listed here can be changed.

use crate::error::{Refusal, SqlState, Stage};
use crate::policy::PolicySet;
use crate::sql::ast::utility::SetValue;

/// Settings of the proxy's own begin so.
pub(in crate::sql) const OWN: &str = "pgpurpose.";
/// The session's purpose.
pub(in crate::sql) const PURPOSE: &str = "pgpurpose.purpose";
/// The schemas of unqualified names.
pub(in crate::sql) const SEARCH_PATH: &str = "search_path";

/// Settings that change how a session works and not what it sees: formats, time limits, memory. Those by which a plan is chosen are
/// not among them: the way in which rows are found tells of their order by columns that are hidden.
const ALLOWED: &str = "application_name array_nulls backend_flush_after bytea_output check_function_bodies \
    client_connection_check_interval client_min_messages commit_delay constraint_exclusion datestyle \
    deadlock_timeout default_statistics_target default_transaction_deferrable default_transaction_isolation \
    default_transaction_read_only effective_cache_size effective_io_concurrency exit_on_error extra_float_digits \
    force_parallel_mode debug_parallel_query from_collapse_limit gin_fuzzy_search_limit gin_pending_list_limit \
    hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit jit_above_cost \
    jit_inline_above_cost jit_optimize_above_cost join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout \
    max_parallel_workers max_parallel_workers_per_gather maintenance_work_mem min_parallel_index_scan_size \
    min_parallel_table_scan_size parallel_leader_participation plan_cache_mode seed statement_timeout \
    synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout \
    temp_buffers timezone timezone_abbreviations transaction_deferrable transaction_isolation transaction_read_only \
    transaction_timeout vacuum_cost_delay work_mem xmlbinary xmloption";

/// Whether a session may set (or reset, with no values) a setting of this name, lower case.
///
/// # Errors
/// 42501; 22023 where the value is not one that the proxy's sessions can have.
pub(in crate::sql) fn may_set(name: &str, values: Option<&[SetValue]>) -> Result<(), Refusal> {
    let name = name.to_ascii_lowercase();
    let text = match values {
        Some([SetValue::Text(text)]) => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    match name.as_str() {
        PURPOSE => match values {
            None => Ok(()),
            Some(_) if text.is_some() => Ok(()),
            Some(_) => Err(value_refused(&name, "a purpose is one name, `SET pgpurpose.purpose = 'support'`")),
        },
        SEARCH_PATH => Ok(()),
        // Drivers set what already holds; the proxy's sessions have no other.
        "client_encoding" | "names" => match (values, text.as_deref()) {
            (None, _) | (_, Some("utf8" | "utf-8" | "unicode")) => Ok(()),
            _ => Err(value_refused(&name, "sessions through the proxy speak UTF8")),
        },
        "standard_conforming_strings" => match (values, text.as_deref()) {
            (None, _) | (_, Some("on" | "true" | "yes" | "1")) => Ok(()),
            _ => Err(value_refused(&name, "it is always on through the proxy")),
        },
        "escape_string_warning" => Ok(()),
        // No row-level security of the database's is switched off by it: it makes such queries fail.
        "row_security" => Ok(()),
        other if is_harmless(other) => Ok(()),
        _ => Err(Refusal::new(
            Stage::Resolve,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("setting `{name}` cannot be changed in a governed session"),
        )
        .detail("it is not among the settings that leave what is seen unchanged")),
    }
}

/// Whether a setting's value may be read: those of applications and extensions may hold anything, and are shown where the
/// policy names them.
pub(in crate::sql) fn may_read(name: &str, policies: &PolicySet) -> bool {
    let name = name.to_ascii_lowercase();
    !name.starts_with(OWN) && (!name.contains('.') || policies.allows_setting(&name))
}

/// Whether a setting may be changed to any value, lower case name.
pub(in crate::sql) fn is_harmless(name: &str) -> bool {
    ALLOWED.split_ascii_whitespace().any(|allowed| allowed == name)
}

fn value_refused(name: &str, why: &str) -> Refusal {
    Refusal::new(
        Stage::Resolve,
        SqlState::INVALID_PARAMETER_VALUE,
        format!("this value of setting `{name}` is not possible in a governed session"),
    )
    .detail(why)
}
