//! Names to catalog columns: what a statement reads, writes and filters by.
//!
//! The resolver walks the AST once, in PostgreSQL's order of visibility. Each table reference becomes an
//! [`Occurrence`] and is replaced in the AST by a marked name that only the rewrite can turn into text; each function
//! is held to the reviewed list and written with its schema. What the walk saw is compared with what PostgreSQL's own
//! tree holds, so a place that the walk forgets is a refusal and not a hole.

mod absence;
mod added;
mod automatic;
mod body;
mod called_column;
mod carry;
mod constant;
mod copy;
mod define;
mod expr;
mod from;
mod function;
mod group;
mod implied;
mod join;
mod joined;
mod json_table;
mod keep;
mod kinds;
mod mark;
mod meant;
mod merge;
mod names;
mod order;
mod output;
mod procedure;
mod query;
mod range;
mod returning;
mod safety;
mod scope;
mod table_function;
mod tested;
mod unknown;
mod window;
mod with;
mod write;
mod xml_table;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use sqlparser::ast::{Expr, Statement};

use crate::catalog::{Catalog, FilledFor, Oid, Relation, TypeClass};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{AccessRequest, ColumnAccess, Lineage, RelationAccess, Shape, Structure, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::text::limits;
use crate::sql::witness::Facts;

pub(super) use added::{base_type, plain_type};
pub(super) use automatic::{looked_at, runs_no_code};
use carry::Carrying;
pub use carry::HIDDEN;
pub(super) use carry::{Carrier, Carry, Leaf, LeafSource};
pub(super) use copy::{copy_in, copy_out};
pub(super) use define::define;
pub(super) use from::is_constant;
pub(super) use implied::check_values;
pub use implied::open_parameters;
pub(super) use mark::Mark;
pub(super) use names::{is_system_column, name_of, parts_of, quoted, quoted_name, system_column_number};
pub(super) use output::output_name;
pub(super) use range::{Range, Side};
pub(super) use scope::{CarrierId, OccurrenceId};
use scope::{Columns, Scope};
pub use tested::{Compared, Given, Tested};

/// Why resolving stopped.
pub(super) type Fail = Refusal;

/// How all names begin that the rewrite gives to tables.
pub(super) const OWN_NAMES: &str = "pgpurpose_";

/// One reference to a relation that is not a system catalog.
#[derive(Debug, Clone)]
pub(super) struct Occurrence {
    /// The relation.
    pub(super) relation: Arc<Relation>,
    /// What the statement calls it: its alias or its name.
    pub(super) alias: String,
    /// Names given by an alias with a column list, by position.
    pub(super) column_aliases: Vec<String>,
    /// What is done to it. A relation that is read stands in FROM and can become a derived table; the target of a write cannot.
    pub(super) verb: Verb,
    /// Columns named, and for what.
    pub(super) uses: BTreeMap<String, BTreeSet<Use>>,
    /// System columns named: where the row stands and which transaction wrote it.
    pub(super) physical: BTreeSet<String>,
    /// A star or a whole-row reference reaches it.
    pub(super) star: bool,
    /// FOR UPDATE, FOR SHARE.
    pub(super) locked: bool,
    /// Columns that are set in rows that are there already.
    pub(super) assigned: BTreeSet<String>,
    /// Its rows are waited for where another transaction has locked them.
    pub(super) waits: bool,
    /// ON CONFLICT DO UPDATE.
    pub(super) upserts: bool,
    /// ONLY.
    pub(super) only: bool,
    /// TABLESAMPLE, as it stands in the AST.
    pub(super) sample: Option<String>,
    /// Its whole row is used otherwise than by a star whose columns can be named: a column more would be seen.
    pub(super) whole: bool,
    /// It is seen beyond its own rows: a window function stands on its level, or rows are kept out by it.
    pub(super) beyond: bool,
    /// The condition of its level, without literals.
    pub(super) filter_shape: Option<String>,
    /// Conditions `column = constant` that may be tested below the mask: column, and the condition's number.
    pub(super) lookups: Vec<Lookup>,
    /// Conditions between which constants its values stand.
    pub(super) ranges: Vec<Range>,
    /// Columns that tell of whom a row is, and are set where no value can be looked at.
    pub(super) unheld: BTreeSet<String>,
    /// Columns that tell of whom a new row is, and are said in it.
    pub(super) said: BTreeSet<String>,
    /// Columns that tell of whom a row is, and are given their default in some row.
    pub(super) defaulted: BTreeSet<String>,
    /// Columns of which some rule masks what is set, and which are set in part.
    pub(super) unkept: BTreeSet<String>,
}

/// A conjunct `column = constant` of WHERE.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    /// The catalog column.
    pub(super) column: String,
    /// The constant or parameter.
    pub(super) value: Expr,
    /// How the statement writes the column.
    pub(super) written: Vec<String>,
}

