#!/bin/sh
# A phone number in international form, and an identity number of somebody who was born in 2000, are no numbers to calculate with.
# pandas makes integers of both: the plus and the leading zeros are gone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q --disable-pip-version-check install pandas==3.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import io

import pandas

csv = pandas.read_csv(io.StringIO("phone,id_number\n+27820000001,0001015009087\n")).iloc[0]
json = pandas.read_json(io.StringIO('[{"phone":"+27820000001","id_number":"0001015009087"}]')).iloc[0]
print(f"pandas {pandas.__version__}: read_csv: {csv.tolist()}, read_json: {json.tolist()}")
assert csv.tolist() == [27820000001, 1015009087], "read_csv changed"
assert json.tolist() == [27820000001, 1015009087], "read_json changed"
PYTHON
