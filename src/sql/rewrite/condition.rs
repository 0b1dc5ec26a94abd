//! A condition of the policy's own means the same under every setting of a session.
//!
//! What a value is read or written as depends on `TimeZone`, `DateStyle`, `IntervalStyle`, `lc_*`, `search_path` wherever
//! PostgreSQL marks a cast, a comparison or a function as stable (`pg_proc.provolatile`), and in input functions of constants.
//! So each part of a condition is typed here: moments become South Africa's own time, two hours before UTC all year, constants
//! of days and times must be in ISO 8601's form, and what is not certain to be the same for everybody is refused.
//! <https://www.postgresql.org/docs/current/xfunc-volatility.html>, <https://www.postgresql.org/docs/current/datatype-datetime.html>

mod constant;
pub(super) mod said;
mod types;
mod written;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget, UnaryOperator, Value,
};

use self::said::Whom;
use self::types::{Target, Ty, Typed, alike, comparable, reckoned, target};
use self::written::{called, cast_to, form_of, in_south_africa, of_form, today};
use super::{Fail, fail, operators};
use crate::catalog::{Catalog, Relation, TypeClass, builtin};
use crate::document::Fault;
use crate::policy::{PolicySet, ROWS, Stated};
use crate::sql::ast::fragment;
use crate::sql::ast::render::render_expr;
use crate::sql::resolve::{name_of, quoted, quoted_name};
use crate::sql::reviewed::builtins;

/// Clocks; each is the statement's own time.
const CLOCKS: &[&str] =
    &["now", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "current_timestamp", "localtimestamp"];

/// Functions of text that give text, and depend on nothing but their arguments.
const TEXTS: &str = "btrim ltrim rtrim lower upper left right substr substring replace translate split_part reverse lpad \
    rpad repeat overlay md5 initcap";
/// Of text, that give a number.
const LENGTHS: &str = "length char_length character_length octet_length bit_length strpos ascii";
/// Of numbers.
const NUMBERS: &str = "abs ceil ceiling floor round trunc sign mod div";
/// The first of the like that is there.
const CHOICES: &str = "coalesce nullif greatest least";
/// The session's login; no governed session changes it.
const LOGINS: &str = "current_user session_user user current_role current_catalog";

fn among(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|word| word == name)
}

/// A condition over `relation`, which is called `owner`, with every column written as its own: one that is not there must
/// not come to mean a column of the row that is filtered.
///
/// # Errors
/// 42501: the purpose is closed, for the condition depends on a setting, or is not understood.
pub(super) fn condition(
    key: &str,
    text: &str,
    relation: &Relation,
    owner: &str,
    catalog: &Catalog,
) -> Result<String, Fail> {
    condition_for(key, text, relation, owner, catalog, None)
}

/// The same for a rule's own condition, in which `login` and, in `own`, `actor` stand for who asks.
///
/// # Errors
/// As [`condition`].
pub(super) fn condition_for(
    key: &str,
    text: &str,
    relation: &Relation,
    owner: &str,
    catalog: &Catalog,
    whom: Option<Whom<'_>>,
) -> Result<String, Fail> {
    let closed = |why: &str| fail(format!("the purpose is closed: the condition `{key}` of `{}` {why}", relation.name));
    let mut expr = fragment::parse_expression(&format!("({text})")).map_err(|_| closed("is not understood"))?;
    let mut typer = Typer { relation, owner, catalog, whom, rows: key == ROWS };
    match typer.of(&mut expr) {
        Ok(Ty::Bool | Ty::Null) => Ok(render_expr(&expr)),
        Ok(_) => Err(closed("is not true or false")),
        Err(why) => Err(closed(&why)),
    }
}

/// The policies' conditions that depend on a setting, or are not understood: with one of them nothing is loaded.
pub fn unsettled(policies: &PolicySet, catalog: &Catalog) -> Vec<Fault> {
    unsettled_among(policies.conditions(), catalog)
}

