//! Which settings a governed session may change or see: an allow-list.
//!
//! INVARIANT I7: No client can change enforcement: no setting that is not listed here can be changed.

use crate::error::{Refusal, SqlState, Stage};
use crate::policy::PolicySet;
use crate::sql::ast::utility::SetValue;
use crate::sql::form::context::Context;
use crate::sql::text::check_said;
use crate::wire::is_utf8;

/// Settings of the proxy's own begin so.
pub(in crate::sql) const OWN: &str = "pgpurpose.";
/// The session's purpose.
pub(in crate::sql) const PURPOSE: &str = "pgpurpose.purpose";
/// The application's end user.
pub(in crate::sql) const ACTOR: &str = "pgpurpose.actor";
/// Why the statements run: a ticket, a case.
pub(in crate::sql) const TICKET: &str = "pgpurpose.ticket";
/// What the application calls itself, by which a role may tell the actor.
pub(in crate::sql) const APPLICATION: &str = "application_name";
/// The schemas of unqualified names.
pub(in crate::sql) const SEARCH_PATH: &str = "search_path";

/// As whom the database takes the session.
pub(in crate::sql) const ROLE: &str = "role";
/// The same, and whom RESET ROLE goes back to.
pub(in crate::sql) const AUTHORIZATION: &str = "session_authorization";

/// Settings that change how a session works and not what it sees: formats, time limits, memory. Those by which a plan is chosen are
/// not among them: the way in which rows are found tells of their order by columns that are hidden.
const ALLOWED: &str = "application_name array_nulls backend_flush_after bytea_output check_function_bodies \
    client_connection_check_interval client_min_messages commit_delay constraint_exclusion datestyle \
    deadlock_timeout default_statistics_target default_transaction_deferrable default_transaction_isolation \
    default_transaction_read_only effective_io_concurrency exit_on_error extra_float_digits \
    force_parallel_mode debug_parallel_query from_collapse_limit gin_fuzzy_search_limit gin_pending_list_limit \
    hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit jit_above_cost \
    jit_inline_above_cost jit_optimize_above_cost join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout \
    max_parallel_workers max_parallel_workers_per_gather maintenance_work_mem min_parallel_index_scan_size \
    min_parallel_table_scan_size parallel_leader_participation plan_cache_mode quote_all_identifiers seed statement_timeout \
    synchronize_seqscans synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout \
    restrict_nonsystem_relation_kind temp_buffers timezone timezone_abbreviations transaction_deferrable transaction_isolation transaction_read_only \
    transaction_timeout vacuum_cost_delay work_mem xmlbinary xmloption";

/// Settings by which plans are chosen and new tables are stored, for policies that hide no row and no value.
const WHERE_NOTHING_IS_HIDDEN: &str = "enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge \
    enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan \
    enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash \
    enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate \
    effective_cache_size enable_self_join_elimination enable_seqscan enable_sort enable_tidscan cpu_index_tuple_cost cpu_operator_cost \
    cpu_tuple_cost parallel_setup_cost parallel_tuple_cost random_page_cost seq_page_cost cursor_tuple_fraction \
    recursive_worktable_factor geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias \
    geqo_threshold default_tablespace temp_tablespaces default_table_access_method default_toast_compression \
    transform_null_equals stats_fetch_consistency \
    max_stack_depth default_text_search_config session_replication_role createrole_self_grant lo_compat_privileges event_triggers logical_decoding_work_mem";

