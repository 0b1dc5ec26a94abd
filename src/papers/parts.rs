//! What several papers say alike.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::facts::{CategoryUse, Facts, HERE, Processing};
use super::texts::Texts;
use crate::config::Organisation;
use crate::page::{Block, Cell, Page, Section, Table, Words};
use crate::policy::{OURSELVES, Role, Way};

pub(super) struct Writer<'a> {
    pub(super) texts: &'a Texts,
    pub(super) facts: &'a Facts<'a>,
    pub(super) organisation: &'a Organisation,
}

impl Writer<'_> {
    /// A page that begins with what it was made from.
    pub(super) fn page(&self, title: &str, sections: Vec<Section>) -> Page {
        let made = Block::Text(self.texts.words(
            "common.made",
            &[("date", self.facts.today.to_string().into()), ("policy", Words::code(self.facts.policies.hash()))],
        ));
        let mut sections = sections;
        if let Some(first) = sections.first_mut() {
            first.blocks.push(made);
        }
        Page { language: self.texts.language.code(), title: self.texts.text(title).to_owned(), sections }
    }

    pub(super) fn section(&self, id: &'static str, title: &str, blocks: Vec<Block>) -> Section {
        Section { id, title: Cow::Owned(self.texts.text(title).to_owned()), blocks }
    }

    pub(super) fn text(&self, key: &str) -> Words {
        self.texts.words(key, &[("regulator", self.plain("common.regulator")), ("name", self.own("name"))])
    }

    pub(super) fn plain(&self, key: &str) -> Words {
        Words::from(self.texts.text(key))
    }

    fn gap(&self, what: &str) -> Words {
        let what = self.texts.words("common.gap", &[("what", self.plain(what))]);
        Words::default().gap(what.0.iter().map(|word| word.text()).collect::<String>())
    }

    /// What only the organisation can know, or the gap that it left.
    pub(super) fn own(&self, key: &'static str) -> Words {
        match self.organisation.get(key) {
            Some(values) if !values.is_empty() => Words::from(values.join("; ")),
            Some(_) | None => self.gap(&format!("organisation.{key}")),
        }
    }

    /// The same as a list.
    pub(super) fn own_list(&self, key: &'static str) -> Vec<Words> {
        match self.organisation.get(key) {
            Some(values) if !values.is_empty() => values.iter().map(|value| Words::from(value.as_str())).collect(),
            Some(_) | None => vec![self.gap(&format!("organisation.{key}"))],
        }
    }

    /// Something that a person must judge.
    pub(super) fn judged(&self, key: &str) -> Block {
        Block::Text(self.gap(key))
    }

    /// Who the responsible party is.
    pub(super) fn who(&self) -> Block {
        let keys: [&'static str; 10] = [
            "name",
            "registration",
            "head",
            "information_officer",
            "deputy_information_officer",
            "street_address",
            "postal_address",
            "telephone",
            "email",
            "website",
        ];
        let rows =
            keys.map(|key| vec![Cell::Words(self.plain(&format!("organisation.{key}"))), Cell::Words(self.own(key))]);
        self.table(["common.detail", "common.stated"], rows.into())
    }

    /// A table whose headings are texts.
    pub(super) fn table<const N: usize>(&self, heads: [&str; N], rows: Vec<Vec<Cell>>) -> Block {
        let heads = heads.map(|head| (Cow::Owned(self.texts.text(head).to_owned()), false));
        Block::Table(Table { caption: String::new(), heads: heads.into(), rows })
    }

    /// Each purpose, what it is for and its basis.
    pub(super) fn purposes(&self) -> Block {
        let rows = self.facts.purposes.iter().map(|processing| {
            vec![
                Cell::Words(Words::code(&processing.purpose.name)),
                Cell::Words(self.description(processing)),
                Cell::Words(self.basis(processing)),
            ]
        });
        self.table(["common.purpose", "common.description", "common.basis"], rows.collect())
    }

    pub(super) fn description(&self, processing: &Processing<'_>) -> Words {
        let stated = processing.purpose.description.as_deref();
        let said = stated.map_or_else(|| self.gap("common.description"), Words::from);
        match &processing.purpose.parent {
            None => said,
            Some(parent) => {
                let part = self.texts.words("common.child_of", &[("parent", Words::code(parent))]);
                said.plain(" (").and(part).plain(")")
            }
        }
    }

    /// The basis in words, with its section.
    pub(super) fn basis(&self, processing: &Processing<'_>) -> Words {
        let basis = processing.purpose.basis;
        self.plain(&format!("bases.{}", basis.name())).plain(format!(" (POPIA {})", basis.section()))
    }

    /// How categories are used for a purpose.
    pub(super) fn uses(&self, processing: &Processing<'_>) -> Block {
        let rows = processing.categories.iter().map(|(category, used)| {
            vec![Cell::Words(Words::code(category)), Cell::Words(self.ways(used)), Cell::Words(self.special(used))]
        });
        self.table(["common.category", "common.seen", "common.ground"], rows.collect())
    }

    fn ways(&self, used: &CategoryUse) -> Words {
        let ways = used.ways.iter().map(|way| self.texts.text(way_key(*way)));
        Words::from(ways.collect::<Vec<_>>().join("; "))
    }

    fn special(&self, used: &CategoryUse) -> Words {
        if !used.special {
            return Words::default();
        }
        let grounds: Vec<&str> = used.grounds.iter().map(String::as_str).collect();
        self.plain("common.special").plain(": ").plain(grounds.join("; "))
    }

    /// Every category that is held, special ones marked.
    pub(super) fn held(&self) -> Vec<Words> {
        let mark = |(category, special): (&str, bool)| {
            let name = Words::code(category);
            if special { name.plain(" (").and(self.plain("common.special")).plain(")") } else { name }
        };
        self.facts.categories().into_iter().map(mark).collect()
    }

    /// Each table with the categories that it holds.
    pub(super) fn records(&self) -> Block {
        let rows = self.facts.records.iter().map(|(relation, categories)| {
            vec![Cell::Words(Words::code(relation)), Cell::Words(Words::names(categories.iter()))]
        });
        self.table(["common.table", "common.categories"], rows.collect())
    }

    /// Who receives information: our own staff, and each third party with what it gets.
    pub(super) fn recipients(&self) -> Block {
        let mut rows = vec![vec![Cell::Words(self.plain("common.internal")), Cell::Words(Words::default())]];
        rows.extend(
            self.facts
                .third_parties()
                .map(|role| vec![Cell::Words(Words::from(role.recipient.as_str())), Cell::Words(self.received(role))]),
        );
        self.table(["common.recipient", "common.categories"], rows)
    }

    pub(super) fn received(&self, role: &Role) -> Words {
        Words::names(self.facts.received(role))
    }

    /// Information that leaves the country, and why it may (POPIA s72).
    pub(super) fn borders(&self) -> Block {
        let abroad: Vec<&Role> = self.facts.policies.roles().filter(|role| role.country != HERE).collect();
        if abroad.is_empty() {
            return Block::Text(self.plain("paia.borders_none"));
        }
        let rows = abroad.into_iter().map(|role| {
            vec![
                Cell::Words(self.recipient(role)),
                Cell::Words(Words::from(role.country.as_str())),
                Cell::Words(self.stated(role.country_ground.as_deref())),
                Cell::Words(self.received(role)),
            ]
        });
        let heads = ["common.recipient", "common.country", "common.ground", "common.categories"];
        self.table(heads, rows.collect())
    }

    pub(super) fn recipient(&self, role: &Role) -> Words {
        if role.recipient == OURSELVES { self.plain("common.internal") } else { Words::from(role.recipient.as_str()) }
    }

    pub(super) fn stated(&self, text: Option<&str>) -> Words {
        text.map_or_else(|| self.plain("common.not_stated"), Words::from)
    }

    /// How long rows are kept, table by table; `None` where no table says.
    pub(super) fn retention(&self) -> Option<Block> {
        let mut rows = Vec::new();
        for retained in self.facts.policies.retained() {
            for (purpose, limit) in &retained.limits {
                let purpose = purpose.map(Words::code).unwrap_or_default();
                let table = Words::code(retained.table.to_string());
                rows.push(vec![Cell::Words(table), Cell::Words(limit.to_string().into()), Cell::Words(purpose)]);
            }
        }
        let heads = ["common.table", "common.period", "common.purpose"];
        (!rows.is_empty()).then(|| self.table(heads, rows))
    }

    /// Tables with personal information that say no period.
    pub(super) fn kept_without_end(&self) -> Vec<&str> {
        let said: BTreeSet<String> =
            self.facts.policies.retained().iter().map(|retained| retained.table.to_string()).collect();
        self.facts.records.keys().filter(|table| !said.contains(*table)).map(String::as_str).collect()
    }
}

fn way_key(way: Way) -> &'static str {
    match way {
        Way::Read => "ways.read",
        Way::Mask => "ways.mask",
        Way::Lookup => "ways.lookup",
        Way::Write => "ways.write",
    }
}
