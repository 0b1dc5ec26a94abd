//! Forms of expressions that sqlparser has no syntax for, parsed by hand.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, InTarget, ObjectName, TypedString};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

use crate::sql::ast::marker;
use crate::sql::text::keywords::{Category, category};

/// Binding strength of operators that are not arithmetic or comparison.
pub(super) const OTHER_OPERATOR: u8 = 70;

pub(super) fn is_string(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_))
}

pub(super) fn lower(keyword: Keyword) -> String {
    format!("{keyword:?}").to_ascii_lowercase()
}

pub(super) fn word(token: &Token) -> Option<&Word> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

/// Whether a word may start the name of a type or function.
pub(super) fn may_name_type(word: &Word) -> bool {
    word.quote_style.is_some()
        || matches!(category(&word.value), None | Some(Category::Unreserved | Category::TypeOrFunction))
}

pub(super) fn prefix(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
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
        Token::Word(first) if marker::is_grammar_word(&Ident::new(first.value.as_str())) => {
            let word = first.value.clone();
            parser.advance_token();
            prefixed(parser, &word, 0).map(Some)
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

pub(super) fn prefixed(parser: &mut Parser, operator: &str, precedence: u8) -> Result<Expr, ParserError> {
    let value = Box::new(parser.parse_subexpr(precedence)?);
    Ok(Expr::Prefixed { prefix: Ident::new(operator), value })
}

/// How many words `a.b 'text'` has before its text, where the parser stands at one.
pub(super) fn typed_literal(parser: &Parser) -> Option<usize> {
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
pub(super) fn quantified_operator(parser: &mut Parser) -> Result<Option<(BinaryOperator, Keyword)>, ParserError> {
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
pub(super) fn like(parser: &Parser) -> Option<(BinaryOperator, usize)> {
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

pub(super) fn binary(token: &Token) -> Option<BinaryOperator> {
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

pub(super) fn infix(parser: &mut Parser, left: &Expr) -> Result<Option<Expr>, ParserError> {
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
pub(super) fn in_list(parser: &mut Parser, left: &Expr, negated: bool) -> Result<Option<Expr>, ParserError> {
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
    Ok(list.map(|list| Expr::In { expr: Box::new(left.clone()), target: InTarget::List(list), negated, global: false }))
}

/// What stands in the parentheses of ANY: a query or an expression.
pub(super) fn quantified(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = word(&parser.peek_token_ref().token)
        .is_some_and(|word| matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES));
    let right = if query { Expr::Subquery(parser.parse_query()?) } else { parser.parse_expr()? };
    parser.expect_token(&Token::RParen)?;
    Ok(right)
}

/// `((SELECT ..) UNION ..)`.
pub(super) fn query_in_parentheses(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Subquery(query))
}

/// `((a, b), c, ())` behind GROUPING SETS, CUBE or ROLLUP, which may themselves stand within GROUPING SETS.
pub(super) fn sets(parser: &mut Parser, nested: bool) -> Result<Vec<Vec<Expr>>, ParserError> {
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
