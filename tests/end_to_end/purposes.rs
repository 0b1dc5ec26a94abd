//! How an unchanged application says its purpose.

use super::psql;
use super::support::client::login;

const SHOW: &str = "SHOW pgpurpose.purpose";

#[test]
fn the_purpose_in_force_can_be_asked_for() {
    let said = psql(&login("support_agent"), &[SHOW, "SHOW pgpurpose.role", "SHOW pgpurpose.policy"]).lines();
    assert_eq!(said[..2], ["support", "support_agent"]);
    assert!(said[2].starts_with("sha256:"), "{said:?}");
}

#[test]
fn a_purpose_may_be_set_by_each_of_the_four_ways() {
    let marketing = login("marketing");
    assert_eq!(psql(&marketing, &[SHOW]).fine(), "marketing", "the role's first is its default");
    assert_eq!(
        psql(&marketing, &["SET pgpurpose.purpose = 'marketing.sms'", SHOW, "RESET pgpurpose.purpose", SHOW]).lines(),
        ["marketing.sms", "marketing"]
    );
    let by_option = marketing.clone().options("-c pgpurpose.purpose=marketing.sms");
    assert_eq!(psql(&by_option, &[SHOW]).fine(), "marketing.sms");
    let by_database = marketing.clone().database("shop@marketing.sms");
    assert_eq!(psql(&by_database, &[SHOW, "SELECT current_database()"]).lines(), ["marketing.sms", "shop"]);
    // By comment: for that statement only, and over everything else.
    let count = "SELECT count(*) FROM customers";
    let commented = format!("/* purpose='marketing.sms' */ {count}");
    let said = psql(&marketing, &[count, &commented, count]).lines();
    let sms = psql(&by_option, &[count]).fine();
    assert_eq!(said[1], sms);
    assert_eq!(said[0], said[2]);
    assert_ne!(said[0], said[1]);
}

#[test]
fn the_nearest_way_wins() {
    let marketing = login("marketing").database("shop@marketing");
    let count = "SELECT count(*) FROM customers";
    let (all, sms) =
        (psql(&marketing, &[count]).fine(), psql(&login("marketing").database("shop@marketing.sms"), &[count]).fine());
    assert_ne!(all, sms);
    // The connection's option over the database's name.
    let option = marketing.clone().options("-c pgpurpose.purpose=marketing.sms");
    assert_eq!(psql(&option, &[SHOW]).fine(), "marketing.sms");
    let turned = login("marketing").database("shop@marketing.sms").options("-c pgpurpose.purpose=marketing");
    assert_eq!(psql(&turned, &[SHOW]).fine(), "marketing");
    // SET over the option, until it is reset to it.
    let said =
        psql(&option, &["SET pgpurpose.purpose = 'marketing'", SHOW, count, "RESET pgpurpose.purpose", SHOW, count]);
    assert_eq!(said.lines(), ["marketing", &all, "marketing.sms", &sms]);
    // The comment over all of them, before the statement and behind it.
    for commented in [
        format!("/*purpose='marketing.sms'*/ {count}"),
        format!("{count} /*purpose='marketing.sms'*/"),
        format!("{count}; /*app='crm',purpose='marketing%2Esms'*/"),
    ] {
        let said = psql(&turned, &["SET pgpurpose.purpose = 'marketing'", &commented, count]);
        assert_eq!(said.lines(), [sms.clone(), all.clone()], "{commented}");
    }
}

#[test]
fn a_comment_that_is_a_value_or_contradicts_another_changes_no_purpose() {
    let marketing = login("marketing");
    let count = "SELECT count(*) FROM customers";
    let all = psql(&marketing, &[count]).fine();
    for within in [
        format!("{count} WHERE city <> '/*purpose=''marketing.sms''*/'"),
        format!("{count} WHERE city <> $$/*purpose='marketing.sms'*/$$"),
        "SELECT count(*) /*purpose='marketing.sms'*/ FROM customers".to_owned(),
        format!("{count} -- purpose='marketing.sms'"),
    ] {
        assert_eq!(psql(&marketing, &[&within]).fine(), all, "{within}");
    }
    let both = format!("/*purpose='marketing'*/ {count} /*purpose='marketing.sms'*/");
    let said = psql(&marketing, &[&both]);
    assert!(said.err.contains("22023") && said.err.contains("two purposes") && said.out.is_empty(), "{said:?}");
    let foreign = psql(&login("support_agent"), &[&format!("{count} /*purpose='marketing'*/")]);
    assert!(foreign.err.contains("42501") && foreign.out.is_empty(), "{foreign:?}");
}

#[test]
fn set_is_undone_as_any_setting_is() {
    let said = psql(
        &login("marketing"),
        &[
            "BEGIN",
            "SET LOCAL pgpurpose.purpose = 'marketing.sms'",
            SHOW,
            "COMMIT",
            SHOW,
            "BEGIN",
            "SET pgpurpose.purpose = 'marketing.sms'",
            "ROLLBACK",
            SHOW,
        ],
    );
    assert_eq!(said.lines(), ["marketing.sms", "marketing", "marketing"]);
}

#[test]
fn a_purpose_that_the_role_may_not_use_is_refused() {
    let at_connection = psql(&login("support_agent").options("-c pgpurpose.purpose=marketing"), &["SELECT 1"]);
    assert!(
        !at_connection.ok && at_connection.out.is_empty() && at_connection.err.contains("marketing"),
        "{at_connection:?}"
    );
    let later = psql(&login("support_agent"), &["SET pgpurpose.purpose = 'marketing'", SHOW]);
    assert!(later.err.contains("42501") && later.err.contains("marketing"), "{later:?}");
    assert_eq!(later.out, "support", "and the one in force stays");
    let by_comment = psql(&login("support_agent"), &["/* purpose='marketing' */ SELECT 1"]);
    assert!(by_comment.err.contains("42501") && by_comment.out.is_empty(), "{by_comment:?}");
    let unknown = psql(&login("support_agent").database("shop@weather"), &["SELECT 1"]);
    assert!(!unknown.ok && unknown.out.is_empty(), "{unknown:?}");
}

#[test]
fn a_login_that_no_role_names_is_refused() {
    let said = psql(&login("pgpurpose"), &["SELECT 1"]);
    assert!(!said.ok && said.out.is_empty(), "{said:?}");
}
