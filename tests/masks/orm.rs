//! Object-relational mappers that save whole rows, over a table with a column for each mask and each kind of type that it fits.
#![allow(clippy::print_stderr, clippy::type_complexity)]

use std::path::Path;
use std::process::Command;

use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::{direct, own_cluster};
use super::{ADDRESSES, DATE, FITS, INTEGERS, JSONB, NUMBERS, OTHERS, TEXTS, TIMES, UUID};
use pgpurpose::cluster::Cluster;

/// A column of each type of a class that mappers know, and its values in three rows; the third is NULL everywhere.
fn kinds(class: &[&str]) -> &'static [(&'static str, [&'static str; 2])] {
    match class {
        class if class == TEXTS => &[
            ("varchar(60)", ["Thandi Ngcobo", "thandi@example.co.za"]),
            ("char(16)", ["8502035800086", "+27821234567"]),
        ],
        class if class == INTEGERS => {
            &[("integer", ["123456", "-7"]), ("bigint", ["1234567890123", "-9223372036854775808"])]
        }
        class if class == NUMBERS => {
            &[("numeric(12,2)", ["1234.56", "-0.07"]), ("double precision", ["1234.5678", "1e-7"])]
        }
        class if class == TIMES => &[
            ("timestamp", ["1990-05-17 12:34:56.123456", "2026-11-29 23:59:59.999999"]),
            ("timestamptz", ["1990-05-17 12:34:56.123456+02", "2026-11-29 23:59:59.999999+00"]),
        ],
        class if class == DATE => &[("date", ["1990-05-17", "2026-11-29"])],
        class if class == UUID => {
            &[("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"])]
        }
        class if class == ADDRESSES => &[("inet", ["10.1.2.3", "2001:db8:1:2::3"])],
        class if class == JSONB => &[("jsonb", [r#"{"a": 1, "c": [1, 2]}"#, r#"{"b": {"d": null}}"#])],
        class if class == OTHERS => &[("boolean", ["true", "false"]), ("text[]", ["{x,y}", "{}"])],
        _ => &[],
    }
}

struct Herd {
    cluster: Cluster,
    proxy: Proxy,
}

/// `(column, type, mask, values)`.
fn columns() -> Vec<(String, &'static str, &'static str, [&'static str; 2])> {
    let mut columns = Vec::new();
    for (number, (mask, classes)) in FITS.iter().enumerate().filter(|(_, (mask, _))| !super::keep::is_dictionary(mask))
    {
        for (ty, values) in classes.iter().flat_map(|class| kinds(class)) {
            columns.push((format!("c{number}_{}", ty.split(['(', ' ', '[']).next().unwrap()), *ty, *mask, *values));
        }
    }
    columns
}

impl Herd {
    fn start() -> Self {
        let cluster = own_cluster();
        let columns = columns();
        let of =
            |each: &dyn Fn(&(String, &str, &str, [&str; 2])) -> String| columns.iter().map(each).collect::<Vec<_>>();
        let defined = of(&|(name, ty, ..)| format!("{name} {ty}")).join(", ");
        let row = |at: usize| of(&|(.., values)| format!("'{}'", values[at])).join(", ");
        direct(&cluster, "postgres", "CREATE ROLE keeper LOGIN; CREATE ROLE pgpurpose LOGIN");
        direct(
            &cluster,
            "postgres",
            &format!(
                "CREATE TABLE herd (id bigint PRIMARY KEY, note text, {defined});
                 INSERT INTO herd VALUES (1, 'a', {}), (2, 'b', {}); INSERT INTO herd VALUES (3, 'c'); GRANT SELECT, INSERT, UPDATE ON herd TO keeper",
                row(0),
                row(1)
            ),
        );
        let policy = format!(
            "version = 1\n[tables.\"public.herd\"]\nsubject = \"id\"\ncolumns = {{ id = \"open\", note = \"open\", {} }}\n\
             [purposes.care]\nbasis = \"contract\"\n[roles.keeper]\nlogins = [\"keeper\"]\npurposes = [\"care\"]\n\
             [[rules]]\nname = \"masks\"\nroles = [\"keeper\"]\npurposes = [\"care\"]\nread = [\"open\"]\n\
             write = [\"open\", \"all\"]\nkeep_masked = true\n[rules.mask]\n{}\n",
            of(&|(name, ..)| format!("{name} = \"all\"")).join(", "),
            of(&|(name, _, mask, _)| format!("\"public.herd.{name}\" = '{mask}'")).join("\n"),
        );
        let proxy = Proxy::start_with(&cluster, Upstream::Socket, &policy, "");
        Self { cluster, proxy }
    }

    /// Every row as the database has it, but for the note.
    fn raw(&self) -> Vec<String> {
        let list = columns().into_iter().map(|(name, ..)| name).collect::<Vec<_>>().join(", ");
        let text = direct(&self.cluster, "postgres", &format!("SELECT row(id, {list})::text FROM herd ORDER BY id"));
        text.lines().map(str::to_owned).collect()
    }

    fn notes(&self) -> String {
        direct(&self.cluster, "postgres", "SELECT string_agg(note, ',' ORDER BY id) FROM herd")
    }

    /// Types by column, for the mappers' models.
    fn types(&self) -> String {
        columns().into_iter().map(|(name, ty, ..)| format!("{name}={ty}")).collect::<Vec<_>>().join("|")
    }

    /// Saves through a program; then everything is as before, but for the notes.
    #[track_caller]
    fn saved(&self, command: &mut Command, wanted: &str) {
        let before = self.raw();
        let output = command.env("TYPES", self.types()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}{wrong}");
        for (before, after) in before.iter().zip(self.raw()) {
            assert_eq!(*before, after);
        }
        assert_eq!(self.notes(), wanted, "{said}{wrong}");
    }
}

/// A program that has the modules; where it has not, the test says so, and fails in CI.
fn with(program: &str, given: &[(&str, String)], probe: &[&str]) -> Option<String> {
    let found = Command::new(program).args(probe).envs(given.iter().cloned()).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(program.to_owned());
    }
    assert!(std::env::var_os("CI").is_none(), "`{program}` lacks what `{}` needs", probe.join(" "));
    eprintln!("SKIPPED: `{program}` lacks what `{}` needs; `.ci/run` installs it", probe.join(" "));
    None
}

fn python() -> String {
    std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Django's `save()` writes every field.
const DJANGO: &str = r#"
import os, django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                           "USER": os.environ["PGUSER"], "NAME": os.environ["PGDATABASE"]}},
    INSTALLED_APPS=["django.contrib.postgres"], USE_TZ=True, TIME_ZONE="Africa/Johannesburg", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()
from django.db import models
from django.contrib.postgres.fields import ArrayField
def field(ty):
    return {
        "varchar(60)": lambda: models.CharField(max_length=60, null=True), "char(16)": lambda: models.CharField(max_length=16, null=True),
        "integer": lambda: models.IntegerField(null=True), "bigint": lambda: models.BigIntegerField(null=True),
        "numeric(12,2)": lambda: models.DecimalField(max_digits=12, decimal_places=2, null=True),
        "double precision": lambda: models.FloatField(null=True), "timestamp": lambda: Naive(null=True),
        "timestamptz": lambda: models.DateTimeField(null=True), "date": lambda: models.DateField(null=True),
        "uuid": lambda: models.UUIDField(null=True), "inet": lambda: Address(null=True),
        "jsonb": lambda: models.JSONField(null=True), "boolean": lambda: models.BooleanField(null=True),
        "text[]": lambda: ArrayField(models.TextField(), null=True),
    }[ty]()
class Naive(models.DateTimeField):
    def get_db_prep_value(self, value, connection, prepared=False): return value
    def get_prep_value(self, value): return value
class Address(models.TextField): # Django's own takes no network
    def get_prep_value(self, value): return None if value is None else str(value)
class Meta:
    db_table = "herd"; managed = False; app_label = "test"
fields = {name: field(ty) for name, ty in (pair.split("=") for pair in os.environ["TYPES"].split("|"))}
Herd = type("Herd", (models.Model,), {"__module__": "test", "Meta": Meta, "id": models.BigIntegerField(primary_key=True),
                                      "note": models.TextField(null=True), **fields})
for row in Herd.objects.order_by("id"):
    row.note += "d"
    row.save()
rows = list(Herd.objects.order_by("id"))
for row in rows: row.note += "b"
Herd.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=["note", *fields])
"#;

