-- The schema `privacy`: consents, objections, restrictions, approaches, opt-outs and requests, for those who have none.
--
-- Apply it once, as a superuser or the database's owner with CREATEROLE:
--     psql -d shop -f deploy/privacy.sql
-- `subject_id` is the key of your customers, and bigint here. Where yours is another type, say so first:
--     sed 's/subject_id \+bigint/subject_id uuid/' deploy/privacy.sql | psql -d shop
-- How an application grants and withdraws: docs/consent.md.

BEGIN;

CREATE SCHEMA privacy;
COMMENT ON SCHEMA privacy IS 'what data subjects agreed to, objected to, and asked to be left alone about (POPIA)';

-- ------------------------------------------------------------------------------------------------ consents, s11(1)(a)
-- One row for each consent that was ever asked for; the row stays when it is withdrawn, since the responsible party
-- bears the burden of proof (s11(2)(a)). `purpose` is the policy's purpose, channel included: `marketing.sms` is not
-- `marketing.email`, and a child needs its parent's consent besides its own.
CREATE TABLE privacy.consents (
    consent_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id         bigint NOT NULL,
    purpose            text NOT NULL CHECK (purpose ~ '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$'),
    granted            boolean NOT NULL DEFAULT true,   -- false: was asked, and said no (s69(2): never ask again)
    granted_at         timestamptz NOT NULL DEFAULT now(),
    -- Where the proof is: `web form v3, request 8e1f`, `call 2026-11-22 10:04`. Short, since the index holds it.
    evidence           text NOT NULL CHECK (btrim(evidence) <> '' AND length(evidence) <= 500),
    withdrawn_at       timestamptz,
    withdrawn_evidence text,
    CHECK (withdrawn_at IS NULL OR withdrawn_at >= granted_at)
);
-- At most one live consent for each subject and purpose, found by the consent filter with one descent of the index; the
-- columns that the filter tests besides are in it, so that the table itself need not be read.
CREATE UNIQUE INDEX consents_live ON privacy.consents (subject_id, purpose) INCLUDE (granted_at, evidence)
    WHERE granted AND withdrawn_at IS NULL;
-- What a person asks about (s23), withdrawn ones included.
CREATE INDEX consents_subject ON privacy.consents (subject_id);

-- ------------------------------------------------------------------------------------------------ objections, s11(3)
-- To processing that rests on s11(1)(d) to (f), on reasonable grounds; to direct marketing, without any.
CREATE TABLE privacy.objections (
    objection_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id   bigint NOT NULL,
    purpose      text NOT NULL CHECK (btrim(purpose) <> ''),
    objected_at  timestamptz NOT NULL DEFAULT now(),
    evidence     text NOT NULL CHECK (btrim(evidence) <> ''),   -- form 1 of the regulations, a letter, a call
    lifted_at    timestamptz,                                   -- taken back by the subject, or not upheld
    lifted_why   text,
    CHECK ((lifted_at IS NULL) = (lifted_why IS NULL))
);
CREATE UNIQUE INDEX objections_live ON privacy.objections (subject_id, purpose) WHERE lifted_at IS NULL;
CREATE INDEX objections_subject ON privacy.objections (subject_id);

-- ------------------------------------------------------------------------------------------------ restrictions, s14(6)
-- Until one is lifted the subject's records may be stored, and processed only for proof, with consent, or to protect
-- another's rights or the public interest (s14(7)).
CREATE TABLE privacy.restrictions (
    restriction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id     bigint NOT NULL,
    ground         text NOT NULL CHECK (ground IN (
                       'accuracy_contested',    -- s14(6)(a), until it is verified
                       'kept_for_proof',        -- s14(6)(b)
                       'unlawful',              -- s14(6)(c): the subject wants restriction instead of destruction
                       'transmission')),        -- s14(6)(d): to be sent to another system
    restricted_at  timestamptz NOT NULL DEFAULT now(),
    evidence       text NOT NULL CHECK (btrim(evidence) <> ''),
    told_at        timestamptz,                 -- the subject was told before it is lifted (s14(8))
    lifted_at      timestamptz,
    CHECK (lifted_at IS NULL OR (told_at IS NOT NULL AND told_at <= lifted_at))
);
CREATE UNIQUE INDEX restrictions_live ON privacy.restrictions (subject_id, ground) WHERE lifted_at IS NULL;
CREATE INDEX restrictions_subject ON privacy.restrictions (subject_id);

