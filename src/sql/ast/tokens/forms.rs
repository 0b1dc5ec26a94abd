//! Forms of PostgreSQL's that sqlparser does not parse.

use sqlparser::tokenizer::Token as Out;

use super::{Stream, key, name, refuse};
use crate::error::Refusal;
use crate::sql::ast::marker;
use crate::sql::text::keywords::{Category, category};
use crate::sql::text::lex::Kind;

impl Stream<'_> {
    /// Carries out the form that starts with this word, if it is one; then it stands behind it.
    pub(super) fn form(&mut self, word: &str) -> Result<bool, Refusal> {
        match word {
            // The tree has the same test.
            "isnull" if !self.is_symbol(1, "(") => self.replace(1, &["IS", "NULL"]),
            "notnull" if !self.is_symbol(1, "(") => self.replace(1, &["IS", "NOT", "NULL"]),
            // ALL is a null constant in the tree.
            "limit" if self.is_word(1, "all") => self.replace(2, &["LIMIT", "NULL"]),
            // The tree has the star and the FROM.
            "table" if !self.is_behind(&["into"]) => {
                self.out.push(key("SELECT"));
                self.out.push(Out::Mul);
                self.replace(1, &["FROM"]);
            }
            // ASYMMETRIC is what BETWEEN is without it.
            "asymmetric" if self.is_behind(&["between"]) => self.at += 1,
            // TRIM(LEADING FROM x) is TRIM(LEADING x).
            "from" if self.is_behind(&["leading", "trailing", "both"]) => self.at += 1,
            "from"
                if self.back(2).is_some_and(|token| token.is_word("trim"))
                    && self.back(1).is_some_and(|t| t.is_symbol("(")) =>
            {
                self.at += 1;
            }
            "only" if !self.is_behind(&["row", "rows"]) => self.only()?,
            "fetch" if self.is_word(1, "first") || self.is_word(1, "next") => return self.fetch(),
            "for" => return self.lock(),
            "rows" if self.is_word(1, "from") && self.is_symbol(2, "(") => {
                self.out.push(name(marker::ROWS_FROM, None));
                self.at += 2;
            }
            "collation" if self.is_word(1, "for") && self.is_symbol(2, "(") => {
                self.out.push(name(marker::COLLATION_FOR, None));
                self.at += 2;
            }
            "as" if self.is_column_definitions() => {
                self.out.extend([key("AS"), name(marker::NO_ALIAS, None)]);
                self.at += 1;
            }
            "exclude" => return self.exclude(),
            "grouping" if self.is_word(1, "sets") && self.is_symbol(2, "(") => {
                self.out.push(name(marker::GROUPING_SETS, None));
                self.at += 2;
            }
            "using" => return self.using(),
            "default" if self.is_behind(&["insert"]) && self.is_word(1, "values") => {
                self.out.extend([key("VALUES"), Out::LParen, name(marker::DEFAULT_VALUES, None), Out::RParen]);
                self.at += 2;
            }
            "similar" if !self.is_word(1, "to") => self.operator("SIMILAR", 1),
            // A value, which sqlparser has no word for.
            "system_user" => {
                self.out.push(name(word, None));
                self.at += 1;
            }
            "at" if self.is_word(1, "local") && self.is_behind_operand() => {
                self.out.extend([key("AT"), key("TIME"), key("ZONE"), name(marker::LOCAL_ZONE, None)]);
                self.at += 2;
            }
            "escape" if self.in_substring => self.operator("ESCAPE", 1),
            "substring" if self.is_symbol(1, "(") => return self.substring(),
            "name" if self.back(2).is_some_and(|t| t.is_word("xmlelement") || t.is_word("xmlpi")) => {
                self.out.push(name("\0name", None));
                self.at += 1;
            }
            "passing" if self.in_xmlexists() => self.operator("PASSING", 1),
            "by" if self.is_word(1, "ref") => self.at += 2,
            "nfc" | "nfd" | "nfkc" | "nfkd"
                if self.back(1).is_some_and(|token| token.is_symbol(","))
                    && self.is_symbol(1, ")")
                    && (1..64).filter_map(|behind| self.back(behind)).any(|token| token.is_word("normalize")) =>
            {
                self.out.push(name(&format!("{}{word}", marker::WORDS), None));
                self.at += 1;
            }
            "is" if self.is_word(1, "document") => self.postfix("IS DOCUMENT", 2),
            "is" if self.is_word(1, "not") && self.is_word(2, "document") => self.postfix("IS NOT DOCUMENT", 3),
            "version" | "standalone" if self.is_word(1, "no") || self.is_word(1, "yes") => {
                let value = if self.is_word(1, "yes") { "YES" } else { "NO" };
                let more = self.is_word(2, "value");
                let words = format!("{}{word} {value}{}", marker::WORDS, if more { " VALUE" } else { "" });
                self.out.push(name(&words, None));
                self.at += if more { 3 } else { 2 };
            }
            "search" if self.is_word(1, "depth") || self.is_word(1, "breadth") => return self.recursion(),
            "cycle" if self.back(1).is_some_and(|token| token.is_symbol(")")) => return self.recursion(),
            "national" if self.is_word(1, "character") || self.is_word(1, "char") => self.at += 1,
            // The same type, by the name that sqlparser knows.
            "nchar" if self.is_symbol(1, "(") || self.is_text(1) => self.typed("char")?,
            "select" if self.selects_nothing() => {
                self.out.extend([key("SELECT"), name(marker::WORDS, None)]);
                self.at += 1;
            }
            _ if self.is_typed(word) => self.typed(word)?,
            "into" => return self.into(),
            "overriding" if self.is_word(2, "value") && (self.is_word(1, "user") || self.is_word(1, "system")) => {
                // Said already at INTO.
                match self.overriding.checked_sub(1) {
                    Some(left) => self.overriding = left,
                    None => return Err(refuse("OVERRIDING is not carried out here")),
                }
                self.at += 3;
            }
            "set" => return self.set(),
            "conflict" if self.is_behind(&["on"]) && self.is_symbol(1, "(") => return self.conflict(),
            // What GROUP BY is without it.
            "all" if self.groups_by() => self.at += 1,
            "distinct" if self.groups_by() => {
                self.out.extend([name(marker::GROUP_DISTINCT, None), Out::Comma]);
                self.at += 1;
            }
            "returning" if self.is_word(1, "with") && self.is_symbol(2, "(") => {
                return Err(refuse("RETURNING WITH (OLD AS .., NEW AS ..) is not carried out")
                    .hint("`old` and `new` are there under these names"));
            }
            "json" => return self.json(word),
            word if word.starts_with("json_") => return self.json(word),
            word => return self.call(word),
        }
        Ok(true)
    }

    /// Whether an operand may end before this word, so that it is no column itself.
    fn is_behind_operand(&self) -> bool {
        let values = ["end", "false", "null", "session_user", "system_user", "true", "user"];
        self.back(1).is_some_and(|token| match &token.kind {
            Kind::Word(word) => {
                category(word) != Some(Category::Reserved)
                    || word.starts_with("current_")
                    || word.starts_with("localtime")
                    || values.contains(&word.as_str())
            }
            Kind::Symbol(symbol) => symbol == ")" || symbol == "]",
            _ => true,
        })
    }

    /// Whether GROUP BY stands before this word.
    fn groups_by(&self) -> bool {
        self.is_behind(&["by"]) && self.back(2).is_some_and(|token| token.is_word("group"))
    }

    /// Whether the nearest of the two functions that take PASSING is XMLEXISTS; sqlparser reads XMLTABLE itself.
    fn in_xmlexists(&self) -> bool {
        (1..64)
            .filter_map(|behind| self.back(behind))
            .find(|token| token.is_word("xmlexists") || token.is_word("xmltable"))
            .is_some_and(|token| token.is_word("xmlexists"))
    }

    /// Words between two expressions, as an operator.
    pub(super) fn operator(&mut self, words: &str, length: usize) {
        self.out.push(Out::CustomBinaryOperator(format!("{}{words}", marker::WORDS)));
        self.at += length;
    }

    /// Words behind an expression, as an operator on nothing.
    pub(super) fn postfix(&mut self, words: &str, length: usize) {
        self.operator(words, length);
        self.out.push(name(marker::WORDS, None));
    }

    /// ESCAPE in SUBSTRING(a SIMILAR b ESCAPE c) is not that of LIKE.
    fn substring(&mut self) -> Result<bool, Refusal> {
        let Some(closer) = self.closer(self.at + 1) else { return Ok(false) };
        let mut at = self.at + 2;
        while at < closer
            && !self.tokens.get(at).is_some_and(|t| t.is_word("similar") || t.is_symbol(",") || t.is_word("from"))
        {
            at = self.closer(at).unwrap_or(at) + 1;
        }
        let similar = self.tokens.get(at).is_some_and(|token| token.is_word("similar"))
            && !self.tokens.get(at + 1).is_some_and(|token| token.is_word("to"));
        if !similar {
            return Ok(false);
        }
        self.out.push(key("substring"));
        self.at += 1;
        let outer = std::mem::replace(&mut self.in_substring, true);
        self.until(closer)?;
        self.in_substring = outer;
        Ok(true)
    }

    fn replace(&mut self, length: usize, words: &[&str]) {
        self.out.extend(words.iter().map(|word| key(word)));
        self.at += length;
    }

    /// `ONLY t` and `ONLY (t)`: a marker as the first part of the name.
    fn only(&mut self) -> Result<(), Refusal> {
        self.out.push(name(marker::ONLY, None));
        self.out.push(Out::Period);
        self.at += 1;
        if self.is_symbol(0, "(") {
            let end = self.closer(self.at).unwrap_or(self.tokens.len());
            self.at += 1;
            self.until(end)?;
            self.at += 1;
        }
        Ok(())
    }

    /// `FETCH FIRST n ROWS ONLY` is `LIMIT n` in the tree; an expression WITH TIES is a LIMIT with a marker before it.
    fn fetch(&mut self) -> Result<bool, Refusal> {
        let start = self.at + 2;
        let mut end = start;
        while self.tokens.get(end).is_some_and(|token| !token.is_word("row") && !token.is_word("rows")) {
            if end > start + 16 {
                return Ok(false);
            }
            end = self.closer(end).unwrap_or(end) + 1;
        }
        let ends_with =
            |ahead: usize, word: &str| self.tokens.get(end + ahead).is_some_and(|token| token.is_word(word));
        if ends_with(1, "only") {
            self.out.push(key("LIMIT"));
            self.at = start;
            if start == end {
                self.out.push(Out::Number("1".to_owned(), false));
            }
            self.until(end)?;
            self.at = end + 2;
            return Ok(true);
        }
        if !(ends_with(1, "with") && ends_with(2, "ties")) {
            return Ok(false);
        }
        // sqlparser takes one constant here, perhaps with a sign; around one constant parentheses mean nothing.
        let nested = self.closer(start) == Some(start + 2) && start + 3 == end;
        let signed = self.tokens.get(start).is_some_and(|token| token.is_symbol("+") || token.is_symbol("-"));
        if end <= start + 1 || nested || signed {
            self.out.extend([key("FETCH"), key("FIRST")]);
            self.at = start + usize::from(nested);
            self.until(end - usize::from(nested))?;
            self.out.extend([key("ROWS"), key("WITH"), key("TIES")]);
        } else {
            self.out.extend([key("LIMIT"), name(marker::TIES, None), Out::LParen]);
            self.at = start;
            self.until(end)?;
            self.out.push(Out::RParen);
        }
        self.at = end + 3;
        Ok(true)
    }

    /// `FOR NO KEY UPDATE OF a, b`: strength and names as parts of one name.
    fn lock(&mut self) -> Result<bool, Refusal> {
        let (strength, length, is_key) = if self.is_word(1, "update") {
            ("UPDATE", 2, false)
        } else if self.is_word(1, "share") {
            ("SHARE", 2, false)
        } else if self.is_word(1, "no") && self.is_word(2, "key") && self.is_word(3, "update") {
            ("UPDATE", 4, true)
        } else if self.is_word(1, "key") && self.is_word(2, "share") {
            ("SHARE", 3, true)
        } else {
            return Ok(false);
        };
        self.out.extend([key("FOR"), key(strength)]);
        self.at += length;
        let mut names = Vec::new();
        if self.is_word(0, "of") {
            loop {
                self.at += 1;
                match self.peek(0).map(|token| &token.kind) {
                    Some(Kind::Word(value)) => names.push(name(value, None)),
                    Some(Kind::Quoted(value)) => names.push(name(value, Some('"'))),
                    _ => return Ok(true),
                }
                self.at += 1;
                if self.is_symbol(0, ".") {
                    return Err(refuse("FOR UPDATE OF takes a table's name in FROM, without its schema"));
                }
                if !self.is_symbol(0, ",") {
                    break;
                }
            }
        }
        if is_key || names.len() > 1 {
            names.insert(0, name(if is_key { marker::KEY_LOCK_OF } else { marker::LOCK_OF }, None));
        }
        for (at, part) in names.into_iter().enumerate() {
            self.out.push(if at == 0 { key("OF") } else { Out::Period });
            self.out.push(part);
        }
        Ok(true)
    }

    /// `AS (a int, b text)` behind a table function; not the query of a WITH, nor a window.
    fn is_column_definitions(&self) -> bool {
        let behind_call = self.back(1).is_some_and(|token| token.is_symbol(")") || token.is_word("ordinality"));
        let query = ["select", "with", "values", "table", "insert", "update", "delete", "merge"];
        let named = matches!(self.peek(2).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_)));
        behind_call && self.is_symbol(1, "(") && named && !query.iter().any(|word| self.is_word(2, word))
    }

    /// EXCLUDE of a window's frame: a marker at the front of its PARTITION BY.
    fn exclude(&mut self) -> Result<bool, Refusal> {
        if !self.is_behind(&["row", "preceding", "following"]) {
            return Ok(false);
        }
        let marker = if self.is_word(1, "no") && self.is_word(2, "others") {
            // What a frame is without it.
            self.at += 3;
            return Ok(true);
        } else if self.is_word(1, "ties") {
            marker::EXCLUDE_TIES
        } else if self.is_word(1, "group") {
            marker::EXCLUDE_GROUP
        } else if self.is_word(1, "current") && self.is_word(2, "row") {
            marker::EXCLUDE_ROW
        } else {
            return Ok(false);
        };
        self.at += if marker == marker::EXCLUDE_ROW { 3 } else { 2 };
        self.excludes += 1;
        if self.excludes > 100 {
            return Err(refuse("EXCLUDE stands in more than 100 windows"));
        }
        let mut depth = 0usize;
        let open = self.out.iter().rposition(|token| match token {
            Out::RParen => {
                depth += 1;
                false
            }
            Out::LParen if depth > 0 => {
                depth -= 1;
                false
            }
            Out::LParen => true,
            _ => false,
        });
        let Some(open) = open else { return Ok(true) };
        let is = |at: usize, words: &[&str]| matches!(self.out.get(at), Some(Out::Word(w)) if w.quote_style.is_none() && words.contains(&w.value.as_str()));
        let starts = ["partition", "order", "rows", "range", "groups"];
        let at = if is(open + 1, &starts) { open + 1 } else { open + 2 };
        if is(at, &["partition"]) {
            self.out.splice(at + 2..at + 2, [name(marker, None), Out::Comma]);
            self.shift(at + 2, 2);
        } else {
            self.out.splice(at..at, [key("PARTITION"), key("BY"), name(marker, None)]);
            self.shift(at, 3);
        }
        Ok(true)
    }

    /// Tokens were put in at `at`: what was found behind it stands elsewhere.
    pub(super) fn shift(&mut self, at: usize, by: usize) {
        self.found = self.found.iter().map(|found| if *found >= at { found + by } else { *found }).collect();
    }

    /// `JOIN .. USING (a, b) AS alias`: the alias as a last name of the list. `MERGE .. USING a JOIN b`: in parentheses.
    fn using(&mut self) -> Result<bool, Refusal> {
        if let Some(end) = self.joined_source() {
            self.out.extend([key("USING"), Out::LParen]);
            self.at += 1;
            self.until(end)?;
            self.out.push(Out::RParen);
            return Ok(true);
        }
        if !self.is_symbol(1, "(") {
            return Ok(false);
        }
        let Some(end) = self.closer(self.at + 1) else { return Ok(false) };
        if !self.tokens.get(end + 1).is_some_and(|token| token.is_word("as")) {
            return Ok(false);
        }
        let names = self.tokens.get(self.at + 2..end).unwrap_or(&[]).iter().enumerate().all(|(at, token)| {
            if at % 2 == 1 { token.is_symbol(",") } else { matches!(token.kind, Kind::Word(_) | Kind::Quoted(_)) }
        });
        if !names {
            return Ok(false);
        }
        self.out.push(key("USING"));
        self.at += 1;
        self.until(end)?;
        self.at = end + 2;
        let alias = match self.peek(0).map(|token| &token.kind) {
            Some(Kind::Word(alias)) => name(alias, None),
            Some(Kind::Quoted(alias)) => name(alias, Some('"')),
            _ => return Err(refuse("USING (..) AS is followed by no name")),
        };
        self.at += 1;
        self.out.extend([Out::Comma, name(marker::USING_AS, None), Out::Period, alias, Out::RParen]);
        Ok(true)
    }

    /// Where the ON of a MERGE stands whose source, here, is joined; parentheses around a join mean nothing to the tree.
    fn joined_source(&self) -> Option<usize> {
        let into = (1..8).find(|behind| self.back(*behind).is_some_and(|token| token.is_word("into")))?;
        if !self.back(into + 1).is_some_and(|token| token.is_word("merge")) {
            return None;
        }
        let (mut at, mut joins, mut open) = (self.at + 1, 0usize, 0usize);
        loop {
            let token = self.tokens.get(at)?;
            if token.is_word("join") {
                joins += 1;
                let free =
                    ["cross", "natural"].iter().any(|word| self.tokens.get(at - 1).is_some_and(|t| t.is_word(word)));
                open += usize::from(!free);
            } else if token.is_word("on") || token.is_word("using") {
                if open == 0 {
                    return Some(at).filter(|_| joins > 0);
                }
                open -= 1;
            }
            at = self.closer(at).unwrap_or(at) + 1;
        }
    }

    /// Whether a `*` is the last field of `(row).*`, rather than that of `t.*`.
    pub(super) fn is_field_star(&self) -> bool {
        let mut behind = 1;
        if !self.back(behind).is_some_and(|token| token.is_symbol(".")) {
            return false;
        }
        loop {
            behind += 1;
            match self.back(behind).map(|token| &token.kind) {
                Some(Kind::Symbol(symbol)) => return symbol == ")" || symbol == "]",
                Some(Kind::Word(_) | Kind::Quoted(_)) if self.back(behind + 1).is_some_and(|t| t.is_symbol(".")) => {
                    behind += 1
                }
                _ => return false,
            }
        }
    }

    /// Whether a `*` stands behind a table's name in FROM, where it means nothing.
    pub(super) fn is_table_star(&self) -> bool {
        let mut behind = 1;
        loop {
            if !matches!(self.back(behind).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_))) {
                return false;
            }
            behind += 1;
            if !self.back(behind).is_some_and(|token| token.is_symbol(".")) {
                break;
            }
            behind += 1;
        }
        let is =
            |behind: usize, words: &[&str]| self.back(behind).is_some_and(|t| words.iter().any(|word| t.is_word(word)));
        let distinct = is(behind, &["from"]) && is(behind + 1, &["distinct"]);
        // Behind an operand of SUBSTRING(a FROM b * c) an operand follows; behind a table, a clause or an alias and a clause.
        let clause = |ahead: usize| {
            self.peek(ahead).is_none_or(|token| {
                let words =
                    ["where", "group", "order", "limit", "join", "left", "inner", "as", "set", "union", "on", "cross"];
                words.iter().any(|word| token.is_word(word)) || token.is_symbol(",") || token.is_symbol(")")
            })
        };
        let alias = matches!(self.peek(1).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_)));
        is(behind, &["from", "join", "update"]) && !distinct && (clause(1) || (alias && clause(2)))
    }

    /// Whether a string is a bound of a window's frame; sqlparser would take it for an interval.
    pub(super) fn is_frame_bound(&self) -> bool {
        if !self.is_behind(&["between", "and", "rows", "range", "groups"]) {
            return false;
        }
        let ends = |ahead: usize| self.is_word(ahead, "preceding") || self.is_word(ahead, "following");
        ends(1) || (self.is_symbol(1, "::") && ends(3))
    }
}
