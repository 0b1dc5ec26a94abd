//! The keys of data subjects as hidden columns at the end of the rows, for the access log.
//!
//! What can carry them was found by the resolver ([`Carrier`]). Here each leaf's mark becomes the hidden columns of its
//! carrier, in the same order in every leaf: the keys of its own FROM items, and NULL for those of the other sides of a
//! UNION ALL. Whatever was read and is not among them is an aggregate.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Expr, SelectItem, SelectItemQualifiedWildcardKind, Values};

use super::{Fail, filter};
use crate::catalog::Catalog;
use crate::error::{Refusal, Stage};
use crate::policy::{Action, Disclosed, Disclosure, RelationObligation, SubjectPath, Verb};
use crate::sql::ast::fragment::{own, parse_expression};
use crate::sql::ast::render::render_expr;
use crate::sql::resolve::{
    Carrier, CarrierId, HIDDEN, Leaf, LeafSource, Mark, Occurrence, OccurrenceId, name_of, quoted,
};
use crate::sql::witness::{self, Facts};

/// The most hidden columns of one result; what would need more is an aggregate.
const MOST: usize = 32;

/// One hidden column of a carrier.
#[derive(Debug, Clone)]
struct Hidden {
    /// Its name.
    name: String,
    /// The leaf that fills it.
    leaf: usize,
    /// The FROM item of that leaf which has the key.
    source: usize,
    /// What it is called there; `None`: it is written out, from columns that are open as they are.
    within: Option<String>,
    /// Whose subject it is.
    occurrence: OccurrenceId,
}

/// Which hidden columns stand where.
#[derive(Debug, Default)]
pub(super) struct Plan {
    columns: BTreeMap<CarrierId, Vec<Hidden>>,
    /// Occurrences whose derived table has a hidden column.
    within: BTreeSet<OccurrenceId>,
}

/// All that the plan is made from.
pub(super) struct Parts<'a> {
    pub(super) carriers: &'a [Carrier],
    pub(super) occurrences: &'a [Occurrence],
    pub(super) obligations: &'a [RelationObligation],
    pub(super) catalog: &'a Catalog,
    /// The carrier whose rows are lines of a COPY.
    pub(super) copied: Option<CarrierId>,
    /// Rows that rest on wishes have keys whether they are recorded or not: they are read later than the statement begins.
    pub(super) later: bool,
}

/// What was planned.
pub(super) struct Planned {
    /// Which hidden columns stand where.
    pub(super) plan: Plan,
    /// What the log must hold.
    pub(super) disclosure: Disclosure,
    /// The occurrence whose keys stand in each hidden column of the result.
    pub(super) keys: Vec<OccurrenceId>,
    /// Occurrences of which rows, or not all, have no key.
    pub(super) keyless: Vec<OccurrenceId>,
}

