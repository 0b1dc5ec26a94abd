//! CREATE TABLE: its columns, constraints, parents and partitions.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    ColumnDef, ConstrType, Constraint, CreateDomainStmt, CreateStmt, IndexElem, Node, PartitionBoundSpec, PartitionSpec,
};

use super::{Define, names};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Change;
use crate::sql::resolve::{Fail, OccurrenceId, unsupported};

/// What a column or constraint turned out to do.
#[derive(Default)]
pub(super) struct Found {
    /// Columns whose values are looked at in every row.
    pub(super) looked: Vec<String>,
    /// A column is computed from others.
    pub(super) computed: bool,
}

impl Define<'_, '_> {
    pub(super) fn create_table(&mut self, create: &CreateStmt) -> Result<(), Fail> {
        let CreateStmt {
            relation,
            table_elts,
            inh_relations,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options: _,
            oncommit: _,
            tablespacename: _,
            access_method: _,
            if_not_exists: _,
        } = create;
        if of_typename.is_some() && !self.resolver.context.policies.hides_nothing() {
            return Err(unsupported("a table of a type"));
        }
        self.type_name(of_typename.as_ref())?;
        let (schema, table) = self.spelled(relation.as_ref())?;
        let temporary = relation.as_ref().is_some_and(|range| range.relpersistence == "t") && schema.is_none();
        self.making = Some(self.new_name(if temporary { Some(names::TEMPORARY.to_owned()) } else { schema }, table)?);
        // The table is empty, so that nothing is looked at but what it refers to.
        let mut found = Found::default();
        for element in table_elts.iter().chain(constraints).chain(nnconstraints) {
            match &element.node {
                Some(NodeEnum::ColumnDef(column)) => self.column_def(column, &mut found)?,
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, &mut found)?,
                Some(NodeEnum::TableLikeClause(like)) => self.touched(like.relation.as_ref())?,
                Some(_) | None => return Err(unsupported("this part of a table")),
            }
        }
        self.made(relation.as_ref(), found.computed)?;
        for parent in inh_relations {
            let id = self.range(parent)?;
            self.change(id, Change::Alter);
        }
        self.bound(partbound.as_ref())?;
        self.partitioned(partspec.as_ref())
    }

    pub(super) fn column_def(&mut self, column: &ColumnDef, found: &mut Found) -> Result<(), Fail> {
        if column.identity_sequence.is_some() || !column.fdwoptions.is_empty() || column.cooked_default.is_some() {
            return Err(unsupported("this form of a column"));
        }
        self.type_name(column.type_name.as_ref())?;
        self.constant(column.raw_default.as_deref())?;
        for constraint in &column.constraints {
            match &constraint.node {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, found)?,
                Some(NodeEnum::CollateClause(_)) => {}
                Some(_) | None => return Err(unsupported("this form of a column")),
            }
        }
        Ok(())
    }

    /// A constraint; what it looks at in its own table is gathered, what it looks at elsewhere is noted.
    pub(super) fn constraint(&mut self, constraint: &Constraint, found: &mut Found) -> Result<(), Fail> {
        let strings = |nodes: &[Node]| nodes.iter().map(names::string).collect::<Result<Vec<_>, _>>();
        match ConstrType::try_from(constraint.contype) {
            Ok(ConstrType::ConstrNull | ConstrType::ConstrIdentity) => Ok(()),
            Ok(
                ConstrType::ConstrAttrDeferrable
                | ConstrType::ConstrAttrNotDeferrable
                | ConstrType::ConstrAttrDeferred
                | ConstrType::ConstrAttrImmediate
                | ConstrType::ConstrAttrEnforced
                | ConstrType::ConstrAttrNotEnforced,
            ) => Ok(()),
            Ok(ConstrType::ConstrDefault) => self.constant(constraint.raw_expr.as_deref()),
            Ok(ConstrType::ConstrGenerated) => {
                let mut columns = Vec::new();
                self.scalar(constraint.raw_expr.as_deref(), &mut columns)?;
                found.computed |= !columns.is_empty();
                found.looked.extend(columns);
                Ok(())
            }
            Ok(ConstrType::ConstrCheck) => self.scalar(constraint.raw_expr.as_deref(), &mut found.looked),
            Ok(ConstrType::ConstrNotnull | ConstrType::ConstrPrimary | ConstrType::ConstrUnique) => {
                found.looked.extend(strings(&constraint.keys)?);
                Ok(())
            }
            Ok(ConstrType::ConstrExclusion) => {
                for exclusion in &constraint.exclusions {
                    let Some(NodeEnum::List(pair)) = &exclusion.node else {
                        return Err(Refusal::internal(Stage::Resolve));
                    };
                    let [element, operator] = pair.items.as_slice() else {
                        return Err(Refusal::internal(Stage::Resolve));
                    };
                    self.index_element(element, true, &mut found.looked)?;
                    match &operator.node {
                        Some(NodeEnum::List(name)) => self.operator(&name.items)?,
                        Some(_) | None => return Err(Refusal::internal(Stage::Resolve)),
                    }
                }
                self.scalar(constraint.where_clause.as_deref(), &mut found.looked)
            }
            Ok(ConstrType::ConstrForeign) => {
                found.looked.extend(strings(&constraint.fk_attrs)?);
                if self.refers_to_itself(constraint.pktable.as_ref())? {
                    return Ok(());
                }
                let id = self.existing(constraint.pktable.as_ref())?;
                self.change(id, Change::Alter);
                let mut columns = strings(&constraint.pk_attrs)?;
                if columns.is_empty() {
                    columns = self.primary_key(id);
                }
                if columns.is_empty() {
                    return Err(Refusal::new(
                        Stage::Resolve,
                        SqlState::UNDEFINED_OBJECT,
                        "there is no primary key for the table referred to",
                    ));
                }
                self.looks(id, &[], columns)
            }
            Ok(ConstrType::Undefined) | Err(_) => Err(unsupported("this kind of constraint")),
        }
    }

    /// A column or expression of an index. A plain column's values are looked at only where the index can refuse some.
    pub(super) fn index_element(&mut self, node: &Node, refuses: bool, looked: &mut Vec<String>) -> Result<(), Fail> {
        let Some(NodeEnum::IndexElem(element)) = &node.node else { return Err(Refusal::internal(Stage::Resolve)) };
        let IndexElem {
            name,
            expr,
            indexcolname: _,
            collation: _,
            opclass: _,
            opclassopts: _,
            ordering: _,
            nulls_ordering: _,
        } = element.as_ref();
        if refuses && !name.is_empty() {
            looked.push(name.clone());
        }
        self.scalar(expr.as_deref(), looked)
    }

    pub(super) fn domain(&mut self, domain: &CreateDomainStmt) -> Result<(), Fail> {
        let CreateDomainStmt { domainname: _, type_name, coll_clause: _, constraints } = domain;
        self.type_name(type_name.as_ref())?;
        let mut found = Found::default();
        for constraint in constraints {
            match &constraint.node {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, &mut found)?,
                Some(_) | None => return Err(unsupported("this form of a domain")),
            }
        }
        Ok(())
    }

    /// The values of a partition: constants, MINVALUE, MAXVALUE.
    pub(super) fn bound(&mut self, bound: Option<&PartitionBoundSpec>) -> Result<(), Fail> {
        let Some(bound) = bound else { return Ok(()) };
        let mut columns = Vec::new();
        self.scalars(&bound.listdatums, &mut columns)?;
        self.scalars(&bound.lowerdatums, &mut columns)?;
        self.scalars(&bound.upperdatums, &mut columns)?;
        if columns.iter().all(|name| name == "minvalue" || name == "maxvalue") {
            return Ok(());
        }
        Err(unsupported("a column in the bounds of a partition"))
    }

    fn partitioned(&mut self, spec: Option<&PartitionSpec>) -> Result<(), Fail> {
        let Some(spec) = spec else { return Ok(()) };
        for part in &spec.part_params {
            match &part.node {
                Some(NodeEnum::PartitionElem(element)) => self.scalar(element.expr.as_deref(), &mut Vec::new())?,
                Some(_) | None => return Err(Refusal::internal(Stage::Resolve)),
            }
        }
        Ok(())
    }

    fn primary_key(&self, id: OccurrenceId) -> Vec<String> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        relation.map_or_else(Vec::new, |relation| {
            let key = relation.columns.iter().filter(|column| relation.primary_key.contains(&column.number));
            key.map(|column| column.name.clone()).collect()
        })
    }
}
