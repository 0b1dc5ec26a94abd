//! ALTER TABLE and its kin: every command is named, and what is not is refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, Node, ObjectType, PartitionCmd, RangeVar,
};

use super::Define;
use super::table::Found;
use crate::error::{Refusal, Stage};
use crate::policy::Change;
use crate::sql::resolve::{Fail, OccurrenceId, unsupported};

impl Define<'_, '_> {
    pub(super) fn alter(&mut self, alter: &AlterTableStmt) -> Result<(), Fail> {
        let AlterTableStmt { relation, cmds, objtype, missing_ok } = alter;
        let of_view = match ObjectType::try_from(*objtype) {
            Ok(
                ObjectType::ObjectTable
                | ObjectType::ObjectMatview
                | ObjectType::ObjectIndex
                | ObjectType::ObjectSequence,
            ) => false,
            Ok(ObjectType::ObjectView) => true,
            Ok(ObjectType::ObjectType) => return self.alter_composite(alter),
            _ => return Err(self.ddl.refused_kind()),
        };
        if *missing_ok && self.is_missing(relation.as_ref())? {
            return Ok(());
        }
        let id = self.existing(relation.as_ref())?;
        self.change(id, Change::Alter);
        let added = self.added(id, cmds);
        for node in cmds {
            match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => self.command(id, command, of_view, &added)?,
                Some(_) | None => return Err(Refusal::internal(Stage::Resolve)),
            }
        }
        Ok(())
    }

    /// Columns that are not there yet, and that the statement adds before it looks at any.
    fn added(&self, id: OccurrenceId, commands: &[Node]) -> Vec<String> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        let is_new = |name: &str| relation.is_some_and(|relation| relation.column(name).is_none());
        let name = |node: &Node| match &node.node {
            // One that is added IF NOT EXISTS may be there by now.
            Some(NodeEnum::AlterTableCmd(command))
                if AlterTableType::try_from(command.subtype) == Ok(AlterTableType::AtAddColumn)
                    && !command.missing_ok =>
            {
                column_def(command.def.as_deref()).ok().map(|column| column.colname.clone())
            }
            Some(_) | None => None,
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
        let AlterTableCmd { subtype, name, num: _, newowner, def, behavior: _, missing_ok: _, recurse: _ } = command;
        let def = def.as_deref();
        let kind = T::try_from(*subtype).map_err(|_| Refusal::internal(Stage::Resolve))?;
        if let Some(open) = self.open_command(command) {
            return open;
        }
        match kind {
            T::AtAddColumn => {
                let column = column_def(def)?;
                let mut found = Found::default();
                self.column_def(column, &mut found)?;
                let new: Vec<String> = added.iter().chain([&column.colname]).cloned().collect();
                self.looks(id, &new, found.looked)?;
                self.change(id, Change::AddColumn { name: column.colname.clone(), computed: found.computed });
                Ok(())
            }
            T::AtDropColumn | T::AtAddIdentity | T::AtSetIdentity | T::AtDropIdentity => {
                self.change(id, Change::AlterColumn(name.clone()));
                Ok(())
            }
            T::AtColumnDefault => {
                self.change(id, Change::AlterColumn(name.clone()));
                self.constant(def)
            }
            T::AtSetNotNull => self.looks(id, added, vec![name.clone()]),
            T::AtAlterColumnType => {
                let column = column_def(def)?;
                self.column(id, name)?;
                self.own_type(id, name)?;
                self.type_name(column.type_name.as_ref())?;
                let mut columns = vec![name.clone()];
                self.scalar(column.raw_default.as_deref(), &mut columns)?;
                self.looks(id, &[], columns)?;
                if column.raw_default.is_some() {
                    self.change(id, Change::Rewrite(name.clone()));
                }
                self.change(id, Change::AlterColumn(name.clone()));
                Ok(())
            }
            T::AtSetExpression => {
                let mut columns = Vec::new();
                self.scalar(def, &mut columns)?;
                self.looks(id, &[], columns)?;
                self.change(id, Change::Rewrite(name.clone()));
                Ok(())
            }
            T::AtAddConstraint => {
                let Some(NodeEnum::Constraint(constraint)) = def.and_then(|node| node.node.as_ref()) else {
                    return Err(Refusal::internal(Stage::Resolve));
                };
                let mut found = Found::default();
                self.constraint(constraint, &mut found)?;
                self.looks(id, added, found.looked)
            }
            T::AtAddInherit | T::AtDropInherit => {
                let Some(NodeEnum::RangeVar(range)) = def.and_then(|node| node.node.as_ref()) else {
                    return Err(Refusal::internal(Stage::Resolve));
                };
                self.family(id, Some(range))
            }
            T::AtAttachPartition | T::AtDetachPartition | T::AtDetachPartitionFinalize => {
                let Some(NodeEnum::PartitionCmd(partition)) = def.and_then(|node| node.node.as_ref()) else {
                    return Err(Refusal::internal(Stage::Resolve));
                };
                let PartitionCmd { name, bound, concurrent: _ } = partition;
                self.bound(bound.as_ref())?;
                self.family(id, name.as_ref())
            }
            T::AtSetRelOptions | T::AtResetRelOptions if of_view => {
                Err(unsupported("changing a view's options").hint("make the view anew"))
            }
            T::AtSetRelOptions | T::AtResetRelOptions => Ok(()),
            // They change neither values nor what a name means, and hold no expression.
            T::AtDropNotNull
            | T::AtDropConstraint
            | T::AtValidateConstraint
            | T::AtAlterConstraint
            | T::AtDropExpression
            | T::AtSetStatistics
            | T::AtSetOptions
            | T::AtResetOptions
            | T::AtSetStorage
            | T::AtSetCompression
            | T::AtSetLogged
            | T::AtSetUnLogged
            | T::AtDropCluster => Ok(()),
            T::AtClusterOn => self.ordered(id),
            T::AtChangeOwner if self.to_oneself(newowner.as_ref()) => Ok(()),
            T::AtChangeOwner
            | T::AtEnableTrig
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
            | T::AtReplicaIdentity => Err(unsupported("changing owners, triggers, rules, row security or replication")
                .hint("use an unrestricted role")),
            T::Undefined
            | T::AtAddColumnToView
            | T::AtCookedColumnDefault
            | T::AtAddIndex
            | T::AtReAddIndex
            | T::AtReAddConstraint
            | T::AtReAddDomainConstraint
            | T::AtAddIndexConstraint
            | T::AtReAddComment
            | T::AtAlterColumnGenericOptions
            | T::AtDropOids
            | T::AtSetAccessMethod
            | T::AtSetTableSpace
            | T::AtReplaceRelOptions
            | T::AtAddOf
            | T::AtDropOf
            | T::AtGenericOptions
            | T::AtReAddStatistics => Err(unsupported("this command of ALTER TABLE")),
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

fn column_def(def: Option<&Node>) -> Result<&ColumnDef, Fail> {
    match def.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::ColumnDef(column)) => Ok(column),
        Some(_) | None => Err(Refusal::internal(Stage::Resolve)),
    }
}