impl Parts<'_> {
    /// How a row leads to its subject, where that is recorded, or asked about again.
    fn path(&self, id: OccurrenceId) -> Option<&SubjectPath> {
        let obligation = self.obligations.get(id)?;
        let later = self.later && obligation.rests_on_wishes();
        match obligation {
            RelationObligation::Governed { subject: Some(subject), record, .. } if later || record.is_some() => {
                Some(subject)
            }
            RelationObligation::Governed { .. } | RelationObligation::Open { .. } => None,
        }
    }

    /// Where the key of an occurrence comes from at its own level; `None` where it cannot be had.
    fn key(&self, id: OccurrenceId, name: Option<&String>) -> Option<Option<String>> {
        let path = self.path(id)?;
        let occurrence = self.occurrences.get(id)?;
        name?;
        if occurrence.verb != Verb::Select {
            return Some(None);
        }
        // A star would show a hidden column, so that the key comes from the columns that it shows, if it can.
        let readable = || match self.obligations.get(id)? {
            RelationObligation::Governed { columns, .. } => {
                columns.get(first_column(path)).filter(|column| column.action == Action::Read)
            }
            RelationObligation::Open { .. } => None,
        };
        if (occurrence.star || occurrence.whole) && readable().is_some() {
            return Some(None);
        }
        (!occurrence.whole).then(|| Some(format!("{HIDDEN}_{id}")))
    }

    fn visit(&self, id: CarrierId, plan: &mut Plan) {
        if plan.columns.contains_key(&id) {
            return;
        }
        plan.columns.insert(id, Vec::new());
        let Some(carrier) = self.carriers.get(id).filter(|carrier| !carrier.whole) else { return };
        let mut columns = Vec::new();
        for (leaf, Leaf { rows, sources }) in carrier.leaves.iter().enumerate() {
            for (source, item) in sources.iter().enumerate().filter(|_| *rows) {
                let mut add = |within, occurrence| {
                    let name = format!("{HIDDEN}_q{id}_{}", columns.len());
                    columns.push(Hidden { name, leaf, source, within, occurrence });
                };
                if let Some(occurrence) = item.occurrence
                    && let Some(within) = self.key(occurrence, item.name.as_ref())
                {
                    if within.is_some() {
                        plan.within.insert(occurrence);
                    }
                    add(within, occurrence);
                }
                if let Some(inner) = item.carrier {
                    self.visit(inner, plan);
                    for hidden in plan.columns.get(&inner).into_iter().flatten() {
                        add(Some(hidden.name.clone()), hidden.occurrence);
                    }
                }
            }
        }
        // A WITH query that is named again and again grows without end.
        if columns.len() <= MOST {
            plan.columns.insert(id, columns);
        }
    }

    /// Every occurrence that a carrier's rows are of.
    fn contained(&self, id: CarrierId, seen: &mut BTreeSet<CarrierId>, found: &mut BTreeSet<OccurrenceId>) {
        if !seen.insert(id) {
            return;
        }
        for source in
            self.carriers.get(id).into_iter().flat_map(|carrier| &carrier.leaves).flat_map(|leaf| &leaf.sources)
        {
            found.extend(source.occurrence);
            if let Some(inner) = source.carrier {
                self.contained(inner, seen, found);
            }
        }
    }

    /// What the hidden columns of the statement are, and what the log must hold of it.
    pub(super) fn plan(&self, top: Option<CarrierId>) -> Planned {
        let (mut plan, mut disclosure) = (Plan::default(), Disclosure::default());
        let (mut keys, mut keyless) = (Vec::new(), Vec::new());
        if self.obligations.iter().enumerate().all(|(id, _)| self.path(id).is_none()) {
            // What rests on a wish and says of nobody whose it is has no key either.
            keyless.extend(0..self.obligations.len());
            return Planned { plan, disclosure, keys, keyless };
        }
        if let Some(top) = top {
            self.visit(top, &mut plan);
            if plan.columns.get(&top).is_none_or(Vec::is_empty) {
                plan = Plan::default();
            }
        }
        let mut carried = BTreeSet::new();
        for hidden in top.and_then(|top| plan.columns.get(&top)).into_iter().flatten() {
            carried.insert(hidden.occurrence);
            let obligation = self.obligations.get(hidden.occurrence);
            disclosure.carries(obligation.and_then(|obligation| Disclosed::of(obligation, None)));
            keys.push(hidden.occurrence);
        }
        // A carrier that carries nothing, or not everywhere: what it reads was seen in ways that are not known by row.
        let (mut partly, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for (id, carrier) in self.carriers.iter().enumerate() {
            if carrier.partly || plan.columns.get(&id).is_none_or(Vec::is_empty) {
                self.contained(id, &mut seen, &mut partly);
            }
        }
        for (id, (occurrence, obligation)) in self.occurrences.iter().zip(self.obligations).enumerate() {
            let added = occurrence.verb == Verb::Insert && !occurrence.reads();
            if added || (carried.contains(&id) && !partly.contains(&id) && !occurrence.beyond) {
                continue;
            }
            keyless.push(id);
            if let Some(disclosed) = Disclosed::of(obligation, occurrence.filter_shape.clone()) {
                disclosure.aggregates(disclosed);
            }
        }
        Planned { plan, disclosure, keys, keyless }
    }

    /// The items that stand for the mark of a leaf.
    fn items(&self, plan: &Plan, carrier: CarrierId, leaf: usize) -> Result<Vec<(Expr, String, Facts)>, Fail> {
        let fault = || Refusal::internal(Stage::Rewrite);
        let mut items = Vec::new();
        for hidden in plan.columns.get(&carrier).into_iter().flatten() {
            let (expr, facts) = if hidden.leaf == leaf {
                let source = self.source(carrier, leaf, hidden.source).ok_or_else(fault)?;
                self.value(hidden, source)?
            } else {
                (parse_expression("NULL::pg_catalog.text")?, Facts::default())
            };
            let expr = if self.copied == Some(carrier) {
                // NULL may be written as any text: here it is nothing, and a key begins with `=`.
                parse_expression(&format!("COALESCE('=' || ({}), '')", render_expr(&expr)))?
            } else {
                expr
            };
            items.push((own(expr, self.catalog), hidden.name.clone(), facts));
        }
        Ok(items)
    }

    fn source(&self, carrier: CarrierId, leaf: usize, source: usize) -> Option<&LeafSource> {
        self.carriers.get(carrier)?.leaves.get(leaf)?.sources.get(source)
    }

    fn value(&self, hidden: &Hidden, source: &LeafSource) -> Result<(Expr, Facts), Fail> {
        let fault = || Refusal::internal(Stage::Rewrite);
        if let Some(within) = &hidden.within {
            let parts: Vec<String> = source.name.iter().chain([within]).cloned().collect();
            let mut facts = Facts::default();
            facts.add_column(parts.clone());
            let idents: Vec<_> = parts.iter().map(|part| quoted(part)).collect();
            return Ok((Expr::CompoundIdentifier(idents), facts));
        }
        let occurrence = self.occurrences.get(hidden.occurrence).ok_or_else(fault)?;
        let path = shown(self.path(hidden.occurrence).ok_or_else(fault)?, occurrence);
        let text = format!("{}::pg_catalog.text", filter::subject(&path, source.name.as_ref().ok_or_else(fault)?));
        Ok((parse_expression(&text)?, witness::facts_of(&format!("SELECT {text}"))?))
    }
}

