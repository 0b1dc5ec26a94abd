//! The sweep over all key words: each is a name through the proxy wherever PostgreSQL takes it for one.

use crate::{proxy, straight};

/// Places for a name; `@` is the word.
const PLACES: [&str; 10] = [
    "SELECT 1 AS @",
    "SELECT 1 @",
    "SELECT x.@ FROM (SELECT 1 AS \"@\") x",
    "SELECT @ FROM (SELECT 1 AS \"@\") x",
    "SELECT 1 FROM (SELECT 1 AS i) @",
    "SELECT @.i FROM (SELECT 1 AS i) AS @ WHERE @.i = 1",
    "SELECT 1 FROM (SELECT 1 AS \"@\") x ORDER BY @",
    "SELECT count(*) FROM (SELECT 1 AS \"@\") x GROUP BY @ HAVING max(@) = 1",
    "SELECT i FROM (SELECT 1) x (i) WHERE i IN (SELECT @ FROM (SELECT 1) AS y (@))",
    "WITH @ AS (SELECT 1 AS @) SELECT @ FROM @ WHERE @ > 0",
];

#[test]
fn every_key_word_is_a_name_where_postgresql_takes_it_for_one() {
    let mut through = proxy().login("app", &[("database", "through")]);
    let mut direct = straight("beside", "app");
    let words = direct.rows("SELECT word FROM pg_get_keywords() ORDER BY 1");
    assert!(words.len() > 400, "{}", words.len());
    let (mut asked, mut differences) = (0, Vec::new());
    for word in &words {
        for place in PLACES {
            let sql = place.replace('@', word);
            let expected = direct.rows(&sql);
            if expected.iter().any(|row| row.contains(" E") || row.starts_with('E')) {
                continue;
            }
            asked += 1;
            let said = through.rows(&sql);
            // Of the clock and the database's name, which differ, that there is one.
            let differs = word.starts_with("current") || word.starts_with("local");
            if said != expected && !(differs && said.len() == expected.len() && !said[0].starts_with('E')) {
                differences.push(format!("{sql}: {expected:?}, and through the proxy {said:?}"));
            }
        }
    }
    println!("{asked} statements over {} words", words.len());
    assert!(differences.is_empty(), "{} of {asked} differ\n{}", differences.len(), differences.join("\n"));
}
