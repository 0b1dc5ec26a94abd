//! Applies what has changed in a database to a snapshot of it, so that a change costs what it touches.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::automatic::Automatic;
use super::load::FIRST_USER_OID;
use super::load::rows::{RawType, class_of, closure};
use super::snapshot::Temporary;
use super::type_map::Types;
use super::{
    Catalog, Column, Function, FunctionKind, Oid, Relation, RelationKind, RelationName, Type, TypeClass, Volatility,
};

/// What was read cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unapplied {
    /// Operators, casts, operator classes, range types or extensions have changed: what they call is only told by a whole load.
    #[error("operators, casts or extensions have changed")]
    Others,
    /// Not what the query gives.
    #[error("the changes of the catalog cannot be read")]
    Unreadable,
}

/// Number, name, type, type as text, generated, base type as text.
pub(super) type ColumnRow = (i16, String, Oid, String, bool, String);
/// Oid, schema, name, kind, columns, primary key, temporary, whether the key is deferrable.
pub(super) type RelationRow = (Oid, String, String, String, Vec<ColumnRow>, Option<Vec<i16>>, bool, bool);
/// Oid, schema, name, kind, base type, element type, relation of a row type, citext.
pub(super) type TypeRow = (Oid, String, String, String, Oid, Oid, Oid, bool);

#[derive(serde::Deserialize)]
struct FunctionRow(
    Oid,
    String,
    String,
    String,
    String,
    bool,
    String,
    Option<String>,
    bool,
    Vec<Oid>,
    Oid,
    Option<Vec<Option<String>>>,
    Option<Vec<String>>,
    bool,
    Option<Vec<String>>,
    Option<String>,
);

/// The rows of one reading, by their first word.
pub(super) struct Read<'a>(pub(super) &'a [(String, Option<String>)]);

impl Read<'_> {
    pub(super) fn text(&self, word: &str) -> Option<&str> {
        self.0.iter().find(|(first, _)| first == word).and_then(|(_, second)| second.as_deref())
    }

    /// What follows a word, each time it stands there.
    pub(super) fn each<T: DeserializeOwned>(&self, word: &str) -> Result<Vec<T>, Unapplied> {
        let rows = self.0.iter().filter(|(first, _)| first == word).filter_map(|(_, second)| second.as_deref());
        rows.map(|row| serde_json::from_str(row).map_err(|_| Unapplied::Unreadable)).collect()
    }

    /// Numbers, which PostgreSQL writes as strings or as they are; none where nothing is there.
    pub(super) fn oids(&self, word: &str) -> Result<HashSet<Oid>, Unapplied> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Number {
            Plain(Oid),
            Quoted(String),
        }
        let Some(text) = self.text(word) else { return Ok(HashSet::new()) };
        let numbers: Vec<Number> = serde_json::from_str(text).map_err(|_| Unapplied::Unreadable)?;
        let read = numbers.into_iter().map(|number| match number {
            Number::Plain(oid) => Ok(oid),
            Number::Quoted(text) => text.parse().map_err(|_| Unapplied::Unreadable),
        });
        read.collect()
    }
}

impl Catalog {
    /// The transaction number from which on changes are not in the snapshot; `None` where it was not read from a server.
    pub fn since(&self) -> Option<u32> {
        self.since
    }

    /// The snapshot with these changes, under another epoch. `rows` are those of [`changed_query`](super::changed_query) since
    /// [`since`](Self::since), first word and JSON. `shared`: for every session, so that temporary relations have no place in it.
    ///
    /// # Errors
    /// [`Unapplied`]: only a whole load tells.
    pub fn changed(&self, rows: &[(String, Option<String>)], epoch: u64, shared: bool) -> Result<Self, Unapplied> {
        let read = Read(rows);
        if shared && (read.text("counted") != Some(&*self.counted) || read.text("recent") != Some("false")) {
            return Err(Unapplied::Others);
        }
        let mut next = self.clone();
        next.epoch = epoch;
        next.since = Some(read.text("since").and_then(|since| since.parse().ok()).ok_or(Unapplied::Unreadable)?);
        next.schemas = read.each::<BTreeSet<String>>("schemas")?.pop().ok_or(Unapplied::Unreadable)?;
        next.hooked = read.text("hooked") != Some("false");
        let types = next.put_types(&read)?;
        if shared && types.iter().any(|row| next.calling_values.contains_key(&row.0) && self.types.contains_key(row.0))
        {
            // What it calls may be less.
            return Err(Unapplied::Others);
        }
        next.put_relations(&read, shared)?;
        let gone = || {
            self.types.values().any(|ty| !next.types.contains_key(ty.oid))
                || self.relations.iter().any(|(oid, _)| !next.relations.contains_key(oid))
        };
        if shared && !self.calling_types.is_empty() && gone() {
            // What types call is held by their names too, those of arrays among them.
            return Err(Unapplied::Others);
        }
        next.put_inherits(&read)?;
        next.put_parts(read.each::<Vec<(Oid, Oid)>>("parts")?.pop().unwrap_or_default());
        next.put_rules(&read)?;
        next.put_automatic(&read)?;
        next.find_referred();
        next.put_functions(&read)?;
        next.put_called(&read)?;
        next.put_calls(&types);
        Ok(next)
    }

