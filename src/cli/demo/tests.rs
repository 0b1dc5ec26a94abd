use super::*;

fn args(listen: SocketAddr, admin: SocketAddr) -> DemoArgs {
    DemoArgs {
        listen,
        admin,
        centre: admin,
        dir: None,
        pg_bin: None,
        yes: false,
        lesson: None,
        learner: None,
        register: None,
    }
}

fn shop() -> (Cluster, impl Fn(&Cluster, &str) -> String) {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    load_shop(&cluster).unwrap();
    (cluster, |cluster: &Cluster, sql: &str| cluster.run_sql(SHOP_DATABASE, sql).unwrap().trim().to_owned())
}

#[test]
fn the_shop_holds_what_it_says_and_nobody_real() {
    let (cluster, ask) = shop();
    assert!(has_shop(&cluster).unwrap());
    assert_eq!(ask(&cluster, "SELECT count(*) FROM customers"), "10000");
    assert_eq!(ask(&cluster, "SELECT count(*) FROM orders"), "50000");
    assert_eq!(ask(&cluster, "SELECT count(*) FROM orders WHERE total <= 0"), "0");
    // Thirteen digits that begin with the date of birth, and a citizenship that is not issued.
    assert_eq!(
        ask(
            &cluster,
            "SELECT count(*) FROM customers WHERE id_number !~ '^[0-9]{10}7[0-9]{2}$'
                OR left(id_number, 6) <> to_char(date_of_birth, 'YYMMDD')"
        ),
        "0"
    );
    let numbers = ask(&cluster, "SELECT id_number FROM customers");
    assert!(numbers.lines().all(luhn), "a check digit is wrong");
    for purpose in ["marketing", "marketing.sms"] {
        let withdrawn = format!(
            "SELECT count(*) > 100 FROM privacy.consents WHERE purpose = '{purpose}' AND withdrawn_at IS NOT NULL"
        );
        assert_eq!(ask(&cluster, &withdrawn), "t");
    }
    // The proxy's own login reads no data.
    assert_eq!(
        ask(
            &cluster,
            "SELECT rolsuper OR has_table_privilege('pgpurpose', 'customers', 'SELECT') FROM pg_roles WHERE rolname = 'pgpurpose'"
        ),
        "f"
    );
    // The same text gives the same rows everywhere.
    assert_eq!(
        ask(&cluster, "SELECT full_name, id_number FROM customers WHERE id = 1"),
        "Zaheer Moodley|7110185001781"
    );
}

/// Luhn's formula from the right, as every checker of identity numbers computes it.
fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .chars()
        .rev()
        .map(|c| c.to_digit(10).unwrap())
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

#[test]
fn the_configuration_is_valid_toml_and_names_the_socket() {
    let args = args("127.0.0.1:6432".parse().unwrap(), "127.0.0.1:9432".parse().unwrap());
    let text = config_text(&args, Path::new("/tmp/with \"quotes\""), Path::new("/tmp/x/s"), 5432, "pgpurpose");
    let value: toml::Table = text.parse().unwrap();
    assert_eq!(value["upstream"]["address"].as_str(), Some("/tmp/x/s:5432"));
    assert_eq!(value["audit"]["directory"].as_str(), Some("/tmp/with \"quotes\"/audit"));
}

#[test]
fn an_address_in_use_is_said_before_anything_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let args = args(taken.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap());
    let error = run(&args, |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn a_run_prepares_everything_for_the_proxy_and_removes_it_after() {
    let args = args("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
    let mut seen = None;
    run(&args, |start| {
        let config: toml::Table = fs::read_to_string(&start.config).unwrap().parse().unwrap();
        let files = config["policy"]["files"].as_array().unwrap();
        let policies: Vec<_> = files.iter().map(|file| fs::read_to_string(file.as_str().unwrap()).unwrap()).collect();
        let rules = |text: &str| text.split("# ------").nth(5).unwrap().to_owned();
        assert_eq!(rules(&policies[0]), rules(SHOP_POLICY));
        assert!(policies[1].contains("[objections]"));
        let key = config["policy"]["token_key"].as_str().unwrap().strip_prefix("file:").unwrap().to_owned();
        let hex = fs::read_to_string(key).unwrap();
        assert!(hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()));
        seen = start.config.parent().map(Path::to_owned);
        Ok(())
    })
    .unwrap();
    assert!(!seen.unwrap().exists());
}

#[test]
fn the_screen_names_each_login_with_a_line_that_can_be_typed() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let args = args("0.0.0.0:7000".parse().unwrap(), "127.0.0.1:9432".parse().unwrap());
    let mut text = Vec::new();
    screen::Screen::new(&args, &cluster, None, false).print(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for line in
        ["-h 127.0.0.1 -p 7000 -U support_agent shop\n", "-U marketing shop@marketing.sms\n", "http://127.0.0.1:9432"]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
