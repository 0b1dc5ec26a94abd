#!/usr/bin/env bash
# Finds personal columns in a labelled set with pgpurpose and with other packages, by the same score.
#
#   benches/yardstick.sh COLUMNS SCORE [PYTHON]
#
# COLUMNS: JSON lines {table, column, samples, sensitive, label}; SCORE: the script that scores predictions. PYTHON: one that has
# presidio-analyzer, a small English model of spaCy, detectpii and sqlalchemy; without it only pgpurpose is measured.
set -euo pipefail
columns=$1 score=$2 python=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
(cd "$here" && cargo build -q --example yardstick)
bin=${CARGO_TARGET_DIR:-$here/target}/debug/examples/yardstick
"$bin" "$columns" >"$out/pgpurpose"
"$bin" "$columns" --no-values >"$out/pgpurpose, names alone"
if [ -n "$python" ]; then
    "$python" "$here/benches/side/others.py" presidio "$columns" >"$out/presidio"
    "$python" "$here/benches/side/others.py" detectpii "$columns" >"$out/detectpii"
fi
for file in "$out"/*; do
    printf '%-28s' "$(basename "$file")"
    python3 "$score" "$file" --columns "$columns" | grep '^sensitive'
done
