//! Names that stand in the AST for what sqlparser has no node for. No client can write them: they hold a NUL, or a space
//! without quotes.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::sql::text::keywords::{Category, category};

/// First part of a table's name: `ONLY t`.
pub(in crate::sql) const ONLY: &str = "\0only";
/// First part of the name of the table of an INSERT: OVERRIDING USER VALUE.
pub(in crate::sql) const OVERRIDING_USER: &str = "\0overriding_user";
/// First part of the name of the table of an INSERT: OVERRIDING SYSTEM VALUE.
pub(in crate::sql) const OVERRIDING_SYSTEM: &str = "\0overriding_system";
/// Part of the name of a column that is set: `a[1]`; a function whose argument is the index.
pub(in crate::sql) const SUBSCRIPT: &str = "\0subscript";
/// The same with a colon: `a[1:2]`; two arguments.
pub(in crate::sql) const SLICE: &str = "\0slice";
/// A bound that is left out.
pub(in crate::sql) const NO_BOUND: &str = "\0bound";
/// The "constraint" of an ON CONFLICT with more than names: a function whose arguments are expressions.
pub(in crate::sql) const CONFLICT: &str = "\0conflict";
/// Its last argument: a function whose argument is the WHERE of the index.
pub(in crate::sql) const CONFLICT_WHERE: &str = "\0conflict_where";
/// First part of a collation that is none: the operator class of an element of ON CONFLICT (..).
pub(in crate::sql) const OPERATOR_CLASS: &str = "\0operator_class";
/// Name of a table function whose arguments are table functions: ROWS FROM (..).
pub(in crate::sql) const ROWS_FROM: &str = "\0rows_from";
/// Alias of a table function that has no alias but columns: `f() AS (a int)`.
pub(in crate::sql) const NO_ALIAS: &str = "\0no_alias";
/// Last field of `(row).*`.
pub(in crate::sql) const STAR: &str = "\0star";
/// First part of the name in FOR UPDATE OF: the names follow.
pub(in crate::sql) const LOCK_OF: &str = "\0of";
/// The same for NO KEY UPDATE (written as UPDATE) and KEY SHARE (written as SHARE).
pub(in crate::sql) const KEY_LOCK_OF: &str = "\0key_of";
/// First expression of PARTITION BY: the frame ends in EXCLUDE TIES.
pub(in crate::sql) const EXCLUDE_TIES: &str = "\0exclude_ties";
/// First expression of PARTITION BY: the frame ends in EXCLUDE GROUP.
pub(in crate::sql) const EXCLUDE_GROUP: &str = "\0exclude_group";
/// First expression of PARTITION BY: the frame ends in EXCLUDE CURRENT ROW.
pub(in crate::sql) const EXCLUDE_ROW: &str = "\0exclude_row";
/// Last name in JOIN USING, with the alias as its second part.
pub(in crate::sql) const USING_AS: &str = "\0using_as";
/// Words of the grammar in an expression: an operator, or an identifier that is no column. The words follow.
pub(in crate::sql) const WORDS: &str = "\0=";
/// Behind a WITH query: SEARCH and CYCLE. The words follow.
pub(in crate::sql) const RECURSION: &str = "\0recursion ";
/// Function whose arguments stand behind each other, without commas and parentheses: what JSON_TABLE holds.
pub(in crate::sql) const SEQUENCE: &str = "\0sequence";
/// Before the name and type of a column that JSON_TABLE makes; the words follow.
pub(in crate::sql) const MADE_COLUMN: &str = "\0made ";
/// Time zone of AT TIME ZONE: AT LOCAL.
pub(in crate::sql) const LOCAL_ZONE: &str = "\0local";
/// First key of a GROUP BY DISTINCT.
pub(in crate::sql) const GROUP_DISTINCT: &str = "\0distinct";
/// Before the path of an XMLTABLE with LATERAL before it.
pub(in crate::sql) const LATERAL: &str = "\0lateral";
/// Before the value of XMLSERIALIZE: CONTENT.
pub(in crate::sql) const XML_CONTENT: &str = "\0content";
/// Before the value of XMLSERIALIZE: DOCUMENT.
pub(in crate::sql) const XML_DOCUMENT: &str = "\0document";
/// Before the number of LIMIT: FETCH FIRST of an expression, WITH TIES.
pub(in crate::sql) const TIES: &str = "\0ties";
/// GROUPING SETS, so that all of it is parsed here.
pub(in crate::sql) const GROUPING_SETS: &str = "\0grouping_sets";
/// The only value of an INSERT DEFAULT VALUES in MERGE.
pub(in crate::sql) const DEFAULT_VALUES: &str = "\0default_values";
/// Prefix of a name in XMLELEMENT and XMLPI: `NAME x` is `Expr::Prefixed`, and its value no column.
pub(in crate::sql) const XML_NAME: &str = "NAME";
/// Name of the function that COLLATION FOR (..) is.
pub(in crate::sql) const COLLATION_FOR: &str = "COLLATION FOR";
/// Prefix of the cursor's name: `CURRENT OF c` is `Expr::Prefixed`, and its value no column.
pub(in crate::sql) const CURRENT_OF: &str = "CURRENT OF";
/// Prefix of an argument: `VARIADIC a` is `Expr::Prefixed`.
pub(in crate::sql) const VARIADIC: &str = "VARIADIC";
/// Prefix of the lower bound of BETWEEN SYMMETRIC.
pub(in crate::sql) const SYMMETRIC: &str = "SYMMETRIC";

