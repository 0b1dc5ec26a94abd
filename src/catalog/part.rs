//! Reads a part of the structure: the relations that a statement touched, and what goes with them.
//!
//! What is asked and how it is applied errs to one side only: where more may have changed than is told, the answer is that everything has to be
//! read ([`Unapplied`]). Two questions are there, for most relations have neither parents nor children, keys to others, rules, triggers, checks,
//! defaults nor domains, and to ask for all of these costs the server thrice as much as to say that none is there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::automatic::Automatic;
use super::changes::{Families, Read, RelationRow, TypeRow, Unapplied, column, families, kind_of, listed};
use super::load::FIRST_USER_OID;
use super::snapshot::Temporary;
use super::{Catalog, Oid, Relation, RelationKind, RelationName, Touched, TypeClass};

/// With nothing but these in the path every name of a type that is not built in is told in full.
const PATH: &str = "pg_catalog, pg_temp";

/// What is asked about relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// [`within_query`](super::within_query) has to be asked; else [`plain_query`](super::plain_query) may be.
    pub within: bool,
    /// Its parameter: numbers and names as JSON.
    pub about: String,
}

/// What an answer tells.
#[derive(Debug)]
pub enum Told {
    /// The snapshot with it.
    Next(Box<Catalog>),
    /// Something goes with the relations: [`within_query`](super::within_query) tells what.
    More,
}

/// What has become of one relation.
struct Anew {
    relation: Relation,
    own: bool,
}

impl Catalog {
    /// What has to be asked about what was touched; `None` where that has to be everything. `within`: an answer was that there is more.
    pub fn question(&self, touched: &Touched, within: bool) -> Option<Question> {
        let (oids, names) = match touched {
            Touched::Everything => return None,
            Touched::Nothing => (BTreeSet::new(), BTreeSet::new()),
            Touched::These { oids, names } => (oids.clone(), names.clone()),
        };
        // What a type calls is held by names too, of which the server gives an array's as it likes.
        if self.hooked || !self.calling_types.is_empty() {
            return None;
        }
        let mut first: BTreeSet<Oid> = oids;
        first.extend(names.iter().filter_map(|name| self.relation(name)).map(|relation| relation.oid));
        first.retain(|oid| *oid >= FIRST_USER_OID);
        // Of an index, the table: its key and what it ties go with it.
        let part = |oid: &&Oid| self.relations.get(*oid).is_some_and(|relation| is_part(relation.kind));
        let owners: Vec<Oid> = first.iter().filter(part).filter_map(|oid| self.owner_of(*oid)).collect();
        first.extend(owners);
        let mut tree = first.clone();
        tree.extend(first.iter().flat_map(|oid| self.descendants(*oid)));
        let referred = self.referred.iter().filter_map(|oid| self.relations.get(oid));
        let referred: Vec<Oid> = referred.filter(|held| refers(&held.automatic, &tree)).map(|held| held.oid).collect();
        let plain = referred.is_empty()
            && tree.iter().filter_map(|oid| self.relations.get(oid)).all(|held| self.is_plain(held));
        if !plain {
            let parents = tree.iter().filter_map(|oid| self.relations.get(oid)).flat_map(|held| held.parents.clone());
            let parents: Vec<Oid> = parents.collect();
            tree.extend(parents);
            tree.extend(referred);
        }
        let mut queue: Vec<Oid> = tree.iter().copied().collect();
        while let Some(oid) = queue.pop() {
            queue.extend(self.parts.get(&oid).into_iter().flatten().copied().filter(|part| tree.insert(*part)));
        }
        let names: Vec<(&str, &str)> = names.iter().map(|name| (&*name.schema, &*name.name)).collect();
        let about = in_ascii(&serde_json::json!({ "oids": tree, "names": names }).to_string());
        Some(Question { within: within || !plain, about })
    }

    /// Finds the relations that keys refer to, once any relation's [`Automatic`] may be another: to look through all of them each time costs
    /// more than all else of a part.
    pub(super) fn find_referred(&mut self) {
        let referred = self.relations.values().filter(|held| !held.automatic.referenced.is_empty());
        self.referred = Arc::new(referred.map(|held| held.oid).collect());
    }

    /// Finds what functions return that are not the system's, once they may be others.
    pub(super) fn find_returned(&mut self) {
        let own = self.functions.values().flatten().filter(|function| function.oid >= FIRST_USER_OID);
        self.returned = Arc::new(own.map(|function| function.returns).collect());
    }

    /// Whether nothing goes with a relation but its parts.
    fn is_plain(&self, relation: &Relation) -> bool {
        let alone = relation.parents.is_empty() && relation.children.is_empty() && relation.reaches.is_empty();
        let simple = matches!(relation.kind, RelationKind::Table) || is_part(relation.kind);
        alone && simple && relation.automatic == Automatic::default() && !self.rules.direct.contains_key(&relation.oid)
    }

