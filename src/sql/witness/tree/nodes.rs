//! Which nodes PostgreSQL's grammar makes, and what each of them holds: all of it but places in the text.
//!
//! A node that is not listed makes a tree that cannot be compared, so that the statement is refused. That no field of a listed
//! one is missing is held by a test, which reads the same trees as the binding writes them out.

use pg_raw_parse::{Node, make, nodes};

use super::build::{Builder, Say};

macro_rules! table {
    ($($node:ident: $($field:ident $(($($call:tt)*))?)*;)*) => {
        /// Writes a node out; what is not listed breaks the tree.
        pub(super) fn say(node: Node<'_>, out: &mut Builder) {
            match node {
                Node::None => out.nothing(),
                Node::NodeList(list) => list.say(out),
                Node::A_Const(constant) => constant.say(out),
                Node::GrantStmt(grant) => grant.say(out),
                $(Node::$node(node) => node.say(out),)*
                _ => out.broken(),
            }
        }

        $(impl Say for &nodes::$node {
            fn say(self, out: &mut Builder) {
                let at = out.begin(stringify!($node));
                $(out.field(stringify!($field), self.$field $(($($call)*))?);)*
                out.end(at);
            }
        })*

        /// Each node's name, its fields, and how the binding writes an empty one out.
        #[cfg(test)]
        fn listed() -> Vec<(&'static str, Vec<&'static str>, String)> {
            vec![$((
                stringify!($node),
                vec![$(stringify!($field)),*],
                format!("{:?}", &*make::owned(|memory| memory.make_node::<nodes::$node>())),
            )),*]
        }
    };
}

impl Say for &nodes::A_Const {
    fn say(self, out: &mut Builder) {
        let at = out.begin("A_Const");
        out.field("val", self.val());
        out.field("isnull", self.isnull);
        out.end(at);
        out.constant(self.location, at);
    }
}

impl Say for &nodes::GrantStmt {
    fn say(self, out: &mut Builder) {
        let at = out.begin("GrantStmt");
        out.field("is_grant", self.is_grant);
        out.field("targtype", self.targtype);
        out.field("objtype", self.objtype);
        // The binding has them as tables, which they need not be; in a copy they are what they are.
        make::owned(|memory| {
            let objects = memory.make_unique(self.objects()).uncast();
            out.field("objects", objects.as_ref());
            memory.make_node::<nodes::A_Star>()
        });
        out.field("privileges", self.privileges());
        out.field("grantees", self.grantees());
        out.field("grant_option", self.grant_option);
        out.field("grantor", self.grantor());
        out.field("behavior", self.behavior);
        out.end(at);
    }
}

