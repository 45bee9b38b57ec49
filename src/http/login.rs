//! Signing in and out in the browser.

pub(super) mod oidc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::{PageForm, PageQuery};
use super::layer::host;
use super::oauth;
use super::page::{self, Page, see_other};
use super::person::{self, AnySession, Visitor, local_path};
use super::problem::Problem;
use super::server::read;
use super::settings::WebSettings;
use crate::identity::login::{Browser, Error, Logins};
use crate::identity::session::Sessions;
use crate::identity::upstream::{self, AtProxy, Request as ForwardedRequest, Upstream, Upstreams};
use crate::issuer::Issuer;
use crate::model::secret::Secret;

/// `/login`, `/login/oidc` and `/logout`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    oidc::routes(cfg);
    cfg.service(
        host::resource("/login", "GET, HEAD, POST").route(read().to(login_page)).route(web::post().to(login)),
    );
    cfg.service(host::resource("/login/proxy", "POST").route(web::post().to(login_at_proxy)));
    cfg.service(host::resource("/logout", "POST").route(web::post().to(logout)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginParams {
    #[serde(default)]
    return_to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    #[serde(default)]
    email: String,
    #[serde(default = "nothing")]
    password: Secret,
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    return_to: String,
}

pub(super) fn nothing() -> Secret {
    Secret::new("")
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'p> {
    page: Page,
    csrf_token: &'p str,
    email: &'p str,
    return_to: &'p str,
    provider: Option<&'p str>,
    error: Option<String>,
    provider_error: Option<String>,
}

/// What the person brought, and what went wrong with it.
#[derive(Default)]
pub(super) struct Shown<'s> {
    pub(super) status: StatusCode,
    pub(super) email: &'s str,
    /// Where to go on, a path of ours.
    pub(super) return_to: &'s str,
    pub(super) error: Option<String>,
    pub(super) provider_error: Option<String>,
}

async fn login_page(
    request: HttpRequest,
    visitor: Visitor,
    query: PageQuery<LoginParams>,
    issuer: web::Data<Issuer>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let return_to = local_path(&settings, &query.0.return_to);
    if visitor.person().is_some() {
        return Ok(see_other(&settings.link(return_to.as_deref().unwrap_or("/"))));
    }
    if person::stays_out(&request, &settings) && person::at_proxy(&request).await? != AtProxy::Nobody {
        let return_to = return_to.unwrap_or_default();
        let mut response = show_signed_out(&visitor, &upstreams, &return_to);
        lead_on(&mut response, &issuer, &return_to).await;
        return Ok(response);
    }
    let headers = |name: &str| person::header_values(&request, name);
    let forwarded = ForwardedRequest { peer: person::peer(&request), headers: &headers };
    let arrived = upstreams.sign_in_at_proxy(&forwarded, person::origin(&request)).await;
    let provider_error = match arrived {
        Ok(Some(opened)) => {
            return Ok(person::signed_in(&settings, &opened, return_to.as_deref().unwrap_or("/")));
        }
        Ok(None) => None,
        // Known at the provider and not here: a password or an invitation may still let in.
        Err(error @ upstream::Error::Unknown { .. }) => Some(Problem::from(error).detail().to_owned()),
        Err(error) => return Err(error.into()),
    };
    let return_to = return_to.unwrap_or_default();
    let shown = Shown { return_to: &return_to, provider_error, ..Shown::default() };
    let mut response = show(&visitor, &upstreams, shown);
    lead_on(&mut response, &issuer, &return_to).await;
    Ok(response)
}

async fn login(
    request: HttpRequest,
    browser: AnySession<Visitor>,
    form: PageForm<LoginRequest>,
    logins: web::Data<Logins>,
    issuer: web::Data<Issuer>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let (form, (visitor, session)) = (form.0, browser.replacing());
    visitor.check_csrf(&form.csrf_token)?;
    let return_to = local_path(&settings, &form.return_to);
    let known = request.cookie(&settings.known_cookie());
    let browser = Browser { session, known: known.as_ref().map(|cookie| cookie.value()) };
    match logins.sign_in(&form.email, &form.password, browser, person::origin(&request)).await {
        Ok(opened) => Ok(person::signed_in(&settings, &opened, return_to.as_deref().unwrap_or("/"))),
        Err(error @ (Error::Wrong | Error::Limited { .. })) => {
            let problem = Problem::from(error);
            let (status, return_to) = (problem.code().status(), return_to.unwrap_or_default());
            let (email, error) = (form.email.as_str(), Some(problem.detail().to_owned()));
            let shown = Shown { status, email, return_to: &return_to, error, ..Shown::default() };
            let mut response = show(&visitor, &upstreams, shown);
            page::keep_manner(&problem, &mut response);
            lead_on(&mut response, &issuer, &return_to).await;
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// A sign-in for a client of ours may end at that client, with no page in between.
async fn lead_on(response: &mut HttpResponse, issuer: &Issuer, return_to: &str) {
    if let Some(url) = oauth::form_target(issuer, return_to).await {
        page::allow_form_target(response, &url);
    }
}

pub(super) fn show(visitor: &Visitor, upstreams: &Upstreams, shown: Shown<'_>) -> HttpResponse {
    let Shown { status, email, return_to, error, provider_error } = shown;
    let (page, csrf_token) = (Page::new("Sign in"), visitor.csrf_token());
    let provider = upstreams.find().map(Upstream::name);
    let page = LoginPage { page, csrf_token, email, return_to, provider, error, provider_error };
    let mut response = Page::render_status(status, &page);
    oidc::allow_provider(&mut response, upstreams);
    visitor.keep(response)
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'p> {
    page: Page,
    csrf_token: &'p str,
    return_to: &'p str,
    provider: &'p str,
    logout: Option<&'p str>,
}

fn show_signed_out(visitor: &Visitor, upstreams: &Upstreams, return_to: &str) -> HttpResponse {
    let (page, csrf_token) = (Page::new("You are signed out here"), visitor.csrf_token());
    let (provider, logout) =
        upstreams.find().map_or(("", None), |upstream| (upstream.name(), upstream.proxy_logout()));
    visitor.keep(Page::render(&SignedOutPage { page, csrf_token, return_to, provider, logout }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgainRequest {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    return_to: String,
}

/// Whoever has signed out here wants in again, as whom the proxy still knows.
async fn login_at_proxy(
    visitor: Visitor,
    form: PageForm<AgainRequest>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    visitor.check_csrf(&form.0.csrf_token)?;
    let return_to = local_path(&settings, &form.0.return_to);
    let login = person::login_link(&settings, return_to.as_deref().unwrap_or("/"));
    Ok(person::forget_sign_out(&settings, see_other(&login)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutRequest {
    #[serde(default)]
    csrf_token: String,
}

async fn logout(
    request: HttpRequest,
    AnySession(visitor): AnySession<Visitor>,
    form: PageForm<LogoutRequest>,
    sessions: web::Data<Sessions>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    visitor.check_csrf(&form.0.csrf_token)?;
    if let Some(person) = visitor.person() {
        sessions.end(person.signed_in()).await?;
    }
    match person::at_proxy(&request).await? {
        AtProxy::Nobody => Ok(person::signed_out(&settings)),
        AtProxy::Stranger | AtProxy::Known(..) => Ok(person::signed_out_at_proxy(&settings)),
    }
}
