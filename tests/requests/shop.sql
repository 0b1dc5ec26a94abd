-- People and everything that makes deleting one of them hard. Texts about customer N hold `canary-N`.
CREATE TABLE staff (staff_id bigint PRIMARY KEY, full_name text NOT NULL);
INSERT INTO staff SELECT i, 'staff ' || i FROM generate_series(1, 5) i;

CREATE TABLE customers (
    id bigint PRIMARY KEY, full_name text NOT NULL, email varchar(40) NOT NULL UNIQUE, phone text, id_number text,
    born date NOT NULL, city text, referred_by bigint REFERENCES customers, favourite_order bigint, served_by bigint REFERENCES staff);
INSERT INTO customers (id, full_name, email, phone, id_number, born, city, served_by)
    SELECT i, 'Name canary-' || i, 'canary-' || i || '@example.co.za', '082 555 ' || lpad(i::text, 4, '0'), lpad((8001015009000 + i)::text, 13, '0'),
           '1980-01-01', 'Cape Town', 1 + i % 5 FROM generate_series(1, 30) i;
UPDATE customers SET referred_by = 1 WHERE id BETWEEN 2 AND 4;
UPDATE customers SET phone = '+27 82 555 0007' WHERE id = 8;

-- A circle with customers; no index for the key of customer_id.
CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers ON DELETE RESTRICT, remark text);
INSERT INTO orders SELECT i, 1 + i % 30, 'order of canary-' || 1 + i % 30 FROM generate_series(1, 90) i;
ALTER TABLE customers ADD FOREIGN KEY (favourite_order) REFERENCES orders;
UPDATE customers SET favourite_order = (SELECT min(order_id) FROM orders WHERE customer_id = customers.id);
-- Somebody likes another's order.
UPDATE customers SET favourite_order = (SELECT max(order_id) FROM orders WHERE customer_id = 1) WHERE id = 9;

-- A composite key, and a table behind it.
CREATE TABLE order_items (order_id bigint REFERENCES orders ON DELETE CASCADE, line int, what text, PRIMARY KEY (order_id, line));
INSERT INTO order_items SELECT o.order_id, l, 'item of ' || o.remark FROM orders o, generate_series(1, 2) l;
CREATE TABLE returns (return_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL, line int NOT NULL, why text,
    FOREIGN KEY (order_id, line) REFERENCES order_items);
INSERT INTO returns (order_id, line, why) SELECT order_id, line, 'return: ' || what FROM order_items WHERE line = 1;

-- Partitions.
CREATE TABLE visits (customer_id bigint NOT NULL REFERENCES customers, seen_on date NOT NULL, page text) PARTITION BY RANGE (seen_on);
CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO visits SELECT i, d, 'page of canary-' || i FROM generate_series(1, 30) i, (VALUES (date '2025-05-05'), ('2026-05-05')) v(d);

-- Rows that two people share: of the one who wrote.
CREATE TABLE messages (message_id bigint PRIMARY KEY, sender bigint NOT NULL REFERENCES customers, recipient bigint NOT NULL REFERENCES customers, body text);
INSERT INTO messages VALUES (1, 5, 6, 'canary-5 writes'), (2, 6, 5, 'canary-6 writes');

-- The law keeps these for five years.
CREATE TABLE invoices (invoice_id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, issued_on date, amount numeric);
INSERT INTO invoices VALUES (1, 7, current_date - 30, 100), (2, 7, '2001-01-01', 200), (3, 8, '2001-01-01', 300);

-- In no policy.
CREATE TABLE notes (note_id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE, note text);
INSERT INTO notes SELECT i, i, 'note on canary-' || i FROM generate_series(1, 30) i;
-- Of nobody, and cascades.
CREATE TABLE stock (stock_id bigint PRIMARY KEY, reserved_for bigint REFERENCES orders ON DELETE CASCADE, what text);
INSERT INTO stock VALUES (1, 1, 'chair'), (2, NULL, 'table');
