#!/usr/bin/env bash
# Runs a small program of each client that is here through the proxy, under a purpose that masks: what it reads is masked, what it writes
# comes back, a closed column is refused by its SQLSTATE. Prints a table of clients and versions. Outside CI: it installs packages.
# Usage: benches/clients.sh [NAME]... Needs: PostgreSQL 15 or newer, Python, node; PHP, Perl, Ruby and unixODBC where they are there.
set -euo pipefail
port=${PORT:-55532}; export CLIENT_PORT=$((port + 1))
. "$(dirname "$0")/side/stand.sh"
server ""
psql -d postgres -c "CREATE DATABASE app"
psql -d app -c "CREATE ROLE builder LOGIN" -c "GRANT CREATE ON DATABASE app TO builder"
psql -d app -c "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text, city text, notes text);
    INSERT INTO people VALUES (1, 'Thandiwe', 't@example.org', 'Durban', 'x'), (2, 'Vela', 'v@example.org', 'Cape Town', 'y');
    CREATE TABLE jobs (id serial PRIMARY KEY, title text); GRANT ALL ON people, jobs, jobs_id_seq TO app;
    GRANT SELECT ON people TO builder"
cat >"$work/policy.toml" <<'P'
version = 1
unlisted_tables = "allow"
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", email = "contact", city = "operational", notes = "notes" }
[tables."public.jobs"]
open = true
[purposes.support]
basis = "contract"
[purposes.fraud]
basis = "legal_obligation"
[roles.app]
logins = ["app"]
purposes = ["support", "fraud"]
[roles.builder]
logins = ["builder"]
purposes = ["support"]
ddl = true
[[rules]]
name = "support"
roles = ["app", "builder"]
purposes = ["support"]
read = ["reference", "operational"]
mask = { identity = "first(1)", contact = "null" }
[[rules]]
name = "fraud"
roles = ["app"]
purposes = ["fraud"]
read = ["reference", "operational", "identity", "contact"]
P
serve

wanted() { [ $# = 1 ] || { local one=$1; shift; for name in "$@"; do [ "$name" != "$one" ] || return 0; done; return 1; }; }
names=("$@")
# try NAME WAY COMMAND...: runs it, and writes its line.
try() {
    local name=$1 way=$2 said; shift 2
    wanted "$name" "${names[@]}" || return 0
    if said=$(timeout 120 "$@" 2>"$work/err"); then
        echo "| $name | $(echo "$said" | tail -1) | $way | yes |" >>"$work/table"
    else
        cat "$work/err" >&2; echo "| $name | | $way | no: $(grep -v '^ ' "$work/err" | tail -1 | cut -c1-150) |" >>"$work/table"
    fi
}
python3 -m venv "$work/venv"
python() {
    local name=$1 way=$2 packages=$3
    wanted "$name" "${names[@]}" || return 0
    # shellcheck disable=SC2086
    if timeout 300 "$work/venv/bin/pip" -q install $packages >"$work/pip" 2>&1; then
        try "$name" "$way" "$work/venv/bin/python" "$root/benches/clients/python.py" "$name"
    else echo "| $name | | $way | not installed here |" >>"$work/table"; fi
}
node() {
    local name=$1 way=$2; shift 2
    wanted "$name" "${names[@]}" || return 0
    if timeout 300 npm install --silent --no-save --no-audit --no-fund --prefix "$work/node" "$@" >"$work/npm" 2>&1 </dev/null; then
        try "$name" "$way" node_program "$name"
    else echo "| $name | | $way | not installed here |" >>"$work/table"; fi
}
cat >"$work/node_program" <<N
#!/bin/sh
NODE_PATH=$work/node/node_modules exec node $root/benches/clients/node.js "\$1"
N
chmod +x "$work/node_program"; PATH=$work:$PATH
printf '| client | version | purpose by | works |\n| --- | --- | --- | --- |\n' >"$work/table"

python psycopg options "psycopg[binary]"
python psycopg2 options psycopg2-binary
python asyncpg server_settings asyncpg
python sqlalchemy options "sqlalchemy psycopg[binary]"
python django options "django psycopg[binary]"
python adbc options "adbc-driver-postgresql pyarrow"
python connectorx database@purpose "connectorx pyarrow"
python duckdb options "duckdb"
python odbc database@purpose pyodbc
python inspector options "sqlalchemy<2 psycopg2-binary"
python dbt PGOPTIONS "dbt-core<1.11 dbt-postgres"
node pg options pg
node postgres options postgres
node knex options knex pg
node sequelize options sequelize pg
node drizzle options drizzle-orm pg
node typeorm options typeorm reflect-metadata pg
# Its schema engine cannot be had everywhere; what makes the client does not need it.
prisma() {
    wanted prisma "${names[@]}" || return 0
    mkdir -p "$work/node/prisma"
    printf '%s\n' 'generator client {' '  provider = "prisma-client-js"' '}' 'datasource db {' '  provider = "postgresql"' '}' \
        'model Person {' '  id Int @id' '  name String' '  email String?' '  city String?' '  notes String?' '  @@map("people")' '}' \
        'model Job {' '  id Int @id @default(autoincrement())' '  title String?' '  @@map("jobs")' '}' >"$work/node/prisma/schema.prisma"
    (cd "$work/node" && timeout 300 npm install --silent --no-save --no-audit --no-fund prisma @prisma/client @prisma/adapter-pg pg \
        && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true npx prisma generate) >"$work/npm" 2>&1 </dev/null || {
        echo "| prisma | | options | not installed here |" >>"$work/table"; return 0; }
    try prisma options node_program prisma
}
prisma
sqlx() {
    wanted sqlx "${names[@]}" || return 0
    mkdir -p "$work/sqlx/src"; cp "$root/benches/clients/sqlx.rs" "$work/sqlx/src/main.rs"
    printf '[package]\nname = "client"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\ntokio = { version = "1", features = ["rt"] }\n%s\n' \
        'sqlx = { version = "0.8", default-features = false, features = ["postgres", "runtime-tokio"] }' >"$work/sqlx/Cargo.toml"
    if timeout 900 cargo build -q --manifest-path "$work/sqlx/Cargo.toml" >"$work/cargo" 2>&1; then
        try sqlx options "$work/sqlx/target/debug/client" "$(sed -n '/name = "sqlx"/{n;s/.*"\(.*\)"/\1/p}' "$work/sqlx/Cargo.lock")"
    else echo "| sqlx | | options | not built here |" >>"$work/table"; fi
}
sqlx
if command -v php >/dev/null; then try pdo_pgsql database@purpose php "$root/benches/clients/client.php"; fi
if command -v perl >/dev/null; then try DBD::Pg options perl "$root/benches/clients/client.pl"; fi
if command -v ruby >/dev/null; then try ruby-pg options ruby "$root/benches/clients/client.rb"; fi
"$bin/postgres" --version; cat "$work/table"