-- ------------------------------------------------------------------------------------------------ approaches, s69(2)
-- Who is no customer may be asked for consent to direct marketing once, and never again without it. The unique key is
-- that rule: a second approach is a second row, and fails.
CREATE TABLE privacy.approaches (
    approach_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id    bigint NOT NULL UNIQUE,
    purpose       text NOT NULL CHECK (btrim(purpose) <> ''),   -- what was asked for: `marketing`, `marketing.sms`
    approached_at timestamptz NOT NULL DEFAULT now(),
    evidence      text NOT NULL CHECK (btrim(evidence) <> '')   -- form 4 of the regulations as it was sent
);

-- ------------------------------------------------------------------------------------------------ opt-outs
-- Lists of people who want no direct marketing, such as a national registry's monthly file; `pgpurpose optouts import`
-- fills both tables. An entry may be about nobody whom you know, so that it is kept as the SHA-256 of its one form (an
-- e-mail address in small letters, a number's digits), which the filter computes of your own rows. Numbers can be tried
-- out against such digests: who is no `privacy_reader` must not read them.
CREATE TABLE privacy.opt_out_lists (
    list        text PRIMARY KEY CHECK (btrim(list) <> ''),
    as_of       date NOT NULL,                  -- the day the list speaks of: from here on it grows stale
    imported_at timestamptz NOT NULL DEFAULT now(),
    source      text NOT NULL CHECK (btrim(source) <> ''),   -- the files' names and their hashes
    entries     bigint NOT NULL CHECK (entries >= 0)
);
CREATE TABLE privacy.opt_outs (
    list   text NOT NULL REFERENCES privacy.opt_out_lists (list) ON DELETE CASCADE,
    kind   text NOT NULL CHECK (kind IN ('phone', 'email', 'id_number')),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (kind, digest, list)
);
CREATE INDEX opt_outs_list ON privacy.opt_outs (list);

-- ------------------------------------------------------------------------------------------------ requests, s23-25
-- The register of what data subjects ask for, and of each step taken (`pgpurpose subject`). It holds keys, days and outcomes, and no copy of an
-- identity document: `identified` says how it was made sure who asks (`code to the number on record`), and nothing more. It stays when the
-- person's own rows go, as the proof that they were answered. For an older schema `privacy`, run from this line to the next such line.
CREATE TABLE privacy.requests (
    request_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked           text NOT NULL CHECK (asked IN ('access', 'correction', 'deletion', 'objection', 'restriction', 'consent')),
    people          text NOT NULL CHECK (btrim(people) <> ''),         -- whose key `subject_id` is: `public.customers`
    subject_id      bigint NOT NULL,
    form            text NOT NULL CHECK (form IN ('hand', 'post', 'email', 'sms', 'whatsapp', 'telephone', 'centre')),
    identified      text NOT NULL CHECK (btrim(identified) <> '' AND length(identified) <= 200),
    wanted          text CHECK (length(wanted) <= 2000),               -- in the words of who answers, without what the record itself holds
    received_on     date NOT NULL,
    strict_by       date NOT NULL,                                     -- our own clock
    legal_by        date NOT NULL CHECK (legal_by >= strict_by),       -- the law's
    known_until     date NOT NULL,                                     -- up to which day proclaimed holidays were known then
    extended_ground text CHECK (extended_ground IN ('volume', 'elsewhere', 'consultation', 'several', 'agreed')),
    outcome         text CHECK (outcome IN ('granted', 'partly', 'refused', 'withdrawn')),
    outcome_why     text CHECK (length(outcome_why) <= 2000),
    closed_at       timestamptz,
    CHECK ((outcome IS NULL) = (closed_at IS NULL)),
    CHECK (outcome IS NULL OR outcome = 'granted' OR outcome_why IS NOT NULL)
);
CREATE INDEX requests_open ON privacy.requests (legal_by) WHERE closed_at IS NULL;
CREATE INDEX requests_subject ON privacy.requests (subject_id);
CREATE TABLE privacy.request_steps (
    step_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id bigint NOT NULL REFERENCES privacy.requests (request_id),
    taken_at   timestamptz NOT NULL DEFAULT now(),
    step       text NOT NULL CHECK (btrim(step) <> ''),
    by_whom    text NOT NULL CHECK (btrim(by_whom) <> ''),
    says       text NOT NULL CHECK (length(says) <= 4000)
);
CREATE INDEX request_steps_request ON privacy.request_steps (request_id);
-- What was done is not undone in the register: steps are added only, and a request that is closed stays closed.
CREATE FUNCTION privacy.keep_request() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_TABLE_NAME = 'request_steps' THEN
        RAISE EXCEPTION 'a step that was taken does not change' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'a request that is closed does not change: a new one is a new row' USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.asked, OLD.people, OLD.subject_id, OLD.form, OLD.identified, OLD.received_on)
       IS DISTINCT FROM (NEW.asked, NEW.people, NEW.subject_id, NEW.form, NEW.identified, NEW.received_on) THEN
        RAISE EXCEPTION 'of a request only its time and outcome may be set' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_request BEFORE UPDATE ON privacy.requests FOR EACH ROW EXECUTE FUNCTION privacy.keep_request();
