//! System catalogs: an allow-list. What holds values of tables, statement text or secrets is not on it.

use crate::catalog::RelationName;
use crate::error::{Refusal, SqlState, Stage};

/// Relations of `pg_catalog` that clients need and that describe the database rather than its contents.
const PG_CATALOG: &str = "pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members \
    pg_available_extension_versions pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion \
    pg_database pg_db_role_setting pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension \
    pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs \
    pg_language pg_largeobject_metadata pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily \
    pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_prepared_xacts pg_proc pg_publication pg_publication_namespace \
    pg_publication_rel pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence \
    pg_sequences pg_settings pg_shdepend pg_shdescription pg_shseclabel pg_stat_all_indexes pg_stat_all_tables pg_stat_archiver pg_stat_bgwriter pg_stat_wal pg_stat_wal_receiver \
    pg_stat_database pg_stat_user_indexes pg_stat_user_tables pg_statio_all_tables pg_statio_user_tables \
    pg_statistic_ext pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger \
    pg_cursors pg_prepared_statements pg_stat_activity pg_subscription pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_views";

/// Views of `information_schema` that are closed: options of foreign servers hold passwords.
const INFORMATION_SCHEMA_CLOSED: &str = "_pg_user_mappings _pg_foreign_data_wrappers _pg_foreign_servers _pg_foreign_table_columns _pg_foreign_tables column_options foreign_data_wrapper_options foreign_server_options foreign_table_options user_mapping_options \
     user_mappings";

/// What governed sessions may do with a system relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Access {
    /// Read it.
    Open,
    /// Nothing: it holds values, statements or secrets, or is not reviewed.
    Closed,
    /// No relation has that name.
    Unknown,
}

/// Whether the schema belongs to the system: its relations are never governed by a policy.
pub(in crate::sql) fn is_system_schema(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast")
        || schema.starts_with("pg_temp")
        || schema.starts_with("pg_toast_temp")
}

/// How a system relation is treated.
pub(in crate::sql) fn access(name: &RelationName) -> Access {
    let listed = |list: &str| list.split_ascii_whitespace().any(|word| word == name.name);
    match name.schema.as_str() {
        "pg_catalog" if listed(PG_CATALOG) => Access::Open,
        "pg_catalog" if name.name.starts_with("pg_") => Access::Closed,
        "pg_catalog" => Access::Unknown,
        "information_schema" if listed(INFORMATION_SCHEMA_CLOSED) => Access::Closed,
        "information_schema" => Access::Open,
        _ => Access::Closed,
    }
}

/// 42501 for a system relation that is closed.
pub(in crate::sql) fn closed(name: &RelationName) -> Refusal {
    Refusal::new(
        Stage::Resolve,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("system relation `{name}` is not open to governed sessions"),
    )
    .detail("it may hold values of tables, statements of other sessions, or secrets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_that_hold_values_statements_or_secrets_are_closed() {
        for name in [
            "pg_stats",
            "pg_statistic",
            "pg_statistic_ext_data",
            "pg_stats_ext",
            "pg_stats_ext_exprs",
            "pg_stat_statements",
            "pg_authid",
            "pg_shadow",
            "pg_user_mapping",
            "pg_user_mappings",
            "pg_largeobject",
            "pg_hba_file_rules",
            "pg_file_settings",
            "pg_locks",
        ] {
            assert_eq!(access(&RelationName::new("pg_catalog", name)), Access::Closed, "{name}");
        }
        assert_eq!(access(&RelationName::new("information_schema", "user_mapping_options")), Access::Closed);
        assert_eq!(access(&RelationName::new("pg_toast", "pg_toast_16384")), Access::Closed);
        assert_eq!(access(&RelationName::new("pg_catalog", "pg_class")), Access::Open);
    }
}
