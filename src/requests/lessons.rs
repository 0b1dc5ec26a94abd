//! Who was taught what: the register's lines of lessons that were passed (`privacy.lessons`), each signed with the access log's key.

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::GenericClient;

use super::deletion::Trouble;
use crate::audit::checkpoint::{PublicKey, Signer};
use crate::policy::{Period, Role};

/// A lesson that somebody passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Who: a login, or the name by which an application knows its user.
    pub learner: String,
    /// Which.
    pub lesson: String,
    /// Which text of it: the beginning of its SHA-256.
    pub edition: String,
    /// When.
    pub at: Timestamp,
    /// Steps that were done.
    pub steps: i32,
    /// Questions that were answered rightly.
    pub right: i32,
    /// Questions that were asked.
    pub questions: i32,
}

impl Passed {
    /// What is signed.
    fn text(&self) -> String {
        let Self { learner, lesson, edition, at, steps, right, questions } = self;
        // The database keeps microseconds.
        let at = at.as_microsecond();
        format!("pgpurpose lesson 1\n{learner}\n{lesson}\n{edition}\n{at}\n{steps}\n{right}\n{questions}\n")
    }

    /// The last day on which it counts.
    pub fn counts_until(&self, training: Period, day: impl Fn(Timestamp) -> Date) -> Date {
        training.after(day(self.at))
    }
}

/// What a line's signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It holds, and the key is the one that is asked about.
    Holds,
    /// It holds, by another key.
    ByAnother,
    /// It does not: the line was changed, or written by hand.
    DoesNotHold,
    /// There is none.
    Missing,
}

impl Signed {
    /// In words.
    pub fn says(self) -> &'static str {
        match self {
            Self::Holds => "signed",
            Self::ByAnother => "signed by another key",
            Self::DoesNotHold => "the signature does not hold",
            Self::Missing => "not signed",
        }
    }

    /// Whether the line counts as proof, where the log has a key or none.
    pub fn counts(self, keyed: bool) -> bool {
        match self {
            Self::Holds => true,
            Self::Missing => !keyed,
            Self::ByAnother | Self::DoesNotHold => false,
        }
    }
}

/// Enters a line.
///
/// # Errors
/// The database's: there may be no `privacy.lessons` of `deploy/privacy.sql`.
pub async fn enter(client: &impl GenericClient, passed: &Passed, signer: Option<&Signer>) -> Result<(), Trouble> {
    let sql = "INSERT INTO privacy.lessons (learner, lesson, edition, passed_at, steps, right_answers, questions, signed_by, signature) \
               VALUES ($1, $2, $3, 'epoch'::pg_catalog.timestamptz + $4::int8 * '1 microsecond'::pg_catalog.interval, $5, $6, $7, $8, $9)";
    let at = passed.at.as_microsecond();
    let key = signer.map(|signer| signer.public().to_string());
    let signature = signer.map(|signer| signer.sign_certificate(&passed.text()));
    let Passed { learner, lesson, edition, at: _, steps, right, questions } = passed;
    client.execute(sql, &[learner, lesson, edition, &at, steps, right, questions, &key, &signature]).await?;
    Ok(())
}

