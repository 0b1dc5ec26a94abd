//! From a request to an answer: routes, forms, the cookie, headers.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::Centre;
use super::acts::{self, Wishes};
use super::door::{Person, Session, Tried};
use super::knock::Knock;
use super::pages::{self, Frame};
use super::words::Tongue;
use crate::policy::ContactKind;
use crate::requests::deletion::Trouble;
use crate::server::site::{
    Cookies, HTML, JSON, download, fields, is_foreign, is_safe_method, page, random, secured, style_name, stylesheet,
    to,
};
use crate::server::web::{WebAnswer, WebRequest};

/// Most characters of a person's own words.
pub(super) const MOST_WORDS: usize = 1500;

/// One request on its way.
struct Visit<'a> {
    centre: &'a Arc<Centre>,
    request: &'a WebRequest,
    tongue: Tongue<'a>,
    /// The cookie's value: as it came, else a new one.
    cookie: String,
    /// It is new, and must be set.
    fresh: bool,
    session: Option<Session>,
    form: Vec<(String, String)>,
    now: Instant,
}

/// Answers one request.
pub(super) async fn answer(centre: &Arc<Centre>, request: WebRequest) -> WebAnswer {
    secured(routed(centre, &request).await, centre.parts.settings.is_secure())
}

async fn routed(centre: &Arc<Centre>, request: &WebRequest) -> WebAnswer {
    let accepted = request.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let wanted = centre.tongues.wanted(accepted.unwrap_or_default());
    let get = is_safe_method(&request.method);
    let mut parts = request.path.strip_prefix('/').unwrap_or_default().splitn(2, '/');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match first {
        "" if get => return to(&format!("/{wanted}/")),
        "healthz" if get => return page(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned()),
        "privacy.json" if get => return page(StatusCode::OK, JSON, pages::machine::render(centre)),
        style if get && style == style_name() => return stylesheet(),
        _ => {}
    }
    let Some(tongue) = centre.tongues.get(if first == "u" { wanted } else { first }) else {
        let Some(tongue) = centre.tongues.get(wanted) else { return page(StatusCode::NOT_FOUND, HTML, String::new()) };
        let visit = Visit::of(centre, request, tongue);
        return visit.wrong(StatusCode::NOT_FOUND, "error.not_found");
    };
    let visit = Visit::of(centre, request, tongue);
    if first == "u" {
        return visit.unsubscribe(get).await;
    }
    let mut answer = if get {
        visit.show(rest).await
    } else if request.method == Method::POST {
        visit.take(rest).await
    } else {
        visit.wrong(StatusCode::METHOD_NOT_ALLOWED, "error.not_found")
    };
    if visit.fresh && !answer.headers().contains_key(header::SET_COOKIE) && matches!(rest, "enter" | "code" | "status")
    {
        answer.headers_mut().extend(visit.set(&visit.cookie));
    }
    answer
}

impl<'a> Visit<'a> {
    fn of(centre: &'a Arc<Centre>, request: &'a WebRequest, tongue: Tongue<'a>) -> Self {
        let now = Instant::now();
        let held = cookies(centre).held(&request.headers);
        let session = held.as_deref().and_then(|cookie| centre.door().session(cookie, now).cloned());
        let fresh = held.is_none();
        let cookie = held.unwrap_or_else(random);
        let form = fields(&request.body);
        Self { centre, request, tongue, cookie, fresh, session, form, now }
    }

