#!/bin/sh
# South Africa voted on 29 May 2024, a public holiday by proclamation. Of two packages that know South African holidays one lists it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q --disable-pip-version-check install holidays==0.109 workalendar==17.0.0
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date
from importlib.metadata import version

import holidays
from workalendar.africa import SouthAfrica

day, calendar = date(2024, 5, 29), SouthAfrica()
listed = day in holidays.country_holidays("ZA")
computed = not calendar.is_working_day(day)
print(f"holidays {version('holidays')}: 2024-05-29 is a holiday: {listed}")
print(f"workalendar {version('workalendar')}: 2024-05-29 is a holiday: {computed}")
ours = holidays.country_holidays("ZA").get_working_days_count(date(2024, 5, 27), date(2024, 5, 31))
theirs = sum(calendar.is_working_day(date(2024, 5, day)) for day in range(27, 32))
print(f"working days of that week: {ours} and {theirs}")
assert (listed, computed, ours, theirs) == (True, False, 4, 5), "the packages changed"
PYTHON