/// Every line, oldest first, with what its signature says to this key.
///
/// # Errors
/// The database's.
pub async fn list(client: &impl GenericClient, key: Option<PublicKey>) -> Result<Vec<(Passed, Signed)>, Trouble> {
    let sql = "SELECT learner, lesson, edition, (EXTRACT(epoch FROM passed_at) * 1000000)::int8, steps, right_answers, questions, signed_by, signature \
               FROM privacy.lessons ORDER BY passed_at, lesson_id";
    let mut lines = Vec::new();
    for row in client.query(sql, &[]).await? {
        let at = Timestamp::from_microsecond(row.try_get(3)?)
            .map_err(|error| Trouble::Refused(format!("`privacy.lessons` holds a time that is none: {error}")))?;
        let passed = Passed {
            learner: row.try_get(0)?,
            lesson: row.try_get(1)?,
            edition: row.try_get(2)?,
            at,
            steps: row.try_get(4)?,
            right: row.try_get(5)?,
            questions: row.try_get(6)?,
        };
        let (by, signature): (Option<String>, Option<String>) = (row.try_get(7)?, row.try_get(8)?);
        let signed = match (by.as_deref().and_then(PublicKey::from_hex), signature) {
            (Some(by), Some(signature)) if by.certifies(&passed.text(), &signature) => {
                if key.is_none_or(|key| key == by) { Signed::Holds } else { Signed::ByAnother }
            }
            (None, None) if by.is_none() => Signed::Missing,
            (_, _) => Signed::DoesNotHold,
        };
        lines.push((passed, signed));
    }
    Ok(lines)
}

/// The logins of a role that demands training, each with the last day on which its newest lesson counts; `None` without one that counts.
pub fn of_role<'a>(
    role: &'a Role,
    lines: &[(Passed, Signed)],
    keyed: bool,
    day: impl Fn(Timestamp) -> Date,
) -> Vec<(&'a str, Option<Date>)> {
    let Some(training) = role.training else { return Vec::new() };
    let until = |login: &str| {
        let mine = lines.iter().filter(|(passed, signed)| passed.learner == login && signed.counts(keyed));
        mine.map(|(passed, _)| passed.counts_until(training, &day)).max()
    };
    role.logins.iter().map(|login| (login.as_str(), until(login))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_all_of_the_line() {
        let passed = Passed {
            learner: "nomsa".to_owned(),
            lesson: "support".to_owned(),
            edition: "ab".to_owned(),
            at: "2026-11-30T10:00:00Z".parse().unwrap(),
            steps: 6,
            right: 9,
            questions: 10,
        };
        let signer = Signer::new(&[7; 32]).unwrap();
        let signature = signer.sign_certificate(&passed.text());
        assert!(signer.public().certifies(&passed.text(), &signature));
        let changed = [
            Passed { learner: "pieter".to_owned(), ..passed.clone() },
            Passed { lesson: "dba".to_owned(), ..passed.clone() },
            Passed { edition: "ac".to_owned(), ..passed.clone() },
            Passed { at: "2027-11-30T10:00:00Z".parse().unwrap(), ..passed.clone() },
            Passed { steps: 7, ..passed.clone() },
            Passed { right: 10, ..passed.clone() },
            Passed { questions: 9, ..passed.clone() },
        ];
        for other in changed {
            assert!(!signer.public().certifies(&other.text(), &signature), "{other:?}");
        }
    }

    #[test]
    fn a_lesson_counts_for_its_time_and_where_its_signature_holds() {
        let policies = crate::policy::PolicySet::from_sources(&[(
            "p.toml".into(),
            "version = 1\n[purposes.p]\nbasis = \"contract\"\n[roles.r]\nlogins = [\"a\", \"b\", \"c\"]\npurposes = [\"p\"]\ntraining = \"12 months\"\n".into(),
        )])
        .unwrap();
        let line = |learner: &str, at: &str| Passed {
            learner: learner.to_owned(),
            lesson: "support".to_owned(),
            edition: "ab".to_owned(),
            at: at.parse().unwrap(),
            steps: 6,
            right: 9,
            questions: 10,
        };
        let lines = [
            (line("a", "2026-02-28T10:00:00Z"), Signed::Holds),
            (line("a", "2025-02-28T10:00:00Z"), Signed::Holds),
            (line("b", "2026-02-28T10:00:00Z"), Signed::DoesNotHold),
        ];
        let day = |time: Timestamp| time.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let role = policies.role_of("a").unwrap();
        let until = of_role(role, &lines, true, day);
        assert_eq!(until, [("a", Some(jiff::civil::date(2027, 2, 28))), ("b", None), ("c", None)]);
    }
}
