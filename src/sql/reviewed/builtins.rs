//! Built-in functions that governed sessions may call, reviewed one by one against PostgreSQL 13 to 18.
//!
//! On the list are immutable functions over their own arguments, and stable ones that tell of the session, the clock or
//! the catalogs. Off it are those that run SQL text (`query_to_xml`, `ts_stat`, `ts_rewrite`, `cursor_to_xml`), read
//! files, large objects, WAL, other sessions or column statistics, change settings, or act on the server. Input, output
//! and support functions of types are off as well: no client calls them by name.

/// Functions of `pg_catalog`, by name. Every overload of a name on the list is harmless.
const REVIEWED: &str = include_str!("builtins.txt");

/// Aggregates among them: within their arguments a column is used by an aggregate.
const AGGREGATES: &str = "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp \
    cume_dist dense_rank every json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique \
    json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict \
    jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc \
    range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx \
    regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg";

/// Aggregates that `min_group` allows: none gives a value of a single row back.
const GROUP_AGGREGATES: &str = "avg count stddev stddev_pop stddev_samp sum var_pop var_samp variance";

/// Aggregates that are written like calls, but known to the grammar itself.
const GRAMMAR_AGGREGATES: &str = "json_arrayagg json_objectagg";

/// Written like calls, but known to the grammar itself, so no search path changes what they mean.
const GRAMMAR: &str = "coalesce greatest grouping json json_array json_arrayagg json_objectagg json_exists json_query json_scalar json_serialize json_value \
    least merge_action normalize nullif row xmlattributes xmlconcat xmlelement \
    xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize";

/// Values without parentheses, or with a precision only.
const VALUE_KEYWORDS: &str = "current_catalog current_date current_role current_schema current_time current_timestamp \
    current_user localtime localtimestamp session_user system_user user";

/// Set-returning functions with one column that has the function's name.
const SCALAR_SETS: &str = "generate_series generate_subscripts json_object_keys jsonb_object_keys regexp_matches \
    regexp_split_to_table string_to_table unnest";

/// Refused, though they exist: named here so that the refusal can say so even without a catalog.
const KNOWN: &str = "cursor_to_xml database_to_xml dblink lo_export lo_get lo_import pg_cancel_backend pg_ls_dir \
    pg_read_binary_file pg_read_file pg_reload_conf pg_stat_file pg_terminate_backend query_to_xml \
    schema_to_xml setval table_to_xml ts_rewrite ts_stat";

/// Names of binary operators of `pg_catalog`.
const OPERATORS: &str = "+ - * / % ^ = <> != < <= > >= || ~~ ~~* !~~ !~~* ~ ~* !~ !~* ^@ & | # << >> && @> <@ -> ->> #> #>> \
    @? @@ @@@ ? ?| ?& #- &< &> -|- ~= <<| |>> &<| |&> <-> <^ >^ ?# ?- ?-| ?|| ## <<= >>= ~<~ ~<=~ ~>~ ~>=~ *= *<> *< *<= *> *>=";

/// Whether `pg_catalog` has a binary operator of that name.
pub(in crate::sql) fn is_operator(name: &str) -> bool {
    listed(OPERATORS, name)
}

fn listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|word| word == name)
}

/// Whether every function of that name in `pg_catalog` may be called.
pub(in crate::sql) fn is_reviewed(name: &str) -> bool {
    listed(REVIEWED, name)
}

/// Whether the grammar spells it as an aggregate.
pub(in crate::sql) fn is_grammar_aggregate(name: &str) -> bool {
    listed(GRAMMAR_AGGREGATES, name)
}

/// Whether it is an aggregate.
pub(in crate::sql) fn is_aggregate(name: &str) -> bool {
    listed(AGGREGATES, name) || is_grammar_aggregate(name)
}

/// Whether `min_group` allows the aggregate.
pub(in crate::sql) fn is_group_aggregate(name: &str) -> bool {
    listed(GROUP_AGGREGATES, name)
}

/// Whether the grammar itself spells it.
pub(in crate::sql) fn is_grammar_function(name: &str) -> bool {
    listed(GRAMMAR, name) || listed(VALUE_KEYWORDS, name)
}

/// Whether it is a value without parentheses.
pub(in crate::sql) fn is_value_keyword(name: &str) -> bool {
    listed(VALUE_KEYWORDS, name)
}

/// Whether it gives one column that has its own name.
pub(in crate::sql) fn scalar_set_function(name: &str) -> bool {
    listed(SCALAR_SETS, name)
}

/// Whether a function of that name is known to exist.
pub(in crate::sql) fn is_known(name: &str) -> bool {
    listed(KNOWN, name) || listed(REVIEWED, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_text_or_reads_files_is_reviewed() {
        for name in KNOWN.split_ascii_whitespace() {
            assert!(!is_reviewed(name), "{name}");
        }
        // A count of an index's scans tells of no row.
        let reviewed = || REVIEWED.split_ascii_whitespace().filter(|name| *name != "pg_stat_get_numscans");
        for part in ["_to_xml", "pg_read", "pg_ls_", "lo_", "dblink", "pg_logical", "pg_stat_get", "binary_upgrade"] {
            assert!(reviewed().all(|name| !name.contains(part)), "{part}");
        }
    }

    #[test]
    fn aggregates_are_reviewed_and_min_group_allows_few_of_them() {
        for name in AGGREGATES.split_ascii_whitespace() {
            assert!(is_reviewed(name), "{name}");
        }
        for name in GRAMMAR_AGGREGATES.split_ascii_whitespace() {
            assert!(is_grammar_function(name) && is_aggregate(name) && !is_group_aggregate(name), "{name}");
        }
        for name in GROUP_AGGREGATES.split_ascii_whitespace() {
            assert!(is_aggregate(name), "{name}");
        }
    }
}
