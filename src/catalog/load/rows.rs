//! Rows of the system catalogs to the snapshot's parts.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Error, Row};

use super::FIRST_USER_OID;
use crate::catalog::automatic::Automatic;
use crate::catalog::changes::kind_of;
use crate::catalog::snapshot::Rules;
use crate::catalog::{
    Column, Function, FunctionKind, Oid, Relation, RelationKind, RelationName, Type, TypeClass, Volatility,
    builtin as t,
};

/// By oid: the type, and the relation that describes its row, 0 where it has none.
pub(super) type Types = BTreeMap<Oid, (Type, Oid)>;

/// How long a chain of domains over domains is followed.
const LONGEST_CHAIN: usize = 64;

pub(in crate::catalog) struct RawType {
    pub(in crate::catalog) oid: Oid,
    pub(in crate::catalog) schema: String,
    pub(in crate::catalog) name: String,
    pub(in crate::catalog) kind: String,
    pub(in crate::catalog) base: Oid,
    pub(in crate::catalog) element: Oid,
    pub(in crate::catalog) relation: Oid,
    pub(in crate::catalog) citext: bool,
}

/// Reads the types and follows domains to their base.
pub(super) fn types(rows: &[Row]) -> Result<Types, Error> {
    let raw: BTreeMap<Oid, RawType> = rows
        .iter()
        .map(|row| {
            let oid: Oid = row.try_get(0)?;
            Ok((
                oid,
                RawType {
                    oid,
                    schema: row.try_get(1)?,
                    name: row.try_get(2)?,
                    kind: row.try_get(3)?,
                    base: row.try_get(4)?,
                    element: row.try_get(5)?,
                    relation: row.try_get(6)?,
                    citext: row.try_get(7)?,
                },
            ))
        })
        .collect::<Result<_, Error>>()?;
    Ok(raw
        .values()
        .map(|ty| {
            let base = follow(&raw, ty);
            let element = (ty.element != 0).then_some(ty.element);
            let class = class_of(base);
            let ty =
                Type { oid: ty.oid, schema: ty.schema.clone(), name: ty.name.clone(), class, base: base.oid, element };
            (ty.oid, (ty, base.relation))
        })
        .collect())
}

fn follow<'a>(raw: &'a BTreeMap<Oid, RawType>, start: &'a RawType) -> &'a RawType {
    let mut ty = start;
    for _ in 0..LONGEST_CHAIN {
        match raw.get(&ty.base) {
            Some(base) if ty.kind == "d" => ty = base,
            Some(_) | None => break,
        }
    }
    ty
}

pub(in crate::catalog) fn class_of(ty: &RawType) -> TypeClass {
    if ty.element != 0 {
        return TypeClass::Array;
    }
    match ty.kind.as_str() {
        "e" => return TypeClass::Enum,
        "c" => return TypeClass::Composite,
        _ if ty.citext => return TypeClass::Text,
        _ => {}
    }
    match ty.oid {
        t::TEXT | t::VARCHAR | t::BPCHAR | t::NAME => TypeClass::Text,
        t::INT2 | t::INT4 | t::INT8 => TypeClass::Integer,
        t::NUMERIC => TypeClass::Numeric,
        t::FLOAT4 | t::FLOAT8 => TypeClass::Float,
        t::DATE => TypeClass::Date,
        t::TIMESTAMP => TypeClass::Timestamp,
        t::TIMESTAMPTZ => TypeClass::TimestampTz,
        t::UUID => TypeClass::Uuid,
        t::BOOL => TypeClass::Bool,
        t::JSON => TypeClass::Json,
        t::JSONB => TypeClass::Jsonb,
        t::INET | t::CIDR => TypeClass::Inet,
        _ => TypeClass::Other,
    }
}

/// Relations on their way to the snapshot.
pub(super) struct Relations {
    relations: BTreeMap<Oid, Relation>,
    rules: Rules,
}

