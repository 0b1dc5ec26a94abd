#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// Codes that wait at a time.
const MOST: usize = 50_000;

fn address(last: u32) -> IpAddr {
    IpAddr::from(last.to_be_bytes())
}

fn thandi() -> Person {
    Person { subject: "17".to_owned(), contact: "thandi@example.co.za".to_owned(), by_mail: true }
}

/// A code for somebody who is known, and for nobody.
fn asked(door: &mut Door, cookie: &str, known: bool, from: IpAddr, now: Instant) -> Option<Asked> {
    let asked = door.ask(cookie, [u8::from(known); 32], from, now)?;
    if known {
        door.found(&asked, thandi());
    }
    Some(asked)
}

/// A code that is not this one.
fn other(code: &str, step: u32) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1 + step) % 1_000_000)
}

#[test]
fn the_right_code_opens_once_for_the_browser_that_asked() {
    let (mut door, now) = (Door::new(), Instant::now());
    let code = asked(&mut door, "a", true, address(1), now).unwrap().code;
    assert_eq!(door.enter("b", &code, address(1), now), Tried::Over);
    let Tried::In(cookie, person) = door.enter("a", &code, address(1), now) else { panic!("it is right") };
    assert_eq!(person, thandi());
    assert!(cookie != "a" && door.session(&cookie, now).is_some() && door.session("a", now).is_none());
    assert_eq!(door.enter("a", &code, address(1), now), Tried::Over);
}

#[test]
fn a_code_lives_fifteen_minutes_and_five_tries_and_until_the_next() {
    let (mut door, now) = (Door::new(), Instant::now());
    let code = asked(&mut door, "a", true, address(1), now).unwrap().code;
    assert_eq!(door.enter("a", &code, address(1), now + CODE), Tried::Over);
    let code = asked(&mut door, "a", true, address(1), now).unwrap().code;
    let tries: Vec<Tried> = (0..6).map(|step| door.enter("a", &other(&code, step), address(1), now)).collect();
    assert_eq!(tries, [4, 3, 2, 1].map(Tried::Wrong).into_iter().chain([Tried::Over, Tried::Over]).collect::<Vec<_>>());
    assert_eq!(door.enter("a", &code, address(1), now), Tried::Over, "the right one comes too late");
    let first = asked(&mut door, "a", true, address(1), now).unwrap();
    let second = asked(&mut door, "a", true, address(1), now).unwrap();
    door.found(&first, thandi());
    if first.code != second.code {
        assert_eq!(door.enter("a", &first.code, address(1), now), Tried::Wrong(4));
    }
}

#[test]
fn a_stranger_is_answered_like_somebody_who_is_known() {
    let now = Instant::now();
    let told = |known: bool| {
        let mut door = Door::new();
        let code = asked(&mut door, "a", known, address(1), now).unwrap().code;
        let waits = door.waits("a", now);
        let tries: Vec<Tried> = (0..6).map(|step| door.enter("a", &other(&code, step), address(1), now)).collect();
        let sent: Vec<bool> = (0..8).map(|_| asked(&mut door, "a", known, address(1), now).is_some()).collect();
        (waits, tries, sent)
    };
    assert_eq!(told(true), told(false));
    // Not even the code itself helps where there is nobody.
    let mut door = Door::new();
    let code = asked(&mut door, "a", false, address(1), now).unwrap().code;
    assert_eq!(door.enter("a", &code, address(1), now), Tried::Wrong(4));
}

#[test]
fn ten_thousand_wrong_codes_from_as_many_addresses_get_nobody_in_and_are_stopped_long_before() {
    let (mut door, begun) = (Door::new(), Instant::now());
    let (mut compared, mut sent) = (0, 0);
    for step in 0..10_000_u32 {
        // A day and a night, each from a browser and an address of its own.
        let now = begun + Duration::from_secs(u64::from(step) * 8);
        let cookie = format!("browser {step}");
        let asked = asked(&mut door, &cookie, true, address(step), now);
        sent += u32::from(asked.is_some());
        let code = asked.map_or_else(|| "000000".to_owned(), |asked| other(&asked.code, step % 999_999));
        match door.enter(&cookie, &code, address(step), now) {
            Tried::In(..) => panic!("try {step} got in"),
            Tried::Wrong(_) => compared += 1,
            Tried::Over => {}
        }
    }
    assert!(compared <= 50, "{compared} codes of one person were compared in a day");
    assert!(sent <= 5 * 24, "{sent} codes were sent to one person in a day");
}

#[test]
fn one_address_may_ask_and_try_so_often_whoever_it_asks_for() {
    let (mut door, now) = (Door::new(), Instant::now());
    let mut sent = 0;
    let mut compared = 0;
    for step in 0..2_000_u32 {
        let cookie = format!("browser {step}");
        let mut contact = [0; 32];
        contact.iter_mut().zip(step.to_be_bytes()).for_each(|(to, from)| *to = from);
        let asked = door.ask(&cookie, contact, address(1), now);
        sent += u32::from(asked.is_some());
        compared += u32::from(matches!(door.enter(&cookie, "x", address(1), now), Tried::Wrong(_)));
    }
    // What is asked too often from one place waits for no code, so that it drives out nobody else's.
    assert_eq!((sent, compared, door.pending.len()), (20, 20, 20));
}

#[test]
fn a_session_ends_unused_and_at_its_longest_and_when_it_is_left() {
    let (mut door, now) = (Door::new(), Instant::now());
    let enter = |door: &mut Door, cookie: &str| {
        let code = asked(door, cookie, true, address(1), now).unwrap().code;
        match door.enter(cookie, &code, address(1), now) {
            Tried::In(cookie, _) => cookie,
            other => panic!("{other:?}"),
        }
    };
    let first = enter(&mut door, "a");
    assert!(door.session(&first, now + IDLE - Duration::from_secs(1)).is_some());
    assert!(door.session(&first, now + IDLE + IDLE).is_none());
    let second = enter(&mut door, "b");
    let mut at = now;
    while at < now + LONGEST {
        assert!(door.session(&second, at).is_some());
        at += IDLE / 2;
    }
    assert!(door.session(&second, at).is_none());
    let third = enter(&mut door, "c");
    door.leave(&third);
    assert!(door.session(&third, now).is_none());
}

#[test]
fn memory_is_bounded_whoever_asks() {
    let (mut door, now) = (Door::new(), Instant::now());
    for step in 0..(MOST as u32 + 1_000) {
        door.ask(&format!("browser {step}"), [0; 32], address(step), now + Duration::from_millis(u64::from(step)));
    }
    assert!(door.pending.len() <= MOST, "{}", door.pending.len());
    assert!(door.waits(&format!("browser {}", MOST + 999), now), "the newest stays");
}