/// Each row is read, detached, and written with all its columns: by an UPDATE, and by INSERT .. ON CONFLICT.
const SQLALCHEMY: &str = r#"
import os
from sqlalchemy import (BigInteger, Boolean, CHAR, Column, Date, Double, Integer, MetaData, Numeric, String, Table, Text, Uuid,
                        create_engine, select, update)
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB, TIMESTAMP, insert
from sqlalchemy.orm import Session, registry
from sqlalchemy.orm.attributes import flag_modified
engine = create_engine("postgresql+psycopg://")
types = {"varchar(60)": String(60), "char(16)": CHAR(16), "integer": Integer, "bigint": BigInteger, "numeric(12,2)": Numeric(12, 2),
         "double precision": Double, "timestamp": TIMESTAMP, "timestamptz": TIMESTAMP(timezone=True), "date": Date, "uuid": Uuid,
         "inet": INET, "jsonb": JSONB, "boolean": Boolean, "text[]": ARRAY(Text)}
pairs = [pair.split("=") for pair in os.environ["TYPES"].split("|")]
herd = Table("herd", MetaData(), Column("id", BigInteger, primary_key=True), Column("note", Text),
             *[Column(name, types[ty]) for name, ty in pairs])
class Row: pass
registry().map_imperatively(Row, herd)
with Session(engine) as session:
    for row in session.scalars(select(Row).order_by(Row.id)):
        row.note += "s"
        for column in herd.columns:
            if column.name != "id": flag_modified(row, column.name)
    session.commit()
