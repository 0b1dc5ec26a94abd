//! What data subjects are told (POPIA s18(1)).

use super::parts::Writer;
use crate::page::{Block, Page};

pub(super) fn page(writer: &Writer<'_>) -> Page {
    let w = writer;
    let source = w.texts.words("notice.source", &[("sources", w.own("sources"))]);
    let kept = w.retention().unwrap_or_else(|| Block::Text(w.text("notice.how_long_none")));
    let rights = w.texts.list("notice.rights_list", &[("regulator", w.plain("common.regulator"))]);
    let sections = vec![
        w.section("who", "notice.who", vec![Block::Text(w.text("notice.intro")), w.who()]),
        w.section("what", "notice.what", vec![Block::List(w.held()), Block::Text(source)]),
        w.section("why", "notice.why", vec![w.purposes()]),
        w.section("must", "notice.must", vec![Block::Text(w.own("mandatory")), Block::Text(w.own("consequences"))]),
        w.section("law", "notice.law", vec![Block::Text(w.own("laws"))]),
        w.section("recipients", "notice.who_gets", vec![w.recipients()]),
        w.section("abroad", "notice.abroad", vec![w.borders()]),
        w.section("kept", "notice.how_long", vec![kept]),
        w.section("rights", "notice.rights", vec![Block::List(rights)]),
    ];
    w.page("notice.title", sections)
}
