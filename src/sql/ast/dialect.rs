//! What sqlparser asks of a dialect, answered for PostgreSQL; forms that it has no syntax for are parsed by hand here.

use std::any::TypeId;
use std::cell::Cell;
use std::collections::HashSet;

use sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, ObjectName, ObjectNamePart, TypedString};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

use super::marker;
use crate::sql::text::keywords::{Category, category, wants_as};

/// PostgreSQL as this project reads it.
#[derive(Debug)]
pub(in crate::sql) struct Postgres {
    base: PostgreSqlDialect,
    /// Where a `(` starts a query, though a `(` follows it.
    queries: HashSet<usize>,
    /// How many more expressions may be begun: sqlparser tries some forms twice, and forms within forms.
    work: Cell<usize>,
}

impl Postgres {
    /// For the tokens that [`super::tokens::stream`] gave.
    pub(in crate::sql) fn new(queries: HashSet<usize>, tokens: usize) -> Self {
        Self {
            base: PostgreSqlDialect {},
            queries,
            work: Cell::new(tokens.saturating_mul(WORK_PER_TOKEN) + WORK_PER_TOKEN),
        }
    }
}

/// Expressions that may be begun for each token.
const WORK_PER_TOKEN: usize = 64;

/// Binding strength of operators that are not arithmetic or comparison.
const OTHER_OPERATOR: u8 = 70;

impl Dialect for Postgres {
    // sqlparser asks in many places whether the dialect is its own for PostgreSQL.
    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.base.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.base.is_custom_operator_part(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.base.is_reserved_for_identifier(keyword)
    }

    fn is_column_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        *keyword == Keyword::NoKeyword || !wants_as(&lower(*keyword))
    }

    fn is_table_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        // SET is no reserved word, and `UPDATE t SET` no alias.
        *keyword != Keyword::SET
            && matches!(category(&lower(*keyword)), None | Some(Category::Unreserved | Category::ColumnName))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.base.prec_value(precedence)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // `name := value` is an argument, not an expression.
            Token::Assignment | Token::RArrow => Some(Ok(self.prec_unknown())),
            Token::Word(word) if word.keyword == Keyword::OPERATOR => Some(Ok(OTHER_OPERATOR)),
            _ => self.base.get_next_precedence(parser),
        }
    }

    fn is_identifier_generating_function_name(&self, ident: &Ident, _: &[ObjectNamePart]) -> bool {
        marker::is_call(ident)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let left = self.work.get();
        if left == 0 {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        self.work.set(left - 1);
        let values = word(&parser.peek_nth_token_ref(1).token).is_some_and(|word| word.keyword == Keyword::VALUES);
        if parser.peek_token_ref().token == Token::LParen
            && (values || self.queries.contains(&(parser.get_current_index() + 1)))
        {
            return Some(query_in_parentheses(parser));
        }
        prefix(parser).transpose()
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        infix(parser, left).transpose()
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        true
    }

    fn supports_empty_projections(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_order_by_using_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_insert_table_alias(&self) -> bool {
        true
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_xml_expressions(&self) -> bool {
        true
    }

    fn supports_aliased_function_args(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        false
    }

    // Behind a WITH query one word more, by which SEARCH and CYCLE are carried (`marker::RECURSION`).
    fn supports_from_first_insert(&self) -> bool {
        true
    }

    fn supports_factorial_operator(&self) -> bool {
        false
    }

    fn supports_geometric_types(&self) -> bool {
        false
    }

    fn supports_notnull_operator(&self) -> bool {
        false
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        false
    }
}

fn is_string(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_))
}

fn lower(keyword: Keyword) -> String {
    format!("{keyword:?}").to_ascii_lowercase()
}

fn word(token: &Token) -> Option<&Word> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

/// Whether a word may start the name of a type or function.
fn may_name_type(word: &Word) -> bool {
    word.quote_style.is_some()
        || matches!(category(&word.value), None | Some(Category::Unreserved | Category::TypeOrFunction))
}

