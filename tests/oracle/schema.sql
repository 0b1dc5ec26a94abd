-- A small shop, in which every protected column holds values of many shapes: NULL, empty, one character, wide characters.
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
CREATE SCHEMA archive;
CREATE SCHEMA privacy;

CREATE TABLE public.customers (
    id bigint PRIMARY KEY, full_name text, email text, phone varchar(20), id_number varchar(13), date_of_birth date,
    points integer, balance numeric(10,2), city text, "Weird Name" text, tags text[], extra jsonb, ref uuid,
    active boolean, feeling public.mood, referrer_id bigint, created_at timestamptz, health_note text
);
CREATE TABLE public.orders (
    order_id bigint PRIMARY KEY, customer_id bigint, total numeric(10,2), status text, "Order" integer,
    created_at timestamptz, note text
);
CREATE TABLE archive.orders (order_id bigint PRIMARY KEY, customer_id bigint, total numeric(10,2), closed date);
CREATE TABLE public.order_items (
    order_id bigint, line integer, product_id bigint, quantity integer, price numeric(10,2), PRIMARY KEY (order_id, line)
);
CREATE TABLE public.products (product_id bigint PRIMARY KEY, name text, price numeric(10,2), parent_id bigint);
CREATE TABLE public.tickets (
    ticket_id bigint PRIMARY KEY, customer_id bigint, subject text, body text, status text DEFAULT 'open', urgency integer,
    created_at timestamptz
);
CREATE TABLE public.notes (note_id bigint PRIMARY KEY, customer_id bigint, label text DEFAULT 'new', n integer);
CREATE TABLE privacy.consents (subject_id bigint, purpose text, granted boolean, withdrawn_at timestamptz);

INSERT INTO customers
SELECT i,
       CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'Q' ELSE (ARRAY['Zanele Nkosi', 'Élodie Ünal', '王小明', 'O''Brien\x', 'Thabo  Mokoena', 'zoe'])[1 + i % 6] || ' ' || i % 7 END,
       CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN 'no-at-sign' WHEN 2 THEN 'a@b' ELSE (ARRAY['zanele', 'Sipho.M', 'ü'])[1 + i % 3] || i % 5 || '@' || (ARRAY['mail.co.za', 'post.org', 'x.y.z.net'])[1 + i % 3] END,
       CASE WHEN i % 7 = 0 THEN NULL WHEN i % 7 = 1 THEN '12' ELSE '+2782' || (1000000 + i * 7919 % 800000) END,
       CASE WHEN i % 11 = 0 THEN NULL ELSE (7001015000000 + i * 104729)::text END,
       CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'infinity'::date ELSE date '1950-03-17' + i * 371 END,
       CASE WHEN i % 6 = 0 THEN NULL ELSE (i * 37 % 200) - 60 END,
       CASE WHEN i % 5 = 0 THEN NULL ELSE ((i * 7717 % 90000) - 20000) / 100.0 END,
       (ARRAY['Durban', 'Polokwane', 'Cape Town', 'eMalahleni'])[1 + i % 4],
       CASE WHEN i % 4 = 0 THEN NULL ELSE 'weird ' || i % 5 END,
       CASE WHEN i % 5 = 0 THEN NULL WHEN i % 5 = 1 THEN '{}' ELSE ARRAY['t' || i % 3, 'vip', NULL] END,
       CASE WHEN i % 6 = 0 THEN NULL ELSE jsonb_build_object('k', i % 4, 'name', 'j' || i % 3) END,
       md5('r' || i)::uuid, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 2 = 0 END,
       (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood,
       CASE WHEN i % 4 = 0 THEN NULL WHEN i > 3 THEN i / 2 END,
       CASE WHEN i % 13 = 0 THEN NULL ELSE timestamptz '2026-01-05 10:11:12+02' + i * interval '37 hours' END,
       'health ' || i
FROM generate_series(1, 36) AS i;
INSERT INTO orders
SELECT i, CASE WHEN i % 17 = 0 THEN NULL ELSE 1 + i * 7 % 36 END, (i * 4999 % 100000) / 100.0,
       (ARRAY['new', 'paid', 'sent', NULL])[1 + i % 4], i % 6, timestamptz '2026-02-01 00:00+00' + i * interval '11 hours', 'note ' || i % 9
FROM generate_series(1, 60) AS i;
INSERT INTO archive.orders SELECT i, 1 + i * 5 % 40, i * 3.5, date '2020-01-01' + i FROM generate_series(50, 75) AS i;
INSERT INTO order_items
SELECT i, l, 1 + (i * l) % 10, 1 + (i + l) % 4, (i * l * 331 % 9000) / 100.0
FROM generate_series(1, 60) AS i, generate_series(1, 2) AS l WHERE (i + l) % 3 <> 0;
INSERT INTO products SELECT i, 'thing ' || i % 7, i * 12.5, CASE WHEN i > 2 THEN i / 2 END FROM generate_series(1, 10) AS i;
INSERT INTO tickets
SELECT i, 1 + i * 5 % 36, CASE WHEN i % 6 = 0 THEN NULL ELSE 'subject ' || i % 8 END, 'body ' || i,
       (ARRAY['open', 'closed'])[1 + i % 2], i % 5, timestamptz '2026-03-01 00:00+00' + i * interval '5 hours'
FROM generate_series(1, 30) AS i;
INSERT INTO notes SELECT i, 1 + i * 11 % 36, 'label ' || i % 4, i % 9 FROM generate_series(1, 40) AS i;
INSERT INTO privacy.consents
SELECT i, p, i % 7 <> 0, CASE WHEN i % 5 = 0 THEN timestamptz '2026-01-01 00:00+00' END
FROM generate_series(1, 36) AS i, unnest(ARRAY['marketing', 'other']) AS p WHERE p = 'other' OR i % 3 <> 0;

CREATE ROLE pgpurpose LOGIN;
CREATE ROLE support_agent LOGIN;
CREATE ROLE marketing LOGIN;
CREATE ROLE builder LOGIN;
