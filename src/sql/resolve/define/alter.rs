//! ALTER TABLE and its kin: every command is named, and what is not is refused.

use pg_raw_parse::Node;
use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ObjectType, RangeVar};

use super::Define;
use super::beside::which_code_runs;
use super::evaluated;
use super::names::word;
use super::table::Found;
use crate::error::{Refusal, Stage};
use crate::policy::Change;
use crate::sql::resolve::{Fail, OccurrenceId, unsupported};

impl Define<'_, '_> {
    pub(super) fn alter(&mut self, alter: &AlterTableStmt) -> Result<(), Fail> {
        let of_view = match alter.objtype {
            ObjectType::OBJECT_TABLE
            | ObjectType::OBJECT_MATVIEW
            | ObjectType::OBJECT_INDEX
            | ObjectType::OBJECT_SEQUENCE => false,
            ObjectType::OBJECT_VIEW => true,
            ObjectType::OBJECT_TYPE => return self.alter_composite(alter),
            _ => return Err(self.ddl.refused_kind()),
        };
        let (relation, cmds) = (alter.relation(), alter.cmds());
        if alter.missing_ok && self.is_missing(relation)? {
            return Ok(());
        }
        let id = self.existing(relation)?;
        self.change(id, Change::Alter);
        if evaluated::by_alter(cmds) {
            self.looks_through(id)?;
        }
        let added = self.added(id, cmds);
        for node in cmds {
            match node {
                Node::AlterTableCmd(command) => self.command(id, command, of_view, &added)?,
                _ => return Err(Refusal::internal(Stage::Resolve)),
            }
        }
        Ok(())
    }

    /// Columns that are not there yet, and that the statement adds before it looks at any.
    fn added(&self, id: OccurrenceId, commands: &NodeList) -> Vec<String> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        let is_new = |name: &str| relation.is_some_and(|relation| relation.column(name).is_none());
        let name = |node: Node<'_>| match node {
            // One that is added IF NOT EXISTS may be there by now.
            Node::AlterTableCmd(command) if command.subtype == AlterTableType::AT_AddColumn && !command.missing_ok => {
                column_def(command.def()).ok().map(|column| word(column.colname()))
            }
            _ => None,
        };
        commands.iter().filter_map(name).filter(|name| is_new(name)).collect()
    }

    fn command(
        &mut self,
        id: OccurrenceId,
        command: &AlterTableCmd,
        of_view: bool,
        added: &[String],
    ) -> Result<(), Fail> {
        use AlterTableType as T;
        let (def, name) = (command.def(), &word(command.name()));
        if let Some(open) = self.open_command(command) {
            return open;
        }
        match command.subtype {
            T::AT_AddColumn => {
                let column = column_def(def)?;
                let mut found = Found::default();
                self.column_def(column, &mut found)?;
                let name = word(column.colname());
                let new: Vec<String> = added.iter().chain([&name]).cloned().collect();
                self.looks(id, &new, found.looked)?;
                self.change(id, Change::AddColumn { name, computed: found.computed });
                Ok(())
            }
            T::AT_DropColumn | T::AT_AddIdentity | T::AT_SetIdentity | T::AT_DropIdentity => {
                self.change(id, Change::AlterColumn(name.clone()));
                Ok(())
            }
            T::AT_ColumnDefault => {
                self.change(id, Change::AlterColumn(name.clone()));
                self.constant(def)
            }
            T::AT_SetNotNull => self.looks(id, added, vec![name.clone()]),
            T::AT_AlterColumnType => {
                let column = column_def(def)?;
                self.column(id, name)?;
                self.own_type(id, name)?;
                self.type_name(column.type_name())?;
                let mut columns = vec![name.clone()];
                self.scalar(column.raw_default(), &mut columns)?;
                self.looks(id, &[], columns)?;
                if !matches!(column.raw_default(), Node::None) {
                    self.change(id, Change::Rewrite(name.clone()));
                }
                self.change(id, Change::AlterColumn(name.clone()));
                Ok(())
            }
            T::AT_SetExpression => {
                let mut columns = Vec::new();
                self.scalar(def, &mut columns)?;
                self.looks(id, &[], columns)?;
                self.change(id, Change::Rewrite(name.clone()));
                Ok(())
            }
            T::AT_AddConstraint => {
                let Node::Constraint(constraint) = def else { return Err(Refusal::internal(Stage::Resolve)) };
                let mut found = Found::default();
                self.constraint(constraint, &mut found)?;
                self.looks(id, added, found.looked)
            }
            T::AT_AddInherit | T::AT_DropInherit => {
                let Node::RangeVar(range) = def else { return Err(Refusal::internal(Stage::Resolve)) };
                self.family(id, Some(range))
            }
            T::AT_AttachPartition | T::AT_DetachPartition | T::AT_DetachPartitionFinalize => {
                let Node::PartitionCmd(partition) = def else { return Err(Refusal::internal(Stage::Resolve)) };
                self.bound(partition.bound())?;
                self.family(id, partition.name())
            }
            T::AT_SetRelOptions | T::AT_ResetRelOptions if of_view => {
                Err(unsupported("changing a view's options").hint("make the view anew"))
            }
            T::AT_SetRelOptions | T::AT_ResetRelOptions => Ok(()),
            // They change neither values nor what a name means, and hold no expression.
            T::AT_DropNotNull
            | T::AT_DropConstraint
            | T::AT_ValidateConstraint
            | T::AT_AlterConstraint
            | T::AT_DropExpression
            | T::AT_SetStatistics
            | T::AT_SetOptions
            | T::AT_ResetOptions
            | T::AT_SetStorage
            | T::AT_SetCompression
            | T::AT_SetLogged
            | T::AT_SetUnLogged
            | T::AT_DropCluster => Ok(()),
            T::AT_ClusterOn => self.ordered(id),
            T::AT_ChangeOwner if self.to_oneself(command.newowner()) => Ok(()),
            subtype if subtype == T::AT_ChangeOwner || which_code_runs(subtype) => {
                Err(unsupported("changing owners, triggers, rules, row security or replication")
                    .hint("use an unrestricted role"))
            }
            // Among them all that only parse analysis makes.
            _ => Err(unsupported("this command of ALTER TABLE")),
        }
    }

    fn family(&mut self, id: OccurrenceId, other: Option<&RangeVar>) -> Result<(), Fail> {
        let other = self.existing(other)?;
        self.change(id, Change::Family);
        self.change(other, Change::Family);
        Ok(())
    }

    /// The cast to another type may be that of the type which the column has.
    fn own_type(&mut self, id: OccurrenceId, column: &str) -> Result<(), Fail> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        let held = relation.and_then(|relation| relation.column(column)).map(|column| column.type_sql.clone());
        self.resolver.type_name(&held.unwrap_or_default())
    }
}

fn column_def(def: Node<'_>) -> Result<&ColumnDef, Fail> {
    match def {
        Node::ColumnDef(column) => Ok(column),
        _ => Err(Refusal::internal(Stage::Resolve)),
    }
}
