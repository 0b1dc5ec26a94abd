//! `pgpurpose document`: papers from the policies.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::ZonedDateTime;

use super::Ending;
use super::output::{Output, Style, printable};
use super::setup::{self, Source};
use crate::papers::{self, GAP_MARKS, Language, Paper};
use crate::policy::PolicySet;

#[derive(Debug, Args)]
pub(super) struct DocumentArgs {
    /// Which paper
    #[arg(value_name = "PAPER")]
    paper: Named,
    #[command(flatten)]
    source: Source,
    /// The language
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: Lang,
    /// Write the paper into this file: HTML where its name ends in `.html`, else Markdown
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write nothing; fail while a gap is open, or while the file of --out is missing, has a gap or is older than the policies
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Named {
    /// The manual in terms of PAIA s51
    Paia,
    /// What data subjects are told (POPIA s18)
    Notice,
    /// The register of processing operations (POPIA s17)
    Register,
    /// Operators and third parties, contracts and countries (POPIA s20, s21, s72)
    Operators,
    /// A personal information impact assessment
    PopiaAssessment,
}

impl Named {
    fn paper(self) -> Paper {
        match self {
            Self::Paia => Paper::Paia,
            Self::Notice => Paper::Notice,
            Self::Register => Paper::Register,
            Self::Operators => Paper::Operators,
            Self::PopiaAssessment => Paper::Assessment,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    /// English
    En,
    /// Afrikaans
    Af,
    /// isiZulu
    Zu,
}

impl Lang {
    fn language(self) -> Language {
        match self {
            Self::En => Language::English,
            Self::Af => Language::Afrikaans,
            Self::Zu => Language::Zulu,
        }
    }
}

pub(super) fn run(arguments: &DocumentArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    let today = ZonedDateTime::now().date();
    let (paper, language) = (arguments.paper.paper(), arguments.lang.language());
    let written = match papers::write(paper, language, &policies, &config.organisation, today) {
        Ok(written) => written,
        Err(error) => return output.wrong(error),
    };
    if arguments.check {
        return match &arguments.out {
            None => told(&written.gaps, output),
            Some(file) => checked(file, &policies, output),
        };
    }
    let is_html = arguments.out.as_ref().and_then(|file| file.extension()).is_some_and(|ending| ending == "html");
    let text = if is_html { written.html() } else { written.markdown() };
    match &arguments.out {
        None => output.line(text.trim_end()),
        Some(file) => {
            if let Err(error) = std::fs::write(file, text) {
                return output.wrong(format_args!("`{}` cannot be written: {error}", file.display()));
            }
        }
    }
    if !written.gaps.is_empty() {
        let count = written.gaps.len();
        let s = if count == 1 { "" } else { "s" };
        output.remark(format_args!(
            "{count} gap{s} to be filled in: `[organisation]` of the configuration, or the paper itself"
        ));
    }
    Ending::Fine
}

/// Whether anything is left to fill in of what would be written.
fn told(gaps: &[String], output: &mut Output) -> Ending {
    for gap in gaps {
        let line = output.styled(Style::Bad, printable(gap));
        output.line(line);
    }
    if gaps.is_empty() { Ending::Fine } else { Ending::Failed }
}

/// Whether a paper that was kept is whole and made from the policies in force.
fn checked(file: &std::path::Path, policies: &PolicySet, output: &mut Output) -> Ending {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return output.wrong(format_args!("`{}` cannot be read: {error}", file.display())),
    };
    let open: usize = GAP_MARKS.iter().map(|mark| text.matches(mark).count()).sum();
    let current = text.contains(papers::stamp(policies));
    if open > 0 {
        let s = if open == 1 { "" } else { "s" };
        output.line(format_args!("`{}` has {open} gap{s} to be filled in", file.display()));
    }
    if !current {
        output.line(format_args!(
            "`{}` is older than the policies: they are {}",
            file.display(),
            papers::stamp(policies)
        ));
    }
    if open == 0 && current { Ending::Fine } else { Ending::Failed }
}
