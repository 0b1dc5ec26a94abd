-- Every protected value is a canary: a string or number that occurs nowhere else.
CREATE ROLE agent LOGIN; CREATE ROLE market LOGIN; CREATE ROLE stats LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE owner LOGIN SUPERUSER;
CREATE SCHEMA privacy; CREATE SCHEMA other; CREATE SCHEMA "Odd ""Schema";
CREATE TYPE public.mood AS ENUM ('calm', 'cross');
CREATE TYPE public.address AS (street text, zip text);
CREATE DOMAIN public.nickname AS text CHECK (length(VALUE) < 60);
CREATE FUNCTION canary(what text, i int) RETURNS text IMMUTABLE LANGUAGE sql
    AS $$ SELECT 'qz' || what || to_char(i, 'FM00') || substr(md5('salt' || what || i), 1, 12) $$;
CREATE TABLE people (
    id int PRIMARY KEY, email text UNIQUE, secret text, phone text UNIQUE, city text, score int, salary int, note text,
    shout text GENERATED ALWAYS AS (upper(email)) STORED, kind mood, born date, home address, nick nickname,
    CONSTRAINT quiet CHECK (score < 1000));
INSERT INTO people (id, email, secret, phone, city, score, salary, note, kind, born, home, nick)
    SELECT i, canary('mail', i), canary('secr', i), canary('phon', i), 'town' || (i % 2), i, 7310000 + i * 1717,
           canary('note', i), 'calm', date '1931-01-01' + i * 37, ROW(canary('stre', i), canary('zipc', i))::address, canary('nick', i)
    FROM generate_series(1, 10) i;
CREATE TABLE visits (visit int PRIMARY KEY, person int REFERENCES people, place text, cost int);
INSERT INTO visits SELECT i, 1 + i % 10, canary('plac', i), i FROM generate_series(1, 20) i;
CREATE TABLE visit_lines (line int PRIMARY KEY, visit int REFERENCES visits, what text);
INSERT INTO visit_lines SELECT i, 1 + i % 20, canary('what', i) FROM generate_series(1, 40) i;
CREATE TABLE other.people (id int PRIMARY KEY, email text); INSERT INTO other.people SELECT i, canary('othe', i) FROM generate_series(1, 3) i;
CREATE TABLE "Odd ""Schema"."Odd Table" ("Odd Column" text); INSERT INTO "Odd ""Schema"."Odd Table" VALUES (canary('oddt', 1));
CREATE TABLE things (k int PRIMARY KEY, label text); INSERT INTO things SELECT i, 'thing ' || i FROM generate_series(1, 12) i;
CREATE TABLE hidden (k int, v text); INSERT INTO hidden SELECT i, canary('hidd', i) FROM generate_series(1, 3) i;
CREATE TABLE privacy.consents (subject_id int, purpose text, granted boolean);
INSERT INTO privacy.consents SELECT i, 'marketing', i <= 5 FROM generate_series(1, 10) i;
CREATE TABLE rooms (room int, guest text, EXCLUDE USING btree (guest WITH =));
INSERT INTO rooms SELECT i, canary('gues', i) FROM generate_series(1, 3) i;
CREATE VIEW people_view AS SELECT * FROM people;
CREATE VIEW nested_view AS SELECT email, secret FROM people_view;
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT id, email FROM people;
CREATE MATERIALIZED VIEW people_mat AS SELECT id, email, secret FROM people;
CREATE VIEW things_view AS SELECT k, label FROM things;
CREATE TABLE events (id int, at date, body text) PARTITION BY RANGE (at);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO events SELECT i, '2020-02-02', canary('even', i) FROM generate_series(1, 3) i;
CREATE TABLE parent (id int, body text); CREATE TABLE child (more text) INHERITS (parent);
INSERT INTO child SELECT i, canary('pare', i), canary('chil', i) FROM generate_series(1, 3) i;
CREATE TABLE open_parent (id int, body text); CREATE TABLE closed_child () INHERITS (open_parent);
INSERT INTO closed_child SELECT i, canary('clos', i) FROM generate_series(1, 3) i;
CREATE FUNCTION peek(i int) RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT secret FROM public.people WHERE id = i $$;
CREATE FUNCTION peek2(a int, b int) RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN public.peek(a); END $$;
CREATE FUNCTION full_of(p people) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT secret FROM public.people WHERE id = p.id $$;
CREATE FUNCTION all_people() RETURNS SETOF people SECURITY DEFINER LANGUAGE sql AS $$ SELECT * FROM public.people $$;
CREATE OPERATOR public.### (LEFTARG = int, RIGHTARG = int, FUNCTION = peek2);
CREATE OPERATOR public.!!! (RIGHTARG = int, FUNCTION = peek);
CREATE TYPE public.wrapped AS (i int);
CREATE FUNCTION wrap(i int) RETURNS wrapped SECURITY DEFINER LANGUAGE plpgsql
    AS $$ BEGIN RAISE NOTICE 'seen %', (SELECT secret FROM public.people WHERE id = i); RETURN ROW((SELECT salary FROM public.people WHERE id = i))::public.wrapped; END $$;
CREATE CAST (int AS wrapped) WITH FUNCTION wrap(int);
CREATE FUNCTION unwrap(w wrapped) RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT public.peek(w.i) $$;
CREATE CAST (wrapped AS text) WITH FUNCTION unwrap(wrapped) AS IMPLICIT;
CREATE FUNCTION spy(t text) RETURNS boolean SECURITY DEFINER LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'spy %', (SELECT string_agg(secret, ',') FROM public.people); END $$;
CREATE DOMAIN public.spied AS text CHECK (spy(VALUE));
CREATE AGGREGATE public.gather(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    RAISE NOTICE 'changed % %', NEW.email, NEW.secret;
    RAISE WARNING USING MESSAGE = 'again ' || NEW.secret, ERRCODE = '42P01', DETAIL = NEW.email, HINT = NEW.phone;
    PERFORM pg_notify('changes', NEW.email || NEW.secret);
    RETURN NEW; END $$;
CREATE TRIGGER loud BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION loud();
CREATE TABLE ruled (k int); INSERT INTO ruled VALUES (1);
CREATE RULE sideways AS ON INSERT TO ruled DO INSTEAD SELECT secret || '' FROM people;
CREATE TABLE ruled2 (k int); INSERT INTO ruled2 VALUES (1);
CREATE RULE sideways AS ON DELETE TO ruled2 DO INSTEAD SELECT public.peek(1);
CREATE SEQUENCE counter; GRANT USAGE, SELECT ON SEQUENCE counter TO PUBLIC;
COMMENT ON TABLE things IS 'things';
CREATE INDEX people_lower ON people (lower(email));
CREATE STATISTICS people_stats ON city, score FROM people;
SELECT lo_from_bytea(4711, convert_to(canary('larg', 1), 'UTF8'));
GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;
GRANT USAGE ON SCHEMA privacy, other, "Odd ""Schema" TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA public, other, privacy, "Odd ""Schema" TO PUBLIC;
GRANT pg_read_all_stats, pg_read_server_files, pg_monitor, pg_read_all_data, pg_signal_backend TO agent;
ALTER ROLE agent SET search_path = public, other;
ANALYZE;