    fn put_types(&mut self, read: &Read<'_>) -> Result<Vec<TypeRow>, Unapplied> {
        let there = read.oids("types")?;
        let rows: Vec<TypeRow> = read.each("type")?;
        self.types.retain(|ty| ty.oid < FIRST_USER_OID || there.contains(&ty.oid));
        self.add_types(&rows)?;
        Ok(rows)
    }

    pub(super) fn add_types(&mut self, rows: &[TypeRow]) -> Result<(), Unapplied> {
        let types = &mut self.types;
        // A domain's base comes before it, by number or by another turn.
        let mut left: Vec<&TypeRow> = rows.iter().collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|row| match typed(row, types, rows) {
                Some(ty) => {
                    if types.get(&ty.oid) != Some(&ty) {
                        types.insert(ty);
                    }
                    false
                }
                None => true,
            });
            if left.len() == before {
                return Err(Unapplied::Unreadable);
            }
        }
        Ok(())
    }

    /// What belongs to which relation, of all relations.
    pub(super) fn put_parts(&mut self, pairs: Vec<(Oid, Oid)>) {
        let mut found: BTreeMap<Oid, Vec<Oid>> = BTreeMap::new();
        for (owner, part) in pairs {
            if self.relations.contains_key(&owner) && self.relations.contains_key(&part) {
                found.entry(owner).or_default().push(part);
            }
        }
        self.parts.retain(|owner, _| found.contains_key(owner));
        for (owner, parts) in found {
            self.put_parts_of(owner, parts);
        }
    }

    pub(super) fn put_parts_of(&mut self, owner: Oid, mut parts: Vec<Oid>) {
        parts.sort_unstable();
        parts.dedup();
        if parts.is_empty() {
            self.parts.remove(&owner);
        } else if self.parts.get(&owner) != Some(&parts) {
            self.parts.insert(owner, parts);
        }
    }

    fn put_relations(&mut self, read: &Read<'_>, shared: bool) -> Result<(), Unapplied> {
        let there = read.oids("relations")?;
        let (relations, by_name) = (&mut self.relations, &mut self.by_name);
        relations.retain(|oid, _| *oid < FIRST_USER_OID || there.contains(oid));
        self.temporary = None;
        let mut temporary =
            Temporary { schema: read.text("temporary").unwrap_or_default().to_owned(), ..Temporary::default() };
        for (oid, schema, name, kind, columns, key, own, deferrable_key) in read.each::<RelationRow>("relation")? {
            if own && shared {
                continue;
            }
            if own {
                temporary.relations.insert(oid);
            }
            let columns = columns.into_iter().map(|row| column(row, &self.types)).collect();
            let before = relations.get(&oid);
            let relation = Relation {
                oid,
                name: RelationName { schema, name },
                kind: kind_of(&kind),
                columns,
                primary_key: key.unwrap_or_default(),
                deferrable_key,
                parents: before.map(|before| before.parents.clone()).unwrap_or_default(),
                children: before.map(|before| before.children.clone()).unwrap_or_default(),
                reaches: before.map(|before| before.reaches.clone()).unwrap_or_default(),
                opaque: before.is_some_and(|before| before.opaque),
                automatic: before.map(|before| before.automatic.clone()).unwrap_or_default(),
            };
            relations.insert(oid, Arc::new(relation));
        }
        let keyed = read.oids("keys")?;
        relations.update(|relation| {
            let gone =
                relation.oid >= FIRST_USER_OID && !relation.primary_key.is_empty() && !keyed.contains(&relation.oid);
            gone.then(|| Arc::new(Relation { primary_key: Vec::new(), ..(**relation).clone() }))
        });
        by_name.retain(|name, oid| relations.get(oid).is_some_and(|relation| relation.name == *name));
        for relation in relations.values() {
            if by_name.get(&relation.name) != Some(&relation.oid) {
                by_name.insert(relation.name.clone(), relation.oid);
            }
        }
        if !temporary.relations.is_empty() {
            self.temporary = Some(temporary);
        }
        Ok(())
    }

    fn put_inherits(&mut self, read: &Read<'_>) -> Result<(), Unapplied> {
        let pairs: Vec<(Oid, Oid)> = match read.text("inherits") {
            Some(text) => serde_json::from_str(text).map_err(|_| Unapplied::Unreadable)?,
            None => Vec::new(),
        };
        let (parents, children) = families(pairs);
        self.relations.update(|relation| {
            let (above, below) = (listed(&parents, relation.oid), listed(&children, relation.oid));
            let same = relation.oid < FIRST_USER_OID || relation.parents == above && relation.children == below;
            let changed = || Relation { parents: above.to_vec(), children: below.to_vec(), ..(**relation).clone() };
            (!same).then(|| Arc::new(changed()))
        });
        Ok(())
    }

    fn put_rules(&mut self, read: &Read<'_>) -> Result<(), Unapplied> {
        let rows: Vec<(Oid, Option<Vec<Oid>>, bool)> = read.each("rule")?;
        let rules = Arc::make_mut(&mut self.rules);
        let mut anew = HashSet::new();
        for (relation, reached, untold) in rows {
            if anew.insert(relation) {
                rules.direct.remove(&relation);
                rules.untold.remove(&relation);
            }
            rules.direct.entry(relation).or_default().extend(reached.unwrap_or_default());
            if untold {
                rules.untold.insert(relation);
            }
        }
        self.follow_rules();
        Ok(())
    }

    /// What rules reach, by what they name.
    pub(super) fn follow_rules(&mut self) {
        let rules = Arc::make_mut(&mut self.rules);
        rules.direct.retain(|relation, _| self.relations.contains_key(relation));
        rules.untold.retain(|relation| self.relations.contains_key(relation));
        let ruled: Vec<Oid> = rules.direct.keys().copied().filter(|oid| *oid >= FIRST_USER_OID).collect();
        for oid in ruled {
            let reached = closure(&rules.direct, oid);
            let opaque = rules.untold.contains(&oid)
                || reached.iter().any(|at| rules.untold.contains(at) || !self.relations.contains_key(at));
            let reached: Vec<Oid> = reached.into_iter().collect();
            let held = self.relations.get(&oid);
            if held.is_some_and(|relation| relation.reaches != reached || relation.opaque != opaque)
                && let Some(relation) = self.relations.get_mut(&oid)
            {
                let relation = Arc::make_mut(relation);
                (relation.reaches, relation.opaque) = (reached, opaque);
            }
        }
    }

    fn put_automatic(&mut self, read: &Read<'_>) -> Result<(), Unapplied> {
        // Where it was not asked for, what was there stays.
        if read.text("automatic").is_none() {
            return Ok(());
        }
        let found = super::load::automatic::read(read)?;
        // Of these alone, where they are named.
        let of = read.text("asked").map(|_| read.oids("asked")).transpose()?;
        let nothing = Automatic::default();
        self.relations.update(|relation| {
            let own = found.get(&relation.oid).unwrap_or(&nothing);
            let told = relation.oid >= FIRST_USER_OID && of.as_ref().is_none_or(|of| of.contains(&relation.oid));
            let same = !told || relation.automatic == *own;
            (!same).then(|| Arc::new(Relation { automatic: own.clone(), ..(**relation).clone() }))
        });
        Ok(())
    }

    fn put_functions(&mut self, read: &Read<'_>) -> Result<(), Unapplied> {
        let there = read.oids("functions")?;
        let rows: Vec<FunctionRow> = read.each("function")?;
        let gone = |function: &Function| function.oid >= FIRST_USER_OID && !there.contains(&function.oid);
        if rows.is_empty() && !self.functions.values().flatten().any(gone) {
            return Ok(());
        }
        let anew: HashSet<Oid> = rows.iter().map(|row| row.0).collect();
        let functions = Arc::make_mut(&mut self.functions);
        for named in functions.values_mut() {
            named.retain(|function| !gone(function) && !anew.contains(&function.oid));
        }
        functions.retain(|_, named| !named.is_empty());
        for row in rows {
            let function = function(row);
            let named = functions.entry(function.name.clone()).or_default();
            let at = named.partition_point(|other| other.oid < function.oid);
            named.insert(at, function);
        }
        self.find_returned();
        Ok(())
    }

    /// What a new type calls by what it is made of: elements, base types, columns.
    pub(super) fn put_calls(&mut self, rows: &[TypeRow]) {
        if self.calling_values.keys().all(|oid| *oid == 0) && self.calling_types.is_empty() {
            return;
        }
        for _ in 0..rows.len() {
            let mut more = false;
            for (oid, _, name, _, base, element, row, _) in rows {
                let columns =
                    self.relations.get(row).map(|relation| relation.columns.iter().map(|column| column.type_oid));
                let parts: Vec<Oid> = [*base, *element].into_iter().chain(columns.into_iter().flatten()).collect();
                for part in parts.into_iter().filter(|part| *part >= FIRST_USER_OID) {
                    more |= self.call_as(*oid, name, part);
                }
            }
            if !more {
                return;
            }
        }
    }

    /// A type calls what a part of it calls; whether that is new.
    fn call_as(&mut self, oid: Oid, name: &str, part: Oid) -> bool {
        let by_value = self.calling_values.get(&part).cloned().unwrap_or_default();
        let part_name = self.types.get(&part).map(|ty| ty.name.clone()).unwrap_or_default();
        let by_name = self.calling_types.get(&part_name).cloned().unwrap_or_default();
        let mut more = false;
        if !by_value.is_empty() {
            more |= add(Arc::make_mut(&mut self.calling_values).entry(oid).or_default(), by_value);
        }
        if !by_name.is_empty() {
            more |= add(Arc::make_mut(&mut self.calling_types).entry(name.to_owned()).or_default(), by_name);
        }
        more
    }
}

