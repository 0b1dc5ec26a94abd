//! What the database says back, without what it may not say.
//!
//! INVARIANT I9: What the database says back carries no value that the purpose may not see.

use crate::wire::ErrorFields;

/// SQLSTATEs whose message names only what the client or the schema named: never a value.
const MESSAGE_KEPT: &[&str] = &[
    "00000", "01000", "25001", "25006", "25P01", "25P02", "25P03", "26000", "28000", "28P01", "34000", "3B001",
    "3D000", "3F000", "40001", "40P01", "42501", "42601", "42602", "42611", "42622", "42701", "42702", "42703",
    "42704", "42710", "42712", "42723", "42725", "42803", "42804", "42809", "42883", "42939", "42939", "42P01",
    "42P02", "42P03", "42P05", "42P06", "42P07", "42P08", "42P09", "42P10", "42P11", "42P12", "42P13", "42P14",
    "42P15", "42P16", "42P17", "42P18", "42P19", "42P20", "42P21", "42P22", "0A000", "08P01", "53000", "53100",
    "53200", "53300", "53400", "54000", "54001", "54011", "54023", "55006", "55P02", "55P03", "55P04", "57000",
    "57014", "57P01", "57P02", "57P03", "57P04", "57P05",
];

/// SQLSTATEs of foreign keys, whose message names tables and a constraint, and says which side of it is meant; the key is in DETAIL.
const KEYS: &[&str] = &["23001", "23503"];

/// SQLSTATEs whose message names something that was not found.
const NAMES: &[&str] = &["3D000", "3F000", "42601", "42602", "42703", "42704", "42883", "42P01"];

/// SQLSTATEs whose hint, where a function or an operator is looked for, is the same always.
const HINTS_KEPT: &[&str] = &["42883", "42725", "42804"];

/// Source files whose messages are somebody else's words: procedural languages and foreign servers.
const FOREIGN_TEXT: &[&[u8]] =
    &[b"pl_exec.c", b"plpy_elog.c", b"plpy_spi.c", b"plperl.c", b"pltcl.c", b"connection.c", b"dblink.c"];

/// Source files of PostgreSQL whose notices name transactions, settings and relations only.
const SERVER_NOTICES: &[&[u8]] =
    &[b"xact.c", b"guc.c", b"tablecmds.c", b"parse_utilcmd.c", b"namespace.c", b"portalcmds.c"];

/// The conditions of appendix A whose message is replaced, by name, and the classes for all others.
const CONDITIONS: &[(&str, &str)] = &[
    ("22001", "string data right truncation"),
    ("22003", "numeric value out of range"),
    ("22007", "invalid datetime format"),
    ("22008", "datetime field overflow"),
    ("22012", "division by zero"),
    ("22021", "character not in repertoire"),
    ("22023", "invalid parameter value"),
    ("22026", "string data length mismatch"),
    ("22P02", "invalid text representation"),
    ("22P03", "invalid binary representation"),
    ("22P04", "bad copy file format"),
    ("23000", "integrity constraint violation"),
    ("23001", "restrict violation"),
    ("23502", "not null violation"),
    ("23503", "foreign key violation"),
    ("23505", "unique violation"),
    ("23514", "check violation"),
    ("23P01", "exclusion violation"),
    ("21000", "cardinality violation"),
    ("P0001", "raise exception"),
    ("P0002", "no data found"),
    ("P0003", "too many rows"),
    ("P0004", "assert failure"),
    ("XX000", "internal error"),
    ("XX001", "data corrupted"),
    ("XX002", "index corrupted"),
];

const CLASSES: &[(&str, &str)] = &[
    ("00", "successful completion"),
    ("01", "warning"),
    ("02", "no data"),
    ("08", "connection exception"),
    ("09", "triggered action exception"),
    ("20", "case not found"),
    ("21", "cardinality violation"),
    ("22", "data exception"),
    ("23", "integrity constraint violation"),
    ("25", "invalid transaction state"),
    ("28", "invalid authorization specification"),
    ("38", "external routine exception"),
    ("39", "external routine invocation exception"),
    ("40", "transaction rollback"),
    ("42", "syntax error or access rule violation"),
    ("53", "insufficient resources"),
    ("54", "program limit exceeded"),
    ("55", "object not in prerequisite state"),
    ("57", "operator intervention"),
    ("58", "system error"),
    ("P0", "procedural language error"),
    ("XX", "internal error"),
];