fn prefix(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let token = parser.peek_token_ref().token.clone();
    let next = parser.peek_nth_token_ref(1).token.clone();
    match &token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::Placeholder(_) => {
            Ok(Some(Expr::Value(parser.parse_value()?)))
        }
        Token::CustomBinaryOperator(operator) => {
            parser.advance_token();
            prefixed(parser, operator, OTHER_OPERATOR).map(Some)
        }
        Token::StringConcat => {
            parser.advance_token();
            prefixed(parser, "||", OTHER_OPERATOR).map(Some)
        }
        Token::Word(first) if first.keyword == Keyword::VARIADIC => {
            parser.advance_token();
            prefixed(parser, marker::VARIADIC, 0).map(Some)
        }
        Token::Word(first) if first.keyword == Keyword::SYMMETRIC => {
            parser.advance_token();
            let between = PostgreSqlDialect {}.prec_value(Precedence::Between);
            prefixed(parser, marker::SYMMETRIC, between).map(Some)
        }
        Token::Word(first) if first.value == marker::GROUPING_SETS => {
            parser.advance_token();
            sets(parser, true).map(Expr::GroupingSets).map(Some)
        }
        Token::Word(first) if first.value == "\0name" => {
            parser.advance_token();
            let value = Box::new(Expr::Identifier(parser.parse_identifier()?));
            Ok(Some(Expr::Prefixed { prefix: Ident::new(marker::XML_NAME), value }))
        }
        Token::Word(first) if first.keyword == Keyword::NoKeyword && first.value == marker::COLLATION_FOR => {
            let name = ObjectName::from(vec![first.to_ident(Span::empty())]);
            parser.advance_token();
            parser.parse_function(name).map(Some)
        }
        Token::Word(first)
            if first.keyword == Keyword::CURRENT && word(&next).is_some_and(|w| w.keyword == Keyword::OF) =>
        {
            parser.advance_token();
            parser.advance_token();
            let name = parser.parse_identifier()?;
            let value = Box::new(Expr::Identifier(name));
            Ok(Some(Expr::Prefixed { prefix: Ident::new(marker::CURRENT_OF), value }))
        }
        Token::Word(first) if may_name_type(first) => {
            if let Some(parts) = typed_literal(parser) {
                let mut name = Vec::new();
                for at in 0..parts {
                    if at > 0 {
                        parser.advance_token();
                    }
                    name.push(parser.parse_identifier()?);
                }
                let value = parser.parse_value()?;
                let data_type = DataType::Custom(ObjectName::from(name), Vec::new());
                return Ok(Some(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false })));
            }
            if first.keyword == Keyword::NoKeyword && next != Token::LParen {
                let first = first.to_ident(Span::empty());
                parser.advance_token();
                return Ok(Some(Expr::Identifier(first)));
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn prefixed(parser: &mut Parser, operator: &str, precedence: u8) -> Result<Expr, ParserError> {
    let value = Box::new(parser.parse_subexpr(precedence)?);
    Ok(Expr::Prefixed { prefix: Ident::new(operator), value })
}

/// How many words `a.b 'text'` has before its text, where the parser stands at one.
fn typed_literal(parser: &Parser) -> Option<usize> {
    let mut at = 0;
    loop {
        word(&parser.peek_nth_token_ref(at).token)?;
        match &parser.peek_nth_token_ref(at + 1).token {
            token if is_string(token) => return Some(at / 2 + 1),
            Token::Period if at < 4 => at += 2,
            _ => return None,
        }
    }
}

/// Moves behind an operator and gives it, where one stands here with ANY, SOME or ALL behind it.
fn quantified_operator(parser: &mut Parser) -> Result<Option<(BinaryOperator, Keyword)>, ParserError> {
    let token = parser.peek_token_ref().token.clone();
    let (operator, length) = match &token {
        Token::Word(word) if word.keyword == Keyword::OPERATOR => {
            let mut length = 1;
            while parser.peek_nth_token_ref(length).token != Token::RParen {
                if length > 8 {
                    return Ok(None);
                }
                length += 1;
            }
            (None, length + 1)
        }
        Token::Word(_) => match like(parser) {
            Some((operator, length)) => (Some(operator), length),
            None => return Ok(None),
        },
        token => match binary(token) {
            Some(operator) => (Some(operator), 1),
            None => return Ok(None),
        },
    };
    let quantifier = word(&parser.peek_nth_token_ref(length).token).map(|word| word.keyword);
    let Some(quantifier @ (Keyword::ANY | Keyword::SOME | Keyword::ALL)) = quantifier else { return Ok(None) };
    let mut parts = Vec::new();
    for _ in 0..length {
        let token = parser.next_token().token;
        match token {
            Token::LParen | Token::RParen | Token::Period => {}
            Token::Word(word) if word.keyword == Keyword::OPERATOR && parts.is_empty() => {}
            other => parts.push(other.to_string()),
        }
    }
    parser.advance_token();
    Ok(Some((operator.unwrap_or(BinaryOperator::PGCustomBinaryOperator(parts)), quantifier)))
}

/// LIKE and its kin as an operator, and how many words it has.
fn like(parser: &Parser) -> Option<(BinaryOperator, usize)> {
    let keyword = |at: usize| word(&parser.peek_nth_token_ref(at).token).map(|word| word.keyword);
    let (words, length) = match (keyword(0)?, keyword(1)) {
        (Keyword::LIKE, _) => ("LIKE", 1),
        (Keyword::ILIKE, _) => ("ILIKE", 1),
        (Keyword::NOT, Some(Keyword::LIKE)) => ("NOT LIKE", 2),
        (Keyword::NOT, Some(Keyword::ILIKE)) => ("NOT ILIKE", 2),
        _ => return None,
    };
    Some((BinaryOperator::Custom(format!("{}{words}", marker::WORDS)), length))
}

fn binary(token: &Token) -> Option<BinaryOperator> {
    Some(match token {
        Token::CustomBinaryOperator(operator) => BinaryOperator::Custom(operator.clone()),
        Token::StringConcat => BinaryOperator::StringConcat,
        Token::Plus => BinaryOperator::Plus,
        Token::Minus => BinaryOperator::Minus,
        Token::Mul => BinaryOperator::Multiply,
        Token::Div => BinaryOperator::Divide,
        Token::Mod => BinaryOperator::Modulo,
        Token::Caret => BinaryOperator::PGExp,
        Token::Lt => BinaryOperator::Lt,
        Token::Gt => BinaryOperator::Gt,
        Token::Eq => BinaryOperator::Eq,
        Token::LtEq => BinaryOperator::LtEq,
        Token::GtEq => BinaryOperator::GtEq,
        Token::Neq => BinaryOperator::NotEq,
        _ => return None,
    })
}

fn infix(parser: &mut Parser, left: &Expr) -> Result<Option<Expr>, ParserError> {
    let token = parser.peek_token_ref().token.clone();
    match word(&token).map(|word| word.keyword) {
        Some(Keyword::COLLATE) => {
            parser.advance_token();
            let collation = parser.parse_object_name(false)?;
            return Ok(Some(Expr::Collate { expr: Box::new(left.clone()), collation }));
        }
        Some(Keyword::IN) => return in_list(parser, left, false),
        Some(Keyword::NOT) if word(&parser.peek_nth_token_ref(1).token).is_some_and(|w| w.keyword == Keyword::IN) => {
            return in_list(parser, left, true);
        }
        _ => {}
    }
    // `operator ANY (..)` with any operator, not only the comparisons.
    let Some((compare_op, quantifier)) = quantified_operator(parser)? else { return Ok(None) };
    let left = Box::new(left.clone());
    let right = Box::new(quantified(parser)?);
    Ok(Some(if quantifier == Keyword::ALL {
        Expr::AllOp { left, compare_op, right }
    } else {
        Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME }
    }))
}