CREATE TRIGGER keep_step BEFORE UPDATE OR DELETE ON privacy.request_steps FOR EACH ROW EXECUTE FUNCTION privacy.keep_request();

-- ------------------------------------------------------------------------------------------------ lessons
-- Who was taught what, and passed (`pgpurpose demo --lesson`): the awareness sessions of regulation 4(1)(e) under the Act, as lines that can be
-- counted. `learner` is a login, or whom an application names as its user. A line is signed with the access log's key, over what stands in
-- it; it neither changes nor goes. For an older schema `privacy`, run from this line to the next such line.
CREATE TABLE privacy.lessons (
    lesson_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    learner       text NOT NULL CHECK (btrim(learner) <> '' AND length(learner) <= 200 AND learner !~ '[[:cntrl:]]'),
    lesson        text NOT NULL CHECK (lesson ~ '^[a-z]+$'),
    edition       text NOT NULL,                                       -- which text of it: the beginning of its SHA-256
    passed_at     timestamptz NOT NULL,
    steps         integer NOT NULL CHECK (steps > 0),                  -- what was done, each step seen in the log or the database
    right_answers integer NOT NULL CHECK (right_answers BETWEEN 0 AND questions),
    questions     integer NOT NULL,
    signed_by     text,                                                -- the public key
    signature     text,
    CHECK ((signed_by IS NULL) = (signature IS NULL))
);
CREATE INDEX lessons_learner ON privacy.lessons (learner, passed_at);
CREATE FUNCTION privacy.keep_lesson() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'a lesson that was passed neither changes nor goes' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER keep_lesson BEFORE UPDATE OR DELETE ON privacy.lessons FOR EACH ROW EXECUTE FUNCTION privacy.keep_lesson();

-- ------------------------------------------------------------------------------------------------ the privacy centre
-- What a person does for themselves (`pgpurpose centre`, docs/centre.md). Its login is in `privacy_centre`, which reads and writes no table: it
-- calls these functions, and those that `pgpurpose centre --sql` makes for your tables. For a schema with requests, run from here to the next line.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'privacy_centre') THEN CREATE ROLE privacy_centre NOLOGIN; END IF;
END $$;
GRANT USAGE ON SCHEMA privacy TO privacy_centre;
-- Enters a request and its first step; gives its number. At most 20 of one person wait at a time.
CREATE FUNCTION privacy.centre_open(what text, whose text, subject text, shown text, words text, received text, strict text, legal text, known text)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whom privacy.requests.subject_id%TYPE := subject;
    made bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('privacy.centre_open ' || subject, 0));
    IF (SELECT count(*) FROM privacy.requests AS r WHERE r.subject_id = whom AND r.people = whose AND r.closed_at IS NULL) >= 20 THEN
        RAISE EXCEPTION 'twenty requests of this person wait' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    INSERT INTO privacy.requests (asked, people, subject_id, form, identified, wanted, received_on, strict_by, legal_by, known_until)
        VALUES (what, whose, whom, 'centre', shown, words, received::date, strict::date, legal::date, known::date)
        RETURNING request_id INTO made;
    INSERT INTO privacy.request_steps (request_id, step, by_whom, says) VALUES (made, 'open', 'centre', 'entered by the person');
    RETURN made;
