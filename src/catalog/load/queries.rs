//! What is asked of the system catalogs. Every column is cast to a type that the driver reads without asking the server
//! about it, and every order is fixed, so that two equal databases give equal snapshots.
//!
//! Temporary schemas are left out: they belong to one session each, and what stands in them is nobody else's to name.

/// nspname.
pub(super) const SCHEMAS: &str = r"
    SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'";

/// oid, schema, name, typtype, base type of a domain, element type of a true array, relation of a row type, whether it
/// is the extension citext's own type.
pub(super) const TYPES: &str = r"
    SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typbasetype,
           CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END,
           t.typrelid,
           t.typname = 'citext' AND EXISTS (
               SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
               WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                 AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname = 'citext')
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname !~ '^pg_(toast_)?temp_'
    ORDER BY t.oid";

/// oid, schema, name, relkind.
pub(super) const RELATIONS: &str = r"
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast_)?temp_'
    ORDER BY c.oid";

/// As text the type of a column (`a`, its type `t`) under all domains.
const BASE_TYPE: &str = r"
           CASE WHEN t.typtype <> 'd' THEN pg_catalog.format_type(a.atttypid, a.atttypmod) ELSE (
               WITH RECURSIVE chain (base, modifier, depth) AS (
                   SELECT t.typbasetype, t.typtypmod, 1
                   UNION ALL
                   SELECT d.typbasetype, d.typtypmod, chain.depth + 1
                   FROM chain JOIN pg_catalog.pg_type d ON d.oid = chain.base AND d.typtype = 'd')
               SELECT pg_catalog.format_type(base, modifier) FROM chain ORDER BY depth DESC LIMIT 1)
           END";

/// relation, number, name, type, type as text, whether it is generated, and as text the type under all domains.
pub(super) fn columns() -> String {
    format!(
        "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid,
                pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', {BASE_TYPE}
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
              JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I') AND c.relpersistence <> 't'
         ORDER BY a.attrelid, a.attnum"
    )
}

/// relation, column numbers in key order, whether the key is deferrable.
pub(super) const PRIMARY_KEYS: &str = r"
    SELECT i.indrelid, ARRAY(SELECT k FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                             WHERE n <= i.indnkeyatts ORDER BY n), NOT i.indimmediate
    FROM pg_catalog.pg_index i WHERE i.indisprimary
    ORDER BY i.indrelid";

/// child, parent.
pub(super) const INHERITS: &str = r"
    SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i ORDER BY i.inhrelid, i.inhseqno";

/// The relation that has a rule (a view has one by its nature), a relation that the rule names.
///
/// The rule's own tree is asked, not only `pg_depend`: what `initdb` made is pinned, and a dependency on it is not
/// recorded. Names in the tree are escaped, so that no name looks like a field of it.
pub(super) const RULE_RELATIONS: &str = r"
    SELECT DISTINCT r.ev_class, x.oid
    FROM pg_catalog.pg_rewrite r
    CROSS JOIN LATERAL (
        SELECT m[1]::oid AS oid
        FROM pg_catalog.regexp_matches(r.ev_action::text || r.ev_qual::text, ':relid ([0-9]+)', 'g') AS m
        WHERE r.ev_class >= 16384
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass
    ) AS x
    WHERE x.oid <> 0 AND x.oid <> r.ev_class
    ORDER BY 1, 2";

/// Whether it cannot be told what a function (`p`) of a definition reads:
///
/// * a function or operator that is not built in, those of the extensions named here excepted, which only compute;
/// * a built-in function that runs SQL text given to it or exports tables by name;
/// * a volatile built-in function, those excepted that only make numbers and times.
const UNTOLD: &str = r"
          CASE WHEN p.oid >= 16384 THEN NOT EXISTS (
                   SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                     AND d.refclassid = 'pg_catalog.pg_extension'::regclass
                     AND e.extname IN ('btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch',
                                       'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pgcrypto', 'seg', 'unaccent',
                                       'uuid-ossp'))
               WHEN p.proname ~ '_to_xml|^ts_stat|^ts_rewrite|^pg_read_|^pg_ls_|^lo_|^loread|^pg_stat_file' THEN true
               ELSE p.provolatile = 'v'
                    AND p.proname NOT IN ('random', 'gen_random_uuid', 'clock_timestamp', 'timeofday', 'uuidv4', 'uuidv7')
          END";

