//! The same question, another answer for each purpose.

use super::support::client::login;
use super::support::proxy::Proxy;
use super::support::shop;
use super::{psql, truth};

/// Customer 1 as the database holds it: name, address of mail, identity number.
fn first_customer() -> (String, String, String) {
    let row = truth("SELECT full_name, email, id_number FROM customers WHERE id = 1");
    let mut fields = row.split('|').map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
}

#[test]
fn three_purposes_see_three_truths() {
    let (name, _, number) = first_customer();
    let stars = |keep: usize, text: &str| "*".repeat(text.chars().count() - keep);
    let support = psql(
        &login("support_agent"),
        &["SELECT id, full_name, email, id_number, date_of_birth, city FROM customers WHERE id = 1"],
    );
    assert_eq!(
        support.fine(),
        format!("1|Z{}|z***@m***.za|{}1781|1971-01-01|Polokwane", stars(1, &name), stars(4, &number))
    );

    let agreed = "SELECT id, full_name, email FROM customers ORDER BY id LIMIT 5";
    let truth_of_marketing = truth(
        "SELECT id, full_name, email FROM customers WHERE id IN (SELECT subject_id FROM privacy.consents
         WHERE purpose = 'marketing' AND granted AND withdrawn_at IS NULL) ORDER BY id LIMIT 5",
    );
    assert_eq!(psql(&login("marketing"), &[agreed]).fine(), truth_of_marketing);

    let analyst = psql(&login("analyst"), &["SELECT id FROM customers"]);
    assert!(analyst.err.contains("42501") && analyst.out.is_empty(), "{analyst:?}");
}

#[test]
fn consent_filters_every_row_of_every_table_of_a_subject() {
    let marketing = login("marketing");
    let counts = psql(&marketing, &["SELECT count(*) FROM customers", "SELECT count(*) FROM orders"]).lines();
    let live =
        "SELECT subject_id FROM privacy.consents WHERE purpose = 'marketing' AND granted AND withdrawn_at IS NULL";
    assert_eq!(counts[0], truth(&format!("SELECT count(*) FROM customers WHERE id IN ({live})")));
    assert_eq!(counts[1], truth(&format!("SELECT count(*) FROM orders WHERE customer_id IN ({live})")));
    let items = psql(&marketing, &["SELECT count(*) FROM order_items"]).fine();
    assert_eq!(
        items,
        truth(&format!("SELECT count(*) FROM order_items JOIN orders USING (order_id) WHERE customer_id IN ({live})"))
    );
}

#[test]
fn a_star_leaves_denied_columns_out() {
    let row = psql(&login("support_agent"), &["SELECT * FROM customers WHERE id = 5"]).fine();
    let expected = truth(
        "SELECT id, left(full_name, 1) || repeat('*', length(full_name) - 1), 'e***@p***.org',
                repeat('*', length(phone) - 3) || right(phone, 3),
                repeat('*', 9) || right(id_number, 4), date_trunc('year', date_of_birth)::date, city, postal_code,
                created_at
         FROM customers WHERE id = 5",
    );
    assert_eq!(row, expected);
    let note = truth("SELECT health_note FROM customers WHERE id = 5");
    assert!(!note.is_empty() && !row.contains(&note));
}

#[test]
fn a_denied_column_is_refused_with_everything_that_helps() {
    let said = psql(&login("support_agent"), &["SELECT id, health_note FROM customers", "SELECT 1"]);
    assert!(said.err.contains("ERROR:  42501: "), "{said:?}");
    let message = said.err.lines().next().unwrap();
    for word in ["health_note", "support_agent", "support"] {
        assert!(message.contains(word), "{word} is missing in {message}");
    }
    assert!(said.err.contains("DETAIL:  "), "{said:?}");
    assert!(said.err.contains("support sees contact details"), "the rule is named: {said:?}");
    assert!(said.err.contains("HINT:  "), "{said:?}");
    assert_eq!(said.out, "1", "the session goes on");

    let unlisted = psql(&login("support_agent"), &["SELECT address FROM customers"]);
    assert!(unlisted.err.contains("42501") && unlisted.err.contains("address"), "{unlisted:?}");
    assert!(unlisted.err.contains("no rule opens it"), "{unlisted:?}");
}

