SELECT 'automatic' AS word, 'true' AS what
UNION ALL
SELECT 'tie', pg_catalog.json_build_array(t.relation::int8, t.what, t.columns)::text
FROM (
    SELECT c.conrelid AS relation, pg_catalog.format('constraint `%s`', c.conname) AS what,
           CASE WHEN c.conbin IS NULL THEN c.conkey ELSE
               ARRAY(SELECT k FROM pg_catalog.unnest(c.conkey) AS k
                     UNION SELECT m[1]::int2 FROM pg_catalog.regexp_matches(c.conbin::text, ':varattno ([0-9]+)', 'g') AS m)
           END AS columns
    FROM pg_catalog.pg_constraint c
    WHERE c.conrelid >= 16384 /*of c.conrelid*/ AND c.contype IN ('c', 'u', 'p', 'x')
      AND (c.conbin IS NOT NULL OR pg_catalog.cardinality(c.conkey) > 1)
    UNION ALL
    SELECT i.indrelid, pg_catalog.format('index `%s`', x.relname),
           CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN (i.indkey::int2[])[0:i.indnkeyatts - 1] ELSE
               ARRAY(SELECT k FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u(k, n)
                     WHERE k <> 0 AND n <= i.indnkeyatts AND (i.indisunique OR i.indisexclusion)
                     UNION SELECT m[1]::int2 FROM pg_catalog.regexp_matches(
                         COALESCE(i.indexprs::text, '') || COALESCE(i.indpred::text, ''), ':varattno ([0-9]+)', 'g') AS m)
           END
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid >= 16384 /*of i.indrelid*/ AND x.relnamespace <> 'pg_toast'::regnamespace
      AND (((i.indisunique OR i.indisexclusion) AND i.indnkeyatts > 1) OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
    UNION ALL
    SELECT d.adrelid, pg_catalog.format('generated column `%s`', a.attname),
           ARRAY(SELECT DISTINCT m[1]::int2 FROM pg_catalog.regexp_matches(d.adbin::text, ':varattno ([0-9]+)', 'g') AS m)
    FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE a.attgenerated <> '' /*of d.adrelid*/
    UNION ALL
    SELECT p.polrelid, pg_catalog.format('row policy `%s`', p.polname),
           ARRAY(SELECT DISTINCT m[1]::int2 FROM pg_catalog.regexp_matches(
               COALESCE(p.polqual::text, '') || COALESCE(p.polwithcheck::text, ''), ':varattno ([0-9]+)', 'g') AS m)
    FROM pg_catalog.pg_policy p WHERE p.polrelid >= 16384 /*of p.polrelid*/) AS t
WHERE pg_catalog.cardinality(t.columns) > 1 OR t.columns = ARRAY[0::int2]
UNION ALL
SELECT 'reference', pg_catalog.json_build_array(
    c.confrelid::int8, c.conname, c.conrelid::int8, c.conkey, c.confkey, c.confdeltype, c.confupdtype)::text
FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' /*to c.confrelid*/
UNION ALL
SELECT 'code', pg_catalog.json_build_array(
    c.relation::int8, c.what, c.events, n.nspname, p.proname, l.lanname,
    CASE WHEN p.prorettype = 'pg_catalog.trigger'::regtype THEN p.prosrc END)::text
FROM (
    SELECT t.tgrelid AS relation, pg_catalog.format('trigger `%s`', t.tgname) AS what,
           CASE WHEN t.tgtype & 4 <> 0 THEN 'i' ELSE '' END || CASE WHEN t.tgtype & 16 <> 0 THEN 'u' ELSE '' END
           || CASE WHEN t.tgtype & 8 <> 0 THEN 'd' ELSE '' END || CASE WHEN t.tgtype & 32 <> 0 THEN 't' ELSE '' END
           || CASE WHEN t.tgdeferrable THEN 'c' ELSE '' END AS events,
           t.tgfoid AS function
    FROM pg_catalog.pg_trigger t
    WHERE NOT t.tgisinternal /*of t.tgrelid*/ AND t.tgenabled <> 'D'
      AND t.tgfoid <> 'pg_catalog.suppress_redundant_updates_trigger'::regproc
    UNION
    SELECT t.tgrelid, pg_catalog.format('the condition of trigger `%s`', t.tgname),
           CASE WHEN t.tgtype & 4 <> 0 THEN 'i' ELSE '' END || CASE WHEN t.tgtype & 16 <> 0 THEN 'u' ELSE '' END
           || CASE WHEN t.tgtype & 8 <> 0 THEN 'd' ELSE '' END || CASE WHEN t.tgtype & 32 <> 0 THEN 't' ELSE '' END, f.oid
    FROM pg_catalog.pg_trigger t CROSS JOIN LATERAL ({called by t.tgqual::text}) AS f (oid)
    WHERE t.tgqual IS NOT NULL AND NOT t.tgisinternal /*of t.tgrelid*/ AND t.tgenabled <> 'D'
    UNION
    SELECT d.adrelid, pg_catalog.format(CASE WHEN a.attgenerated <> '' THEN 'generated column `%s`' ELSE 'default of `%s`' END, a.attname),
           CASE WHEN a.attgenerated <> '' THEN 'iul' ELSE 'i' END, f.oid
    FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    CROSS JOIN LATERAL ({called by d.adbin::text}) AS f (oid)
    WHERE d.adrelid >= 16384 /*of d.adrelid*/
    UNION
    SELECT c.conrelid, pg_catalog.format('constraint `%s`', c.conname), 'iul', f.oid
    FROM pg_catalog.pg_constraint c
    CROSS JOIN LATERAL ({called by c.conbin::text}) AS f (oid)
    WHERE c.conrelid >= 16384 /*of c.conrelid*/ AND c.conbin IS NOT NULL
    UNION
    SELECT i.indrelid, pg_catalog.format('index `%s`', x.relname), 'iul', f.oid
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    CROSS JOIN LATERAL ({called by COALESCE(i.indexprs::text, '') || COALESCE(i.indpred::text, '')}) AS f (oid)
    WHERE i.indrelid >= 16384 /*of i.indrelid*/ AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
    UNION
    SELECT s.stxrelid, pg_catalog.format('statistics `%s`', s.stxname), 'l', f.oid
    FROM pg_catalog.pg_statistic_ext s
    -- A server before 14 has no such column.
    CROSS JOIN LATERAL ({called by pg_catalog.to_jsonb(s) ->> 'stxexprs'}) AS f (oid)
    WHERE s.stxrelid >= 16384 /*of s.stxrelid*/
    UNION
    SELECT p.partrelid, 'the partition key', 'iulk', f.oid
    FROM pg_catalog.pg_partitioned_table p
    CROSS JOIN LATERAL ({called by p.partexprs::text}) AS f (oid)
    WHERE p.partrelid >= 16384 /*of p.partrelid*/ AND p.partexprs IS NOT NULL
    UNION
    SELECT p.polrelid, pg_catalog.format('row policy `%s`', p.polname), 'p', f.oid
    FROM pg_catalog.pg_policy p
    CROSS JOIN LATERAL ({called by COALESCE(p.polqual::text, '') || COALESCE(p.polwithcheck::text, '')}) AS f (oid)
    WHERE p.polrelid >= 16384 /*of p.polrelid*/
    UNION
    SELECT a.attrelid, pg_catalog.format('domain of `%s`', a.attname), 'iul', f.oid
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typtype = 'd'
    CROSS JOIN LATERAL (
        WITH RECURSIVE under AS (
            SELECT y.oid, y.typbasetype, y.typdefaultbin::text AS tree
            UNION ALL
            SELECT b.oid, b.typbasetype, NULL::text FROM under u JOIN pg_catalog.pg_type b ON b.oid = u.typbasetype AND b.typtype = 'd')
        SELECT u.tree FROM under u
        UNION ALL
        SELECT k.conbin::text FROM under u JOIN pg_catalog.pg_constraint k ON k.contypid = u.oid) AS d
    CROSS JOIN LATERAL ({called by d.tree}) AS f (oid)
    -- Without a domain of anybody's own no column is looked at: those of initdb call nothing that counts below.
    WHERE a.attnum > 0 AND a.attrelid >= 16384 /*of a.attrelid*/ AND NOT a.attisdropped
      AND (/*all*/ EXISTS (SELECT FROM pg_catalog.pg_type z WHERE z.typtype = 'd' AND z.oid >= 16384))) AS c
-- By its index, once for each: they are few, and the planner thinks of a thousand matches of each expression.
CROSS JOIN LATERAL (
    SELECT p.* FROM pg_catalog.pg_proc p
    WHERE p.oid = c.function
      AND (p.oid >= 16384 OR p.prorettype = 'pg_catalog.trigger'::regtype
           OR p.proname ~ '_to_xml|^ts_stat|^ts_rewrite|^pg_read_|^pg_ls_|^lo_|^loread|^pg_stat_')
    OFFSET 0) AS p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE c.relation >= 16384
  AND NOT (p.prorettype <> 'pg_catalog.trigger'::regtype
           AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                         AND d.refclassid = 'pg_catalog.pg_extension'::regclass)
           AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = p.proowner AND r.rolsuper))