/// The functions (`oid`) that a stored expression calls, by themselves or as operators; a comparison of rows names one operator for each
/// column. `tree`: PostgreSQL's own tree of it as text, where names are escaped, so that none looks like a field.
fn called_by(tree: &str) -> String {
    format!(
        r"SELECT m[1]::oid AS oid
        FROM pg_catalog.regexp_matches({tree},
            ':(?:funcid|opfuncid|hashfuncid|negfuncid|aggfnoid|winfnoid|startInRangeFunc|endInRangeFunc) ([0-9]+)', 'g') AS m
        UNION
        SELECT (SELECT o.oprcode::oid FROM pg_catalog.pg_operator o WHERE o.oid = u.number::oid)
        FROM pg_catalog.regexp_matches({tree}, ':(?:opno|eqop|sortop)(?:s \(o)? ([0-9 ]+)', 'g') AS m
        CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.btrim(m[1]), ' ')) AS u(number)
        -- Those of initdb call nothing that is told of.
        WHERE u.number::oid >= 16384"
    )
}

/// The functions (`oid`) that a rule (`r`) calls, by its tree and by what it depends on.
fn called_by_rule(tree: &str) -> String {
    format!(
        "{}
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_proc'::regclass",
        called_by(tree)
    )
}

/// Puts what a stored expression calls where a query says `{called by TREE}`.
pub(super) fn with_called(query: &str) -> String {
    const OPEN: &str = "{called by ";
    let mut text = String::with_capacity(query.len());
    let mut rest = query;
    while let Some((before, (tree, after))) =
        rest.split_once(OPEN).and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
    {
        text.push_str(before);
        text.push_str(&called_by(tree));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The relation that has a rule, for each rule whose definition calls something of which it cannot be told what it reads.
pub(super) fn rule_functions() -> String {
    let called = called_by_rule("r.ev_action::text || r.ev_qual::text");
    format!(
        "SELECT DISTINCT r.ev_class FROM pg_catalog.pg_rewrite r CROSS JOIN LATERAL ({called}) AS x
         JOIN pg_catalog.pg_proc p ON p.oid = x.oid WHERE r.ev_class >= 16384 AND {UNTOLD} ORDER BY 1"
    )
}

/// The oldest transaction whose changes may not be in what is read now: 32 bits of its number, as text.
const SINCE: &str = "(pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::numeric % 4294967296)::text";

/// How many there are, beyond `initdb`'s, of what a whole load alone reads.
fn counted() -> String {
    let tables = ["operator", "cast", "amop", "amproc", "extension"]
        .map(|table| format!("(SELECT pg_catalog.count(*) FROM pg_catalog.pg_{table} WHERE oid >= 16384)"));
    format!(
        "pg_catalog.concat_ws(' ', {}, (SELECT pg_catalog.count(*) FROM pg_catalog.pg_range WHERE rngtypid >= 16384),
            (SELECT pg_catalog.count(*) FROM pg_catalog.pg_constraint WHERE contypid >= 16384))",
        tables.join(", ")
    )
}

/// From when on changes are not in what is read with it, what is counted, and [`HOOKED`].
pub(super) fn marks() -> String {
    format!("SELECT {SINCE}, {}, {HOOKED}", counted())
}

/// What has changed since a transaction began (its number, 32 bits, as text), as one visible moment of the session that asks
/// has it, its own temporary relations among it: rows of a word and JSON.
///
/// Each row of a catalog names the transaction that wrote it (`xmin`); one that is not older than the given is told again.
/// What was removed is told by the numbers that are there. Only what stands above `initdb`'s numbers is looked at.
pub(super) fn changed() -> String {
    changed_with("", "")
}

/// `within`: more of its WITH; `more`: more rows.
fn changed_with(within: &str, more: &str) -> String {
    let recent = ["operator", "cast", "amop", "amproc", "extension"].map(|table| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_{table} x, since WHERE x.oid >= 16384 AND pg_catalog.age(x.xmin) <= since.age)"
        )
    });
    let called = called_by_rule("r.tree");
    let untold = format!("SELECT FROM ({called}) AS x JOIN pg_catalog.pg_proc p ON p.oid = x.oid WHERE {UNTOLD}");
    include_str!("changed.sql")
        .replace("{base_type}", BASE_TYPE)
        .replace("{untold}", &untold)
        .replace("{counted}", &counted())
        .replace("{parts}", PARTS)
        .replace("{hooked}", HOOKED)
        .replace("{since}", SINCE)
        .replace("{recent}", &recent.join(" OR "))
        .replace("{body}", BODY)
        .replace("{within}", within)
        .replace("{more}", more)
}

