//! Connecting an account in the browser: which routes are there, and what do their pages share?

mod apps;
mod callback;
mod confirm;
mod install;
mod link;
mod start;
#[cfg(test)]
mod tests;

use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::extract::{Pairs, PairsError, Segments, read_body};
use super::layer::host::resource;
use super::page::{Answer, FormTargets, see_other};
use super::person::{Person, local_path};
use super::problem::{Code, Problem};
use super::server::read;
use super::settings::WebSettings;
use crate::identity::Member;
use crate::identity::session::SignedIn;
use crate::model::app::AppId;
use crate::model::connector::{Definition, origin_of};
use crate::model::scope::Scope;
use crate::signup::{Connected, Visitor};

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        resource("/connect/{connector}/callback", "GET")
            .name("connect_callback")
            .route(web::get().to(callback::connect_callback)),
    )
    .service(
        resource("/connect/{connector}/callback/{app_id}", "GET")
            .route(web::get().to(callback::connect_callback)),
    )
    .service(
        resource("/connect/{connector}/install", "GET, POST")
            .route(web::get().to(install::show_install))
            .route(web::post().to(install::start_install)),
    )
    .service(
        resource("/connect/confirm", "GET, POST")
            .route(web::get().to(confirm::show_confirmation))
            .route(web::post().to(confirm::decide)),
    )
    .service(
        resource("/connect/links/{token}", "GET, POST")
            .route(web::get().to(link::show_link))
            .route(web::post().to(link::follow_link)),
    )
    .service(resource("/{app_id}/connect", "GET, HEAD").route(read().to(apps::show_connectors)))
    .service(
        resource("/{app_id}/{connector}/signup", "GET, POST")
            .route(web::get().to(start::show_signup))
            .route(web::post().to(start::start_signup)),
    );
}

/// The signed-in browser as the service knows it.
fn visitor(person: &Person) -> Visitor {
    visitor_of(person.signed_in())
}

fn visitor_of(signed_in: &SignedIn) -> Visitor {
    Visitor {
        principal: signed_in.principal.clone(),
        session: signed_in.session_id,
        label: signed_in.user.display_name.clone(),
    }
}

/// The right to connect accounts of the path's app; a foreign app and one that is not there answer alike.
fn member(person: &Person, path: &Segments) -> Result<Member, Problem> {
    member_of(person, path.text("app_id"))
}

fn member_of(person: &Person, app: &str) -> Result<Member, Problem> {
    match AppId::parse(app) {
        Ok(app) => Ok(person.principal().member(&app)?),
        Err(_) => {
            person.principal().superadmin(Scope::AppsRead)?;
            Err(Problem::new(Code::AppNotFound))
        }
    }
}

/// The query of one of our own pages: only these parameters, each once.
fn query<const N: usize>(request: &HttpRequest, names: [&str; N]) -> Answer<[Option<String>; N]> {
    let mut pairs = Pairs::parse(request.query_string().as_bytes()).map_err(|error| refused(&error))?;
    let values = take(&mut pairs, names)?;
    nothing_else(&pairs)?;
    Ok(values)
}

/// The fields of one of our own forms; the rest is the caller's to judge.
async fn form<const N: usize>(
    request: &HttpRequest,
    payload: web::Payload,
    names: [&str; N],
) -> Answer<([String; N], Pairs)> {
    let body = read_body(request, payload.into_inner(), "application/x-www-form-urlencoded").await?;
    let mut pairs = Pairs::parse(&body).map_err(|error| refused(&error))?;
    let values = take(&mut pairs, names)?.map(Option::unwrap_or_default);
    Ok((values, pairs))
}

fn take<const N: usize>(pairs: &mut Pairs, names: [&str; N]) -> Answer<[Option<String>; N]> {
    let mut values = [const { None }; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = pairs.take(name).map_err(|error| refused(&error))?;
    }
    Ok(values)
}

fn nothing_else(pairs: &Pairs) -> Answer<()> {
    match pairs.names().next() {
        None => Ok(()),
        Some(name) => Err(Problem::invalid(name, "is not known here").into()),
    }
}

fn refused(error: &PairsError) -> Problem {
    match error {
        PairsError::Malformed => Problem::invalid("", error.to_string()),
        PairsError::Repeated(name) => Problem::invalid(name, "is repeated"),
    }
}

/// After success: where the starter wanted to go, else the app's page with a notice.
fn connected(settings: &WebSettings, done: &Connected) -> HttpResponse {
    let Connected { app, connector, return_to, .. } = done;
    let location = match return_to {
        Some(target) => match local_path(settings, target) {
            Some(path) => settings.link(&path),
            None => target.clone(),
        },
        None => settings.link(&format!("/{app}/connect?connected={connector}")),
    };
    see_other(&location)
}

/// Lets the forms of a page lead to the provider, and from there to `return_to`. Browsers hold every redirect
/// after a POST against `form-action`, and providers send people on to sign-in hosts nobody can list: over https
/// any of them, over http (loopback alone) the very origin.
fn allow_provider(response: &mut HttpResponse, definition: &Definition, return_to: Option<&str>) {
    let provider = origin_of(&definition.authorization_url);
    let plain = provider.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:/[]".contains(&b));
    let provider = match provider.starts_with("https://") {
        true => Some("https:".to_owned()),
        false => Some(provider).filter(|_| plain),
    };
    allow(response, provider.into_iter().chain(elsewhere(return_to)));
}

/// Lets the forms of a page lead to `return_to`, where it is not ours.
fn allow_return(response: &mut HttpResponse, return_to: Option<&str>) {
    allow(response, elsewhere(return_to).into_iter());
}

fn elsewhere(return_to: Option<&str>) -> Option<String> {
    let url = Url::parse(return_to?).ok()?;
    Some(url.origin().ascii_serialization())
}

fn allow(response: &mut HttpResponse, sources: impl Iterator<Item = String>) {
    response.extensions_mut().insert(FormTargets(sources.collect()));
}
