//! `login` and `actor` in a rule's own condition: constants of the statement at hand, in the type of what they are compared with.
//!
//! Neither can fail: who is no number equals no number.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident};

use super::types::Ty;
use super::written::of_form;
use super::{Fail, Typed, fail};
use crate::catalog::quote_literal;
use crate::sql::ast::fragment;
use crate::sql::ast::walk::{Look, look};
use crate::sql::form::context::Context;
use crate::sql::resolve::name_of;
use crate::sql::reviewed::builtins;

/// On whose behalf a statement runs.
#[derive(Debug, Clone, Copy)]
pub(in crate::sql::rewrite) struct Whom<'a> {
    pub(in crate::sql::rewrite) login: &'a str,
    /// The application's end user.
    pub(in crate::sql::rewrite) actor: Option<&'a str>,
}

impl<'a> Whom<'a> {
    /// Where no rule's condition is asked.
    pub(in crate::sql::rewrite) const NOBODY: Self = Self { login: "", actor: None };

    /// Of the statement at hand.
    pub(in crate::sql::rewrite) fn of(context: &Context<'a>) -> Self {
        Self { login: context.login, actor: context.actor }
    }
}

/// What a name stands for; quoted it is a column's.
pub(super) fn of<'a>(whom: &Whom<'a>, ident: &Ident) -> Option<(Ty, Option<&'a str>)> {
    match name_of(ident).as_str() {
        _ if ident.quote_style.is_some() => None,
        "actor" => Some((Ty::Actor, whom.actor)),
        "login" => Some((Ty::Login, Some(whom.login))),
        _ => None,
    }
}

/// A constant of that value in the type of its neighbour.
pub(super) fn constant(value: Option<&str>, beside: Ty) -> Result<Expr, String> {
    let unknown = || "is not understood".to_owned();
    let (value, name) = match beside {
        Ty::Number => (value.filter(|value| value.parse::<i64>().is_ok_and(|n| n.to_string() == *value)), "int8"),
        Ty::Uuid => (value.filter(|value| is_uuid(value)), "uuid"),
        _ => (value, "text"),
    };
    let written = value.map_or_else(|| "NULL".to_owned(), quote_literal);
    fragment::parse_expression(&format!("{written}::pg_catalog.{name}")).map_err(|_| unknown())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Takes whoever is compared in the type of the other side.
pub(super) fn beside(whom: Option<&Whom<'_>>, ty: Ty, expr: &mut Expr, other: Ty) -> Typed {
    let value = match (ty, whom) {
        (Ty::Actor, Some(whom)) => whom.actor,
        (Ty::Login, Some(whom)) => Some(whom.login),
        (Ty::Actor | Ty::Login, None) => return Err(of_form(expr)),
        (ty, _) => return Ok(ty),
    };
    *expr = constant(value, other)?;
    Ok(match other {
        Ty::Number | Ty::Uuid => other,
        _ => Ty::Text,
    })
}

/// The columns that a condition names.
///
/// # Errors
/// It is not understood.
pub(in crate::sql::rewrite) fn columns(text: &str) -> Result<BTreeSet<String>, Fail> {
    let expr = fragment::parse_expression(&format!("({text})"))
        .map_err(|_| fail("the purpose is closed: a rule's condition over rows is not understood"))?;
    let mut names = Names::default();
    let _ = look(&expr, &mut names);
    Ok(names.0)
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Look for Names {
    fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr {
            let name = name_of(ident);
            let word = ident.quote_style.is_none()
                && (matches!(name.as_str(), "actor" | "login") || builtins::is_value_keyword(&name));
            if !word {
                self.0.insert(name);
            }
        }
        ControlFlow::Continue(())
    }
}
