,
-- Functions by a name, a language or a body that they may not have had before, where something was made that calls them.
redone AS (
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN spaces ON spaces.oid = p.pronamespace, since
    WHERE p.oid >= 16384 AND (pg_catalog.age(p.xmin) <= since.age OR spaces.recent)
      AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype <> 'i')),
-- Domains the same, and what is checked by one.
domains AS (
    SELECT t.oid FROM types t WHERE t.typtype = 'd'
      AND (EXISTS (SELECT FROM types r WHERE r.typtype = 'd' AND r.recent)
           OR EXISTS (SELECT FROM pg_catalog.pg_constraint k, since
                      WHERE k.contypid >= 16384 AND pg_catalog.age(k.xmin) <= since.age))),
-- Relations that may do by themselves what they did not do before: those that are temporary, and those of which something was written.
seen AS MATERIALIZED (
    SELECT ARRAY(
        SELECT oid FROM touched
        UNION
        SELECT c.oid FROM classes c WHERE c.relpersistence = 't' OR EXISTS (SELECT FROM redone)
        UNION
        SELECT u.oid FROM pg_catalog.pg_constraint c, since, LATERAL (VALUES (c.conrelid), (c.confrelid)) AS u (oid)
        WHERE c.conrelid >= 16384 AND pg_catalog.age(c.xmin) <= since.age
        UNION
        SELECT i.indrelid FROM pg_catalog.pg_index i, since WHERE i.indrelid >= 16384 AND pg_catalog.age(i.xmin) <= since.age
        UNION
        SELECT d.adrelid FROM pg_catalog.pg_attrdef d, since WHERE d.adrelid >= 16384 AND pg_catalog.age(d.xmin) <= since.age
        UNION
        SELECT p.polrelid FROM pg_catalog.pg_policy p, since WHERE pg_catalog.age(p.xmin) <= since.age
        UNION
        SELECT t.tgrelid FROM pg_catalog.pg_trigger t, since WHERE t.tgrelid >= 16384 AND pg_catalog.age(t.xmin) <= since.age
        UNION
        SELECT s.stxrelid FROM pg_catalog.pg_statistic_ext s, since WHERE pg_catalog.age(s.xmin) <= since.age
        UNION
        SELECT p.partrelid FROM pg_catalog.pg_partitioned_table p, since WHERE pg_catalog.age(p.xmin) <= since.age
        UNION
        SELECT r.ev_class FROM pg_catalog.pg_rewrite r, since WHERE r.ev_class >= 16384 AND pg_catalog.age(r.xmin) <= since.age
        UNION
        SELECT a.attrelid FROM pg_catalog.pg_attribute a
        WHERE a.attnum > 0 AND a.attrelid >= 16384 AND a.atttypid IN (SELECT domains.oid FROM domains)) AS oids)
