-- A warehouse of purchases and a log of page hits, made of arithmetic alone: the same on every machine.
CREATE TABLE region (id int PRIMARY KEY, name text);
INSERT INTO region SELECT i, 'region ' || i FROM generate_series(0, 4) i;
CREATE TABLE country (id int PRIMARY KEY, name text, region int);
INSERT INTO country SELECT i, 'country ' || i, i % 5 FROM generate_series(0, 24) i;
CREATE TABLE customer (id int PRIMARY KEY, name text, country int, segment text, balance numeric(12,2), phone text);
INSERT INTO customer SELECT i, 'Customer ' || md5(i::text), i % 25, (ARRAY['car','home','tool','food','book'])[1 + i % 5],
    (i * 7919 % 1100000) / 100.0 - 1000, '+27' || lpad((i * 7907 % 1000000000)::text, 9, '0') FROM generate_series(1, 10000) i;
CREATE TABLE supplier (id int PRIMARY KEY, name text, country int, balance numeric(12,2));
INSERT INTO supplier SELECT i, 'Supplier ' || md5(i::text), i * 3 % 25, (i * 6007 % 1100000) / 100.0 - 1000 FROM generate_series(1, 500) i;
CREATE TABLE part (id int PRIMARY KEY, name text, brand text, kind text, size int, container text, price numeric(12,2));
INSERT INTO part SELECT i, (ARRAY['red','green','blue','plum','sand','rose'])[1 + i % 6] || ' ' || md5(i::text), 'brand ' || i % 25,
    (ARRAY['large brass','small steel','economy tin','promo copper'])[1 + i % 4], 1 + i % 50,
    (ARRAY['jar','box','bag','drum'])[1 + i % 4], 900 + i % 1000 FROM generate_series(1, 10000) i;
CREATE TABLE stock (part int, supplier int, quantity int, cost numeric(12,2), PRIMARY KEY (part, supplier));
INSERT INTO stock SELECT p, 1 + (p * 4 + s * 127) % 500, (p * 31 + s) % 10000, (p * 17 + s * 7) % 1000
    FROM generate_series(1, 10000) p, generate_series(0, 3) s;
CREATE TABLE purchase (id int PRIMARY KEY, customer int, status char(1), total numeric(12,2), placed date, priority text, clerk text);
INSERT INTO purchase SELECT i, 1 + i * 13 % 10000, CASE i % 3 WHEN 0 THEN 'F' WHEN 1 THEN 'O' ELSE 'P' END, 1000 + i * 37 % 400000,
    date '2019-01-01' + i * 17 % 2400, (1 + i % 5) || ' urgent', 'clerk ' || i % 1000 FROM generate_series(1, 100000) i;
CREATE INDEX ON purchase (customer);
CREATE INDEX ON purchase (placed);
CREATE TABLE line (purchase int, number int, part int, supplier int, quantity numeric(12,2), price numeric(12,2),
    discount numeric(4,2), tax numeric(4,2), returned char(1), status char(1), shipped date, committed date, received date,
    mode text, PRIMARY KEY (purchase, number));
INSERT INTO line SELECT p.id, n, 1 + (p.id * 11 + n * 101) % 10000, 1 + (p.id * 4 + n * 127) % 500, 1 + (p.id * 7 + n) % 50,
    900 + (p.id * 29 + n * 13) % 50000, (p.id + n) % 11 / 100.0, (p.id * 3 + n) % 9 / 100.0,
    CASE WHEN (p.id + n) % 4 = 0 THEN 'R' WHEN (p.id + n) % 4 = 1 THEN 'A' ELSE 'N' END,
    CASE WHEN p.placed < '2022-06-01' THEN 'F' ELSE 'O' END, p.placed + 1 + (p.id + n) % 120, p.placed + 30 + (p.id * 3 + n) % 60,
    p.placed + 2 + (p.id + n) % 120 + (p.id + n) % 30, (ARRAY['air','rail','ship','truck','mail'])[1 + (p.id + n) % 5]
    FROM purchase p, generate_series(1, 4) n;
CREATE INDEX ON line (shipped);
CREATE INDEX ON line (part);
CREATE TABLE hits (id int PRIMARY KEY, at timestamp, day date, visitor bigint, address text, url text, referer text, phrase text,
    region int, engine int, width int, title text, refresh boolean);
INSERT INTO hits SELECT i, timestamp '2024-07-01' + i * interval '9 seconds', date '2024-07-01' + i * 9 / 86400, i * 7919::bigint % 20011,
    format('10.%s.%s.%s', i % 50, i % 200, i % 250), format('http://site%s.example.org/page/%s?q=%s', i * 37 % 199, i % 5000, i),
    CASE WHEN i % 3 = 0 THEN '' ELSE format('https://from%s.example.com/%s', i % 300, i % 1000) END,
    CASE WHEN i % 7 = 0 THEN 'phrase ' || i % 400 ELSE '' END, i % 230, i % 40, 320 + i % 20 * 64, 'title ' || md5((i % 3000)::text), i % 11 = 0
    FROM generate_series(1, 200000) i;
CREATE INDEX ON hits (day);
CREATE INDEX ON hits (visitor);