with engine.begin() as connection:
    for row in connection.execute(select(herd).order_by(herd.c.id)).mappings().all():
        values = {**row, "note": row["note"] + "u"}
        connection.execute(update(herd).where(herd.c.id == row["id"]).values(values))
        values["note"] += "i"
        new = insert(herd).values(values)
        connection.execute(new.on_conflict_do_update(index_elements=["id"], set_={c.name: new.excluded[c.name] for c in herd.columns}))
"#;

/// Every attribute marked as changed; `update` with all attributes; `upsert`.
const SEQUELIZE: &str = r#"
const { Sequelize, DataTypes } = require('sequelize');
const { PGHOST, PGPORT, PGUSER, PGDATABASE, TYPES } = process.env;
const sequelize = new Sequelize(PGDATABASE, PGUSER, '', { host: PGHOST, port: PGPORT, dialect: 'postgres', logging: false });
const types = { 'varchar(60)': DataTypes.STRING(60), 'char(16)': DataTypes.CHAR(16), integer: DataTypes.INTEGER, bigint: DataTypes.BIGINT,
  'numeric(12,2)': DataTypes.DECIMAL(12, 2), 'double precision': DataTypes.DOUBLE, timestamp: DataTypes.DATE, timestamptz: DataTypes.DATE,
  date: DataTypes.DATEONLY, uuid: DataTypes.UUID, inet: DataTypes.INET, jsonb: DataTypes.JSONB, boolean: DataTypes.BOOLEAN,
  'text[]': DataTypes.ARRAY(DataTypes.TEXT) };
const columns = { id: { type: DataTypes.BIGINT, primaryKey: true }, note: DataTypes.TEXT };
for (const pair of TYPES.split('|')) { const [name, type] = pair.split('='); columns[name] = types[type]; }
const Herd = sequelize.define('herd', columns, { tableName: 'herd', timestamps: false });
(async () => {
  for (const row of await Herd.findAll({ order: ['id'] })) {
    row.note += 'n';
    for (const name of Object.keys(columns)) if (name !== 'id') row.changed(name, true);
    await row.save();
    await Herd.update({ ...row.get(), note: row.note + 'u' }, { where: { id: row.id } });
    await Herd.upsert({ ...row.get(), note: row.note + 'ui' }, { returning: false });
  }
  await sequelize.close();
})().catch((error) => { console.error(error.message, error.original && error.original.detail); process.exit(1); });
"#;