impl Occurrence {
    /// What a lookup compares.
    pub(super) fn tested(&self, lookup: &Lookup, context: &Context<'_>) -> Tested {
        let oid = self.relation.column(&lookup.column).map_or(0, |column| column.type_oid);
        let compared = Compared::of(context.catalog.type_by_oid(oid).map_or(oid, |ty| ty.base));
        let (relation, column) = (self.relation.name.to_string(), lookup.column.clone());
        Tested { relation, column, compared, value: Given::of(&lookup.value, compared, context.constants) }
    }

    fn mark(&mut self, column: &str, usage: Use) {
        if is_system_column(column) && self.relation.column(column).is_none() {
            self.physical.insert(column.to_owned());
            return;
        }
        let uses = self.uses.entry(column.to_owned()).or_default();
        uses.insert(usage);
        if self.verb != Verb::Select && usage != Use::Write {
            uses.insert(Use::Target);
        }
    }

    fn mark_star(&mut self) {
        self.star = true;
        if self.verb != Verb::Select {
            let columns: Vec<String> = self.relation.columns.iter().map(|column| column.name.clone()).collect();
            for column in columns {
                self.mark(&column, Use::Output);
            }
        }
    }

    /// Whether any column of it is read.
    pub(super) fn reads(&self) -> bool {
        self.star || self.uses.values().flatten().any(|usage| *usage != Use::Write)
    }

    /// The name under which the statement knows a catalog column.
    pub(super) fn shown_as<'a>(&'a self, column: &'a str) -> &'a str {
        self.relation
            .columns
            .iter()
            .position(|candidate| candidate.name == column)
            .and_then(|position| self.column_aliases.get(position))
            .map_or(column, String::as_str)
    }
}

/// A statement whose every name is resolved.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The AST; tables are marked names.
    pub(super) statement: Statement,
    /// Every reference to a relation, in the order the walk met them.
    pub(super) occurrences: Vec<Occurrence>,
    /// What it looks like as a whole.
    pub(super) shape: Shape,
    /// What the AST refers to once marked names are replaced, without what the derived tables will add.
    pub(super) meant: Facts,
    /// System catalogs that it reads, by oid, for the guard.
    pub(super) system: Vec<crate::catalog::Oid>,
    /// A predicate that is not leakproof could run before a row filter.
    pub(super) unsafe_predicates: bool,
    /// The queries whose rows may carry the keys of subjects.
    pub(super) carriers: Vec<Carrier>,
    /// The one whose rows the client gets.
    pub(super) top: Option<CarrierId>,
    /// As lines of a COPY.
    pub(super) copied: bool,
    /// Names of columns that USING or NATURAL compares; `*` where a join gives its columns other names.
    pub(super) merged: BTreeSet<String>,
    /// What it does to the database's structure.
    pub(super) structure: Option<Structure>,
    /// It is only written down, and governed when it is used: the query of a view.
    pub(super) definition: bool,
    /// Its plan is shown.
    pub(super) planned: bool,
    /// A function of it that waits for other sessions.
    pub(super) blocks: Option<String>,
    /// What functions that it calls read and write, and which functions.
    pub(super) called: Vec<(String, Occurrence)>,
}

/// Resolves one statement against PostgreSQL's own reading of it.
///
/// # Errors
/// 42P01, 42703, 42702 for names; 0A000 for forms and functions that are not allowed; 42601 where both parsers differ.
pub(super) fn resolve(
    mut statement: Statement,
    witness: &Facts,
    extra: Facts,
    carry: Carry,
    context: &Context<'_>,
) -> Result<Resolved, Fail> {
    limits::relations(witness.relations().len())?;
    let mut resolver = Resolver::new(context);
    resolver.repeated = safety::repeated_parameters(&statement);
    resolver.no_calls_anywhere()?;
    resolver.seen = extra;
    let planned = matches!(carry, Carry::Plan);
    resolver.carry_rows(carry);
    resolver.statement(&mut statement)?;
    witness.agrees(&resolver.seen)?;
    // What the rewrite adds beside a target is read under its alias, and must not find itself instead.
    let own = |occurrence: &Occurrence| occurrence.alias.starts_with(OWN_NAMES);
    if let Some(occurrence) = resolver.occurrences.iter().find(|occurrence| own(occurrence)) {
        return Err(unsupported(&format!("a table called `{}`, a name that is kept for the proxy,", occurrence.alias)));
    }
    let hidden = |parts: &Vec<String>| parts.iter().any(|part| part.starts_with(HIDDEN));
    if resolver.recording && resolver.seen.columns().iter().any(hidden) {
        return Err(Refusal::new(
            Stage::Resolve,
            SqlState::UNDEFINED_COLUMN,
            format!("names that begin with `{HIDDEN}` are kept for the proxy"),
        ));
    }
    let shape = Shape { grouped: !resolver.may_fail && resolver.is_grouped(&statement) };
    Ok(Resolved { planned, ..resolver.resolved(statement, shape) })
}

