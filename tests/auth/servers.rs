//! Several servers of one database: the first that can be reached and accepts writes.

use pgpurpose::cli::cluster::{Cluster, ClusterOptions, ServerUser};

use crate::setup::{Guarded, Libpq, PASSWORD, ask, conninfo, missing, proxy};

const HBA: &str = "local all postgres trust\nlocal replication postgres trust\nlocal all all scram-sha-256\n";

#[test]
fn a_standby_and_a_server_that_is_away_are_passed_over() {
    let primary = Guarded::start_as(HBA, None, false, &[("wal_level", "replica"), ("max_wal_senders", "4")]);
    // A standby of it, for real.
    let user = ServerUser::choose().unwrap();
    let folder = tempfile::Builder::new().prefix("pgpurpose-standby-").tempdir_in("/var/tmp").unwrap();
    user.give(folder.path()).unwrap();
    let copy = folder.path().join("data");
    let mut backup = user.command(primary.cluster.bin().program("pg_basebackup"));
    backup.args(["-R", "-c", "fast", "-X", "stream", "-U", "postgres", "-D"]).arg(&copy);
    backup.arg("-h").arg(primary.cluster.socket_dir()).args(["-p", &primary.cluster.port().to_string()]);
    let made = backup.output();
    let Ok(made) = made else { return missing("no pg_basebackup, so standbys are not tested") };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let options = ClusterOptions {
        settings: vec![("hot_standby".into(), "on".into()), ("max_connections".into(), "200".into())],
        hba: Some(HBA.into()),
        template: Some(copy),
        ..ClusterOptions::default()
    };
    let standby = Cluster::start(&options).expect("the standby starts");
    assert_eq!(standby.run_sql("shop", "SELECT pg_is_in_recovery()").unwrap().trim(), "t");

    let away = "/nonexistent:5432";
    let at_standby = format!("{}:{}", standby.socket_dir().display(), standby.port());
    let list = format!("{away}\", \"{at_standby}\", \"{}", primary.socket());
    for method in ["passthrough", "relay"] {
        let upstream =
            primary.upstream(&list, "").replace(&format!("address = \"{list}\""), &format!("address = [\"{list}\"]"));
        let proxy = proxy("", &format!("{upstream}{}", primary.auth(method)));
        let to = conninfo(&proxy, "support_agent", "sslmode=disable");
        let write = "UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING status";
        let mut said = ask(&primary, Libpq::Own, &to, PASSWORD, write);
        // Relayed, the client has answered the standby, and must come again.
        if method == "relay" {
            assert!(said.as_ref().is_err_and(|error| error.contains("accepts no writes")), "{said:?}");
            said = ask(&primary, Libpq::Own, &to, PASSWORD, write);
        }
        assert!(said.as_ref().is_ok_and(|said| said.contains("paid")), "{method}: {said:?}");
    }
    drop(standby);
}
