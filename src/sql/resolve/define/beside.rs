//! What is defined beside relations: statistics, domains, aggregates, operators, casts, collations, text search, row security.
//!
//! Their names are no part of any decision. They may change what an expression calls, and so they are carried out only where no
//! policy hides anything: then there is nothing that somebody could come to see by them. What binds code that this does not know
//! (functions in C, foreign data, event triggers, languages, subscriptions), and who may do what, stays with unrestricted roles.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, AlterTableCmd, AlterTableType, CreateCastStmt, CreateOpClassItem, CreateOpClassStmt,
    CreatePolicyStmt, CreateStatsStmt, DefElem, DefineStmt, Node, ObjectType, ObjectWithArgs, TypeName,
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
    pub(super) fn beside(&mut self, node: &NodeEnum) -> Result<(), Fail> {
        match node {
            NodeEnum::CreateStatsStmt(create) => return self.statistics(create),
            NodeEnum::AlterStatsStmt(_) => return Ok(()),
            NodeEnum::AlterDomainStmt(alter) => return self.alter_domain(alter),
            _ => {}
        }
        if !self.resolver.context.policies.hides_nothing() {
            return Err(self.ddl.refused_kind());
        }
        match node {
            NodeEnum::DefineStmt(define) => self.defined(define),
            NodeEnum::CreateCastStmt(cast) => self.cast(cast),
            NodeEnum::CreateOpClassStmt(class) => self.operator_class(class),
            NodeEnum::AlterOpFamilyStmt(alter) => alter.items.iter().try_for_each(|item| self.class_item(item, false)),
            NodeEnum::CreatePolicyStmt(policy) => self.row_security(policy),
            NodeEnum::AlterPolicyStmt(policy) => {
                let id = self.existing(policy.table.as_ref())?;
                self.change(id, Change::Alter);
                self.scalar(policy.qual.as_deref(), &mut Vec::new())?;
                self.scalar(policy.with_check.as_deref(), &mut Vec::new())
            }
            NodeEnum::AlterObjectDependsStmt(alter) if alter.relation.is_none() => Ok(()),
            // Names, options and constants alone.
            NodeEnum::CreateOpFamilyStmt(_)
            | NodeEnum::CreateConversionStmt(_)
            | NodeEnum::AlterCollationStmt(_)
            | NodeEnum::AlterDefaultPrivilegesStmt(_)
            | NodeEnum::AlterExtensionStmt(_)
            | NodeEnum::AlterExtensionContentsStmt(_)
            | NodeEnum::AlterFunctionStmt(_)
            | NodeEnum::AlterOperatorStmt(_)
            | NodeEnum::AlterTsconfigurationStmt(_)
            | NodeEnum::AlterTsdictionaryStmt(_)
            | NodeEnum::AlterTypeStmt(_) => Ok(()),
            // The parser lets no other kind through.
            _ => Err(self.ddl.refused_kind()),
        }
    }

    /// CREATE STATISTICS: how values of columns go together is gathered from every row.
    fn statistics(&mut self, create: &CreateStatsStmt) -> Result<(), Fail> {
        let CreateStatsStmt {
            defnames: _,
            stat_types: _,
            exprs,
            relations,
            stxcomment: _,
            transformed: _,
            if_not_exists: _,
        } = create;
        let [relation] = relations.as_slice() else { return Err(unsupported("statistics of several relations")) };
        let id = self.range(relation)?;
        self.change(id, Change::Alter);
        let mut looked = Vec::new();
        for expr in exprs {
            let Some(NodeEnum::StatsElem(element)) = &expr.node else { return Err(unsupported("these statistics")) };
            if !element.name.is_empty() {
                looked.push(element.name.clone());
            }
            self.scalar(element.expr.as_deref(), &mut looked)?;
        }
        self.looks(id, &[], looked)
    }

    /// ALTER DOMAIN: what tests the values that columns hold says of them whether they pass.
    fn alter_domain(&mut self, alter: &AlterDomainStmt) -> Result<(), Fail> {
        let AlterDomainStmt { subtype, type_name: _, name: _, def, behavior: _, missing_ok: _ } = alter;
        let open = self.resolver.context.policies.hides_nothing();
        match subtype.as_str() {
            // SET and DROP DEFAULT; DROP NOT NULL; DROP CONSTRAINT.
            "T" => self.constant(def.as_deref()),
            "N" | "X" => Ok(()),
            // SET NOT NULL and VALIDATE CONSTRAINT; ADD CONSTRAINT.
            "O" | "V" if open => Ok(()),
            "C" if open => match def.as_ref().and_then(|def| def.node.as_ref()) {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, &mut Found::default()),
                Some(_) | None => Err(Refusal::internal(Stage::Resolve)),
            },
            _ => Err(unsupported("testing the values of a domain").hint("use an unrestricted role")),
        }
    }

    /// CREATE AGGREGATE, OPERATOR, COLLATION, TEXT SEARCH .., and TYPE without a body.
    fn defined(&self, define: &DefineStmt) -> Result<(), Fail> {
        let DefineStmt { kind, oldstyle: _, defnames: _, args: _, definition, if_not_exists: _, replace: _ } = define;
        let kind = ObjectType::try_from(*kind).map_err(|_| Refusal::internal(Stage::Resolve))?;
        match kind {
            ObjectType::ObjectAggregate | ObjectType::ObjectOperator => {}
            ObjectType::ObjectCollation
            | ObjectType::ObjectTsconfiguration
            | ObjectType::ObjectTsdictionary
            | ObjectType::ObjectTsparser
            | ObjectType::ObjectTstemplate => return Ok(()),
            ObjectType::ObjectType if definition.is_empty() => return Ok(()),
            _ => return Err(self.ddl.refused_kind()),
        }
        for option in definition {
            let Some(NodeEnum::DefElem(option)) = &option.node else { return Err(self.ddl.refused_kind()) };
            let DefElem { defname, arg, .. } = option.as_ref();
            if !CALLED.contains(&defname.as_str()) {
                continue;
            }
            let parts = match arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                Some(NodeEnum::TypeName(name)) => {
                    name.names.iter().map(names::string).collect::<Result<Vec<_>, _>>()?
                }
                Some(NodeEnum::List(list)) => list.items.iter().map(names::string).collect::<Result<Vec<_>, _>>()?,
                Some(NodeEnum::String(name)) => vec![name.sval.clone()],
                Some(_) | None => return Err(self.ddl.refused_kind()),
            };
            self.called_by_it(&parts)?;
        }
        Ok(())
    }

    fn cast(&self, cast: &CreateCastStmt) -> Result<(), Fail> {
        let CreateCastStmt { sourcetype, targettype, func, context: _, inout: _ } = cast;
        let Some(function) = func else { return Ok(()) };
        self.object_called(function)?;
        if self.is_own_type(sourcetype.as_ref())? || self.is_own_type(targettype.as_ref())? {
            return Ok(());
        }
        self.of_the_system(function)
    }

    fn operator_class(&self, class: &CreateOpClassStmt) -> Result<(), Fail> {
        let own = self.is_own_type(class.datatype.as_ref())?;
        class.items.iter().try_for_each(|item| self.class_item(item, own))
    }

    /// Whether every type of that name is one of the database's own.
    fn is_own_type(&self, name: Option<&TypeName>) -> Result<bool, Fail> {
        let Some(name) = name else { return Ok(false) };
        let last = name.names.last().map(names::string).transpose()?.unwrap_or_default();
        let mut called = self.resolver.context.catalog.types_called(&last).peekable();
        Ok(called.peek().is_some() && called.all(|oid| oid >= FIRST_OWN))
    }

    /// What turns values of the system's types into each other, orders or hashes them may run in any statement: no function of the
    /// database's own comes among it, which would close every statement.
    fn of_the_system(&self, object: &ObjectWithArgs) -> Result<(), Fail> {
        let parts: Vec<String> = object.objname.iter().map(names::string).collect::<Result<_, _>>()?;
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

    fn class_item(&self, item: &Node, own_type: bool) -> Result<(), Fail> {
        let Some(NodeEnum::CreateOpClassItem(item)) = &item.node else { return Err(self.ddl.refused_kind()) };
        let CreateOpClassItem { itemtype, name, number: _, order_family: _, class_args: _, storedtype: _ } = item;
        // OPCLASS_ITEM_FUNCTION (`nodes/parsenodes.h`); the others name operators and types.
        match name {
            Some(name) if *itemtype == 2 => {
                self.object_called(name)?;
                if own_type { Ok(()) } else { self.of_the_system(name) }
            }
            Some(_) | None => Ok(()),
        }
    }

    fn object_called(&self, object: &ObjectWithArgs) -> Result<(), Fail> {
        let parts: Vec<String> = object.objname.iter().map(names::string).collect::<Result<_, _>>()?;
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
        let CreatePolicyStmt { policy_name: _, table, cmd_name: _, permissive: _, roles: _, qual, with_check } = policy;
        let id = self.existing(table.as_ref())?;
        self.change(id, Change::Alter);
        self.scalar(qual.as_deref(), &mut Vec::new())?;
        self.scalar(with_check.as_deref(), &mut Vec::new())
    }

    /// Whether objects of this kind are renamed, moved, dropped and granted by name alone where nothing is hidden.
    pub(super) fn is_plain(&self, kind: ObjectType) -> bool {
        use ObjectType as O;
        let plain = match kind {
            O::ObjectAggregate
            | O::ObjectCast
            | O::ObjectCollation
            | O::ObjectConversion
            | O::ObjectDomain
            | O::ObjectDomconstraint
            | O::ObjectExtension
            | O::ObjectFunction
            | O::ObjectOpclass
            | O::ObjectOperator
            | O::ObjectOpfamily
            | O::ObjectPolicy
            | O::ObjectProcedure
            | O::ObjectRoutine
            | O::ObjectRule
            | O::ObjectSchema
            | O::ObjectStatisticExt
            | O::ObjectTabconstraint
            | O::ObjectTransform
            | O::ObjectTrigger
            | O::ObjectTsconfiguration
            | O::ObjectTsdictionary
            | O::ObjectTsparser
            | O::ObjectTstemplate
            | O::ObjectType => true,
            O::Undefined
            | O::ObjectAccessMethod
            | O::ObjectAmop
            | O::ObjectAmproc
            | O::ObjectAttribute
            | O::ObjectColumn
            | O::ObjectDatabase
            | O::ObjectDefault
            | O::ObjectDefacl
            | O::ObjectEventTrigger
            | O::ObjectFdw
            | O::ObjectForeignServer
            | O::ObjectForeignTable
            | O::ObjectIndex
            | O::ObjectLanguage
            | O::ObjectLargeobject
            | O::ObjectMatview
            | O::ObjectParameterAcl
            | O::ObjectPublication
            | O::ObjectPublicationNamespace
            | O::ObjectPublicationRel
            | O::ObjectRole
            | O::ObjectSequence
            | O::ObjectSubscription
            | O::ObjectTable
            | O::ObjectTablespace
            | O::ObjectUserMapping
            | O::ObjectView => false,
        };
        plain && self.resolver.context.policies.hides_nothing()
    }

    /// Commands of ALTER TABLE that say which code runs, who sees rows and where a table is kept: where nothing is hidden.
    pub(super) fn open_command(&mut self, command: &AlterTableCmd) -> Option<Result<(), Fail>> {
        use AlterTableType as T;
        if !self.resolver.context.policies.hides_nothing() {
            return None;
        }
        match AlterTableType::try_from(command.subtype) {
            Ok(
                T::AtEnableTrig
                | T::AtEnableAlwaysTrig
                | T::AtEnableReplicaTrig
                | T::AtDisableTrig
                | T::AtEnableTrigAll
                | T::AtDisableTrigAll
                | T::AtEnableTrigUser
                | T::AtDisableTrigUser
                | T::AtEnableRule
                | T::AtEnableAlwaysRule
                | T::AtEnableReplicaRule
                | T::AtDisableRule
                | T::AtEnableRowSecurity
                | T::AtDisableRowSecurity
                | T::AtForceRowSecurity
                | T::AtNoForceRowSecurity
                | T::AtReplicaIdentity
                | T::AtSetRelOptions
                | T::AtResetRelOptions
                | T::AtReplaceRelOptions
                | T::AtSetAccessMethod
                | T::AtSetTableSpace
                | T::AtDropOf,
            ) => Some(Ok(())),
            Ok(T::AtAddOf) => match command.def.as_ref().and_then(|def| def.node.as_ref()) {
                Some(NodeEnum::TypeName(name)) => Some(self.type_name(Some(name))),
                Some(_) | None => None,
            },
            Ok(_) | Err(_) => None,
        }
    }
}
