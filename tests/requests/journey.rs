//! A request from opening to outcome, by the commands that an officer types.

use std::io::Read;

use serde_json::Value;

use crate::Stand;

#[test]
fn a_person_is_found_by_what_is_on_record_and_the_search_is_a_record_without_the_value() {
    let stand = Stand::open();
    for by in [["--email", " Canary-6@Example.co.za "], ["--phone", "+27825550006"], ["--id-number", "800101 5009 006"]]
    {
        let out = stand.done(&["find", by[0], by[1], "--json"]);
        let found: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(found["keys"].as_object().unwrap().keys().collect::<Vec<_>>(), ["6"], "{by:?}");
    }
    // Two keys with one telephone number.
    let (code, out, remarks) = stand.subject(&["find", "--phone", "082 555 0007"]);
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    assert!(remarks.contains("2 keys have that phone"), "{remarks}");
    let (code, ..) = stand.subject(&["find", "--email", "nobody@example.co.za"]);
    assert_eq!(code, 1);
    let log = stand.log();
    let finds: Vec<&Value> = log.iter().filter(|record| record["step"] == "find").collect();
    assert_eq!(finds.len(), 5);
    assert!(finds.iter().all(|find| find["by"] == "thabo" && find["lookups"][0]["digest"].is_string()), "{finds:?}");
    let text = format!("{log:?}").to_lowercase();
    for value in ["canary-6@", "825550006", "8001015009006", "nobody@"] {
        assert!(!text.contains(value), "{value} stands in the log");
    }
}

#[test]
fn a_request_has_two_clocks_one_extension_and_one_outcome() {
    let stand = Stand::open();
    let out = stand.done(&[
        "open",
        "--asked",
        "access",
        "--subject",
        "6",
        "--form",
        "whatsapp",
        "--identified",
        "seen in the shop",
        "--received",
        "2026-10-05",
        "--json",
    ]);
    let opened: Value = serde_json::from_str(&out).unwrap();
    // Day 30 is 4 November 2026, which was proclaimed.
    assert_eq!((&opened["strict_by"], &opened["legal_by"]), (&"2026-11-03".into(), &"2026-11-05".into()));
    stand.open_request("access", "7");
    let (code, out, _) = stand.subject(&["due", "--metrics", "requests.prom"]);
    assert!(code == 1 && out.contains("late"), "{out}");
    let metrics = std::fs::read_to_string(stand.path("requests.prom")).unwrap();
    for line in ["requests_open 2", "requests_late 1", "requests_past_strict 0"] {
        assert!(metrics.contains(&format!("\npgpurpose_{line}\n")), "{line}: {metrics}");
    }
    assert!(metrics.contains("\npgpurpose_requests_next_deadline_days -"), "{metrics}");
    let request = opened["request"].to_string();
    let (code, _, remarks) = stand.subject(&["extend", &request, "--ground", "consultation"]);
    assert!(code == 1 && remarks.contains("the time is over"), "{remarks}");
    let young = stand.open_request("correction", "6");
    stand.done(&["extend", &young, "--ground", "volume"]);
    let (code, _, remarks) = stand.subject(&["extend", &young, "--ground", "volume"]);
    assert!(code == 1 && remarks.contains("one extension"), "{remarks}");
    assert!(stand.done(&["show", &young]).contains("PAIA s57(1)(a)"));
}

#[test]
fn the_calendar_has_each_deadline_and_nobodys_name() {
    let stand = Stand::open();
    let request = stand.open_request("access", "6");
    stand.done(&["due", "--ics", "due.ics"]);
    let calendar = std::fs::read_to_string(stand.path("due.ics")).unwrap();
    assert!(calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.ends_with("END:VCALENDAR\r\n"));
    assert_eq!(calendar.matches("BEGIN:VEVENT").count(), 2);
    assert!(calendar.contains(&format!("SUMMARY:Request {request} (access)")) && !calendar.contains("canary"));
}