/// The same as a session sees it within its own transaction, with what is otherwise read by itself or by a whole load alone: what operators
/// and types call, told in whole, and what those relations do by themselves that may do something else than before.
pub(super) fn seen() -> String {
    const SEEN: &str = "(SELECT seen.oids FROM seen)::pg_catalog.oid[]";
    let own = own_of(SEEN, &format!("AND c.confrelid = ANY ({SEEN})"));
    let calling_types = calling_types();
    changed_with(
        include_str!("seen.sql"),
        &format!(
            "UNION ALL SELECT 'asked', pg_catalog.array_to_json((SELECT seen.oids FROM seen)::int8[])::text
             UNION ALL SELECT 'operators', (
                 SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(x.name, x.space, x.function)), '[]')::text
                 FROM ({CALLING_OPERATORS}) AS x (name, space, function))
             UNION ALL SELECT 'calls', (
                 SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(x.oid::int8, x.name, x.kind, x.space, x.function)), '[]')::text
                 FROM ({calling_types}) AS x (oid, name, kind, space, function))
             UNION ALL SELECT own.word, own.what FROM ({own}) AS own"
        ),
    )
}

/// [`super::automatic::query`] of these relations alone; `referring`: the condition on keys that refer to them.
fn own_of(relations: &str, referring: &str) -> String {
    let mut own = super::automatic::query().replace("/*to c.confrelid*/", referring).replace("/*all*/", "true OR");
    for column in [
        "c.conrelid",
        "i.indrelid",
        "s.stxrelid",
        "d.adrelid",
        "p.polrelid",
        "t.tgrelid",
        "a.attrelid",
        "r.ev_class",
        "p.partrelid",
    ] {
        own = own.replace(&format!("/*of {column}*/"), &format!("AND {column} = ANY ({relations})"));
    }
    own
}

/// Owner and part: indexes, TOAST tables with theirs, sequences that a column owns.
pub(super) const PARTS: &str = r"
    SELECT i.indrelid, i.indexrelid FROM pg_catalog.pg_index i WHERE i.indexrelid >= 16384
    UNION ALL
    SELECT c.oid, c.reltoastrelid FROM pg_catalog.pg_class c WHERE c.reltoastrelid >= 16384
    UNION ALL
    SELECT d.refobjid, d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND c.relkind = 'S'";

/// Whether something else may happen along with a statement that changes the structure: an event trigger, or an extension that is not known
/// to leave such statements alone.
const HOOKED: &str = r"(EXISTS (SELECT FROM pg_catalog.pg_event_trigger v WHERE v.evtenabled <> 'D')
    OR EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname NOT IN (
        'plpgsql', 'adminpack', 'amcheck', 'bloom', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dblink', 'dict_int', 'dict_xsyn',
        'earthdistance', 'file_fdw', 'fuzzystrmatch', 'hstore', 'intarray', 'isn', 'lo', 'ltree', 'pageinspect', 'pg_buffercache',
        'pg_freespacemap', 'pg_prewarm', 'pg_stat_statements', 'pg_trgm', 'pg_visibility', 'pg_walinspect', 'pgcrypto', 'pgrowlocks',
        'pgstattuple', 'postgres_fdw', 'seg', 'sslinfo', 'tablefunc', 'tcn', 'tsm_system_rows', 'tsm_system_time', 'unaccent',
        'uuid-ossp', 'vector', 'xml2')))";

/// What is told of relations with which nothing else goes: see the file.
pub(super) fn plain() -> String {
    include_str!("plain.sql").replace("{hooked}", HOOKED)
}