/// Cleans an error or notice of a governed session. `whole`: it can speak of nothing that the session does not see. `part`: it names a
/// part of a table, whose name tells of the row that is in it.
///
/// Else severity and SQLSTATE stay. The message stays for conditions that cannot carry data, with the places in the statement and in
/// PostgreSQL's source; else the condition's name stands for it; DETAIL, CONTEXT, data type and internal query go, and so do hints but for those that are the
/// same always. Names of schema, table, column and constraint stay for classes 23 and 42 only.
pub(in crate::session) fn clean(fields: &mut ErrorFields, whole: bool, part: bool) {
    if whole {
        return;
    }
    let sqlstate = fields.sqlstate().unwrap_or("XX000").to_owned();
    let class = sqlstate.get(..2).unwrap_or("XX").to_owned();
    let kept = message_is_safe(fields, &sqlstate) && !part;
    if !kept {
        fields.set(b'M', condition(&sqlstate, &class).as_bytes());
    }
    let names = matches!(class.as_str(), "23" | "42") && !part;
    let looked_for = fields.get(b'F').is_some_and(|file| [&b"parse_func.c"[..], b"parse_oper.c"].contains(&file));
    let hint = looked_for && HINTS_KEPT.contains(&sqlstate.as_str());
    fields.retain(|code| match code {
        b'S' | b'V' | b'C' | b'M' => true,
        b'P' | b'F' | b'L' | b'R' => kept,
        b'H' => kept && hint,
        b's' | b't' | b'c' | b'n' => names,
        _ => false,
    });
}

/// What CONTEXT begins with where it speaks of the statement itself; else it speaks of code that the statement called.
const OWN_CONTEXT: &[&[u8]] = &[b"COPY ", b"JSON data", b"unnamed portal", b"portal \""];

/// Whether somebody's code says it: a function's, a trigger's, another server's.
pub(in crate::session) fn is_of_code(fields: &ErrorFields) -> bool {
    let called = |context: &[u8]| !OWN_CONTEXT.iter().any(|own| context.starts_with(own));
    fields.get(b'W').is_some_and(called) || fields.get(b'F').is_none_or(|file| FOREIGN_TEXT.contains(&file))
}

/// Takes a schema out of a message that names something by it, where the client wrote none: `pg_catalog.lower(integer)`, `public.t`.
pub(in crate::session) fn as_written(fields: &mut ErrorFields, asked: &str) {
    // Of a wrong kind of object: a function that CALL names, or a procedure elsewhere.
    let of_a_kind = fields.sqlstate() == Some("42809") && fields.get(b'F') == Some(&b"parse_func.c"[..]);
    if !of_a_kind && !matches!(fields.sqlstate(), Some("42883" | "42P01")) {
        return;
    }
    let Some(message) = fields.get(b'M').and_then(|message| std::str::from_utf8(message).ok()) else { return };
    let asked = asked.to_ascii_lowercase();
    let mut written = message.to_owned();
    while let Some((before, _, behind)) = qualified(&written).filter(|(_, schema, _)| !asked.contains(schema)) {
        written = format!("{before}{behind}");
    }
    if written != message {
        let written = written.into_bytes();
        fields.set(b'M', &written);
    }
}

/// What stands before the first word that has a dot behind it, that word in lower case, and what stands behind the dot.
fn qualified(message: &str) -> Option<(&str, String, &str)> {
    let (before, behind) = message.split_once('.')?;
    let start = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at.saturating_add(1));
    let (before, schema) = (before.get(..start)?, before.get(start..)?);
    (!schema.is_empty()).then(|| (before, schema.to_ascii_lowercase(), behind))
}

/// The server's own files that say why a login fails: of the database and the role that the client named, and of nothing else.
const LOGIN_FILES: &[&[u8]] =
    &[b"postinit.c", b"miscinit.c", b"auth.c", b"crypt.c", b"postmaster.c", b"backend_startup.c", b"proc.c"];

/// The same for what the database says before the session is ready: a trigger on login may say anything, the server itself
/// speaks of what the client sent.
pub fn clean_login(fields: &mut ErrorFields) {
    if !fields.get(b'F').is_some_and(|file| LOGIN_FILES.contains(&file)) {
        clean(fields, false, false);
    }
}

