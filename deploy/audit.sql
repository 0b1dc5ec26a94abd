-- Tables for the access logs of any number of proxies, in a database of its own. Run once as its owner:
--   psql -d audit -v ON_ERROR_STOP=1 -f audit.sql
-- Then: GRANT audit_writer TO <login of the proxies>; GRANT audit_reader TO <login of whoever reads>;
BEGIN;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit_writer') THEN CREATE ROLE audit_writer NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit_reader') THEN CREATE ROLE audit_reader NOLOGIN; END IF;
END $$;

CREATE SCHEMA audit;

-- One row a record. `line` is the record as it stands in the log, so that its hash can be checked here too.
CREATE TABLE audit.records (
  log         text        NOT NULL,   -- which log: `log` in its `start` records
  seq         bigint      NOT NULL,
  time        timestamptz NOT NULL,   -- of an outcome: that of the record before it that has one
  event       text        NOT NULL,
  session     text,
  client      text,
  login       text,
  role        text,
  purpose     text,
  actor       text,                   -- tables made before it was there: ALTER TABLE audit.records ADD actor text, ADD ticket text
  ticket      text,
  recipient   text,
  database    text,
  application text,
  verdict     text,
  statement   text,
  fingerprint text,
  reason      text,
  status      text,
  sqlstate    text,
  hash        text        NOT NULL,
  "of"        bigint,
  rows        bigint,
  ms          double precision,
  line        text        NOT NULL,
  PRIMARY KEY (log, seq, time)
) PARTITION BY RANGE (time);

CREATE INDEX ON audit.records (login, time);
CREATE INDEX ON audit.records (actor, time) WHERE actor IS NOT NULL;
CREATE INDEX ON audit.records (time) WHERE verdict = 'deny' OR event IN ('incident', 'login_refused');

-- Up to which record each log is here; written in the same transaction as the records.
CREATE TABLE audit.positions (
  log  text PRIMARY KEY,
  seq  bigint NOT NULL,
  hash text NOT NULL,
  time timestamptz
);

-- The partition of a month, made when its first record comes. It is attached, which waits for nobody who reads or writes;
-- where the owner has made partitions of other lengths, those serve.
CREATE FUNCTION audit.make_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := date_trunc('month', month);
  name text := 'records_' || to_char(first, 'YYYY_MM');