/// Whether a session may set (or reset, with no values) a setting of this name, lower case.
///
/// # Errors
/// 42501; 22023 where the value is not one that the proxy's sessions can have.
pub(in crate::sql) fn may_set(name: &str, values: Option<&[SetValue]>, context: &Context<'_>) -> Result<(), Refusal> {
    let name = name.to_ascii_lowercase();
    if context.policies.allows_setting(&name) {
        return Ok(());
    }
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
        ACTOR | TICKET => {
            let what = if name == ACTOR { "actor" } else { "ticket" };
            match values {
                None => Ok(()),
                Some([SetValue::Text(value) | SetValue::Number(value)]) => check_said(what, value),
                Some(_) => Err(value_refused(&name, "it is one text, `SET pgpurpose.actor = 'u42'`")),
            }
        }
        SEARCH_PATH => Ok(()),
        // Drivers set what already holds; the proxy's sessions have no other.
        "client_encoding" | "names" => match (values, text.as_deref()) {
            (None, _) => Ok(()),
            (Some(_), Some(text)) if is_utf8(text) => Ok(()),
            // The database says whether there is one of that name.
            (Some(_), Some(_)) if context.policies.hides_nothing() => Ok(()),
            _ => Err(value_refused(&name, "sessions speak UTF8 where a policy hides anything")),
        },
        "standard_conforming_strings" => match (values, text.as_deref()) {
            (None, _) | (_, Some("on" | "true" | "yes" | "1")) => Ok(()),
            _ => Err(value_refused(&name, "it is always on through the proxy")),
        },
        // Back to who logged in, whom no session leaves where anything is hidden. Where nothing is, the database says whom a login may be.
        ROLE | AUTHORIZATION => match values {
            None => Ok(()),
            Some([SetValue::Text(_)]) if may_be_others(context) => Ok(()),
            Some([SetValue::Text(role)]) if *role == context.login => Ok(()),
            Some([SetValue::Text(role)]) if name == ROLE && role == "none" => Ok(()),
            _ => Err(closed(&name)),
        },
        "escape_string_warning" => Ok(()),
        // No row-level security of the database's is switched off by it: it makes such queries fail.
        "row_security" => Ok(()),
        other if is_open(other, context.policies) => Ok(()),
        _ => Err(closed(&name)),
    }
}

/// Whether sessions of the login may take other roles of the database: who may change the structure of one where nothing is hidden.
fn may_be_others(context: &Context<'_>) -> bool {
    let policies = context.policies;
    policies.hides_nothing() && policies.role_of(context.login).is_some_and(|role| role.ddl)
}

fn closed(name: &str) -> Refusal {
    let message = format!("setting `{name}` cannot be changed in a governed session");
    Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
        .detail("it is not among the settings that leave what is seen unchanged")
}

/// Whether a setting's value may be read: those of applications and extensions may hold anything, and are shown where the
/// policy names them.
pub(in crate::sql) fn may_read(name: &str, policies: &PolicySet) -> bool {
    let name = name.to_ascii_lowercase();
    !name.starts_with(OWN) && (!name.contains('.') || policies.allows_setting(&name) || policies.hides_nothing())
}

/// Whether a setting may be changed to any value under these policies, lower case name: what is harmless, what they name, and where
/// they hide nothing also what an application calls its own and what tells of how rows are found and kept.
pub(in crate::sql) fn is_open(name: &str, policies: &PolicySet) -> bool {
    let nothing_hidden = || policies.hides_nothing() && (name.contains('.') || listed(WHERE_NOTHING_IS_HIDDEN, name));
    !name.starts_with(OWN) && (is_harmless(name) || policies.allows_setting(name) || nothing_hidden())
}

/// Whether a setting chooses how rows are found or kept, and is not open under these policies.
pub fn chooses_plans(name: &str, policies: &PolicySet) -> bool {
    let name = name.to_ascii_lowercase();
    listed(WHERE_NOTHING_IS_HIDDEN, &name) && !is_open(&name, policies)
}

/// The names of all settings that may be changed to any value.
pub(in crate::sql) fn open_names(policies: &PolicySet) -> impl Iterator<Item = &'static str> {
    let more = if policies.hides_nothing() { WHERE_NOTHING_IS_HIDDEN } else { "" };
    ALLOWED.split_ascii_whitespace().chain(more.split_ascii_whitespace())
}

/// Whether a setting may be changed to any value, lower case name.
pub(in crate::sql) fn is_harmless(name: &str) -> bool {
    listed(ALLOWED, name)
}

fn listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|allowed| allowed == name)
}

fn value_refused(name: &str, why: &str) -> Refusal {
    Refusal::new(
        Stage::Resolve,
        SqlState::INVALID_PARAMETER_VALUE,
        format!("this value of setting `{name}` is not possible in a governed session"),
    )
    .detail(why)
}
