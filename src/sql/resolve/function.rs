//! Function calls: held to the reviewed list, and written with their schema.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
};

use super::body;
use super::names::{name_of, parts_of, quoted_name};
use super::order::order_keys_plain;
use super::scope::{Columns, VisibleColumn};
use super::{Fail, Resolver, unsupported};
use crate::catalog::Function as Callable;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Use;
use crate::sql::ast::is_json_constructor;
use crate::sql::ast::{fragment, marker};
use crate::sql::form::Asked;
use crate::sql::form::context::Context;
use crate::sql::reviewed::definitions::{self, Sight};
use crate::sql::reviewed::pure::is_pure;
use crate::sql::reviewed::{builtins, settings};
use crate::sql::text::limits;
use crate::sql::witness;

/// The first server that has JSON_OBJECT as a constructor.
const JSON_CONSTRUCTORS: u32 = 160_000;

impl Resolver<'_> {
    /// A call in an expression.
    pub(super) fn function(&mut self, function: &mut Function, usage: Use) -> Result<(), Fail> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        if *uses_odbc_syntax || null_treatment.is_some() || !matches!(parameters, FunctionArguments::None) {
            return Err(unsupported("a function call of another database"));
        }
        if let FunctionArguments::Subquery(query) = args {
            let bare = within_group.is_empty() && filter.is_none() && over.is_none();
            if !bare || !is_array_constructor(name) {
                return Err(unsupported("a subquery as the arguments of a function"));
            }
            return self.query(query).map(drop);
        }
        let aggregate = match keyword(name, args) {
            None if marker::is_collation_for(name) => false,
            // An older server would look for a function of that name.
            None if is_json_constructor(name, args) => {
                if self.context.catalog.server_version() < JSON_CONSTRUCTORS {
                    return Err(self.unknown_function(&["json_object".to_owned()], arguments_of(args)));
                }
                false
            }
            Some(keyword) => {
                if !builtins::is_grammar_function(&keyword) {
                    return Err(not_open(&keyword));
                }
                if keyword == "nullif"
                    && let [
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
                    ] = arguments_of(args)
                {
                    self.implied("NULLIF", "=", left, right)?;
                }
                over.is_none() && builtins::is_grammar_aggregate(&keyword)
            }
            None => {
                if matches!(args, FunctionArguments::None) {
                    return Err(unsupported("a function without parentheses"));
                }
                let parts = self.function_name(name, arguments_of(args))?;
                over.is_none() && parts.last().is_some_and(|name| builtins::is_aggregate(name))
            }
        };
        let outer = self.in_aggregate;
        self.in_aggregate |= aggregate;
        let around = self.begin_call();
        let inner = self.function_inside(args, within_group, filter.as_deref_mut(), usage);
        self.in_aggregate = outer;
        inner?;
        self.end_call(around, aggregate, over.is_some(), name);
        match over {
            None => Ok(()),
            Some(window) => self.window(window),
        }
    }

    fn function_inside(
        &mut self,
        args: &mut FunctionArguments,
        within_group: &mut [sqlparser::ast::OrderByExpr],
        filter: Option<&mut Expr>,
        usage: Use,
    ) -> Result<(), Fail> {
        if let FunctionArguments::List(FunctionArgumentList { duplicate_treatment: _, args, clauses }) = args {
            for arg in args {
                self.function_argument(arg, usage)?;
            }
            for clause in clauses {
                match clause {
                    FunctionArgumentClause::OrderBy(keys) => {
                        for key in order_keys_plain(keys)? {
                            self.expr(&mut key.expr, Use::Order)?;
                        }
                    }
                    FunctionArgumentClause::JsonNullClause(_) => {}
                    FunctionArgumentClause::JsonReturningClause(clause) => self.data_type(&clause.data_type)?,
                    FunctionArgumentClause::IgnoreOrRespectNulls(_)
                    | FunctionArgumentClause::Where(_)
                    | FunctionArgumentClause::Limit(_)
                    | FunctionArgumentClause::OnOverflow(_)
                    | FunctionArgumentClause::Having(_)
                    | FunctionArgumentClause::Separator(_) => {
                        return Err(unsupported("a clause within a function's arguments"));
                    }
                }
            }
        }
        for key in order_keys_plain(within_group)? {
            self.expr(&mut key.expr, Use::Order)?;
        }
        match filter {
            None => Ok(()),
            Some(filter) => self.expr(filter, Use::Filter),
        }
    }

    /// One argument.
    pub(super) fn function_argument(&mut self, arg: &mut FunctionArg, usage: Use) -> Result<(), Fail> {
        match arg {
            FunctionArg::Unnamed(arg) | FunctionArg::Named { name: _, arg, operator: _ } => match arg {
                FunctionArgExpr::Expr(expr) => self.expr(expr, usage),
                FunctionArgExpr::QualifiedWildcard(name) => self.row_star(name),
                // Only `count(*)` has it; PostgreSQL refuses it elsewhere.
                FunctionArgExpr::Wildcard => Ok(()),
                FunctionArgExpr::WildcardWithOptions(_) => Err(unsupported("a star with options")),
            },
            FunctionArg::ExprNamed {
                name,
                arg: FunctionArgExpr::Expr(expr),
                operator: FunctionArgOperator::Colon | FunctionArgOperator::Value,
            } => {
                self.expr(name, usage)?;
                self.expr(expr, usage)
            }
            // sqlparser reads the name of `name => value` as an expression; it is no column.
            FunctionArg::ExprNamed { name: Expr::Identifier(_), arg: FunctionArgExpr::Expr(expr), operator: _ } => {
                self.expr(expr, usage)
            }
            FunctionArg::ExprNamed { .. } => Err(unsupported("an argument that is named by an expression")),
        }
    }

    /// A call that gives a definition back becomes an expression that takes out of it what it may give away.
    pub(super) fn definition(&mut self, expr: &mut Expr) -> Result<(), Fail> {
        let Expr::Function(function) = &*expr else { return Ok(()) };
        let parts = parts_of(&function.name)?;
        let [schema, name] = parts.as_slice() else { return Ok(()) };
        if schema != "pg_catalog" || !definitions::defines(name) {
            return Ok(());
        }
        let arguments: Option<Vec<Expr>> = arguments_of(&function.args)
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Prefixed { .. })) => None,
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(Expr::Nested(Box::new(expr.clone()))),
                _ => None,
            })
            .collect();
        let plain = function.over.is_none() && function.filter.is_none() && function.within_group.is_empty();
        let sight = self.sight.get_or_insert_with(|| Sight::of(self.context));
        let made = match &arguments {
            Some(arguments) if plain && (1..=3).contains(&arguments.len()) => {
                definitions::call(name, arguments.len(), sight)
            }
            _ => None,
        };
        let (Some((text, counted)), Some(arguments)) = (made, arguments) else {
            return Err(unsupported(&format!("`{name}` with these arguments")));
        };
        let mut made = fragment::own(fragment::parse_expression(&text)?, self.context.catalog);
        fragment::fill(&mut made, &arguments)?;
        self.meant.extend(&witness::facts_of(&format!("SELECT {counted}"))?);
        limits::added(self.meant.added())?;
        *expr = made;
        Ok(())
    }

    /// `current_setting` and `set_config` of a name that is no plain string: the database looks at the name. One with a dot, which may
    /// be an application's or the proxy's own, has no value, and none is set that may not be.
    pub(super) fn setting_of_value(&mut self, expr: &mut Expr) -> Result<(), Fail> {
        let Expr::Function(function) = expr else { return Ok(()) };
        let full = parts_of(&function.name)?;
        let open = match full.as_slice() {
            [schema, name] if schema == "pg_catalog" && name == "current_setting" => {
                "pg_catalog.strpos(a.n, '.') OPERATOR(pg_catalog.=) 0".to_owned()
            }
            [schema, name] if schema == "pg_catalog" && name == "set_config" => {
                let names: Vec<&str> = settings::open_names(self.context.policies).collect();
                format!("a.n OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.text[])", names.join(","))
            }
            _ => return Ok(()),
        };
        let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
        if plain_string(list.args.first(), self.context.constants).is_some() {
            return Ok(());
        }
        let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = list.args.first_mut() else {
            return Err(unsupported("a setting's name with these arguments"));
        };
        let text = format!("(SELECT CASE WHEN {open} THEN a.n END FROM (SELECT $1000000::pg_catalog.text AS n) AS a)");
        let mut made = fragment::parse_expression(&text)?;
        fragment::fill(&mut made, &[Expr::Nested(Box::new(argument.clone()))])?;
        *argument = made;
        self.meant.extend(&witness::facts_of(&format!("SELECT {text}"))?);
        limits::added(self.meant.added())
    }

    /// Holds a function's name to the reviewed list and writes it with its schema; gives the full name.
    pub(super) fn function_name(&mut self, name: &mut ObjectName, args: &[FunctionArg]) -> Result<Vec<String>, Fail> {
        self.routine_name(name, args, "function")
    }

    /// The same of a routine of that kind, as PostgreSQL calls it where there is none.
    pub(super) fn routine_name(
        &mut self,
        name: &mut ObjectName,
        args: &[FunctionArg],
        kind: &str,
    ) -> Result<Vec<String>, Fail> {
        let parts = parts_of(name)?;
        self.seen.add_function(parts.clone());
        let full = match parts.as_slice() {
            [function] if builtins::is_reviewed(function) => vec!["pg_catalog".to_owned(), function.clone()],
            [schema, function] if schema == "pg_catalog" && builtins::is_reviewed(function) => parts.clone(),
            [function] if is_pure("pg_catalog", function, self.context.catalog) => {
                vec!["pg_catalog".to_owned(), function.clone()]
            }
            [schema, function] if is_pure(schema, function, self.context.catalog) => parts.clone(),
            // Whom it ends or interrupts the database says; there is nothing to be learnt by it.
            [function] if is_signal(function) && self.context.policies.hides_nothing() => {
                vec!["pg_catalog".to_owned(), function.clone()]
            }
            [schema, function]
                if schema == "pg_catalog" && is_signal(function) && self.context.policies.hides_nothing() =>
            {
                parts.clone()
            }
            // Of a sequence; what it changes, nextval changes as well.
            [function] if function == "setval" && self.may_set_sequences() => {
                vec!["pg_catalog".to_owned(), function.clone()]
            }
            [schema, function] if schema == "pg_catalog" && function == "setval" && self.may_set_sequences() => {
                parts.clone()
            }
            // JDBC asks for primary keys with it; it takes an array apart.
            [schema, function] if schema == "information_schema" && function == "_pg_expandarray" => parts.clone(),
            [function] => self.own_function(None, function, args, kind)?,
            [schema, function] => self.own_function(Some(schema), function, args, kind)?,
            _ => return Err(unsupported("a function name with a database")),
        };
        if full.first().is_some_and(|schema| schema == "pg_catalog")
            && let Some(function) = full.last()
        {
            check_arguments(function, args, self.context)?;
            if function.starts_with("pg_advisory_") && !function.contains("unlock") {
                self.blocks.get_or_insert_with(|| function.clone());
            }
            if matches!(function.as_str(), "enum_first" | "enum_last" | "enum_range") {
                let sight = self.sight.get_or_insert_with(|| Sight::of(self.context));
                let catalog = self.context.catalog;
                let open = |arg: &FunctionArg| {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { data_type, .. })) = arg else {
                        return false;
                    };
                    let written = data_type.to_string();
                    let name = written.rsplit('.').next().unwrap_or_default().trim_matches('"');
                    let mut called = catalog.types_called(name).peekable();
                    called.peek().is_some() && called.all(|oid| sight.shows_labels_of(oid))
                };
                if !sight.shows_every_label() && !args.iter().all(open) {
                    return Err(not_open(function));
                }
            }
        }
        *name = quoted_name(full.iter().map(String::as_str));
        self.meant.add_function(full.clone());
        Ok(full)
    }

    /// Whether a definition may hold this call as it is written: nothing of it is rewritten there, and it runs when nobody looks at it.
    pub(super) fn may_be_defined_with(&self, full: &[String], args: &[FunctionArg]) -> Result<(), Fail> {
        let [schema, function] = full else { return Ok(()) };
        if schema != "pg_catalog" {
            return Ok(());
        }
        let held = match function.as_str() {
            // What follows from it would be unknown.
            "set_config" => false,
            "current_setting" => plain_string(args.first(), self.context.constants).is_some(),
            other => !definitions::defines(other) || self.context.policies.hides_nothing(),
        };
        if held { Ok(()) } else { Err(not_open(function)) }
    }

    /// A function that is not built in: only where the policy names it, or what stands in it can be judged.
    fn own_function(
        &mut self,
        schema: Option<&String>,
        function: &str,
        args: &[FunctionArg],
        kind: &str,
    ) -> Result<Vec<String>, Fail> {
        let schemas: Vec<&str> = match schema {
            Some(schema) => vec![schema.as_str()],
            None => self.context.search_path.iter().map(String::as_str).collect(),
        };
        let known = self.context.catalog.functions(function);
        let found = schemas.into_iter().find(|schema| {
            known.iter().any(|candidate| candidate.schema == *schema)
                || self.context.policies.allows_function(schema, function)
        });
        match found {
            Some(schema)
                if self.context.policies.allows_function(schema, function)
                    || is_pure(schema, function, self.context.catalog) =>
            {
                Ok(vec![schema.to_owned(), function.to_owned()])
            }
            Some(schema) => match body::touched(schema, function, self.context) {
                Some(touched) => {
                    let full = vec![schema.to_owned(), function.to_owned()];
                    self.runs(format!("function `{}`", full.join(".")), touched);
                    Ok(full)
                }
                None => Err(not_open(function)),
            },
            None if known.is_empty() && !builtins::is_known(function) => {
                let parts: Vec<String> = schema.cloned().into_iter().chain([function.to_owned()]).collect();
                Err(self.unknown_routine(&parts, args, kind))
            }
            None => Err(not_open(function)),
        }
    }

    /// Whether a sequence may be set: it is numbered anew for everybody, which whoever changes the structure may do, and who sees all.
    fn may_set_sequences(&self) -> bool {
        let context = self.context;
        context.policies.hides_nothing() || context.policies.role_of(context.login).is_some_and(|role| role.ddl)
    }

    /// A function that the walk itself knows by another spelling.
    pub(super) fn saw_function(&mut self, parts: &[String]) {
        self.seen.add_function(parts.to_vec());
        self.meant.add_function(parts.to_vec());
    }

    /// `x.name` and `(x).name` call the function `name` where `x` is a row without such a column.
    pub(super) fn check_field(&self, name: &str) -> Result<(), Fail> {
        let callable = self.context.catalog.functions(name).iter().any(|function| {
            let reviewed = function.schema == "pg_catalog" && builtins::is_reviewed(name);
            function.arguments.len() == 1
                && !reviewed
                && !is_pure(&function.schema, name, self.context.catalog)
                && !self.context.policies.allows_function(&function.schema, name)
                && !body::computes(&function.schema, name, self.context)
        });
        // What is looked at or rewritten where it is called is not called in this way.
        if callable || is_guarded(name) { Err(not_open(name)) } else { Ok(()) }
    }

    /// Column names of a function in FROM, before its alias.
    pub(super) fn function_columns(&self, full: &[String]) -> Columns {
        let [schema, name] = full else { return None };
        let mut overloads =
            self.context.catalog.functions(name).iter().filter(|function| function.schema == *schema).peekable();
        if overloads.peek().is_none() {
            // A catalog that was not read from a server knows no functions.
            return builtins::scalar_set_function(name).then(|| vec![VisibleColumn::computed(name.clone())]);
        }
        let mut columns: Option<Vec<String>> = None;
        for function in overloads {
            let these = if !function.columns.is_empty() {
                function.columns.clone()
            } else if self.context.catalog.is_row_type(function.returns) || returns_as_given(function) {
                return None;
            } else {
                vec![name.clone()]
            };
            match &columns {
                None => columns = Some(these),
                Some(have) if *have == these => {}
                Some(_) => return None,
            }
        }
        columns.map(|columns| columns.into_iter().map(VisibleColumn::computed).collect())
    }
}