UNION ALL
SELECT 'code', pg_catalog.json_build_array(
    r.ev_class::int8, pg_catalog.format('rule `%s`', r.rulename),
    CASE r.ev_type WHEN '2' THEN 'u' WHEN '3' THEN 'i' WHEN '4' THEN 'd' ELSE '' END, NULL, NULL, NULL, NULL)::text
FROM pg_catalog.pg_rewrite r WHERE r.ev_class >= 16384 /*of r.ev_class*/ AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
UNION ALL
SELECT 'partition', pg_catalog.json_build_array(
    p.partrelid::int8,
    ARRAY(SELECT k FROM pg_catalog.unnest(p.partattrs::int2[]) AS k WHERE k <> 0
          UNION SELECT m[1]::int2 FROM pg_catalog.regexp_matches(p.partexprs::text, ':varattno ([0-9]+)', 'g') AS m))::text
FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid >= 16384 /*of p.partrelid*/
UNION ALL
SELECT DISTINCT 'policy', pg_catalog.json_build_array(p.polrelid::int8, m[1]::int8)::text
FROM pg_catalog.pg_policy p
CROSS JOIN LATERAL pg_catalog.regexp_matches(
    COALESCE(p.polqual::text, '') || COALESCE(p.polwithcheck::text, ''), ':relid ([0-9]+)', 'g') AS m
WHERE p.polrelid >= 16384 /*of p.polrelid*/ AND m[1]::oid NOT IN (0, p.polrelid)
