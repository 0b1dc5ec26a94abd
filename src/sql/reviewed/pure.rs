//! Functions that are open by what the catalog says of them.
//!
//! The groups, and why each may be called:
//!
//! | group | by the catalog | why |
//! | --- | --- | --- |
//! | PostgreSQL's own | `pg_catalog`, number below 16384, every overload immutable, of language `internal`, takes and gives no `internal` or other value of the server's, no aggregate, none of the names below | an immutable function reads no table, no setting and no file: its answer is that of its arguments, which are masked before it sees them |
//! | of reviewed extensions | every overload of the schema's belongs to one of [`EXTENSIONS`], immutable, of language `c` | the same, as their authors declare it: only a superuser makes a function in C, and who installs one of these trusts its code, which was not read here |
//! | the same, by name | [`NAMED`] | they make random numbers, or read nothing but their dictionary or their own setting |
//!
//! Source: `pg_proc`, and "Function Volatility Categories" in PostgreSQL's documentation.

use crate::catalog::{Catalog, Function, FunctionKind, Oid, Volatility};

/// Numbers below this one belong to the system.
const FIRST_OWN: Oid = 16384;

/// `internal`, handlers, `trigger`, `event_trigger`: values that no client has.
const OF_THE_SERVER: [Oid; 9] = [2281, 2279, 2280, 3115, 325, 269, 3310, 3838, 5017];

/// Parts of names that run text, read tables or files, or serve an upgrade, whatever the catalog says of them.
const NEVER: [&str; 13] = [
    "_to_xml",
    "ts_stat",
    "ts_rewrite",
    "pg_read_",
    "pg_ls_",
    "lo_",
    "loread",
    "lowrite",
    "pg_stat",
    "binary_upgrade",
    "pg_logical",
    "dblink",
    "satisfies_hash_partition",
];

/// Extensions that are known to compute; what their immutable functions in C do is their authors' word.
const EXTENSIONS: &str = "btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto seg \
    unaccent uuid-ossp vector postgis";

/// Of these extensions, what is not immutable and may be called: random numbers and names, salts, a dictionary, thresholds.
const NAMED: &[(&str, &str)] = &[
    ("uuid-ossp", "uuid_generate_v1"),
    ("uuid-ossp", "uuid_generate_v1mc"),
    ("uuid-ossp", "uuid_generate_v4"),
    ("pgcrypto", "gen_random_bytes"),
    ("pgcrypto", "gen_random_uuid"),
    ("pgcrypto", "gen_salt"),
    ("unaccent", "unaccent"),
    ("pg_trgm", "show_limit"),
    ("pg_trgm", "similarity_op"),
    ("pg_trgm", "word_similarity_op"),
    ("pg_trgm", "word_similarity_commutator_op"),
    ("pg_trgm", "strict_word_similarity_op"),
];

/// Whether every function of that name in the schema may be called by what it is.
pub(in crate::sql) fn is_pure(schema: &str, name: &str, catalog: &Catalog) -> bool {
    let mut overloads = catalog.functions(name).iter().filter(|function| function.schema == schema).peekable();
    overloads.peek().is_some()
        && overloads
            .all(|function| if schema == "pg_catalog" { of_the_system(function) } else { of_extension(function) })
}

fn of_the_system(function: &Function) -> bool {
    function.oid < FIRST_OWN && function.language == "internal" && computes(function)
}

fn of_extension(function: &Function) -> bool {
    let Some(extension) = function.extension.as_deref() else { return false };
    let listed = EXTENSIONS.split_ascii_whitespace().any(|listed| listed == extension);
    let named = NAMED.iter().any(|(of, name)| *of == extension && *name == function.name);
    listed && function.language == "c" && !function.security_definer && (computes(function) || named)
}

fn computes(function: &Function) -> bool {
    let of_the_server = |oid: &Oid| OF_THE_SERVER.contains(oid);
    function.volatility == Volatility::Immutable
        && function.kind == FunctionKind::Plain
        && !function.security_definer
        && !of_the_server(&function.returns)
        && !function.arguments.iter().any(of_the_server)
        && !NEVER.iter().any(|part| function.name.contains(part))
}
