//! A working day of four people at one application, one of whom looks up somebody for no reason: whom a lesson has the learner find.
//!
//! They share a login, as users of an application do; the application says who it is in `application_name`. Who is curious, and about whom, is
//! drawn anew each time, so that the answer stands nowhere but in the log.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::desk::Desk;
use super::walk::Ended;

/// The application's users, as it names them.
pub(super) const DESKS: [&str; 4] = ["crm nomsa", "crm pieter", "crm ayesha", "crm lwazi"];
const LOGIN: &str = "support_agent";
/// What support may not see, and somebody wants to.
const WISHES: [&str; 2] = ["health_note", "address"];

/// Plays the day.
pub(super) fn play(desk: &Desk) -> Result<(), Ended> {
    let mut random = rand::rng();
    let mut desks = DESKS;
    desks.shuffle(&mut random);
    let [curious, others @ ..] = desks;
    for other in others {
        let calls: Vec<String> = (0..random.random_range(2..=3)).flat_map(|_| call(&mut random)).collect();
        desk.play(LOGIN, other, &calls)?;
    }
    let somebody = random.random_range(1..=10_000_i64);
    let wish = WISHES.get(random.random_range(0..WISHES.len())).copied().unwrap_or("health_note");
    let mut statements: Vec<String> = (0..random.random_range(7..=11))
        .map(|_| format!("SELECT id, full_name, city FROM customers WHERE id_number = '71{somebody:011}'"))
        .collect();
    statements.push(format!("SELECT {wish} FROM customers WHERE id = {somebody}"));
    statements.extend(call(&mut random));
    desk.play(LOGIN, curious, &statements)
}

/// A customer calls, is found by the number that they read out, and asks about an order.
fn call(random: &mut impl RngExt) -> [String; 2] {
    let (id, number) = (random.random_range(1..=10_000), random.random_range(0..1_000_000_000_i64));
    [
        format!("SELECT id, full_name FROM customers WHERE id_number = '8001{number:09}'"),
        format!("SELECT order_id, status, total FROM orders WHERE customer_id = {id}"),
    ]
}
