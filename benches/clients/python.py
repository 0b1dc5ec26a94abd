"""Python's clients, one by name: what an application does, through the proxy under a purpose that masks."""
import asyncio, os, sys

PORT = int(os.environ["CLIENT_PORT"])
SUPPORT = "-c pgpurpose.purpose=support"
READ, ADD = "SELECT id, name, email FROM people WHERE id = {}", "INSERT INTO jobs (title) VALUES ({}) RETURNING id, title"
CLOSED = "SELECT notes FROM people"


def seen(row):
    row = tuple(row)
    assert row == (1, "T*******", None), row


def refused(error, code):
    assert code == "42501", (code, error)


def dbapi(module, mark="%s"):
    connection = module.connect(host="127.0.0.1", port=PORT, user="app", dbname="app", options=SUPPORT)
    cursor = connection.cursor()
    cursor.execute(READ.format(mark), (1,))
    seen(cursor.fetchone())
    cursor.execute(ADD.format(mark), ("x",))
    assert cursor.fetchone()[1] == "x"
    connection.rollback()
    cursor.execute("SELECT count(*) FROM jobs")
    assert cursor.fetchone() == (0,)
    try:
        cursor.execute(CLOSED)
        raise AssertionError("a closed column was read")
    except module.errors.InsufficientPrivilege as error:
        refused(error, getattr(error, "sqlstate", None) or error.pgcode)
    connection.rollback()
    cursor.execute("SET LOCAL pgpurpose.purpose = 'fraud'")
    cursor.execute(READ.format(mark), (1,))
    assert tuple(cursor.fetchone()) == (1, "Thandiwe", "t@example.org")
    return module.__version__.split()[0]


def psycopg():
    import psycopg
    return dbapi(psycopg)


def psycopg2():
    import psycopg2, psycopg2.errors
    return dbapi(psycopg2)


def asyncpg():
    import asyncpg

    async def run():
        connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="app", database="app", server_settings={"pgpurpose.purpose": "support"})
        seen(await connection.fetchrow(READ.format("$1"), 1))
        block = connection.transaction()
        await block.start()
        assert (await connection.fetchrow(ADD.format("$1"), "x"))["title"] == "x"
        await block.rollback()
        await connection.copy_records_to_table("jobs", records=[(9, "copied")], columns=["id", "title"])
        assert await connection.fetchval("DELETE FROM jobs RETURNING title") == "copied"
        try:
            await connection.fetch(CLOSED)
            raise AssertionError("a closed column was read")
        except asyncpg.InsufficientPrivilegeError as error:
            refused(error, error.sqlstate)
        await connection.close()

    asyncio.run(run())
    return asyncpg.__version__


def sqlalchemy():
    import sqlalchemy as sa
    engine = sa.create_engine(f"postgresql+psycopg://app@127.0.0.1:{PORT}/app", connect_args={"options": SUPPORT})
    meta = sa.MetaData()
    people = sa.Table("people", meta, autoload_with=engine)
    jobs = sa.Table("jobs", meta, autoload_with=engine)
    with engine.connect() as connection:
        seen(connection.execute(sa.select(people.c.id, people.c.name, people.c.email).where(people.c.id == 1)).one())
        added = connection.execute(jobs.insert().returning(jobs.c.title), [{"title": "x"}, {"title": "y"}]).scalars().all()
        assert added == ["x", "y"]
        connection.rollback()
    assert [c["name"] for c in sa.inspect(engine).get_columns("people")] == ["id", "name", "email", "city", "notes"]
    return sa.__version__


def django():
    import django
    from django.conf import settings
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": PORT, "USER": "app",
                                               "NAME": "app", "OPTIONS": {"options": SUPPORT}}}, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
    django.setup()
    from django.db import models, transaction

    class Person(models.Model):
        name, email, city = models.TextField(), models.TextField(null=True), models.TextField(null=True)
        class Meta:
            app_label, db_table, managed = "shop", "people", False

    class Job(models.Model):
        title = models.TextField()
        class Meta:
            app_label, db_table, managed = "shop", "jobs", False

    person = Person.objects.get(id=1)
    seen((person.id, person.name, person.email))
    with transaction.atomic():
        job = Job.objects.create(title="x")
        assert Job.objects.filter(title__icontains="X").count() == 1
        job.delete()
    assert list(Person.objects.values_list("city").annotate(models.Count("id")))
    return django.__version__


def adbc():
    import adbc_driver_postgresql, adbc_driver_postgresql.dbapi as adbc
    uri = f"postgresql://app@127.0.0.1:{PORT}/app?options=-c%20pgpurpose.purpose%3Dsupport"
    with adbc.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, name, email FROM people ORDER BY id")
        table = cursor.fetch_arrow_table()
        assert table.column("name").to_pylist()[0] == "T*******" and table.column("email").null_count == table.num_rows
    return adbc_driver_postgresql.__version__


def connectorx():
    import connectorx
    uri = f"postgresql://app@127.0.0.1:{PORT}/app@support"
    table = connectorx.read_sql(uri, "SELECT id, name FROM people", return_type="arrow", partition_on="id", partition_num=2)
    assert sorted(table.to_pydict()["name"])[0].endswith("*")
    return connectorx.__version__


