//! What is defined beside relations: statistics, domains, aggregates, operators, casts, collations, text search, row security.
//!
//! Their names are no part of any decision. They may change what an expression calls, and so they are carried out only where no
//! policy hides anything: then there is nothing that somebody could come to see by them. What binds code that this does not know
//! (functions in C, foreign data, event triggers, languages, subscriptions), and who may do what, stays with unrestricted roles.

use pg_raw_parse::Node;
use pg_raw_parse::nodes::{
    AlterDomainStmt, AlterTableCmd, AlterTableType, CreateCastStmt, CreateOpClassItem, CreateOpClassStmt,
    CreatePolicyStmt, CreateStatsStmt, DefineStmt, ObjectType, ObjectWithArgs, TypeName,
};

use super::table::Found;
use super::{Define, names};
use crate::catalog::Oid;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Change;
use crate::sql::resolve::{Fail, unsupported};

/// `internal`: only the server itself calls a function that takes one.
const INTERNAL: Oid = 2281;

/// Types from this number on are the database's own.
const FIRST_OWN: Oid = 16384;

/// Options of CREATE OPERATOR and CREATE AGGREGATE that name a function which runs on values of a statement.
const CALLED: [&str; 8] =
    ["procedure", "function", "sfunc", "finalfunc", "combinefunc", "msfunc", "minvfunc", "mfinalfunc"];

impl Define<'_, '_> {
    /// A statement about what is no relation.
    pub(super) fn beside(&mut self, node: Node<'_>) -> Result<(), Fail> {
        match node {
            Node::CreateStatsStmt(create) => return self.statistics(create),
            Node::AlterStatsStmt(_) => return Ok(()),
            Node::AlterDomainStmt(alter) => return self.alter_domain(alter),
            _ => {}
        }
        if !self.resolver.context.policies.hides_nothing() {
            return Err(self.ddl.refused_kind());
        }
        if let Some(judged) = self.of_roles(node) {
            return judged;
        }
        match node {
            Node::DefineStmt(define) => self.defined(define),
            Node::CreateCastStmt(cast) => self.cast(cast),
            Node::CreateOpClassStmt(class) => self.operator_class(class),
            Node::AlterOpFamilyStmt(alter) => alter.items().iter().try_for_each(|item| self.class_item(item, false)),
            Node::CreatePolicyStmt(policy) => self.row_security(policy),
            Node::AlterPolicyStmt(policy) => {
                let id = self.existing(policy.table())?;
                self.change(id, Change::Alter);
                self.scalar(policy.qual(), &mut Vec::new())?;
                self.scalar(policy.with_check(), &mut Vec::new())
            }
            Node::AlterObjectDependsStmt(alter) if alter.relation().is_none() => Ok(()),
            // A function would come to be called wherever a value of the type is sent, received or gathered.
            Node::AlterTypeStmt(alter) if alter.options().iter().all(|option| option.defname() == Some("storage")) => {
                Ok(())
            }
            // What belongs to an extension is taken for reviewed, so that nothing of one's own may be added to one.
            Node::AlterTypeStmt(_) | Node::AlterExtensionContentsStmt(_) => Err(self.ddl.refused_kind()),
            // Names, options and constants alone.
            Node::CreateOpFamilyStmt(_)
            | Node::CreateConversionStmt(_)
            | Node::AlterCollationStmt(_)
            | Node::AlterDefaultPrivilegesStmt(_)
            | Node::AlterExtensionStmt(_)
            | Node::AlterFunctionStmt(_)
            | Node::AlterOperatorStmt(_)
            | Node::AlterTSConfigurationStmt(_)
            | Node::AlterTSDictionaryStmt(_) => Ok(()),
            // The parser lets no other kind through.
            _ => Err(self.ddl.refused_kind()),
        }
    }

    /// CREATE STATISTICS: how values of columns go together is gathered from every row.
    fn statistics(&mut self, create: &CreateStatsStmt) -> Result<(), Fail> {
        let (Some(relation), 1) = (create.relations().get(0), create.relations().len()) else {
            return Err(unsupported("statistics of several relations"));
        };
        let id = self.existing(Some(relation))?;
        self.change(id, Change::Alter);
        let mut looked = Vec::new();
        for expr in create.exprs() {
            let Node::StatsElem(element) = expr else { return Err(unsupported("these statistics")) };
            looked.extend(element.name().map(str::to_owned));
            self.scalar(element.expr(), &mut looked)?;
        }
        self.looks(id, &[], looked).map_err(|refusal| {
            // Here PostgreSQL names the column alone.
            let alone = refusal.message.strip_prefix("column `").and_then(|rest| rest.split_once("` of relation "));
            match alone.map(|(column, _)| format!("column \"{column}\" does not exist")) {
                Some(words) => refusal.told(words),
                None => refusal,
            }
        })
    }