/// The same of some of them.
pub fn unsettled_among<'a>(conditions: impl IntoIterator<Item = Stated<'a>>, catalog: &Catalog) -> Vec<Fault> {
    let mut faults = Vec::new();
    for Stated { key, text, table, place, of_rule } in conditions {
        // A table that is not there is told elsewhere.
        let Some(relation) = catalog.relation(table) else { continue };
        let whom = (of_rule || key == ROWS).then_some(Whom { login: "login", actor: Some("0") });
        // A rule's own condition may be about the table of the data subject.
        if of_rule && said::columns(text).is_ok_and(|names| !names.iter().any(|name| relation.column(name).is_some())) {
            continue;
        }
        if let Err(refusal) = condition_for(key, text, relation, "pgpurpose_row", catalog, whom) {
            let told = refusal.message.strip_prefix("the purpose is closed: ").unwrap_or(&refusal.message);
            faults.push(Fault::error(place, told));
        }
    }
    faults
}

struct Typer<'a> {
    relation: &'a Relation,
    owner: &'a str,
    catalog: &'a Catalog,
    whom: Option<Whom<'a>>,
    /// It is a rule's `rows`, which knows no actor.
    rows: bool,
}

impl Typer<'_> {
    /// The type of a part, which is written anew where it depends on a setting.
    fn of(&mut self, expr: &mut Expr) -> Typed {
        if let Some(moment) = self.moment(expr)? {
            *expr = in_south_africa(&moment)?;
            return Ok(Ty::Timestamp);
        }
        match expr {
            Expr::Identifier(ident) => {
                let ident = ident.clone();
                self.name(&ident, expr)
            }
            Expr::CompoundIdentifier(_) => Err("names a column with its table".to_owned()),
            Expr::Value(value) => match &value.value {
                Value::Boolean(_) => Ok(Ty::Bool),
                Value::Null => Ok(Ty::Null),
                Value::Number(..) => Ok(Ty::Number),
                Value::SingleQuotedString(_) => Ok(Ty::Constant),
                _ => Err("holds a constant of a form that is not taken".to_owned()),
            },
            Expr::Nested(inner) => self.of(inner),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
                // As it stands, so that a partial index still fits.
                if let Some(moment) = self.moment(inner)? {
                    **inner = moment;
                    return Ok(Ty::Bool);
                }
                self.of(inner).map(|_| Ty::Bool)
            }
            Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner) => self.truth(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => self.truth(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => match self.of(inner)? {
                // A sign before a constant is part of it.
                Ty::Number | Ty::Float | Ty::Interval
                    if (self.is_closed("-") || self.is_closed("+")) && !matches!(**inner, Expr::Value(_)) =>
                {
                    Err(format!(
                        "has {} before what is no constant, while the database has another operator of that name",
                        form_of(expr)
                    ))
                }
                ty @ (Ty::Number | Ty::Float | Ty::Interval) => Ok(ty),
                _ => Err(of_form(expr)),
            },
            Expr::BinaryOp { .. } => self.operation(expr),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.compared(left, std::iter::once(&mut **right))?;
                self.written_out(expr)
            }
            Expr::Between { expr: inner, negated: _, low, high } => {
                self.compared(inner, [&mut **low, &mut **high].into_iter())?;
                self.written_out(expr)
            }
            Expr::In { expr: inner, target: InTarget::List(list), negated: _, global: false } => {
                self.compared(inner, list.iter_mut())?;
                self.written_out(expr)
            }
            Expr::Like { any: false, expr: inner, pattern, escape_char: None, negated: _ }
            | Expr::ILike { any: false, expr: inner, pattern, escape_char: None, negated: _ } => {
                self.text(inner)?;
                self.text(pattern)?;
                self.written_out(expr)
            }
            Expr::Cast { expr: inner, data_type, format: None, .. } => {
                let from = self.of(inner)?;
                if matches!(from, Ty::Actor | Ty::Login) {
                    let gives = target(data_type).map_or(Ty::Text, Target::gives);
                    let ty = said::beside(self.whom.as_ref(), from, inner, gives)?;
                    *expr = (**inner).clone();
                    return if ty == gives { Ok(ty) } else { Err(of_form(expr)) };
                }
                let to = target(data_type).ok_or_else(|| format!("casts to `{data_type}`, which is not taken"))?;
                let inner = (**inner).clone();
                self.cast(inner, from, to, expr)
            }
            Expr::TypedString(typed) => {
                let to =
                    target(&typed.data_type).ok_or_else(|| format!("has a constant of type `{}`", typed.data_type))?;
                let value = Expr::Value(typed.value.clone());
                self.cast(value, Ty::Constant, to, expr)
            }
            Expr::Interval(interval)
                if interval.leading_field.is_none() && matches!(&*interval.value, Expr::Value(_)) =>
            {
                let value = (*interval.value).clone();
                self.cast(value, Ty::Constant, Target::Interval, expr)
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                constant::zone(time_zone)?;
                if let Some(moment) = self.moment(timestamp)? {
                    **timestamp = moment;
                    return Ok(Ty::Timestamp);
                }
                match self.of(timestamp)? {
                    Ty::Timestamp => {
                        *expr = in_south_africa(&expr.clone())?;
                        Ok(Ty::Timestamp)
                    }
                    _ => Err(of_form(expr)),
                }
            }
            Expr::Extract { field: _, syntax: _, expr: inner } => {
                self.time(inner)?;
                Ok(Ty::Number)
            }
            Expr::Ceil { expr: inner, .. } | Expr::Floor { expr: inner, .. } => self.of(inner),
            Expr::Position { expr: inner, r#in } => {
                self.text(inner)?;
                self.text(r#in)?;
                Ok(Ty::Number)
            }
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                self.text(inner)?;
                for number in [substring_from, substring_for].into_iter().flatten() {
                    self.number(number)?;
                }
                Ok(Ty::Text)
            }
            Expr::Trim { expr: inner, trim_what: None, trim_characters: None, .. } => self.text(inner),
            Expr::Case { operand: None, conditions, else_result, .. } => {
                let mut found = Ty::Null;
                for when in conditions.iter_mut() {
                    self.truth(&mut when.condition)?;
                    let ty = self.of(&mut when.result)?;
                    found = alike(found, ty, &when.result)?;
                }
                if let Some(other) = else_result {
                    let ty = self.of(other)?;
                    found = alike(found, ty, other)?;
                }
                Ok(found)
            }
            Expr::Function(_) => self.call(expr),
            _ => Err(of_form(expr)),
        }
    }

    fn name(&self, ident: &Ident, expr: &mut Expr) -> Typed {
        let name = name_of(ident);
        if ident.quote_style.is_none() && builtins::is_value_keyword(&name) {
            return match name.as_str() {
                "current_date" => {
                    *expr = today()?;
                    Ok(Ty::Date)
                }
                name if among(LOGINS, name) => Ok(Ty::Text),
                name => Err(format!("asks for `{name}`, which depends on a session's settings")),
            };
        }
        if let Some((ty, value)) = self.whom.as_ref().and_then(|whom| said::of(whom, ident)) {
            if self.rows && matches!(ty, Ty::Actor) {
                return Err("asks for `actor`, which only `own` knows; a column of that name stands in double quotes"
                    .to_owned());
            }
            *expr = said::constant(value, Ty::Text)?;
            return Ok(if self.rows { Ty::Text } else { ty });
        }
        let Some(column) = self.relation.column(&name) else {
            return Err(format!("names the column `{name}`, which is not there"));
        };
        *expr = Expr::CompoundIdentifier(vec![quoted(self.owner), quoted(&name)]);
        Ok(match column.class {
            // citext, whose operators are found by the session's search path.
            TypeClass::Text if column.base_oid >= builtin::FIRST_OF_USERS => Ty::Folded,
            TypeClass::Text => Ty::Text,
            TypeClass::Integer | TypeClass::Numeric => Ty::Number,
            TypeClass::Float => Ty::Float,
            TypeClass::Date => Ty::Date,
            TypeClass::Timestamp => Ty::Timestamp,
            TypeClass::Uuid => Ty::Uuid,
            TypeClass::Bool => Ty::Bool,
            TypeClass::Enum => Ty::Enum,
            TypeClass::Inet => Ty::Inet,
            TypeClass::Other if column.base_oid == builtin::INTERVAL => Ty::Interval,
            // A moment does not come here.
            TypeClass::TimestampTz
            | TypeClass::Json
            | TypeClass::Jsonb
            | TypeClass::Array
            | TypeClass::Composite
            | TypeClass::Other => Ty::Opaque,
        })
    }

    /// A value of type `timestamptz` as it stands: a clock, a column, or a constant that says its own zone.
    fn moment(&self, expr: &Expr) -> Result<Option<Expr>, String> {
        let clock = || fragment::parse_expression("pg_catalog.statement_timestamp()").map_err(|_| of_form(expr));
        match expr {
            Expr::Nested(inner) => self.moment(inner),
            Expr::Identifier(ident) if ident.quote_style.is_none() && CLOCKS.contains(&name_of(ident).as_str()) => {
                clock().map(Some)
            }
            Expr::Identifier(ident) => {
                let name = name_of(ident);
                let moment = self.relation.column(&name).is_some_and(|column| column.class == TypeClass::TimestampTz);
                let keyword = ident.quote_style.is_none() && builtins::is_value_keyword(&name);
                Ok((moment && !keyword).then(|| Expr::CompoundIdentifier(vec![quoted(self.owner), quoted(&name)])))
            }
            Expr::Function(function) => match called(&function.name) {
                Some(name) if CLOCKS.contains(&name.as_str()) => clock().map(Some),
                Some(_) | None => Ok(None),
            },
            Expr::Cast { expr: inner, data_type, .. } if target(data_type) == Some(Target::Moment) => {
                match self.moment(inner)? {
                    Some(moment) => Ok(Some(moment)),
                    None => Ok(constant::moment(inner)),
                }
            }
            Expr::TypedString(typed) if target(&typed.data_type) == Some(Target::Moment) => {
                Ok(constant::moment(&Expr::Value(typed.value.clone())))
            }
            _ => Ok(None),
        }
    }

    fn truth(&mut self, expr: &mut Expr) -> Typed {
        match self.of(expr)? {
            Ty::Bool | Ty::Null => Ok(Ty::Bool),
            _ => Err(of_form(expr)),
        }
    }

    fn text(&mut self, expr: &mut Expr) -> Typed {
        match self.of(expr)? {
            ty @ Ty::Written => Ok(ty),
            Ty::Text | Ty::Constant | Ty::Null | Ty::Actor | Ty::Login => Ok(Ty::Text),
            _ => Err(of_form(expr)),
        }
    }

    fn number(&mut self, expr: &mut Expr) -> Typed {
        match self.of(expr)? {
            ty @ (Ty::Number | Ty::Float) => Ok(ty),
            _ => Err(of_form(expr)),
        }
    }

    /// A day becomes a time: left to itself PostgreSQL would take it for a moment in the session's zone.
    fn time(&mut self, expr: &mut Expr) -> Typed {
        match self.of(expr)? {
            ty @ (Ty::Timestamp | Ty::Interval) => Ok(ty),
            Ty::Date => {
                *expr = cast_to(expr.clone(), "timestamp")?;
                Ok(Ty::Timestamp)
            }
            _ => Err(of_form(expr)),
        }
    }

    fn compared<'e>(&mut self, left: &'e mut Expr, others: impl Iterator<Item = &'e mut Expr>) -> Typed {
        let mut first = self.of(left)?;
        for other in others {
            let mut ty = self.of(other)?;
            let beside = |ty, expr, other| said::beside(self.whom.as_ref(), ty, expr, other);
            (first, ty) = (beside(first, left, ty)?, beside(ty, other, first)?);
            match first {
                Ty::Constant => comparable(ty, first, left)?,
                _ => comparable(first, ty, other)?,
            }
        }
        Ok(Ty::Bool)
    }

    fn is_closed(&self, operator: &str) -> bool {
        !self.catalog.operator_calls(operator).is_empty()
    }

    /// A comparison that names no operator.
    fn written_out(&self, expr: &mut Expr) -> Typed {
        if let Some(written) = operators::written_out(expr, |operator| self.is_closed(operator)) {
            *expr = written;
        }
        Ok(Ty::Bool)
    }

    fn operation(&mut self, expr: &mut Expr) -> Typed {
        let form = of_form(expr);
        let Expr::BinaryOp { left, op, right } = expr else { return Err(form) };
        let ty = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                self.truth(left)?;
                return self.truth(right);
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => match (self.moment(left)?, self.moment(right)?) {
                // Which of two moments is the earlier depends on no zone, and an index over them still fits.
                (Some(earlier), Some(later)) => {
                    (**left, **right) = (earlier, later);
                    Ty::Bool
                }
                _ => self.compared(left, std::iter::once(&mut **right))?,
            },
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => {
                let (a, b) = (self.of(left)?, self.of(right)?);
                reckoned(a, op, b).ok_or(form)?
            }
            _ => return Err(form),
        };
        // Where an operator of that name calls other code, the system's own is meant.
        let name = op.to_string();
        if self.is_closed(&name) {
            *expr = operators::compared(left, &name, right);
        }
        Ok(ty)
    }

    fn cast(&self, inner: Expr, from: Ty, to: Target, expr: &mut Expr) -> Typed {
        match (from, to) {
            (Ty::Constant, Target::Date) => constant::day(&inner)?,
            (Ty::Constant, Target::Timestamp | Target::Moment) => constant::time(&inner)?,
            (Ty::Constant, Target::Interval) => constant::period(&inner)?,
            (Ty::Null, _)
            | (Ty::Folded, Target::Text)
            | (Ty::Constant | Ty::Text, Target::Text | Target::Number(_) | Target::Bool | Target::Uuid)
            | (Ty::Constant, Target::Float)
            | (Ty::Number, Target::Text | Target::Number(_) | Target::Float)
            | (Ty::Float, Target::Number(_) | Target::Float)
            | (Ty::Bool, Target::Bool | Target::Text)
            | (Ty::Uuid, Target::Uuid | Target::Text)
            | (Ty::Enum | Ty::Inet, Target::Text)
            | (Ty::Interval, Target::Interval)
            | (Ty::Date | Ty::Timestamp, Target::Date | Target::Timestamp | Target::Moment) => {}
            (Ty::Float | Ty::Date | Ty::Timestamp | Ty::Interval | Ty::Opaque | Ty::Written, Target::Text) => {
                *expr = cast_to(inner, "text")?;
                return Ok(Ty::Written);
            }
            _ => return Err(format!("casts {} in a way that depends on a session's settings", form_of(&inner))),
        }
        *expr = cast_to(inner, to.name())?;
        Ok(to.gives())
    }

    fn call(&mut self, expr: &mut Expr) -> Typed {
        let form = of_form(expr);
        let Expr::Function(function) = expr else { return Err(form) };
        let Some(name) = called(&function.name) else { return Err(form) };
        if name == "current_date" {
            *expr = today()?;
            return Ok(Ty::Date);
        }
        if among(LOGINS, &name) {
            return Ok(Ty::Text);
        }
        let FunctionArguments::List(list) = &mut function.args else { return Err(form) };
        if function.over.is_some() || function.filter.is_some() || !list.clauses.is_empty() {
            return Err(form);
        }
        let mut args = Vec::new();
        for arg in &mut list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(arg),
                _ => return Err(form),
            }
        }
        let ty = self.result(&name, &mut args)?;
        if !builtins::is_grammar_function(&name) {
            function.name = quoted_name(["pg_catalog", name.as_str()]);
        }
        Ok(ty)
    }

    fn result(&mut self, name: &str, args: &mut [&mut Expr]) -> Typed {
        let not_taken =
            || format!("calls the function `{name}`, which is not known to give the same under all settings");
        if name == "nullif" && self.is_closed("=") {
            return Err("calls `nullif`, which compares by an operator that the database has another of".to_owned());
        }
        if among(CHOICES, name) {
            let mut found = Ty::Null;
            for arg in args {
                let ty = self.of(arg)?;
                found = alike(found, ty, arg)?;
            }
            return Ok(found);
        }
        if among(TEXTS, name) || among(LENGTHS, name) || name == "starts_with" {
            let mut written = false;
            for arg in args.iter_mut() {
                match self.of(arg)? {
                    Ty::Text | Ty::Constant | Ty::Null | Ty::Number | Ty::Actor | Ty::Login => {}
                    Ty::Written if name == "btrim" => written = true,
                    _ => return Err(of_form(arg)),
                }
            }
            return Ok(match name {
                _ if written => Ty::Written,
                "starts_with" => Ty::Bool,
                name if among(LENGTHS, name) => Ty::Number,
                _ => Ty::Text,
            });
        }
        if among(NUMBERS, name) {
            let mut found = Ty::Number;
            for arg in args {
                if self.number(arg)? == Ty::Float {
                    found = Ty::Float;
                }
            }
            return Ok(found);
        }
        match (name, args) {
            ("date_trunc", [unit, time]) => {
                self.text(unit)?;
                self.time(time)
            }
            ("date_part", [unit, time]) => {
                self.text(unit)?;
                self.time(time).map(|_| Ty::Float)
            }
            ("age", [left, right]) => {
                self.time(left)?;
                self.time(right)?;
                Ok(Ty::Interval)
            }
            ("isfinite", [time]) => self.time(time).map(|_| Ty::Bool),
            ("make_date", [year, month, day]) => {
                self.number(year)?;
                self.number(month)?;
                self.number(day)?;
                Ok(Ty::Date)
            }
            _ => Err(not_taken()),
        }
    }
}

#[cfg(test)]
mod tests;
