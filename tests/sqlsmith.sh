#!/bin/sh
# SQLsmith's random statements through the proxy, for a role whose protected columns hold canaries.
#
# usage: tests/sqlsmith.sh CONNINFO-DIRECT CONNINFO-SEEN CONNINFO-PROXY PROXY-PID [QUERIES] [SEED]
#
# The statements are made against the database itself, as superuser, without being run; each is then sent through the
# proxy as it is. Fails where a canary comes back, the proxy ends, or it has grown by more than 64 MB.
# `cargo test --test sqlsmith` sets everything up and calls this.
set -eu
direct=$1 seen=$2 proxied=$3 pid=$4 queries=${5:-1000} seed=${6:-1}
canary=CANARY
if ! command -v sqlsmith >/dev/null || ! command -v psql >/dev/null; then
    echo "SKIPPED: sqlsmith or psql is not installed (apt-get install sqlsmith)" >&2
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
memory() { awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status"; }
peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status"; }

# Half over what the policy shows, so that they run; a quarter over all of the tables, a quarter also over the catalogs.
# usage: make CONNINFO COUNT [OPTION]
make() {
    sqlsmith --target="$1" --dry-run --seed="$seed" --max-queries="$2" ${3:+"$3"} >>"$work/random.sql" 2>>"$work/sqlsmith.log" || true
}
make "$seen" $((queries / 2)) --exclude-catalog
make "$direct" $((queries / 4)) --exclude-catalog
make "$direct" $((queries / 4))
made=$(grep -c ';$' "$work/random.sql" || true)
if [ "$made" -eq 0 ]; then
    echo "sqlsmith made nothing:" >&2
    tail -5 "$work/sqlsmith.log" >&2
    exit 1
fi
# Every second query goes into a table too, by turns a temporary one and one that its transaction makes; it is changed, read in several ways,
# and taken back. What was refused is forgotten then, or its name would be closed to all that follows.
awk '
    { text = text $0 "\n" }
    /;$/ {
        printf "%s", text
        sub(/;\n$/, "", text)
        if (tolower(text) ~ /^[ \n]*(select|with)/ && tolower(text) !~ /(insert into|update|delete from|merge into)[ \n]/ && ++queries % 2 == 0) {
            turn = queries % 4 == 0
            name = turn ? "smith_made" : "smith_held"
            printf "BEGIN; SAVEPOINT one;\nCREATE %sTABLE %s AS %s;\n", turn ? "" : "TEMPORARY ", name, text
            printf "ALTER TABLE %s ADD COLUMN more_of_it text DEFAULT \047x\047;\nTABLE %s;\n", name, name
            printf "SELECT to_jsonb(s), s FROM %s s ORDER BY 1::text;\nCOPY %s TO STDOUT;\n", name, name
            printf "CREATE TEMP VIEW smith_view AS SELECT * FROM %s;\nTABLE smith_view;\n", name
            printf "ROLLBACK TO one;\nCREATE TEMP TABLE customers AS %s;\nTABLE customers;\nROLLBACK;\nTABLE smith_held;\nDISCARD ALL;\nSET statement_timeout = \047500ms\047;\n", text
        }
        text = ""
    }' "$work/random.sql" >"$work/with_tables.sql"
tables=$(grep -c 'smith_held AS\|smith_made AS' "$work/with_tables.sql" || true)
# The proxy is warm before its memory is measured.
psql -X -q -A -t -d "$proxied" -c 'SELECT 1' >/dev/null
before=$(memory)
{ echo "SET statement_timeout = '500ms';"; cat "$work/with_tables.sql"; } |
    timeout "${SQLSMITH_SECONDS:-60}" psql -X -A -t -v VERBOSITY=verbose -d "$proxied" >"$work/out" 2>"$work/err" || status=$?
kill -0 "$pid" || { echo "the proxy has ended" >&2; exit 1; }
[ "${status:-0}" -ne 2 ] || { echo "the session was lost:" >&2; tail -15 "$work/err" >&2; exit 1; }
after=$(memory)
echo "$made statements, $tables of them into tables as well, $(grep -c 'ERROR:  42501' "$work/err" || true) refused for want of a rule," \
    "$(grep -c 'ERROR:  0A000' "$work/err" || true) not supported," \
    "$(grep -cE 'ERROR:' "$work/err" || true) errors in all; $(wc -l <"$work/out") lines of answers;" \
    "memory $before kB before, $after kB after, peak $(peak) kB"
if [ -n "${SQLSMITH_NOTES:-}" ]; then
    cp "$work/err" "$SQLSMITH_NOTES"
fi
[ "${status:-0}" -ne 124 ] || echo "  stopped after ${SQLSMITH_SECONDS:-60} s"
if [ "$made" -ge 400 ] && [ "$(grep -c '^COPY\|^SELECT [1-9]\|^ALTER TABLE' "$work/out" || true)" -eq 0 ]; then
    echo "no table was made and read" >&2
    exit 1
fi
if grep -a "$canary" "$work/out" "$work/err" >"$work/leak"; then
    echo "a canary came back:" >&2
    head -5 "$work/leak" >&2
    exit 1
fi
if [ $((after - before)) -gt 65536 ]; then
    echo "the proxy has grown by $((after - before)) kB" >&2
    exit 1
fi
psql -X -q -A -t -d "$proxied" -c 'SELECT 1' >/dev/null
