//! COPY carries the keys in every format, and shows none.

use super::*;

/// What came of a COPY: formats, and its data with the messages' ends as `⏎`.
fn copied(client: &mut Client, sql: &str) -> (u16, Vec<String>) {
    client.send(&query(sql));
    let messages = client.until_ready();
    let columns = messages.iter().find(|(tag, _)| *tag == b'H').map_or(99, |(_, body)| {
        let columns = u16::from_be_bytes([body[1], body[2]]);
        assert_eq!(body.len(), 3 + 2 * usize::from(columns));
        columns
    });
    let data = messages.iter().filter(|(tag, _)| *tag == b'd');
    (columns, data.map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect())
}

#[test]
fn copies_carry_the_key_in_every_format() {
    let mut client = client("copies");
    client.rows("INSERT INTO orders (order_id, person, total) VALUES (90, NULL, 5), (91, 5, NULL)");
    let mut before = 0;
    let mut wrong = Vec::new();
    for (sql, columns, expected, said) in [
        (
            "COPY (SELECT id, city FROM persons WHERE id < 3 ORDER BY id) TO STDOUT",
            2,
            &["1\tPretoria\n", "2\tDurban\n"][..],
            "persons 1 2",
        ),
        (
            "COPY (SELECT order_id, total FROM orders WHERE order_id > 80 ORDER BY 1) TO STDOUT",
            2,
            &["90\t5\n", "91\t\\N\n"],
            "orders 5",
        ),
        (
            "COPY (SELECT order_id, total FROM orders WHERE order_id > 80 ORDER BY 1) TO STDOUT (FORMAT csv, HEADER, NULL 'none', FORCE_QUOTE *)",
            2,
            &["order_id,total\n", "\"90\",\"5\"\n", "\"91\",none\n"],
            "orders 5",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT WITH CSV DELIMITER '=' QUOTE 'P'",
            2,
            &["3=PPPretoriaP\n"],
            "persons 3",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT (DELIMITER '=')",
            2,
            &["3=Pretoria\n"],
            "persons 3",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT (FORMAT csv, DELIMITER '3')",
            2,
            &["\"3\"3Pretoria\n"],
            "persons 3",
        ),
        (
            "COPY items TO STDOUT (HEADER false)",
            2,
            &["1\tthing 1\n", "2\tthing 2\n", "3\tthing 3\n", "4\tthing 4\n"],
            "items 1 2 3",
        ),
        (
            "COPY persons (city) TO STDOUT (FORMAT csv)",
            1,
            &["Pretoria\n", "Durban\n", "Pretoria\n", "Durban\n", "Pretoria\n"],
            "persons 1 2 3 4 5",
        ),
        (
            "COPY (SELECT '\\.', city FROM persons WHERE id = 1) TO STDOUT (FORMAT csv)",
            2,
            &["\\.,Pretoria\n"],
            "persons 1",
        ),
        ("COPY (SELECT '\\.' FROM persons WHERE id = 1) TO STDOUT (FORMAT csv)", 1, &["\"\\.\"\n"], "persons 1"),
        ("COPY (SELECT city FROM persons WHERE false) TO STDOUT (FORMAT csv)", 1, &[], ""),
        (
            "COPY (SELECT city FROM persons WHERE id = 1 UNION ALL VALUES ('x')) TO STDOUT",
            1,
            &["Pretoria\n", "x\n"],
            "persons 1",
        ),
        ("COPY (SELECT city FROM persons WHERE id = 1) TO STDOUT (NULL '\\')", 1, &["Pretoria\n"], "~persons"),
        ("COPY (SELECT count(*) FROM persons) TO STDOUT", 1, &["5\n"], "~persons"),
        ("COPY things TO STDOUT", 2, &["1\tspade\n"], ""),
    ] {
        let found = copied(&mut client, sql);
        let records = disclosures("copies");
        let recorded = told(&records[before..]);
        before = records.len();
        if found != (columns, expected.iter().map(|line| (*line).to_owned()).collect()) || recorded != said {
            wrong.push(format!("{sql}\n  {found:?} `{recorded}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // In binary each row has its own count of fields.
    client.send(&query("COPY (SELECT id FROM persons WHERE id IN (2, 4) ORDER BY id) TO STDOUT (FORMAT binary)"));
    let data: Vec<u8> =
        client.until_ready().into_iter().filter(|(tag, _)| *tag == b'd').flat_map(|(_, body)| body).collect();
    let rows: &[u8] = b"\0\x01\0\0\0\x04\0\0\0\x02\0\x01\0\0\0\x04\0\0\0\x04\xff\xff";
    assert_eq!(data[19..], *rows);
    assert_eq!(told(&disclosures("copies")[before..]), "persons 2 4");
    client.rows("DELETE FROM orders WHERE order_id > 80");
}