impl Plan {
    /// The name of the hidden column that the derived table of an occurrence has.
    pub(super) fn within(&self, id: OccurrenceId) -> Option<String> {
        self.within.contains(&id).then(|| format!("{HIDDEN}_{id}"))
    }

    /// Puts the hidden columns in the place of a select list's mark, and names where a star would show others.
    pub(super) fn finish(
        &self,
        parts: &Parts<'_>,
        projection: &mut Vec<SelectItem>,
        expected: &mut Facts,
    ) -> Result<(), Fail> {
        let Some(SelectItem::UnnamedExpr(mark)) = projection.last() else { return Ok(()) };
        let Some((carrier, leaf)) = Mark::leaf(mark) else { return Ok(()) };
        projection.pop();
        let sources = parts.carriers.get(carrier).and_then(|carrier| carrier.leaves.get(leaf));
        let sources = sources.map_or(&[][..], |leaf| leaf.sources.as_slice());
        if sources.iter().any(|source| self.hides(source)) {
            let written = std::mem::take(projection);
            for item in written {
                self.name_all(parts, sources, item, projection, expected)?;
            }
        }
        for (expr, name, facts) in parts.items(self, carrier, leaf)? {
            expected.extend(&facts);
            projection.push(SelectItem::ExprWithAlias { expr, alias: quoted(&name) });
        }
        Ok(())
    }

    /// The same for VALUES, which have no subjects of their own.
    pub(super) fn finish_values(&self, parts: &Parts<'_>, values: &mut Values) -> Result<(), Fail> {
        for row in &mut values.rows {
            if let Some((carrier, leaf)) = row.content.last().and_then(Mark::leaf) {
                row.content.pop();
                row.content.extend(parts.items(self, carrier, leaf)?.into_iter().map(|(expr, ..)| expr));
            }
        }
        Ok(())
    }

    /// Whether a FROM item has hidden columns that its star would show.
    fn hides(&self, source: &LeafSource) -> bool {
        source.occurrence.is_some_and(|id| self.within.contains(&id))
            || source.carrier.and_then(|id| self.columns.get(&id)).is_some_and(|columns| !columns.is_empty())
    }

