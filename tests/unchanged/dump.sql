-- One of each kind that pg_dump writes.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN rating AS int DEFAULT 5 CHECK (VALUE > 0);
CREATE TABLE customers (
    id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'it''s nobody', mood mood DEFAULT 'ok', rating rating,
    since timestamptz DEFAULT now(), credit numeric(10, 2), tags text[] DEFAULT '{}', notes jsonb);
COMMENT ON TABLE customers IS 'who buys';
COMMENT ON COLUMN customers.name IS 'as on the invoice';
INSERT INTO customers (name, mood, rating, since, credit, tags, notes)
    SELECT CASE i WHEN 1 THEN 'Thandiwe' ELSE 'Vela' END, 'ok', 3, '1984-07-21', 4711.50, ARRAY['a', 'b c'], '{"x": "allergic"}'
    FROM generate_series(1, 30) i;
CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, total numeric CHECK (total > 0),
    doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
INSERT INTO orders (customer, total) SELECT i, 100 + i FROM generate_series(1, 20) i;
ALTER TABLE orders DROP COLUMN doubled;
CREATE VIEW good AS SELECT id, upper(name) AS name FROM customers WHERE credit > 3 WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) AS count FROM customers GROUP BY mood;
CREATE INDEX ON customers (lower(name)) WHERE rating > 2;
CREATE UNIQUE INDEX ON moods (mood);
CREATE FUNCTION more(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.total := NEW.total; RETURN NEW; END';
CREATE TABLE marked (id int, total numeric);
CREATE TRIGGER stamp BEFORE INSERT ON marked FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE part (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (1) TO (10);
INSERT INTO part VALUES (3, 'x');
CREATE STATISTICS known ON id, name FROM customers;
CREATE TABLE kept (a int);
ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
CREATE POLICY positive ON kept USING (a > 2);
CREATE SCHEMA extra;
CREATE TABLE extra.more (a int DEFAULT 3, b bytea DEFAULT '\x01');
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
GRANT SELECT ON customers TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA extra GRANT SELECT ON TABLES TO PUBLIC;
