//! Whose past it is.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Finding, What};
use crate::audit::report::At;

/// A login, or one of the end users behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::audit::report) struct Whose {
    pub(super) login: Arc<str>,
    pub(super) actor: Option<Arc<str>>,
}

/// Login and actor.
impl Serialize for Whose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.login, self.actor.as_deref()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Whose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (login, actor) = <(String, Option<String>)>::deserialize(deserializer)?;
        Ok(Self { login: login.into(), actor: actor.map(Into::into) })
    }
}

impl Whose {
    pub(in crate::audit::report) fn finding(&self, at: At, what: What, day: String) -> Finding {
        let (login, actor) =
            (crate::audit::report::shortened(&self.login), self.actor.as_deref().map(crate::audit::report::shortened));
        Finding { at, day, login, actor, what }
    }

    /// The login, and the actor behind it where there is one.
    pub(in crate::audit::report) fn all(login: &str, actor: Option<&str>) -> impl Iterator<Item = Self> {
        let login: Arc<str> = login.into();
        let actor = actor.map(|actor| Self { login: Arc::clone(&login), actor: Some(actor.into()) });
        std::iter::once(Self { login, actor: None }).chain(actor)
    }
}