/// As ActiveRecord does with `partial_updates = false`: a prepared UPDATE of every column, and `upsert_all`.
const RUBY: &str = r##"
require 'pg'
connection = PG.connect
rows = connection.exec('SELECT "herd".* FROM "herd" ORDER BY "herd"."id" ASC').to_a
columns = rows.first.keys - ['id']
quoted = columns.map { |name| PG::Connection.quote_ident(name) }
set = quoted.each_with_index.map { |name, at| "#{name} = $#{at + 1}" }.join(', ')
connection.prepare('a1', "UPDATE \"herd\" SET #{set} WHERE \"herd\".\"id\" = $#{columns.size + 1}")
rows.each do |row|
  row['note'] += 'r'
  saved = connection.exec_prepared('a1', columns.map { |name| row[name] } + [row['id']])
  raise 'no row was saved' unless saved.cmd_tuples == 1
end
values = (1..columns.size + 1).map { |at| "$#{at}" }.join(', ')
excluded = quoted.map { |name| "#{name}=excluded.#{name}" }.join(',')
upsert = "INSERT INTO \"herd\" (#{(quoted + ['"id"']).join(',')}) VALUES (#{values}) ON CONFLICT (\"id\") DO UPDATE SET #{excluded} RETURNING \"id\""
rows.each do |row|
  row['note'] += 'p'
  connection.exec_params(upsert, columns.map { |name| row[name] } + [row['id']])
end
"##;

/// Debian's `libpostgresql-jdbc-java`.
const PGJDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
fn programs_that_write_whole_rows_by_themselves_overwrite_nothing_with_its_mask() {
    let herd = Herd::start();
    let who = login("keeper").database("postgres");
    let mut notes = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let mut after = |more: &str| {
        notes.iter_mut().for_each(|note| note.push_str(more));
        notes.join(",")
    };
    let driver = std::env::var("PGPURPOSE_TEST_PGJDBC").unwrap_or_else(|_| PGJDBC.to_owned());
    let jar = [("CLASSPATH", driver.clone())];
    if let Some(java) = with("java", &jar, &["--module-path", &driver, "--list-modules"])
        && Path::new(&driver).exists()
    {
        let mut command = herd.proxy.client(&herd.cluster, &who, &java);
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &driver]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masks/Herd.java"));
        herd.saved(&mut command, &after("hbhb"));
    }
    if let Some(ruby) = with("ruby", &[], &["-e", "require 'pg'"]) {
        let mut command = herd.proxy.client(&herd.cluster, &who, &ruby);
        herd.saved(command.arg("-e").arg(RUBY), &after("rp"));
    }
}

#[test]
fn mappers_that_save_whole_rows_overwrite_nothing_with_its_mask() {
    let herd = Herd::start();
    let who = login("keeper").database("postgres");
    let mut notes = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let mut after = |more: &str| {
        notes.iter_mut().for_each(|note| note.push_str(more));
        notes.join(",")
    };
    for (modules, script, more) in [("django, psycopg", DJANGO, "db"), ("sqlalchemy, psycopg", SQLALCHEMY, "sui")] {
        let Some(python) = with(&python(), &[], &["-c", &format!("import {modules}")]) else { continue };
        let mut command = herd.proxy.client(&herd.cluster, &who, &python);
        herd.saved(command.arg("-c").arg(script).env("PYTHONDONTWRITEBYTECODE", "1"), &after(more));
    }
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/orm/node_modules").display().to_string();
    let path = [("NODE_PATH", modules.clone())];
    if let Some(node) = with("node", &path, &["-e", "require('sequelize'); require('pg')"]) {
        // Node takes times without a zone for local ones.
        let mut command = herd.proxy.client(&herd.cluster, &who, &node);
        command.arg("-e").arg(SEQUELIZE).env("NODE_PATH", &modules).env("TZ", "UTC");
        herd.saved(&mut command, &after("nui"));
    }
}
