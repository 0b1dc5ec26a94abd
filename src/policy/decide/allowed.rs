//! Whether a role and a purpose may be used at all, before any statement is looked at.

use jiff::civil::Date;

use super::Reason;
use crate::policy::model::{PolicySet, Role};

impl PolicySet {
    /// Whether the role may be used at all today: the contract with a third party may have ended (POPIA s21).
    ///
    /// # Errors
    /// The reason, in words safe to show.
    #[allow(clippy::result_large_err)] // a refusal is rare and is told in full
    pub fn check_role(&self, role: &Role, today: Date) -> Result<(), Reason> {
        match role.operator_expires {
            Some(expires) if today > expires => Err(Reason::plain(format!(
                "the contract with `{}` for role `{}` ended on {expires}",
                role.recipient, role.name
            ))
            .hint("a renewed contract is stated with `operator_contract` and `operator_expires` in the policy")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the role may use the purpose today; the error says why not, in words safe to show.
    ///
    /// # Errors
    /// Unknown purpose, not among the role's, it or an ancestor past its expiry, the operator's contract past its
    /// expiry.
    #[allow(clippy::result_large_err)]
    pub fn check_purpose(&self, role: &Role, purpose: &str, today: Date) -> Result<(), Reason> {
        self.check_role(role, today)?;
        let allowed = role.purposes.join("`, `");
        let hint = if role.purposes.is_empty() {
            format!("role `{}` has no purposes", role.name)
        } else {
            format!("role `{}` may use: `{allowed}`", role.name)
        };
        let chain = self.lineage(purpose);
        if chain.is_empty() {
            return Err(Reason::plain(format!("there is no purpose `{purpose}`")).hint(hint));
        }
        if !role.purposes.iter().any(|name| name == purpose) {
            return Err(Reason::plain(format!("role `{}` may not use purpose `{purpose}`", role.name)).hint(hint));
        }
        for ancestor in chain {
            match ancestor.expires {
                Some(expires) if today > expires => {
                    return Err(Reason::plain(format!("purpose `{}` expired on {expires}", ancestor.name))
                        .hint("a purpose that is reviewed and goes on needs a later `expires` in the policy"));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}
