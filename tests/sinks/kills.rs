//! The proxy is killed while places that keep no position of their own are given records.

use super::http::Receiver;
use super::places::{follow_each_other, lines, until};
use super::support::client::login;
use super::support::own_shop;
use super::support::proxy::Proxy;
use super::syslog::Server;
use super::{POLICY, metric};

#[test]
fn over_tcp_and_http_every_record_comes_after_kills_of_the_proxy() {
    let cluster = own_shop();
    let Some(http) = Receiver::start(&[], &[]) else { return };
    let (address, syslog) = Server::tcp(&[]);
    let sinks = format!(
        "[audit.syslog]\naddress = \"{address}\"\n\
         [audit.http]\nurl = \"{}\"\ntoken = \"env:PGPURPOSE_TEST_TOKEN\"\nrecords = \"all\"\n",
        http.url("http", "127.0.0.1")
    );
    let mut proxy = Proxy::start_in(&cluster, POLICY, &sinks, "", &[("PGPURPOSE_TEST_TOKEN", super::http::TOKEN)]);
    for _ in 0..4 {
        let said = proxy.psql(&cluster, &login("support_agent"), &["SELECT city FROM customers WHERE id = 1"; 10]);
        assert_eq!(said.out.lines().count(), 10, "{}", said.err);
        proxy.kill();
        proxy.restart();
    }
    let even = |sink: &str| metric(&proxy, &format!("pgpurpose_sink_lag_records{{sink=\"{sink}\"}} 0"));
    until("both have everything", || even("syslog") && even("http"));
    let log = lines(&proxy.audit_dir());
    until("the syslog server has read it", || syslog.records().last() == log.last());
    follow_each_other(&log, &syslog.records());
    follow_each_other(&log, &http.taken());
}
