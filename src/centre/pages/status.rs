//! Pages that need no session: how far a request is, and one click that ends a purpose.

use std::fmt::Write;

use super::{Frame, request};
use crate::centre::store::Entered;
use crate::page::html::escape;

/// What is shown beside the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::centre) enum Shown {
    Form,
    Found(Entered),
    /// What was typed.
    Unknown(String),
}

pub(in crate::centre) fn render(frame: &Frame<'_>, shown: &Shown) -> String {
    let t = frame.tongue;
    let mut out = String::new();
    let typed = match shown {
        Shown::Form => String::new(),
        Shown::Found(entered) => {
            let _ = writeln!(out, "<div role=\"status\">{}</div>", request(frame, entered, 2));
            frame.centre.parts.keys.reference(entered.id)
        }
        Shown::Unknown(typed) => {
            out.push_str(&frame.alert(&format!("<p><a href=\"#reference\">{}</a></p>", t.html("status.unknown"))));
            typed.clone()
        }
    };
    let invalid = if matches!(shown, Shown::Unknown(_)) { " aria-invalid=\"true\"" } else { "" };
    let _ = write!(
        out,
        "<p class=\"lead\">{}</p>\n{}\n<div class=\"field\"><label for=\"reference\">{}</label>\n<p class=\"hint\" id=\"hint\">{}</p>\n\
         <input id=\"reference\" name=\"reference\" type=\"text\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"40\" required aria-describedby=\"hint\"{invalid} value=\"{}\"></div>\n\
         <p><button>{}</button></p>\n</form>\n",
        t.html("status.intro"),
        frame.form("status"),
        t.html("status.reference"),
        t.html("status.hint"),
        escape(&typed),
        t.html("status.go")
    );
    frame.page(t.plain("status.title"), &out)
}

fn described(frame: &Frame<'_>, purpose: &str) -> String {
    let policies = frame.centre.parts.policies.load_full();
    let known = policies.purpose(purpose).and_then(|purpose| purpose.description.clone());
    known.unwrap_or_else(|| purpose.to_owned())
}

/// Asks once. The form needs no cookie: the link itself is the proof.
pub(in crate::centre) fn unsubscribe(frame: &Frame<'_>, purpose: &str, path: &str) -> String {
    let t = frame.tongue;
    let content = format!(
        "<p class=\"lead\">{}</p>\n<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\"><p><button>{}</button></p></form>\n",
        t.with("unsubscribe.ask", &[("purpose", &described(frame, purpose))]),
        escape(path),
        t.html("unsubscribe.go")
    );
    frame.page(t.plain("unsubscribe.title"), &content)
}

/// It has ended.
pub(in crate::centre) fn unsubscribed(frame: &Frame<'_>, purpose: &str) -> String {
    let t = frame.tongue;
    let content = format!(
        "<div class=\"note good\" role=\"status\"><p>{}</p></div>\n<p><a class=\"button\" href=\"/{}/\">{}</a></p>\n",
        t.with("unsubscribe.done", &[("purpose", &described(frame, purpose))]),
        t.code(),
        t.html("error.back")
    );
    frame.page(t.plain("unsubscribe.done_title"), &content)
}
