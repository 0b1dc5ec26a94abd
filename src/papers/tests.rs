#![allow(clippy::unwrap_used)]

use jiff::civil::date;

use super::texts::Texts;
use super::*;
use crate::config::Config;

const SHOP: &str = include_str!("../../policies/shop.toml");
const LENDER: &str = include_str!("../../policies/lender/lender.toml");
const CLINIC: &str = include_str!("../../policies/clinic/clinic.toml");
const EMPLOYER: &str = include_str!("../../policies/employer.toml");
const PAPERS: [Paper; 5] = [Paper::Paia, Paper::Notice, Paper::Register, Paper::Operators, Paper::Assessment];

fn policies(text: &str) -> PolicySet {
    PolicySet::from_sources(&[("p.toml".into(), text.into())]).unwrap()
}

/// Every key filled in.
fn organisation() -> Organisation {
    let keys: String = Organisation::KEYS.iter().map(|key| format!("{key} = \"the {key}\"\n")).collect();
    let text = format!(
        "[upstream]\naddress = \"127.0.0.1:5432\"\n[policy]\nfiles = [\"policies/shop.toml\"]\n[organisation]\n{keys}"
    );
    Config::from_text("c.toml", &text, std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap().organisation
}

fn markdown(paper: Paper, language: Language, policies: &PolicySet, organisation: &Organisation) -> Written {
    write(paper, language, policies, organisation, date(2026, 11, 29)).unwrap()
}

#[test]
fn every_language_has_every_text_with_the_same_holes() {
    let english = Texts::of(Language::English).unwrap().keys();
    assert!(english.len() > 100, "{}", english.len());
    for language in Language::ALL {
        assert_eq!(Texts::of(language).unwrap().keys(), english, "{language:?}");
    }
}

#[test]
fn no_paper_of_any_language_shows_a_key_or_a_hole() {
    for text in [SHOP, LENDER, CLINIC, EMPLOYER] {
        let policies = policies(text);
        for language in Language::ALL {
            for paper in PAPERS {
                let written = markdown(paper, language, &policies, &organisation()).markdown();
                assert!(!written.contains('{') && !written.contains('}'), "{paper:?} {language:?}\n{written}");
                for section in [
                    "common.",
                    "paia.",
                    "notice.",
                    "register.",
                    "operators.",
                    "assessment.",
                    "bases.",
                    "ways.",
                    "organisation.",
                ] {
                    let keyed = written.match_indices(section).any(|(at, _)| {
                        written.get(..at).is_some_and(|before| before.ends_with(['|', ' ', '\n']))
                            && written
                                .get(at + section.len()..)
                                .is_some_and(|after| after.starts_with(|c: char| c.is_ascii_lowercase()))
                    });
                    assert!(!keyed, "{paper:?} {language:?} shows a key of `{section}`\n{written}");
                }
            }
        }
    }
}

#[test]
fn what_nobody_said_is_a_gap_and_what_was_said_is_none() {
    let policies = policies(SHOP);
    let empty = markdown(Paper::Paia, Language::English, &policies, &Organisation::default());
    assert!(empty.gaps.contains(&"to be filled in: Information officer".to_owned()), "{:?}", empty.gaps);
    assert!(empty.markdown().contains(GAP_MARKS[1]) && empty.html().contains(GAP_MARKS[0]));
    let full = markdown(Paper::Paia, Language::English, &policies, &organisation());
    assert_eq!(full.gaps, Vec::<String>::new());
    assert!(full.markdown().contains("the information\\_officer"));
    assert!(!full.html().contains(GAP_MARKS[0]) && !full.markdown().contains(GAP_MARKS[1]));
    // What only a person can judge stays a gap whatever the configuration says.
    assert!(!markdown(Paper::Assessment, Language::English, &policies, &organisation()).gaps.is_empty());
}

#[test]
fn a_paper_says_what_the_policies_enforce() {
    let policies = policies(SHOP);
    let register = markdown(Paper::Register, Language::English, &policies, &organisation()).markdown();
    for said in [
        policies.hash(),
        "consent of the data subject (POPIA s11(1)(a))",
        "Only as figures about at least 10 people",
        "schema migrations, ticket OPS-12",
        "seen partly, through a mask; compared with what a caller says",
        "To be reviewed by: 2027-06-30",
        "part of `marketing`",
    ] {
        assert!(register.contains(said), "no `{said}` in\n{register}");
    }
    // A category that no rule opens is held, and used for nothing.
    assert!(register.contains("`health`"));
    let uses = register.split("## Subjects").next().unwrap();
    assert!(!uses.contains("`health`"), "{uses}");
}

#[test]
fn a_third_party_is_told_with_its_contract_and_country() {
    let policy = "version = 1\n[tables.\"public.t\"]\nsubject = \"a\"\ncolumns = { a = \"contact\" }\n\
        [purposes.post]\nbasis = \"contract\"\n[roles.courier]\nlogins = [\"c\"]\npurposes = [\"post\"]\n\
        recipient = \"Swift Couriers\"\noperator_contract = \"K-7\"\noperator_expires = 2026-12-20\ncountry = \"NA\"\n\
        country_ground = \"s72(1)(a): adequate law\"\n[[rules]]\nname = \"x\"\nroles = [\"courier\"]\npurposes = [\"post\"]\n\
        read = [\"contact\"]\n";
    let policies = policies(policy);
    let paper = markdown(Paper::Operators, Language::English, &policies, &organisation()).markdown();
    for said in
        ["| Swift Couriers | K-7 | 2026-12-20 | NA |", "the contract ends on 2026-12-20", "s72(1)(a): adequate law"]
    {
        assert!(paper.contains(said), "no `{said}` in\n{paper}");
    }
    let later = write(Paper::Operators, Language::Afrikaans, &policies, &organisation(), date(2027, 1, 5)).unwrap();
    assert!(later.markdown().contains("die kontrak het op 2026-12-20 geëindig"), "{}", later.markdown());
}

#[test]
fn what_a_policy_or_an_organisation_says_is_text_in_html() {
    let policy = SHOP.replace("Sales figures", "<script>alert(1)</script>");
    let page = markdown(Paper::Notice, Language::English, &policies(&policy), &organisation()).html();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("<html lang=\"en\">"));
}
