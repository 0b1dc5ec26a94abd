//! Ways round that are messages, not statements: each case is a list of steps, and each step a list of messages that are
//! sent at once, with all that must come back for them.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::client::{Session, field, message, row};
use super::{DIGEST, Stand, found, port_of, stand, support};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "agent")]
    login: String,
    /// More parameters of the start-up message.
    #[serde(default)]
    startup: Vec<[String; 2]>,
    /// What login is answered with, where it must not succeed.
    #[serde(default)]
    refused: Option<String>,
    /// Messages, then one string that begins with `=>`: what comes back, as [`shown`] writes it.
    #[serde(default)]
    steps: Vec<Vec<String>>,
    /// Statements run straight on the database, as superuser, once the case is over.
    #[serde(default)]
    after: Vec<String>,
}

fn agent() -> String {
    "agent".to_owned()
}

/// One message of the catalogue in bytes. `-` stands for the empty name, `<NUL>` for a zero byte, `*N` behind a word for N times.
fn encoded(text: &str) -> Vec<u8> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = repeated(&rest.replace("<NUL>", "\0").replace("\\n", "\n").replace("\\t", "\t"));
    let mut words = rest.split(' ').map(|word| if word == "-" { "" } else { word });
    match kind {
        "Query" => message(b'Q', format!("{rest}\0").as_bytes()),
        "Parse" => {
            let (name, sql) = rest.split_once(' ').unwrap_or((&rest, ""));
            message(b'P', format!("{}\0{sql}\0\0\0", if name == "-" { "" } else { name }).as_bytes())
        }
        // Portal, statement, `text` or `binary` results, values.
        "Bind" => {
            let mut body = format!("{}\0{}\0", words.next().unwrap(), words.next().unwrap()).into_bytes();
            let binary = words.next().is_some_and(|word| word == "binary");
            let values: Vec<&str> = words.collect();
            body.extend([0, 0]);
            body.extend((values.len() as u16).to_be_bytes());
            for value in values {
                body.extend((value.len() as u32).to_be_bytes());
                body.extend(value.bytes());
            }
            body.extend([0, 1, 0, u8::from(binary)]);
            message(b'B', &body)
        }
        "Describe" | "Close" => {
            let body = format!("{}{}\0", words.next().unwrap(), words.next().unwrap());
            message(kind.as_bytes()[0], body.as_bytes())
        }
        "Execute" => {
            let mut body = format!("{}\0", words.next().unwrap()).into_bytes();
            body.extend(words.next().map_or(0, |rows| rows.parse::<u32>().unwrap()).to_be_bytes());
            message(b'E', &body)
        }
        "Sync" => message(b'S', b""),
        "Flush" => message(b'H', b""),
        "Terminate" => message(b'X', b""),
        "CopyData" => message(b'd', rest.as_bytes()),
        "CopyDone" => message(b'c', b""),
        "CopyFail" => message(b'f', format!("{rest}\0").as_bytes()),
        // The function's oid, no formats, no arguments, text result.
        "FunctionCall" => {
            let oid: u32 = rest.parse().unwrap();
            message(b'F', &[&oid.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat())
        }
        // A tag, and the body as text.
        "Message" => {
            let (tag, body) = rest.split_once(' ').unwrap_or((&rest, ""));
            message(tag.as_bytes()[0], body.as_bytes())
        }
        "Bytes" => rest.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect(),
        other => panic!("no message is called `{other}`"),
    }
}

/// `x*3` becomes `xxx`, where the number has three digits or more.
fn repeated(text: &str) -> String {
    let mut out = Vec::new();
    for word in text.split(' ') {
        let times = word.rsplit_once('*').filter(|(what, times)| !what.is_empty() && times.len() > 2);
        match times.and_then(|(what, times)| Some((what, times.parse::<usize>().ok()?))) {
            Some((what, times)) => out.push(what.repeat(times)),
            None => out.push(word.to_owned()),
        }
    }
    out.join(" ")
}

/// Tags; the status of ReadyForQuery, the SQLSTATE of an error or notice, rows, command tags, `closed` for the end.
fn shown(tag: u8, body: &[u8]) -> String {
    match tag {
        b'Z' => format!("Z{}", char::from(body[0])),
        b'E' | b'N' => format!("{}{}", char::from(tag), field(body, b'C')),
        b'C' => format!("C({})", String::from_utf8_lossy(&body[..body.len() - 1])),
        b'D' => format!("D({})", row(body)),
        b'd' => format!("d({})", String::from_utf8_lossy(body).trim_end()),
        tag => char::from(tag).to_string(),
    }
}

