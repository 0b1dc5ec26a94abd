"""Whose rows a table has, found from foreign keys alone, against another project's annotations.

K9db's repository has seven schemas of real applications in which somebody wrote down by hand who owns each table's rows (OWNED_BY, OWNS; ACCESSED_BY is a weaker
tie). This takes them out of a clone, turns every annotation into an ordinary foreign key, makes a PostgreSQL database of each, has `pgpurpose scan --no-values`
write a starter policy, and compares the `subject` of each table with the annotation.

    python3 benches/ownership.py CLONE PGPURPOSE HOST:PORT LOGIN

Nothing of those schemas is kept here. The server needs no data; each database is dropped again.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

NAMES = ["commento", "ghchat", "hotcrp", "instagram_2", "mouthful", "schnack", "socify"]
FOLDER = "experiments/schema-annot/annotated"
KEY = re.compile(r"FOREIGN KEY\s*\((\w+)\)\s*(OWNED_BY|OWNS|ACCESSED_BY|ACCESSES|REFERENCES ONLY|REFERENCES)\s+(\w+)\s*\((\w+)\)", re.I)


def tables(text):
    """(name, is a data subject, columns with types, primary key, foreign keys with their kind) of each table."""
    text = re.sub(r"--[^\n]*", "", text).replace("\\\n", "\n")
    for match in re.finditer(r"CREATE\s+(DATA_SUBJECT\s+)?TABLE\s+(\w+)\s*\((.*?)\n\s*\)", text, re.S | re.I):
        subject, name, body = bool(match[1]), match[2].lower(), match[3]
        body = re.sub(r"ON\s+(GET|DEL)\s+\(?\w+\)?\s+(ANON\s*\([^)]*\)|DELETE_ROW)", "", body, flags=re.I | re.S)
        keys = [(column.lower(), kind.upper(), to.lower(), there.lower()) for column, kind, to, there in KEY.findall(body)]
        body = KEY.sub("", body)
        primary = re.search(r"PRIMARY KEY\s*\((\w+)\)", body, re.I)
        body = re.sub(r"PRIMARY KEY\s*\(\w+\)", "", body, flags=re.I)
        columns, own = {}, primary and primary[1].lower()
        for line in body.split(","):
            words = line.split()
            if len(words) > 1 and re.fullmatch(r"\w+", words[0]):
                columns[words[0].lower()] = {"datetime": "timestamp"}.get(words[1].lower(), words[1].lower())
                own = words[0].lower() if "PRIMARY" in line.upper() else own
        yield name, subject, columns, own, keys


def ddl(schema):
    """The same as PostgreSQL takes it: columns of a key have the type of what they refer to, and every tie is a foreign key."""
    types = {name: columns for name, _, columns, _, _ in schema}
    unique = {(to, there) for *_, keys in schema for _, _, to, there in keys}
    for name, _, columns, own, keys in schema:
        for column, _, to, there in keys:
            if column in columns and there in types.get(to, {}):
                columns[column] = types[to][there]
        lines = [f'"{column}" {kind}' for column, kind in columns.items()]
        lines += [f'PRIMARY KEY ("{own}")'] if own else []
        lines += [f'UNIQUE ("{there}")' for to, there in sorted(unique) if to == name and there != own]
        yield f'CREATE TABLE "{name}" ({", ".join(lines)});'
    for name, *_, keys in schema:
        for column, _, to, there in keys:
            yield f'ALTER TABLE "{name}" ADD FOREIGN KEY ("{column}") REFERENCES "{to}" ("{there}");'


def main(clone, program, address, login):
    host, port = address.rsplit(":", 1)
    psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", login]
    total = [0, 0, 0, 0]
    print("| schema | tables with an owner | the same | another | none |\n| --- | ---: | ---: | ---: | ---: |")
    for at in NAMES:
        show = ["git", "--git-dir", clone, "show", f"HEAD:{FOLDER}/{at}-annotated.sql"]
        schema = list(tables(subprocess.run(show, check=True, capture_output=True, text=True).stdout))
        database = f"owners_{at}"
        subprocess.run([*psql, "-d", "postgres", "-c", f"CREATE DATABASE {database}"], check=True)
        try:
            subprocess.run([*psql, "-d", database], input="\n".join(ddl(schema)), text=True, check=True)
            with tempfile.TemporaryDirectory() as folder:
                policy = Path(folder) / "scanned.toml"
                scan = [program, "scan", "--upstream", address, "--login", login, "--database", database, "--no-values", "-o", policy]
                subprocess.run(scan, check=True, capture_output=True)
                written = tomllib.loads(policy.read_text()).get("tables", {})
        finally:
            subprocess.run([*psql, "-d", "postgres", "-c", f"DROP DATABASE {database}"], check=True)
        found = {name.removeprefix("public."): table.get("subject") for name, table in written.items()}
        same, other, none, differ = 0, 0, 0, []
        for name, subject, _, own, keys in schema:
            owners = {column for column, kind, *_ in keys if kind == "OWNED_BY"}
            # What a link table owns (OWNS) is owned through it.
            through = any(to == name and kind == "OWNS" for *_, others in schema for _, kind, to, _ in others)
            if not owners and not subject and not through:
                continue
            wanted = owners or ({own} if subject else {"(through a link)"})
            told = found.get(name)
            told = told.get("column") if isinstance(told, dict) else told
            if told in wanted:
                same += 1
            elif told:
                other += 1
                differ.append(f"{at}.{name}: {told} for {'/'.join(sorted(wanted))}")
            else:
                none += 1
                differ.append(f"{at}.{name}: none for {'/'.join(sorted(wanted))}")
        row = [same + other + none, same, other, none]
        total = [a + b for a, b in zip(total, row)]
        print(f"| {at} | " + " | ".join(map(str, row)) + " |")
        print("\n".join(differ), file=sys.stderr)
    print("| all | " + " | ".join(map(str, total)) + " |")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
