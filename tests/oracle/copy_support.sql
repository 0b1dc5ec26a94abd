-- What `support` may see, written without the product's masks.
CREATE TABLE public.seen AS
SELECT id,
       CASE WHEN char_length(full_name) < 2 THEN regexp_replace(full_name, '.', '*', 'g')
            ELSE substr(full_name, 1, 1) || regexp_replace(substr(full_name, 2), '.', '*', 'g') END AS full_name,
       regexp_replace(email, '^(.).*$', '\1') || '***@' || substr(coalesce((string_to_array(email, '@'))[2], ''), 1, 1) || '***'
           || CASE WHEN strpos(coalesce((string_to_array(email, '@'))[2], ''), '.') > 0
                   THEN '.' || reverse(split_part(reverse(email), '.', 1)) ELSE '' END AS email,
       (CASE WHEN char_length(phone) <= 3 THEN repeat('*', char_length(phone))
             ELSE regexp_replace(substr(phone, 1, char_length(phone) - 3), '.', '*', 'g') || substr(phone, char_length(phone) - 2) END)::varchar(20) AS phone,
       lpad(substr(id_number, 10), 13, '*')::varchar(13) AS id_number,
       CASE WHEN isfinite(date_of_birth) THEN (to_char(date_of_birth, 'YYYY') || '-01-01')::date ELSE date_of_birth END AS date_of_birth,
       points - ((points % 10) + 10) % 10 AS points,
       (balance - mod(mod(balance, 100) + 100, 100))::numeric(10,2) AS balance,
       city, CASE WHEN "Weird Name" IS NOT NULL THEN 'hidden'::text END AS "Weird Name", NULL::text[] AS tags, extra, ref, active, feeling, referrer_id,
       (to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') || '-01 00:00+00')::timestamptz AS created_at
FROM public.customers;
DROP TABLE public.customers;
ALTER TABLE public.seen RENAME TO customers;
ALTER TABLE public.customers ADD PRIMARY KEY (id);

UPDATE public.tickets SET subject = CASE WHEN char_length(subject) > 3 THEN overlay(repeat('*', char_length(subject)) PLACING substr(subject, 1, 3) FROM 1) ELSE repeat('*', char_length(subject)) END;
ALTER TABLE public.tickets DROP COLUMN body;
DROP SCHEMA privacy CASCADE;