BEGIN
  IF to_regclass('audit.' || name) IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtext('audit.make_partition'));
    IF to_regclass('audit.' || name) IS NULL THEN
      EXECUTE format('CREATE TABLE audit.%I (LIKE audit.records)', name);
      EXECUTE format(
        'ALTER TABLE audit.records ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)',
        name, first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
    END IF;
  END IF;
EXCEPTION WHEN invalid_object_definition THEN
  RAISE NOTICE 'the partition of % would overlap others, which are used', to_char(first, 'YYYY-MM');
END $$;

-- Who saw what, for which purpose: statements by day.
CREATE VIEW audit.accesses_by_purpose AS
  SELECT date_trunc('day', time) AS day, log, purpose, role, recipient, verdict, count(*) AS statements
  FROM audit.records WHERE event = 'access' GROUP BY 1, 2, 3, 4, 5, 6;

-- Refusals and their reasons.
CREATE VIEW audit.refusals AS
  SELECT time, log, seq, login, role, purpose, statement, reason
  FROM audit.records WHERE event = 'access' AND verdict = 'deny';

-- Which columns went to whom (POPIA s23(1)(b): third parties are recipients other than `internal`).
CREATE VIEW audit.columns_by_recipient AS
  SELECT date_trunc('day', r.time) AS day, r.log, r.recipient, r.purpose, relation ->> 'name' AS relation,
         col ->> 'name' AS column_name, col ->> 'action' AS action, count(*) AS statements
  FROM audit.records AS r,
       LATERAL jsonb_array_elements(r.line::jsonb -> 'relations') AS relation,
       LATERAL jsonb_array_elements(relation -> 'columns') AS col
  WHERE r.event = 'access' AND r.verdict <> 'deny'
  GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- Whose rows went to whom, where a table says `record_subjects`; `subject` as the log names it.
CREATE VIEW audit.subjects_seen AS
  SELECT r.time, r.log, r.seq, r."of", r.login, r.role, r.purpose, r.actor, r.ticket, r.recipient,
         relation ->> 'name' AS relation, subject
  FROM audit.records AS r,
       LATERAL jsonb_array_elements(r.line::jsonb -> 'relations') AS relation,
       LATERAL jsonb_array_elements_text(relation -> 'subjects') AS subject
  WHERE r.event = 'disclosure';

-- Log-ins, and those that were refused.
CREATE VIEW audit.logins AS
  SELECT time, log, event, login, client, database, application, reason, sqlstate
  FROM audit.records WHERE event IN ('connect', 'login_refused');

-- What somebody should look at.
CREATE VIEW audit.incidents AS
  SELECT time, log, seq, event, login, line::jsonb ->> 'what' AS what
  FROM audit.records WHERE event IN ('incident', 'resumed', 'recovered', 'torn', 'destroyed', 'clock_confirmed');

-- How each statement ended.
CREATE VIEW audit.statements AS
  SELECT a.time, a.log, a.seq, a.login, a.role, a.purpose, a.actor, a.ticket, a.recipient, a.verdict, a.statement,
         o.status, o.rows, o.sqlstate, o.ms
  FROM audit.records AS a
  LEFT JOIN audit.records AS o ON o.log = a.log AND o."of" = a.seq AND o.event = 'outcome'
  WHERE a.event = 'access';
CREATE INDEX ON audit.records (log, "of") WHERE event = 'outcome';

-- What proxies with `[fleet] budgets = "shared"` have counted, each its own row. A database that was made before this was here: run
-- from this line to the one that says so, as its owner.
CREATE TABLE IF NOT EXISTS audit.spent (
  day     date    NOT NULL,           -- in the policies' time zone
  login   text    NOT NULL,
  purpose text    NOT NULL,
  log     text    NOT NULL,           -- of which proxy
  used    integer NOT NULL,           -- statements over groups
  PRIMARY KEY (day, login, purpose, log)
);

-- Lookups of the last minute. A crash of the server forgets a minute.
CREATE UNLOGGED TABLE IF NOT EXISTS audit.looked_up (
  login text        NOT NULL,
  at    timestamptz NOT NULL,         -- the second, by this server's clock
  log   text        NOT NULL,
  made  bigint      NOT NULL,
  PRIMARY KEY (login, at, log)
);

-- Counts one statement for each purpose, if no budget is used up; `own`: how many the proxy itself knows of, which it may have
-- counted while this database was away. One at a time for a login and a day.
CREATE OR REPLACE FUNCTION audit.spend(
  who text, from_log text, on_day date, purposes text[], budgets integer[], own integer[],
  OUT exhausted text, OUT totals integer[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit.spend ' || on_day || ' ' || who, 0));
  INSERT INTO audit.spent AS s (day, login, purpose, log, used)
    SELECT on_day, who, a.purpose, from_log, a.used FROM unnest(purposes, own) AS a (purpose, used)
    ON CONFLICT (day, login, purpose, log) DO UPDATE SET used = greatest(s.used, excluded.used);
  SELECT a.purpose INTO exhausted FROM unnest(purposes, budgets) WITH ORDINALITY AS a (purpose, budget, place)
    WHERE a.budget <= (SELECT sum(s.used) FROM audit.spent AS s WHERE s.day = on_day AND s.login = who AND s.purpose = a.purpose)
    ORDER BY a.place LIMIT 1;
  IF exhausted IS NULL THEN
    UPDATE audit.spent AS s SET used = s.used + 1
      WHERE s.day = on_day AND s.login = who AND s.log = from_log AND s.purpose = ANY (purposes);
  END IF;
  SELECT array_agg(t.used ORDER BY t.place) INTO totals FROM (
    SELECT a.place, (SELECT sum(s.used)::integer FROM audit.spent AS s
                     WHERE s.day = on_day AND s.login = who AND s.purpose = a.purpose) AS used
    FROM unnest(purposes) WITH ORDINALITY AS a (purpose, place)) AS t;
END $$;

-- Takes back what a statement that was not forwarded was counted.
CREATE OR REPLACE FUNCTION audit.give_back(who text, from_log text, on_day date, purposes text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE audit.spent AS s SET used = greatest(s.used - 1, 0)
    WHERE s.day = on_day AND s.login = who AND s.log = from_log AND s.purpose = ANY (purposes)
$$;

-- Whether a login has room for so many more lookups in this minute; if so, `added` of them count. One at a time for a login.
CREATE OR REPLACE FUNCTION audit.look_up(who text, from_log text, needed bigint, added bigint, most bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit.look_up ' || who, 0));
  DELETE FROM audit.looked_up AS l WHERE l.login = who AND l.at < clock_timestamp() - interval '61 seconds';
  IF (SELECT coalesce(sum(l.made), 0) FROM audit.looked_up AS l WHERE l.login = who) + needed > most THEN
    RETURN false;
  END IF;
  IF added > 0 THEN
    INSERT INTO audit.looked_up AS l (login, at, log, made) VALUES (who, date_trunc('second', clock_timestamp()), from_log, added)
      ON CONFLICT (login, at, log) DO UPDATE SET made = l.made + excluded.made;
  END IF;
  RETURN true;
END $$;

REVOKE ALL ON FUNCTION audit.spend(text, text, date, text[], integer[], integer[]),
  audit.give_back(text, text, date, text[]), audit.look_up(text, text, bigint, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.spend(text, text, date, text[], integer[], integer[]),
  audit.give_back(text, text, date, text[]), audit.look_up(text, text, bigint, bigint, bigint) TO audit_writer;
GRANT SELECT ON audit.spent, audit.looked_up TO audit_reader;
-- To this line.

REVOKE ALL ON FUNCTION audit.make_partition(date) FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO audit_writer, audit_reader;
GRANT INSERT, SELECT ON audit.records TO audit_writer;
GRANT INSERT, SELECT, UPDATE ON audit.positions TO audit_writer;
GRANT EXECUTE ON FUNCTION audit.make_partition(date) TO audit_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO audit_reader;

COMMIT;
