//! What of a table's own columns may come back.

use std::collections::HashSet;

use crate::catalog::Oid;

/// Which plain columns the row description of the result may name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    pub(in crate::sql) unrestricted: bool,
    /// Relations of which every column may come back: open ones and system catalogs.
    pub(in crate::sql) open: HashSet<Oid>,
    /// (relation, column number) that the decision opened.
    pub(in crate::sql) columns: HashSet<(Oid, i16)>,
}

impl Guard {
    /// Whether the statement is relayed as it is.
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// Whether a field of a RowDescription may come back: `table` and `column` are its table oid and attribute
    /// number, both 0 for an expression.
    pub fn permits(&self, table: Oid, column: i16) -> bool {
        self.unrestricted || table == 0 || self.open.contains(&table) || self.columns.contains(&(table, column))
    }
}
