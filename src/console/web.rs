//! From a request to an answer: hosts, log-in, routes, forms.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{self, HeaderName};
use hyper::{Method, StatusCode};

use super::Console;
use super::acts;
use super::bundle;
use super::door::{self, Who};
use super::pages::{self, Frame};
use super::query::Query;
use super::seek::seek;
use crate::audit::Filter;
use crate::audit::read::page as log_page;
use crate::audit::report::{Campaign, Stretch};
use crate::config::{Person, Standing};
use crate::policy::PolicySet;
use crate::server::admin::Readiness;
use crate::server::site::{
    Cookies, HTML, download, fields, is_foreign, is_safe_method, page, random, secured, style_name, stylesheet, to,
};
use crate::server::web::{WebAnswer, WebRequest};

/// How long a page of a search may read.
const PATIENCE: Duration = Duration::from_millis(200);
/// As the access log names whoever has the token.
const BY_TOKEN: &str = "token";

/// Answers one request.
pub(super) async fn answer(console: &Arc<Console>, request: WebRequest) -> WebAnswer {
    secured(routed(console, &request).await, console.is_secure())
}

async fn routed(console: &Arc<Console>, request: &WebRequest) -> WebAnswer {
    if !is_own_host(console, request) {
        return wrong(
            console,
            StatusCode::FORBIDDEN,
            "Ask for this page by address, as localhost, or as `[admin] url` says.",
        );
    }
    let get = is_safe_method(&request.method);
    if get && request.path.strip_prefix('/') == Some(style_name()) {
        return stylesheet();
    }
    if !get && request.method != Method::POST {
        return wrong(console, StatusCode::METHOD_NOT_ALLOWED, "Only GET and POST are answered.");
    }
    if !get && (is_foreign(&request.headers) || !is_own_origin(console, request)) {
        return wrong(console, StatusCode::FORBIDDEN, "That came from another site.");
    }
    let cookies = Cookies::new(console.is_secure(), ["__Host-console", "console"]);
    let held = cookies.held(&request.headers);
    let now = Instant::now();
    let session = held.as_deref().and_then(|cookie| console.door().session(cookie, now));
    let Some((who, form)) = session else { return outside(console, request, cookies, held, get).await };
    let visit = Visit { console, request, who, form, sent: fields(&request.body) };
    let asked = fields(request.query.as_bytes());
    if get {
        return visit.show(&asked).await;
    }
    if !door::is_same(visit.field("form"), &visit.form) {
        return wrong(
            console,
            StatusCode::FORBIDDEN,
            "That form is of another log-in: go back and load the page again.",
        );
    }
    if request.path == "/leave" {
        console.door().leave(held.as_deref().unwrap_or_default());
        let mut answer = to("/enter");
        answer.headers_mut().extend(cookies.set(""));
        return answer;
    }
    visit.take().await
}

/// A name that is no address could be one that somebody else's page has pointed here.
fn is_own_host(console: &Console, request: &WebRequest) -> bool {
    let Some(host) = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let url = console.parts.settings.url.as_deref().and_then(|url| url.split_once("://"));
    name == "localhost"
        || host.parse::<SocketAddr>().is_ok()
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || url.is_some_and(|(_, ours)| ours.eq_ignore_ascii_case(host))
}

/// Where a browser says from which origin a form comes, it is this one.
fn is_own_origin(console: &Console, request: &WebRequest) -> bool {
    let text = |name| request.headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return !request.headers.contains_key(header::ORIGIN) };
    // Pages that tell no other site where they were say so to this one too; that it is this one the browser says beside it.
    if origin == "null" {
        return text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin");
    }
    let scheme = if console.parts.settings.tls.is_some() { "https" } else { "http" };
    let here = text(header::HOST).map(|host| format!("{scheme}://{host}"));
    here.is_some_and(|here| origin.eq_ignore_ascii_case(&here))
        || console.parts.settings.url.as_deref().is_some_and(|url| origin.eq_ignore_ascii_case(url))
}

fn wrong(console: &Console, status: StatusCode, what: &str) -> WebAnswer {
    page(status, HTML, pages::wrong(console, what))
}