/// The name of a part, where it is a plain one.
fn plain(part: Option<&ObjectNamePart>) -> Option<&str> {
    part.and_then(ObjectNamePart::as_ident).map(|ident| ident.value.as_str())
}

/// Whether a part of a name is a marker that has arguments.
pub(in crate::sql) fn is_call(ident: &Ident) -> bool {
    [SUBSCRIPT, SLICE, CONFLICT].contains(&ident.value.as_str())
}

/// The columns that SEARCH and CYCLE add to the query they stand behind; `None` for any other name.
pub(in crate::sql) fn recursion_columns(ident: &Ident) -> Option<Vec<String>> {
    let words = ident.value.strip_prefix(RECURSION)?;
    let tokens = crate::sql::text::lex::lex(words).ok()?;
    let adds = |token: &crate::sql::text::lex::Token| token.is_word("set") || token.is_word("using");
    let named = |pair: &[crate::sql::text::lex::Token]| match pair {
        [word, column] if adds(word) => match &column.kind {
            crate::sql::text::lex::Kind::Word(name) | crate::sql::text::lex::Kind::Quoted(name) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    Some(tokens.windows(2).filter_map(named).collect())
}

/// Whether a function is none, but what JSON_TABLE holds: expressions, words, and [`made_column`]s.
pub(in crate::sql) fn is_sequence(name: &ObjectName) -> bool {
    plain(name.0.first()) == Some(SEQUENCE)
}

/// Name and type, as it is written, of a column that JSON_TABLE makes; `None` for any other name.
pub(in crate::sql) fn made_column(ident: &Ident) -> Option<(String, &str)> {
    use crate::sql::text::lex::{Kind, lex};
    let words = ident.value.strip_prefix(MADE_COLUMN)?;
    let first = lex(words).ok()?.into_iter().next()?;
    match first.kind {
        Kind::Word(name) | Kind::Quoted(name) => Some((name, words.get(first.end..)?.trim())),
        _ => None,
    }
}

/// Whether the name is that of a table with ONLY before it; the parts that name the table follow.
pub fn is_only(name: &ObjectName) -> bool {
    plain(name.0.first()) == Some(ONLY)
}

/// Puts ONLY before a table's name, or takes it away.
pub fn set_only(name: &mut ObjectName, only: bool) {
    match (is_only(name), only) {
        (true, false) => {
            name.0.remove(0);
        }
        (false, true) => name.0.insert(0, ObjectNamePart::Identifier(Ident::new(ONLY))),
        (true, true) | (false, false) => {}
    }
}

/// OVERRIDING USER VALUE and OVERRIDING SYSTEM VALUE of an INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overriding {
    /// USER.
    User,
    /// SYSTEM.
    System,
}

/// Whether the table of an INSERT has OVERRIDING behind its columns; the parts that name the table follow the first.
pub fn overriding(name: &ObjectName) -> Option<Overriding> {
    match plain(name.0.first()) {
        Some(OVERRIDING_USER) => Some(Overriding::User),
        Some(OVERRIDING_SYSTEM) => Some(Overriding::System),
        _ => None,
    }
}

/// Whether `Expr::Prefixed` with this prefix is `CURRENT OF cursor`: then its value is no column.
pub fn is_current_of(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == CURRENT_OF
}

/// Whether `Expr::Prefixed` with this prefix is `VARIADIC argument`.
pub fn is_variadic(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == VARIADIC
}

/// Whether `Expr::Prefixed` with this prefix is a prefix operator, `~ x` or `!! x`: its value is an expression.
pub fn is_operator(prefix: &Ident) -> bool {
    prefix.quote_style.is_none()
        && !prefix.value.is_empty()
        && prefix.value.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c))
}

/// Whether `Expr::Prefixed` with this prefix is the lower bound of BETWEEN SYMMETRIC.
pub fn is_symmetric(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == SYMMETRIC
}

/// Whether `Expr::Prefixed` with this prefix is a name in XMLELEMENT or XMLPI: then its value is no column.
pub fn is_xml_name(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == XML_NAME
}

/// Whether `Expr::Prefixed` with this prefix is CONTENT or DOCUMENT before the value of XMLSERIALIZE, LATERAL before the path of
/// XMLTABLE, or WITH TIES behind the number of FETCH FIRST: its value is an expression.
pub(in crate::sql) fn is_grammar_word(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && [XML_CONTENT, XML_DOCUMENT, LATERAL, TIES].contains(&prefix.value.as_str())
}