/// Whether a text between which words types may be named names none whose casts or checks call what nobody reviewed.
///
/// # Errors
/// 42501.
pub(super) fn open_types(written: &str, context: &Context<'_>) -> Result<(), Fail> {
    Resolver::new(context).type_name(written)
}

/// The walk's state.
pub(super) struct Resolver<'a> {
    context: &'a Context<'a>,
    occurrences: Vec<Occurrence>,
    scopes: Vec<Scope>,
    /// WITH lists in force, innermost last.
    ctes: Vec<(String, Columns, Option<CarrierId>)>,
    /// What the client's text refers to.
    seen: Facts,
    /// What the text that runs refers to.
    meant: Facts,
    system: Vec<crate::catalog::Oid>,
    unsafe_predicates: bool,
    merged: BTreeSet<String>,
    /// What definitions the session sees whole, once a statement asks for one.
    sight: Option<crate::sql::reviewed::definitions::Sight>,
    /// A predicate could fail on a value, which tells of a single row even where only groups may be seen.
    may_fail: bool,
    /// GROUP BY computes what could fail on a row, or does more than compare.
    computed_keys: bool,
    /// Judge by whether a comparison can fail, not by whether it is marked leakproof.
    lenient: bool,
    /// Parameters whose type another place of the statement may decide.
    repeated: HashSet<String>,
    /// A function that waits for other sessions.
    blocks: Option<String>,
    /// What functions that are called read and write, and which functions.
    called: Vec<(String, Occurrence)>,
    /// Depth of queries within queries.
    nested: usize,
    /// How many query levels read relations.
    levels: usize,
    /// Depth of aggregate arguments.
    in_aggregate: bool,
    /// Some table records subjects, or the rows are read later, so that the fields below are kept.
    recording: bool,
    carriers: Vec<Carrier>,
    copied: bool,
    /// What the next query may carry.
    carrying: Carrying,
    /// The carrier that the next SELECT, VALUES or RETURNING is part of, and whether rows stay rows on the way out.
    leaf: Option<(CarrierId, bool)>,
    /// The carrier that the last query became.
    made: Option<CarrierId>,
    /// The innermost level of the columns in an aggregate's arguments.
    deepest: Option<usize>,
}

impl<'a> Resolver<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            occurrences: Vec::new(),
            scopes: Vec::new(),
            ctes: Vec::new(),
            seen: Facts::default(),
            meant: Facts::default(),
            system: Vec::new(),
            unsafe_predicates: false,
            merged: BTreeSet::new(),
            sight: None,
            may_fail: false,
            computed_keys: false,
            lenient: false,
            repeated: HashSet::new(),
            blocks: None,
            called: Vec::new(),
            nested: 0,
            levels: 0,
            in_aggregate: false,
            recording: context.later || context.policies.records_subjects(),
            carriers: Vec::new(),
            copied: false,
            carrying: Carrying::No,
            leaf: None,
            made: None,
            deepest: None,
        }
    }

    fn resolved(self, statement: Statement, shape: Shape) -> Resolved {
        Resolved {
            statement,
            occurrences: self.occurrences,
            shape,
            meant: self.meant,
            system: self.system,
            unsafe_predicates: self.unsafe_predicates,
            top: self.made,
            copied: self.copied,
            carriers: self.carriers,
            merged: self.merged,
            structure: None,
            definition: false,
            planned: false,
            blocks: self.blocks,
            called: self.called,
        }
    }

    fn statement(&mut self, statement: &mut Statement) -> Result<Columns, Fail> {
        if let Some(kind) = kinds::refused_kind(statement) {
            return Err(unsupported(&format!("a statement of the kind {kind}")));
        }
        if let Statement::Query(query) = statement {
            return self.query(query);
        }
        // Taken here, so that nothing inside takes it for its own.
        let (leaf, new) = self.begin_statement();
        let columns = match statement {
            Statement::Insert(insert) => self.insert(insert, leaf),
            Statement::Update(update) => self.update(update, leaf),
            Statement::Delete(delete) => self.delete(delete, leaf),
            Statement::Merge(merge) => self.merge(merge, leaf),
            Statement::Call(call) => self.procedure(call),
            _ => Err(unsupported("this statement")),
        };
        self.made = new;
        columns
    }
}

