-- A sample South African shop. Nobody in it exists: names are combined by arithmetic, addresses and numbers are made up,
-- and every identity number carries the citizenship digit 7, which is never issued (0 is a citizen, 1 a permanent
-- resident), with a check digit that is right. The same text always gives the same rows.
--
-- Runs as superuser in an empty database.

BEGIN;

CREATE TABLE public.customers (
    id            bigint PRIMARY KEY,
    full_name     text NOT NULL,
    email         text NOT NULL,
    phone         text NOT NULL,
    id_number     text NOT NULL,
    date_of_birth date NOT NULL,
    address       text NOT NULL,
    city          text NOT NULL,
    postal_code   text NOT NULL,
    health_note   text,
    created_at    timestamptz NOT NULL
);

CREATE TABLE public.products (
    product_id bigint PRIMARY KEY,
    name       text NOT NULL,
    price      numeric(10,2) NOT NULL
);

CREATE TABLE public.orders (
    order_id    bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES public.customers (id),
    total       numeric(10,2) NOT NULL,
    status      text NOT NULL,
    created_at  timestamptz NOT NULL
);

CREATE TABLE public.order_items (
    order_id   bigint NOT NULL REFERENCES public.orders (order_id),
    line       integer NOT NULL,
    product_id bigint NOT NULL REFERENCES public.products (product_id),
    quantity   integer NOT NULL,
    price      numeric(10,2) NOT NULL,
    PRIMARY KEY (order_id, line)
);

CREATE TABLE public.tickets (
    ticket_id   bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES public.customers (id),
    subject     text NOT NULL,
    body        text NOT NULL,
    status      text NOT NULL,
    created_at  timestamptz NOT NULL
);

CREATE TABLE public.staff (
    staff_id  bigint PRIMARY KEY,
    full_name text NOT NULL,
    email     text NOT NULL,
    position  text NOT NULL
);

CREATE SCHEMA privacy;

CREATE TABLE privacy.consents (
    subject_id   bigint NOT NULL REFERENCES public.customers (id),
    purpose      text NOT NULL,
    granted      boolean NOT NULL,
    granted_at   timestamptz NOT NULL,
    withdrawn_at timestamptz,
    evidence     text,
    PRIMARY KEY (subject_id, purpose)
);

-- What names and places are made of. Given name and family name are drawn from the same community, and each community has
-- its share of the customers.
CREATE TEMPORARY TABLE community (
    number integer, share integer, female text[], male text[], family text[]
) ON COMMIT DROP;

