-- What is temporary is told in whole each time: no shared snapshot holds it.
WITH own AS (
    SELECT pg_catalog.pg_my_temp_schema() AS temp),
since AS (
    SELECT pg_catalog.age($1::text::pg_catalog.xid) AS age),
spaces AS (
    SELECT n.oid, n.nspname::text AS name, pg_catalog.age(n.xmin) <= since.age AS recent
    FROM pg_catalog.pg_namespace n, own, since
    WHERE n.nspname !~ '^pg_(toast_)?temp_' OR n.oid = own.temp),
classes AS (
    SELECT c.oid, c.relname::text AS name, c.relkind, c.relpersistence, spaces.name AS space,
           pg_catalog.age(c.xmin) <= since.age OR spaces.recent OR c.relpersistence = 't' AS recent
    FROM pg_catalog.pg_class c JOIN spaces ON spaces.oid = c.relnamespace, since, own
    WHERE c.oid >= 16384 AND (c.relpersistence <> 't' OR c.relnamespace = own.temp)),
types AS (
    SELECT t.oid, spaces.name AS space, t.typname::text AS name, t.typtype, t.typbasetype, t.typtypmod, t.typrelid,
           CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END AS element,
           pg_catalog.age(t.xmin) <= since.age OR spaces.recent OR spaces.oid = own.temp AS recent
    FROM pg_catalog.pg_type t JOIN spaces ON spaces.oid = t.typnamespace, since, own
    WHERE t.oid >= 16384),
touched AS (
    SELECT oid FROM classes WHERE recent
    UNION
    SELECT a.attrelid FROM pg_catalog.pg_attribute a
    WHERE a.attnum > 0 AND a.attrelid >= 16384
      AND (pg_catalog.age(a.xmin) <= (SELECT since.age FROM since)
           OR (a.atttypid >= 16384 AND a.atttypid IN (SELECT t.oid FROM types t WHERE t.recent)))
    UNION
    SELECT i.indrelid FROM pg_catalog.pg_index i, since
    WHERE i.indexrelid >= 16384 AND i.indisprimary AND pg_catalog.age(i.xmin) <= since.age),
rules AS (
    SELECT r.oid, r.ev_class, r.ev_action::text || r.ev_qual::text AS tree
    FROM pg_catalog.pg_rewrite r, since
    WHERE r.ev_class >= 16384
      AND (pg_catalog.age(r.xmin) <= since.age
           OR r.ev_class IN (SELECT oid FROM classes WHERE relpersistence = 't'))){within}
SELECT 'since', {since}
UNION ALL
SELECT 'temporary', (SELECT name FROM spaces, own WHERE spaces.oid = own.temp)
UNION ALL
SELECT 'schemas', pg_catalog.json_agg(name)::text FROM spaces
UNION ALL
SELECT 'relations', pg_catalog.json_agg(oid)::text FROM classes
UNION ALL
SELECT 'relation', pg_catalog.json_build_array(
    c.oid::int8, c.space, c.name, c.relkind,
    (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(
         a.attnum, a.attname, a.atttypid::int8, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', {base_type}) ORDER BY a.attnum), '[]')
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I')),
    (SELECT ARRAY(SELECT k FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                  WHERE n <= i.indnkeyatts ORDER BY n)
     FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
    c.relpersistence = 't',
    EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate))::text
FROM classes c WHERE c.oid IN (SELECT oid FROM touched)
UNION ALL
SELECT 'keys', pg_catalog.json_agg(i.indrelid)::text FROM pg_catalog.pg_index i
WHERE i.indisprimary AND i.indexrelid >= 16384
UNION ALL
SELECT 'inherits', pg_catalog.json_agg(pg_catalog.json_build_array(i.inhrelid::int8, i.inhparent::int8)
                                       ORDER BY i.inhrelid, i.inhseqno)::text
FROM pg_catalog.pg_inherits i JOIN classes c ON c.oid = i.inhrelid WHERE c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT 'parts', pg_catalog.json_agg(pg_catalog.json_build_array(p.owner::int8, p.part::int8))::text FROM ({parts}) AS p (owner, part)
UNION ALL
SELECT 'hooked', {hooked}::text
UNION ALL
SELECT 'types', pg_catalog.json_agg(oid)::text FROM types
UNION ALL
SELECT 'type', pg_catalog.json_build_array(
    y.oid::int8, y.space, y.name, y.typtype, y.typbasetype::int8, y.element::int8, y.typrelid::int8,
    y.name = 'citext' AND EXISTS (
        SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = y.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname = 'citext'))::text
FROM types y
-- A row's type may come to call, or cease to call, what a column's type calls.
WHERE y.recent OR y.typrelid IN (SELECT touched.oid FROM touched)
   OR y.element IN (SELECT r.oid FROM types r JOIN touched ON touched.oid = r.typrelid)
UNION ALL
SELECT 'functions', pg_catalog.json_agg(p.oid)::text
FROM pg_catalog.pg_proc p JOIN spaces ON spaces.oid = p.pronamespace WHERE p.oid >= 16384
UNION ALL
SELECT 'function', pg_catalog.json_build_array(
    p.oid::int8, spaces.name, p.proname, p.prokind, p.provolatile, p.proleakproof, l.lanname,
    (SELECT pg_catalog.min(e.extname::text) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
       AND d.refclassid = 'pg_catalog.pg_extension'::regclass),
    p.prosecdef, p.proargtypes::int8[], p.prorettype::int8, p.proargnames, p.proargmodes::text[], p.proretset,
    (SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_type t
     JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE t.oid = p.prorettype AND t.typrelid <> 0),
    {body})::text
FROM pg_catalog.pg_proc p JOIN spaces ON spaces.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang, since
WHERE p.oid >= 16384
  AND (pg_catalog.age(p.xmin) <= since.age OR spaces.recent
       OR p.prorettype IN (SELECT t.oid FROM types t JOIN touched ON touched.oid = t.typrelid))
UNION ALL
SELECT 'rule', pg_catalog.json_build_array(
    r.ev_class::int8,
    (SELECT pg_catalog.array_agg(DISTINCT x.oid::int8) FROM (
        SELECT m[1]::oid AS oid FROM pg_catalog.regexp_matches(r.tree, ':relid ([0-9]+)', 'g') AS m
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass) AS x
     WHERE x.oid <> 0 AND x.oid <> r.ev_class),
    EXISTS ({untold}))::text
FROM rules r
UNION ALL
SELECT 'counted', {counted}
UNION ALL
SELECT 'recent', ({recent}
    OR EXISTS (SELECT FROM pg_catalog.pg_range x, since WHERE x.rngtypid >= 16384 AND pg_catalog.age(x.xmin) <= since.age)
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint x, since WHERE x.contypid >= 16384 AND pg_catalog.age(x.xmin) <= since.age))::text
{more}
