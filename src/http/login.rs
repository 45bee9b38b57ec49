//! Signing in and out in the browser.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::{PageForm, PageQuery};
use super::layer::host;
use super::oauth;
use super::page::{self, Page, see_other};
use super::person::{self, Visitor, local_path};
use super::problem::Problem;
use super::settings::WebSettings;
use crate::identity::login::{Browser, Error, Logins};
use crate::identity::session::Sessions;
use crate::issuer::Issuer;
use crate::model::secret::Secret;

/// `/login` and `/logout`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(host::resource("/login").route(web::get().to(login_page)).route(web::post().to(login)));
    cfg.service(host::resource("/logout").route(web::post().to(logout)));
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
    error: Option<String>,
}

async fn login_page(
    visitor: Visitor,
    query: PageQuery<LoginParams>,
    issuer: web::Data<Issuer>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let return_to = local_path(&settings, &query.0.return_to);
    if visitor.person().is_some() {
        return Ok(see_other(&settings.link(return_to.as_deref().unwrap_or("/"))));
    }
    let return_to = return_to.unwrap_or_default();
    let mut response = show(StatusCode::OK, &visitor, "", &return_to, None);
    lead_on(&mut response, &issuer, &return_to).await;
    Ok(visitor.keep(response))
}

async fn login(
    request: HttpRequest,
    visitor: Visitor,
    form: PageForm<LoginRequest>,
    logins: web::Data<Logins>,
    issuer: web::Data<Issuer>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let form = form.0;
    visitor.check_csrf(&form.csrf_token)?;
    let return_to = local_path(&settings, &form.return_to);
    let session = visitor.person().map(person::Person::session_id);
    let known = request.cookie(&settings.known_cookie());
    let browser = Browser { session, known: known.as_ref().map(|cookie| cookie.value()) };
    match logins.sign_in(&form.email, &form.password, browser, person::origin(&request)).await {
        Ok(opened) => Ok(person::signed_in(&settings, &opened, return_to.as_deref().unwrap_or("/"))),
        Err(error @ (Error::Wrong | Error::Limited { .. })) => {
            let problem = Problem::from(error);
            let (status, return_to) = (problem.code().status(), return_to.unwrap_or_default());
            let detail = Some(problem.detail().to_owned());
            let mut response = show(status, &visitor, &form.email, &return_to, detail);
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

pub(super) fn show(
    status: StatusCode,
    visitor: &Visitor,
    email: &str,
    return_to: &str,
    error: Option<String>,
) -> HttpResponse {
    let page = Page::new("Sign in");
    Page::render_status(
        status,
        &LoginPage { page, csrf_token: visitor.csrf_token(), email, return_to, error },
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutRequest {
    #[serde(default)]
    csrf_token: String,
}

async fn logout(
    visitor: Visitor,
    form: PageForm<LogoutRequest>,
    sessions: web::Data<Sessions>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    visitor.check_csrf(&form.0.csrf_token)?;
    if let Some(person) = visitor.person() {
        sessions.end(person.signed_in()).await?;
    }
    Ok(person::signed_out(&settings))
}
