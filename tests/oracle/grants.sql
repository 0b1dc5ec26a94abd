GRANT USAGE ON SCHEMA public, archive TO support_agent, marketing;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, archive TO support_agent, marketing;
