//! Purposes that see groups only, where a column that may be grouped by names one person each.

use pgpurpose::server::Options;

use super::raw::{self, servers, socket};
use super::{run, session};

const POLICY: &str = r#"
version = 1
[tables."public.staff"]
subject = "id"
columns = { id = "reference", email = "contact", office = "place", desk = "place", pay = "money" }
[purposes.figures]
basis = "legitimate_interest"
min_group = 3
[roles.r]
logins = ["support"]
purposes = ["figures"]
[[rules]]
name = "all"
roles = ["r"]
purposes = ["figures"]
read = ["contact", "place", "money", "reference"]
"#;

const NAME: &str = "figures";

/// `email` is unique, and so are `office` and `desk` together; neither is the primary key, which is never grouped by.
#[test]
fn a_unique_column_gives_groups_of_one_which_are_never_shown() {
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {NAME}")).unwrap();
    run(
        NAME,
        "CREATE TABLE staff (id bigint PRIMARY KEY, email text UNIQUE, office text, desk int, pay numeric, UNIQUE (office, desk));
         INSERT INTO staff SELECT n, 'p' || n, CASE WHEN n <= 6 THEN 'Durban' ELSE 'Paarl' END, n % 6, n * 100
             FROM generate_series(1, 12) AS n;
         GRANT SELECT ON staff TO support",
    );
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(NAME));
    let mut client = session(&proxy, NAME, "figures");
    assert_eq!(
        client.rows("SELECT office, count(*), sum(pay) FROM staff GROUP BY office ORDER BY office"),
        ["Durban|6|2100", "Paarl|6|5700"],
        "what groups are for"
    );
    for alone in [
        "SELECT email, count(*) FROM staff GROUP BY email",
        "SELECT email, sum(pay) FROM staff GROUP BY 1",
        "SELECT office, desk, sum(pay) FROM staff GROUP BY office, desk",
        "SELECT sum(pay) FROM staff WHERE email = 'p7'",
        "SELECT sum(pay) FROM staff WHERE office = 'Paarl' AND desk = 1",
        // All but one tell of that one.
        "SELECT sum(pay) FROM staff WHERE email <> 'p7'",
        "SELECT office, sum(pay) FROM staff WHERE email IN ('p1', 'p2') GROUP BY office",
    ] {
        assert_eq!(client.rows(alone), Vec::<String>::new(), "{alone}");
    }
    for refused in [
        "SELECT id, sum(pay) FROM staff GROUP BY id",
        "SELECT sum(pay) FROM staff WHERE id <> 7",
        "SELECT email FROM staff GROUP BY email HAVING count(*) = 1",
        "SELECT count(DISTINCT email) FROM staff WHERE email LIKE 'p1%' GROUP BY left(email, 2)",
    ] {
        assert_eq!(client.query(refused), "E42501 ZI", "{refused}");
    }
}
