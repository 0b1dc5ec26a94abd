//! What new rows are held to: nobody whose rows a purpose may not see for being a child (POPIA s34), having objected (s11(3)) or being
//! restricted (s14(6)) is given rows for it, as far as a value that is written tells.

use std::collections::BTreeSet;

use super::filters::Filtering;
use crate::catalog::RelationName;
use crate::policy::model::{Basis, PolicySet, RowFilter, SubjectPath, Table, Verb};

impl Filtering<'_> {
    /// The filters that rows which are added, or become another subject's, must meet.
    pub(in crate::policy) fn added(&self) -> Vec<RowFilter> {
        match self.access.verb {
            Verb::Insert | Verb::Update => {}
            Verb::Select | Verb::Delete | Verb::Define => return Vec::new(),
        }
        // Who objects once more is written down all the same.
        if self.policies.keeps_wishes(self.name) || self.policies.keeps_wishes(&self.access.relation) {
            return Vec::new();
        }
        let of_actor = self.of_actor(&mut Vec::new()).into_iter().chain(self.ways_to_own());
        let adults = self.table.birth.iter().filter(|_| !self.children_open()).cloned().map(RowFilter::Adults);
        let own = self.own().filter(|own| own.columns.len() == 1).map(RowFilter::Own);
        adults.chain(self.exclusions().filter(|_| self.table.subject.is_some())).chain(own).chain(of_actor).collect()
    }
}

impl PolicySet {
    /// The columns of a relation whose values may tell of whom a new row is, and by which it is held to [`RowFilter`]s; none
    /// where no purpose is held to any. For a purpose that rests on consent they are looked at too, so that nothing waits long behind
    /// them. `names` are the relation's own and its ancestors', nearest first.
    pub fn telling_columns<'a>(
        &self,
        names: impl IntoIterator<Item = &'a RelationName>,
        purpose: &str,
    ) -> BTreeSet<String> {
        let listed = names.into_iter().find_map(|name| Some((name, self.tables.get(name)?)));
        let Some((name, table)) = listed.filter(|(_, table)| !table.open) else { return BTreeSet::new() };
        let mut columns = BTreeSet::new();
        let consented = self.lineage(purpose).iter().any(|purpose| purpose.basis == Basis::Consent);
        let mut by_subject = consented || !self.exclusions.is_empty();
        if let Some(birth) = &table.birth {
            match &birth.register {
                Some((register, _)) if register != name => by_subject = true,
                Some(_) | None => columns.extend(birth.date.iter().chain(&birth.number).cloned()),
            }
        }
        let lineage = self.lineage(purpose);
        let rules = self.rules.iter().filter(|rule| lineage.iter().any(|level| rule.purposes.contains(&level.name)));
        for rows in rules.filter(|rule| rule.opens(name, table)).flat_map(|rule| &rule.rows) {
            if rows.concerns(name) {
                columns.extend(table.columns.keys().filter(|column| rows.names.contains(*column)).cloned());
            }
        }
        columns.extend(table.subject_column().filter(|_| by_subject).map(str::to_owned));
        if let Some(names) = self.own_names(purpose) {
            columns.extend(names);
            columns.extend(table.subject_column().map(str::to_owned));
        }
        columns
    }

    /// The date of birth beside an identity number, both of the row itself: where there is one, the number says nothing.
    pub fn born_beside(&self, name: &RelationName, column: &str) -> Option<&str> {
        let birth = self.tables.get(name)?.birth.as_ref()?;
        birth.date.as_deref().filter(|_| birth.number.as_deref() == Some(column))
    }
}

impl Table {
    /// The row's own column by which it leads to its subject.
    fn subject_column(&self) -> Option<&str> {
        self.subject.as_ref().map(SubjectPath::column)
    }
}
