//! Expressions: every variant of the AST is named, so that a new one in a new version does not compile.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, DataType, Expr, Ident, InTarget, ObjectName, Subscript, Value,
};

use super::names::{name_of, quoted};
use super::scope::Meaning;
use super::{Fail, Resolver, function, implied, unsupported};
use crate::error::SqlState;
use crate::policy::Use;
use crate::sql::ast::fragment::{named, nest};
use crate::sql::ast::marker;
use crate::sql::form::Slot;
use crate::sql::reviewed::builtins;

impl Resolver<'_> {
    /// Resolves an expression: notes the columns that it uses, resolves its subqueries, writes its functions by full name.
    pub(super) fn expr(&mut self, expr: &mut Expr, usage: Use) -> Result<(), Fail> {
        function::plain_call(expr);
        self.explicit_in(expr);
        match expr {
            // Words of the grammar: values such as CURRENT_USER, and what the parse stage left as marks.
            Expr::Identifier(ident) if super::Mark::is_one(ident) || function::is_value_keyword(ident) => Ok(()),
            Expr::Identifier(ident) if marker::is_reserved(ident) => Err(unsupported("a key word in this place")),
            Expr::Identifier(ident) => {
                let parts = [name_of(ident)];
                if let Some(parts) = self.column(&parts, usage)? {
                    *expr = written(&parts);
                }
                Ok(())
            }
            Expr::CompoundIdentifier(idents) => {
                let parts: Vec<String> = idents.iter().map(name_of).collect();
                if let Some(parts) = self.column(&parts, usage)? {
                    *expr = written(&parts);
                }
                Ok(())
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                gather_name(root, access_chain);
                self.field_access(root, access_chain, usage)
            }
            Expr::Value(value) => match value.value {
                // `:name` and `?` are no parameters of PostgreSQL's.
                Value::Placeholder(ref name) if !name.starts_with('$') && Slot::of_value(&value.value).is_none() => {
                    Err(unsupported("this kind of parameter"))
                }
                _ => Ok(()),
            },
            Expr::TypedString(typed) => self.data_type(&typed.data_type),
            Expr::Interval(interval) => self.expr(&mut interval.value, usage),
            Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::Nested(inner) => self.expr(inner, usage),
            Expr::IsJson { expr: inner, .. } | Expr::IsNormalized { expr: inner, .. } => self.expr(inner, usage),
            Expr::UnaryOp { expr: inner, op } => {
                self.operator_name(&op.to_string())?;
                self.expr(inner, usage)
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.implied("IS DISTINCT FROM", "=", left, right)?;
                self.pair(left, right, usage)
            }
            Expr::BinaryOp { left, op, right } => {
                let own = self.operator(op)?;
                self.pair(left, right, usage)?;
                if let Some(own) = own {
                    // `OPERATOR(..)` binds otherwise than the sign does, so that parentheses keep what was read.
                    *op = own;
                    nest(left);
                    nest(right);
                    nest(expr);
                }
                Ok(())
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                let own = self.operator(compare_op)?;
                self.pair(left, right, usage)?;
                if let Some(own) = own {
                    *compare_op = own;
                    nest(left);
                    nest(expr);
                }
                Ok(())
            }
            Expr::In { expr: inner, target: InTarget::List(list), negated, global: false } => {
                let operator = if *negated { "<>" } else { "=" };
                list.iter().try_for_each(|item| self.implied("IN", operator, inner, item))?;
                self.expr(inner, usage)?;
                self.exprs(list, usage)
            }
            Expr::In { expr: inner, target: InTarget::Subquery(subquery), negated: _, global: false } => {
                self.expr(inner, usage)?;
                self.query(subquery).map(drop)
            }
            Expr::Between { expr: inner, negated, low, high } => {
                self.implied_between(*negated, inner, low, high)?;
                self.expr(inner, usage)?;
                self.pair(low, high, usage)
            }
            Expr::Like { negated: _, any: _, expr: inner, pattern, escape_char }
            | Expr::ILike { negated: _, any: _, expr: inner, pattern, escape_char }
            | Expr::SimilarTo { negated: _, expr: inner, pattern, escape_char } => {
                for name in ["~~", "!~~", "~~*", "!~~*", "~", "!~"] {
                    self.operator_name(name)?;
                }
                self.pair(inner, pattern, usage)?;
                self.maybe(escape_char.as_deref_mut(), usage)
            }
            Expr::Cast { kind: _, expr: inner, data_type, format } => {
                if format.is_some() {
                    return Err(unsupported("CAST with FORMAT"));
                }
                self.data_type(data_type)?;
                self.expr(inner, usage)
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.pair(timestamp, time_zone, usage),
            Expr::Extract { field: _, syntax: _, expr: inner } => self.expr(inner, usage),
            Expr::Ceil { expr: inner, field } | Expr::Floor { expr: inner, field } => {
                // Without a field it was made a plain call above.
                self.rounding(field)?;
                self.expr(inner, usage)
            }
            Expr::Position { expr: inner, r#in } => self.pair(inner, r#in, usage),
            Expr::Substring { expr: inner, substring_from, substring_for, special: _, shorthand: _ } => {
                self.expr(inner, usage)?;
                self.maybe(substring_from.as_deref_mut(), usage)?;
                self.maybe(substring_for.as_deref_mut(), usage)
            }
            Expr::Trim { trim_where: _, trim_what, expr: inner, trim_characters } => {
                self.expr(inner, usage)?;
                self.maybe(trim_what.as_deref_mut(), usage)?;
                self.exprs(trim_characters.as_deref_mut().unwrap_or_default(), usage)
            }
            Expr::Overlay { expr: inner, overlay_what, overlay_from, overlay_for } => {
                self.pair(inner, overlay_what, usage)?;
                self.expr(overlay_from, usage)?;
                self.maybe(overlay_for.as_deref_mut(), usage)
            }
            Expr::Collate { expr: inner, collation: _ } => self.expr(inner, usage),
            Expr::Function(function) => {
                if let Some(parts) = self.called_column(function) {
                    self.column_meant(&parts, usage)?;
                    *expr = written(&parts);
                    return Ok(());
                }
                self.function(function, usage)?;
                self.setting_of_value(expr)?;
                self.definition(expr)
            }
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                if let Some(operand) = operand.as_deref() {
                    conditions.iter().try_for_each(|when| self.implied("CASE", "=", operand, &when.condition))?;
                }
                self.maybe(operand.as_deref_mut(), usage)?;
                for branch in conditions {
                    self.pair(&mut branch.condition, &mut branch.result, usage)?;
                }
                self.maybe(else_result.as_deref_mut(), usage)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.query(subquery).map(drop),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                for set in sets {
                    self.exprs(set, usage)?;
                }
                Ok(())
            }
            Expr::Tuple(items) => self.exprs(items, usage),
            Expr::Array(array) => self.exprs(&mut array.elem, usage),
            Expr::Wildcard(_) => {
                self.saw_column(vec!["*".to_owned()]);
                Err(unsupported("* in this place"))
            }
            Expr::QualifiedWildcard(name, _) => self.row_star(name),
            Expr::Named { expr: inner, name } if marker::is_label(name) => {
                marker::serialized_as(name).map_or(Ok(()), |written| self.type_name(written))?;
                self.expr(inner, usage)
            }
            // Any other name is a mark.
            Expr::Named { expr: inner, name: _ } => self.lookup(inner),
            Expr::Prefixed { prefix, value: _ } if marker::is_xml_name(prefix) => Ok(()),
            Expr::Prefixed { prefix, value }
                if marker::is_variadic(prefix) || marker::is_symmetric(prefix) || marker::is_grammar_word(prefix) =>
            {
                self.expr(value, usage)
            }
            // A cursor's name; where rows are filtered the rewrite refuses it.
            Expr::Prefixed { prefix, .. } if marker::is_current_of(prefix) => Ok(()),
            Expr::Prefixed { prefix, value } if marker::is_operator(prefix) => {
                self.operator_name(&prefix.value)?;
                self.expr(value, usage)
            }
            Expr::Prefixed { .. } => Err(unsupported("an expression of another database")),
            Expr::JsonAccess { .. } => Err(unsupported("path access with a colon")),
            Expr::In { target: InTarget::Unnest(_) | InTarget::Table { .. }, .. }
            | Expr::In { global: true, .. }
            | Expr::RLike { .. }
            | Expr::Convert { .. }
            | Expr::Struct { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::MatchAgainst { .. }
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::Lambda(_)
            | Expr::MemberOf(_) => Err(unsupported("an expression of another database")),
        }
    }

    fn pair(&mut self, left: &mut Expr, right: &mut Expr, usage: Use) -> Result<(), Fail> {
        self.expr(left, usage)?;
        self.expr(right, usage)
    }

    fn maybe(&mut self, expr: Option<&mut Expr>, usage: Use) -> Result<(), Fail> {
        expr.map_or(Ok(()), |expr| self.expr(expr, usage))
    }

    /// Resolves each in turn.
    pub(super) fn exprs(&mut self, exprs: &mut [Expr], usage: Use) -> Result<(), Fail> {
        exprs.iter_mut().try_for_each(|expr| self.expr(expr, usage))
    }

    /// A column reference. Gives other parts where it must be written otherwise: a derived table has no schema.
    fn column(&mut self, parts: &[String], usage: Use) -> Result<Option<Vec<String>>, Fail> {
        self.seen.add_column(parts.to_vec());
        self.column_meant(parts, usage)
    }

    /// The same for one that the client spelled otherwise.
    fn column_meant(&mut self, parts: &[String], usage: Use) -> Result<Option<Vec<String>>, Fail> {
        let usage = if self.in_aggregate && usage != Use::Filter { Use::Aggregate } else { usage };
        self.note_level(parts);
        let meaning = match self.meaning(parts) {
            Err(refusal) if self.is_told_there(parts, &refusal) => Meaning::Unknown,
            meaning => meaning?,
        };
        match meaning {
            Meaning::Column(origins) => self.mark(&origins, usage),
            Meaning::Row(columns, occurrence, carrier) => {
                self.mark_row(&columns, occurrence);
                self.expose_row(&columns, occurrence, carrier);
            }
            Meaning::Unknown => {}
        }
        let short = parts.get(parts.len().saturating_sub(2)..).unwrap_or(parts).to_vec();
        self.meant.add_column(short.clone());
        Ok((short.len() != parts.len()).then_some(short))
    }

    /// Whether the database itself tells of this column that is not there. Where only its table is known it is not asked: `t.f` calls the
    /// function `f`, which may be there by then.
    fn is_told_there(&self, parts: &[String], refusal: &Fail) -> bool {
        let code = refusal.sqlstate;
        let lexical = code == SqlState::UNDEFINED_TABLE || code == SqlState::AMBIGUOUS_COLUMN;
        self.context.absent
            && self.context.policies.hides_nothing()
            && (lexical || parts.len() == 1 && code == SqlState::UNDEFINED_COLUMN)
    }

    /// An operator that names a schema must name the system's, and none may call what nobody reviewed. Gives the system's
    /// own operator where one of the same name calls such a function: then that one cannot be meant.
    fn operator(&self, operator: &BinaryOperator) -> Result<Option<BinaryOperator>, Fail> {
        let name = match operator {
            BinaryOperator::And | BinaryOperator::Or => return Ok(None),
            BinaryOperator::PGCustomBinaryOperator(parts) => match parts.as_slice() {
                [name] => name.clone(),
                [schema, _] if schema == "pg_catalog" => return Ok(None),
                _ => return Err(unsupported("an operator of another schema than `pg_catalog`")),
            },
            BinaryOperator::Custom(words) => {
                // A value of JSON becomes one of this type.
                marker::returned_as(words).map_or(Ok(()), |written| self.type_name(written))?;
                words.clone()
            }
            other => other.to_string(),
        };
        match self.operator_name(&name) {
            Ok(()) => Ok(None),
            Err(_) if builtins::is_operator(&name) => Ok(Some(named(&name))),
            Err(refusal) => Err(refusal),
        }
    }

    /// Which operator a name means is found by the session's search path and the operands' types, so that one function
    /// that is not open closes the name. In a longer run of symbols each operator must be open.
    pub(super) fn operator_name(&self, name: &str) -> Result<(), Fail> {
        if implied::open(self.context.catalog.operator_calls(name), self.context) {
            return Ok(());
        }
        Err(function::calls_unreviewed(&format!("operator `{name}`")))
    }

    /// A type that a value is cast to.
    pub(super) fn data_type(&self, data_type: &DataType) -> Result<(), Fail> {
        if let DataType::Custom(name, _) = data_type
            && name.0.len() > 2
        {
            return Err(unsupported("a type name with a database"));
        }
        self.type_name(&data_type.to_string())
    }

    /// A type by its name as text: in whatever schema, its casts and checks must call nothing that nobody reviewed.
    pub(super) fn type_name(&self, written: &str) -> Result<(), Fail> {
        implied::named_type(written, self.context)
    }

    /// `t.*` as an argument or in ROW(...).
    pub(super) fn row_star(&mut self, name: &mut ObjectName) -> Result<(), Fail> {
        let parts = super::names::parts_of(name)?;
        let (columns, occurrence, carrier, table) = self.qualified_star(&parts)?;
        self.mark_row(&columns, occurrence);
        self.expose_row(&columns, occurrence, carrier);
        let star = |mut parts: Vec<String>| {
            parts.push("*".to_owned());
            parts
        };
        self.seen.add_column(star(parts));
        self.meant.add_column(star(vec![table.clone()]));
        *name = super::names::quoted_name([table.as_str()]);
        Ok(())
    }

    fn rounding(&self, field: &CeilFloorKind) -> Result<(), Fail> {
        match field {
            CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_) => Err(unsupported("CEIL or FLOOR with a field")),
        }
    }

    /// `(row).field`, `array[1]`, `array[1:2]`.
    fn field_access(&mut self, root: &mut Expr, chain: &mut [AccessExpr], usage: Use) -> Result<(), Fail> {
        let field = chain.first().and_then(|access| match access {
            AccessExpr::Dot(Expr::Identifier(field)) => Some(name_of(field)),
            AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
        });
        match (self.row_of(root), field) {
            // `(customers).email` names one column, not the whole row.
            (Some((parts, columns)), Some(field)) if columns.iter().any(|column| column.name == field) => {
                let origins =
                    columns.into_iter().filter(|column| column.name == field).flat_map(|c| c.origins).collect();
                self.saw_column(parts);
                self.mark(&origins, usage);
            }
            _ => self.expr(root, usage)?,
        }
        for access in chain {
            match access {
                AccessExpr::Dot(Expr::Identifier(field)) if marker::is_star(field) => {}
                AccessExpr::Dot(Expr::Identifier(field)) => self.check_field(&name_of(field))?,
                AccessExpr::Dot(_) => return Err(unsupported("this kind of field access")),
                AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index, usage)?,
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    if stride.is_some() {
                        return Err(unsupported("a slice with a stride"));
                    }
                    self.maybe(lower_bound.as_mut(), usage)?;
                    self.maybe(upper_bound.as_mut(), usage)?;
                }
            }
        }
        Ok(())
    }

    /// Where an expression is a whole-row reference in parentheses: its name and columns.
    fn row_of(&self, root: &Expr) -> Option<(Vec<String>, Vec<super::scope::VisibleColumn>)> {
        let Expr::Nested(inner) = root else { return None };
        let Expr::Identifier(ident) = inner.as_ref() else { return None };
        let parts = vec![name_of(ident)];
        match self.meaning(&parts) {
            Ok(Meaning::Row(Some(columns), ..)) => Some((parts, columns)),
            _ => None,
        }
    }
}

/// `t.a[1]` is a subscript of the column `t.a`, which sqlparser reads as two steps from `t`.
fn gather_name(root: &mut Expr, chain: &mut Vec<AccessExpr>) {
    let mut idents = match root {
        Expr::Identifier(ident) => vec![ident.clone()],
        Expr::CompoundIdentifier(idents) => idents.clone(),
        _ => return,
    };
    while let Some(AccessExpr::Dot(Expr::Identifier(next))) = chain.first() {
        if marker::is_star(next) {
            break;
        }
        idents.push(next.clone());
        chain.remove(0);
    }
    if idents.len() > 1 {
        *root = Expr::CompoundIdentifier(idents);
    }
}

/// A column reference with every part quoted.
fn written(parts: &[String]) -> Expr {
    let mut idents: Vec<Ident> = parts.iter().map(|part| quoted(part)).collect();
    match (idents.len(), idents.pop()) {
        (1, Some(ident)) => Expr::Identifier(ident),
        (_, last) => Expr::CompoundIdentifier(idents.into_iter().chain(last).collect()),
    }
}