/// Whoever is not in yet.
async fn outside(
    console: &Arc<Console>,
    request: &WebRequest,
    cookies: Cookies,
    held: Option<String>,
    get: bool,
) -> WebAnswer {
    if let Some(token) = request.path.strip_prefix("/token/").filter(|_| get) {
        return by_token(console, request, cookies, token).await;
    }
    // A certificate that holds needs no form.
    if let Some(who) = door::by_certificate(&console.parts.settings, request.certificate.as_deref()).filter(|_| get) {
        return come_in(console, cookies, who, "certificate").await;
    }
    match (request.path.as_str(), get) {
        ("/enter", true) => entrance(console, cookies, held, StatusCode::OK, None),
        ("/enter", false) => {
            let sent = fields(&request.body);
            let field = |name: &str| sent.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
            let form = held.as_deref().map(|cookie| console.door().entrance(cookie));
            if !form.is_some_and(|form| door::is_same(&form, field("form"))) {
                let why = "The form was open for too long, or the browser takes no cookies.";
                return entrance(console, cookies, held, StatusCode::FORBIDDEN, Some(why));
            }
            let (name, password) =
                (field("name").trim().to_owned(), zeroize::Zeroizing::new(field("password").to_owned()));
            if !console.door().may_try(request.from, &name, Instant::now()) {
                let why = "That was tried too often: wait a quarter of an hour.";
                return entrance(console, cookies, held, StatusCode::TOO_MANY_REQUESTS, Some(why));
            }
            let settings = console.parts.settings.clone();
            let typed = name.clone();
            let tried = tokio::task::spawn_blocking(move || door::by_password(&settings, &typed, &password)).await;
            match tried.ok().flatten() {
                Some(who) => come_in(console, cookies, who, "password").await,
                None => {
                    // What was typed as a name stands in the log only where it is one: it may be a password.
                    let known = console.parts.settings.people.iter().find(|person: &&Person| person.name == name);
                    let known = known.map(Who::of);
                    if let Err(why) = acts::view(console, known.as_ref(), "log-in refused", "password").await {
                        return wrong(console, StatusCode::SERVICE_UNAVAILABLE, &why);
                    }
                    let why = "That is not the name and the password of somebody who may look.";
                    entrance(console, cookies, held, StatusCode::UNPROCESSABLE_ENTITY, Some(why))
                }
            }
        }
        (_, true) => to("/enter"),
        (_, false) => wrong(console, StatusCode::FORBIDDEN, "You are logged out: log in again."),
    }
}

fn entrance(
    console: &Console,
    cookies: Cookies,
    held: Option<String>,
    status: StatusCode,
    problem: Option<&str>,
) -> WebAnswer {
    let (cookie, is_new) = held.map_or_else(|| (random(), true), |cookie| (cookie, false));
    let form = console.door().entrance(&cookie);
    let mut answer = page(status, HTML, pages::enter(console, &form, problem));
    if is_new {
        answer.headers_mut().extend(cookies.set(&cookie));
    }
    answer
}

async fn by_token(console: &Arc<Console>, request: &WebRequest, cookies: Cookies, token: &str) -> WebAnswer {
    let known = console.parts.token.as_ref().is_some_and(|known| door::is_same(known.expose(), token));
    let here = request.from.is_loopback();
    if !console.door().may_try(request.from, BY_TOKEN, Instant::now()) || !known || !here {
        return wrong(console, StatusCode::FORBIDDEN, "That is not the token, or it was tried too often.");
    }
    come_in(console, cookies, Who { name: BY_TOKEN.to_owned(), standing: Standing::Officer }, "token").await
}

