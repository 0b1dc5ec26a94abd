//! Operators that somebody made under the names of PostgreSQL's own, which a session's search path puts before them.

use pgpurpose::catalog::load_catalog;

use super::support::operators::{BEFORE, CONTRARY, OPEN, OTHERS};
use super::{FITS, Zoo, run};

/// Each mask over each column before and after these are made and put before PostgreSQL's own; `sign`: that they are.
async fn masks_are_the_same(mut zoo: Zoo, others: &str, sign: &str) {
    let masked = |zoo: &Zoo, mask: &str, columns: &str| {
        zoo.rewritten(mask, "care", &format!("SELECT {columns} FROM zoo ORDER BY id")).unwrap()
    };
    let mut before = Vec::new();
    for (mask, classes) in FITS {
        before.push(zoo.rows(&masked(&zoo, mask, &classes.concat().join(", "))).await);
    }
    zoo.client.batch_execute(others).await.unwrap();
    zoo.catalog = load_catalog(&mut zoo.client, 2).await.unwrap();
    zoo.client.batch_execute(BEFORE).await.unwrap();
    assert!(zoo.client.batch_execute(sign).await.is_err(), "they come before PostgreSQL's own");
    for ((mask, classes), before) in FITS.iter().zip(before) {
        let sql = masked(&zoo, mask, &classes.concat().join(", "));
        assert_eq!(zoo.rows(&sql).await, before, "{mask}");
    }
}

#[test]
fn no_operator_or_type_of_another_is_called_by_a_mask() {
    run(async |zoo: Zoo| masks_are_the_same(zoo, OTHERS, "SELECT 1 + 1").await);
}

#[test]
fn no_comparison_of_another_is_called_by_a_mask_though_it_calls_postgresql_s_own_functions() {
    run(async |zoo: Zoo| masks_are_the_same(zoo, CONTRARY, "SELECT 1 / CASE WHEN 1 = 1 THEN 1 ELSE 0 END").await);
}

#[test]
fn no_operator_of_another_is_called_by_a_mask_though_its_function_is_open() {
    run(async |zoo: Zoo| masks_are_the_same(zoo, OPEN, "SELECT 1 / length('x'::text || 'x'::text)").await);
}
