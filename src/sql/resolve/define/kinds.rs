//! What is made, dropped and handed over beside relations: types, functions, extensions, owners.
//!
//! A function that is made runs nothing yet, and is closed to calls until a policy names it. It must not come to stand where something
//! that runs already looks for another: where a policy hides anything, its name must be one that no function has.

use pg_raw_parse::Node;
use pg_raw_parse::list::CastNodeList;
use pg_raw_parse::nodes::{
    AlterOwnerStmt, AlterTableStmt, CompositeTypeStmt, CreateExtensionStmt, CreateFunctionStmt, CreateRangeStmt,
    CreateTrigStmt, DefElem, RangeVar, RoleSpec, RoleSpecType,
};

use super::{Define, names};
use crate::catalog::quote_ident;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Change;
use crate::sql::resolve::{Fail, unsupported};
use crate::sql::reviewed::builtins;
use crate::sql::reviewed::pure::is_pure;
use crate::sql::witness;

/// Languages whose functions are text that the server reads when it is called; others are a superuser's.
const LANGUAGES: [&str; 2] = ["sql", "plpgsql"];

impl Define<'_, '_> {
    /// `CREATE TYPE name AS (..)`.
    pub(super) fn composite(&mut self, composite: &CompositeTypeStmt) -> Result<(), Fail> {
        self.made(composite.typevar(), false)?;
        composite.coldeflist().iter().try_for_each(|column| self.type_name(column.type_name()))
    }

