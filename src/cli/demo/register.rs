//! The shop's register: requests, objections, restrictions and lessons as `deploy/privacy.sql` makes them, and the officer who keeps it.
//!
//! The proxy's own login reads no data of the shop, so that requests have another: [`OFFICER`], with a configuration of its own over the same
//! policies and the same access log.

use std::path::Path;

use super::{SHOP_DATABASE, SHOP_POLICY};
use crate::cluster::{Cluster, ClusterError};

const PRIVACY_SQL: &str = include_str!("../../../deploy/privacy.sql");
/// The sections of it that the shop has not its own form of, as their headings begin.
const SECTIONS: [&str; 4] = ["objections", "restrictions", "requests", "lessons"];
/// The login that keeps the register.
pub(super) const OFFICER: &str = "privacy_officer";

const GRANTS: &str = "\
CREATE ROLE privacy_officer LOGIN;
GRANT USAGE ON SCHEMA public, privacy TO privacy_officer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, privacy TO privacy_officer;
-- Row filters run in the session of whom they are about.
GRANT SELECT ON privacy.objections, privacy.restrictions TO support_agent, marketing, analyst;
";

/// Where the register is, for the policies.
const WISHES: &str = r#"version = 1

[objections]
table = "privacy.objections"
subject = "subject_id"
purpose = "purpose"
active = "lifted_at IS NULL"

[restrictions]
table = "privacy.restrictions"
subject = "subject_id"
active = "lifted_at IS NULL"
"#;

/// Makes the register, where it is not there yet.
///
/// # Errors
/// What `psql` says.
pub(super) fn load(cluster: &Cluster) -> Result<(), ClusterError> {
    let there = cluster.run_sql(SHOP_DATABASE, "SELECT to_regclass('privacy.lessons') IS NOT NULL")?;
    if there.trim() == "t" {
        return Ok(());
    }
    let sections: Vec<String> = sections().into_iter().filter(|(name, _)| wanted(name)).map(|(_, sql)| sql).collect();
    let sql = format!("BEGIN;\n{}\n{GRANTS}\nCOMMIT;\n", sections.join("\n"));
    cluster.run_statements(SHOP_DATABASE, &sql).map(drop)
}

fn wanted(name: &str) -> bool {
    SECTIONS.iter().any(|wanted| name.starts_with(wanted))
}

/// The headings of the file, each with what stands below it.
pub(super) fn sections() -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in PRIVACY_SQL.lines() {
        match (line.strip_prefix("-- ---"), sections.last_mut()) {
            (Some(heading), _) => sections.push((heading.trim_start_matches('-').trim().to_owned(), String::new())),
            (None, Some((_, sql))) => {
                sql.push_str(line);
                sql.push('\n');
            }
            (None, None) => {}
        }
    }
    sections
}

/// The demo's policies by file: the shop's, which says besides whose rows were seen, and where wishes are kept.
pub(super) fn policies() -> [(&'static str, String); 2] {
    let recorded = SHOP_POLICY.replacen(
        "[tables.\"public.customers\"]\n",
        "[tables.\"public.customers\"]\nrecord_subjects = true           # the access log says whose rows were seen\n",
        1,
    );
    // Where objections are kept, rows may be missing from what was seen whole: the policy's own tests call that masked.
    let recorded = recorded.replace("expect = \"allow\"", "expect = \"mask\"");
    [("shop.toml", recorded), ("wishes.toml", WISHES.to_owned())]
}

/// Who the shop is, for answers and papers. Nobody of that name exists.
pub(super) const ORGANISATION: &str = "\
[organisation]
name = \"Kaap Winkel (sample)\"
information_officer = \"N. Dlamini\"
email = \"privacy@shop.example.co.za\"
";

/// The configuration of whoever answers requests.
pub(super) fn officer_config(root: &Path) -> std::path::PathBuf {
    root.join("officer.toml")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_section_is_there_once_and_the_policy_says_whose_rows_were_seen() {
        for name in SECTIONS {
            assert_eq!(sections().iter().filter(|(heading, _)| heading.starts_with(name)).count(), 1, "{name}");
        }
        let [(_, shop), (_, wishes)] = policies();
        assert!(shop.contains("record_subjects = true"));
        let sources = [("shop.toml".into(), shop), ("wishes.toml".into(), wishes)];
        crate::policy::PolicySet::from_sources(&sources).unwrap();
    }
}
