//! Account numbers, seen by the branch code that stands beside them in the same row.

use std::collections::HashMap;

use super::checks::banks::Fit;
use super::judge::{Class, Facts};
use super::kind::Kind;
use super::lexicon::Lexicon;
use super::profile::{Check, Profile};
use super::values::Proposal;

/// So many pairs at least say something.
const PAIRS: usize = 8;
/// So many of them have to fit.
const SHARE: f64 = 0.95;

/// For each column what its numbers are beside the table's branch codes.
pub(super) fn beside_branches(
    columns: &[Facts],
    profiles: &[Option<Profile>],
    lexicon: &Lexicon,
) -> Vec<Option<Proposal>> {
    let is_branch = |profile: &&Option<Profile>| {
        profile.as_ref().is_some_and(|profile| profile.n >= PAIRS && profile.share(Check::Branch) >= 0.5)
    };
    let Some(branches) = profiles.iter().position(|profile| is_branch(&profile)) else {
        return columns.iter().map(|_| None).collect();
    };
    let of_rows: HashMap<usize, &str> = columns
        .get(branches)
        .and_then(|facts| facts.sample.as_ref())
        .into_iter()
        .flat_map(super::judge::Sample::by_row)
        .collect();
    columns
        .iter()
        .zip(profiles)
        .enumerate()
        .map(|(at, (facts, profile))| {
            let numbers = matches!(Class::of(&facts.type_sql), Class::Text | Class::Integer | Class::Number);
            let profile =
                profile.as_ref().filter(|profile| at != branches && numbers && profile.distinct >= PAIRS / 2)?;
            proposal(facts, profile, &of_rows, lexicon)
        })
        .collect()
}

fn proposal(facts: &Facts, profile: &Profile, branches: &HashMap<usize, &str>, lexicon: &Lexicon) -> Option<Proposal> {
    let sample = facts.sample.as_ref()?;
    let pairs = sample.by_row().filter_map(|(row, account)| lexicon.banks.fit(branches.get(&row)?, account));
    let fits: Vec<Option<Fit>> = pairs.collect();
    let hits = fits.iter().flatten().count();
    if fits.len() < PAIRS || super::values::ratio(hits, fits.len()) < SHARE {
        return None;
    }
    // A length alone may be an order's number too; a check digit is not met by chance in row after row.
    let checked = fits.iter().flatten().filter(|fit| **fit == Fit::CheckDigit).count() >= PAIRS;
    let dialled = profile.share(Check::Dialled) > 0.5;
    (checked || !dialled).then_some(Proposal {
        kind: Kind::Financial,
        confidence: if checked { 0.93 } else { 0.7 },
        hits,
        what: if checked {
            "an account number, check digit right for the branch beside it"
        } else {
            "as many digits as the accounts of the branch beside it"
        },
        certain: checked,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::judge::{Sample, Verdict, judge_table};
    use super::*;

    const WEIGHED: &str = "[[bank]]\nbranches = [\"470010\", \"250655\"]\ndigits = [10, 11]\nweights = [1, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1]\nmodulus = 11\n";

    fn table(other: &str, accounts: &[(&str, &str)], lexicon: &Lexicon) -> Verdict {
        let column = |name: &str, values: Vec<&str>| Facts {
            name: name.to_owned(),
            type_sql: "text".to_owned(),
            comment: None,
            sample: Some(Sample {
                rows: values.len() + 1,
                values: values.into_iter().map(str::to_owned).collect(),
                absent: vec![0],
            }),
        };
        let columns = [
            column("instelling", accounts.iter().map(|(branch, _)| *branch).collect()),
            column(other, accounts.iter().map(|(_, account)| *account).collect()),
        ];
        judge_table("betaal", &columns, lexicon).pop().unwrap()
    }

    fn lexicon(banks: &str) -> Lexicon {
        let mut lexicon = Lexicon::built_in().unwrap();
        if !banks.is_empty() {
            lexicon.banks.add(banks).unwrap();
        }
        lexicon
    }

    /// Ten-digit numbers beside Capitec's branch, eleven-digit ones beside First National Bank's.
    fn rows() -> Vec<(&'static str, &'static str)> {
        vec![
            ("470010", "1234567890"),
            ("250655", "62012345671"),
            ("470010", "1398765432"),
            ("250655", "62087654321"),
            ("470010", "1500000017"),
            ("250655", "62500000001"),
            ("470010", "1777777772"),
            ("250655", "62411111119"),
            ("470010", "1888123456"),
        ]
    }

    #[test]
    fn a_number_as_long_as_the_branch_beside_it_asks_is_an_account() {
        let found = table("vcol7", &rows(), &lexicon(""));
        assert_eq!(found.category(), Some("financial"), "{}", found.evidence);
        assert!(found.evidence.contains("the branch beside it"), "{}", found.evidence);
    }

    #[test]
    fn numbers_of_other_lengths_are_none() {
        let swapped: Vec<(&str, &str)> = {
            let rows = rows();
            let accounts = rows.iter().skip(1).chain(rows.first()).map(|(_, account)| *account);
            rows.iter().map(|(branch, _)| *branch).zip(accounts).collect()
        };
        assert_eq!(table("vcol7", &swapped, &lexicon("")).category(), None);
    }

    #[test]
    fn what_the_name_says_is_something_else_stays_so() {
        assert_eq!(table("bank_account_count", &rows(), &lexicon("")).category(), None);
    }

    #[test]
    fn weights_of_a_users_own_decide_over_the_length() {
        let weighed = lexicon(WEIGHED);
        assert_eq!(table("vcol7", &rows(), &weighed).category(), None, "these check digits are not right");
        let right: Vec<(String, String)> = rows()
            .into_iter()
            .flat_map(|(branch, account)| {
                let body = account.get(..account.len() - 2).unwrap_or_default().to_owned();
                (0..100).map(move |last| (branch.to_owned(), format!("{body}{last:02}")))
            })
            .filter(|(branch, account)| weighed.banks.fit(branch, account) == Some(Some(Fit::CheckDigit)))
            .collect();
        let right: Vec<(&str, &str)> =
            right.iter().map(|(branch, account)| (branch.as_str(), account.as_str())).collect();
        let found = table("vcol7", &right, &weighed);
        assert!(found.evidence.contains("check digit right"), "{} of {}", found.evidence, right.len());
    }
}
