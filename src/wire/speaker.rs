//! Which file and function of PostgreSQL's source tell of what the proxy finds before the database does. Drivers and ORMs look for the
//! function.
//!
//! Source: the fields F and R in "Error and Notice Message Fields" of PostgreSQL's documentation, as version 15 fills them.

/// File and function, for a message in PostgreSQL's spelling; `placed`: it has a position. `None` where it is nobody's.
pub(super) fn of(sqlstate: &str, message: &str, placed: bool) -> Option<(&'static str, &'static str)> {
    let is = |start: &str, end: &str| message.starts_with(start) && message.ends_with(end);
    let absent = " does not exist";
    Some(match sqlstate {
        // The scanner names the place it stopped at, or the end.
        "42601" if message.contains(" at or near \"") || is("", " at end of input") => ("scan.l", "scanner_yyerror"),
        "42P01" if is("relation \"", absent) && placed => ("parse_relation.c", "parserOpenTable"),
        "42P01" if is("relation \"", absent) => ("namespace.c", "RangeVarGetRelidExtended"),
        "42P01" if is("missing FROM-clause entry ", "") || is("invalid reference to FROM-clause entry ", "") => {
            ("parse_relation.c", "errorMissingRTE")
        }
        "3F000" if is("schema \"", absent) => ("namespace.c", "get_namespace_oid"),
        "42703" if placed && is("column ", absent) && !message.contains("\" of relation \"") => {
            ("parse_relation.c", "errorMissingColumn")
        }
        "42702" if is("column reference \"", " is ambiguous") => ("parse_relation.c", "colNameToVar"),
        "42883" if is("function ", absent) || is("procedure ", absent) => ("parse_func.c", "ParseFuncOrColumn"),
        "26000" if is("unnamed prepared statement", absent) => ("postgres.c", "exec_bind_message"),
        "26000" if is("prepared statement \"", absent) => ("prepare.c", "FetchPreparedStatement"),
        "34000" if is("portal \"", absent) => ("postgres.c", "exec_execute_message"),
        "34000" if is("cursor \"", absent) => ("portalcmds.c", "PerformPortalFetch"),
        _ => return None,
    })
}