/// What is told of relations and of all that goes with them: see the file. What they do by themselves is [`super::automatic::query`], of these
/// alone.
pub(super) fn within() -> String {
    const ASKED: &str = "(SELECT asked.oids FROM asked)::pg_catalog.oid[]";
    let called = called_by_rule("r.tree");
    let untold = format!("SELECT FROM ({called}) AS x JOIN pg_catalog.pg_proc p ON p.oid = x.oid WHERE {UNTOLD}");
    let related = include_str!("within.sql")
        .replace("{base_type}", BASE_TYPE)
        .replace("{untold}", &untold)
        .replace("{hooked}", HOOKED)
        .replace("{asked}", ASKED);
    // Keys that refer to a relation are found by what depends on it: nothing indexes `confrelid`.
    let referring = format!(
        "AND c.confrelid = ANY ({ASKED}) AND c.oid = ANY (ARRAY(
             SELECT d.objid FROM pg_catalog.pg_depend d
             WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ({ASKED})
               AND d.classid = 'pg_catalog.pg_constraint'::regclass))"
    );
    let own = own_of(ASKED, &referring);
    format!("{related}UNION ALL\n{own}")
}

/// oid, schema, name, prokind, provolatile, leakproof, language, extension, security definer, argument types, return
/// type, names of the columns it returns, whether it returns a set, what a call of it runs.
pub(super) fn functions() -> String {
    FUNCTIONS.replace("{body}", BODY)
}

/// What a call of a function (`p`, in the language `l`) runs, where that can be told. A body that was parsed when it was made has no text, and
/// what makes one of it locks the relations in it.
const BODY: &str = r"
    CASE WHEN p.oid < 16384 OR pg_catalog.length(p.prosrc) > 16384 OR p.proconfig IS NOT NULL THEN NULL
         WHEN p.prokind = 'a' THEN (
             SELECT 'SELECT ' || pg_catalog.string_agg(pg_catalog.format('%I.%I()', n.nspname, f.proname), ', ' ORDER BY f.oid)
             FROM pg_catalog.pg_aggregate a
             CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn::oid, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                                        a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]) AS x (oid)
             JOIN pg_catalog.pg_proc f ON f.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
             WHERE a.aggfnoid = p.oid)
         WHEN l.lanname = 'sql' AND p.prosqlbody IS NULL THEN p.prosrc || CASE WHEN p.pronargdefaults > 0 THEN
             E'\n;\nSELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0::oid) ELSE '' END
         WHEN l.lanname = 'internal' AND EXISTS (
             SELECT FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i'
               AND d.refclassid = 'pg_catalog.pg_type'::regclass) THEN ''
    END";

/// See [`functions`].
const FUNCTIONS: &str = r"
    SELECT p.oid, n.nspname::text, p.proname::text, p.prokind::text, p.provolatile::text, p.proleakproof,
           l.lanname::text, x.extname, p.prosecdef, p.proargtypes::oid[], p.prorettype,
           p.proargnames, p.proargmodes::text[], p.proretset, {body}
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN (
        SELECT d.objid, min(e.extname::text) AS extname
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::regclass
        GROUP BY d.objid) AS x ON x.objid = p.oid
    WHERE n.nspname !~ '^pg_(toast_)?temp_'
    ORDER BY p.oid";

/// name, left type, right type.
///
/// An operator is left out where another of the same name and types, in whatever schema, is not leakproof: which of them
/// a statement means depends on its session's search path.
pub(super) const LEAKPROOF_OPERATORS: &str = r"
    SELECT o.oprname::text, o.oprleft, o.oprright
    FROM pg_catalog.pg_operator o LEFT JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
    GROUP BY o.oprname, o.oprleft, o.oprright
    HAVING bool_and(COALESCE(p.proleakproof, false))
    ORDER BY 1, 2, 3";

/// Name of an operator that is not built in, with its function's schema and name: what that reads cannot be told. Left out is
/// what an extension brought that a superuser installed, or that installs itself as the bootstrap superuser.
///
/// A built-in function stands here too, where somebody made an operator of it: whether it is harmless is not for the catalog to say.
pub(super) const CALLING_OPERATORS: &str = r"
    WITH trusted AS (
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
    SELECT DISTINCT o.oprname::text, n.nspname::text, p.proname::text
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE o.oid >= 16384
      AND NOT (EXISTS (SELECT FROM trusted WHERE classid = 'pg_catalog.pg_operator'::regclass AND objid = o.oid)
               AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = o.oprowner AND r.rolsuper))
      AND NOT (EXISTS (SELECT FROM trusted WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid)
               AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = p.proowner AND r.rolsuper))
    ORDER BY 1, 2, 3";

/// See [`CALLING_TYPES`].
pub(super) fn calling_types() -> String {
    with_called(CALLING_TYPES)
}

