//! Roles of the database, who is in which, and whose an object is: where no policy hides anything.
//!
//! The database says who may do that. Nobody comes to be another for the proxy by it: the logins that a policy names, and the one that
//! reads the catalog, are left as they are, passwords are not set, and what a login's sessions begin with stays the administrator's.

use pg_raw_parse::Node;
use pg_raw_parse::list::{CastNodeList, NodeList};
use pg_raw_parse::nodes::{AlterOwnerStmt, DefElem, RoleSpec};

use super::Define;
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::resolve::Fail;

impl Define<'_, '_> {
    /// A statement about roles; `None` for any other.
    pub(super) fn of_roles(&self, node: Node<'_>) -> Option<Result<(), Fail>> {
        Some(match node {
            Node::CreateRoleStmt(create) => {
                self.may_be_changed(create.role()).and_then(|()| self.options_of_role(create.options()))
            }
            Node::AlterRoleStmt(alter) => self.role(alter.role()).and_then(|()| self.options_of_role(alter.options())),
            Node::DropRoleStmt(drop) => self.roles(drop.roles()),
            Node::GrantRoleStmt(grant) => self.roles(grant.grantee_roles()),
            Node::ReassignOwnedStmt(reassign) => self.roles(reassign.roles()),
            // Tables that nobody may write to may be among what goes.
            Node::DropOwnedStmt(_) if self.resolver.context.policies.keeps_some() => Err(self.ddl.refused_kind()),
            Node::DropOwnedStmt(drop) => self.roles(drop.roles()),
            _ => return None,
        })
    }

    /// `ALTER .. OWNER TO` another, of what is no relation.
    pub(super) fn hands_over(&self, alter: &AlterOwnerStmt) -> bool {
        alter.relation().is_none() && self.is_plain(alter.object_type)
    }

    fn options_of_role(&self, options: &CastNodeList<DefElem>) -> Result<(), Fail> {
        for option in options {
            match (option.defname().unwrap_or_default(), option.arg()) {
                ("rolemembers" | "adminmembers", Node::NodeList(members)) => self.roles(members)?,
                (
                    "addroleto" | "superuser" | "inherit" | "createrole" | "createdb" | "canlogin" | "isreplication"
                    | "bypassrls" | "connectionlimit" | "validUntil" | "sysid",
                    _,
                ) => {}
                // A password among them: it would stand in the statement.
                _ => return Err(self.ddl.refused_kind()),
            }
        }
        Ok(())
    }

    fn roles(&self, roles: &NodeList) -> Result<(), Fail> {
        roles.iter().try_for_each(|role| match role {
            Node::RoleSpec(role) => self.role(Some(role)),
            _ => Err(Refusal::internal(Stage::Resolve)),
        })
    }

    fn role(&self, role: Option<&RoleSpec>) -> Result<(), Fail> {
        // CURRENT_USER and its kin name a login that has a role in a policy, or what the session took instead.
        self.may_be_changed(role.and_then(RoleSpec::rolename))
    }

    /// Whether a role is none of those by which policies know people and programs.
    pub(super) fn may_be_changed(&self, name: Option<&str>) -> Result<(), Fail> {
        let context = self.resolver.context;
        let is_known = |name: &str| context.policies.role_of(name).is_some() || context.catalog.reader() == Some(name);
        match name {
            Some(name) if !is_known(name) => Ok(()),
            Some(_) | None => {
                let message = "a login that a policy names, or that the proxy uses, may not be changed";
                Err(Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .hint("use an unrestricted role"))
            }
        }
    }
}