INSERT INTO community VALUES
    (1, 22, -- isiZulu
     '{Nomvula,Thandeka,Zanele,Nonhlanhla,Ntombi,Sibongile,Bongiwe,Lindiwe,Nokuthula,Hlengiwe,Philile,Samkelisiwe}',
     '{Sipho,Thabo,Bongani,Mandla,Sibusiso,Themba,Nkosinathi,Mduduzi,Lungelo,Sandile,Jabulani,Musa}',
     '{Dlamini,Nkosi,Ndlovu,Khumalo,Zulu,Mthembu,Buthelezi,Ngcobo,Cele,Zungu,Mkhize,Gumede,Shezi,Hadebe}'),
    (2, 16, -- isiXhosa
     '{Nomsa,Noluthando,Nosipho,Babalwa,Unathi,Siphokazi,Yolanda,Zukiswa,Nomfundo,Ayanda,Khanyisa,Lulama}',
     '{Lwazi,Luvuyo,Mzwandile,Vuyani,Xolani,Zola,Siyabonga,Thembinkosi,Loyiso,Mxolisi,Andile,Phumlani}',
     '{Mbeki,Sisulu,Mandla,Mabuza,Ntuli,Qunta,Mfeketo,Gqirana,Nyembezi,Madikizela,Jordaan,Sobukwe,Mqhayi,Xaba}'),
    (3, 8, -- Sepedi
     '{Mmapula,Lerato,Mahlatse,Kgaugelo,Refilwe,Mokgadi,Tebogo,Pheladi,Sebolelo,Ramadimetja}',
     '{Kgabo,Tshepo,Lesiba,Matome,Phuti,Sello,Thabang,Malesela,Kagiso,Mohale}',
     '{Mokoena,Maake,Ledwaba,Mphahlele,Sekgobela,Mamabolo,Ramaphakela,Rapetsoa,Maphosa,Mashishi,Kekana}'),
    (4, 7, -- Sesotho
     '{Dineo,Palesa,Puleng,Mpho,Nthabiseng,Limpho,Keneiloe,Matshidiso,Relebohile,Tsholofelo}',
     '{Tumelo,Lehlohonolo,Teboho,Katleho,Mosa,Neo,Retselisitsoe,Thato,Tshepiso,Motlatsi}',
     '{Mofokeng,Molefe,Motaung,Moloi,Tau,Radebe,Mokhele,Letsie,Mosia,Tsotetsi,Mokone}'),
    (5, 8, -- Setswana
     '{Boitumelo,Kelebogile,Keabetswe,Gaone,Lesego,Onalenna,Segametsi,Goitsemang,Olebogeng,Dikeledi}',
     '{Kabelo,Tshiamo,Otsile,Oratile,Lebogang,Gosego,Modise,Kopano,Mothusi,Thuso}',
     '{Modise,Molokwane,Moagi,Seleka,Moilwa,Kgosana,Tlhabane,Segwai,Mothibi,Lekota,Matlhabe}'),
    (6, 3, -- siSwati
     '{Temalangeni,Nomcebo,Phindile,Gugu,Buyisile,Lomalanga}', '{Mcolisi,Sifiso,Mfanafuthi,Banele,Sicelo,Wandile}',
     '{Simelane,Shongwe,Mamba,Vilakati,Ginindza,Matsebula,Magagula,Maseko}'),
    (7, 4, -- Xitsonga
     '{Tsakani,Nyeleti,Tinyiko,Khensani,Vutomi,Hlulani}', '{Hlulani,Rhulani,Vukosi,Tiyani,Mikateko,Nkateko}',
     '{Baloyi,Chauke,Maluleke,Mathebula,Shivambu,Nkuna,Hlungwani,Makhubela,Rikhotso}'),
    (8, 3, -- Tshivenda
     '{Mulalo,Rudzani,Takalani,Fhatuwani,Livhuwani,Ndivhuwo}', '{Azwinndini,Mashudu,Rendani,Thilivhali,Vhonani,Tshilidzi}',
     '{Netshitenzhe,Mudau,Ramavhoya,Nemukula,Tshivhase,Munyai,Mulaudzi,Netshifhefhe,Phaswana}'),
    (9, 2, -- isiNdebele
     '{Nobuhle,Sphiwe,Thokozile,Busisiwe,Ntombizodwa}', '{Jabu,Mahlangu,Petrus,Vusi,Sibangani}',
     '{Mahlangu,Skosana,Mtsweni,Masombuka,Jiyane,Ntuli,Kabini}'),
    (10, 13, -- Afrikaans
     '{Annelie,Elmarie,Chantelle,Liezl,Mariska,Riana,Zoë,Wilmé,Anika,Charmaine,Shireen,Faldela}',
     '{Pieter,Johan,Hendrik,Gerhard,Francois,Ruan,Jaco,André,Deon,Riaan,Faizel,Ashwin}',
     '{"van der Merwe",Botha,Pretorius,Nel,Venter,Coetzee,Fourie,"du Plessis",Kruger,Adams,Davids,September,Jacobs,Petersen}'),
    (11, 9, -- English
     '{Sarah,Emma,Catherine,Jennifer,Nicole,Megan,Lauren,Bridget,Tracey,Gillian}',
     '{James,Michael,David,Craig,Gareth,Brendan,Warren,Grant,Stuart,Neil}',
     '{Smith,Naidoo-Smith,Wright,Campbell,Thompson,Robertson,Williams,Jones,Clarke,O''Connor,Murray}'),
    (12, 5, -- of Indian descent
     '{Priya,Anjali,Kavitha,Nirvana,Fatima,Ayesha,Shanthi,Yasmin}', '{Rajesh,Kuben,Yusuf,Imraan,Vishal,Ashok,Preshen,Zaheer}',
     '{Naidoo,Govender,Pillay,Moodley,Reddy,Singh,Patel,Essop,Khan,Maharaj,Chetty}');