/// A session of its own, whatever cookie there was before.
async fn come_in(console: &Arc<Console>, cookies: Cookies, who: Who, by: &str) -> WebAnswer {
    if let Err(why) = acts::view(console, Some(&who), "log-in", by).await {
        return wrong(console, StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    let cookie = console.door().open(who, Instant::now());
    let mut answer = to("/");
    answer.headers_mut().extend(cookies.set(&cookie));
    answer
}

/// Somebody who is in, with a request.
struct Visit<'a> {
    console: &'a Arc<Console>,
    request: &'a WebRequest,
    who: Who,
    form: String,
    sent: Vec<(String, String)>,
}

impl Visit<'_> {
    fn field(&self, name: &str) -> &str {
        self.sent.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    fn policies(&self) -> Arc<PolicySet> {
        (self.console.parts.policies)()
    }

    fn frame(&self, here: &'static str) -> Frame<'_> {
        Frame {
            console: self.console,
            who: &self.who,
            form: &self.form,
            here,
            zone: self.policies().zone().clone(),
            others: self.console.following.others(),
        }
    }

    fn wrong(&self, status: StatusCode, what: &str) -> WebAnswer {
        wrong(self.console, status, what)
    }

    /// A page, once it is in the log that it was looked at.
    async fn show(&self, asked: &[(String, String)]) -> WebAnswer {
        let query = Query::of(asked);
        let path = self.request.path.as_str();
        let says = match path {
            "/find" => query.told(self.console.parts.subject_key.as_ref()),
            _ => String::new(),
        };
        let known =
            matches!(path, "/" | "/find" | "/matrix" | "/policies" | "/campaigns" | "/pictures" | "/bundle" | "/proxy");
        let campaign = path.strip_prefix("/campaign/").and_then(|name| self.campaign(name));
        if path == "/enter" || path.starts_with("/token/") {
            return to("/");
        }
        if !known && campaign.is_none() {
            return self.wrong(StatusCode::NOT_FOUND, "There is no such page.");
        }
        if let Err(why) = acts::view(self.console, Some(&self.who), path, &says).await {
            return self.wrong(StatusCode::SERVICE_UNAVAILABLE, &why);
        }
        let field = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let body = match path {
            "/find" => self.find(&query).await,
            "/matrix" => {
                let due = (self.console.parts.due)().await;
                pages::matrix::render(&self.frame("/matrix"), &self.policies(), &due)
            }
            "/policies" => self.history().await,
            "/campaigns" => pages::campaigns::render(&self.frame("/campaigns"), &self.policies(), None),
            "/pictures" => pages::pictures::render(&self.frame("/pictures")),
            "/bundle" => bundle::page(&self.frame("/bundle"), None),
            "/proxy" => self.proxy().await,
            _ => match campaign {
                Some(campaign) => self.campaign_page(&campaign, None).await,
                None => {
                    let done = field("done")
                        .and_then(|done| pages::inbox::VERDICTS.iter().find(|(verdict, _, _)| *verdict == done));
                    let done = done.map(|(_, name, _)| format!("It is in the access log: {name}."));
                    let at = field("page").and_then(|page| page.parse().ok()).unwrap_or_default();
                    pages::inbox::render(&self.frame("/"), at, done.as_deref(), None)
                }
            },
        };
        page(StatusCode::OK, HTML, body)
    }

    async fn find(&self, query: &Query) -> String {
        let frame = self.frame("/find");
        if query.is_empty() {
            return pages::find::render(&frame, query, None);
        }
        let found = match query.filter(self.console.parts.subject_key.as_ref(), &frame.zone) {
            Err(problem) => Err(problem),
            Ok(filter) => {
                let directory = self.console.parts.admin.log.directory().to_owned();
                let (before, others) = (query.before.clone(), frame.others.clone());
                self.read(move || seek(&directory, others, &filter, &before, pages::find::PER_PAGE, PATIENCE)).await
            }
        };
        pages::find::render(&frame, query, Some(&found))
    }

    /// Reads the log's files: so many at a time, and on a thread that may wait.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let _turn = self.console.readers.acquire().await;
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        read.map_err(|error| format!("the log cannot be read: {error}"))
    }

    async fn proxy(&self) -> String {
        let admin = &self.console.parts.admin;
        let readiness = Readiness::of(admin).await;
        let directory = admin.log.directory().to_owned();
        let count = pages::proxy::DECISIONS;
        let filter = Filter { event: Some("access".to_owned()), ..Filter::default() };
        let decisions = self.read(move || log_page(&directory, &filter, None, count, PATIENCE)).await;
        let decisions = decisions.map(|page| page.entries);
        pages::proxy::render(&self.frame("/proxy"), &readiness, &decisions)
    }

    async fn history(&self) -> String {
        let (stretches, starts): (Vec<Stretch>, u64) = {
            let desk = self.console.following.desk();
            (desk.stretches().to_vec(), desk.starts())
        };
        let changes = changes(self.console, stretches.clone()).await;
        let older = stretches.len().saturating_sub(changes.len());
        pages::policies::render(&self.frame("/policies"), &changes, starts, older)
    }

    fn campaign(&self, name: &str) -> Option<Campaign> {
        self.console.following.desk().campaigns().iter().find(|campaign| campaign.campaign == name).cloned()
    }

    /// The policies that a campaign is about.
    async fn about(&self, campaign: &Campaign) -> Arc<PolicySet> {
        let now = self.policies();
        if now.hash() == campaign.policy {
            return now;
        }
        let (folder, hash) = (self.console.parts.kept.clone(), campaign.policy.clone());
        let kept = tokio::task::spawn_blocking(move || PolicySet::kept(&folder, &hash)).await;
        match kept {
            Ok(Ok(kept)) => Arc::new(kept),
            Ok(Err(_)) | Err(_) => now,
        }
    }

    async fn campaign_page(&self, campaign: &Campaign, problem: Option<&str>) -> String {
        let about = self.about(campaign).await;
        pages::campaigns::one(&self.frame("/campaigns"), campaign, &about, &self.policies(), problem)
    }

    /// What a form sends.
    async fn take(&self) -> WebAnswer {
        let refused = |body: String| page(StatusCode::UNPROCESSABLE_ENTITY, HTML, body);
        match self.request.path.as_str() {
            "/review" => {
                let ids = self.sent.iter().filter(|(key, _)| key == "finding").map(|(_, id)| id.as_str());
                let (ids, verdict): (Vec<&str>, &str) = (ids.collect(), self.field("verdict"));
                match acts::review(self.console, &self.who, verdict, &ids, self.field("comment")).await {
                    Ok(()) => to(&format!("/?done={verdict}")),
                    Err(why) => refused(pages::inbox::render(&self.frame("/"), 0, None, Some(&why))),
                }
            }
            "/campaigns" => match acts::begin(self.console, &self.who, &self.policies(), self.field("comment")).await {
                Ok(campaign) => to(&format!("/campaign/{campaign}")),
                Err(why) => refused(pages::campaigns::render(&self.frame("/campaigns"), &self.policies(), Some(&why))),
            },
            "/bundle" => match bundle::make(self.console, &self.frame("/bundle"), &self.who).await {
                Ok((name, zip)) => download("application/zip", zip, &name),
                Err(why) => refused(bundle::page(&self.frame("/bundle"), Some(&why))),
            },
            path => {
                let Some(rest) = path.strip_prefix("/campaign/") else {
                    return self.wrong(StatusCode::NOT_FOUND, "There is no such page.");
                };
                let (name, is_end) = rest.strip_suffix("/close").map_or((rest, false), |name| (name, true));
                let Some(campaign) = self.campaign(name).filter(|campaign| campaign.closed.is_none()) else {
                    return self.wrong(StatusCode::NOT_FOUND, "There is no such campaign that is open.");
                };
                let about = self.about(&campaign).await;
                let done = if is_end {
                    acts::close(self.console, &self.who, name, &about, self.field("comment")).await
                } else {
                    let line = (self.field("role"), self.field("purpose"), self.field("what"), self.field("comment"));
                    acts::judge(self.console, &self.who, name, &about, line).await
                };
                match done {
                    Ok(()) => to(&format!("/campaign/{name}")),
                    Err(why) => refused(self.campaign_page(&campaign, Some(&why)).await),
                }
            }
        }
    }
}

/// The newest stretches first, each with what it changed against the one before.
pub(super) async fn changes(
    console: &Arc<Console>,
    stretches: Vec<Stretch>,
) -> Vec<(Stretch, Option<pages::policies::Changed>)> {
    let folder = console.parts.kept.clone();
    let told = tokio::task::spawn_blocking(move || {
        let first = stretches.len().saturating_sub(pages::policies::SHOWN);
        let mut all = Vec::new();
        let mut newer: Option<(String, Result<PolicySet, String>)> = None;
        let mut kept = |hash: &str| match newer.take() {
            Some((known, set)) if known == hash => set,
            Some(_) | None => PolicySet::kept(&folder, hash),
        };
        for (at, stretch) in stretches.iter().enumerate().skip(first) {
            let before = at.checked_sub(1).and_then(|at| stretches.get(at));
            let changed = before.map(|before| {
                let (old, new) = (kept(&before.policy)?, kept(&stretch.policy)?);
                Ok(new.changes_since(&old))
            });
            all.push((stretch.clone(), changed));
        }
        all.reverse();
        all
    });
    told.await.unwrap_or_default()
}