impl Relations {
    pub(super) fn read(rows: &[Row]) -> Result<Self, Error> {
        let relations = rows
            .iter()
            .map(|row| {
                let oid = row.try_get(0)?;
                let name = RelationName { schema: row.try_get(1)?, name: row.try_get(2)? };
                let kind = kind_of(row.try_get(3)?);
                let relation = Relation {
                    oid,
                    name,
                    kind,
                    columns: Vec::new(),
                    primary_key: Vec::new(),
                    deferrable_key: false,
                    parents: Vec::new(),
                    children: Vec::new(),
                    reaches: Vec::new(),
                    opaque: false,
                    automatic: Automatic::default(),
                };
                Ok((oid, relation))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { relations, rules: Rules::default() })
    }

    pub(super) fn columns(mut self, rows: &[Row], types: &Types) -> Result<Self, Error> {
        for row in rows {
            let Some(relation) = self.relations.get_mut(&row.try_get(0)?) else { continue };
            let type_oid: Oid = row.try_get(3)?;
            relation.columns.push(Column {
                number: row.try_get(1)?,
                name: row.try_get(2)?,
                type_oid,
                type_sql: row.try_get(4)?,
                class: types.get(&type_oid).map_or(TypeClass::Other, |(ty, _)| ty.class),
                base_oid: types.get(&type_oid).map_or(type_oid, |(ty, _)| ty.base),
                base_sql: row.try_get(6)?,
                generated: row.try_get(5)?,
            });
        }
        self.relations.values_mut().for_each(|relation| relation.columns.shrink_to_fit());
        Ok(self)
    }

    pub(super) fn primary_keys(mut self, rows: &[Row]) -> Result<Self, Error> {
        for row in rows {
            if let Some(relation) = self.relations.get_mut(&row.try_get(0)?) {
                relation.primary_key = row.try_get(1)?;
                relation.deferrable_key = row.try_get(2)?;
            }
        }
        Ok(self)
    }

    pub(super) fn inheritance(mut self, rows: &[Row]) -> Result<Self, Error> {
        for row in rows {
            let (child, parent): (Oid, Oid) = (row.try_get(0)?, row.try_get(1)?);
            // Indexes of partitions inherit too; that tells nothing about data.
            let data = |relation: &Relation| relation.kind != RelationKind::Other;
            if let Some(relation) = self.relations.get_mut(&child).filter(|relation| data(relation)) {
                relation.parents.push(parent);
            }
            if let Some(relation) = self.relations.get_mut(&parent).filter(|relation| data(relation)) {
                relation.children.push(child);
            }
        }
        Ok(self)
    }

    /// What views and rules reach, through other views too, and whether something on the way cannot be looked into.
    pub(super) fn rules(mut self, reaches: &[Row], opaque: &[Row]) -> Result<Self, Error> {
        let mut direct: BTreeMap<Oid, BTreeSet<Oid>> = BTreeMap::new();
        for row in reaches {
            direct.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?);
        }
        let opaque: BTreeSet<Oid> = opaque.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?;
        for (&oid, relation) in &mut self.relations {
            let reached = closure(&direct, oid);
            // A relation that is named and not in the snapshot (a temporary one) cannot be looked into either.
            relation.opaque = opaque.contains(&oid) || reached.iter().any(|reached| opaque.contains(reached));
            relation.reaches = reached.into_iter().collect();
        }
        let known: BTreeSet<Oid> = self.relations.keys().copied().collect();
        for relation in self.relations.values_mut().filter(|relation| relation.oid >= FIRST_USER_OID) {
            relation.opaque |= relation.reaches.iter().any(|reached| !known.contains(reached));
        }
        self.rules = Rules { direct, untold: opaque };
        Ok(self)
    }

    pub(super) fn finish(self) -> (BTreeMap<Oid, Relation>, Rules) {
        (self.relations, self.rules)
    }
}

pub(in crate::catalog) fn closure(direct: &BTreeMap<Oid, BTreeSet<Oid>>, start: Oid) -> BTreeSet<Oid> {
    let mut found = BTreeSet::new();
    let mut queue = vec![start];
    while let Some(oid) = queue.pop() {
        // What a view of the system's own is made of is the system's business.
        if oid != start && oid < FIRST_USER_OID {
            continue;
        }
        for &next in direct.get(&oid).into_iter().flatten() {
            if next != start && found.insert(next) {
                queue.push(next);
            }
        }
    }
    found
}

/// Reads the functions.
pub(super) fn functions(
    rows: &[Row],
    types: &Types,
    relations: &BTreeMap<Oid, Relation>,
) -> Result<Vec<Function>, Error> {
    rows.iter().map(|row| function(row, types, relations)).collect()
}

fn function(row: &Row, types: &Types, relations: &BTreeMap<Oid, Relation>) -> Result<Function, Error> {
    let returns: Oid = row.try_get(10)?;
    let names: Option<Vec<String>> = row.try_get(11)?;
    let modes: Option<Vec<String>> = row.try_get(12)?;
    let mut columns: Vec<String> = names
        .unwrap_or_default()
        .into_iter()
        .zip(modes.unwrap_or_default())
        .filter(|(_, mode)| matches!(mode.as_str(), "o" | "b" | "t"))
        .map(|(name, _)| name)
        .collect();
    if columns.is_empty() {
        // A function that returns a table's row or a named row type has that one's columns.
        let row_type = types.get(&returns).and_then(|(_, relation)| relations.get(relation));
        columns.extend(row_type.into_iter().flat_map(|relation| &relation.columns).map(|column| column.name.clone()));
    }
    Ok(Function {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind: match row.try_get::<_, &str>(3)? {
            "p" => FunctionKind::Procedure,
            "a" => FunctionKind::Aggregate,
            "w" => FunctionKind::Window,
            _ => FunctionKind::Plain,
        },
        volatility: match row.try_get::<_, &str>(4)? {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            // Also what a later server might add: the least is assumed about it.
            _ => Volatility::Volatile,
        },
        leakproof: row.try_get(5)?,
        language: row.try_get(6)?,
        extension: row.try_get(7)?,
        security_definer: row.try_get(8)?,
        arguments: row.try_get(9)?,
        returns,
        columns,
        returns_set: row.try_get(13)?,
        body: row.try_get(14)?,
    })
}
