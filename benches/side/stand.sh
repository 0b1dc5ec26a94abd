# A throwaway server with a login `app`, and the proxy before it, for the scripts that source this: they set `port` first. Needs PostgreSQL 15
# or newer, and a built proxy ($PGPURPOSE, else target/debug/pgpurpose).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
proxy=${PGPURPOSE:-$root/target/debug/pgpurpose}
bin=${PGBIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
[ -x "$bin/initdb" ] || bin=$(pg_config --bindir)
work=$(mktemp -d); chmod 755 "$work"
through=$((port + 1))

# The server does not run as root.
served() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
end() {
    [ -z "${proxy_pid:-}" ] || kill -9 "$proxy_pid" 2>/dev/null || true
    served "$bin/pg_ctl" -D "$work/server/data" stop -m immediate >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT
psql() { "$bin/psql" -qX -h 127.0.0.1 -p "$port" -U postgres "$@"; }

# server ATTRIBUTES [OPTIONS]: starts it, and makes the logins.
server() {
    mkdir "$work/server"; [ "$(id -u)" != 0 ] || chown postgres "$work/server"
    served "$bin/initdb" -D "$work/server/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
    served "$bin/pg_ctl" -D "$work/server/data" -w -l "$work/server/log" -o "-p $port -k $work/server -c fsync=off ${2:-}" start >/dev/null
    psql -d postgres -c "CREATE ROLE app LOGIN $1" -c "CREATE ROLE pgpurpose LOGIN SUPERUSER"
}

# Starts the proxy under $work/policy.toml, and waits for it.
serve() {
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
[admin]
address = "127.0.0.1:$((port + 2))"
C
    "$proxy" serve --config "$work/pgpurpose.toml" >"$work/proxy.log" 2>&1 &
    proxy_pid=$!
    for _ in $(seq 100); do "$bin/pg_isready" -qh 127.0.0.1 -p "$through" -U app -d app && return; sleep 0.2; done
    cat "$work/proxy.log" >&2
    exit 1
}