#[test]
fn what_is_hidden_cannot_be_asked_for_by_another_way() {
    let (_, email, number) = first_customer();
    let support = login("support_agent");
    for sql in [
        "SELECT health_note FROM customers".to_owned(),
        "SELECT id FROM customers WHERE health_note IS NOT NULL".into(),
        "SELECT id FROM customers ORDER BY health_note".into(),
        "SELECT count(*) FROM customers GROUP BY health_note".into(),
        "SELECT c.health_note FROM public.customers AS c".into(),
        "SELECT \"health_note\" FROM \"public\".\"customers\"".into(),
        "SELECT (SELECT health_note FROM customers WHERE id = o.customer_id) FROM orders o".into(),
        "WITH c AS (SELECT * FROM customers) SELECT health_note FROM c".into(),
        "SELECT full_name FROM staff".into(),
        "SELECT * FROM privacy.consents".into(),
        "SELECT most_common_vals FROM pg_stats".into(),
        "SELECT query_to_xml('SELECT health_note FROM customers', true, true, '')".into(),
        "SELECT pg_read_file('/etc/passwd')".into(),
        "DO $$ BEGIN PERFORM 1; END $$".into(),
        "SELECT 2 &/* ' */ 3, health_note FROM customers --'".into(),
        "COPY (SELECT health_note FROM customers) TO STDOUT".into(),
        "COPY customers (health_note) TO STDOUT".into(),
        "EXPLAIN ANALYZE SELECT health_note FROM customers".into(),
        "DECLARE c CURSOR WITH HOLD FOR SELECT health_note FROM customers".into(),
        "PREPARE p AS SELECT health_note FROM customers".into(),
        "UPDATE customers SET city = city WHERE health_note LIKE 'a%'".into(),
        "DELETE FROM customers WHERE email LIKE 'a%'".into(),
        "UPDATE orders SET status = (SELECT health_note FROM customers WHERE id = 1) WHERE order_id = 1".into(),
        "CREATE TEMP TABLE mine AS SELECT health_note FROM customers".into(),
    ] {
        let said = psql(&support, &[&sql]);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{sql}: {said:?}");
    }
    // Masked columns are masked below every predicate.
    for (sql, expected) in [
        (format!("SELECT count(*) FROM customers WHERE email = '{email}'"), "0"),
        ("SELECT count(*) FROM customers WHERE id = 1 AND email = 'z***@m***.za'".into(), "1"),
        ("SELECT count(*) FROM customers WHERE id = 1 AND full_name LIKE 'Zaheer%'".into(), "0"),
        ("SELECT row_to_json(c)::jsonb ? 'health_note' FROM customers c WHERE id = 5".into(), "f"),
        (
            "SELECT max(date_of_birth) - max(date_of_birth) FROM customers WHERE date_of_birth = '1971-10-18'".into(),
            "∅",
        ),
        // An exact value that is asked for may be found, and stays masked.
        (format!("SELECT id, id_number FROM customers WHERE id_number = '{number}'"), "1|*********1781"),
    ] {
        assert_eq!(psql(&support, &[&sql]).fine(), expected, "{sql}");
    }
}

#[test]
fn joins_and_aggregates_over_open_columns_are_the_databases_own() {
    for sql in [
        "SELECT c.city, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.city ORDER BY 1",
        "SELECT o.order_id, o.total, p.name FROM orders o JOIN order_items i USING (order_id) JOIN products p USING (product_id)
         WHERE o.customer_id = 17 ORDER BY 1, 3",
        "SELECT id, (SELECT count(*) FROM orders WHERE customer_id = c.id) FROM customers c WHERE id < 20 ORDER BY id",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, city FROM r JOIN customers ON id = n ORDER BY n",
        "SELECT order_id, rank() OVER (PARTITION BY status ORDER BY total DESC, order_id) FROM orders WHERE order_id < 50 ORDER BY 1",
        "SELECT c.id, c.city, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id < 30 GROUP BY c.id ORDER BY 1",
        "SELECT DISTINCT ON (city) city, id FROM customers ORDER BY city, id",
        "TABLE products ORDER BY 1",
        "SELECT id FROM customers WHERE id < 9 EXCEPT SELECT customer_id FROM orders ORDER BY 1",
    ] {
        assert_eq!(psql(&login("support_agent"), &[sql]).fine(), truth(sql), "{sql}");
    }
}

