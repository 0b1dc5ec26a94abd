//! What sqlparser asks of a dialect, answered for PostgreSQL; forms that it has no syntax for are parsed by hand here.

mod expressions;

use std::any::TypeId;
use std::cell::Cell;
use std::collections::HashSet;

use sqlparser::ast::{Expr, Ident, ObjectNamePart};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use self::expressions::{OTHER_OPERATOR, infix, lower, prefix, query_in_parentheses, word};
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
            // Behind a default of XMLTABLE: it is no operator, as NOTNULL is.
            Token::Word(not) if not.keyword == Keyword::NOT => {
                let null = word(&parser.peek_nth_token_ref(1).token).is_some_and(|next| next.keyword == Keyword::NULL);
                if null { Some(Ok(self.prec_unknown())) } else { self.base.get_next_precedence(parser) }
            }
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

    fn supports_cte_materialization(&self) -> bool {
        true
    }

    fn supports_tilde_like_match_operator(&self) -> bool {
        true
    }

    fn supports_comparison_in_between_low_bound(&self) -> bool {
        true
    }

    fn is_interval_qualifier(&self, keyword: Keyword) -> bool {
        self.base.is_interval_qualifier(keyword)
    }

    fn supports_string_literal_column_alias(&self, _: bool) -> bool {
        false
    }

    fn supports_string_literal_table_alias(&self, _: bool) -> bool {
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
