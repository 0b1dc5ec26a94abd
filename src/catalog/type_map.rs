//! The types of a snapshot, by number and by name.

use super::shards::Shards;
use super::{Oid, Type};

/// The types. Both maps change together, and copies share what was not changed since.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    by_oid: Shards<Oid, Type>,
    /// By name without schema, in order of their numbers.
    by_name: Shards<String, Vec<Oid>>,
}

impl Types {
    pub(super) fn get(&self, oid: &Oid) -> Option<&Type> {
        self.by_oid.get(oid)
    }

    pub(super) fn contains_key(&self, oid: Oid) -> bool {
        self.by_oid.contains_key(&oid)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Type> {
        self.by_oid.values()
    }

    /// Those of a name, in whatever schema.
    pub(super) fn called(&self, name: &str) -> impl Iterator<Item = &Type> {
        self.by_name.get(name).into_iter().flatten().filter_map(|oid| self.by_oid.get(oid))
    }

    /// Takes one in, instead of the one of the same number.
    pub(super) fn insert(&mut self, ty: Type) {
        self.remove(ty.oid);
        let mut named = self.by_name.get(&ty.name).cloned().unwrap_or_default();
        named.insert(named.partition_point(|oid| *oid < ty.oid), ty.oid);
        self.by_name.insert(ty.name.clone(), named);
        self.by_oid.insert(ty.oid, ty);
    }

    fn remove(&mut self, oid: Oid) {
        let Some(ty) = self.by_oid.remove(&oid) else { return };
        let mut named = self.by_name.get(&ty.name).cloned().unwrap_or_default();
        named.retain(|held| *held != oid);
        if named.is_empty() {
            self.by_name.remove(&ty.name);
        } else {
            self.by_name.insert(ty.name, named);
        }
    }

    /// Keeps those of which this holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&Type) -> bool) {
        let gone: Vec<Oid> = self.by_oid.values().filter(|ty| !keep(ty)).map(|ty| ty.oid).collect();
        for oid in gone {
            self.remove(oid);
        }
    }

    /// Whether both hold the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.by_oid.same(&other.by_oid, Type::eq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TypeClass;

    fn ty(oid: Oid, schema: &str, name: &str) -> Type {
        Type { oid, schema: schema.into(), name: name.into(), class: TypeClass::Other, base: oid, element: None }
    }

    fn called(types: &Types, name: &str) -> Vec<(Oid, String)> {
        types.called(name).map(|ty| (ty.oid, ty.schema.clone())).collect()
    }

    #[test]
    fn a_name_finds_what_has_it_now() {
        let mut types = Types::default();
        for ty in [ty(7, "b", "mood"), ty(3, "a", "mood"), ty(5, "a", "note")] {
            types.insert(ty);
        }
        assert_eq!(called(&types, "mood"), [(3, "a".to_owned()), (7, "b".to_owned())]);
        let before = types.clone();
        types.insert(ty(7, "b", "note"));
        types.insert(ty(5, "c", "note"));
        assert_eq!(called(&types, "mood"), [(3, "a".to_owned())], "renamed");
        assert_eq!(
            called(&types, "note"),
            [(5, "c".to_owned()), (7, "b".to_owned())],
            "in another schema, and renamed"
        );
        types.retain(|ty| ty.oid != 3);
        assert_eq!(called(&types, "mood"), [], "gone");
        assert!(!types.contains_key(3) && types.get(&5).is_some() && types.values().count() == 2);
        assert_eq!(called(&before, "mood").len(), 2, "a copy stays as it was");
        assert!(!types.same(&before) && before.same(&before.clone()));
    }
}
