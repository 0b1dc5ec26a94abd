//! What definitions give away: defaults, constraints, index predicates, views, policies, comments and the like may hold values of
//! the tables that they belong to.
//!
//! They stay as they are for relations that the session sees unmasked and unfiltered. Elsewhere constants are taken out of
//! what is text, and what is a tree of PostgreSQL's stays only if its constants are as small as `true`, `''` or `1`.

use std::collections::HashSet;

use crate::catalog::{Oid, Relation, RelationName, quote_ident};
use crate::policy::{
    AccessRequest, Action, ColumnAccess, Decision, Lineage, RelationAccess, RelationObligation, Shape, Use, Verb,
    decide,
};
use crate::sql::form::context::Context;

/// What the base relation is called inside its derived table.
pub(in crate::sql) const ROW: &str = "pgpurpose_row";

/// Oids below this number belong to the system.
const FIRST_OWN: Oid = 16384;

/// What happens to a column of a system relation.
#[derive(Debug, Clone, Copy)]
enum Treatment {
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

use Treatment::{Count, Default, DefaultText, Label, Never, Number, OfColumn, Statement, Text, Tree, Value};

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
const COUNTERS: &[(&str, &str, &str)] = &[
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
const COLUMNS: &[(&str, &str, &str, Treatment)] = &[
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
enum Answer {
    /// Constants are taken out unless the relation is open.
    Text,
    /// NULL unless the relation is open.
    Value,
    /// NULL unless the column is open, whose number is the second argument.
    OfColumn,
}

/// The table whose rows a relation holds.
const SIZED: &str = "COALESCE((SELECT pgpurpose_index.indrelid FROM pg_catalog.pg_index AS pgpurpose_index WHERE pgpurpose_index.indexrelid = a.o), \
    (SELECT pgpurpose_toast.oid FROM pg_catalog.pg_class AS pgpurpose_toast WHERE pgpurpose_toast.reltoastrelid = a.o), a.o)";

/// Functions over an object's oid: name, type of the first argument before it becomes an oid, the relation that the object `a.o` belongs
/// to, and how the answer is treated.
const FUNCTIONS: &[(&str, &str, &str, Answer)] = &[
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
    ("col_description", "", "a.o", Answer::OfColumn),
    (
        "obj_description",
        "",
        "CASE WHEN a.p = 'pg_class' OR a.o < 16384::pg_catalog.oid THEN a.o \
         WHEN a.p = ANY (ARRAY['pg_namespace', 'pg_extension', 'pg_database']) THEN 1::pg_catalog.oid END",
        Answer::Value,
    ),
];

/// What of the database's definitions a session may see whole.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Sight {
    /// Relations that are seen unmasked and unfiltered.
    relations: String,
    /// Columns that are seen unmasked, of other relations: `relation.number`.
    columns: String,
    /// Types of which every column is masked or closed.
    hidden_types: String,
    /// The policy hides nothing.
    everything: bool,
}

impl Sight {
    /// Works it out from the policy.
    pub(in crate::sql) fn of(context: &Context<'_>) -> Self {
        let (mut relations, mut columns) = (Vec::new(), Vec::new());
        let (mut shown, mut used) = (HashSet::new(), HashSet::new());
        let mut own: Vec<&Relation> =
            context.catalog.relations().map(AsRef::as_ref).filter(|relation| relation.oid >= FIRST_OWN).collect();
        own.sort_by_key(|relation| relation.oid);
        for relation in own {
            used.extend(relation.columns.iter().map(|column| column.base_oid));
            let request = everything_of(relation, context);
            let Decision::Permit(permit) = decide(context.policies, &request) else { continue };
            match permit.relations() {
                [obligation] if is_whole(relation, obligation) => {
                    shown.extend(relation.columns.iter().map(|column| column.base_oid));
                    relations.push(relation.oid.to_string());
                }
                [RelationObligation::Governed { columns: seen, .. }] => {
                    let read = |name: &str| seen.get(name).is_some_and(|column| column.action == Action::Read);
                    let open = relation.columns.iter().filter(|column| read(&column.name));
                    shown.extend(open.map(|column| column.base_oid));
                    columns.extend(
                        relation
                            .columns
                            .iter()
                            .filter(|column| seen.get(&column.name).is_some_and(|column| column.action == Action::Read))
                            .map(|column| format!("{}.{}", relation.oid, column.number)),
                    );
                }
                _ => {}
            }
        }
        let hidden = used.difference(&shown).filter(|oid| **oid >= FIRST_OWN);
        // A type's own elements are shown with it.
        let of_arrays = |oid: &Oid| context.catalog.type_by_oid(*oid).and_then(|ty| ty.element);
        let elements: HashSet<Oid> = shown.iter().filter_map(of_arrays).collect();
        let hidden = hidden.flat_map(|oid| std::iter::once(*oid).chain(of_arrays(oid)));
        let mut hidden: Vec<Oid> = hidden.filter(|oid| !elements.contains(oid) && !shown.contains(oid)).collect();
        hidden.sort_unstable();
        hidden.dedup();
        let hidden_types: Vec<String> = hidden.iter().map(ToString::to_string).collect();
        Self {
            relations: relations.join(","),
            columns: columns.join(","),
            hidden_types: hidden_types.join(","),
            everything: context.policies.hides_nothing(),
        }
    }

    fn relation(&self, oid: &str) -> String {
        format!("({oid} < {FIRST_OWN}::pg_catalog.oid OR {oid} = ANY ('{{{}}}'::pg_catalog.oid[]))", self.relations)
    }

    /// Whether labels of the type are seen.
    pub(in crate::sql) fn shows_labels_of(&self, oid: Oid) -> bool {
        !self.hidden_types.split(',').any(|hidden| hidden == oid.to_string())
    }

    /// Whether every type's labels are seen.
    pub(in crate::sql) fn shows_every_label(&self) -> bool {
        self.hidden_types.is_empty()
    }

    fn label(&self, oid: &str) -> String {
        format!("({oid} <> ALL ('{{{}}}'::pg_catalog.oid[]))", self.hidden_types)
    }

    fn column(&self, oid: &str, number: &str) -> String {
        let name = format!("pg_catalog.concat({oid}, '.', {number})");
        format!("({} OR {name} = ANY ('{{{}}}'::pg_catalog.text[]))", self.relation(oid), self.columns)
    }
}

/// Whether a relation's every column and row is seen as it is, and nobody records who sees it.
pub(in crate::sql) fn sees_whole(relation: &Relation, context: &Context<'_>) -> bool {
    if relation.oid < FIRST_OWN {
        return true;
    }
    let Decision::Permit(permit) = decide(context.policies, &everything_of(relation, context)) else { return false };
    match permit.relations() {
        [RelationObligation::Open { .. }] => true,
        [obligation @ RelationObligation::Governed { record: None, .. }] => is_whole(relation, obligation),
        _ => false,
    }
}

/// Whether all of a governed relation is seen as it is.
fn is_whole(relation: &Relation, obligation: &RelationObligation) -> bool {
    match obligation {
        RelationObligation::Open { .. } => true,
        RelationObligation::Governed { columns, min_group, .. } => {
            let read = |name: &str| columns.get(name).is_some_and(|column| column.action == Action::Read);
            min_group.is_none()
                && !obligation.leaves_rows_out()
                && relation.columns.iter().all(|column| read(&column.name))
        }
    }
}

fn everything_of(relation: &Relation, context: &Context<'_>) -> AccessRequest {
    let lineage = Lineage::of(context.catalog, relation.oid);
    let columns = relation
        .columns
        .iter()
        .map(|column| ColumnAccess { name: column.name.clone(), class: column.class, uses: [Use::Star].into() })
        .collect();
    AccessRequest {
        login: context.login.to_owned(),
        purpose: context.purpose.to_owned(),
        today: context.today,
        relations: vec![RelationAccess {
            relation: relation.name.clone(),
            ancestors: lineage.ancestors,
            reaches: lineage.reaches,
            opaque: lineage.opaque,
            verb: Verb::Select,
            star: true,
            columns,
            temporary: false,
            filled: std::collections::BTreeSet::new(),
            whole_row_write: false,
            automatic: crate::policy::Automatic::default(),
        }],
        consequences: Vec::new(),
        shape: Shape::default(),
        structure: None,
    }
}

/// A text without its constants: strings become `'…'`, longer numbers 0. NULL where a string and a quoted name could be
/// taken for each other.
fn without_constants(text: &str) -> String {
    let bare = format!("pg_catalog.regexp_replace({text}, '''(?:[^'']|'''')*''', '', 'g')");
    let quotes = |of: &str| format!("pg_catalog.length({of}) - pg_catalog.length(pg_catalog.replace({of}, '\"', ''))");
    let strings = format!("pg_catalog.regexp_replace({text}, '''(?:[^'']|'''')+''', '''…''', 'g')");
    format!(
        "CASE WHEN {text} ~ '^nextval[(]''[^'']+''::regclass[)]$' THEN {text}::pg_catalog.text \
         WHEN {} = {} THEN pg_catalog.regexp_replace({strings}, '\\m[0-9]{{3,}}(?:[.][0-9]+)?|\\m[0-9]+[.][0-9]+', '0', 'g') END",
        quotes(&format!("{text}::pg_catalog.text")),
        quotes(&bare),
    )
}

/// Whether a tree's constants are all NULL or no more than a first byte: `true`, `''`, numbers below 256; and names of relations.
fn has_small_constants(tree: &str) -> String {
    format!(
        "pg_catalog.regexp_replace({tree}::pg_catalog.text, '[{{]CONST :consttype 2205 [^}}]*[}}]', '', 'g') \
         !~ ':constvalue [0-9]+ \\[ -?[0-9]+( 0)* -?[1-9]'"
    )
}

/// The columns of a system relation that may hold values.
fn treated(name: &RelationName) -> impl Iterator<Item = (&'static str, Treatment)> {
    COLUMNS
        .iter()
        .filter(|(schema, relation, ..)| *schema == name.schema && *relation == name.name)
        .map(|(_, _, column, treatment)| (*column, *treatment))
}

/// What happens to a column of a view of counters that is none of its names.
fn counter(relation: &RelationName, column: &str) -> Option<Treatment> {
    let (_, oid, names) = counters(relation)?;
    (!names.split_ascii_whitespace().any(|name| name == column)).then_some(Value(oid))
}

/// Whether it shows the text of statements, or a secret.
pub(in crate::sql) fn holds_statements(name: &RelationName) -> bool {
    // A subscription's connection has a password.
    name.name == "pg_subscription" || treated(name).any(|(_, treatment)| matches!(treatment, Statement))
}

fn counters(relation: &RelationName) -> Option<&'static (&'static str, &'static str, &'static str)> {
    COUNTERS.iter().find(|(name, ..)| relation.schema == "pg_catalog" && *name == relation.name)
}

/// Whether a statement that uses such names (columns' names, `*`, what relations are called) could see a column that may hold values.
pub(in crate::sql) fn concerns(name: &RelationName, called: &str, used: &HashSet<String>) -> bool {
    let mut columns = treated(name).peekable();
    if counters(name).is_some() {
        return true;
    }
    columns.peek().is_some()
        && (used.contains("*") || used.contains(called) || columns.any(|(column, _)| used.contains(column)))
}

/// The select list of the derived table that stands where the system relation stood.
pub(in crate::sql) fn select_list(relation: &Relation, used: &HashSet<String>, sight: &Sight) -> String {
    let row = quote_ident(ROW);
    let sql = |text: &str| text.replace("r.", &format!("{row}."));
    let hidden = ["tableoid", "xmin", "ctid"].into_iter().filter(|name| used.contains(*name));
    let names = relation.columns.iter().map(|column| column.name.as_str()).chain(hidden);
    let items: Vec<String> = names
        .map(|name| {
            let value = format!("{row}.{}", quote_ident(name));
            let found = treated(&relation.name).find(|(column, _)| *column == name).map(|(_, treatment)| treatment);
            let expression = match found.or_else(|| counter(&relation.name, name)) {
                None => value,
                Some(Statement) => format!("CASE WHEN {} THEN {value} END", sight.everything),
                Some(Never) => format!("CASE WHEN false THEN {value} END"),
                Some(Count(oid)) => format!("CASE WHEN {} THEN {value} ELSE -1 END", sight.relation(&sql(oid))),
                Some(Label(oid)) => format!("CASE WHEN {} THEN {value} END", sight.label(&sql(oid))),
                Some(Value(oid)) => format!("CASE WHEN {} THEN {value} END", sight.relation(&sql(oid))),
                Some(Number(oid)) => format!(
                    "CASE WHEN {} OR pg_catalog.length({value}::pg_catalog.text) < 3 THEN {value} END",
                    sight.relation(&sql(oid))
                ),
                Some(OfColumn(oid, number)) => {
                    format!("CASE WHEN {} THEN {value} END", sight.column(&parenthesized(&sql(oid)), &sql(number)))
                }
                Some(Tree(oid)) => {
                    let (open, small) = (sight.relation(&sql(oid)), has_small_constants(&value));
                    format!("CASE WHEN {open} THEN {value} WHEN {small} THEN {value} END")
                }
                Some(Default(oid, number)) => {
                    let (open, small) = (sight.column(&sql(oid), &sql(number)), has_small_constants(&value));
                    format!("CASE WHEN {open} THEN {value} WHEN {small} THEN {value} END")
                }
                Some(Text(oid)) => {
                    let open = sight.relation(&sql(oid));
                    format!("CASE WHEN {open} THEN {value}::pg_catalog.text ELSE {} END", without_constants(&value))
                }
                Some(DefaultText(oid, number)) => {
                    let open = sight.column(&sql(oid), &sql(number));
                    let without = without_constants(&value);
                    format!(
                        "CASE WHEN {open} THEN {value}::pg_catalog.text WHEN {without} = {value}::pg_catalog.text \
                         THEN {value}::pg_catalog.text END"
                    )
                }
            };
            format!("{expression} AS {}", quote_ident(name))
        })
        .collect();
    items.join(", ")
}

/// Which rows of a system relation are there at all; a label that is missing would break who reads it.
pub(in crate::sql) fn row_filter(relation: &Relation, sight: &Sight) -> String {
    if relation.name.schema == "pg_catalog" && relation.name.name == "pg_enum" && !sight.shows_every_label() {
        return format!(" WHERE {}", sight.label(&format!("{}.enumtypid", quote_ident(ROW))));
    }
    String::new()
}

fn parenthesized(text: &str) -> String {
    format!("({text})")
}

/// Whether a function of `pg_catalog` gives definitions back.
pub(in crate::sql) fn defines(function: &str) -> bool {
    FUNCTIONS.iter().any(|(name, ..)| *name == function)
}

/// An expression in place of a call of such a function, over so many arguments, and the same without the call. The arguments are the
/// parameters from [`FIRST_VALUE`](crate::sql::ast::fragment::FIRST_VALUE) on.
pub(in crate::sql) fn call(function: &str, arguments: usize, sight: &Sight) -> Option<(String, String)> {
    let (name, cast, relation, answer) = FUNCTIONS.iter().find(|(name, ..)| *name == function)?;
    let first = crate::sql::ast::fragment::FIRST_VALUE;
    let names = ["o", "p", "q"];
    let inner: Vec<String> = names
        .iter()
        .take(arguments)
        .enumerate()
        .map(|(at, name)| {
            let cast = if at == 0 { format!("{cast}::pg_catalog.oid") } else { String::new() };
            format!("${}{cast} AS {name}", first.saturating_add(at))
        })
        .collect();
    let arguments: Vec<String> = names.iter().take(arguments).map(|name| format!("a.{name}")).collect();
    // With one argument there is no class of objects to ask for.
    let relation = if arguments.len() < 2 && relation.contains("a.p") { "a.o" } else { relation };
    let number = if matches!(answer, Answer::OfColumn) { ", a.p AS n" } else { "" };
    let seen = match answer {
        Answer::Text => format!("CASE WHEN {} THEN d.v ELSE {} END", sight.relation("d.r"), without_constants("d.v")),
        Answer::Value => format!("CASE WHEN {} THEN d.v END", sight.relation("d.r")),
        Answer::OfColumn => format!("CASE WHEN {} THEN d.v END", sight.column("d.r", "d.n")),
    };
    // A subquery names its column as the call would have.
    let template = |call: &str| {
        format!(
            "(SELECT {seen} AS {name} FROM (SELECT {relation} AS r{number}, {call} AS v FROM (SELECT {}) AS a) AS d)",
            inner.join(", ")
        )
    };
    let called = format!("pg_catalog.{name}({})", arguments.join(", "));
    // The columns that the call refers to count, the function does not: it was counted where it stood.
    let counted = format!("ROW({})", arguments.join(", "));
    Some((template(&called), template(&counted)))
}
