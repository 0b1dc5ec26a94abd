//! What the sites for people have in common: forms, cookies, sessions, limits, and the headers of every answer.

mod answers;
mod form;
mod limits;
mod sessions;

pub(crate) use answers::{
    Cookies, HTML, JSON, download, is_foreign, is_safe_method, page, secured, style_name, stylesheet, to,
};
pub(crate) use form::fields;
pub(crate) use limits::Limiter;
pub(crate) use sessions::{Holder, Sessions, holder, make_room, random};
