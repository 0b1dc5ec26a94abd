//! Whether an account number is one of the bank whose branch code stands beside it.
//!
//! The form of each bank's numbers (how many digits) is public; the weights of their check digits are not: BankservAfrica hands its "EFT CDV
//! parameters" out to participants only. Whoever has them may add them in a `banks.toml` of their own.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// Banks by their branches.
#[derive(Debug, Default)]
pub(in crate::scan) struct Banks {
    banks: Vec<Bank>,
}

/// How an account number stands to the branch beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::scan) enum Fit {
    /// As long as the bank's numbers are.
    Length,
    /// Its check digit is right too.
    CheckDigit,
}

/// The file `banks.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bank: Vec<Entry>,
}

/// One row of it: branches of six digits (`632005`, `250000-299999`), and what their account numbers are like.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    branches: Vec<String>,
    digits: Vec<usize>,
    /// Eleven weights, the most significant first.
    weights: Option<[u32; 11]>,
    modulus: Option<u32>,
    /// Added to the weighted sum.
    #[serde(default)]
    fudge: u32,
}

#[derive(Debug)]
struct Bank {
    branches: Vec<RangeInclusive<u32>>,
    digits: Vec<usize>,
    check: Option<CheckDigit>,
}

#[derive(Debug)]
struct CheckDigit {
    weights: [u32; 11],
    modulus: u32,
    fudge: u32,
}

impl Banks {
    /// Adds the rows of a file; those that were added last are asked first, so that they take the place of what is known of a branch.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(in crate::scan) fn add(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let more = file.bank.into_iter().map(Bank::of).collect::<Result<Vec<_>, _>>()?;
        self.banks.splice(0..0, more);
        Ok(())
    }

    /// Whether the number is one of the branch's bank: `None` where no bank with this branch is known, `Some(None)` where it is not.
    pub(in crate::scan) fn fit(&self, branch: &str, account: &str) -> Option<Option<Fit>> {
        let branch: u32 = branch.trim().parse().ok().filter(|branch| *branch < 1_000_000)?;
        let known = |bank: &&Bank| bank.branches.iter().any(|range| range.contains(&branch));
        let of_branch: Vec<&Bank> = self.banks.iter().filter(known).collect();
        // A bank may have several kinds of accounts; whoever added a check digit knows more than the length.
        let checked = of_branch.iter().any(|bank| bank.check.is_some());
        let rows = of_branch.iter().filter(|bank| bank.check.is_some() == checked);
        (!of_branch.is_empty()).then(|| rows.filter_map(|bank| bank.fit(account)).max())
    }
}

impl Bank {
    fn of(entry: Entry) -> Result<Self, String> {
        let branches = entry.branches.iter().map(|text| range(text)).collect::<Result<_, _>>()?;
        let check = match (entry.weights, entry.modulus) {
            (Some(weights), Some(modulus)) if modulus > 1 => Some(CheckDigit { weights, modulus, fudge: entry.fudge }),
            (None, None) => None,
            (Some(_), _) | (None, Some(_)) => {
                return Err("`weights` (eleven of them) and `modulus` (2 or more) belong together".to_owned());
            }
        };
        Ok(Self { branches, digits: entry.digits, check })
    }

    fn fit(&self, account: &str) -> Option<Fit> {
        let digits = super::digits(account.trim())?;
        if !self.digits.contains(&digits.len()) {
            return None;
        }
        let Some(check) = &self.check else { return Some(Fit::Length) };
        // Shorter numbers stand with zeros before them; longer ones have no check digit by this rule.
        let sum: u32 =
            digits.iter().rev().zip(check.weights.iter().rev()).map(|(digit, weight)| u32::from(*digit) * weight).sum();
        (digits.len() <= check.weights.len() && (sum + check.fudge).is_multiple_of(check.modulus))
            .then_some(Fit::CheckDigit)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let code = |text: &str| {
        text.trim()
            .parse::<u32>()
            .ok()
            .filter(|code| *code < 1_000_000)
            .ok_or_else(|| format!("`{text}` is no branch: write six digits, or a range such as `250000-299999`"))
    };
    match text.split_once('-') {
        Some((from, to)) => Ok(code(from)?..=code(to)?),
        None => code(text).map(|code| code..=code),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn banks(text: &str) -> Banks {
        let mut banks = Banks::default();
        banks.add(text).unwrap();
        banks
    }

    #[test]
    fn an_account_is_as_long_as_its_bank_makes_them() {
        let banks = banks("[[bank]]\nbranches = [\"250000-299999\"]\ndigits = [11]\n");
        assert_eq!(banks.fit("250655", "62012345678"), Some(Some(Fit::Length)));
        assert_eq!(banks.fit("250655", "620 1234-5678"), Some(Some(Fit::Length)));
        assert_eq!(banks.fit("250655", "6201234567"), Some(None));
        for unknown in ["632005", "head office", "", "99999999999"] {
            assert_eq!(banks.fit(unknown, "62012345678"), None, "{unknown}");
        }
    }

    #[test]
    fn a_check_digit_that_a_user_adds_takes_the_place_of_the_length() {
        let mut banks = banks("[[bank]]\nbranches = [\"51001\"]\ndigits = [9, 11]\n");
        let added = "[[bank]]\nbranches = [\"051001\"]\ndigits = [9]\nweights = [1, 1, 1, 9, 8, 7, 6, 5, 4, 3, 2]\nmodulus = 11\nfudge = 2\n";
        banks.add(added).unwrap();
        // 9 digits: 1*9 + 2*2 last one, and so on; found by trying the last digit.
        let right: Vec<u32> = (0..10)
            .filter(|last| banks.fit("051001", &format!("12345678{last}")) == Some(Some(Fit::CheckDigit)))
            .collect();
        let sum: u32 = [1, 2, 3, 4, 5, 6, 7, 8].iter().zip([1, 9, 8, 7, 6, 5, 4, 3]).map(|(a, b)| a * b).sum();
        let by_hand: Vec<u32> = (0..10).filter(|last| (sum + last * 2 + 2).is_multiple_of(11)).collect();
        assert_eq!(right, by_hand);
        assert_eq!(banks.fit("51001", "12345678901"), Some(None), "the length alone is no longer enough");
    }

    #[test]
    fn a_file_that_says_half_is_refused() {
        for (text, word) in [
            ("[[bank]]\nbranches = [\"x\"]\ndigits = [9]\n", "`x`"),
            ("[[bank]]\nbranches = [\"051001\"]\ndigits = [9]\nmodulus = 11\n", "`weights`"),
            ("[[bank]]\nbranches = [\"051001\"]\ndigits = [9]\nweight = [1]\n", "weight"),
        ] {
            let error = Banks::default().add(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