def duckdb():
    import duckdb
    connection = duckdb.connect()
    connection.execute("INSTALL postgres; LOAD postgres")
    connection.execute(f"ATTACH 'host=127.0.0.1 port={PORT} user=app dbname=app options=''{SUPPORT}''' AS shop (TYPE postgres, READ_ONLY)")
    seen(connection.execute("SELECT id, name, email FROM shop.public.people WHERE id = 1").fetchone())
    return duckdb.__version__


def inspector():
    """What Superset's database view asks: SQLAlchemy 1.4 with psycopg2, as it pins them."""
    import sqlalchemy as sa
    engine = sa.create_engine(f"postgresql+psycopg2://app@127.0.0.1:{PORT}/app", connect_args={"options": SUPPORT})
    inspect = sa.inspect(engine)
    assert "public" in inspect.get_schema_names() and {"people", "jobs"} <= set(inspect.get_table_names("public"))
    inspect.get_view_names("public"), inspect.get_sequence_names("public"), inspect.get_enums("*")
    for table in ("people", "jobs"):
        assert inspect.get_pk_constraint(table, "public")["constrained_columns"] == ["id"]
        assert [column["name"] for column in inspect.get_columns(table, "public")][0] == "id"
        for ask in (inspect.get_foreign_keys, inspect.get_indexes, inspect.get_unique_constraints, inspect.get_check_constraints,
                    inspect.get_table_comment):
            ask(table, "public")
    with engine.connect() as connection:
        assert connection.dialect.server_version_info >= (14,)
        seen(connection.execute(sa.text("SELECT id, name, email FROM public.people LIMIT 1001")).first())
        # Its SQL editor tells the cost of a query.
        assert connection.execute(sa.text("EXPLAIN SELECT id, name FROM people")).scalar()
        # A chart.
        assert connection.execute(sa.text("SELECT city AS city, COUNT(*) AS count FROM (SELECT id, city FROM people) AS virtual_table GROUP BY city"
                                          " ORDER BY count DESC LIMIT 1000")).all()
    return sa.__version__


def dbt():
    """A project with a source, a seed, tables, an increment, a view, a snapshot and tests, built twice, and its catalog."""
    import pathlib, subprocess, tempfile
    from importlib.metadata import version
    root = pathlib.Path(tempfile.mkdtemp())
    files = {
        "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\n",
        "profiles.yml": f"shop:\n  target: dev\n  outputs:\n    dev: {{type: postgres, host: 127.0.0.1, port: {PORT}, user: builder, password: '',"
                        " dbname: app, schema: analytics, threads: 2}\n",
        "seeds/cities.csv": "city,code\nDurban,DUR\nCape Town,CPT\n",
        "models/sources.yml": "version: 2\nsources:\n  - name: shop\n    schema: public\n    tables: [{name: people}]\n"
                              "models:\n  - name: stg_people\n    columns: [{name: id, tests: [unique, not_null]}]\n",
        "models/stg_people.sql": "{{ config(materialized='table') }} select id, name, email, city from {{ source('shop', 'people') }}",
        "models/by_city.sql": "{{ config(materialized='table', indexes=[{'columns': ['code']}]) }} select c.code, count(*) as people, min(name) as one"
                              " from {{ ref('stg_people') }} p join {{ ref('cities') }} c using (city) group by 1",
        "models/seen.sql": "{{ config(materialized='incremental', unique_key='id') }} select id, name from {{ ref('stg_people') }}"
                           " {% if is_incremental() %} where id > 0 {% endif %}",
        "models/largest.sql": "select * from {{ ref('by_city') }} order by people desc",
        "snapshots/kept.sql": "{% snapshot kept %}{{ config(target_schema='analytics', unique_key='id', strategy='check', check_cols=['name']) }}"
                              " select id, name from {{ ref('seen') }}{% endsnapshot %}",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    environment = {**os.environ, "PGOPTIONS": SUPPORT, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    for command in (["build"], ["build"], ["docs", "generate"]):
        done = subprocess.run([f"{sys.prefix}/bin/dbt", "-q", *command, "--project-dir", root, "--profiles-dir", root], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
    import psycopg2
    cursor = psycopg2.connect(host="127.0.0.1", port=PORT, user="builder", dbname="app", options=SUPPORT).cursor()
    cursor.execute("SELECT id, name FROM analytics.seen ORDER BY id")
    assert cursor.fetchall() == [(1, "T*******"), (2, "V***")]
    return f"{version('dbt-core')}, dbt-postgres {version('dbt-postgres')}"


def odbc():
    import pyodbc
    connection = pyodbc.connect(f"Driver=PostgreSQL Unicode;Server=127.0.0.1;Port={PORT};Uid=app;Database=app@support")
    cursor = connection.cursor()
    seen(cursor.execute(READ.format("?"), 1).fetchone())
    try:
        cursor.execute(CLOSED).fetchone()
        raise AssertionError("a closed column was read")
    except pyodbc.ProgrammingError as error:
        refused(error, error.args[0])
    except pyodbc.Error as error:
        refused(error, error.args[0])
    return connection.getinfo(pyodbc.SQL_DRIVER_VER)


print(globals()[sys.argv[1]]())
