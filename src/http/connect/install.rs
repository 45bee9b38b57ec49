//! `/connect/{connector}/install`: flows that begin at the provider. Whatever the provider puts into the address
//! is ignored: the person chooses the app, and a flow of our own starts, with our state.

use actix_web::{HttpRequest, web};
use askama::Template;

use super::{allow_provider, form, member_of, nothing_else, visitor};
use crate::http::extract::Segments;
use crate::http::page::{Answer, Page, see_other};
use crate::http::person::{Person, Visitor, login_link};
use crate::http::settings::WebSettings;
use crate::signup::{Error, Signup, Wish};

#[derive(Template)]
#[template(path = "connect/install.html")]
struct InstallPage {
    page: Page,
    action: String,
    csrf_token: String,
    connector: String,
    apps: Vec<(String, String)>,
}

pub(super) async fn show_install(
    path: Segments,
    browser: Visitor,
    settings: web::Data<WebSettings>,
    signup: web::Data<Signup>,
) -> Answer {
    let here = format!("/connect/{}/install", path.connector()?);
    let Some(person) = browser.person() else { return Ok(see_other(&login_link(&settings, &here))) };
    let found = signup.installation(person.principal(), path.connector()?.as_str()).await?;
    let page = Page::new(format!("Connect {}", found.definition.display_name)).of(person);
    let template = InstallPage {
        action: page.link(&here),
        page,
        csrf_token: person.csrf_token().to_owned(),
        connector: found.definition.display_name.clone(),
        apps: found.apps.into_iter().map(|app| (app.id.to_string(), app.name)).collect(),
    };
    let mut response = Page::render(&template);
    allow_provider(&mut response, &found.definition, None);
    Ok(response)
}

pub(super) async fn start_install(
    request: HttpRequest,
    path: Segments,
    person: Person,
    payload: web::Payload,
    settings: web::Data<WebSettings>,
    signup: web::Data<Signup>,
) -> Answer {
    let ([csrf_token, app], rest) = form(&request, payload, ["csrf_token", "app_id"]).await?;
    nothing_else(&rest)?;
    person.check_csrf(&csrf_token)?;
    let by = member_of(&person, &app)?;
    let connector = path.connector()?;
    signup.installation(person.principal(), connector.as_str()).await?;
    match signup.start(&by, &visitor(&person), connector.as_str(), Wish::default()).await {
        Ok(url) => Ok(see_other(url.as_str())),
        // Its page asks for what is missing.
        Err(Error::Variables(_)) => Ok(see_other(&settings.link(&format!("/{app}/{connector}/signup")))),
        Err(error) => Err(error.into()),
    }
}
