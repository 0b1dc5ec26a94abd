//! What a statement about the structure calls by looking through values again: expressions of indexes, checks, generated columns, statistics
//! and partition keys, and the query of a materialized view.
//!
//! Where something is hidden, no governed role makes another function of one that is there, and who made the database knows what these do.
//! Where nothing is, who may change the structure may have replaced the function since: what it does now is judged as it is for a write.

use pg_raw_parse::Node;
use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{AlterTableType, VacuumStmt};

use super::Define;
use crate::catalog::{Oid, Relation};
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::resolve::{Fail, OccurrenceId, automatic};

/// Whether ANALYZE is among it, or a table is written anew.
pub(super) fn by_vacuum(vacuum: &VacuumStmt) -> bool {
    let of_words = |word: Option<&str>| matches!(word, Some("analyze" | "full"));
    !vacuum.is_vacuumcmd || vacuum.options().iter().any(|option| of_words(option.defname()))
}

/// Whether rows may be looked through or written anew. Of commands that are not known, that is assumed.
pub(super) fn by_alter(commands: &NodeList) -> bool {
    use AlterTableType as T;
    let leaves = |node: Node<'_>| match node {
        Node::AlterTableCmd(command) => matches!(
            command.subtype,
            T::AT_DropColumn
                | T::AT_ColumnDefault
                | T::AT_DropNotNull
                | T::AT_DropConstraint
                | T::AT_DropExpression
                | T::AT_AlterConstraint
                | T::AT_SetStatistics
                | T::AT_SetOptions
                | T::AT_ResetOptions
                | T::AT_SetStorage
                | T::AT_SetCompression
                | T::AT_SetRelOptions
                | T::AT_ResetRelOptions
                | T::AT_DropIdentity
                | T::AT_DropInherit
                | T::AT_DropCluster
                | T::AT_ClusterOn
                | T::AT_ChangeOwner
                | T::AT_EnableRowSecurity
                | T::AT_DisableRowSecurity
                | T::AT_ForceRowSecurity
                | T::AT_NoForceRowSecurity
                | T::AT_DisableTrig
                | T::AT_DisableTrigAll
                | T::AT_DisableTrigUser
                | T::AT_DisableRule
        ),
        _ => false,
    };
    !commands.iter().all(leaves)
}

impl Define<'_, '_> {
    /// The values of a relation and of its parts; of an index, those of its table.
    pub(super) fn looks_through(&self, id: OccurrenceId) -> Result<(), Fail> {
        let Some(occurrence) = self.resolver.occurrences.get(id) else { return Err(Refusal::internal(Stage::Resolve)) };
        let catalog = self.resolver.context.catalog;
        let oid = catalog.owner_of(occurrence.relation.oid).unwrap_or(occurrence.relation.oid);
        let mut all: Vec<Oid> = vec![oid];
        all.extend(catalog.descendants(oid));
        all.into_iter().filter_map(|oid| catalog.relation_by_oid(oid)).try_for_each(|relation| self.known(relation))
    }

    /// The values of whatever there is.
    pub(super) fn looks_through_all(&self) -> Result<(), Fail> {
        self.resolver.context.catalog.relations().try_for_each(|relation| self.known(relation))
    }

    /// The query of a materialized view.
    pub(super) fn runs_again(&self, id: OccurrenceId) -> Result<(), Fail> {
        let Some(occurrence) = self.resolver.occurrences.get(id) else { return Err(Refusal::internal(Stage::Resolve)) };
        let relation = &occurrence.relation;
        if relation.opaque && self.resolver.context.policies.hides_nothing() {
            let message = format!("reading `{}` anew is not open", relation.name);
            return Err(Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("its definition calls a function, and what that reads is not known")
                .hint("use an unrestricted role"));
        }
        self.looks_through(id)
    }

    fn known(&self, relation: &Relation) -> Result<(), Fail> {
        let context = self.resolver.context;
        if !context.policies.hides_nothing() {
            return Ok(());
        }
        let Some(code) = automatic::looked_through(relation, context).next() else { return Ok(()) };
        let message = format!("what runs {} of `{}` again is not open", code.what, relation.name);
        let refusal = Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail("what that reads and writes is not known");
        Err(match &code.function {
            Some((schema, name)) => {
                refusal.hint(format!("a policy may open it: `[functions] allow = [\"{schema}.{name}\"]`"))
            }
            None => refusal,
        })
    }
}
