-- What is told of relations that a statement named or made, and of all that goes with them: what it does by itself follows as automatic.sql
-- has it. JSON with `oids` and `names` ([schema, name]).
-- Arrays and subqueries, no joins: so each catalog is looked up by its index, however large it is.
WITH RECURSIVE own AS (
    SELECT pg_catalog.pg_my_temp_schema() AS temp),
named (oid) AS (
    SELECT u.text::pg_catalog.oid FROM pg_catalog.json_array_elements_text($1::text::json -> 'oids') AS u (text)
    UNION
    SELECT (SELECT c.oid FROM pg_catalog.pg_class c
            WHERE c.relname = (n.pair ->> 1)::pg_catalog.name
              AND c.relnamespace = (
                  SELECT CASE WHEN n.pair ->> 0 = 'pg_temp' THEN (SELECT own.temp FROM own) ELSE (
                      SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname = (n.pair ->> 0)::pg_catalog.name) END))
    FROM pg_catalog.json_array_elements($1::text::json -> 'names') AS n (pair)),
tree (oid) AS (
    SELECT named.oid FROM named WHERE named.oid IS NOT NULL
    UNION
    SELECT below.inhrelid FROM tree CROSS JOIN LATERAL (
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = tree.oid OFFSET 0) AS below),
-- Parents, whose children they are, and what their foreign keys refer to.
held AS MATERIALIZED (
    SELECT ARRAY(
        SELECT tree.oid FROM tree
        UNION
        SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = ANY (ARRAY(SELECT tree.oid FROM tree))
        UNION
        SELECT k.confrelid FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = ANY (ARRAY(SELECT tree.oid FROM tree)) AND k.contype = 'f') AS oids),
toasts AS MATERIALIZED (
    SELECT c.oid AS owner, c.reltoastrelid AS part FROM pg_catalog.pg_class c
    WHERE c.oid = ANY ((SELECT held.oids FROM held)::pg_catalog.oid[]) AND c.reltoastrelid <> 0),
parts AS MATERIALIZED (
    SELECT toasts.owner, toasts.part FROM toasts
    UNION
    SELECT i.indrelid, i.indexrelid FROM pg_catalog.pg_index i
    WHERE i.indrelid = ANY ((SELECT held.oids FROM held)::pg_catalog.oid[])
    UNION
    SELECT i.indrelid, i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (ARRAY(SELECT toasts.part FROM toasts))
    UNION
    SELECT d.refobjid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ((SELECT held.oids FROM held)::pg_catalog.oid[])
      AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
      AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relkind = 'S')),
asked AS MATERIALIZED (
    SELECT ARRAY(SELECT pg_catalog.unnest(held.oids) FROM held UNION SELECT parts.part FROM parts) AS oids),
classes AS MATERIALIZED (
    SELECT c.oid, c.relname::text AS name, c.relkind, c.relpersistence, c.reltype,
           (SELECT s.nspname::text FROM pg_catalog.pg_namespace s WHERE s.oid = c.relnamespace) AS space
    FROM pg_catalog.pg_class c
    WHERE c.oid = ANY ({asked})
      AND (c.relpersistence <> 't' OR c.relnamespace = (SELECT own.temp FROM own))),
rules AS (
    SELECT r.oid, r.ev_class, r.ev_action::text || r.ev_qual::text AS tree
    FROM pg_catalog.pg_rewrite r WHERE r.ev_class = ANY ({asked}))
SELECT 'asked' AS word, pg_catalog.array_to_json((SELECT asked.oids FROM asked)::int8[])::text AS what
UNION ALL
SELECT 'hooked', {hooked}::text
UNION ALL
SELECT 'path', pg_catalog.current_setting('search_path')
UNION ALL
SELECT 'temporary', (SELECT s.nspname::text FROM pg_catalog.pg_namespace s WHERE s.oid = (SELECT own.temp FROM own))
UNION ALL
SELECT 'relation', pg_catalog.json_build_array(
    c.oid::int8, c.space, c.name, c.relkind,
    (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(
         a.attnum, a.attname, a.atttypid::int8, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', {base_type}) ORDER BY a.attnum), '[]')
     FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL (
         SELECT t.typtype, t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid OFFSET 0) AS t
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I')),
    (SELECT ARRAY(SELECT k FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                  WHERE n <= i.indnkeyatts ORDER BY n)
     FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
    c.relpersistence = 't',
    EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate))::text
FROM classes c
UNION ALL
SELECT 'inherits', pg_catalog.json_agg(pg_catalog.json_build_array(i.inhrelid::int8, i.inhparent::int8)
                                       ORDER BY i.inhrelid, i.inhseqno)::text
FROM pg_catalog.pg_inherits i
WHERE (i.inhrelid = ANY ({asked}) OR i.inhparent = ANY ({asked}))
  AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = i.inhrelid AND c.relkind NOT IN ('i', 'I')
              AND (c.relpersistence <> 't' OR c.relnamespace = (SELECT own.temp FROM own)))
UNION ALL
SELECT 'parts', pg_catalog.json_agg(pg_catalog.json_build_array(parts.owner::int8, parts.part::int8))::text FROM parts
UNION ALL
SELECT 'type', pg_catalog.json_build_array(
    t.oid::int8, (SELECT s.nspname::text FROM pg_catalog.pg_namespace s WHERE s.oid = t.typnamespace), t.typname, t.typtype,
    t.typbasetype::int8, CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END::int8, t.typrelid::int8, false)::text
FROM pg_catalog.pg_type t
WHERE t.oid = ANY (ARRAY(SELECT classes.reltype FROM classes WHERE classes.reltype <> 0
                         UNION ALL
                         SELECT (SELECT y.typarray FROM pg_catalog.pg_type y WHERE y.oid = classes.reltype)
                         FROM classes WHERE classes.reltype <> 0))
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
