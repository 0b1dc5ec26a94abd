#!/usr/bin/env bash
# Runs suites that packages of PyPI carry in their sources (asyncpg, SQLAlchemy's PostgreSQL dialect, Django's own tests), first straight
# to a throwaway PostgreSQL and then through the proxy under a policy that opens everything, and prints as a table what passes of what
# passes straight. The names of what is lost, with what was said, go to suite-NAME.lost in $OUT (the folder at hand).
# With MASKED=1 the policy masks identities of a table that every database has, and of each suite those parts run that connect, read and write
# types, prepare and COPY: what a policy that hides something costs where nothing of it is asked for. Databases and extensions are then made straight.
# Outside CI: it takes an hour in a debug build, and downloads. Usage: benches/suites.sh [asyncpg|sqlalchemy|django|admin]...
# Needs: PostgreSQL 15 or newer with its contrib modules, Python 3.10 or newer, a built proxy ($PGPURPOSE, else target/debug/pgpurpose).
set -euo pipefail
out=${OUT:-$PWD}
port=${PORT:-55432}
. "$(dirname "$0")/side/stand.sh"
asyncpg_version=0.32.0 sqlalchemy_version=2.1.9 django_version=5.2.19

server SUPERUSER "-c max_connections=200 -c max_prepared_transactions=20"
masked=${MASKED:-}
[ -z "$masked" ] || psql -d template1 -c "CREATE TABLE people (id int PRIMARY KEY, name text, email text)" \
    -c "INSERT INTO people VALUES (1, 'Thandiwe', 't@example.org')" -c "ALTER TABLE people OWNER TO app"
psql -d postgres -c "CREATE DATABASE app OWNER app"

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
[ -z "$masked" ] || cat >>"$work/policy.toml" <<'P'
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", email = "contact" }
[[rules]]
name = "masks"
roles = ["app"]
purposes = ["work"]
read = ["reference"]
mask = { identity = "first(1)", contact = "null" }
P
serve

python3 -m venv "$work/venv"; python=$work/venv/bin/python
install() { "$work/venv/bin/pip" -q install "$@"; }
install pytest pytest-timeout distro "psycopg[binary]" "asyncpg==$asyncpg_version" "sqlalchemy==$sqlalchemy_version" "django==$django_version"
# The source package of a name and version, unpacked in $work/NAME.
source_of() {
    "$work/venv/bin/pip" -q download --no-deps --no-binary :all: -d "$work/sdist" "$1==$2"
    mkdir -p "$work/$1"; tar -C "$work/$1" --strip-components 1 -xzf "$work"/sdist/"$1"-"$2".tar.gz
}
# What passed straight and through, of two results: JUnit's XML, or what Django's runner says.
cat >"$work/compare.py" <<'Y'
import re, sys
import xml.etree.ElementTree as tree
name, straight, through, lost = sys.argv[1:]
def results(path):
    text = open(path, errors="replace").read()
    found = {}
    if path.endswith(".xml"):
        for case in tree.fromstring(text).iter("testcase"):
            bad = [child for child in case if child.tag in ("failure", "error")]
            skipped = any(child.tag == "skipped" for child in case)
            said = (bad[0].get("message") or "") if bad else ""
            found.setdefault(f"{case.get('classname')}::{case.get('name')}", ("lost" if bad else "skipped" if skipped else "passed", said))
        return found
    for case, said in re.findall(r"^\w+ \(([\w.]+)\)(?:.|\n)*?\.\.\. (ok|FAIL|ERROR|skipped|expected failure)", text, re.M):
        found[case] = ("passed" if said == "ok" else "skipped" if said == "skipped" else "lost", said)
    return found
direct, proxied = results(straight), results(through)
passes = [case for case, (how, _) in direct.items() if how == "passed"]
kept = [case for case in passes if proxied.get(case, ("lost", ""))[0] == "passed"]
with open(lost, "w") as file:
    for case in passes:
        if case not in set(kept):
            said = proxied.get(case, ("", "did not run"))[1].replace("\n", " ")
            file.write(f"{case}\t{said[:300]}\n")
print(f"| {name} | {len(passes)} | {len(kept)} | {len(kept) / max(len(passes), 1):.3f} |")
Y
compare() { "$python" "$work/compare.py" "$1" "$2" "$3" "$out/suite-${1%% *}.lost" >>"$work/table"; }

# Each way has a database of its own, made straight.
databases() { for way in straight through; do psql -d postgres -c "CREATE DATABASE $1_$way OWNER app"; done; }
at() { [ "$1" = straight ] && echo "$port" || echo "$through"; }

