//! Answers, their headers, and the cookie.

use std::sync::LazyLock;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use crate::audit::chain::Hash;
use crate::page::html::STYLE;
use crate::server::web::WebAnswer;

/// A page.
pub(crate) const HTML: &str = "text/html; charset=utf-8";
/// What programs read.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// Nothing is loaded but the stylesheet, nothing runs, nothing is kept, and no other site may frame it or be told of it.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// An answer with the headers of every answer; `tls`: the browser comes back by TLS alone.
pub(crate) fn secured(mut answer: WebAnswer, tls: bool) -> WebAnswer {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if tls {
        let year = HeaderValue::from_static("max-age=31536000");
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    answer
}

/// A body of this kind.
pub(crate) fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> WebAnswer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Another page is asked for next.
pub(crate) fn to(path: &str) -> WebAnswer {
    let mut answer = page(StatusCode::SEE_OTHER, HTML, String::new());
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(header::LOCATION, path);
    }
    answer
}

/// A file to be kept.
pub(crate) fn download(kind: &'static str, body: impl Into<Bytes>, name: &str) -> WebAnswer {
    let mut answer = page(StatusCode::OK, kind, body);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    answer
}

/// The stylesheet's name, another for another content: it may be kept for ever.
pub(crate) fn style_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let digits: String = Hash::of(STYLE.as_bytes()).to_string().chars().take(12).collect();
        format!("style-{digits}.css")
    });
    &NAME
}

/// The stylesheet.
pub(crate) fn stylesheet() -> WebAnswer {
    let mut answer = page(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_owned());
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer.headers_mut().insert(header::CACHE_CONTROL, forever);
    answer
}

/// Whether it asks and changes nothing.
pub(crate) fn is_safe_method(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// A browser says from which site a form comes.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// The cookie of a site: gone with the browser, for this site alone, not for scripts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    /// `__Host-` binds it to this host and to TLS.
    name: &'static str,
    secure: bool,
}

impl Cookies {
    /// One of these names: the first where browsers come by TLS.
    pub(crate) fn new(secure: bool, [by_tls, plain]: [&'static str; 2]) -> Self {
        Self { name: if secure { by_tls } else { plain }, secure }
    }

    /// What a browser brought; what we did not make is nothing.
    pub(crate) fn held(self, headers: &HeaderMap) -> Option<String> {
        let came = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut came = came.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        came.find(|(key, value)| *key == self.name && is_ours(value)).map(|(_, value)| value.to_owned())
    }

    /// The header that sets it; an empty value is gone at once.
    pub(crate) fn set(self, value: &str) -> Option<(HeaderName, HeaderValue)> {
        let secure = if self.secure { "; Secure" } else { "" };
        let gone = if value.is_empty() { "; Max-Age=0" } else { "" };
        let text = format!("{}={value}{gone}; Path=/; HttpOnly; SameSite=Strict{secure}", self.name);
        Some((header::SET_COOKIE, HeaderValue::from_str(&text).ok()?))
    }
}

fn is_ours(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}
