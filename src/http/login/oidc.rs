//! `/login/oidc`: to the upstream OpenID provider and back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use url::Url;

use super::{Shown, show};
use crate::http::extract::{Pairs, PairsError};
use crate::http::form::PageForm;
use crate::http::layer::host;
use crate::http::oauth;
use crate::http::page::{self, FormTargets, Page, see_other};
use crate::http::person::{self, Person, Visitor, local_path};
use crate::http::problem::Problem;
use crate::http::settings::WebSettings;
use crate::identity::upstream::{Answer, Arrival, Error, Upstreams};
use crate::issuer::Issuer;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(host::resource("/login/oidc", "POST").route(web::post().to(start)));
    cfg.service(host::resource("/login/oidc/callback", "GET").route(web::get().to(callback)));
    cfg.service(host::resource("/login/oidc/unlink", "POST").route(web::post().to(unlink)));
}

/// Lets the forms of a page lead to the provider. Browsers hold every redirect after a POST against `form-action`, and
/// providers send people on to sign-in hosts nobody can list: over https any of them, over http (loopback alone) the
/// very origin.
pub(in crate::http) fn allow_provider(response: &mut HttpResponse, upstreams: &Upstreams) {
    let issuer = upstreams.find().and_then(|upstream| Url::parse(upstream.issuer()).ok());
    let target = issuer.map(|url| match url.scheme() {
        "https" => "https:".to_owned(),
        _ => url.origin().ascii_serialization(),
    });
    if let Some(target) = target {
        response.extensions_mut().insert(FormTargets(vec![target]));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartRequest {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    return_to: String,
}

/// Somebody wants to sign in, or who is signed in wants to be linked.
async fn start(
    request: HttpRequest,
    visitor: Visitor,
    form: PageForm<StartRequest>,
    upstreams: web::Data<Upstreams>,
    issuer: web::Data<Issuer>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let upstream = upstreams.require()?;
    visitor.check_csrf(&form.0.csrf_token)?;
    let return_to = local_path(&settings, &form.0.return_to);
    let renewal = oauth::renewal(&issuer, return_to.as_deref()).await;
    let origin = person::origin(&request);
    match upstream.start(visitor.visit(), return_to.clone(), renewal, origin).await {
        Ok(url) => Ok(see_other(url.as_str())),
        Err(error) if visitor.person().is_none() => {
            let problem = Problem::from(error);
            let return_to = return_to.unwrap_or_default();
            let provider_error = Some(problem.detail().to_owned());
            let status = problem.code().status();
            let shown = Shown { status, return_to: &return_to, provider_error, ..Shown::default() };
            let mut response = show(&visitor, &upstreams, shown);
            page::keep_manner(&problem, &mut response);
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "upstream.html")]
struct RefusedPage<'p> {
    page: Page,
    provider: &'p str,
    told: Refused<'p>,
    login: String,
}

/// Why nobody is signed in, where there is more to say than a sentence.
enum Refused<'r> {
    Denied { code: &'r str, description: Option<&'r str> },
    Unknown { label: &'r str },
    NotRenewed,
}

/// Unknown parameters are ignored, known ones repeated are refused (RFC 6749 §3.1).
async fn callback(
    request: HttpRequest,
    visitor: Visitor,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let upstream = upstreams.require()?;
    let answer = read(&request)?;
    match upstream.finish(visitor.visit(), answer, person::origin(&request)).await {
        Ok(Arrival::SignedIn(opened, return_to)) => {
            let path = return_to.and_then(|path| local_path(&settings, &path));
            Ok(person::signed_in(&settings, &opened, path.as_deref().unwrap_or("/")))
        }
        Ok(Arrival::Linked(return_to)) => {
            let path = return_to.and_then(|path| local_path(&settings, &path));
            Ok(see_other(&settings.link(path.as_deref().unwrap_or("/"))))
        }
        Err(Error::Denied { code, description }) => {
            let told = Refused::Denied { code: &code, description: description.as_deref() };
            Ok(refused(&settings, upstream.name(), told))
        }
        Err(Error::Unknown { label }) => {
            Ok(refused(&settings, upstream.name(), Refused::Unknown { label: &label }))
        }
        Err(Error::NotRenewed) => Ok(refused(&settings, upstream.name(), Refused::NotRenewed)),
        Err(error) => Err(error.into()),
    }
}

fn refused(settings: &WebSettings, provider: &str, told: Refused<'_>) -> HttpResponse {
    let page = Page::new(match &told {
        Refused::Denied { .. } | Refused::NotRenewed => "You are not signed in",
        Refused::Unknown { .. } => "Your account is not known here",
    });
    let login = settings.link("/login");
    Page::render_status(StatusCode::FORBIDDEN, &RefusedPage { page, provider, told, login })
}

fn read(request: &HttpRequest) -> page::Answer<Answer> {
    let invalid = |error: &PairsError| Problem::invalid("query", error.to_string());
    let mut pairs = Pairs::parse(request.query_string().as_bytes()).map_err(|error| invalid(&error))?;
    let mut take = |name: &str| pairs.take(name).map_err(|error| invalid(&error));
    Ok(Answer {
        state: take("state")?.as_deref().and_then(Ticket::parse),
        code: take("code")?.map(Secret::new),
        error: take("error")?.map(|code| short(&code, 100)),
        error_description: take("error_description")?.map(|text| short(&text, 500)),
        iss: take("iss")?,
    })
}

/// As much of a foreign text as a person reads.
fn short(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnlinkRequest {
    #[serde(default)]
    csrf_token: String,
}

async fn unlink(
    request: HttpRequest,
    person: Person,
    form: PageForm<UnlinkRequest>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let upstream = upstreams.require()?;
    person.check_csrf(&form.0.csrf_token)?;
    upstream.unlink(person.signed_in(), person::origin(&request)).await?;
    Ok(see_other(&settings.link("/")))
}
