//! RETURNING: held to the read rules. A star over the target stands for the columns that SELECT * would show.

use sqlparser::ast::{Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions};

use super::names::{MARK, quoted};
use super::query::computed;
use super::scope::Columns;
use super::{Fail, OccurrenceId, Resolver};
use crate::policy::Use;

/// First of a RETURNING list, with the target: rows may be added.
pub(in crate::sql) const RETURN_ROWS: &str = "return_rows:";
/// First of a RETURNING list, with the target: rows are changed or removed.
pub(in crate::sql) const RETURN_FROM: &str = "return_from:";
/// Stands for the target's columns that may be seen.
pub(in crate::sql) const RETURN_ALL: &str = "return_all:";

impl Resolver<'_> {
    /// A RETURNING list over the FROM items in force. `adds`: the statement may add rows to the target.
    pub(super) fn returning(
        &mut self,
        items: Option<&mut Vec<SelectItem>>,
        id: OccurrenceId,
        adds: bool,
    ) -> Result<Columns, Fail> {
        let Some(items) = items else { return Ok(Some(Vec::new())) };
        let mut columns: Columns = Some(Vec::new());
        let mut out = vec![marked(if adds { RETURN_ROWS } else { RETURN_FROM }, id)];
        for mut item in std::mem::take(items) {
            let more = match self.star_over_target(&item, id) {
                Some((more, replaced)) => {
                    out.extend(replaced);
                    more
                }
                None => {
                    let more = self.select_item(&mut item, Use::Output)?;
                    out.push(item);
                    more
                }
            };
            match (columns.as_mut(), more) {
                (Some(have), Some(more)) => have.extend(computed(Some(more)).unwrap_or_default()),
                _ => columns = None,
            }
        }
        *items = out;
        Ok(columns)
    }

    /// `*` over FROM items that can each be named, none of which was merged with another; all others stay stars, and need
    /// every column of the target open.
    fn star_over_target(&mut self, item: &SelectItem, id: OccurrenceId) -> Option<(Columns, Vec<SelectItem>)> {
        let SelectItem::Wildcard(options) = item else { return None };
        if *options != WildcardAdditionalOptions::default() || self.recording {
            return None;
        }
        let scope = self.scopes.last()?.clone();
        if !scope.merged.is_empty() {
            return None;
        }
        let mut columns: Columns = Some(Vec::new());
        let (mut items, mut stars) = (Vec::new(), Vec::new());
        for source in &scope.sources {
            let name = source.name.clone()?;
            if source.occurrence == Some(id) {
                items.push(marked(RETURN_ALL, id));
            } else {
                stars.push((vec![name.clone(), "*".to_owned()], source.clone()));
                let name = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![quoted(&name)]));
                items.push(SelectItem::QualifiedWildcard(name, WildcardAdditionalOptions::default()));
            }
            match (columns.as_mut(), source.columns.clone()) {
                (Some(have), Some(more)) => have.extend(more),
                _ => columns = None,
            }
        }
        self.seen.add_column(vec!["*".to_owned()]);
        for (star, source) in stars {
            self.meant.add_column(star);
            self.mark_row(&source.columns, source.occurrence);
        }
        if let Some(occurrence) = self.occurrences.get_mut(id) {
            occurrence.star = true;
        }
        Some((columns, items))
    }
}

fn marked(kind: &str, id: OccurrenceId) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Identifier(Ident::new(format!("{MARK}{kind}{id}"))))
}
