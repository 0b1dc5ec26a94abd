#!/bin/sh
# libphonenumber-js comes with three sets of metadata. By the default one, `isValid` looks at the length alone for South Africa.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix "$folder" libphonenumber-js@1.13.16 >/dev/null
cat > ask.js <<'NODE'
const assert = require('assert')
const { version } = require('libphonenumber-js/package.json')
const min = require('libphonenumber-js'), max = require('libphonenumber-js/max')
const numbers = ['+27820000001', '+27900000000', '+27200000000', '+27340000000', '+27990000000', '+27300000000', '+27960000000']
const rows = numbers.map((text) => [text, min.parsePhoneNumber(text).isValid(), max.parsePhoneNumber(text).isValid()])
console.log(`libphonenumber-js ${version}: number, valid by default, valid by /max`)
rows.forEach((row) => console.log(row.join(' ')))
assert(rows.every(([, byDefault]) => byDefault), 'the default metadata refuses some now')
assert(rows[0][2], 'a mobile number is not valid any more')
assert(rows.filter(([, , byAll]) => !byAll).length >= 2, 'the full metadata takes them all now')
NODE
node ask.js
