-- What a careful person writes by hand to show the same: no more and no less than the masks of the policy.
CREATE SCHEMA v;
CREATE VIEW v.region AS SELECT * FROM region;
CREATE VIEW v.country AS SELECT * FROM country;
CREATE VIEW v.part AS SELECT * FROM part;
CREATE VIEW v.stock AS SELECT * FROM stock;
CREATE VIEW v.customer AS SELECT id, CASE WHEN length(name) > 1 THEN left(name, 1) || repeat('*', length(name) - 1) ELSE repeat('*', length(name)) END AS name,
    country, segment, (floor(balance / 1000) * 1000)::numeric(12,2) AS balance,
    CASE WHEN length(phone) > 4 THEN repeat('*', length(phone) - 4) || right(phone, 4) ELSE repeat('*', length(phone)) END AS phone FROM customer;
CREATE VIEW v.supplier AS SELECT id, CASE WHEN length(name) > 2 THEN left(name, 2) || repeat('*', length(name) - 2) ELSE repeat('*', length(name)) END AS name,
    country, (floor(balance / 1000) * 1000)::numeric(12,2) AS balance FROM supplier;
CREATE VIEW v.purchase AS SELECT id, customer, status, (floor(total / 1000) * 1000)::numeric(12,2) AS total,
    date_trunc('month', placed::timestamp)::date AS placed, priority, clerk FROM purchase;
CREATE VIEW v.line AS SELECT purchase, number, part, supplier, quantity, price, discount, tax, returned, status,
    date_trunc('month', shipped::timestamp)::date AS shipped, date_trunc('month', committed::timestamp)::date AS committed,
    date_trunc('month', received::timestamp)::date AS received, mode FROM line;
CREATE VIEW v.hits AS SELECT id, date_trunc('hour', at) AS at, date_trunc('month', day::timestamp)::date AS day,
    ('x' || left(encode(sha256(decode(current_setting('bench.key_o'), 'hex') || sha256(decode(current_setting('bench.key_i'), 'hex')
        || convert_to('token|public.hits.visitor|' || visitor::text, 'UTF8'))), 'hex'), 16))::bit(63)::bigint AS visitor,
    CASE WHEN address ~ '^([0-9]{1,3}[.]){3}[0-9]{1,3}$' THEN rtrim(address, '0123456789') || '0/24' ELSE '***' END AS address,
    coalesce(array_to_string(regexp_match(url, '^([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#:@]+)'), '') || '/', '***') AS url,
    coalesce(array_to_string(regexp_match(referer, '^([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#:@]+)'), '') || '/', '***') AS referer,
    CASE WHEN length(phrase) > 8 THEN left(phrase, 8) || repeat('*', length(phrase) - 8) ELSE repeat('*', length(phrase)) END AS phrase,
    region, engine, width, CASE WHEN length(title) > 6 THEN left(title, 6) || repeat('*', length(title) - 6) ELSE repeat('*', length(title)) END AS title,
    refresh FROM hits;
