//! XMLTABLE in FROM.

use sqlparser::ast::{
    Expr, TableAlias, XmlNamespaceDefinition, XmlPassingClause, XmlTableColumn, XmlTableColumnOption,
};

use super::from::{is_constant, source_of};
use super::names::name_of;
use super::scope::{Source, VisibleColumn};
use super::{Fail, Resolver};
use crate::policy::Use;

impl Resolver<'_> {
    /// Its columns are computed from what it is given; as a function in FROM does, it sees the items before it.
    pub(super) fn xml_table(
        &mut self,
        namespaces: &mut [XmlNamespaceDefinition],
        path: &mut Expr,
        passing: &mut XmlPassingClause,
        columns: &mut [XmlTableColumn],
        alias: Option<&TableAlias>,
    ) -> Result<Source, Fail> {
        let mut given: Vec<&mut Expr> = namespaces.iter_mut().map(|namespace| &mut namespace.uri).collect();
        given.push(path);
        given.extend(passing.arguments.iter_mut().map(|argument| &mut argument.expr));
        let mut shown = Vec::new();
        for XmlTableColumn { name, option } in columns {
            shown.push(VisibleColumn::computed(name_of(name)));
            match option {
                XmlTableColumnOption::NamedInfo { r#type, path, default, nullable: _ } => {
                    self.data_type(r#type)?;
                    given.extend(path.iter_mut().chain(default.iter_mut()));
                }
                XmlTableColumnOption::ForOrdinality => {}
            }
        }
        // It may run before a row filter does.
        if !given.iter().all(|expr| is_constant(expr)) {
            self.expose_all();
        }
        given.into_iter().try_for_each(|expr| self.expr(expr, Use::Output))?;
        let mut source = source_of(alias, None, Some(shown), None)?;
        source.name.get_or_insert_with(|| "xmltable".to_owned());
        Ok(source)
    }
}