    /// A star over FROM items of which some hide columns, as a list of names.
    fn name_all(
        &self,
        parts: &Parts<'_>,
        sources: &[LeafSource],
        item: SelectItem,
        out: &mut Vec<SelectItem>,
        expected: &mut Facts,
    ) -> Result<(), Fail> {
        let table = match &item {
            SelectItem::Wildcard(_) => None,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                Some(name.0.last().and_then(|part| part.as_ident()).map(name_of).unwrap_or_default())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
            | SelectItem::UnnamedExpr(_)
            | SelectItem::ExprWithAlias { .. }
            | SelectItem::ExprWithAliases { .. } => {
                out.push(item);
                return Ok(());
            }
        };
        let meant: Vec<&LeafSource> = sources.iter().filter(|source| table.is_none() || source.name == table).collect();
        if !meant.iter().any(|source| self.hides(source)) {
            out.push(item);
            return Ok(());
        }
        let fault = || Refusal::internal(Stage::Rewrite);
        let star: Vec<String> = table.into_iter().chain(["*".to_owned()]).collect();
        if !expected.remove_column(&star) {
            return Err(fault());
        }
        for source in meant {
            let name = source.name.as_ref().ok_or_else(fault)?;
            let columns = if self.hides(source) { Some(parts.columns(source).ok_or_else(fault)?) } else { None };
            let Some(columns) = columns else {
                expected.add_column(vec![name.clone(), "*".to_owned()]);
                let kind =
                    SelectItemQualifiedWildcardKind::ObjectName(crate::sql::resolve::quoted_name([name.as_str()]));
                out.push(SelectItem::QualifiedWildcard(kind, plain_star()));
                continue;
            };
            for column in columns {
                expected.add_column(vec![name.clone(), column.clone()]);
                out.push(SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![quoted(name), quoted(&column)])));
            }
        }
        Ok(())
    }
}

impl Parts<'_> {
    /// The columns that the star of a FROM item shows, by name.
    fn columns(&self, source: &LeafSource) -> Option<Vec<String>> {
        let Some(id) = source.occurrence else {
            let left_out = |by_star: &Option<(OccurrenceId, String)>| {
                by_star.as_ref().is_some_and(|(id, column)| match self.obligations.get(*id) {
                    Some(RelationObligation::Governed { columns, .. }) => {
                        columns.get(column).is_none_or(|column| column.action == Action::Omit)
                    }
                    Some(RelationObligation::Open { .. }) | None => false,
                })
            };
            let columns = source.columns.as_ref()?.iter().filter(|(_, by_star)| !left_out(by_star));
            return Some(columns.map(|(name, _)| name.clone()).collect());
        };
        let (occurrence, obligation) = (self.occurrences.get(id)?, self.obligations.get(id)?);
        let RelationObligation::Governed { columns, .. } = obligation else { return None };
        let seen = |name: &String| match columns.get(name).map(|column| &column.action) {
            Some(Action::Read | Action::Mask { .. }) => true,
            Some(Action::Omit | Action::Write) | None => false,
        };
        let names = occurrence.relation.columns.iter().map(|column| &column.name).filter(|name| seen(name));
        Some(names.map(|name| occurrence.shown_as(name).to_owned()).collect())
    }
}

/// The column with which a path begins.
fn first_column(path: &SubjectPath) -> &str {
    match path {
        SubjectPath::Column(column) | SubjectPath::Through { column, .. } => column,
    }
}

/// The path by the names that the statement knows.
fn shown(path: &SubjectPath, occurrence: &Occurrence) -> SubjectPath {
    let named = |column: &str| occurrence.shown_as(column).to_owned();
    match path {
        SubjectPath::Column(column) => SubjectPath::Column(named(column)),
        SubjectPath::Through { column, relation, references, next } => SubjectPath::Through {
            column: named(column),
            relation: relation.clone(),
            references: references.clone(),
            next: next.clone(),
        },
    }
}

fn plain_star() -> sqlparser::ast::WildcardAdditionalOptions {
    sqlparser::ast::WildcardAdditionalOptions::default()
}
