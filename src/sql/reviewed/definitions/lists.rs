//! Columns of system relations, and functions, that may hold or give values of the tables that they belong to.

/// What happens to a column of a system relation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// NULL unless the relation is open: whose oid the SQL gives.
    Value(&'static str),
    /// A number: the same, but that one of at most two digits stays.
    Number(&'static str),
    /// A tree: the same, but that it stays where its constants are small.
    Tree(&'static str),
    /// A tree that belongs to a column: relation and number.
    Default(&'static str, &'static str),
    /// A value that belongs to a column.
    OfColumn(&'static str, &'static str),
    /// Text: constants are taken out unless the relation is open.
    Text(&'static str),
    /// A column's default as text: relation and number.
    DefaultText(&'static str, &'static str),
    /// -1, as for a relation that was never counted, unless the relation is open.
    Count(&'static str),
    /// NULL where every column of that type is closed.
    Label(&'static str),
    /// Text of statements: NULL but for a policy that hides nothing.
    Statement,
    /// NULL.
    Never,
}

use self::Treatment::{Count, Default, DefaultText, Label, Never, Number, OfColumn, Statement, Text, Tree, Value};

/// No relation that could be open.
const NONE: &str = "NULL::pg_catalog.oid";

const BY_NAME: [&str; 4] = [
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schemaname, r.tablename))::pg_catalog.oid",
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schemaname, r.viewname))::pg_catalog.oid",
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schemaname, r.matviewname))::pg_catalog.oid",
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schemaname, r.sequencename))::pg_catalog.oid",
];
const BY_TABLE: &str =
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.table_schema, r.table_name))::pg_catalog.oid";
const BY_EVENT: &str =
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.event_object_schema, r.event_object_table))::pg_catalog.oid";
const BY_SEQUENCE: &str =
    "pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.sequence_schema, r.sequence_name))::pg_catalog.oid";
/// Comments: on schemas, databases and extensions they stay; else they belong to a relation, or to nothing that could be open.
const COMMENTED: &str = "CASE WHEN r.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass OR r.objoid < 16384::pg_catalog.oid THEN r.objoid \
    WHEN r.classoid = ANY (ARRAY['pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass]) \
    THEN 1::pg_catalog.oid END";

/// The table whose rows a relation of `pg_class` holds: its own, an index's, a TOAST table's.
const COUNTED: &str = "(CASE r.relkind WHEN 'i' THEN (SELECT pgpurpose_index.indrelid FROM pg_catalog.pg_index AS pgpurpose_index WHERE pgpurpose_index.indexrelid = r.oid) \
    WHEN 't' THEN (SELECT pgpurpose_toast.oid FROM pg_catalog.pg_class AS pgpurpose_toast WHERE pgpurpose_toast.reltoastrelid = r.oid) ELSE r.oid END)";

/// Views of the server's counters: what they count by, and the columns that say what is counted. All others are numbers and
/// times that a statement moves by as many rows as it met, whatever was left out of its answer.
pub(super) const COUNTERS: &[(&str, &str, &str)] = &[
    ("pg_stat_all_tables", "r.relid", "relid schemaname relname"),
    ("pg_stat_user_tables", "r.relid", "relid schemaname relname"),
    ("pg_stat_all_indexes", "r.relid", "relid indexrelid schemaname relname indexrelname"),
    ("pg_stat_user_indexes", "r.relid", "relid indexrelid schemaname relname indexrelname"),
    ("pg_statio_all_tables", "r.relid", "relid schemaname relname"),
    ("pg_statio_user_tables", "r.relid", "relid schemaname relname"),
    ("pg_stat_database", NONE, "datid datname numbackends stats_reset"),
    ("pg_stat_bgwriter", NONE, "stats_reset"),
    ("pg_stat_wal", NONE, "stats_reset"),
];