    /// ALTER DOMAIN: what tests the values that columns hold says of them whether they pass.
    fn alter_domain(&mut self, alter: &AlterDomainStmt) -> Result<(), Fail> {
        let open = self.resolver.context.policies.hides_nothing();
        match u8::try_from(alter.subtype) {
            // SET and DROP DEFAULT; DROP NOT NULL; DROP CONSTRAINT.
            Ok(b'T') => self.constant(alter.def()),
            Ok(b'N' | b'X') => Ok(()),
            // SET NOT NULL and VALIDATE CONSTRAINT; ADD CONSTRAINT.
            Ok(b'O' | b'V') if open => Ok(()),
            Ok(b'C') if open => match alter.def() {
                Node::Constraint(constraint) => self.constraint(constraint, &mut Found::default()),
                _ => Err(Refusal::internal(Stage::Resolve)),
            },
            _ => Err(unsupported("testing the values of a domain").hint("use an unrestricted role")),
        }
    }

    /// CREATE AGGREGATE, OPERATOR, COLLATION, TEXT SEARCH .., and TYPE without a body.
    fn defined(&self, define: &DefineStmt) -> Result<(), Fail> {
        match define.kind {
            ObjectType::OBJECT_AGGREGATE | ObjectType::OBJECT_OPERATOR => {}
            ObjectType::OBJECT_COLLATION
            | ObjectType::OBJECT_TSCONFIGURATION
            | ObjectType::OBJECT_TSDICTIONARY
            | ObjectType::OBJECT_TSPARSER
            | ObjectType::OBJECT_TSTEMPLATE => return Ok(()),
            ObjectType::OBJECT_TYPE if define.definition().is_empty() => return Ok(()),
            _ => return Err(self.ddl.refused_kind()),
        }
        for option in define.definition() {
            if !CALLED.contains(&option.defname().unwrap_or_default()) {
                continue;
            }
            let parts = match option.arg() {
                Node::TypeName(name) => name.names().iter().map(|part| names::word(part.sval())).collect(),
                Node::NodeList(list) => list.iter().map(names::string).collect::<Result<Vec<_>, _>>()?,
                Node::String(name) => vec![names::word(name.sval())],
                _ => return Err(self.ddl.refused_kind()),
            };
            self.called_by_it(&parts)?;
        }
        Ok(())
    }

    fn cast(&self, cast: &CreateCastStmt) -> Result<(), Fail> {
        let Some(function) = cast.func() else { return Ok(()) };
        self.object_called(function)?;
        if self.is_own_type(cast.sourcetype())? || self.is_own_type(cast.targettype())? {
            return Ok(());
        }
        self.of_the_system(function)
    }

    fn operator_class(&self, class: &CreateOpClassStmt) -> Result<(), Fail> {
        let own = self.is_own_type(class.datatype())?;
        class.items().iter().try_for_each(|item| self.class_item(item, own))
    }

    /// Whether every type of that name is one of the database's own.
    fn is_own_type(&self, name: Option<&TypeName>) -> Result<bool, Fail> {
        let Some(name) = name else { return Ok(false) };
        let last = name.names().iter().next_back().and_then(|part| part.sval()).unwrap_or_default();
        let mut called = self.resolver.context.catalog.types_called(last).peekable();
        Ok(called.peek().is_some() && called.all(|oid| oid >= FIRST_OWN))
    }