END $$;
CREATE FUNCTION privacy.centre_requests(whose text, subject text)
    RETURNS TABLE (id bigint, asked text, received text, law_by text, outcome text, closed text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whom privacy.requests.subject_id%TYPE := subject;
BEGIN
    RETURN QUERY SELECT r.request_id, r.asked, r.received_on::text, r.legal_by::text, r.outcome, r.closed_at::date::text
        FROM privacy.requests AS r WHERE r.subject_id = whom AND r.people = whose ORDER BY r.request_id DESC LIMIT 100;
END $$;
-- Without whose it is: for who has the reference, whose signs the centre checks.
CREATE FUNCTION privacy.centre_status(number bigint)
    RETURNS TABLE (id bigint, asked text, received text, law_by text, outcome text, closed text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.request_id, r.asked, r.received_on::text, r.legal_by::text, r.outcome, r.closed_at::date::text
    FROM privacy.requests AS r WHERE r.request_id = $1
$$;
REVOKE ALL ON FUNCTION privacy.centre_open(text, text, text, text, text, text, text, text, text), privacy.centre_requests(text, text),
    privacy.centre_status(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION privacy.centre_open(text, text, text, text, text, text, text, text, text), privacy.centre_requests(text, text),
    privacy.centre_status(bigint) TO privacy_centre;

-- ------------------------------------------------------------------------------------------------ what must not change
-- A consent is evidence. Its row may be withdrawn, once; nothing else about it changes, and it is not deleted but with
-- the subject (s24).
CREATE FUNCTION privacy.keep_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL THEN
        RAISE EXCEPTION 'a consent that was withdrawn does not change: a new one is a new row' USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.consent_id, OLD.subject_id, OLD.purpose, OLD.granted, OLD.granted_at, OLD.evidence)
       IS DISTINCT FROM (NEW.consent_id, NEW.subject_id, NEW.purpose, NEW.granted, NEW.granted_at, NEW.evidence) THEN
        RAISE EXCEPTION 'of a consent only the withdrawal may be set' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_consent BEFORE UPDATE ON privacy.consents FOR EACH ROW EXECUTE FUNCTION privacy.keep_consent();

-- ------------------------------------------------------------------------------------------------ who may do what
-- Two groups beside the centre's; none can log in. Give them to your own logins:
--     GRANT privacy_reader TO marketing;           -- each login whose purposes rest on consent: filters run in its session
--     GRANT privacy_keeper TO web_application;     -- the application that records consents and withdrawals
-- Filters read these columns and no others, so a login that is only a reader sees no evidence beyond what a filter needs.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'privacy_reader') THEN CREATE ROLE privacy_reader NOLOGIN; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'privacy_keeper') THEN CREATE ROLE privacy_keeper NOLOGIN; END IF;
END $$;

REVOKE ALL ON SCHEMA privacy FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA privacy FROM PUBLIC;
GRANT USAGE ON SCHEMA privacy TO privacy_reader, privacy_keeper;

GRANT SELECT (subject_id, purpose, granted, granted_at, evidence, withdrawn_at) ON privacy.consents TO privacy_reader;
GRANT SELECT (subject_id, purpose, objected_at, lifted_at) ON privacy.objections TO privacy_reader;
GRANT SELECT (subject_id, ground, restricted_at, lifted_at) ON privacy.restrictions TO privacy_reader;
GRANT SELECT (subject_id, purpose, approached_at) ON privacy.approaches TO privacy_reader;
GRANT SELECT ON privacy.opt_outs, privacy.opt_out_lists TO privacy_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA privacy TO privacy_keeper;
GRANT INSERT (subject_id, purpose, granted, granted_at, evidence) ON privacy.consents TO privacy_keeper;
GRANT UPDATE (withdrawn_at, withdrawn_evidence) ON privacy.consents TO privacy_keeper;
GRANT INSERT (subject_id, purpose, objected_at, evidence) ON privacy.objections TO privacy_keeper;
GRANT UPDATE (lifted_at, lifted_why) ON privacy.objections TO privacy_keeper;
GRANT INSERT (subject_id, ground, restricted_at, evidence) ON privacy.restrictions TO privacy_keeper;
GRANT UPDATE (told_at, lifted_at) ON privacy.restrictions TO privacy_keeper;
GRANT INSERT (subject_id, purpose, approached_at, evidence) ON privacy.approaches TO privacy_keeper;
GRANT INSERT (asked, people, subject_id, form, identified, wanted, received_on, strict_by, legal_by, known_until) ON privacy.requests TO privacy_keeper;
GRANT UPDATE (strict_by, legal_by, known_until, extended_ground, outcome, outcome_why, closed_at) ON privacy.requests TO privacy_keeper;
GRANT INSERT (request_id, step, by_whom, says) ON privacy.request_steps TO privacy_keeper;
GRANT INSERT (learner, lesson, edition, passed_at, steps, right_answers, questions, signed_by, signature) ON privacy.lessons TO privacy_keeper;
GRANT INSERT, UPDATE, DELETE ON privacy.opt_outs TO privacy_keeper;
GRANT INSERT, UPDATE, DELETE ON privacy.opt_out_lists TO privacy_keeper;

COMMIT;