-- Each community as often as its share: one hundred rows.
CREATE TEMPORARY TABLE draw ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY number, copy) - 1 AS slot, number
    FROM community, generate_series(1, share) AS copy;

CREATE TEMPORARY TABLE place (slot integer, city text, postal_code text, area_code text) ON COMMIT DROP;
INSERT INTO place VALUES
    (0, 'Johannesburg', '2001', '11'), (1, 'Soweto', '1804', '11'), (2, 'Sandton', '2196', '11'),
    (3, 'Pretoria', '0002', '12'), (4, 'Centurion', '0157', '12'), (5, 'Cape Town', '8001', '21'),
    (6, 'Khayelitsha', '7784', '21'), (7, 'Stellenbosch', '7600', '21'), (8, 'Mitchells Plain', '7785', '21'),
    (9, 'Durban', '4001', '31'), (10, 'Umlazi', '4031', '31'), (11, 'Pietermaritzburg', '3201', '33'),
    (12, 'Gqeberha', '6001', '41'), (13, 'East London', '5201', '43'), (14, 'Mthatha', '5099', '47'),
    (15, 'Bloemfontein', '9301', '51'), (16, 'Polokwane', '0700', '15'), (17, 'Mbombela', '1200', '13'),
    (18, 'Kimberley', '8301', '53'), (19, 'Mahikeng', '2745', '18'), (20, 'Rustenburg', '0300', '14'),
    (21, 'George', '6529', '44'), (22, 'Upington', '8801', '54'), (23, 'Thohoyandou', '0950', '15');

CREATE FUNCTION pg_temp.pick(list text[], n bigint) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT list[1 + (n % cardinality(list))::integer] $$;

