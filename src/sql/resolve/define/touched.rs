//! What a statement that changes the structure may have changed of it, so that no more than that is read again.
//!
//! Named are the kinds of which PostgreSQL changes nothing but the relations they name and what goes with these
//! ([`Touched::These`]). Of all others everything is read.

use pg_raw_parse::Node;
use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{AlterTableStmt, AlterTableType, DropBehavior, DropStmt, ObjectType};

use super::Resolver;
use crate::catalog::Touched;
use crate::policy::{Structure, Verb};

/// Of one statement.
pub(super) fn of(node: Node<'_>, structure: &Structure, resolver: &Resolver<'_>) -> Touched {
    let names_its_own = match node {
        // Rights, comments, locks and rows: no snapshot holds any.
        Node::CommentStmt(_) | Node::GrantStmt(_) | Node::LockStmt(_) | Node::TruncateStmt(_) => {
            return Touched::Nothing;
        }
        Node::VacuumStmt(vacuum) => {
            // FULL makes a table anew, and its TOAST table with it.
            let full = vacuum.options().iter().any(|option| option.defname() == Some("full"));
            if !full {
                return Touched::Nothing;
            }
            !vacuum.rels().is_empty()
        }
        Node::CreateStmt(create) => create.of_typename().is_none(),
        Node::CreateTableAsStmt(_) | Node::SelectStmt(_) | Node::ViewStmt(_) | Node::IndexStmt(_) => true,
        Node::RefreshMatViewStmt(_) => true,
        Node::CreateSeqStmt(create) => !owns(create.options()),
        Node::AlterSeqStmt(alter) => !owns(alter.options()),
        Node::AlterTableStmt(alter) => alters_its_own(alter),
        Node::DropStmt(drop) => drops_its_own(drop),
        Node::RenameStmt(rename) => {
            let inside = matches!(rename.rename_type, ObjectType::OBJECT_COLUMN | ObjectType::OBJECT_TABCONSTRAINT);
            inside && rename.behavior != DropBehavior::DROP_CASCADE
        }
        // Also what is added to the kinds that are carried out later.
        _ => false,
    };
    if !names_its_own {
        return Touched::Everything;
    }
    let defined = || resolver.occurrences.iter().filter(|occurrence| occurrence.verb == Verb::Define);
    Touched::These {
        oids: defined().map(|occurrence| occurrence.relation.oid).collect(),
        // By their names too: another relation may have one by the time that the statement runs.
        names: defined()
            .map(|occurrence| occurrence.relation.name.clone())
            .chain(structure.makes.iter().map(|make| make.name.clone()))
            .collect(),
    }
}

/// Whether a sequence comes to belong to another column.
fn owns(options: &NodeList) -> bool {
    options.iter().any(|option| !matches!(option, Node::DefElem(option) if option.defname() != Some("owned_by")))
}

/// Commands that change the table itself, its parts, what its columns are and what it ties; families and owners are not among them.
fn alters_its_own(alter: &AlterTableStmt) -> bool {
    use AlterTableType as T;
    alter.objtype == ObjectType::OBJECT_TABLE
        && alter.cmds().iter().all(|command| match command {
            Node::AlterTableCmd(command) => {
                command.behavior != DropBehavior::DROP_CASCADE
                    && matches!(
                        command.subtype,
                        T::AT_AddColumn
                            | T::AT_DropColumn
                            | T::AT_ColumnDefault
                            | T::AT_SetNotNull
                            | T::AT_DropNotNull
                            | T::AT_AlterColumnType
                            | T::AT_AddConstraint
                            | T::AT_DropConstraint
                            | T::AT_ValidateConstraint
                            | T::AT_AddIdentity
                            | T::AT_SetIdentity
                            | T::AT_DropIdentity
                            | T::AT_SetStatistics
                            | T::AT_SetOptions
                            | T::AT_ResetOptions
                            | T::AT_SetStorage
                            | T::AT_SetCompression
                            | T::AT_SetRelOptions
                            | T::AT_ResetRelOptions
                    )
            }
            _ => false,
        })
}

/// Whether it takes away nothing but what it names, and their parts.
fn drops_its_own(drop: &DropStmt) -> bool {
    drop.behavior != DropBehavior::DROP_CASCADE
        && !drop.concurrent
        && matches!(
            drop.remove_type,
            ObjectType::OBJECT_TABLE
                | ObjectType::OBJECT_INDEX
                | ObjectType::OBJECT_SEQUENCE
                | ObjectType::OBJECT_VIEW
                | ObjectType::OBJECT_MATVIEW
        )
}
