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

/// relation, number, name, type, type as text, whether it is generated.
pub(super) const COLUMNS: &str = r"
    SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid,
           pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> ''
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I') AND c.relpersistence <> 't'
    ORDER BY a.attrelid, a.attnum";

/// relation, column numbers in key order.
pub(super) const PRIMARY_KEYS: &str = r"
    SELECT i.indrelid, ARRAY(SELECT k FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                             WHERE n <= i.indnkeyatts ORDER BY n)
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

/// The relation that has a rule, for each rule whose definition calls something of which it cannot be told what it reads:
///
/// * a function or operator that is not built in, those of the extensions named here excepted, which only compute;
/// * a built-in function that runs SQL text given to it or exports tables by name;
/// * a volatile built-in function, those excepted that only make numbers and times.
pub(super) const RULE_FUNCTIONS: &str = r"
    SELECT DISTINCT r.ev_class
    FROM pg_catalog.pg_rewrite r
    CROSS JOIN LATERAL (
        SELECT m[1]::oid AS oid
        FROM pg_catalog.regexp_matches(r.ev_action::text || r.ev_qual::text,
            ':(?:funcid|opfuncid|hashfuncid|negfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS m
        UNION
        SELECT o.oprcode::oid
        FROM pg_catalog.regexp_matches(r.ev_action::text || r.ev_qual::text, ':opno ([0-9]+)', 'g') AS m
        JOIN pg_catalog.pg_operator o ON o.oid = m[1]::oid
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_proc'::regclass
    ) AS x
    JOIN pg_catalog.pg_proc p ON p.oid = x.oid
    WHERE r.ev_class >= 16384
      AND CASE WHEN p.oid >= 16384 THEN NOT EXISTS (
                   SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                     AND d.refclassid = 'pg_catalog.pg_extension'::regclass
                     AND e.extname IN ('btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch',
                                       'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pgcrypto', 'seg', 'unaccent',
                                       'uuid-ossp'))
               WHEN p.proname ~ '_to_xml|^ts_stat|^ts_rewrite|^pg_read_|^pg_ls_|^lo_|^loread|^pg_stat_file' THEN true
               ELSE p.provolatile = 'v'
                    AND p.proname NOT IN ('random', 'gen_random_uuid', 'clock_timestamp', 'timeofday', 'uuidv4', 'uuidv7')
          END
    ORDER BY 1";

/// oid, schema, name, prokind, provolatile, leakproof, language, extension, security definer, argument types, return
/// type, names of the columns it returns, whether it returns a set.
pub(super) const FUNCTIONS: &str = r"
    SELECT p.oid, n.nspname::text, p.proname::text, p.prokind::text, p.provolatile::text, p.proleakproof,
           l.lanname::text, x.extname, p.prosecdef, p.proargtypes::oid[], p.prorettype,
           p.proargnames, p.proargmodes::text[], p.proretset
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

/// Name of an operator whose function is written in SQL or a procedural language, with that function's schema and name:
/// what it reads cannot be told. Functions in C are the server's and its extensions' own.
pub(super) const CALLING_OPERATORS: &str = r"
    SELECT DISTINCT o.oprname::text, n.nspname::text, p.proname::text
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE o.oid >= 16384 AND l.lanname NOT IN ('internal', 'c')
    ORDER BY 1, 2, 3";

/// Name of a type that cannot be cast to or from without calling such a function: by a cast, by the check of a domain,
/// or by an attribute, element or base of such a type.
pub(super) const CALLING_TYPES: &str = r"
    WITH RECURSIVE called AS (
        SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE p.oid >= 16384 AND l.lanname NOT IN ('internal', 'c')),
    own AS (
        SELECT t.oid FROM pg_catalog.pg_cast c JOIN called ON called.oid = c.castfunc
        JOIN pg_catalog.pg_type t ON t.oid IN (c.castsource, c.casttarget) WHERE t.oid >= 16384
        UNION
        SELECT c.contypid FROM pg_catalog.pg_constraint c
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = c.oid
             AND d.refclassid = 'pg_catalog.pg_proc'::regclass
        JOIN called ON called.oid = d.refobjid WHERE c.contypid <> 0
        UNION
        SELECT c.contypid FROM pg_catalog.pg_constraint c
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = c.oid
             AND d.refclassid = 'pg_catalog.pg_operator'::regclass
        JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid
        JOIN called ON called.oid = o.oprcode WHERE c.contypid <> 0),
    edge AS (
        SELECT typelem AS below, oid AS above FROM pg_catalog.pg_type WHERE typelem >= 16384
        UNION ALL
        SELECT typbasetype, oid FROM pg_catalog.pg_type WHERE typbasetype >= 16384
        UNION ALL
        SELECT a.atttypid, t.oid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.typrelid = a.attrelid
        WHERE t.typrelid <> 0 AND a.atttypid >= 16384 AND NOT a.attisdropped),
    calling AS (
        SELECT oid FROM own
        UNION
        SELECT edge.above FROM calling JOIN edge ON edge.below = calling.oid)
    SELECT DISTINCT t.typname::text FROM calling JOIN pg_catalog.pg_type t ON t.oid = calling.oid ORDER BY 1";