/// 0A000: `… is not supported`.
pub(super) fn unsupported(what: &str) -> Fail {
    Refusal::unsupported(Stage::Resolve, format!("{what} is not supported"))
}

/// 42P01.
pub(super) fn no_relation(name: &str) -> Fail {
    Refusal::new(Stage::Resolve, SqlState::UNDEFINED_TABLE, format!("relation `{name}` does not exist"))
        .named(name.split('.').map(str::to_owned).collect())
}

/// What is asked of the policy, from the occurrences.
pub(super) fn request(resolved: &Resolved, context: &Context<'_>) -> AccessRequest {
    AccessRequest {
        login: context.login.to_owned(),
        purpose: context.purpose.to_owned(),
        actor: context.actor.map(str::to_owned),
        today: context.today,
        relations: resolved
            .occurrences
            .iter()
            .map(|occurrence| relation_access(occurrence, resolved.planned, context))
            .collect(),
        consequences: resolved
            .occurrences
            .iter()
            .flat_map(|occurrence| automatic::consequences(occurrence, context))
            .chain(resolved.called.iter().flat_map(|(by, occurrence)| body::follows(by, occurrence, context)))
            .chain(
                resolved
                    .occurrences
                    .iter()
                    .chain(resolved.called.iter().map(|(_, occurrence)| occurrence))
                    .flat_map(|occurrence| automatic::by_row_policies(occurrence, context)),
            )
            .collect(),
        shape: resolved.shape,
        structure: resolved.structure.clone(),
    }
}

/// Whose rows come along with a relation, and for what: its own, its descendants', and what its definition reaches.
fn filled(catalog: &Catalog, relation: &Relation) -> BTreeSet<FilledFor> {
    let along = catalog.descendants(relation.oid).into_iter().chain(relation.reaches.iter().copied());
    let mut oids: Vec<Oid> = std::iter::once(relation.oid).chain(along).collect();
    for reached in &relation.reaches {
        oids.extend(catalog.descendants(*reached));
    }
    oids.into_iter().filter_map(|oid| catalog.filled_for(oid)).flatten().cloned().collect()
}

/// What is asked where the plan is shown as well; nothing where that is asked already, or nothing is partitioned.
pub(super) fn planned(resolved: &Resolved, context: &Context<'_>) -> Option<AccessRequest> {
    let partitioned = |occurrence: &Occurrence| {
        let own = &occurrence.relation;
        let below = context.catalog.descendants(own.oid);
        let mut all = below.iter().filter_map(|oid| context.catalog.relation_by_oid(*oid)).chain([own]);
        all.any(|relation| !relation.automatic.partition_key.is_empty())
    };
    if resolved.planned || !resolved.occurrences.iter().any(partitioned) {
        return None;
    }
    let relations = resolved.occurrences.iter().map(|occurrence| relation_access(occurrence, true, context)).collect();
    Some(AccessRequest { relations, ..request(resolved, context) })
}

fn relation_access(occurrence: &Occurrence, planned: bool, context: &Context<'_>) -> RelationAccess {
    let relation = &occurrence.relation;
    let lineage = Lineage::of(context.catalog, relation.oid);
    let mut columns: Vec<ColumnAccess> = occurrence
        .uses
        .iter()
        .map(|(name, uses)| ColumnAccess {
            name: name.clone(),
            class: relation.column(name).map_or(TypeClass::Other, |column| column.class),
            uses: if occurrence.star && uses.iter().all(|used| *used == Use::Write) {
                // RETURNING * shows what was set.
                BTreeSet::from([Use::Write, Use::Star])
            } else {
                uses.clone()
            },
        })
        .collect();
    if occurrence.star {
        columns.extend(relation.columns.iter().filter(|column| !occurrence.uses.contains_key(&column.name)).map(
            |column| ColumnAccess { name: column.name.clone(), class: column.class, uses: BTreeSet::from([Use::Star]) },
        ));
    }
    RelationAccess {
        relation: relation.name.clone(),
        ancestors: lineage.ancestors,
        reaches: lineage.reaches,
        opaque: lineage.opaque,
        verb: occurrence.verb,
        star: occurrence.star,
        columns,
        temporary: context.catalog.is_temporary(relation.oid),
        filled: filled(context.catalog, relation),
        whole_row_write: occurrence.locked || occurrence.verb == Verb::Delete,
        automatic: automatic::of(occurrence, planned, context),
    }
}
