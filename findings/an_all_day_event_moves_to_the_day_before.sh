#!/bin/sh
# An event begins at midnight in Johannesburg. Made all-day, ics puts it on the day before: midnight there is 22:00 UTC.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q --disable-pip-version-check install ics==0.7.3
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

import ics

event = ics.Event(name="review", begin=datetime(2026, 12, 1, tzinfo=timezone(timedelta(hours=2))))
event.make_all_day()
start = next(line for line in ics.Calendar(events=[event]).serialize().splitlines() if line.startswith("DTSTART"))
print(f"ics {version('ics')}: an event of 2026-12-01 in Johannesburg becomes {start}")
assert start == "DTSTART;VALUE=DATE:20261130", "ics changed"
PYTHON