table! {
    A_ArrayExpr: elements();
    A_Expr: kind name() lexpr() rexpr();
    A_Indices: is_slice lidx() uidx();
    A_Indirection: arg() indirection();
    A_Star:;
    AccessPriv: priv_name() cols();
    Alias: aliasname() colnames();
    AlterCollationStmt: collname();
    AlterDatabaseRefreshCollStmt: dbname();
    AlterDatabaseSetStmt: dbname() setstmt();
    AlterDatabaseStmt: dbname() options();
    AlterDefaultPrivilegesStmt: options() action();
    AlterDomainStmt: subtype type_name() name() def() behavior missing_ok;
    AlterEnumStmt: type_name() old_val() new_val() new_val_neighbor() new_val_is_after skip_if_new_val_exists;
    AlterEventTrigStmt: trigname() tgenabled;
    AlterExtensionContentsStmt: extname() action objtype object();
    AlterExtensionStmt: extname() options();
    AlterFdwStmt: fdwname() func_options() options();
    AlterForeignServerStmt: servername() version() options() has_version;
    AlterFunctionStmt: objtype func() actions();
    AlterObjectDependsStmt: object_type relation() object() extname() remove;
    AlterObjectSchemaStmt: object_type relation() object() newschema() missing_ok;
    AlterOperatorStmt: opername() options();
    AlterOpFamilyStmt: opfamilyname() amname() is_drop items();
    AlterOwnerStmt: object_type relation() object() newowner();
    AlterPolicyStmt: policy_name() table() roles() qual() with_check();
    AlterPublicationStmt: pubname() options() pubobjects() for_all_tables action;
    AlterRoleSetStmt: role() database() setstmt();
    AlterRoleStmt: role() options() action;
    AlterSeqStmt: sequence() options() for_identity missing_ok;
    AlterStatsStmt: defnames() stxstattarget() missing_ok;
    AlterSubscriptionStmt: kind subname() conninfo() publication() options();
    AlterSystemStmt: setstmt();
    AlterTableCmd: subtype name() num newowner() def() behavior missing_ok recurse;
    AlterTableMoveAllStmt: orig_tablespacename() objtype roles() new_tablespacename() nowait;
    AlterTableSpaceOptionsStmt: tablespacename() options() is_reset;
    AlterTableStmt: relation() cmds() objtype missing_ok;
    AlterTSConfigurationStmt: kind cfgname() tokentype() dicts() override_ replace missing_ok;
    AlterTSDictionaryStmt: dictname() options();
    AlterTypeStmt: type_name() options();
    AlterUserMappingStmt: user() servername() options();
    ATAlterConstraint: conname() alter_enforceability is_enforced alter_deferrability deferrable initdeferred
        alter_inheritability noinherit;
    BitString: bsval();
    Boolean: boolval;
    BooleanTest: arg() booltesttype;
    BoolExpr: boolop args();
    CallStmt: funccall() funcexpr() outargs();
    CaseExpr: casetype casecollid arg() args() defresult();
    CaseWhen: expr() result();
    CheckPointStmt:;
    ClosePortalStmt: portalname();
    ClusterStmt: relation() indexname() params();
    CoalesceExpr: coalescetype coalescecollid args();
    CollateClause: arg() collname();
    ColumnDef: colname() type_name() compression() inhcount is_local is_not_null is_from_type storage storage_name()
        raw_default() cooked_default() identity identity_sequence() generated coll_clause() coll_oid constraints()
        fdwoptions();
    ColumnRef: fields();
    CommentStmt: objtype object() comment();
    CommonTableExpr: ctename() aliascolnames() ctematerialized ctequery() search_clause() cycle_clause() cterecursive
        cterefcount ctecolnames();
    CompositeTypeStmt: typevar() coldeflist();
    Constraint: contype conname() deferrable initdeferred is_enforced skip_validation initially_valid is_no_inherit
        raw_expr() cooked_expr() generated_when generated_kind nulls_not_distinct keys() without_overlaps including()
        exclusions() options() indexname() indexspace() reset_default_tblspc access_method() where_clause() pktable()
        fk_attrs() pk_attrs() fk_with_period pk_with_period fk_matchtype fk_upd_action fk_del_action fk_del_set_cols()
        old_conpfeqop() old_pktable_oid;
    ConstraintsSetStmt: constraints() deferred;
    CopyStmt: relation() query() attlist() is_from is_program filename() options() where_clause();
    CreateAmStmt: amname() handler_name() amtype;
    CreateCastStmt: sourcetype() targettype() func() context inout;
    CreateConversionStmt: conversion_name() for_encoding_name() to_encoding_name() func_name() def;
    CreatedbStmt: dbname() options();
    CreateDomainStmt: domainname() type_name() coll_clause() constraints();
    CreateEnumStmt: type_name() vals();
    CreateEventTrigStmt: trigname() eventname() whenclause() funcname();
    CreateExtensionStmt: extname() if_not_exists options();
    CreateFdwStmt: fdwname() func_options() options();
    CreateForeignServerStmt: servername() servertype() version() fdwname() if_not_exists options();
    CreateFunctionStmt: is_procedure replace funcname() parameters() return_type() options() sql_body();
    CreateOpClassItem: itemtype name() number order_family() class_args() storedtype();
    CreateOpClassStmt: opclassname() opfamilyname() amname() datatype() items() is_default;
    CreateOpFamilyStmt: opfamilyname() amname();
    CreatePLangStmt: replace plname() plhandler() plinline() plvalidator() pltrusted;
    CreatePolicyStmt: policy_name() table() cmd_name() permissive roles() qual() with_check();
    CreatePublicationStmt: pubname() options() pubobjects() for_all_tables;
    CreateRangeStmt: type_name() params();
    CreateRoleStmt: stmt_type role() options();
    CreateSchemaStmt: schemaname() authrole() schema_elts() if_not_exists;
    CreateSeqStmt: sequence() options() owner_id for_identity if_not_exists;
    CreateStatsStmt: defnames() stat_types() exprs() relations() stxcomment() transformed if_not_exists;
    CreateStmt: relation() table_elts() inh_relations() partbound() partspec() of_typename() constraints()
        nnconstraints() options() oncommit tablespacename() access_method() if_not_exists;
    CreateSubscriptionStmt: subname() conninfo() publication() options();
    CreateTableAsStmt: query() into() objtype is_select_into if_not_exists;
    CreateTableSpaceStmt: tablespacename() owner() location() options();
    CreateTransformStmt: replace type_name() lang() fromsql() tosql();
    CreateTrigStmt: replace isconstraint trigname() relation() funcname() args() row timing events columns()
        when_clause() transition_rels() deferrable initdeferred constrrel();
    CreateUserMappingStmt: user() servername() if_not_exists options();
    CTECycleClause: cycle_col_list() cycle_mark_column() cycle_mark_value() cycle_mark_default() cycle_path_column()
        cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop;
    CTESearchClause: search_col_list() search_breadth_first search_seq_column();
    CurrentOfExpr: cvarno cursor_name() cursor_param;
    DeallocateStmt: name() isall;
    DeclareCursorStmt: portalname() options query();
    DefElem: defnamespace() defname() arg() defaction;
    DefineStmt: kind oldstyle defnames() args() definition() if_not_exists replace;
    DeleteStmt: relation() using_clause() where_clause() returning_clause() with_clause();
    DiscardStmt: target;
    DoStmt: args();
    DropdbStmt: dbname() missing_ok options();
    DropOwnedStmt: roles() behavior;
    DropRoleStmt: roles() missing_ok;
    DropStmt: objects() remove_type behavior missing_ok concurrent;
    DropSubscriptionStmt: subname() missing_ok behavior;
    DropTableSpaceStmt: tablespacename() missing_ok;
    DropUserMappingStmt: user() servername() missing_ok;
    ExecuteStmt: name() params();
    ExplainStmt: query() options();
    FetchStmt: direction how_many portalname() ismove;
    Float: fval();
    FuncCall: funcname() args() agg_order() agg_filter() over() agg_within_group agg_star agg_distinct func_variadic
        funcformat;
    FunctionParameter: name() arg_type() mode defexpr();
    GrantRoleStmt: granted_roles() grantee_roles() is_grant opt() grantor() behavior;
    GroupingFunc: args() refs() cols() agglevelsup;
    GroupingSet: kind content();
    ImportForeignSchemaStmt: server_name() remote_schema() local_schema() list_type table_list() options();
    IndexElem: name() expr() indexcolname() collation() opclass() opclassopts() ordering nulls_ordering;
    IndexStmt: idxname() relation() access_method() table_space() index_params() index_including_params() options()
        where_clause() exclude_op_names() idxcomment() index_oid old_number old_create_subid
        old_first_relfilelocator_subid unique nulls_not_distinct primary isconstraint iswithoutoverlaps deferrable
        initdeferred transformed concurrent if_not_exists reset_default_tblspc;
    InferClause: index_elems() where_clause() conname();
    InsertStmt: relation() cols() select_stmt() on_conflict_clause() returning_clause() with_clause() override_;
    Integer: ival;
    IntoClause: rel() col_names() access_method() options() on_commit table_space_name() view_query() skip_data;
    JoinExpr: jointype is_natural larg() rarg() using_clause() join_using_alias() quals() alias() rtindex;
    JsonAggConstructor: output() agg_filter() agg_order() over();
    JsonArgument: val() name();
    JsonArrayAgg: constructor() arg() absent_on_null;
    JsonArrayConstructor: exprs() output() absent_on_null;
    JsonArrayQueryConstructor: query() output() format() absent_on_null;
    JsonBehavior: btype expr() coerce;
    JsonFormat: format_type encoding;
    JsonFuncExpr: op column_name() context_item() pathspec() passing() output() on_empty() on_error() wrapper quotes;
    JsonIsPredicate: expr() format() item_type unique_keys;
    JsonKeyValue: key() value();
    JsonObjectAgg: constructor() arg() absent_on_null unique;
    JsonObjectConstructor: exprs() output() absent_on_null unique;
    JsonOutput: type_name() returning();
    JsonParseExpr: expr() output() unique_keys;
    JsonReturning: format() typid typmod;
    JsonScalarExpr: expr() output();
    JsonSerializeExpr: expr() output();
    JsonTable: context_item() pathspec() passing() columns() on_error() alias() lateral;
    JsonTableColumn: coltype name() type_name() pathspec() format() wrapper quotes columns() on_empty() on_error();
    JsonTablePathSpec: string() name();
    JsonValueExpr: raw_expr() formatted_expr() format();
    ListenStmt: conditionname();
    LoadStmt: filename();
    LockingClause: locked_rels() strength wait_policy;
    LockStmt: relations() mode nowait;
    MergeStmt: relation() source_relation() join_condition() merge_when_clauses() returning_clause() with_clause();
    MergeSupportFunc: msftype msfcollid;
    MergeWhenClause: match_kind command_type override_ condition() target_list() values();
    MinMaxExpr: minmaxtype minmaxcollid inputcollid op args();
    MultiAssignRef: source() colno ncolumns;
    NamedArgExpr: arg() name() argnumber;
    NotifyStmt: conditionname() payload();
    NullTest: arg() nulltesttype argisrow;
    ObjectWithArgs: objname() objargs() objfuncargs() args_unspecified;
    OnConflictClause: action infer() target_list() where_clause();
    ParamRef: number;
    PartitionBoundSpec: strategy is_default modulus remainder listdatums() lowerdatums() upperdatums();
    PartitionCmd: name() bound() concurrent;
    PartitionElem: name() expr() collation() opclass();
    PartitionSpec: strategy part_params();
    PrepareStmt: name() argtypes() query();
    PublicationObjSpec: pubobjtype name() pubtable();
    PublicationTable: relation() where_clause() columns();
    RangeFunction: lateral ordinality is_rowsfrom functions() alias() coldeflist();
    RangeSubselect: lateral subquery() alias();
    RangeTableFunc: lateral docexpr() rowexpr() namespaces() columns() alias();
    RangeTableFuncCol: colname() type_name() for_ordinality is_not_null colexpr() coldefexpr();
    RangeTableSample: relation() method() args() repeatable();
    RangeVar: catalogname() schemaname() relname() inh relpersistence alias();
    ReassignOwnedStmt: roles() newrole();
    RefreshMatViewStmt: concurrent skip_data relation();
    ReindexStmt: kind relation() name() params();
    RenameStmt: rename_type relation_type relation() object() subname() newname() behavior missing_ok;
    ReplicaIdentityStmt: identity_type name();
    ResTarget: name() indirection() val();
    ReturningClause: options() exprs();
    ReturningOption: option value();
    ReturnStmt: returnval();
    RoleSpec: roletype rolename();
    RowExpr: args() row_typeid row_format colnames();
    RuleStmt: relation() rulename() where_clause() event instead actions() replace;
    SecLabelStmt: objtype object() provider() label();
    SelectStmt: distinct_clause() into_clause() target_list() from_clause() where_clause() group_clause()
        group_distinct having_clause() window_clause() values_lists() sort_clause() limit_offset() limit_count()
        limit_option locking_clause() with_clause() op all larg() rarg();
    SetToDefault: type_id type_mod collation;
    SortBy: node() sortby_dir sortby_nulls use_op();
    SQLValueFunction: op type_ typmod;
    StatsElem: name() expr();
    String: sval();
    SubLink: sub_link_type sub_link_id testexpr() oper_name() subselect();
    TableLikeClause: relation() options relation_oid;
    TransactionStmt: kind options() savepoint_name() gid() chain;
    TriggerTransition: name() is_new is_table;
    TruncateStmt: relations() restart_seqs behavior;
    TypeCast: arg() type_name();
    TypeName: names() type_oid setof pct_type typmods() typemod array_bounds();
    UnlistenStmt: conditionname();
    UpdateStmt: relation() target_list() where_clause() from_clause() returning_clause() with_clause();
    VacuumRelation: relation() oid va_cols();
    VacuumStmt: options() rels() is_vacuumcmd;
    VariableSetStmt: kind name() args() is_local;
    VariableShowStmt: name();
    ViewStmt: view() aliases() query() replace options() with_check_option;
    WindowDef: name() refname() partition_clause() order_clause() frame_options start_offset() end_offset();
    WithClause: ctes() recursive;
    XmlExpr: op name() named_args() arg_names() args() xmloption indent type_ typmod;
    XmlSerialize: xmloption expr() type_name() indent;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields that say where in the text something stands, or only steer how statements are counted.
    const PLACES: [&str; 7] =
        ["location", "name_location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end", "jumble_args"];

    /// The names of fields in `Node { one: .., two: .., .. }`, whose values hold no other node; without places, which are numbers
    /// (a tablespace's `location` is a text).
    fn fields(written: &str) -> Vec<&str> {
        let inner = written.split_once(" { ").map_or("", |(_, inner)| inner);
        let fields = inner.split(", ").filter_map(|field| field.split_once(": "));
        fields.filter(|(name, value)| *value == "None" || !PLACES.contains(name)).map(|(name, _)| name).collect()
    }

    #[test]
    fn no_field_of_a_node_is_left_out_but_places() {
        let constant = format!("{:?}", &*make::owned(|memory| memory.make_node::<nodes::A_Const>()));
        let grant = format!("{:?}", &*make::owned(|memory| memory.make_node::<nodes::GrantStmt>()));
        let by_hand = vec![
            ("A_Const", vec!["val", "isnull"], constant),
            (
                "GrantStmt",
                vec![
                    "is_grant",
                    "targtype",
                    "objtype",
                    "objects",
                    "privileges",
                    "grantees",
                    "grant_option",
                    "grantor",
                    "behavior",
                ],
                grant,
            ),
        ];
        let mut seen = 0;
        for (node, listed, written) in listed().into_iter().chain(by_hand) {
            let there = fields(&written);
            assert_eq!(listed, there, "{node}: {written}");
            seen += there.len();
        }
        assert!(seen > 800, "only {seen} fields were compared");
    }
}
