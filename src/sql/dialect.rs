//! What sqlparser asks of a dialect, answered for PostgreSQL; forms that it has no syntax for are parsed by hand here.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, ObjectName, ObjectNamePart, TypedString};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

use super::keywords::{Category, category};
use super::marker;

/// PostgreSQL as this project reads it.
#[derive(Debug)]
pub(super) struct Postgres {
    base: PostgreSqlDialect,
}

impl Postgres {
    pub(super) fn new() -> Self {
        Self { base: PostgreSqlDialect {} }
    }
}

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

    fn is_table_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        self.base.is_table_alias(keyword, parser)
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
        marker::is_subscript(ident)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        prefix(parser).transpose()
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        infix(parser, left, precedence).transpose()
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
    matches!(token, Token::SingleQuotedString(_))
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
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => Ok(Some(Expr::Value(parser.parse_value()?))),
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
        Token::Word(first) if first.keyword == Keyword::CURRENT && word(&next).is_some_and(|w| w.keyword == Keyword::OF) => {
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

fn infix(parser: &mut Parser, left: &Expr, precedence: u8) -> Result<Option<Expr>, ParserError> {
    // `operator ANY (..)` with any operator, not only the comparisons.
    let Token::CustomBinaryOperator(operator) = parser.peek_token_ref().token.clone() else { return Ok(None) };
    let Some(quantifier) = word(&parser.peek_nth_token_ref(1).token).map(|word| word.keyword) else { return Ok(None) };
    if !matches!(quantifier, Keyword::ANY | Keyword::SOME | Keyword::ALL) {
        return Ok(None);
    }
    parser.advance_token();
    parser.advance_token();
    let compare_op = BinaryOperator::Custom(operator);
    let left = Box::new(left.clone());
    let right = Box::new(quantified(parser, precedence)?);
    Ok(Some(if quantifier == Keyword::ALL {
        Expr::AllOp { left, compare_op, right }
    } else {
        Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME }
    }))
}

/// What stands in the parentheses of ANY: a query or an expression.
fn quantified(parser: &mut Parser, precedence: u8) -> Result<Expr, ParserError> {
    let query = word(&parser.peek_nth_token_ref(1).token)
        .is_some_and(|word| matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES));
    if query {
        return parser.parse_subexpr(precedence);
    }
    parser.expect_token(&Token::LParen)?;
    let right = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(right)
}
