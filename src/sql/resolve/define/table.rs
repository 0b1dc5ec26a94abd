//! CREATE TABLE: its columns, constraints, parents and partitions.

use pg_raw_parse::Node;
use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{
    ColumnDef, ConstrType, Constraint, CreateDomainStmt, CreateStmt, IndexElem, PartitionBoundSpec, PartitionSpec,
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
        if create.of_typename().is_some() && !self.resolver.context.policies.hides_nothing() {
            return Err(unsupported("a table of a type"));
        }
        self.type_name(create.of_typename())?;
        let relation = create.relation();
        let (schema, table) = self.spelled(relation)?;
        let temporary = relation.is_some_and(names::is_temporary) && schema.is_none();
        self.making = Some(self.new_name(if temporary { Some(names::TEMPORARY.to_owned()) } else { schema }, table)?);
        // The table is empty, so that nothing is looked at but what it refers to.
        let mut found = Found::default();
        for element in create.table_elts().iter().chain(create.nnconstraints()) {
            match element {
                Node::ColumnDef(column) => self.column_def(column, &mut found)?,
                Node::Constraint(constraint) => self.constraint(constraint, &mut found)?,
                Node::TableLikeClause(like) if self.made_within(like.relation())? => {}
                Node::TableLikeClause(like) => {
                    // Of this one PostgreSQL tells the place.
                    let name = like.relation().and_then(|range| range.relname()).unwrap_or_default();
                    self.touched(like.relation()).map_err(|refusal| {
                        refusal.named(vec![name.to_owned()]).said_by("namespace.c", "RangeVarGetRelidExtended")
                    })?;
                }
                _ => return Err(unsupported("this part of a table")),
            }
        }
        create.constraints().iter().try_for_each(|constraint| self.constraint(constraint, &mut found))?;
        self.made(relation, found.computed)?;
        for parent in create.inh_relations() {
            // Within CREATE SCHEMA it may be one that is made there, before one of the search path.
            if let Node::RangeVar(range) = parent
                && self.made_within(Some(range))?
            {
                continue;
            }
            let id = self.range(parent)?;
            self.change(id, Change::Alter);
        }
        self.bound(create.partbound())?;
        self.partitioned(create.partspec())
    }

    pub(super) fn column_def(&mut self, column: &ColumnDef, found: &mut Found) -> Result<(), Fail> {
        let cooked = !matches!(column.cooked_default(), Node::None);
        if column.identity_sequence().is_some() || !column.fdwoptions().is_empty() || cooked {
            return Err(unsupported("this form of a column"));
        }
        self.type_name(column.type_name())?;
        self.constant(column.raw_default())?;
        for constraint in column.constraints() {
            match constraint {
                Node::Constraint(constraint) => self.constraint(constraint, found)?,
                Node::CollateClause(_) => {}
                _ => return Err(unsupported("this form of a column")),
            }
        }
        Ok(())
    }

    /// A constraint; what it looks at in its own table is gathered, what it looks at elsewhere is noted.
    pub(super) fn constraint(&mut self, constraint: &Constraint, found: &mut Found) -> Result<(), Fail> {
        let strings = |nodes: &NodeList| nodes.iter().map(names::string).collect::<Result<Vec<_>, _>>();
        match constraint.contype {
            ConstrType::CONSTR_NULL | ConstrType::CONSTR_IDENTITY => Ok(()),
            ConstrType::CONSTR_ATTR_DEFERRABLE
            | ConstrType::CONSTR_ATTR_NOT_DEFERRABLE
            | ConstrType::CONSTR_ATTR_DEFERRED
            | ConstrType::CONSTR_ATTR_IMMEDIATE
            | ConstrType::CONSTR_ATTR_ENFORCED
            | ConstrType::CONSTR_ATTR_NOT_ENFORCED => Ok(()),
            ConstrType::CONSTR_DEFAULT => self.constant(constraint.raw_expr()),
            ConstrType::CONSTR_GENERATED => {
                let mut columns = Vec::new();
                self.scalar(constraint.raw_expr(), &mut columns)?;
                found.computed |= !columns.is_empty();
                found.looked.extend(columns);
                Ok(())
            }
            ConstrType::CONSTR_CHECK => self.scalar(constraint.raw_expr(), &mut found.looked),
            ConstrType::CONSTR_NOTNULL | ConstrType::CONSTR_PRIMARY | ConstrType::CONSTR_UNIQUE => {
                found.looked.extend(strings(constraint.keys())?);
                Ok(())
            }
            ConstrType::CONSTR_EXCLUSION => {
                for exclusion in constraint.exclusions() {
                    let pair = exclusion.as_node_list().map(|pair| (pair.len(), pair.get(0), pair.get(1)));
                    let Some((2, Some(Node::IndexElem(element)), Some(Node::NodeList(operator)))) = pair else {
                        return Err(Refusal::internal(Stage::Resolve));
                    };
                    self.index_element(element, true, &mut found.looked)?;
                    self.operator(operator)?;
                }
                self.scalar(constraint.where_clause(), &mut found.looked)
            }
            ConstrType::CONSTR_FOREIGN => {
                found.looked.extend(strings(constraint.fk_attrs())?);
                if self.refers_to_itself(constraint.pktable())? {
                    return Ok(());
                }
                let id = self.existing(constraint.pktable())?;
                self.change(id, Change::Alter);
                let mut columns = strings(constraint.pk_attrs())?;
                if columns.is_empty() {
                    columns = self.primary_key(id);
                }
                if columns.is_empty() {
                    return Err(Refusal::new(
                        Stage::Resolve,
                        SqlState::UNDEFINED_OBJECT,
                        "there is no primary key for the table referred to",
                    )
                    .told(format!("there is no primary key for referenced table \"{}\"", self.name_of(id)?.name))
                    .said_by("tablecmds.c", "transformFkeyGetPrimaryKey"));
                }
                self.looks(id, &[], columns)
            }
            _ => Err(unsupported("this kind of constraint")),
        }
    }

    /// A column or expression of an index. A plain column's values are looked at only where the index can refuse some.
    pub(super) fn index_element(
        &mut self,
        element: &IndexElem,
        refuses: bool,
        looked: &mut Vec<String>,
    ) -> Result<(), Fail> {
        looked.extend(element.name().filter(|_| refuses).map(str::to_owned));
        self.scalar(element.expr(), looked)
    }

    pub(super) fn domain(&mut self, domain: &CreateDomainStmt) -> Result<(), Fail> {
        self.type_name(domain.type_name())?;
        let mut found = Found::default();
        domain.constraints().iter().try_for_each(|constraint| self.constraint(constraint, &mut found))
    }

    /// The values of a partition: constants, MINVALUE, MAXVALUE.
    pub(super) fn bound(&mut self, bound: Option<&PartitionBoundSpec>) -> Result<(), Fail> {
        let Some(bound) = bound else { return Ok(()) };
        let mut columns = Vec::new();
        self.scalars(bound.listdatums(), &mut columns)?;
        self.scalars(bound.lowerdatums(), &mut columns)?;
        self.scalars(bound.upperdatums(), &mut columns)?;
        // PostgreSQL takes no column there, and says so.
        let open = self.resolver.context.policies.hides_nothing();
        if open || columns.iter().all(|name| name == "minvalue" || name == "maxvalue") {
            return Ok(());
        }
        Err(unsupported("a column in the bounds of a partition"))
    }

    fn partitioned(&mut self, spec: Option<&PartitionSpec>) -> Result<(), Fail> {
        let Some(spec) = spec else { return Ok(()) };
        spec.part_params().iter().try_for_each(|element| self.scalar(element.expr(), &mut Vec::new()))
    }

    fn primary_key(&self, id: OccurrenceId) -> Vec<String> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        relation.map_or_else(Vec::new, |relation| {
            let key = relation.columns.iter().filter(|column| relation.primary_key.contains(&column.number));
            key.map(|column| column.name.clone()).collect()
        })
    }
}