/// Whether what it returns is of the type that it is given, which may be a row: `json_populate_record(NULL::t, ..)`. The types are
/// `anyelement` and `anycompatible` (`catalog/pg_type.dat`).
fn returns_as_given(function: &Callable) -> bool {
    [2283, 5077].contains(&function.returns) && function.arguments.contains(&function.returns)
}

/// Makes a plain call of what sqlparser reads as a form of its own though PostgreSQL sees a call: `ceil(x)`,
/// `floor(x)`, `substring(x, 1, 2)`.
pub(super) fn plain_call(expr: &mut Expr) {
    let (name, args): (&str, Vec<Expr>) = match expr {
        Expr::Ceil { expr: inner, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            ("ceil", vec![inner.as_ref().clone()])
        }
        Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            ("floor", vec![inner.as_ref().clone()])
        }
        Expr::Substring { expr: inner, substring_from, substring_for, special: true, shorthand } => (
            if *shorthand { "substr" } else { "substring" },
            std::iter::once(inner.as_ref().clone())
                .chain(substring_from.as_deref().cloned())
                .chain(substring_for.as_deref().cloned())
                .collect(),
        ),
        _ => return,
    };
    *expr = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
}

/// CURRENT_USER and its kin, written without quotes: values, not columns.
pub(super) fn is_value_keyword(ident: &Ident) -> bool {
    ident.quote_style.is_none() && builtins::is_value_keyword(&name_of(ident))
}