/// By child its parents, and by parent its children.
pub(super) type Families = (BTreeMap<Oid, Vec<Oid>>, BTreeMap<Oid, Vec<Oid>>);

/// From pairs of child and parent.
pub(super) fn families(pairs: Vec<(Oid, Oid)>) -> Families {
    let (mut parents, mut children) = Families::default();
    for (child, parent) in pairs {
        parents.entry(child).or_default().push(parent);
        children.entry(parent).or_default().push(child);
    }
    (parents, children)
}

pub(super) fn listed(lists: &BTreeMap<Oid, Vec<Oid>>, oid: Oid) -> &[Oid] {
    lists.get(&oid).map_or(&[], Vec::as_slice)
}

fn add(calls: &mut Vec<(String, String)>, more: Vec<(String, String)>) -> bool {
    let before = calls.len();
    for call in more {
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
    calls.len() > before
}

/// `None` while a domain's base is among the rows that were not put yet.
fn typed(row: &TypeRow, types: &Types, rows: &[TypeRow]) -> Option<Type> {
    let (oid, schema, name, kind, base, element, relation, citext) = row.clone();
    let (mut class, mut under) = (None, oid);
    if kind == "d" {
        let waits =
            rows.iter().any(|other| other.0 == base) && !types.get(&base).is_some_and(|_| is_put(base, types, rows));
        if waits {
            return None;
        }
        let known = types.get(&base);
        class = known.map(|ty| ty.class);
        under = known.map_or(base, |ty| ty.base);
    }
    let raw = RawType { oid, schema: schema.clone(), name: name.clone(), kind, base, element, relation, citext };
    let element = (element != 0).then_some(element);
    Some(Type { oid, schema, name, class: class.unwrap_or_else(|| class_of(&raw)), base: under, element })
}

/// Whether what stands under this number is what the rows say.
fn is_put(oid: Oid, types: &Types, rows: &[TypeRow]) -> bool {
    rows.iter().filter(|row| row.0 == oid).all(|row| {
        types.get(&oid).is_some_and(|ty| ty.name == row.2 && ty.schema == row.1 && (row.3 != "d" || ty.base != ty.oid))
    })
}

pub(super) fn column(row: ColumnRow, types: &Types) -> Column {
    let (number, name, type_oid, type_sql, generated, base_sql) = row;
    let ty = types.get(&type_oid);
    Column {
        number,
        name,
        type_oid,
        type_sql,
        class: ty.map_or(TypeClass::Other, |ty| ty.class),
        base_oid: ty.map_or(type_oid, |ty| ty.base),
        base_sql,
        generated,
    }
}

/// `pg_class.relkind`.
pub(super) fn kind_of(kind: &str) -> RelationKind {
    match kind {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        "S" => RelationKind::Sequence,
        "t" => RelationKind::Toast,
        _ => RelationKind::Other,
    }
}

fn function(row: FunctionRow) -> Function {
    let FunctionRow(
        oid,
        schema,
        name,
        kind,
        volatility,
        leakproof,
        language,
        extension,
        security_definer,
        arguments,
        returns,
        names,
        modes,
        returns_set,
        of_row,
        body,
    ) = row;
    let named = names.unwrap_or_default().into_iter().zip(modes.unwrap_or_default());
    let mut columns: Vec<String> = named
        .filter(|(_, mode)| matches!(mode.as_str(), "o" | "b" | "t"))
        .map(|(name, _)| name.unwrap_or_default())
        .collect();
    if columns.is_empty() {
        columns = of_row.unwrap_or_default();
    }
    Function {
        oid,
        schema,
        name,
        kind: match kind.as_str() {
            "p" => FunctionKind::Procedure,
            "a" => FunctionKind::Aggregate,
            "w" => FunctionKind::Window,
            _ => FunctionKind::Plain,
        },
        volatility: match volatility.as_str() {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        leakproof,
        language,
        extension,
        security_definer,
        arguments,
        returns,
        columns,
        returns_set,
        body,
    }
}