    /// The snapshot with the answer to a [`Question`], under another epoch. `shared`: for every session, so that temporary relations have no
    /// place in it.
    ///
    /// # Errors
    /// [`Unapplied`]: everything has to be read.
    pub fn told(&self, rows: &[(String, Option<String>)], epoch: u64, shared: bool) -> Result<Told, Unapplied> {
        let read = Read(rows);
        match (read.text("plain"), read.text("hooked")) {
            (Some("true"), _) | (None, Some("false")) => {}
            (Some("false"), _) => return Ok(Told::More),
            (Some(_), _) | (None, _) => return Err(Unapplied::Others),
        }
        if read.text("path") != Some(PATH) {
            return Err(Unapplied::Others);
        }
        let within = read.text("plain").is_none();
        let mut next = self.clone();
        next.epoch = epoch;
        let asked = read.oids("asked")?;
        let rows: Vec<RelationRow> = read.each("relation")?;
        let types: Vec<TypeRow> = read.each("type")?;
        if types.iter().any(|row| self.calling_values.contains_key(&row.0)) {
            // What a row's type calls may be less now.
            return Err(Unapplied::Others);
        }
        // What is gone first: its names may be another's by now.
        next.leave_out(&asked, &rows, shared);
        next.name_types(&types)?;
        next.add_types(&types)?;
        let families = families(read.each::<Vec<(Oid, Oid)>>("inherits")?.pop().unwrap_or_default());
        let automatic = if within { super::load::automatic::read(&read)? } else { BTreeMap::new() };
        let anew = next.anew(rows, &families, &automatic);
        self.none_is_called_otherwise(&anew)?;
        self.no_function_of(&self.other_shapes(&asked, &anew))?;
        next.put_anew(anew, shared, read.text("temporary"))?;
        next.put_parts_told(&asked, read.each::<Vec<(Oid, Oid)>>("parts")?.pop().unwrap_or_default());
        if within {
            next.put_rules_of(&asked, read.each("rule")?);
            next.find_referred();
        }
        next.put_calls(&types);
        Ok(Told::Next(Box::new(next)))
    }

    /// Types of another number that had a name which is another's now: PostgreSQL gives what it named itself a new one.
    fn name_types(&self, rows: &[TypeRow]) -> Result<(), Unapplied> {
        let taken = |row: &TypeRow| self.types.called(&row.2).any(|held| held.oid != row.0 && held.schema == row.1);
        if rows.iter().any(taken) { Err(Unapplied::Others) } else { Ok(()) }
    }

    fn anew(
        &self,
        rows: Vec<RelationRow>,
        (parents, children): &Families,
        automatic: &BTreeMap<Oid, Automatic>,
    ) -> Vec<Anew> {
        let anew = rows.into_iter().map(|(oid, schema, name, kind, columns, key, own, deferrable_key)| {
            let before = self.relations.get(&oid);
            let relation = Relation {
                oid,
                name: RelationName { schema, name },
                kind: kind_of(&kind),
                columns: columns.into_iter().map(|row| column(row, &self.types)).collect(),
                primary_key: key.unwrap_or_default(),
                deferrable_key,
                parents: listed(parents, oid).to_vec(),
                children: listed(children, oid).to_vec(),
                reaches: before.map(|before| before.reaches.clone()).unwrap_or_default(),
                opaque: before.is_some_and(|before| before.opaque),
                automatic: automatic.get(&oid).cloned().unwrap_or_default(),
            };
            Anew { relation, own }
        });
        anew.collect()
    }

    /// A relation has another name, though nothing that is read in part gives it one: what names its type is told of it as a whole.
    fn none_is_called_otherwise(&self, anew: &[Anew]) -> Result<(), Unapplied> {
        let other = |now: &Anew| {
            let held = self.relations.get(&now.relation.oid).filter(|held| !is_part(held.kind));
            held.is_some_and(|held| held.name != now.relation.name)
        };
        if anew.iter().any(other) { Err(Unapplied::Others) } else { Ok(()) }
    }

    /// Relations that are gone or have other columns, of those that were asked about.
    fn other_shapes(&self, asked: &HashSet<Oid>, anew: &[Anew]) -> Vec<Arc<Relation>> {
        let same = |held: &Relation| {
            let now = anew.iter().find(|now| now.relation.oid == held.oid);
            now.is_some_and(|now| now.relation.columns == held.columns)
        };
        let held = asked.iter().filter_map(|oid| self.relations.get(oid));
        held.filter(|held| !is_part(held.kind) && !same(held)).map(Arc::clone).collect()
    }

    /// A function whose rows are of such a relation has other columns now.
    fn no_function_of(&self, shapes: &[Arc<Relation>]) -> Result<(), Unapplied> {
        let rows = self.row_types(shapes);
        let of = |returns: &Oid| {
            let element = self.types.get(returns).and_then(|ty| ty.element);
            rows.contains(returns) || element.is_some_and(|element| rows.contains(&element))
        };
        if !rows.is_empty() && self.returned.iter().any(of) { Err(Unapplied::Others) } else { Ok(()) }
    }