/// Schema, relation, column, and what happens to it.
pub(super) const COLUMNS: &[(&str, &str, &str, Treatment)] = &[
    ("pg_catalog", "pg_attrdef", "adbin", Default("r.adrelid", "r.adnum")),
    ("pg_catalog", "pg_attribute", "attmissingval", OfColumn("r.attrelid", "r.attnum")),
    ("pg_catalog", "pg_attribute", "attfdwoptions", Never),
    ("pg_catalog", "pg_class", "relpartbound", Tree("r.oid")),
    ("pg_catalog", "pg_class", "reltuples", Count(COUNTED)),
    ("pg_catalog", "pg_class", "relpages", Count(COUNTED)),
    ("pg_catalog", "pg_class", "relallvisible", Count(COUNTED)),
    ("pg_catalog", "pg_class", "relallfrozen", Count(COUNTED)),
    ("pg_catalog", "pg_enum", "enumlabel", Label("r.enumtypid")),
    ("pg_catalog", "pg_constraint", "conbin", Tree("NULLIF(r.conrelid, 0::pg_catalog.oid)")),
    ("pg_catalog", "pg_index", "indexprs", Tree("r.indrelid")),
    ("pg_catalog", "pg_index", "indpred", Tree("r.indrelid")),
    ("pg_catalog", "pg_indexes", "indexdef", Text(BY_NAME[0])),
    ("pg_catalog", "pg_views", "definition", Text(BY_NAME[1])),
    ("pg_catalog", "pg_matviews", "definition", Text(BY_NAME[2])),
    ("pg_catalog", "pg_rules", "definition", Text(BY_NAME[0])),
    ("pg_catalog", "pg_rewrite", "ev_qual", Value("r.ev_class")),
    ("pg_catalog", "pg_rewrite", "ev_action", Value("r.ev_class")),
    ("pg_catalog", "pg_policy", "polqual", Tree("r.polrelid")),
    ("pg_catalog", "pg_policy", "polwithcheck", Tree("r.polrelid")),
    ("pg_catalog", "pg_policies", "qual", Text(BY_NAME[0])),
    ("pg_catalog", "pg_policies", "with_check", Text(BY_NAME[0])),
    ("pg_catalog", "pg_trigger", "tgargs", Value("r.tgrelid")),
    ("pg_catalog", "pg_trigger", "tgqual", Tree("r.tgrelid")),
    ("pg_catalog", "pg_proc", "prosrc", Value("r.oid")),
    ("pg_catalog", "pg_proc", "probin", Value("r.oid")),
    ("pg_catalog", "pg_proc", "prosqlbody", Value("r.oid")),
    ("pg_catalog", "pg_proc", "proconfig", Value("r.oid")),
    ("pg_catalog", "pg_proc", "proargdefaults", Tree("r.oid")),
    ("pg_catalog", "pg_description", "description", OfColumn(COMMENTED, "r.objsubid")),
    ("pg_catalog", "pg_seclabel", "label", Never),
    ("pg_catalog", "pg_seclabels", "label", Never),
    ("pg_catalog", "pg_shseclabel", "label", Never),
    ("pg_catalog", "pg_sequence", "seqstart", Number("r.seqrelid")),
    ("pg_catalog", "pg_sequences", "start_value", Number(BY_NAME[3])),
    ("pg_catalog", "pg_sequences", "last_value", Value(BY_NAME[3])),
    // Where the server follows another: how it connects there.
    ("pg_catalog", "pg_stat_wal_receiver", "conninfo", Never),
    ("pg_catalog", "pg_stat_wal_receiver", "sender_host", Never),
    ("pg_catalog", "pg_stat_wal_receiver", "sender_port", Never),
    ("pg_catalog", "pg_stat_wal_receiver", "slot_name", Never),
    ("pg_catalog", "pg_foreign_server", "srvoptions", Never),
    ("pg_catalog", "pg_foreign_table", "ftoptions", Never),
    ("pg_catalog", "pg_foreign_data_wrapper", "fdwoptions", Never),
    ("pg_catalog", "pg_publication_rel", "prqual", Tree("r.prrelid")),
    ("pg_catalog", "pg_publication_tables", "rowfilter", Text(BY_NAME[0])),
    ("pg_catalog", "pg_statistic_ext", "stxexprs", Tree("r.stxrelid")),
    ("pg_catalog", "pg_partitioned_table", "partexprs", Tree("r.partrelid")),
    ("pg_catalog", "pg_type", "typdefaultbin", Tree("r.oid")),
    ("pg_catalog", "pg_type", "typdefault", Value("r.oid")),
    ("pg_catalog", "pg_subscription", "subconninfo", Never),
    ("pg_catalog", "pg_prepared_xacts", "gid", Statement),
    ("pg_catalog", "pg_cursors", "statement", Statement),
    ("pg_catalog", "pg_prepared_statements", "statement", Statement),
    ("pg_catalog", "pg_stat_activity", "query", Statement),
    ("pg_catalog", "pg_db_role_setting", "setconfig", Never),
    ("pg_catalog", "pg_roles", "rolconfig", Never),
    ("pg_catalog", "pg_user", "useconfig", Never),
    ("information_schema", "columns", "column_default", DefaultText(BY_TABLE, "r.ordinal_position")),
    ("information_schema", "columns", "generation_expression", DefaultText(BY_TABLE, "r.ordinal_position")),
    ("information_schema", "check_constraints", "check_clause", Text(NONE)),
    ("information_schema", "views", "view_definition", Text(BY_TABLE)),
    ("information_schema", "triggers", "action_condition", Text(BY_EVENT)),
    ("information_schema", "triggers", "action_statement", Text(BY_EVENT)),
    ("information_schema", "sequences", "start_value", Number(BY_SEQUENCE)),
    ("information_schema", "routines", "routine_definition", Never),
    ("information_schema", "parameters", "parameter_default", Text(NONE)),
    ("information_schema", "domains", "domain_default", Text(NONE)),
    ("information_schema", "attributes", "attribute_default", Text(NONE)),
];

