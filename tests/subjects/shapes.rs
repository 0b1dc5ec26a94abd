//! Every shape of a statement is recorded, and shows nothing more than its own columns.

use super::*;

/// Statement, columns, rows, and what the log says.
const SHAPES: &[(&str, u16, usize, &str)] = &[
    ("SELECT email FROM persons WHERE id < 3", 1, 2, "persons 1 2"),
    ("SELECT * FROM persons WHERE id = 3", 3, 1, "persons 3"),
    ("SELECT persons FROM persons WHERE id = 3", 1, 1, "persons 3"),
    ("SELECT row_to_json(p) FROM persons p WHERE id = 3", 1, 1, "persons 3"),
    ("SELECT FROM persons WHERE id = 3", 0, 1, "persons 3"),
    ("SELECT * FROM items WHERE order_id = 2", 2, 1, "items 3"),
    ("SELECT thing FROM items ORDER BY thing LIMIT 1", 1, 1, "items 2"),
    (
        "SELECT p.city, o.total FROM persons p LEFT JOIN orders o ON o.person = p.id WHERE p.id IN (3, 5)",
        2,
        3,
        "orders 3; persons 3 5",
    ),
    ("SELECT a.city, b.city FROM persons a JOIN persons b ON b.id = a.id + 1 WHERE a.id = 1", 2, 1, "persons 1 2"),
    ("SELECT * FROM (SELECT city, email FROM persons WHERE id = 4) d, things", 4, 1, "persons 4"),
    ("WITH c AS (SELECT * FROM persons WHERE id > 3) SELECT c.*, 1 AS one FROM c", 4, 2, "persons 4 5"),
    (
        "SELECT id FROM persons WHERE id = 1 UNION ALL SELECT person FROM orders WHERE order_id = 2",
        1,
        2,
        "orders 3; persons 1",
    ),
    ("SELECT id, city FROM persons WHERE id = 1 UNION ALL VALUES (9, 'x') ORDER BY 1", 2, 2, "persons 1"),
    (
        "SELECT p.id, x.total FROM persons p, LATERAL (SELECT * FROM orders o WHERE o.person = p.id ORDER BY total LIMIT 1) x WHERE id = 2",
        2,
        1,
        "orders 2; persons 2",
    ),
    ("SELECT id, rank() OVER (ORDER BY id DESC) FROM persons WHERE id = 2", 2, 1, "persons 2; ~persons"),
    ("SELECT DISTINCT ON (city) city, id FROM persons ORDER BY city, id", 2, 2, "persons 1 2"),
    ("SELECT count(*) FROM persons", 1, 1, "~persons"),
    ("SELECT city FROM persons GROUP BY city", 1, 2, "~persons"),
    ("SELECT DISTINCT city FROM persons", 1, 2, "~persons"),
    ("SELECT id FROM persons EXCEPT SELECT person FROM orders", 1, 2, "~orders; ~persons"),
    ("SELECT thing FROM things WHERE EXISTS (SELECT 1 FROM persons WHERE id = 1)", 1, 1, "~persons"),
    (
        "SELECT id, (SELECT max(total) FROM orders WHERE person = p.id) FROM persons p WHERE id = 1",
        2,
        1,
        "persons 1; ~orders",
    ),
    ("SELECT (SELECT p.city) FROM persons p WHERE id = 1", 1, 1, "persons 1"),
    ("SELECT (SELECT max(p.id) FROM things) FROM persons p", 1, 1, "~persons"),
    ("SELECT * FROM persons p NATURAL JOIN (SELECT id FROM persons) q WHERE id = 1", 3, 1, "persons 1; ~persons"),
    ("SELECT j.email FROM (persons p JOIN orders o ON o.person = p.id) AS j", 1, 6, "~orders; ~persons"),
    ("UPDATE orders SET total = total + 1 WHERE person = 2 RETURNING order_id", 1, 2, "orders 2"),
    ("WITH u AS (UPDATE orders SET total = total WHERE order_id = 2 RETURNING *) SELECT * FROM u", 3, 1, "orders 3"),
    // Who keeps a row out by being there is seen by that.
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE p.id IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE coalesce(p.city, 'none') = 'none'",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE p.city = 'Durban' AND p.id > 1",
        1,
        2,
        "orders 2 3; persons 2 4",
    ),
    ("SELECT o.total FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE o.order_id = 6", 1, 1, "orders 1"),
    (
        "SELECT o.order_id FROM persons p RIGHT JOIN orders o ON p.id = o.order_id WHERE p IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT p.id, o.order_id FROM persons p FULL JOIN orders o ON o.order_id = p.id WHERE p.id IS NULL",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id JOIN things t ON p.id IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT t.id, o.order_id FROM things t LEFT JOIN (orders o LEFT JOIN persons p ON p.id = o.order_id) ON p.id IS NULL",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT d.order_id FROM (SELECT o.order_id, p.id AS who FROM orders o LEFT JOIN persons p ON p.id = o.order_id) d WHERE d.who IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "WITH d AS (SELECT o.order_id, p.id AS who FROM orders o LEFT JOIN persons p ON p.id = o.order_id) SELECT order_id FROM d WHERE who IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id, p.city FROM orders o LEFT JOIN persons p ON p.id = o.order_id ORDER BY p.id NULLS FIRST LIMIT 1",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id, p.city FROM orders o LEFT JOIN persons p ON p.id = o.order_id ORDER BY o.order_id LIMIT 1",
        2,
        1,
        "orders 2; persons 1",
    ),
    ("SELECT id FROM (SELECT * FROM persons ORDER BY id LIMIT 3) d WHERE city = 'Durban'", 1, 1, "persons 2; ~persons"),
    ("SELECT id FROM (SELECT * FROM persons ORDER BY id LIMIT 3) d", 1, 3, "persons 1 2 3"),
    (
        "SELECT id FROM (SELECT DISTINCT ON (city) * FROM persons ORDER BY city, id) d WHERE id > 1",
        1,
        1,
        "persons 2; ~persons",
    ),
    (
        "UPDATE orders SET total = total FROM things t LEFT JOIN persons p ON p.id = t.id + 5 WHERE p.id IS NULL AND order_id = 2 RETURNING order_id",
        1,
        1,
        "orders 3; ~persons",
    ),
    // One WITH query that is read in ways of both kinds.
    (
        "WITH c AS (SELECT * FROM persons) SELECT c.id, (SELECT string_agg(d.city, ',') FROM c d) FROM c WHERE c.id = 1",
        2,
        1,
        "persons 1; ~persons",
    ),
    (
        "WITH c AS (SELECT * FROM persons) SELECT id FROM c WHERE id = 1 AND EXISTS (SELECT FROM c d WHERE d.city = 'Durban')",
        1,
        1,
        "persons 1; ~persons",
    ),
    (
        "WITH c AS (SELECT * FROM persons) SELECT id FROM c WHERE id = 1 UNION ALL SELECT count(*)::int FROM c",
        1,
        2,
        "persons 1; ~persons",
    ),
    ("SELECT v.x FROM persons p JOIN LATERAL (VALUES (p.id)) v (x) ON v.x = 2", 1, 1, "persons 2"),
    ("SELECT t.id FROM things t JOIN LATERAL (SELECT FROM persons p WHERE p.id = t.id) x ON true", 1, 1, "persons 1"),
    ("SELECT * FROM json_to_recordset((SELECT json_agg(p) FROM persons p)) AS x (id int)", 1, 5, "~persons"),
    ("SELECT city FROM persons ORDER BY city FETCH FIRST 1 ROW WITH TIES", 1, 2, "persons 2 4"),
    ("VALUES ((SELECT max(id) FROM persons))", 1, 1, "~persons"),
    (
        "UPDATE orders SET total = total FROM persons p WHERE p.id = person AND order_id = 2 RETURNING order_id",
        1,
        1,
        "orders 3; persons 3",
    ),
    ("SELECT * FROM quiet", 2, 1, ""),
    ("SELECT * FROM things", 2, 1, ""),
    ("SELECT id FROM persons WHERE false", 1, 0, ""),
    ("EXPLAIN (COSTS off) SELECT thing FROM things", 1, 1, ""),
];

#[test]
fn each_shape_is_recorded_and_shows_nothing_more() {
    let mut client = client("shapes");
    let mut wrong = Vec::new();
    let mut before = 0;
    for (sql, columns, count, expected) in SHAPES {
        client.send(&query(sql));
        let messages = client.until_ready();
        let records = disclosures("shapes");
        let found = told(&records[before..]);
        before = records.len();
        let shape = (width(&messages), rows(&messages).len());
        if shape != (Some(*columns), *count) || found != *expected {
            wrong.push(format!(
                "{sql}\n  {shape:?} {} `{found}` instead of {columns} {count} `{expected}`",
                shown(&messages)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