    fn row_types(&self, relations: &[Arc<Relation>]) -> Vec<Oid> {
        let named = relations.iter().map(|relation| &relation.name);
        let types = named.flat_map(|name| self.types.called(&name.name).filter(|ty| ty.schema == name.schema));
        types.filter(|ty| ty.class == TypeClass::Composite).map(|ty| ty.oid).collect()
    }

    /// Takes out what is not there any more, with its row's type.
    fn leave_out(&mut self, asked: &HashSet<Oid>, rows: &[RelationRow], shared: bool) {
        let there: HashSet<Oid> = rows.iter().filter(|row| !(shared && row.6)).map(|row| row.0).collect();
        let gone: Vec<Arc<Relation>> =
            asked.iter().filter(|oid| !there.contains(oid)).filter_map(|oid| self.relations.remove(oid)).collect();
        // One or two, and every type is held against them.
        let rows = self.row_types(&gone);
        if !rows.is_empty() {
            self.types
                .retain(|ty| !rows.contains(&ty.oid) && !ty.element.is_some_and(|element| rows.contains(&element)));
        }
        for relation in &gone {
            if self.by_name.get(&relation.name) == Some(&relation.oid) {
                self.by_name.remove(&relation.name);
            }
            if let Some(temporary) = &mut self.temporary {
                temporary.relations.remove(&relation.oid);
            }
            self.parts.remove(&relation.oid);
        }
    }

    fn put_anew(&mut self, anew: Vec<Anew>, shared: bool, space: Option<&str>) -> Result<(), Unapplied> {
        let mut temporary = self.temporary.take().unwrap_or_default();
        // All names that are free now, before any is taken.
        for now in &anew {
            let held = self.relations.get(&now.relation.oid).map(|held| held.name.clone());
            if let Some(name) = held.filter(|name| *name != now.relation.name) {
                self.by_name.remove(&name);
            }
        }
        for Anew { relation, own } in anew.into_iter().filter(|now| !(shared && now.own)) {
            match self.by_name.get(&relation.name) {
                Some(oid) if *oid != relation.oid => return Err(Unapplied::Others),
                Some(_) => {}
                None => drop(self.by_name.insert(relation.name.clone(), relation.oid)),
            }
            if own {
                temporary.relations.insert(relation.oid);
            }
            if self.relations.get(&relation.oid).is_none_or(|held| **held != relation) {
                self.relations.insert(relation.oid, Arc::new(relation));
            }
        }
        self.put_temporary(temporary, if shared { None } else { space });
        Ok(())
    }

    fn put_temporary(&mut self, mut temporary: Temporary, space: Option<&str>) {
        if let Some(space) = space {
            space.clone_into(&mut temporary.schema);
            self.schemas.insert(temporary.schema.clone());
        }
        if !temporary.relations.is_empty() {
            self.temporary = Some(temporary);
        }
    }

    fn put_parts_told(&mut self, asked: &HashSet<Oid>, pairs: Vec<(Oid, Oid)>) {
        let mut found: BTreeMap<Oid, Vec<Oid>> = asked.iter().map(|oid| (*oid, Vec::new())).collect();
        for (owner, part) in pairs {
            found.entry(owner).or_default().push(part);
        }
        for (owner, mut parts) in found {
            parts.retain(|part| self.relations.contains_key(&owner) && self.relations.contains_key(part));
            self.put_parts_of(owner, parts);
        }
    }

    fn put_rules_of(&mut self, asked: &HashSet<Oid>, rows: Vec<(Oid, Option<Vec<Oid>>, bool)>) {
        if rows.is_empty() && !asked.iter().any(|oid| self.rules.direct.contains_key(oid)) {
            return;
        }
        let rules = Arc::make_mut(&mut self.rules);
        for oid in asked {
            rules.direct.remove(oid);
            rules.untold.remove(oid);
        }
        for (oid, reached, untold) in rows {
            rules.direct.entry(oid).or_default().extend(reached.unwrap_or_default());
            if untold {
                rules.untold.insert(oid);
            }
        }
        let ruled: HashSet<Oid> = rules.direct.keys().copied().collect();
        for oid in asked.iter().filter(|oid| !ruled.contains(oid)) {
            let held = self.relations.get(oid).is_some_and(|held| held.opaque || !held.reaches.is_empty());
            if held && let Some(relation) = self.relations.get_mut(oid) {
                let relation = Arc::make_mut(relation);
                (relation.reaches, relation.opaque) = (Vec::new(), false);
            }
        }
        self.follow_rules();
    }
}

/// JSON without a sign beyond ASCII: a session's texts may be read in another encoding.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for sign in json.chars() {
        if sign.is_ascii() {
            text.push(sign);
            continue;
        }
        for unit in sign.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

/// Indexes, sequences and TOAST tables belong to a table.
fn is_part(kind: RelationKind) -> bool {
    match kind {
        RelationKind::Sequence | RelationKind::Toast | RelationKind::Other => true,
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::ForeignTable => false,
    }
}

/// Whether a key of one of these refers to it.
fn refers(automatic: &Automatic, tree: &BTreeSet<Oid>) -> bool {
    automatic.referenced.iter().any(|reference| tree.contains(&reference.from))
}