fn message_is_safe(fields: &ErrorFields, sqlstate: &str) -> bool {
    // RAISE takes any SQLSTATE and any text, and so do other languages and remote servers: the source file tells.
    let raised = fields.get(b'F').is_none_or(|file| FOREIGN_TEXT.contains(&file));
    // A name that is not found while a statement is parsed is the client's own, and comes with its position; one
    // without may be a value that was cast to `regclass` or `regrole`.
    let value_as_name = NAMES.contains(&sqlstate) && fields.get(b'P').is_none();
    let own_notice =
        !matches!(sqlstate, "00000" | "01000") || SERVER_NOTICES.iter().any(|file| fields.get(b'F') == Some(file));
    let of_a_key = KEYS.contains(&sqlstate) && fields.get(b'F') == Some(b"ri_triggers.c");
    (MESSAGE_KEPT.contains(&sqlstate) || of_a_key) && !raised && !value_as_name && own_notice
}

fn condition(sqlstate: &str, class: &str) -> &'static str {
    let named = CONDITIONS.iter().find(|(code, _)| *code == sqlstate);
    named.or_else(|| CLASSES.iter().find(|(code, _)| *code == class)).map_or("error", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(sqlstate: &str, message: &str) -> ErrorFields {
        let mut fields = ErrorFields::new("ERROR", sqlstate, message);
        for code in *b"DHWqdsctnPLR" {
            fields.set(code, b"canary");
        }
        fields.set(b'F', b"parse_relation.c");
        clean(&mut fields, false, false);
        fields
    }

    #[test]
    fn a_value_in_a_message_is_replaced_by_the_condition() {
        let fields = cleaned("22P02", "invalid input syntax for type integer: \"canary\"");
        assert_eq!(fields.get(b'M'), Some(&b"invalid text representation"[..]));
        assert!(b"DHWqdsctnPFLR".iter().all(|code| fields.get(*code).is_none()), "{fields:?}");
    }

    #[test]
    fn a_unique_violation_keeps_the_names_and_loses_the_key() {
        let fields = cleaned("23505", "duplicate key value violates unique constraint");
        assert_eq!(fields.get(b'M'), Some(&b"unique violation"[..]));
        assert_eq!(fields.get(b'D'), None);
        assert_eq!(fields.get(b'n'), Some(&b"canary"[..]));
    }

    #[test]
    fn a_foreign_key_says_which_side_of_it_is_meant() {
        let message = "update or delete on table \"a\" violates foreign key constraint \"c\" on table \"b\"";
        for (file, kept) in [(&b"ri_triggers.c"[..], true), (b"pl_exec.c", false)] {
            let mut fields = ErrorFields::new("ERROR", "23503", message);
            fields.set(b'D', b"Key (id)=(canary) is still referenced from table b.");
            fields.set(b'F', file);
            clean(&mut fields, false, false);
            let wanted = if kept { message } else { "foreign key violation" };
            assert_eq!(fields.get(b'M'), Some(wanted.as_bytes()));
            assert_eq!(fields.get(b'D'), None);
        }
    }

    #[test]
    fn a_part_of_a_table_is_not_named() {
        let mut fields = ErrorFields::new("ERROR", "23503", "insert or update on table \"canary\" violates");
        for code in *b"stcn" {
            fields.set(code, b"canary");
        }
        fields.set(b'F', b"ri_triggers.c");
        clean(&mut fields, false, true);
        assert_eq!(fields.get(b'M'), Some(&b"foreign key violation"[..]));
        assert!(b"stcn".iter().all(|code| fields.get(*code).is_none()), "{fields:?}");
    }

    #[test]
    fn a_message_that_names_only_what_was_written_stays() {
        let fields = cleaned("42P01", "relation \"x\" does not exist");
        assert_eq!(fields.get(b'M'), Some(&b"relation \"x\" does not exist"[..]));
        assert_eq!(fields.get(b'H'), None);
    }

    #[test]
    fn a_value_that_was_cast_to_a_name_is_replaced() {
        let mut fields = ErrorFields::new("ERROR", "42P01", "relation \"canary\" does not exist");
        fields.set(b'F', b"namespace.c");
        clean(&mut fields, false, false);
        assert_eq!(fields.get(b'M'), Some(&b"syntax error or access rule violation"[..]));
    }

    #[test]
    fn what_a_function_raises_is_replaced() {
        let mut fields = ErrorFields::new("NOTICE", "00000", "canary");
        fields.set(b'F', b"pl_exec.c");
        clean(&mut fields, false, false);
        assert_eq!(fields.get(b'M'), Some(&b"successful completion"[..]));
        assert_eq!(cleaned("P0001", "canary").get(b'M'), Some(&b"raise exception"[..]));
        assert_eq!(cleaned("ZZ999", "canary").get(b'M'), Some(&b"error"[..]));
    }
}