/// `IN ((..), ..)`: sqlparser takes the first parenthesis for that of a query.
fn in_list(parser: &mut Parser, left: &Expr, negated: bool) -> Result<Option<Expr>, ParserError> {
    let at = 1 + usize::from(negated);
    if parser.peek_nth_token_ref(at).token != Token::LParen || parser.peek_nth_token_ref(at + 1).token != Token::LParen
    {
        return Ok(None);
    }
    let list = parser.maybe_parse(|parser| {
        for _ in 0..=at {
            parser.advance_token();
        }
        let list = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        if let [Expr::Subquery(_) | Expr::Nested(_)] = list.as_slice() {
            return Err(ParserError::ParserError("one query".to_owned()));
        }
        Ok(list)
    })?;
    Ok(list.map(|list| Expr::InList { expr: Box::new(left.clone()), list, negated }))
}

/// What stands in the parentheses of ANY: a query or an expression.
fn quantified(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = word(&parser.peek_token_ref().token)
        .is_some_and(|word| matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES));
    let right = if query { Expr::Subquery(parser.parse_query()?) } else { parser.parse_expr()? };
    parser.expect_token(&Token::RParen)?;
    Ok(right)
}

/// `((SELECT ..) UNION ..)`.
fn query_in_parentheses(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Subquery(query))
}

/// `((a, b), c, ())` behind GROUPING SETS, CUBE or ROLLUP, which may themselves stand within GROUPING SETS.
fn sets(parser: &mut Parser, nested: bool) -> Result<Vec<Vec<Expr>>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let mut sets = Vec::new();
    loop {
        let keyword = word(&parser.peek_token_ref().token).map(|word| word.keyword);
        let set = match keyword {
            Some(keyword @ (Keyword::CUBE | Keyword::ROLLUP))
                if nested && parser.peek_nth_token_ref(1).token == Token::LParen =>
            {
                parser.advance_token();
                let inner = self::sets(parser, false)?;
                vec![if keyword == Keyword::CUBE { Expr::Cube(inner) } else { Expr::Rollup(inner) }]
            }
            _ if parser.peek_token_ref().token == Token::LParen
                && parser.peek_nth_token_ref(1).token == Token::RParen =>
            {
                parser.advance_token();
                parser.advance_token();
                Vec::new()
            }
            _ => match parser.parse_expr()? {
                Expr::Tuple(set) => set,
                one => vec![one],
            },
        };
        sets.push(set);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    Ok(sets)
}