/// How a function's answer is treated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// Constants are taken out unless the relation is open.
    Text,
    /// NULL unless the relation is open.
    Value,
    /// NULL unless the column is open, whose number is the second argument.
    OfColumn,
    /// Of all relations together: NULL but for a policy that hides nothing.
    Whole,
}

/// The table whose rows a relation holds.
const SIZED: &str = "COALESCE((SELECT pgpurpose_index.indrelid FROM pg_catalog.pg_index AS pgpurpose_index WHERE pgpurpose_index.indexrelid = a.o), \
    (SELECT pgpurpose_toast.oid FROM pg_catalog.pg_class AS pgpurpose_toast WHERE pgpurpose_toast.reltoastrelid = a.o), a.o)";

/// Functions over an object's oid: name, type of the first argument before it becomes an oid, the relation that the object `a.o` belongs
/// to, and how the answer is treated.
pub(super) const FUNCTIONS: &[(&str, &str, &str, Answer)] = &[
    (
        "pg_get_constraintdef",
        "",
        "(SELECT NULLIF(conrelid, 0::pg_catalog.oid) FROM pg_catalog.pg_constraint WHERE oid = a.o)",
        Answer::Text,
    ),
    ("pg_get_indexdef", "", "(SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = a.o)", Answer::Text),
    ("pg_get_triggerdef", "", "(SELECT tgrelid FROM pg_catalog.pg_trigger WHERE oid = a.o)", Answer::Text),
    ("pg_get_ruledef", "", "(SELECT ev_class FROM pg_catalog.pg_rewrite WHERE oid = a.o)", Answer::Text),
    ("pg_get_viewdef", "::pg_catalog.regclass", "a.o", Answer::Text),
    ("pg_get_partition_constraintdef", "", "a.o", Answer::Text),
    ("pg_get_partkeydef", "", "a.o", Answer::Text),
    ("pg_get_statisticsobjdef", "", "(SELECT stxrelid FROM pg_catalog.pg_statistic_ext WHERE oid = a.o)", Answer::Text),
    (
        "pg_get_statisticsobjdef_columns",
        "",
        "(SELECT stxrelid FROM pg_catalog.pg_statistic_ext WHERE oid = a.o)",
        Answer::Text,
    ),
    ("pg_get_functiondef", "", "a.o", Answer::Value),
    ("pg_get_function_sqlbody", "", "a.o", Answer::Value),
    ("pg_get_function_arguments", "", "a.o", Answer::Text),
    ("pg_get_function_arg_default", "", "a.o", Answer::Text),
    ("pg_sequence_last_value", "", "a.o", Answer::Value),
    ("pg_relation_size", "::pg_catalog.regclass", SIZED, Answer::Value),
    ("pg_table_size", "::pg_catalog.regclass", SIZED, Answer::Value),
    ("pg_indexes_size", "::pg_catalog.regclass", SIZED, Answer::Value),
    ("pg_total_relation_size", "::pg_catalog.regclass", SIZED, Answer::Value),
    ("pg_stat_get_numscans", "", SIZED, Answer::Value),
    ("pg_database_size", "", NONE, Answer::Whole),
    ("col_description", "", "a.o", Answer::OfColumn),
    (
        "obj_description",
        "",
        "CASE WHEN a.p = 'pg_class' OR a.o < 16384::pg_catalog.oid THEN a.o \
         WHEN a.p = ANY (ARRAY['pg_namespace', 'pg_extension', 'pg_database']) THEN 1::pg_catalog.oid END",
        Answer::Value,
    ),
];
