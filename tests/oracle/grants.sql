GRANT USAGE ON SCHEMA public, archive TO support_agent, marketing, builder;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, archive TO support_agent, marketing, builder;
GRANT CREATE ON SCHEMA public TO builder;
-- Who may change a table owns it.
ALTER TABLE customers OWNER TO builder; ALTER TABLE orders OWNER TO builder; ALTER TABLE notes OWNER TO builder;
ALTER TABLE products OWNER TO builder; ALTER TABLE order_items OWNER TO builder;
