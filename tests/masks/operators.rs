//! Operators that somebody made under the names of PostgreSQL's own, which a session's search path puts before them.

use pgpurpose::catalog::load_catalog;

use super::support::operators::{BEFORE, OTHERS};
use super::{FITS, Zoo, run};

#[test]
fn no_operator_or_type_of_another_is_called_by_a_mask() {
    run(async |mut zoo: Zoo| {
        let masked = |zoo: &Zoo, mask: &str, columns: &str| {
            zoo.rewritten(mask, "care", &format!("SELECT {columns} FROM zoo ORDER BY id")).unwrap()
        };
        let mut before = Vec::new();
        for (mask, classes) in FITS {
            before.push(zoo.rows(&masked(&zoo, mask, &classes.concat().join(", "))).await);
        }
        zoo.client.batch_execute(OTHERS).await.unwrap();
        zoo.catalog = load_catalog(&mut zoo.client, 2).await.unwrap();
        zoo.client.batch_execute(BEFORE).await.unwrap();
        assert!(zoo.client.simple_query("SELECT 1 + 1").await.is_err(), "they come before PostgreSQL's own");
        for ((mask, classes), before) in FITS.iter().zip(before) {
            let sql = masked(&zoo, mask, &classes.concat().join(", "));
            assert_eq!(zoo.rows(&sql).await, before, "{mask}");
        }
    });
}