-- Spreads numbers over 0 .. 2^31 - 1, the same way at every run: the hash that hash partitions rest on.
CREATE FUNCTION pg_temp.spread(n bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    AS $$ SELECT hashint8extended(n, salt) & 2147483647 $$;

-- YYMMDD, four digits (below 5000 for women), citizenship, 8, check digit (Luhn's formula).
CREATE FUNCTION pg_temp.identity_number(born date, sequence bigint) RETURNS text LANGUAGE sql STABLE AS $$
    WITH body AS (SELECT to_char(born, 'YYMMDD') || lpad(sequence::text, 4, '0') || '78' AS digits),
    luhn AS (
        SELECT sum(CASE WHEN place % 2 = 1 THEN digit
                        WHEN digit > 4 THEN digit * 2 - 9
                        ELSE digit * 2 END) AS total
        FROM body, generate_series(1, 12) AS place,
             LATERAL (SELECT substr(digits, place, 1)::integer AS digit) AS d)
    SELECT digits || ((10 - total % 10) % 10)::text FROM body, luhn
$$;

INSERT INTO public.customers
WITH person AS (
    SELECT n AS id,
           pg_temp.spread(n, 3) % 2 = 0 AS woman,
           c.female, c.male, c.family,
           date '1944-01-01' + (pg_temp.spread(n, 5) % 22600)::integer AS born,
           p.city, p.postal_code
    FROM generate_series(1, 10000) AS n
    JOIN draw ON draw.slot = pg_temp.spread(n, 1) % 100
    JOIN community AS c USING (number)
    JOIN place AS p ON p.slot = pg_temp.spread(n, 2) % 24
), named AS (
    SELECT *, pg_temp.pick(CASE WHEN woman THEN female ELSE male END, pg_temp.spread(id, 7)) AS given,
           pg_temp.pick(family, pg_temp.spread(id, 8)) AS surname
    FROM person
)
SELECT id,
       given || ' ' || surname,
       lower(regexp_replace(translate(given || '.' || surname, 'ëé', 'ee'), '[^A-Za-z.]', '', 'g')) || id || '@'
           || pg_temp.pick('{example.co.za,mail.example.co.za,example.com,post.example.org}', pg_temp.spread(id, 9)),
       '+27 ' || pg_temp.pick('{60,61,63,71,72,73,74,76,78,79,81,82,83,84}', pg_temp.spread(id, 10)) || ' 555 '
           || lpad((id % 10000)::text, 4, '0'),
       pg_temp.identity_number(born, CASE WHEN woman THEN 0 ELSE 5000 END + id % 5000),
       born,
       1 + pg_temp.spread(id, 12) % 240 || ' '
           || pg_temp.pick('{Nelson Mandela,Church,Long,Steve Biko,Albertina Sisulu,Voortrekker,Jan Smuts,Main,Vilakazi,
                             Florida,Oxford,Beyers Naudé,Helen Joseph,Chris Hani,Umgeni,Kerk}', pg_temp.spread(id, 13))
           || pg_temp.pick('{" Street"," Road"," Avenue"," Drive"}', pg_temp.spread(id, 14)),
       city,
       postal_code,
       CASE WHEN pg_temp.spread(id, 15) % 9 = 0
            THEN pg_temp.pick('{allergic to penicillin,diabetic: no sugar in gift boxes,uses a wheelchair,asthma,
                                on blood thinners,pregnant: due in March,lactose intolerant,hypertension}',
                              pg_temp.spread(id, 16))
       END,
       timestamptz '2021-01-04 08:00:00+02' + (pg_temp.spread(id, 17) % 2600000) * interval '1 minute'
FROM named
ORDER BY id;

INSERT INTO public.products
SELECT n,
       pg_temp.pick('{Rooibos tea,Maize meal,Biltong,Chutney,Rusks,Dried mango,Braai grid,Enamel mug,Shweshwe cloth,
                      Beaded basket,Honeybush tea,Koeksisters,Amarula fudge,Potjie pot,Wool blanket,Peri-peri sauce}', n)
           || pg_temp.pick('{" 250 g"," 500 g"," 1 kg",""," gift box"}', n / 16),
       round((1500 + pg_temp.spread(n, 20) % 90000) / 100.0, 2)
FROM generate_series(1, 80) AS n;

INSERT INTO public.orders
SELECT n,
       1 + pg_temp.spread(n, 21) % 10000,
       0,
       pg_temp.pick('{paid,paid,shipped,delivered,delivered,delivered,returned,cancelled}', pg_temp.spread(n, 22)),
       timestamptz '2024-01-02 07:30:00+02' + (n * 27 + pg_temp.spread(n, 23) % 1400) * interval '1 minute'
FROM generate_series(1, 50000) AS n;

INSERT INTO public.order_items
SELECT o.order_id, line, p.product_id, 1 + pg_temp.spread(o.order_id * 4 + line, 25) % 4, p.price
FROM public.orders AS o
CROSS JOIN LATERAL generate_series(1, 1 + (pg_temp.spread(o.order_id, 24) % 3)::integer) AS line
JOIN public.products AS p ON p.product_id = 1 + pg_temp.spread(o.order_id * 4 + line, 26) % 80;

UPDATE public.orders AS o SET total = i.total
FROM (SELECT order_id, sum(quantity * price) AS total FROM public.order_items GROUP BY order_id) AS i
WHERE i.order_id = o.order_id;

-- Free text, which says what nobody asked for.
INSERT INTO public.tickets
SELECT n,
       c.id,
       pg_temp.pick('{Where is my order?,Wrong item delivered,Refund please,Change of address,Question about payment,
                      Please delete my account}', pg_temp.spread(n, 31)),
       CASE pg_temp.spread(n, 32) % 5
           WHEN 0 THEN 'Hello, this is ' || c.full_name || '. Please call me on ' || c.phone || ' about my order.'
           WHEN 1 THEN 'My ID number is ' || c.id_number || ', you asked for it to find my account.'
           WHEN 2 THEN 'I have moved to ' || c.address || ', ' || c.city || ' ' || c.postal_code || '. Please update it.'
           WHEN 3 THEN 'The parcel was left at the gate while I was at the clinic for my treatment. Write to ' || c.email || '.'
           ELSE 'The box was damaged when it came. Can I get my money back?'
       END,
       pg_temp.pick('{open,pending,solved,solved,closed}', pg_temp.spread(n, 33)),
       timestamptz '2025-01-06 09:00:00+02' + n * interval '150 minutes'
FROM generate_series(1, 4000) AS n
JOIN public.customers AS c ON c.id = 1 + pg_temp.spread(n, 34) % 10000;

INSERT INTO public.staff
SELECT n,
       pg_temp.pick(CASE WHEN n % 2 = 0 THEN c.female ELSE c.male END, pg_temp.spread(n, 41)) || ' '
           || pg_temp.pick(c.family, pg_temp.spread(n, 42)),
       'staff' || n || '@shop.example.co.za',
       pg_temp.pick('{Support agent,Support agent,Warehouse,Driver,Marketing,Analyst,Information officer}', n)
FROM generate_series(1, 60) AS n
JOIN draw ON draw.slot = pg_temp.spread(n, 40) % 100
JOIN community AS c USING (number)
ORDER BY n;

-- Six of ten customers were asked and agreed to marketing; every fourth of those has withdrawn since, some never agreed.
INSERT INTO privacy.consents
SELECT id, 'marketing', draw >= 5,
       created_at + interval '1 day',
       CASE WHEN draw >= 5 AND draw % 4 = 0 THEN created_at + interval '200 days' END,
       pg_temp.pick('{web form,call recording,paper form,SMS reply}', draw)
FROM (SELECT id, created_at, pg_temp.spread(id, 51) % 100 AS draw FROM public.customers) AS c
WHERE draw < 65;

-- A text message needs its own consent.
INSERT INTO privacy.consents
SELECT subject_id, 'marketing.sms', true, granted_at,
       CASE WHEN pg_temp.spread(subject_id, 53) % 5 = 0 THEN granted_at + interval '90 days' END,
       'web form'
FROM privacy.consents
WHERE purpose = 'marketing' AND granted AND pg_temp.spread(subject_id, 52) % 2 = 0;

CREATE UNIQUE INDEX customers_id_number_idx ON public.customers (id_number);
CREATE UNIQUE INDEX customers_email_idx ON public.customers (email);
CREATE INDEX customers_city_idx ON public.customers (city);
CREATE INDEX orders_customer_id_idx ON public.orders (customer_id);
CREATE INDEX orders_created_at_idx ON public.orders (created_at);
CREATE INDEX order_items_product_id_idx ON public.order_items (product_id);
CREATE INDEX tickets_customer_id_idx ON public.tickets (customer_id);

-- The database's own rights stay as wide as the application needs them; what each purpose may see is the policy's.
CREATE ROLE support_agent LOGIN;
CREATE ROLE marketing LOGIN;
CREATE ROLE analyst LOGIN;
CREATE ROLE migrator LOGIN;
-- The proxy's own login: reads the system catalogs, which everybody may, and nothing else.
CREATE ROLE pgpurpose LOGIN;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO support_agent, marketing, analyst;
GRANT INSERT, UPDATE, DELETE ON public.customers, public.orders, public.order_items, public.tickets TO support_agent;
GRANT USAGE ON SCHEMA privacy TO support_agent, marketing, analyst;
GRANT SELECT ON privacy.consents TO support_agent, marketing, analyst;

GRANT CREATE, USAGE ON SCHEMA public, privacy TO migrator;
ALTER TABLE public.customers OWNER TO migrator;
ALTER TABLE public.products OWNER TO migrator;
ALTER TABLE public.orders OWNER TO migrator;
ALTER TABLE public.order_items OWNER TO migrator;
ALTER TABLE public.tickets OWNER TO migrator;
ALTER TABLE public.staff OWNER TO migrator;
ALTER TABLE privacy.consents OWNER TO migrator;

COMMIT;

ANALYZE;
