//! The plans of the consent filter: what it costs is a descent of an index.

use super::{Stand, stand};

/// The plan of what the proxy sends for a statement, as the role that asks would run it.
fn plan(stand: &Stand, sql: &str) -> String {
    stand.see("", &format!("EXPLAIN (COSTS OFF) {sql}")).fine()
}

/// At the size for which `benches/consent.sh` measures them.
#[test]
fn the_consent_filter_is_read_from_indexes() {
    let stand = stand();
    stand.direct(
        "INSERT INTO customers SELECT i, 'c' || i || '@example.co.za', NULL FROM generate_series(1001, 201000) i;
         INSERT INTO privacy.consents (subject_id, purpose, evidence)
             SELECT i, 'marketing', 'form' FROM generate_series(1001, 201000) i WHERE i % 2 = 0;
         ",
    );
    // A page counts as visible to all once no older snapshot is left, such as that of a catalog being read.
    let unseen = "SELECT relpages - relallvisible FROM pg_class WHERE oid = 'privacy.consents'::regclass";
    for _ in 0..100 {
        stand.cluster.run_statements("shop", "VACUUM (ANALYZE) customers, privacy.consents").unwrap();
        if stand.direct(unseen) == "0" {
            break;
        }
    }
    let point = plan(stand, "SELECT id, email FROM customers WHERE id = 1500");
    assert!(point.contains("customers_pkey") && point.contains("consents_"), "{point}");
    assert!(!point.contains("Seq Scan"), "{point}");
    let scan = plan(stand, "SELECT id, email FROM customers WHERE id BETWEEN 2000 AND 3999");
    assert!(scan.contains("customers_pkey") && scan.contains("consents_"), "{scan}");
    assert!(!scan.contains("Seq Scan on customers"), "{scan}");
}
