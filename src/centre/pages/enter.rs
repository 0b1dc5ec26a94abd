//! Signing in: an address, then a code.

use std::fmt::Write;

use super::Frame;
use crate::page::html::escape;

/// Asks for an address or number; `wrong` is what was typed that is none.
pub(in crate::centre) fn render(frame: &Frame<'_>, wrong: Option<&str>) -> String {
    let t = frame.tongue;
    let can = frame.centre.parts.store.can;
    let of = |key: &str| t.html(&format!("enter.{key}{}", if can.phone { "" } else { "_mail" }));
    let mut out = String::new();
    if wrong.is_some() {
        let link = format!("<p><strong>{}</strong> <a href=\"#contact\">{}</a></p>", t.html("error.fix"), of("wrong"));
        out.push_str(&frame.alert(&link));
    }
    let (described, invalid) = match wrong {
        Some(_) => ("hint problem", " aria-invalid=\"true\""),
        None => ("hint", ""),
    };
    let _ = write!(
        out,
        "<p class=\"lead\">{}</p>\n{}\n<div class=\"field\"><label for=\"contact\">{}</label>\n<p class=\"hint\" id=\"hint\">{}</p>\n",
        of("intro"),
        frame.form("enter"),
        of("contact"),
        of("hint")
    );
    if wrong.is_some() {
        let _ = writeln!(out, "<p class=\"problem\" id=\"problem\">{}</p>", of("wrong"));
    }
    let _ = write!(
        out,
        "<input id=\"contact\" name=\"contact\" type=\"{}\" autocomplete=\"{}\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"254\" required aria-describedby=\"{described}\"{invalid} value=\"{}\"></div>\n\
         <p><button>{}</button></p>\n</form>\n<p class=\"quiet\">{}</p>\n",
        if can.phone { "text" } else { "email" },
        if can.phone { "username" } else { "email" },
        escape(wrong.unwrap_or_default()),
        t.html("enter.send"),
        t.html("enter.cookie")
    );
    frame.page(t.plain("enter.title"), &out)
}

/// Asks for the code; `left` are the tries that are left after a wrong one.
pub(in crate::centre) fn code(frame: &Frame<'_>, left: Option<u8>) -> String {
    let t = frame.tongue;
    let mut out = String::new();
    let wrong = left.map(|left| t.with("code.wrong", &[("left", &left.to_string())]));
    match &wrong {
        Some(wrong) => out.push_str(&frame.alert(&format!("<p>{wrong}</p>"))),
        None => {
            let _ = writeln!(out, "<div class=\"note\" role=\"status\"><p>{}</p></div>", t.html("code.sent"));
        }
    }
    let (described, invalid) = match &wrong {
        Some(_) => (" aria-describedby=\"problem\"", " aria-invalid=\"true\""),
        None => ("", ""),
    };
    let _ = write!(
        out,
        "{}\n<div class=\"field\"><label for=\"code\">{}</label>\n",
        frame.form("code"),
        t.html("code.code")
    );
    if let Some(wrong) = &wrong {
        let _ = writeln!(out, "<p class=\"problem\" id=\"problem\">{wrong}</p>");
    }
    let _ = write!(
        out,
        "<input id=\"code\" class=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" autocomplete=\"one-time-code\" pattern=\"[0-9 ]*\" maxlength=\"8\" required{described}{invalid}></div>\n\
         <p><button>{}</button></p>\n</form>\n<p class=\"quiet\">{}</p>\n<p><a href=\"/{}/enter\">{}</a></p>\n",
        t.html("code.go"),
        t.html("code.nothing"),
        t.code(),
        t.html("code.again")
    );
    frame.page(t.plain("code.title"), &out)
}

/// The code is of no use any more.
pub(in crate::centre) fn over(frame: &Frame<'_>) -> String {
    let t = frame.tongue;
    let content = format!(
        "{}<p><a class=\"button\" href=\"/{}/enter\">{}</a></p>\n",
        frame.alert(&format!("<p>{}</p>", t.html("code.over"))),
        t.code(),
        t.html("code.again")
    );
    frame.page(t.plain("code.title"), &content)
}