/// What `Expr::Named` that the client wrote says: the type behind the AS of XMLSERIALIZE, as it is written. `None` for any other
/// name.
pub(in crate::sql) fn serialized_as(name: &Ident) -> Option<&str> {
    name.value.strip_prefix(WORDS)
}

/// Whether the name of `Expr::Named` is the client's: that of an element or attribute in XMLFOREST and XMLATTRIBUTES, or a type.
pub(in crate::sql) fn is_label(name: &Ident) -> bool {
    !name.value.starts_with('\0') || is_words(&name.value)
}

/// Whether `BinaryOperator::Custom` of this is no operator but words of the grammar between two expressions: SIMILAR and
/// ESCAPE in SUBSTRING, PASSING in XMLEXISTS, IS DOCUMENT, and LIKE (ILIKE, NOT LIKE ..) before ANY and ALL.
pub fn is_words(operator: &str) -> bool {
    operator.starts_with(WORDS)
}

/// The type that JSON_VALUE and its kin give, where these words of [`is_words`] are RETURNING and it.
pub(in crate::sql) fn returned_as(operator: &str) -> Option<&str> {
    operator.strip_prefix(WORDS)?.strip_prefix("returning ")
}

/// Whether the only value of an INSERT in MERGE says that it is INSERT DEFAULT VALUES.
pub fn is_default_values(ident: &Ident) -> bool {
    ident.value == DEFAULT_VALUES
}

/// Whether a part of the name of a column that is set is a subscript: `SET a[1] = ..`, `INSERT INTO t (a[1:2])`. Its
/// arguments are expressions; one that is left out is a reserved identifier ([`is_reserved`]).
pub fn is_subscript(part: &Ident) -> bool {
    part.value == SUBSCRIPT || part.value == SLICE
}

/// Whether the "constraint" of an ON CONFLICT is in truth a list of expressions, and perhaps a last argument that
/// [`is_conflict_where`]. An argument that is a plain identifier is a column's name, and no column reference in
/// [`crate::sql::witness::Facts`]; so is one within COLLATE.
pub fn is_conflict_target(name: &ObjectName) -> bool {
    matches!(name.0.first(), Some(ObjectNamePart::Function(function)) if function.name.value == CONFLICT)
}

/// Whether a function in the arguments of such a target is the WHERE of the index; it has one argument.
pub fn is_conflict_where(name: &ObjectName) -> bool {
    plain(name.0.first()) == Some(CONFLICT_WHERE)
}

/// Whether a collation is the name of an operator class.
pub(in crate::sql) fn is_operator_class(collation: &ObjectName) -> bool {
    plain(collation.0.first()) == Some(OPERATOR_CLASS)
}

/// Whether a table function is ROWS FROM (..): its arguments are calls of table functions.
pub fn is_rows_from(name: &ObjectName) -> bool {
    plain(name.0.first()) == Some(ROWS_FROM)
}

/// Whether an alias is none: `f() AS (a int, b text)` has columns only, and is known by the function's name.
pub fn is_no_alias(alias: &Ident) -> bool {
    alias.value == NO_ALIAS
}

/// Whether the last field of a field access is a star: `(row).*`.
pub fn is_star(field: &Ident) -> bool {
    field.value == STAR
}

/// The names in FOR UPDATE OF a, b (and the like).
pub fn locked(of: &ObjectName) -> impl Iterator<Item = &Ident> {
    let marked = matches!(plain(of.0.first()), Some(LOCK_OF | KEY_LOCK_OF));
    of.0.iter().skip(usize::from(marked)).filter_map(ObjectNamePart::as_ident)
}

/// Whether an expression in PARTITION BY is none, but says that the frame ends in EXCLUDE.
pub fn is_exclude(ident: &Ident) -> bool {
    [EXCLUDE_TIES, EXCLUDE_GROUP, EXCLUDE_ROW].contains(&ident.value.as_str())
}

/// The alias in JOIN .. USING (..) AS alias, where this name in its list is that.
pub fn using_alias(name: &ObjectName) -> Option<&Ident> {
    if plain(name.0.first()) == Some(USING_AS) { name.0.get(1).and_then(ObjectNamePart::as_ident) } else { None }
}

/// Whether a function is spelled by the grammar and counts as none: COLLATION FOR (..).
pub fn is_collation_for(name: &ObjectName) -> bool {
    plain(name.0.first()) == Some(COLLATION_FOR)
}

/// Whether an identifier in an expression is a reserved word without quotes (DEFAULT, CURRENT_DATE, USER ..) or stands for
/// nothing, and so is no column.
pub fn is_reserved(ident: &Ident) -> bool {
    let lower = ident.value.to_ascii_lowercase();
    ident.quote_style.is_none()
        && (lower.starts_with('\0') || lower == "current_schema" || category(&lower) == Some(Category::Reserved))
}