    /// `CREATE TYPE name AS RANGE (..)`: over a type, by the functions and the order that PostgreSQL has for it.
    pub(super) fn range_type(&mut self, range: &CreateRangeStmt) -> Result<(), Fail> {
        for option in range.params() {
            let Node::TypeName(written) = option.arg() else { return Err(unsupported("this form of a type")) };
            let defname = names::word(option.defname());
            let names: Vec<String> = written.names().iter().map(|name| names::word(name.sval())).collect();
            match (defname.as_str(), names.as_slice()) {
                ("subtype", _) => self.type_name(Some(written))?,
                ("multirange_type_name", [_] | [_, _]) => {}
                ("collation", _) => {}
                ("subtype_diff", [name]) if self.is_open_builtin(name) => {}
                ("subtype_diff" | "canonical", _) if self.resolver.context.policies.hides_nothing() => {
                    self.called_by_it(&names)?;
                }
                ("subtype_opclass", _) if self.resolver.context.policies.hides_nothing() => {}
                _ => {
                    return Err(unsupported(&format!("`{defname}` of a range type"))
                        .hint("leave it out, or use an unrestricted role"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_open_builtin(&self, name: &str) -> bool {
        builtins::is_reviewed(name) || is_pure("pg_catalog", name, self.resolver.context.catalog)
    }

    /// ALTER TYPE of a composite type, which columns of any table may be of.
    pub(super) fn alter_composite(&mut self, alter: &AlterTableStmt) -> Result<(), Fail> {
        if !self.resolver.context.policies.hides_nothing() {
            return Err(self.ddl.refused_kind());
        }
        self.composite_type(alter.relation())?;
        for node in alter.cmds() {
            let Node::AlterTableCmd(command) = node else { return Err(self.ddl.refused_kind()) };
            if let Node::ColumnDef(column) = command.def() {
                self.type_name(column.type_name())?;
                if !matches!(column.raw_default(), Node::None) {
                    return Err(self.ddl.refused_kind());
                }
            }
        }
        Ok(())
    }

    /// The name of a composite type, which the tree has as that of a relation.
    pub(super) fn composite_type(&mut self, range: Option<&RangeVar>) -> Result<(), Fail> {
        let (schema, name) = self.spelled(range)?;
        self.resolver.seen.add_relation(schema.clone(), name.clone());
        self.resolver.meant.add_relation(schema, name);
        Ok(())
    }

    /// CREATE FUNCTION and CREATE PROCEDURE.
    pub(super) fn function(&mut self, function: &CreateFunctionStmt) -> Result<(), Fail> {
        if !matches!(function.sql_body(), Node::None) {
            if !self.resolver.context.policies.hides_nothing() {
                return Err(
                    unsupported("a function whose body is no string").hint("write its body as a string: `AS $$ .. $$`")
                );
            }
            // It runs when the function is called, which a policy must open first, as it must for one whose body is a string.
            let within = witness::facts_within(function.sql_body())?;
            self.resolver.seen.extend(&within);
            self.resolver.meant.extend(&within);
        }
        let parts: Vec<String> = function.funcname().iter().map(names::string).collect::<Result<_, _>>()?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name.clone()),
            [schema, name] => (Some(schema.clone()), name.clone()),
            _ => return Err(unsupported("a function name with a database")),
        };
        let full = self.new_name(schema, name)?;
        let context = self.resolver.context;
        let known = || !context.catalog.functions(&full.name).is_empty() || builtins::is_known(&full.name);
        if !context.policies.hides_nothing() && (known() || context.policies.allows_function(&full.schema, &full.name))
        {
            let message = format!("function `{}` may not be made: there is one of that name", full.name);
            return Err(Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("what calls that one could come to call this, on values that nobody masked")
                .hint("take a name that no function has, or use an unrestricted role"));
        }
        self.options_of_function(function.options())?;
        self.type_name(function.return_type())?;
        for parameter in function.parameters() {
            self.type_name(parameter.arg_type())?;
            self.constant(parameter.defexpr())?;
        }
        self.written_in_full(&["function", "procedure"], &parts, &full.to_sql())
    }

    fn options_of_function(&self, options: &CastNodeList<DefElem>) -> Result<(), Fail> {
        let hides = !self.resolver.context.policies.hides_nothing();
        for option in options {
            let text = option.arg().as_str().map(str::to_ascii_lowercase);
            let name = names::word(option.defname());
            let open = match name.as_str() {
                "language" => text.is_some_and(|language| LANGUAGES.contains(&language.as_str())),
                "as" | "volatility" | "strict" | "parallel" | "cost" | "rows" => true,
                // It would run as its owner, or under other settings.
                "security" | "set" | "leakproof" | "window" | "support" | "transform" => !hides,
                _ => false,
            };
            if !open {
                return Err(unsupported(&format!("`{name}` of a function")).hint("use an unrestricted role"));
            }
        }
        Ok(())
    }

    /// The name behind one of these words, in full.
    fn written_in_full(&mut self, words: &[&str], parts: &[String], full: &str) -> Result<(), Fail> {
        let behind = self.ddl.behind(words).and_then(|start| i32::try_from(start).ok()).unwrap_or(-1);
        if self.ddl.name_at(&mut self.edits, behind, parts, full.to_owned()) {
            return Ok(());
        }
        Err(unsupported("a name in this place"))
    }

    /// CREATE TRIGGER: its function runs at every write, so that nothing may be hidden from it.
    pub(super) fn trigger(&mut self, trigger: &CreateTrigStmt) -> Result<(), Fail> {
        if !self.resolver.context.policies.hides_nothing() {
            return Err(self.ddl.refused_kind());
        }
        self.scalar(trigger.when_clause(), &mut Vec::new())?;
        if trigger.constrrel().is_some() {
            self.touched(trigger.constrrel())?;
        }
        let id = self.existing(trigger.relation())?;
        self.change(id, Change::Alter);
        Ok(())
    }

    /// CREATE EXTENSION, which runs a script of its own: only one that is there already, with IF NOT EXISTS.
    pub(super) fn extension(&mut self, create: &CreateExtensionStmt) -> Result<(), Fail> {
        let (extname, if_not_exists) = (&names::word(create.extname()), create.if_not_exists);
        let context = self.resolver.context;
        if context.policies.hides_nothing() || (if_not_exists && context.catalog.has_extension(extname)) {
            self.edits.whole(format!(
                "CREATE EXTENSION {}{}",
                if if_not_exists { "IF NOT EXISTS " } else { "" },
                quote_ident(extname)
            ));
            return Ok(());
        }
        Err(self.ddl.refused_kind())
    }

    /// Whether an object is handed to who has it: the login itself.
    pub(super) fn to_oneself(&self, owner: Option<&RoleSpec>) -> bool {
        let Some(owner) = owner else { return false };
        match owner.roletype {
            RoleSpecType::ROLESPEC_CURRENT_ROLE
            | RoleSpecType::ROLESPEC_CURRENT_USER
            | RoleSpecType::ROLESPEC_SESSION_USER => true,
            RoleSpecType::ROLESPEC_CSTRING => owner.rolename() == Some(self.resolver.context.login),
            // PUBLIC is nobody.
            _ => false,
        }
    }

    /// `ALTER .. OWNER TO` oneself, of what is no relation.
    pub(super) fn owner(&self, alter: &AlterOwnerStmt) -> Result<(), Fail> {
        if self.hands_over(alter) || alter.relation().is_none() && self.to_oneself(alter.newowner()) {
            return Ok(());
        }
        Err(unsupported("changing owners").hint("use an unrestricted role"))
    }
}
