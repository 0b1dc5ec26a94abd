GRANT USAGE ON SCHEMA public, archive TO support_agent, marketing, builder;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, archive TO support_agent, marketing, builder;
GRANT CREATE ON SCHEMA public TO builder;
