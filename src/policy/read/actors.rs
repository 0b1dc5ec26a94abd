//! Validates what policies say of the application's end user: `actor`, `actor_from_application`, `rows` and `own`.

use super::condition;
use crate::document::{Fault, Located};
use crate::policy::model::{ActorFrom, ActorRule, Actors, RowCondition};

/// What a role says.
pub(in crate::policy) fn of_role(
    rule: Option<Located<String>>,
    from: Option<Located<String>>,
    unrestricted: &Option<String>,
    faults: &mut Vec<Fault>,
) -> Actors {
    let mut actors = Actors::default();
    if let Some(rule) = rule {
        match ActorRule::parse(&rule.value) {
            Some(ActorRule::Free) => {}
            Some(_) if unrestricted.is_some() => faults.push(Fault::error(
                &rule.place,
                "an unrestricted role's statements are not decided: `actor` cannot be demanded of them",
            )),
            Some(known) => actors.rule = known,
            None => {
                let message = format!("`actor` is `required`, `each` or `free`, and not `{}`", rule.value);
                faults.push(Fault::error(&rule.place, message));
            }
        }
    }
    if let Some(from) = from {
        match from.value.parse::<ActorFrom>() {
            Ok(_) if actors.rule == ActorRule::Each => faults.push(Fault::error(
                &from.place,
                "`actor = \"each\"` takes no actor from the connection: leave `actor_from_application` out",
            )),
            Ok(parsed) => actors.from = Some(parsed),
            Err(why) => faults.push(Fault::error(&from.place, format!("`actor_from_application`: {why}"))),
        }
    }
    actors
}

/// The condition of a rule over the rows of what it opens.
pub(in crate::policy) fn condition(own: Option<Located<String>>, faults: &mut Vec<Fault>) -> Option<RowCondition> {
    let written = own?;
    let text = written.value.trim().to_owned();
    let condition = RowCondition { names: condition::names(&text), text };
    if let Err(why) = condition::check(&condition.text) {
        faults.push(Fault::error(&written.place, format!("`own` is no plain condition: {why}")));
    } else if !condition.names_actor() {
        let message = "`own` says which rows are the actor's own, as in `account_manager = actor`; for other rows there is `rows`";
        faults.push(Fault::error(&written.place, message));
    }
    Some(condition)
}