fn step(session: &mut Session, stand: &Stand, step: &[String]) -> Result<(), String> {
    let (expected, messages) = step.split_last().unwrap();
    let expected = expected.strip_prefix("=>").expect("a step ends with what comes back").trim();
    let mut bytes = Vec::new();
    let flush = |session: &mut Session, bytes: &mut Vec<u8>| {
        let _ = session.stream.write_all(&std::mem::take(bytes));
    };
    for text in messages {
        match text.split_once(' ') {
            // What happens meanwhile, elsewhere.
            Some(("direct", sql)) => {
                flush(session, &mut bytes);
                stand.cluster.run_statements("shop", sql).unwrap();
            }
            Some(("pause", _)) => {
                flush(session, &mut bytes);
                thread::sleep(Duration::from_millis(300));
            }
            Some(("cancel", _)) => {
                flush(session, &mut bytes);
                session.cancel();
            }
            Some(("half", rest)) => {
                let whole = encoded(rest);
                bytes.extend(&whole[..whole.len() / 2]);
            }
            // A Parse whose one parameter has this type.
            Some(("Typed", rest)) => {
                let parts: Vec<&str> = rest.splitn(3, ' ').collect();
                let oid = match parts[1].parse::<u32>() {
                    Ok(oid) => oid,
                    Err(_) => {
                        let sql = format!("SELECT '{}'::regtype::oid", parts[1]);
                        support::direct(&stand.cluster, "shop", &sql).parse().unwrap()
                    }
                };
                let mut body = format!("\0{}\0\0\x01", parts[2]).into_bytes();
                body.extend(oid.to_be_bytes());
                bytes.extend(message(b'P', &body));
            }
            _ => bytes.extend(encoded(text)),
        }
    }
    flush(session, &mut bytes);
    let ready = expected.split(' ').filter(|word| matches!(*word, "ZI" | "ZT" | "ZE")).count();
    let closes = expected.ends_with("closed");
    let count = expected.split(' ').filter(|word| !word.is_empty()).count();
    let (mut got, mut seen, mut answers) = (String::new(), 0, 0);
    while closes || seen < ready || (ready == 0 && answers < count) {
        let Some((tag, body)) = session.receive() else {
            got += " closed";
            break;
        };
        seen += usize::from(tag == b'Z');
        answers += 1;
        let _ = write!(got, " {}", shown(tag, &body));
    }
    if got.trim() == expected {
        return Ok(());
    }
    Err(format!("expected {expected}\n       got {}", got.trim()))
}

fn run(stand: &Stand, case: &Case) -> Result<(), String> {
    let startup: Vec<(&str, &str)> = case.startup.iter().map(|[name, value]| (&**name, &**value)).collect();
    let mut session = Session::connect(stand.proxy.port);
    session.start(&case.login, &startup);
    let opened = session.until_ready();
    let mut outcome = match &case.refused {
        Some(state) if opened.states != [state.clone()] || !opened.closed => {
            Err(format!("login must be refused with {state}, and is answered by {opened:?}"))
        }
        None if !opened.states.is_empty() => Err(format!("login fails: {opened:?}")),
        Some(_) | None => Ok(()),
    };
    for (number, messages) in case.steps.iter().enumerate() {
        if outcome.is_ok() {
            outcome = step(&mut session, stand, messages).map_err(|fault| format!("step {}: {fault}", number + 1));
        }
    }
    if let Some(canary) = found(&stand.canaries[case.login.as_str()], &session.all) {
        outcome = Err(format!("the canary `{canary}` came back; {outcome:?}"));
    }
    outcome
}

#[test]
fn no_message_brings_a_protected_value_back() {
    let stand = stand();
    let (mut direct, _) = Session::open(port_of(&stand.cluster), "postgres", &[]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bypass/wire/messages.toml");
    let catalogue: Catalogue = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut faults = Vec::new();
    for case in &catalogue.case {
        let truth = direct.query(DIGEST).rows;
        let outcome = run(stand, case);
        if let Err(fault) = outcome {
            faults.push(format!("{}: {fault}", case.name));
        }
        for sql in &case.after {
            stand.cluster.run_statements("shop", sql).unwrap();
        }
        if direct.query(DIGEST).rows != truth {
            faults.push(format!("{}: the tables hold something else than before", case.name));
        }
    }
    println!("{} ways round by messages", catalogue.case.len());
    assert!(!stand.proxy.output().contains("panicked"), "{}", stand.proxy.output());
    assert!(faults.is_empty(), "{} of {} lead somewhere:\n{}", faults.len(), catalogue.case.len(), faults.join("\n"));
}
