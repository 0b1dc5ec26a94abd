#!/bin/sh
# What the consent filter costs PostgreSQL on 200,000 customers: an indexed point read and a scan of 1 %, with the filter that the
# rewrite adds and without it. Runs straight on the server that PGHOST, PGPORT and PGUSER name, in a database that it makes.
# Usage: benches/consent.sh [seconds for each of six runs, default 5]
set -eu
seconds=${1:-5}
cd "$(dirname "$0")/.."
base=pgpurpose_consent_bench
psql -X -q -d postgres -c "DROP DATABASE IF EXISTS $base" -c "CREATE DATABASE $base"
trap 'psql -X -q -d postgres -c "DROP DATABASE $base"' EXIT
psql -X -q -d $base -f deploy/privacy.sql
psql -X -q -d $base <<'SQL'
CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, city text NOT NULL);
INSERT INTO customers SELECT i, 'c' || i || '@example.co.za', 'town' || i % 50 FROM generate_series(1, 200000) i;
INSERT INTO privacy.consents (subject_id, purpose, evidence)
    SELECT i, 'marketing', 'web form' FROM generate_series(1, 200000) i WHERE i % 2 = 0;
VACUUM (ANALYZE) customers, privacy.consents;
SQL
folder=$(mktemp -d)
now="CASE WHEN pg_catalog.current_setting('transaction_isolation') = ANY (ARRAY['read committed', 'read uncommitted']) THEN true ELSE pg_catalog.current_setting('pgpurpose.older_snapshot') IS NULL END"
filter="$now AND EXISTS (SELECT 1 FROM privacy.consents AS c WHERE c.subject_id = r.id AND c.purpose = 'marketing' AND (c.granted AND c.withdrawn_at IS NULL) AND pg_catalog.btrim(c.evidence::text) <> '' AND c.granted_at <= pg_catalog.statement_timestamp())"
for kind in point scan; do
    case $kind in
    point) where='id = :id' ;;
    scan) where='id BETWEEN :id AND :id + 1999' ;;
    esac
    for filtered in without with; do
        if [ $filtered = with ]; then rows=" WHERE $filter"; else rows=''; fi
        printf '\\set id random(1, 198000)\nSELECT id, email FROM (SELECT r.id AS id, r.email AS email FROM public.customers AS r%s) AS customers WHERE %s;\n' \
            "$rows" "$where" >"$folder/$kind-$filtered.sql"
    done
    # Taken in turns, so that what else the machine does falls on both.
    for round in 1 2 3; do
        for filtered in without with; do
            tps=$(pgbench -n -M prepared -T "$seconds" -f "$folder/$kind-$filtered.sql" $base 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p' | head -1)
            echo "$kind $filtered $tps"
        done
    done
done | awk '{ print; if ($3 > best[$1, $2]) best[$1, $2] = $3 }
    END { printf "point read: %.2f of the time without the filter\n1 %% scan:   %.2f of the time without the filter\n",
          best["point", "without"] / best["point", "with"], best["scan", "without"] / best["scan", "with"] }'
rm -r "$folder"