#[test]
fn writes_are_held_to_the_rules() {
    let support = login("support_agent");
    let before = truth("SELECT count(*) FROM customers WHERE email LIKE '%evil%'");
    let done = psql(&support, &["UPDATE orders SET status = 'shipped' WHERE order_id = 77 RETURNING order_id, status"]);
    assert_eq!(done.fine(), "77|shipped");
    assert_eq!(truth("SELECT status FROM orders WHERE order_id = 77"), "shipped");
    for sql in [
        "UPDATE customers SET email = 'evil@example.com' WHERE id = 1",
        "INSERT INTO customers (id, email) VALUES (1000001, 'evil@example.com')",
        "UPDATE customers SET city = 'x' WHERE id = 1 RETURNING health_note",
    ] {
        let said = psql(&support, &[sql]);
        assert!(said.err.contains("42501"), "{sql}: {said:?}");
    }
    assert_eq!(truth("SELECT count(*) FROM customers WHERE email LIKE '%evil%'"), before);
    assert_eq!(truth("SELECT city FROM customers WHERE id = 1"), "Polokwane");
}

#[test]
fn copy_cursors_and_explain_go_the_same_way() {
    let support = login("support_agent");
    let copied = psql(&support, &["COPY (SELECT id, email FROM customers WHERE id = 1) TO STDOUT"]).fine();
    assert_eq!(copied, "1\tz***@m***.za");
    let fetched = psql(
        &support,
        &[
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT id, email FROM customers ORDER BY id",
            "FETCH 1 FROM c",
            "MOVE 3 FROM c",
            "FETCH 1 FROM c",
            "COMMIT",
        ],
    );
    assert_eq!(fetched.lines(), ["1|z***@m***.za", "5|e***@p***.org"]);
    let plan = psql(&support, &["EXPLAIN (COSTS off) SELECT * FROM customers WHERE id = 1"]).fine();
    assert!(plan.contains("Index Scan") && plan.contains("customers_pkey"), "{plan}");
}

#[test]
fn an_unrestricted_role_is_relayed_as_it_is_and_its_tables_are_known_at_once() {
    let migrator = login("migrator");
    let whole = "SELECT * FROM customers WHERE id = 5";
    assert_eq!(psql(&migrator, &[whole]).fine(), truth(whole));
    psql(&migrator, &["CREATE TABLE public.fresh (id integer)", "GRANT SELECT ON public.fresh TO support_agent"])
        .fine();
    let said = psql(&login("support_agent"), &["SELECT * FROM fresh"]);
    assert!(said.err.contains("42501") && said.err.contains("fresh"), "known, and not listed: {said:?}");
    psql(
        &migrator,
        &[
            "CREATE VIEW public.notes AS SELECT id, health_note FROM customers",
            "GRANT SELECT ON public.notes TO support_agent",
        ],
    )
    .fine();
    let said = psql(&login("support_agent"), &["SELECT health_note FROM notes"]);
    assert!(!said.err.is_empty() && said.out.is_empty(), "a view of a governed table is governed: {said:?}");
    psql(&migrator, &["DROP VIEW public.notes", "DROP TABLE public.fresh"]).fine();
}

#[test]
fn the_sample_shops_own_policy_shows_three_different_truths() {
    let cluster = shop();
    let proxy = Proxy::start(cluster);
    let ask = |who: &str| proxy.psql(cluster, &login(who), &["SELECT * FROM customers ORDER BY id LIMIT 3"]);
    let (support, marketing, analyst) = (ask("support_agent"), ask("marketing"), ask("analyst"));
    let number = truth("SELECT id_number FROM customers WHERE id = 1");
    assert_eq!(support.out.lines().count(), 3, "{support:?}");
    assert_eq!(marketing.out.lines().count(), 3, "{marketing:?}");
    assert_ne!(support.out, marketing.out);
    assert!(!support.out.contains(&number));
    assert!(analyst.out.is_empty() && analyst.err.contains("42501"), "{analyst:?}");
}