/// The name of a call that the grammar itself knows: one part, not quoted. `current_schema()` is a plain call.
fn keyword(name: &ObjectName, args: &FunctionArguments) -> Option<String> {
    let called = matches!(args, FunctionArguments::List(_));
    match name.0.as_slice() {
        [part] => part.as_ident().filter(|ident| ident.quote_style.is_none()).map(name_of),
        _ => None,
    }
    .filter(|name| builtins::is_grammar_function(name) || builtins::is_value_keyword(name))
    .filter(|name| !(called && name == "current_schema"))
}

/// `ARRAY(SELECT ...)`: parsed as a call, and the only one of that form that is read.
fn is_array_constructor(name: &ObjectName) -> bool {
    match name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|ident| ident.quote_style.is_none() && name_of(ident) == "array"),
        _ => false,
    }
}

fn arguments_of(args: &FunctionArguments) -> &[FunctionArg] {
    match args {
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    }
}

/// Functions that are harmless for some arguments only: settings, by their names as plain strings.
fn check_arguments(function: &str, args: &[FunctionArg], context: &Context<'_>) -> Result<(), Fail> {
    let holds = match function {
        // Of a name that is none, see `setting_of_value`.
        "current_setting" => {
            plain_string(args.first(), context.constants).is_none_or(|name| settings::may_read(&name, context.policies))
        }
        "set_config" => plain_string(args.first(), context.constants).is_none_or(|name| {
            settings::is_open(&name, context.policies) || name == "client_encoding" && context.policies.hides_nothing()
        }),
        // They read a text as a value of the type that is named: of one that a cast to it may not name either, nothing is known.
        "pg_input_is_valid" | "pg_input_error_info" => {
            // Without quotes and escapes, a name is what its words are in lower case.
            let plain = |c: char| c.is_ascii_alphanumeric() || " _.,()[]".contains(c);
            return match plain_string(args.get(1), context.constants).filter(|name| name.chars().all(plain)) {
                Some(name) => super::implied::named_type(&name, context),
                None => Err(not_open(function).hint("name the type as a plain string, without quotes")),
            };
        }
        _ => return Ok(()),
    };
    if holds {
        return Ok(());
    }
    Err(Refusal::new(
        Stage::Resolve,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!(
            "function `{function}` is open for the names of some settings of PostgreSQL's, written as plain strings"
        ),
    ))
}

