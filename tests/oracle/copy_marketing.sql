-- What `marketing` may see: rows of who agreed, written without the product's masks and filters.
CREATE TABLE public.agreed AS
SELECT subject_id FROM privacy.consents WHERE purpose = 'marketing' AND granted AND withdrawn_at IS NULL;

CREATE TABLE public.seen AS
SELECT id,
       CASE WHEN char_length(full_name) < 3 THEN regexp_replace(full_name, '.', '*', 'g')
            ELSE substr(full_name, 1, 2) || regexp_replace(substr(full_name, 3), '.', '*', 'g') END AS full_name,
       email,
       CASE WHEN isfinite(date_of_birth) THEN (to_char(date_of_birth, 'YYYY-MM') || '-01')::date ELSE date_of_birth END AS date_of_birth,
       points, city,
       CASE WHEN char_length("Weird Name") <= 2 THEN repeat('*', char_length("Weird Name")) ELSE lpad(substr("Weird Name", char_length("Weird Name") - 1), char_length("Weird Name"), '*') END AS "Weird Name",
       tags, NULL::jsonb AS extra, ref, active, feeling, referrer_id, created_at
FROM public.customers JOIN public.agreed ON id = subject_id;
DROP TABLE public.customers;
ALTER TABLE public.seen RENAME TO customers;
ALTER TABLE public.customers ADD PRIMARY KEY (id);

DELETE FROM public.order_items i WHERE NOT EXISTS (
    SELECT FROM public.orders o, public.agreed a WHERE o.order_id = i.order_id AND o.customer_id = a.subject_id);
DELETE FROM public.orders WHERE customer_id IS NULL OR customer_id NOT IN (SELECT subject_id FROM public.agreed);
DELETE FROM archive.orders WHERE customer_id NOT IN (SELECT subject_id FROM public.agreed);
DELETE FROM public.tickets WHERE customer_id NOT IN (SELECT subject_id FROM public.agreed);
DELETE FROM public.notes WHERE customer_id NOT IN (SELECT subject_id FROM public.agreed);
UPDATE public.orders SET total = total - mod(total, 50);
ALTER TABLE public.orders DROP COLUMN note;
ALTER TABLE public.tickets DROP COLUMN subject, DROP COLUMN body;
DROP TABLE public.agreed;
DROP SCHEMA privacy CASCADE;
