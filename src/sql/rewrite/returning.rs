//! RETURNING: a star over the target names its columns, masked or left out as SELECT would; and a row that an INSERT added
//! for a purpose that rests on consent is shown only where its data subject agreed.

use sqlparser::ast::{Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind};

use super::{Fail, Rewriter, derived, fail, mask};
use crate::error::{Refusal, Stage};
use crate::policy::{Action, RelationObligation};
use crate::sql::ast::fragment;
use crate::sql::resolve::{Mark, Occurrence, OccurrenceId, name_of, output_name, quoted};
use crate::sql::witness;

impl Rewriter<'_> {
    /// Carries out what the marks of a RETURNING list ask for.
    pub(super) fn returned(&mut self, items: &mut Vec<SelectItem>) -> Result<(), Fail> {
        let Some((id, adds)) = items.first().and_then(first_mark) else { return Ok(()) };
        items.remove(0);
        let written = std::mem::take(items);
        for item in written {
            match (star_mark(&item), column_mark(&item)) {
                (Some(id), _) => self.name_all(id, items)?,
                (None, Some((id, column, alias))) => {
                    let item = self.name_one(id, &column, alias)?;
                    items.push(item);
                }
                (None, None) => items.push(item),
            }
        }
        if items.is_empty() {
            let (occurrence, _) = self.get(id)?;
            return Err(fail(format!("no column of `{}` is open to be returned", occurrence.relation.name)));
        }
        if adds { self.shown_where_agreed(id, items) } else { Ok(()) }
    }

    /// The target's columns that may be seen, in their order.
    fn name_all(&mut self, id: OccurrenceId, items: &mut Vec<SelectItem>) -> Result<(), Fail> {
        let (occurrence, obligation) = self.get(id)?;
        let alias = occurrence.alias.clone();
        let RelationObligation::Governed { columns, subject, .. } = obligation else {
            self.expected.add_column(vec![alias.clone(), "*".to_owned()]);
            let name = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![quoted(&alias)]));
            items.push(SelectItem::QualifiedWildcard(name, Default::default()));
            return Ok(());
        };
        let subject =
            subject.as_ref().and_then(|path| derived::subject_text(path, &alias, &occurrence.relation, self.context));
        let mut named = Vec::new();
        for column in &occurrence.relation.columns {
            let parts = [alias.as_str(), column.name.as_str()];
            match columns.get(&column.name).map(|obligation| &obligation.action) {
                Some(Action::Read) => {
                    let expr = Expr::CompoundIdentifier(parts.iter().map(|part| quoted(part)).collect());
                    named.push((SelectItem::UnnamedExpr(expr), None, column.name.clone()));
                }
                Some(Action::Mask { mask, .. }) => {
                    let text = self.masked(occurrence, mask, column, &parts, subject.as_deref())?;
                    let item = SelectItem::ExprWithAlias {
                        expr: fragment::own(fragment::parse_expression(&text)?, self.context.catalog),
                        alias: quoted(&column.name),
                    };
                    named.push((item, Some(text), column.name.clone()));
                }
                Some(Action::Omit | Action::Write) | None => {}
            }
        }
        for (item, text, column) in named {
            match text {
                None => self.expected.add_column(vec![alias.clone(), column]),
                Some(text) => self.expected.extend(&witness::facts_of(&format!("SELECT {text}"))?),
            }
            items.push(item);
        }
        Ok(())
    }

    /// One column of the target, as it is or through its mask.
    fn name_one(&mut self, id: OccurrenceId, name: &str, shown_as: Ident) -> Result<SelectItem, Fail> {
        let (occurrence, obligation) = self.get(id)?;
        let alias = occurrence.alias.clone();
        let plain = |rewriter: &mut Self| {
            rewriter.expected.add_column(vec![alias.clone(), name.to_owned()]);
            let expr = Expr::CompoundIdentifier(vec![quoted(&alias), quoted(name)]);
            // The description of the row names the column only where it stands by itself.
            if name_of(&shown_as) == name {
                SelectItem::UnnamedExpr(expr)
            } else {
                SelectItem::ExprWithAlias { expr, alias: shown_as.clone() }
            }
        };
        let RelationObligation::Governed { columns, subject, .. } = obligation else { return Ok(plain(self)) };
        let column = occurrence.relation.column(name);
        match (columns.get(name).map(|obligation| &obligation.action), column) {
            (Some(Action::Read), _) => Ok(plain(self)),
            (Some(Action::Mask { mask, .. }), Some(column)) => {
                let of = |path| derived::subject_text(path, &alias, &occurrence.relation, self.context);
                let subject = subject.as_ref().and_then(of);
                let text = self.masked(occurrence, mask, column, &[alias.as_str(), name], subject.as_deref())?;
                self.expected.extend(&witness::facts_of(&format!("SELECT {text}"))?);
                let expr = fragment::own(fragment::parse_expression(&text)?, self.context.catalog);
                Ok(SelectItem::ExprWithAlias { expr, alias: shown_as })
            }
            (Some(Action::Mask { .. } | Action::Omit | Action::Write) | None, _) => {
                Err(fail(format!("column `{}.{name}` is not open to be returned", occurrence.relation.name)))
            }
        }
    }

    fn masked(
        &self,
        occurrence: &Occurrence,
        mask: &crate::policy::Mask,
        column: &crate::catalog::Column,
        parts: &[&str],
        subject: Option<&str>,
    ) -> Result<String, Fail> {
        let value = parts.iter().map(|part| crate::catalog::quote_ident(part)).collect::<Vec<_>>().join(".");
        let name = format!("{}.{}", occurrence.relation.name, column.name);
        let domain = derived::domain(&occurrence.relation, column, self.context);
        let (purpose, domain) = (self.context.purpose, domain.as_str());
        let masked = mask::Masked { column, value: &value, name: &name, domain, purpose, subject };
        mask::sql(mask, &masked)
            .ok_or_else(|| fail(format!("mask `{mask}` does not fit column `{name}` of type `{}`", column.type_sql)))
    }

    /// `CASE WHEN consent THEN value END` for each value.
    fn shown_where_agreed(&mut self, id: OccurrenceId, items: &mut [SelectItem]) -> Result<(), Fail> {
        let (occurrence, obligation) = self.get(id)?;
        let Some((filter, facts)) = derived::row_filter(occurrence, obligation, &occurrence.alias, self.context)?
        else {
            return Ok(());
        };
        for item in items {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) if Mark::leaf(expr).is_some() => continue,
                SelectItem::UnnamedExpr(expr) => {
                    let name = output_name(expr);
                    (expr.clone(), quoted(&name))
                }
                SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.clone()),
                SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                    return Err(Refusal::unsupported(
                        Stage::Rewrite,
                        "a star in RETURNING is not supported here for a purpose that rests on consent",
                    )
                    .hint("name the columns"));
                }
            };
            self.expected.extend(&facts);
            *item = SelectItem::ExprWithAlias { expr: derived::where_agreed(filter.clone(), expr), alias };
        }
        Ok(())
    }
}

/// The mark at the front of a RETURNING list: the target, and whether rows of it may be added.
fn first_mark(item: &SelectItem) -> Option<(OccurrenceId, bool)> {
    let SelectItem::UnnamedExpr(expr) = item else { return None };
    match Mark::of(expr)? {
        Mark::Return { id, adds } => Some((id, adds)),
        _ => None,
    }
}

/// The mark that stands for one column of a target: its number, its name, and what it is shown as.
fn column_mark(item: &SelectItem) -> Option<(OccurrenceId, String, Ident)> {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
    match Mark::of(expr)? {
        Mark::ReturnOne(id, column) => Some((id, column, alias.clone())),
        _ => None,
    }
}

/// The mark that stands for all columns of a target.
fn star_mark(item: &SelectItem) -> Option<OccurrenceId> {
    let SelectItem::UnnamedExpr(expr) = item else { return None };
    match Mark::of(expr)? {
        Mark::ReturnAll(id) => Some(id),
        _ => None,
    }
}