    fn frame(&self, here: &'a str) -> Frame<'_> {
        Frame {
            centre: self.centre,
            tongue: self.tongue,
            here,
            form: self.centre.parts.keys.form(&self.cookie),
            person: self.session.as_ref().map(|session| &session.person),
            details: self.session.as_ref().map(|session| &session.details),
        }
    }

    fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    fn ok(&self, body: String) -> WebAnswer {
        page(StatusCode::OK, HTML, body)
    }

    fn wrong(&self, status: StatusCode, key: &'static str) -> WebAnswer {
        page(status, HTML, pages::wrong(&self.frame(""), key))
    }

    fn trouble(&self, trouble: &Trouble) -> WebAnswer {
        tracing::warn!(%trouble, "the privacy centre could not do what was asked");
        self.wrong(StatusCode::SERVICE_UNAVAILABLE, "error.trouble")
    }

    fn go(&self, path: &str) -> WebAnswer {
        to(&format!("/{}/{path}", self.tongue.code()))
    }

    /// The session's cookie; an empty one is gone at once.
    fn set(&self, value: &str) -> Option<(HeaderName, HeaderValue)> {
        cookies(self.centre).set(value)
    }

    async fn show(&self, path: &str) -> WebAnswer {
        match (path, &self.session) {
            ("", _) => self.ok(pages::home::render(&self.frame(""))),
            ("enter", None) => self.ok(pages::enter::render(&self.frame("enter"), None)),
            ("enter", Some(_)) => self.go("you"),
            ("code", None) => {
                if self.centre.door().waits(&self.cookie, self.now) {
                    self.ok(pages::enter::code(&self.frame("code"), None))
                } else {
                    self.go("enter")
                }
            }
            ("code", Some(_)) => self.go("you"),
            ("status", _) => self.ok(pages::status::render(&self.frame("status"), &pages::status::Shown::Form)),
            ("you", Some(_)) => self.ok(pages::you(&self.frame("you"))),
            ("choices", Some(session)) => match Wishes::of(self.centre, &session.person.subject).await {
                Ok(wishes) => self.ok(pages::choices::render(&self.frame("choices"), &wishes, session, None)),
                Err(trouble) => self.trouble(&trouble),
            },
            ("requests", Some(session)) => self.requests(session).await,
            ("seen", Some(session)) => pages::seen::read(self.centre, &session.person.subject).await.map_or_else(
                |trouble| self.trouble(&trouble),
                |seen| self.ok(pages::seen::render(&self.frame("seen"), seen.as_ref())),
            ),
            (path, Some(session)) => self.show_more(path, session),
            ("you" | "choices" | "requests" | "seen" | "leave", None) => self.go("enter"),
            (path, None) if path.starts_with("ask/") || path.starts_with("receipt/") => self.go("enter"),
            (_, None) => self.wrong(StatusCode::NOT_FOUND, "error.not_found"),
        }
    }

    fn show_more(&self, path: &str, session: &Session) -> WebAnswer {
        if let Some(kind) = path.strip_prefix("ask/").and_then(pages::ask::Kind::of) {
            return self.ok(pages::ask::render(&self.frame("requests"), kind, &pages::ask::Filled::default()));
        }
        if let Some(id) = path.strip_prefix("receipt/") {
            let (id, as_json) = id.strip_suffix(".json").map_or((id, false), |id| (id, true));
            if let Some(receipt) = session.receipts.iter().find(|receipt| receipt.id == id) {
                return match as_json {
                    true => download(JSON, receipt.json.clone(), &format!("receipt-{}.json", receipt.id)),
                    false => self.ok(pages::choices::receipt(&self.frame("choices"), receipt)),
                };
            }
        }
        self.wrong(StatusCode::NOT_FOUND, "error.not_found")
    }

    async fn requests(&self, session: &Session) -> WebAnswer {
        let parts = &self.centre.parts;
        match parts.store.requests(&parts.people.to_string(), &session.person.subject).await {
            Ok(entered) => self.ok(pages::requests(&self.frame("requests"), &entered)),
            Err(trouble) => self.trouble(&trouble),
        }
    }

    /// What a form sends. It must come from a page of ours, in the browser that was given it.
    async fn take(&self, path: &str) -> WebAnswer {
        if self.fresh
            || !self.centre.parts.keys.is_form(&self.cookie, self.field("form"))
            || is_foreign(&self.request.headers)
        {
            return self.wrong(StatusCode::FORBIDDEN, "error.expired");
        }
        match (path, &self.session) {
            ("enter", _) => self.ask_for_code(),
            ("code", _) => self.try_code().await,
            ("status", _) => self.status().await,
            ("leave", _) => {
                self.centre.door().leave(&self.cookie);
                let mut answer = self.go("");
                answer.headers_mut().extend(self.set(""));
                answer
            }
            ("choices", Some(session)) => self.choose(session).await,
            (path, Some(session)) => match path.strip_prefix("ask/").and_then(pages::ask::Kind::of) {
                Some(kind) => self.ask(kind, session).await,
                None => self.wrong(StatusCode::NOT_FOUND, "error.not_found"),
            },
            (_, None) => self.go("enter"),
        }
    }

    /// The same for everybody: what follows from it happens outside of the request.
    fn ask_for_code(&self) -> WebAnswer {
        let can = self.centre.parts.store.can;
        let typed = self.field("contact").trim();
        let kind = if typed.contains('@') { ContactKind::Email } else { ContactKind::Phone };
        let (allowed, lengths) = match kind {
            ContactKind::Email => (can.email, 6..=254),
            ContactKind::Phone | ContactKind::IdNumber => (can.phone, 7..=15),
        };
        let normal = kind.normalised(typed).filter(|normal| lengths.contains(&normal.len()) && typed.len() <= 254);
        let Some(normal) = normal.filter(|_| allowed) else {
            return page(
                StatusCode::UNPROCESSABLE_ENTITY,
                HTML,
                pages::enter::render(&self.frame("enter"), Some(typed)),
            );
        };
        let contact = self.centre.parts.keys.contact(&normal);
        let asked = self.centre.door().ask(&self.cookie, contact, self.request.from, self.now);
        if let Some(asked) = asked {
            let knock = Knock { asked, kind, normal, language: self.tongue.code() };
            if self.centre.knocks.try_send(knock).is_err() {
                tracing::warn!("more codes of the privacy centre wait than are sent: one was dropped");
            }
        }
        self.go("code")
    }

    async fn try_code(&self) -> WebAnswer {
        let code: String = self.field("code").chars().filter(|c| !c.is_whitespace()).take(7).collect();
        let tried = self.centre.door().enter(&self.cookie, &code, self.request.from, self.now);
        match tried {
            Tried::In(cookie, person) => {
                let says = format!("{}; name, address and contacts are read for the forms", acts::shown(&person));
                let step = crate::requests::told::Step {
                    step: "identify",
                    request: None,
                    subject: Some(&person.subject),
                    says: &says,
                    lookups: &[],
                };
                if let Err(trouble) = self.centre.parts.told.tell(&step).await {
                    self.centre.door().leave(&cookie);
                    return self.trouble(&trouble);
                }
                self.read_details(&cookie, &person).await;
                let mut answer = self.go("you");
                answer.headers_mut().extend(self.set(&cookie));
                answer
            }
            Tried::Wrong(left) => {
                page(StatusCode::UNPROCESSABLE_ENTITY, HTML, pages::enter::code(&self.frame("code"), Some(left)))
            }
            Tried::Over => page(StatusCode::UNPROCESSABLE_ENTITY, HTML, pages::enter::over(&self.frame("enter"))),
        }
    }

    /// What the forms will say of the person; without it they have blanks.
    async fn read_details(&self, cookie: &str, person: &Person) {
        match self.centre.parts.store.details(&person.subject).await {
            Ok(details) => {
                if let Some(session) = self.centre.door().session(cookie, self.now) {
                    session.details = details;
                }
            }
            Err(trouble) => tracing::warn!(%trouble, "the forms of the privacy centre could not be filled in"),
        }
    }

    async fn status(&self) -> WebAnswer {
        if !self.centre.door().takes_form(self.request.from, self.now) {
            return self.wrong(StatusCode::TOO_MANY_REQUESTS, "error.busy");
        }
        let reference = self.field("reference");
        let found = match self.centre.parts.keys.referred(reference) {
            None => Ok(None),
            Some(id) => self.centre.parts.store.status(id).await,
        };
        let shown = match found {
            Ok(Some(entered)) => pages::status::Shown::Found(entered),
            Ok(None) => pages::status::Shown::Unknown(reference.chars().take(40).collect()),
            Err(trouble) => return self.trouble(&trouble),
        };
        self.ok(pages::status::render(&self.frame("status"), &shown))
    }

    async fn choose(&self, session: &Session) -> WebAnswer {
        let (purpose, on) = (self.field("purpose"), self.field("to") == "on");
        match acts::change(self.centre, &session.person, purpose, on, self.tongue).await {
            Ok(receipt) => {
                let receipt = receipt.as_ref();
                let kept = receipt.and_then(|receipt| {
                    let mut door = self.centre.door();
                    let kept = door.session(&self.cookie, self.now)?;
                    kept.keep(receipt.clone());
                    Some(kept.clone())
                });
                let session = kept.as_ref().unwrap_or(session);
                match Wishes::of(self.centre, &session.person.subject).await {
                    Ok(wishes) => {
                        let told = pages::choices::Told { receipt, purpose };
                        self.ok(pages::choices::render(&self.frame("choices"), &wishes, session, Some(&told)))
                    }
                    Err(trouble) => self.trouble(&trouble),
                }
            }
            Err(trouble) => self.trouble(&trouble),
        }
    }

    async fn ask(&self, kind: pages::ask::Kind, session: &Session) -> WebAnswer {
        let values = |name: &str| -> Vec<String> {
            self.form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
        };
        let filled = pages::ask::Filled {
            what: self.field("what").trim().to_owned(),
            why: self.field("why").trim().to_owned(),
            purposes: values("purpose"),
            wish: self.field("wish").to_owned(),
            tried: true,
        };
        if kind == pages::ask::Kind::Consent {
            return self.agree(&filled, session).await;
        }
        let Some(wanted) = pages::ask::wanted(self.centre, kind, &filled) else {
            let body = pages::ask::render(&self.frame("requests"), kind, &filled);
            return page(StatusCode::UNPROCESSABLE_ENTITY, HTML, body);
        };
        let wanted = Some(wanted.as_str()).filter(|wanted| !wanted.is_empty());
        match acts::ask(self.centre, &session.person, kind.asked(), wanted).await {
            Ok((reference, deadline)) => {
                let body =
                    pages::ask::done(&self.frame("requests"), kind, &filled, &reference, &deadline.legal.to_string());
                self.ok(body)
            }
            Err(Trouble::Database(error)) if error.code().is_some_and(|code| code.code() == "54000") => {
                self.wrong(StatusCode::TOO_MANY_REQUESTS, "ask.too_many")
            }
            Err(trouble) => self.trouble(&trouble),
        }
    }

    /// Form 4: each purpose that is ticked is agreed to, and what is above it.
    async fn agree(&self, filled: &pages::ask::Filled, session: &Session) -> WebAnswer {
        let policies = self.centre.parts.policies.load_full();
        let mut names: Vec<String> = Vec::new();
        for purpose in &filled.purposes {
            let above = policies.lineage(purpose).into_iter().rev().map(|purpose| purpose.name.clone());
            for name in above.filter(|name| !names.contains(name)).collect::<Vec<_>>() {
                names.push(name);
            }
        }
        if names.is_empty() {
            let body = pages::ask::render(&self.frame("requests"), pages::ask::Kind::Consent, filled);
            return page(StatusCode::UNPROCESSABLE_ENTITY, HTML, body);
        }
        names.sort_by_key(|name| name.matches('.').count());
        for name in &names {
            match acts::change(self.centre, &session.person, name, true, self.tongue).await {
                Ok(None) => {}
                Ok(Some(receipt)) => {
                    if let Some(session) = self.centre.door().session(&self.cookie, self.now) {
                        session.keep(receipt);
                    }
                }
                Err(trouble) => return self.trouble(&trouble),
            }
        }
        self.go("choices")
    }

    /// A link of a mail. A mail program posts by itself what RFC 8058 says; a person who follows the link is asked once: programs that
    /// look at links change nothing.
    async fn unsubscribe(&self, get: bool) -> WebAnswer {
        let policies = self.centre.parts.policies.load_full();
        let found = self.centre.parts.keys.unsubscribes(&self.request.path);
        let Some((purpose, subject)) = found.filter(|(purpose, _)| policies.purpose(purpose).is_some()) else {
            return self.wrong(StatusCode::NOT_FOUND, "unsubscribe.wrong");
        };
        let frame = self.frame("");
        if get {
            return self.ok(pages::status::unsubscribe(&frame, &purpose, &self.request.path));
        }
        if self.request.method != Method::POST || self.field("List-Unsubscribe") != "One-Click" {
            return self.wrong(StatusCode::METHOD_NOT_ALLOWED, "unsubscribe.wrong");
        }
        if !self.centre.door().takes_link(&self.request.path, self.now) {
            return self.wrong(StatusCode::TOO_MANY_REQUESTS, "error.busy");
        }
        match acts::unsubscribe(self.centre, &subject, &purpose, self.tongue.code()).await {
            Ok(()) => self.ok(pages::status::unsubscribed(&frame, &purpose)),
            Err(trouble) => self.trouble(&trouble),
        }
    }
}

/// `__Host-` binds it to this host and to TLS.
fn cookies(centre: &Centre) -> Cookies {
    Cookies::new(centre.parts.settings.is_secure(), ["__Host-centre", "centre"])
}