asyncpg() {
    source_of asyncpg "$asyncpg_version"; rm -rf "$work/asyncpg/asyncpg"; databases asyncpg
    local parts=tests
    [ -z "$masked" ] || parts="tests/test_connect.py tests/test_codecs.py tests/test_copy.py tests/test_prepare.py tests/test_types.py tests/test_record.py"
    local way; for way in straight through; do
        # shellcheck disable=SC2086
        (cd "$work/asyncpg" && PGHOST=127.0.0.1 PGPORT=$(at $way) PGUSER=app PGDATABASE=asyncpg_$way timeout 2400 "$python" -m pytest -q \
            --timeout 180 -p no:cacheprovider --junitxml "$work/asyncpg.$way.xml" $parts) >"$work/asyncpg.$way" 2>&1 || true
    done; compare "asyncpg $asyncpg_version${masked:+, identities masked}" "$work/asyncpg.straight.xml" "$work/asyncpg.through.xml"
}
sqlalchemy() {
    source_of sqlalchemy "$sqlalchemy_version"; databases sqlalchemy
    local parts="test/dialect/postgresql test/dialect/test_suite.py" of=test/dialect/postgresql
    [ -z "$masked" ] || parts="$of/test_dialect.py $of/test_types.py $of/test_query.py $of/test_on_conflict.py"
    local way; for way in straight through; do
        # As its README.unittests.rst says.
        psql -d sqlalchemy_$way -c "CREATE SCHEMA test_schema AUTHORIZATION app" -c "CREATE SCHEMA test_schema_2 AUTHORIZATION app" \
            -c "CREATE EXTENSION hstore" -c "CREATE EXTENSION citext" \
            -c "ALTER DATABASE sqlalchemy_$way SET default_text_search_config = 'pg_catalog.english'"
        # shellcheck disable=SC2086
        (cd "$work/sqlalchemy" && timeout 7200 "$python" -m pytest -q --timeout 180 -p no:logging -p no:cacheprovider --maxfail 100000 \
            --dburi "postgresql+psycopg://app@127.0.0.1:$(at $way)/sqlalchemy_$way" --junitxml "$work/sqlalchemy.$way.xml" \
            $parts) >"$work/sqlalchemy.$way" 2>&1 || true
    done; compare "sqlalchemy $sqlalchemy_version, PostgreSQL dialect${masked:+, identities masked}" "$work/sqlalchemy.straight.xml" "$work/sqlalchemy.through.xml"
}
django() {
    source_of django "$django_version"
    local apps="queries aggregation expressions transactions postgres_tests" keep="" way name extension
    [ -z "$masked" ] || { apps="backends model_fields postgres_tests transactions"; keep=--keepdb; }
    for way in straight through; do
        [ -z "$masked" ] || for name in default other; do
            psql -d postgres -c "CREATE DATABASE test_${way}_$name OWNER app"
            for extension in bloom btree_gin btree_gist citext hstore intarray pg_trgm pgcrypto unaccent uuid-ossp fuzzystrmatch; do
                psql -d "test_${way}_$name" -c "CREATE EXTENSION \"$extension\""
            done
        done
        "$python" - "$(at $way)" "$way" >"$work/django/tests/suite_$way.py" <<'Y'
import sys
port, way = sys.argv[1:]
one = lambda name: {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port, "USER": "app", "NAME": "app",
                    "TEST": {"NAME": f"test_{way}_{name}"}}
print(f"DATABASES = {({name: one(name) for name in ('default', 'other')})!r}\nSECRET_KEY = 'x'\nUSE_TZ = False")
Y
        # shellcheck disable=SC2086
        (cd "$work/django/tests" && PYTHONPATH=.. timeout 7200 "$python" runtests.py --settings suite_$way --parallel 1 -v 2 --noinput $keep \
            $apps) >"$work/django.$way" 2>&1 || true
    done; compare "django $django_version: $apps${masked:+, identities masked}" "$work/django.straight" "$work/django.through"
}

# Django's admin over 97 tables: pages that are as they should be.
admin() {
    databases admin
    local way passed kept; for way in straight through; do
        timeout 1200 "$python" "$(dirname "$0")/clients/admin.py" "$(at $way)" admin_$way "$port" >"$work/admin.$way" 2>"$work/admin.$way.err" || cat "$work/admin.$way.err" >&2
    done
    grep -v "ok$" "$work/admin.through" >"$out/suite-admin.lost" || true
    passed=$(grep -c "ok$" "$work/admin.straight"); kept=$(grep -c "ok$" "$work/admin.through")
    echo "| Django $django_version's admin over 97 tables, pages${masked:+, identities masked} | $passed | $kept | $("$python" -c "print(f'{$kept / max($passed, 1):.3f}')") |" >>"$work/table"
}

printf '| suite | pass straight | pass through | ratio |\n| --- | ---: | ---: | ---: |\n' >"$work/table"
for suite in "${@:-asyncpg sqlalchemy django admin}"; do for one in $suite; do "$one"; done; done
"$bin/postgres" --version; cat "$work/table"
