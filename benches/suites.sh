#!/usr/bin/env bash
# Runs suites that packages of PyPI carry (asyncpg, SQLAlchemy's PostgreSQL dialect, Django's own tests), first straight to a throwaway
# PostgreSQL and then through the proxy under a policy that opens everything, and prints what passes of what passes straight.
# Outside CI: it takes long, and downloads. Usage: benches/suites.sh [asyncpg|sqlalchemy|django]...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
proxy=${PGPURPOSE:-$root/target/debug/pgpurpose}
bin=$(pg_config --bindir 2>/dev/null || ls -d /usr/lib/postgresql/*/bin | tail -1)
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; "$bin/pg_ctl" -D "$work/data" stop -m fast >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
port=${PORT:-55432}; through=$((port + 1))

"$bin/initdb" -D "$work/data" -U postgres -A trust >/dev/null
"$bin/pg_ctl" -D "$work/data" -w -l "$work/postgres.log" -o "-p $port -k $work -c fsync=off -c max_connections=200" start >/dev/null
psql() { "$bin/psql" -qX -h 127.0.0.1 -p "$port" -U postgres "$@"; }
psql -d postgres -c "CREATE ROLE app LOGIN SUPERUSER" -c "CREATE ROLE pgpurpose LOGIN SUPERUSER" -c "CREATE DATABASE app OWNER app"

cat >"$work/policy.toml" <<'P'
version = 1
unlisted_tables = "allow"
[purposes.work]
basis = "contract"
[roles.app]
logins = ["app", "postgres"]
purposes = ["work"]
ddl = true
P
cat >"$work/pgpurpose.toml" <<C
[listen]
address = "127.0.0.1:$through"
[upstream]
address = "127.0.0.1:$port"
tls = "disable"
catalog_login = "pgpurpose"
[auth]
method = "relay"
allow_weak = true
[policy]
files = ["$work/policy.toml"]
[audit]
directory = "$work/log"
sync = "written"
C
"$proxy" serve --config "$work/pgpurpose.toml" --database app >"$work/proxy.log" 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -qh 127.0.0.1 -p "$through" -U app -d app && break; sleep 0.2; done

python3 -m venv "$work/venv"; pip="$work/venv/bin/pip -q"; python="$work/venv/bin/python"
$pip install pytest pytest-timeout psycopg[binary]

# Names of the tests that pass, one a line.
passed() { grep -E '(PASSED|passed|\.\.\. ok)' "$1" | sed -E 's/ .*//' | sort -u; }
compare() {
    local straight=$work/$1.straight through_=$work/$1.through
    passed "$straight" >"$straight.names"; passed "$through_" >"$through_.names"
    local all both; all=$(wc -l <"$straight.names"); both=$(comm -12 "$straight.names" "$through_.names" | wc -l)
    echo "$1: $both of $all that pass straight pass through ($(python3 -c "print(round($both / max($all, 1), 3))"))"
    comm -23 "$straight.names" "$through_.names" >"${OUT:-$PWD}/suite-$1.lost"
}
source_of() { $pip download --no-deps --no-binary :all: -d "$work" "$1"; mkdir -p "$work/$1"; tar -C "$work/$1" --strip-components 1 -xf "$work"/"${1//-/_}"*.tar.gz 2>/dev/null || tar -C "$work/$1" --strip-components 1 -xf "$work/$1"*.tar.gz; }

asyncpg() {
    $pip install asyncpg distro; source_of asyncpg
    local to; for to in straight through; do
        (cd "$work/asyncpg" && rm -rf asyncpg && PGHOST=127.0.0.1 PGPORT=$([ $to = straight ] && echo "$port" || echo "$through") PGUSER=app \
            PGDATABASE=app timeout 1800 "$python" -m pytest -v --timeout 60 -p no:cacheprovider tests) >"$work/asyncpg.$to" 2>&1 || true
    done; compare asyncpg
}
sqlalchemy() {
    $pip install sqlalchemy pytest-xdist; source_of SQLAlchemy
    local to; for to in straight through; do
        (cd "$work/SQLAlchemy" && timeout 3000 "$python" -m pytest -v --timeout 120 -p no:logging test/dialect/postgresql \
            --dburi "postgresql+psycopg://app@127.0.0.1:$([ $to = straight ] && echo "$port" || echo "$through")/app") >"$work/sqlalchemy.$to" 2>&1 || true
    done; compare sqlalchemy
}
django() {
    $pip install django; source_of Django
    local to; for to in straight through; do
        printf 'DATABASES = {n: {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": %s, "USER": "app", "NAME": "app", "TEST": {"NAME": "test_" + n}} for n in ("default", "other")}\nSECRET_KEY = "x"\nUSE_TZ = False\n' \
            "$([ $to = straight ] && echo "$port" || echo "$through")" >"$work/Django/tests/suite_settings.py"
        (cd "$work/Django/tests" && PYTHONPATH=.. timeout 3000 "$python" runtests.py --settings suite_settings --parallel 1 -v 2 --noinput \
            queries aggregation expressions transactions postgres_tests) >"$work/django.$to" 2>&1 || true
    done; compare django
}

for suite in "${@:-asyncpg}"; do "$suite"; done