#[test]
fn an_answer_holds_every_row_of_the_person_and_of_others_only_what_names_them() {
    let stand = Stand::open();
    let request = stand.open_request("access", "5");
    let out = stand.done(&["export", &request, "-o", "5.zip"]);
    assert!(out.contains("5.zip"), "{out}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(stand.path("5.zip")).unwrap()).unwrap();
    let mut entry = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let data: Value = serde_json::from_str(&entry("data.json")).unwrap();
    let rows = |table: &str| -> Vec<Value> {
        let tables = data["tables"].as_array().unwrap().iter();
        tables
            .filter(|found| found["table"] == table)
            .flat_map(|found| found["rows"].as_array().unwrap().clone())
            .collect()
    };
    assert_eq!(rows("public.order_items").len(), 6);
    assert_eq!(rows("public.notes").len(), 1);
    let messages = rows("public.messages");
    assert_eq!(messages.len(), 2);
    let received = messages.iter().find(|message| message["whose"] == "names the person").unwrap();
    assert_eq!(received["columns"]["recipient"], "5");
    assert!(received["columns"]["body"].is_null() && received["columns"]["sender"].is_null());
    let customer = &rows("public.customers")[0]["columns"];
    assert_eq!(customer["email"], "canary-5@example.co.za");
    assert!(customer["served_by"].is_null(), "who served them is somebody else");
    let text = data.to_string();
    assert!(!text.contains("canary-6"));
    let page = entry("index.html");
    for says in [
        "section 23",
        "Where it comes from",
        "Answer a customer",
        "a contract with you needs it",
        "canary-5@example.co.za",
    ] {
        assert!(page.contains(says), "{says}");
    }
    assert!(!page.contains("canary-6") && !page.contains("<script"));
    assert!(entry("tables/public.customers.csv").starts_with("whose,id,full_name,email"));
    // Who is told what is held is told of the right to have it corrected (s23(3)).
    for name in ["index.html", "read me.txt"] {
        let text = entry(name);
        assert!(
            text.contains("24(1)") && text.contains("unlawfully obtained is corrected or deleted"),
            "{name}: {text}"
        );
    }
}

#[test]
fn who_was_given_a_value_is_written_to_when_it_is_corrected_or_goes_and_so_is_the_person() {
    let stand = Stand::open();
    stand.sql("CREATE ROLE books LOGIN");
    let letters = |folder: &str| {
        let mut found: Vec<(String, String)> = std::fs::read_dir(stand.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
            .collect();
        found.sort();
        found
    };
    // Nobody else was ever given a town.
    let request = stand.open_request("correction", "8");
    stand.done(&["correct", &request, "--column", "public.customers.city", "--value", "Gqeberha", "--letters", "town"]);
    let town = letters("town");
    assert_eq!(town.len(), 1, "{town:?}");
    assert!(town[0].1.contains("section 24(4)") && town[0].1.contains("Nobody outside of our business"), "{town:?}");
    // The bookkeeper was given amounts.
    let amount = ["--column", "public.invoices.amount", "--value", "30"];
    stand.done(&[&["correct", request.as_str()], &amount[..], &["--letters", "amount"]].concat());
    let amount = letters("amount");
    assert_eq!(amount.len(), 2, "{amount:?}");
    let books = &amount.iter().find(|(name, _)| name.contains("recipient")).unwrap().1;
    for says in [
        "Books (Pty) Ltd, ZA (B-1)",
        "section 24(3)",
        "`amount` in `public.invoices` were corrected",
        "number 8 in `public.customers`",
    ] {
        assert!(books.contains(says), "{says}: {books}");
    }
    // A deletion whose letters have no place is none.
    let request = stand.open_request("deletion", "8");
    std::fs::write(stand.path("file"), "").unwrap();
    let (code, ..) = stand.subject(&["delete", &request, "--apply", "--letters", "file"]);
    assert_eq!((code, stand.sql("SELECT count(*) FROM customers WHERE id = 8").as_str()), (1, "1"));
    stand.done(&["delete", &request, "--apply", "--letters", "gone"]);
    let gone = letters("gone");
    let books = &gone.iter().find(|(name, _)| name.contains("recipient")).unwrap().1;
    assert!(books.contains("the rows of `public.invoices` were deleted or made anonymous"), "{books}");
    assert!(gone.len() == 2 && !books.contains("`public.notes`"), "what others hold is none of theirs: {books}");
    let all = format!("{town:?}{amount:?}{gone:?}");
    assert!(!all.contains("canary") && !all.contains("Gqeberha"), "a letter holds no value");
}

#[test]
fn a_correction_changes_one_value_and_the_log_has_none() {
    let stand = Stand::open();
    let request = stand.open_request("correction", "6");
    stand.done(&["correct", &request, "--column", "public.customers.city", "--value", "Gqeberha"]);
    assert_eq!(stand.sql("SELECT city FROM customers WHERE id = 6"), "Gqeberha");
    assert_eq!(stand.sql("SELECT count(*) FROM customers WHERE city = 'Gqeberha'"), "1");
    let (code, _, remarks) =
        stand.subject(&["correct", &request, "--column", "public.orders.remark", "--value", "mine"]);
    assert!(code == 1 && remarks.contains("say which with --row"), "{remarks}");
    // A row of somebody else's is none of theirs.
    let (code, ..) =
        stand.subject(&["correct", &request, "--column", "public.orders.remark", "--row", "1", "--value", "mine"]);
    assert_eq!(code, 1);
    let own = stand.sql("SELECT min(order_id) FROM orders WHERE customer_id = 6");
    stand.done(&["correct", &request, "--column", "public.orders.remark", "--row", &own, "--value", "mine"]);
    let (code, _, remarks) = stand.subject(&["correct", &request, "--column", "public.customers.id", "--value", "99"]);
    assert!(code == 1 && remarks.contains("holds rows together"), "{remarks}");
    assert!(!format!("{:?}", stand.log()).contains("Gqeberha"));
    let shown = stand.done(&["show", &request]);
    assert!(shown.contains("correct") && shown.contains("public.customers.city") && shown.contains("thabo"), "{shown}");
}

#[test]
fn each_step_is_a_record_of_the_chain_and_a_closed_request_stays_closed() {
    let stand = Stand::open();
    let request = stand.open_request("consent", "6");
    stand.done(&["consent", &request, "--purpose", "marketing", "--give"]);
    assert_eq!(
        stand.sql("SELECT count(*) FROM privacy.consents WHERE subject_id = 6 AND granted AND withdrawn_at IS NULL"),
        "1"
    );
    stand.done(&["consent", &request, "--purpose", "marketing", "--withdraw"]);
    assert_eq!(stand.sql("SELECT count(*) FROM privacy.consents WHERE subject_id = 6 AND withdrawn_at IS NULL"), "0");
    stand.done(&["object", &request, "--purpose", "offers"]);
    assert_eq!(stand.sql("SELECT purpose FROM privacy.objections WHERE subject_id = 6"), "offers");
    stand.done(&["close", &request, "--outcome", "granted"]);
    let (code, _, remarks) = stand.subject(&["object", &request, "--purpose", "offers"]);
    assert!(code == 1 && remarks.contains("is closed"), "{remarks}");
    let steps: Vec<Value> = stand.log().into_iter().filter(|record| record["event"] == "request").collect();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["open", "give consent", "withdraw consent", "object", "close"]);
    assert!(steps.iter().all(|step| step["subject"].as_str().unwrap().starts_with("ps_")));
    let (code, out, remarks) = stand.run("audit", &["verify"]);
    assert_eq!(code, 0, "{out}{remarks}");
    assert_eq!(stand.sql("SELECT count(*) FROM privacy.request_steps"), "5");
}

#[test]
fn a_role_that_demands_training_warns_until_a_signed_lesson_is_in_the_register() {
    let stand = Stand::open();
    let policy = crate::POLICY.replace("logins = [\"agent\"]", "logins = [\"agent\"]\ntraining = \"12 months\"");
    std::fs::write(stand.path("shop.toml"), policy).unwrap();
    let training = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .current_dir(stand.folder.path())
            .args(["training", "--config", "pgpurpose.toml", "--database", "shop", "--json"])
            .output()
            .unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), told)
    };
    let check = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .current_dir(stand.folder.path())
            .args(["check", "--config", "pgpurpose.toml", "--database", "shop"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let warns = "role `agent` demands training every 12 months, and of login `agent` ";
    assert!(check().contains(&format!("{warns}no lesson is in the register")), "{}", check());
    // A line that nobody signed, or that was written by hand, proves nothing.
    let line = |learner: &str, ago: &str, signed: &str| {
        stand.sql(&format!(
            "INSERT INTO privacy.lessons (learner, lesson, edition, passed_at, steps, right_answers, questions, signed_by, signature) \
             VALUES ('{learner}', 'support', 'ab', now() - interval '{ago}', 6, 10, 10, {signed})"
        ))
    };
    line("agent", "1 day", "NULL, NULL");
    line("agent", "1 day", "repeat('ab', 32), repeat('cd', 64)");
    let (code, told) = training();
    assert_eq!((code, told["untrained"][0]["login"].as_str()), (1, Some("agent")), "{told}");
    assert_eq!(told["lessons"][1]["signature"], "the signature does not hold");
    assert!(check().contains(warns));
    // It neither changes nor goes.
    for change in ["UPDATE privacy.lessons SET learner = 'x'", "DELETE FROM privacy.lessons"] {
        assert!(stand.cluster.run_sql("shop", change).is_err(), "{change}");
    }
}
