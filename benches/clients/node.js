// Node's clients, one by name: what an application does, through the proxy under a purpose that masks.
const assert = require('assert');
const port = Number(process.env.CLIENT_PORT);
const to = { host: '127.0.0.1', port, user: 'app', database: 'app', options: '-c pgpurpose.purpose=support' };
const url = `postgres://app@127.0.0.1:${port}/app?options=${encodeURIComponent(to.options)}`;
const seen = (row) => assert.deepStrictEqual([row.id, row.name, row.email], [1, 'T*******', null]);
const refused = async (promise) => {
  const error = await promise.then(() => assert.fail('a closed column was read'), (error) => error);
  const code = error.code || error.original?.code || error.cause?.code || error.driverError?.code;
  assert.strictEqual(code, '42501', String(error));
};
const version = (name) => JSON.parse(require('fs').readFileSync(`${process.env.NODE_PATH}/${name}/package.json`, 'utf8')).version;
const clients = {
  async pg() {
    const { Client } = require('pg');
    const client = new Client(to);
    await client.connect();
    seen((await client.query('SELECT id, name, email FROM people WHERE id = $1', [1])).rows[0]);
    seen((await client.query({ name: 'one', text: 'SELECT id, name, email FROM people WHERE id = $1', values: [1] })).rows[0]);
    await client.query('BEGIN');
    assert.strictEqual((await client.query('INSERT INTO jobs (title) VALUES ($1) RETURNING title', ['x'])).rows[0].title, 'x');
    await client.query('ROLLBACK');
    await refused(client.query('SELECT notes FROM people'));
    await client.end();
    return version('pg');
  },
  async postgres() {
    const sql = require('postgres')({ ...to, connection: { options: to.options } });
    seen((await sql`SELECT id, name, email FROM people WHERE id = ${1}`)[0]);
    await sql.begin(async (sql) => {
      const [job] = await sql`INSERT INTO jobs ${sql({ title: 'x' })} RETURNING title`;
      assert.strictEqual(job.title, 'x');
      await sql`DELETE FROM jobs`;
    });
    await refused(sql`SELECT notes FROM people`);
    await sql.end();
    return version('postgres');
  },
  async knex() {
    const knex = require('knex')({ client: 'pg', connection: to });
    seen(await knex('people').select('id', 'name', 'email').where({ id: 1 }).first());
    await knex.transaction(async (trx) => {
      const [job] = await trx('jobs').insert({ title: 'x' }).returning(['id', 'title']);
      assert.strictEqual(job.title, 'x');
      await trx('jobs').del();
    });
    assert.ok(await knex.schema.hasTable('people'));
    await refused(knex('people').select('notes').then((rows) => rows));
    await knex.destroy();
    return version('knex');
  },
  async sequelize() {
    const { Sequelize, DataTypes } = require('sequelize');
    const sequelize = new Sequelize('app', 'app', '', { host: to.host, port, dialect: 'postgres', logging: false, dialectOptions: { options: to.options } });
    const Person = sequelize.define('person', { name: DataTypes.TEXT, email: DataTypes.TEXT, city: DataTypes.TEXT }, { tableName: 'people', timestamps: false });
    const Job = sequelize.define('job', { title: DataTypes.TEXT }, { tableName: 'jobs', timestamps: false });
    seen(await Person.findByPk(1));
    const job = await Job.create({ title: 'x' });
    await job.update({ title: 'y' });
    await job.destroy();
    await refused(sequelize.query('SELECT notes FROM people'));
    await sequelize.close();
    return version('sequelize');
  },
  async drizzle() {
    const { drizzle } = require('drizzle-orm/node-postgres');
    const { pgTable, serial, text, integer } = require('drizzle-orm/pg-core');
    const { eq } = require('drizzle-orm');
    const pool = new (require('pg').Pool)(to);
    const db = drizzle(pool);
    const people = pgTable('people', { id: integer('id').primaryKey(), name: text('name'), email: text('email') });
    const jobs = pgTable('jobs', { id: serial('id').primaryKey(), title: text('title') });
    seen((await db.select().from(people).where(eq(people.id, 1)))[0]);
    const [job] = await db.insert(jobs).values({ title: 'x' }).returning();
    const [again] = await db.update(jobs).set({ title: 'y' }).where(eq(jobs.id, job.id)).returning();
    assert.strictEqual(again.title, 'y');
    await db.delete(jobs);
    await refused(db.execute('SELECT notes FROM people'));
    await pool.end();
    return version('drizzle-orm');
  },
  async prisma() {
    const { PrismaClient } = require('@prisma/client');
    const { PrismaPg } = require('@prisma/adapter-pg');
    const prisma = new PrismaClient({ adapter: new PrismaPg(to) });
    seen(await prisma.person.findUnique({ where: { id: 1 }, omit: { notes: true } }));
    assert.strictEqual((await prisma.person.groupBy({ by: ['city'], _count: true, orderBy: { city: 'asc' } })).length, 2);
    await assert.rejects(prisma.$transaction(async (tx) => {
      const job = await tx.job.create({ data: { title: 'x' } });
      assert.strictEqual((await tx.job.update({ where: { id: job.id }, data: { title: 'y' } })).title, 'y');
      assert.strictEqual((await tx.job.upsert({ where: { id: job.id }, update: { title: 'z' }, create: { title: 'n' } })).title, 'z');
      await tx.job.createMany({ data: [{ title: 'a' }, { title: 'b' }] });
      throw new Error('undone');
    }), /undone/);
    assert.strictEqual(await prisma.job.count(), 0);
    const error = await prisma.person.findMany().then(() => assert.fail('a closed column was read'), (error) => error);
    assert.ok(/notes/.test(error.message + JSON.stringify(error.meta ?? {})), String(error));
    await prisma.$disconnect();
    return version('@prisma/client');
  },
  async typeorm() {
    const { DataSource, EntitySchema } = require('typeorm');
    const Person = new EntitySchema({ name: 'Person', tableName: 'people', columns: { id: { type: Number, primary: true }, name: { type: 'text' }, email: { type: 'text', nullable: true } } });
    const Job = new EntitySchema({ name: 'Job', tableName: 'jobs', columns: { id: { type: Number, primary: true, generated: true }, title: { type: 'text' } } });
    const source = new DataSource({ type: 'postgres', host: to.host, port, username: 'app', database: 'app', entities: [Person, Job], extra: { options: to.options } });
    await source.initialize();
    seen(await source.getRepository(Person).findOneBy({ id: 1 }));
    const job = await source.getRepository(Job).save({ title: 'x' });
    await source.getRepository(Job).save({ ...job, title: 'y' });
    await source.getRepository(Job).remove(job);
    await refused(source.query('SELECT notes FROM people'));
    await source.destroy();
    return version('typeorm');
  },
};
clients[process.argv[2]]().then((said) => { console.log(said); process.exit(0); }, (error) => { console.error(error); process.exit(1); });
