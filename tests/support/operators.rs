//! Operators and types that somebody made under the names of PostgreSQL's own.

/// One for each of PostgreSQL's binary operators over these types, in a schema of its own. All of them fail, and so
/// do types of the same names.
pub const OTHERS: &str = r#"
    CREATE SCHEMA other;
    DO $do$
    DECLARE o record; left_type text; right_type text;
    BEGIN
        FOR o IN
            SELECT oprname, oprleft, oprright, oprresult FROM pg_operator
            WHERE oprkind = 'b' AND oprnamespace = 'pg_catalog'::regnamespace AND oprcode <> 0
              AND ARRAY[oprleft, oprright] <@ ARRAY['text', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'date', 'timestamp',
                  'timestamptz', 'interval', 'inet', 'bytea', 'jsonb', 'bool', 'bpchar', 'uuid']::regtype[]::oid[]
        LOOP
            left_type := o.oprleft::regtype; right_type := o.oprright::regtype;
            EXECUTE format('CREATE OR REPLACE FUNCTION other.called(%1$s, %2$s) RETURNS text LANGUAGE plpgsql AS '
                || '$f$ BEGIN RAISE EXCEPTION ''an operator of another was called''; END $f$', left_type, right_type);
            EXECUTE format('CREATE OPERATOR other.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = other.called)',
                o.oprname, left_type, right_type);
        END LOOP;
        FOR o IN SELECT unnest(ARRAY['text', 'date', 'uuid', 'json', 'jsonb', 'inet', 'cidr', 'bytea']) AS name LOOP
            EXECUTE format('CREATE FUNCTION other.checked(pg_catalog.%1$s) RETURNS boolean LANGUAGE plpgsql AS '
                || '$f$ BEGIN RAISE EXCEPTION ''a type of another was named''; END $f$', o.name);
            EXECUTE format('CREATE DOMAIN other.%1$s AS pg_catalog.%1$s CHECK (other.checked(VALUE))', o.name);
        END LOOP;
    END $do$;
"#;

/// The same of comparisons, each by PostgreSQL's own function for the contrary: nothing fails, and no function of one's own is called.
pub const CONTRARY: &str = r#"
    CREATE SCHEMA other;
    DO $do$
    DECLARE o record;
    BEGIN
        FOR o IN
            SELECT own.oprname, own.oprleft::regtype AS left_type, own.oprright::regtype AS right_type, negator.oprcode AS code
            FROM pg_operator own JOIN pg_operator negator ON negator.oid = own.oprnegate
            WHERE own.oprkind = 'b' AND own.oprnamespace = 'pg_catalog'::regnamespace
              AND ARRAY[own.oprleft, own.oprright] <@ ARRAY['text', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'date',
                  'timestamp', 'timestamptz', 'interval', 'bool', 'bpchar', 'uuid']::regtype[]::oid[]
        LOOP
            EXECUTE format('CREATE OPERATOR other.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)',
                o.oprname, o.left_type, o.right_type, o.code);
        END LOOP;
    END $do$;
"#;

/// Operators of functions of PostgreSQL's own that are open to every statement.
pub const OPEN: &str = "
    CREATE SCHEMA other;
    CREATE OPERATOR other.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = btrim);
    CREATE OPERATOR other.= (LEFTARG = text, RIGHTARG = text, FUNCTION = starts_with);
    CREATE OPERATOR other.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = starts_with);
    CREATE OPERATOR other.> (LEFTARG = text, RIGHTARG = text, FUNCTION = starts_with);
    CREATE OPERATOR other./ (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = div);
    CREATE OPERATOR other.* (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = mod);
    CREATE OPERATOR other.- (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = mod);
    CREATE OPERATOR other.- (LEFTARG = int, RIGHTARG = int, FUNCTION = mod);
    CREATE OPERATOR other.+ (LEFTARG = int, RIGHTARG = int, FUNCTION = mod);
    CREATE OPERATOR other.% (LEFTARG = int, RIGHTARG = int, FUNCTION = gcd);
";

/// Puts them before PostgreSQL's own.
pub const BEFORE: &str = "SET search_path = other, public, pg_catalog";
