-- What is told of relations that a statement named or made, as long as nothing else goes with them: no parents, children, keys to or
-- from others, rules, triggers, checks, defaults, domains. JSON with `oids` and `names` ([schema, name]); `plain` says whether it is so.
-- Arrays and subqueries, no joins: so each catalog is looked up by its index, however large it is.
WITH own AS (
    SELECT pg_catalog.pg_my_temp_schema() AS temp),
named AS MATERIALIZED (
    SELECT ARRAY(SELECT known.oid FROM (
        SELECT u.text::pg_catalog.oid FROM pg_catalog.json_array_elements_text($1::text::json -> 'oids') AS u (text)
        UNION ALL
        SELECT (SELECT c.oid FROM pg_catalog.pg_class c
                WHERE c.relname = (n.pair ->> 1)::pg_catalog.name
                  AND c.relnamespace = (
                      SELECT CASE WHEN n.pair ->> 0 = 'pg_temp' THEN (SELECT own.temp FROM own) ELSE (
                          SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname = (n.pair ->> 0)::pg_catalog.name) END))
        FROM pg_catalog.json_array_elements($1::text::json -> 'names') AS n (pair)) AS known (oid)
        WHERE known.oid IS NOT NULL) AS oids),
toasts AS MATERIALIZED (
    SELECT c.oid AS owner, c.reltoastrelid AS part FROM pg_catalog.pg_class c
    WHERE c.oid = ANY ((SELECT named.oids FROM named)::pg_catalog.oid[]) AND c.reltoastrelid <> 0),
tables AS MATERIALIZED (
    SELECT (SELECT named.oids FROM named) || ARRAY(SELECT toasts.part FROM toasts) AS oids),
indexes AS MATERIALIZED (
    SELECT i.indrelid, i.indexrelid, i.indisprimary, i.indimmediate, i.indkey, i.indnkeyatts,
           ((i.indisunique OR i.indisexclusion) AND i.indnkeyatts > 1) OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL AS ties
    FROM pg_catalog.pg_index i WHERE i.indrelid = ANY ((SELECT tables.oids FROM tables)::pg_catalog.oid[])),
parts AS MATERIALIZED (
    SELECT indexes.indrelid AS owner, indexes.indexrelid AS part FROM indexes
    UNION ALL
    SELECT toasts.owner, toasts.part FROM toasts
    UNION ALL
    SELECT d.refobjid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ((SELECT named.oids FROM named)::pg_catalog.oid[])
      AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
      AND (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = d.objid) = 'S'),
asked AS MATERIALIZED (
    SELECT (SELECT named.oids FROM named) || ARRAY(SELECT parts.part FROM parts) AS oids),
classes AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reltype, c.relnamespace,
           c.relhasrules OR c.relhastriggers OR c.relchecks > 0 OR c.relhassubclass OR c.relispartition OR c.relrowsecurity
           OR c.relkind NOT IN ('r', 'i', 'S', 't') AS more
    FROM pg_catalog.pg_class c
    WHERE c.oid = ANY ((SELECT asked.oids FROM asked)::pg_catalog.oid[])
      AND (c.relpersistence <> 't' OR c.relnamespace = (SELECT own.temp FROM own))),
columns AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.atthasdef,
           (SELECT t.typtype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid) = 'd' AS domain
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = ANY ((SELECT asked.oids FROM asked)::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped)
SELECT 'asked' AS word, pg_catalog.array_to_json((SELECT asked.oids FROM asked)::int8[])::text AS what
UNION ALL
SELECT 'plain', (NOT ({hooked}
    OR EXISTS (SELECT FROM classes WHERE classes.more)
    OR EXISTS (SELECT FROM columns WHERE columns.atthasdef OR columns.domain)
    OR EXISTS (SELECT FROM indexes i WHERE i.ties AND EXISTS (SELECT FROM classes c WHERE c.oid = i.indrelid AND c.relkind <> 't'))
    OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = ANY ((SELECT asked.oids FROM asked)::pg_catalog.oid[]))
    OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = ANY ((SELECT named.oids FROM named)::pg_catalog.oid[]))
    OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = ANY ((SELECT named.oids FROM named)::pg_catalog.oid[]))))::text
UNION ALL
SELECT 'path', pg_catalog.current_setting('search_path')
UNION ALL
SELECT 'temporary', (SELECT s.nspname::text FROM pg_catalog.pg_namespace s WHERE s.oid = (SELECT own.temp FROM own))
UNION ALL
SELECT 'relation', pg_catalog.json_build_array(
    c.oid::int8, (SELECT s.nspname FROM pg_catalog.pg_namespace s WHERE s.oid = c.relnamespace), c.relname, c.relkind,
    (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(
         a.attnum, a.attname, a.atttypid::int8, a.type, false, a.type) ORDER BY a.attnum), '[]')
     FROM columns a WHERE a.attrelid = c.oid AND c.relkind <> 'i'),
    (SELECT ARRAY(SELECT k FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                  WHERE n <= i.indnkeyatts ORDER BY n)
     FROM indexes i WHERE i.indrelid = c.oid AND i.indisprimary),
    c.relpersistence = 't',
    EXISTS (SELECT FROM indexes i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate))::text
FROM classes c
UNION ALL
SELECT 'parts', pg_catalog.json_agg(pg_catalog.json_build_array(parts.owner::int8, parts.part::int8))::text FROM parts
UNION ALL
SELECT 'type', pg_catalog.json_build_array(
    t.oid::int8, (SELECT s.nspname FROM pg_catalog.pg_namespace s WHERE s.oid = t.typnamespace), t.typname, t.typtype,
    t.typbasetype::int8, CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END::int8, t.typrelid::int8, false)::text
FROM pg_catalog.pg_type t
WHERE t.oid = ANY (ARRAY(SELECT c.reltype FROM classes c WHERE c.reltype <> 0
                         UNION ALL
                         SELECT (SELECT y.typarray FROM pg_catalog.pg_type y WHERE y.oid = c.reltype)
                         FROM classes c WHERE c.reltype <> 0))