/// A type and a function that is called without being named: type (0 where no statement can keep clear of it), the type's
/// name, when (`n`: only where the type is named; `v`: by a value of the type too; `w`: by a write), the function's schema and name.
///
/// * A cast's function is called for a value of its source and for one that becomes its target.
/// * A support function or operator of an operator class is called by sorting, grouping and comparing.
/// * A domain's check is called where a value becomes one of the domain.
/// * All of these also by an array, a range, a domain or a row that holds such a type.
///
/// What extensions brought is left out as for operators, and what CREATE TYPE AS RANGE makes itself.
const CALLING_TYPES: &str = r"
    WITH RECURSIVE trusted AS (
        SELECT d.objid AS oid FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid
        JOIN pg_catalog.pg_roles r ON r.oid = p.proowner AND r.rolsuper
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass
          AND d.deptype = 'e'
        UNION
        SELECT d.objid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.refclassid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'i'),
    by_value AS (
        SELECT castsource AS a, casttarget AS b, castcontext::text AS context, castfunc::oid AS function
        FROM pg_catalog.pg_cast WHERE oid >= 16384 AND castfunc <> 0
        UNION ALL
        SELECT amproclefttype, amprocrighttype, 'i', amproc::oid FROM pg_catalog.pg_amproc
        WHERE oid >= 16384 AND amproc::oid >= 16384
        UNION ALL
        SELECT m.amoplefttype, m.amoprighttype, 'i', o.oprcode::oid FROM pg_catalog.pg_amop m
        JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr WHERE m.oid >= 16384 AND o.oprcode::oid >= 16384
        UNION ALL
        SELECT rngtypid, rngtypid, 'i', f FROM pg_catalog.pg_range
        CROSS JOIN LATERAL (VALUES (rngcanonical::oid), (rngsubdiff::oid)) AS v(f) WHERE f >= 16384),
    checks AS (
        SELECT c.contypid AS a, x.function
        FROM pg_catalog.pg_constraint c
        CROSS JOIN LATERAL ({called by c.conbin::text}) AS x (function)
        JOIN pg_catalog.pg_proc p ON p.oid = x.function
        WHERE c.contypid >= 16384
          AND (p.oid >= 16384 OR p.provolatile = 'v'
               OR p.proname ~ '_to_xml|^ts_stat|^ts_rewrite|^pg_read_|^pg_ls_|^lo_|^loread|^pg_stat_|setting|config')),
    own AS (
        SELECT a AS oid, 'v' AS kind, function FROM by_value WHERE a >= 16384
        UNION SELECT b, 'v', function FROM by_value WHERE b >= 16384
        UNION SELECT b, 'n', function FROM by_value WHERE a < 16384 AND b < 16384
        UNION SELECT 0, CASE context WHEN 'a' THEN 'w' ELSE 'v' END, function FROM by_value
              WHERE a < 16384 AND b < 16384 AND context <> 'e'
        UNION SELECT a, 'n', function FROM checks),
    edge AS (
        SELECT typelem AS below, oid AS above FROM pg_catalog.pg_type WHERE typelem >= 16384
        UNION ALL
        SELECT typbasetype, oid FROM pg_catalog.pg_type WHERE typbasetype >= 16384
        UNION ALL
        SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range WHERE rngsubtype >= 16384
        UNION ALL
        SELECT a.atttypid, t.oid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.typrelid = a.attrelid
        WHERE t.typrelid <> 0 AND a.atttypid >= 16384 AND NOT a.attisdropped),
    calling AS (
        SELECT oid, kind, function FROM own
        WHERE function NOT IN (SELECT oid FROM trusted)
        UNION
        SELECT edge.above, calling.kind, calling.function FROM calling JOIN edge ON edge.below = calling.oid)
    SELECT DISTINCT c.oid, COALESCE(t.typname::text, ''), c.kind, n.nspname::text, p.proname::text
    FROM calling c LEFT JOIN pg_catalog.pg_type t ON t.oid = c.oid
    JOIN pg_catalog.pg_proc p ON p.oid = c.function JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    UNION
    SELECT c.oid, pg_catalog.split_part(pg_catalog.format_type(c.oid, NULL), ' ', 1), c.kind, n.nspname::text, p.proname::text
    FROM calling c JOIN pg_catalog.pg_proc p ON p.oid = c.function
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE c.oid BETWEEN 1 AND 16383
    ORDER BY 1, 2, 3, 4, 5";