    /// What turns values of the system's types into each other, orders or hashes them may run in any statement: no function of the
    /// database's own comes among it, which would close every statement.
    fn of_the_system(&self, object: &ObjectWithArgs) -> Result<(), Fail> {
        let parts: Vec<String> = object.objname().iter().map(names::string).collect::<Result<_, _>>()?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema), name),
            _ => return Err(unsupported("a function name with a database")),
        };
        let mut overloads = self.resolver.context.catalog.functions(name).iter().peekable();
        let known = overloads.peek().is_some() && overloads.all(|function| function.schema == "pg_catalog");
        if known && schema.is_none_or(|schema| schema == "pg_catalog") {
            return Ok(());
        }
        let message = format!("function `{name}` may not stand behind types of the system's");
        Err(Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail("any statement over values of these types could come to call it")
            .hint("use an unrestricted role, and open the function by the policy"))
    }

    fn class_item(&self, item: &CreateOpClassItem, own_type: bool) -> Result<(), Fail> {
        // OPCLASS_ITEM_FUNCTION (`nodes/parsenodes.h`); the others name operators and types.
        match item.name() {
            Some(name) if item.itemtype == 2 => {
                self.object_called(name)?;
                if own_type { Ok(()) } else { self.of_the_system(name) }
            }
            Some(_) | None => Ok(()),
        }
    }

    fn object_called(&self, object: &ObjectWithArgs) -> Result<(), Fail> {
        let parts: Vec<String> = object.objname().iter().map(names::string).collect::<Result<_, _>>()?;
        self.called_by_it(&parts)
    }

    /// A function that an operator, a cast or an aggregate calls: one that may be called, or that only the server calls. One of the
    /// database's own closes what is made of it, as it is closed itself.
    pub(super) fn called_by_it(&self, parts: &[String]) -> Result<(), Fail> {
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => return Err(unsupported("a function name with a database")),
        };
        let of_the_system = |function: &&crate::catalog::Function| {
            function.schema == "pg_catalog" && schema.is_none_or(|schema| schema == "pg_catalog")
        };
        let mut overloads = self.resolver.context.catalog.functions(name).iter().filter(of_the_system).peekable();
        let internal = |function: &crate::catalog::Function| function.arguments.contains(&INTERNAL);
        if overloads.peek().is_none() || self.is_open_builtin(name) || overloads.all(internal) {
            return Ok(());
        }
        let message = format!("function `{name}` is not open to governed sessions");
        Err(Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail("what is made of it would call it")
            .hint("use an unrestricted role"))
    }

    fn row_security(&mut self, policy: &CreatePolicyStmt) -> Result<(), Fail> {
        let id = self.existing(policy.table())?;
        self.change(id, Change::Alter);
        self.scalar(policy.qual(), &mut Vec::new())?;
        self.scalar(policy.with_check(), &mut Vec::new())
    }

    /// Whether objects of this kind are renamed, moved, dropped and granted by name alone where nothing is hidden.
    pub(super) fn is_plain(&self, kind: ObjectType::Type) -> bool {
        use ObjectType as O;
        let plain = matches!(
            kind,
            O::OBJECT_AGGREGATE
                | O::OBJECT_CAST
                | O::OBJECT_COLLATION
                | O::OBJECT_CONVERSION
                | O::OBJECT_DOMAIN
                | O::OBJECT_DOMCONSTRAINT
                | O::OBJECT_EXTENSION
                | O::OBJECT_FUNCTION
                | O::OBJECT_OPCLASS
                | O::OBJECT_OPERATOR
                | O::OBJECT_OPFAMILY
                | O::OBJECT_POLICY
                | O::OBJECT_PROCEDURE
                | O::OBJECT_ROUTINE
                | O::OBJECT_RULE
                | O::OBJECT_SCHEMA
                | O::OBJECT_STATISTIC_EXT
                | O::OBJECT_TABCONSTRAINT
                | O::OBJECT_TRANSFORM
                | O::OBJECT_TRIGGER
                | O::OBJECT_TSCONFIGURATION
                | O::OBJECT_TSDICTIONARY
                | O::OBJECT_TSPARSER
                | O::OBJECT_TSTEMPLATE
                | O::OBJECT_TYPE
        );
        plain && self.resolver.context.policies.hides_nothing()
    }

    /// Commands of ALTER TABLE that say which code runs, who sees rows and where a table is kept: where nothing is hidden.
    pub(super) fn open_command(&mut self, command: &AlterTableCmd) -> Option<Result<(), Fail>> {
        use AlterTableType as T;
        if !self.resolver.context.policies.hides_nothing() {
            return None;
        }
        match command.subtype {
            subtype if which_code_runs(subtype) => Some(Ok(())),
            T::AT_SetRelOptions
            | T::AT_ResetRelOptions
            | T::AT_ReplaceRelOptions
            | T::AT_SetAccessMethod
            | T::AT_SetTableSpace
            | T::AT_ChangeOwner
            | T::AT_DropOf => Some(Ok(())),
            T::AT_AddOf => match command.def() {
                Node::TypeName(name) => Some(self.type_name(Some(name))),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether a command of ALTER TABLE says which triggers and rules run, who sees rows, or what replication sends.
pub(super) fn which_code_runs(subtype: AlterTableType::Type) -> bool {
    use AlterTableType as T;
    matches!(
        subtype,
        T::AT_EnableTrig
            | T::AT_EnableAlwaysTrig
            | T::AT_EnableReplicaTrig
            | T::AT_DisableTrig
            | T::AT_EnableTrigAll
            | T::AT_DisableTrigAll
            | T::AT_EnableTrigUser
            | T::AT_DisableTrigUser
            | T::AT_EnableRule
            | T::AT_EnableAlwaysRule
            | T::AT_EnableReplicaRule
            | T::AT_DisableRule
            | T::AT_EnableRowSecurity
            | T::AT_DisableRowSecurity
            | T::AT_ForceRowSecurity
            | T::AT_NoForceRowSecurity
            | T::AT_ReplicaIdentity
    )
}