/// Functions whose arguments are looked at, or whose answers are rewritten.
pub(super) fn is_guarded(function: &str) -> bool {
    definitions::defines(function)
        || matches!(
            function,
            "current_setting"
                | "set_config"
                | "pg_input_is_valid"
                | "pg_input_error_info"
                | "enum_first"
                | "enum_last"
                | "enum_range"
                | "setval"
        )
}

/// What ends or interrupts another session.
fn is_signal(function: &str) -> bool {
    matches!(function, "pg_terminate_backend" | "pg_cancel_backend")
}

fn plain_string(arg: Option<&FunctionArg>, constants: Asked<'_>) -> Option<String> {
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) = arg else { return None };
    constants.text(&value.value).map(str::to_ascii_lowercase)
}

fn not_open(function: &str) -> Fail {
    Refusal::new(
        Stage::Resolve,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("function `{function}` is not open to governed sessions"),
    )
    .detail("it is not among the reviewed built-in functions, and no policy names it")
    .hint("a policy may open it: `[functions] allow = [\"schema.name\"]`")
}

/// 42501: an operator or a type's cast or check calls a function that is not open.
pub(super) fn calls_unreviewed(what: &str) -> Fail {
    Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, format!("{what} is not open to governed sessions"))
        .detail("it calls a function of the database's own, and what that reads is not known")
        .hint("a policy may open an operator's function: `[functions] allow = [\"schema.name\"]`")
}
