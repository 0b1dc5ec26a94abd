#!/bin/sh
# A South African identity number holds two digits of the year. Whose day of birth would be tomorrow was born a hundred years ago;
# one package reads the future, another the past. The number is made up, with a check digit that is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q --disable-pip-version-check install python-stdnum==2.2 rsa-id-number==0.1.0
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date, timedelta
from importlib.metadata import version

import rsaidnumber
from stdnum import luhn
from stdnum.za import idnr

tomorrow = date.today() + timedelta(days=1)
body = tomorrow.strftime("%y%m%d") + "500008"
number = body + luhn.calc_check_digit(body)
one, other = idnr.get_birth_date(number), rsaidnumber.parse(number).date_of_birth.date()
print(f"python-stdnum {version('python-stdnum')}: born {one}")
print(f"rsa-id-number {version('rsa-id-number')}: born {other}")
assert one == tomorrow, "python-stdnum changed"
assert other.year == tomorrow.year - 100, "rsa-id-number changed"
PYTHON
