//! `GET /connect/{connector}/callback[/{app_id}]`: the browser comes back from the provider.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{connected, link, refused, take, visitor};
use crate::http::extract::{Pairs, Segments};
use crate::http::page::{Answer, Page, see_other};
use crate::http::person::{AnySession, Person, Visitor};
use crate::http::settings::WebSettings;
use crate::model::secret::Secret;
use crate::model::ticket::Ticket;
use crate::signup::{self, Arrival, Error, Outcome, Signup};

#[derive(Template)]
#[template(path = "connect/no_consent.html")]
struct NoConsentPage {
    page: Page,
    back: String,
    code: String,
    description: Option<String>,
}

/// Unknown parameters are ignored, known ones repeated are refused (RFC 6749 §3.1). Nobody is sent to sign-in
/// from here: the code would travel on in the address, and a new session could not use it.
pub(super) async fn connect_callback(
    request: HttpRequest,
    path: Segments,
    AnySession(browser): AnySession<Visitor>,
    settings: web::Data<WebSettings>,
    signup: web::Data<Signup>,
) -> Answer {
    let answer = read(&request)?;
    let person = browser.person().ok_or(Error::State)?;
    let app = Some(path.text("app_id").to_owned()).filter(|app| !app.is_empty());
    let arrival = Arrival { connector: path.text("connector").to_owned(), app };
    match signup.callback(&visitor(person), arrival, answer).await {
        Ok(Outcome::Connected(done)) => Ok(connected(&settings, &done)),
        Ok(Outcome::Return(done, id)) => Ok(link::returned(&settings, &done, id)),
        Ok(Outcome::Confirm(id)) => {
            Ok(see_other(&settings.link(&format!("/connect/confirm?signup={}", id.simple()))))
        }
        Err(Error::NoConsent { app, code, description }) => {
            Ok(no_consent(person, app.as_str(), code, description))
        }
        Err(error) => Err(error.into()),
    }
}

fn read(request: &HttpRequest) -> Answer<signup::Answer> {
    let mut pairs = Pairs::parse(request.query_string().as_bytes()).map_err(|error| refused(&error))?;
    let [state, code, error, error_description, _, iss] =
        take(&mut pairs, ["state", "code", "error", "error_description", "error_uri", "iss"])?;
    Ok(signup::Answer {
        state: state.as_deref().and_then(Ticket::parse),
        code: code.map(Secret::new),
        error,
        error_description,
        iss,
    })
}

fn no_consent(person: &Person, app: &str, code: String, description: Option<String>) -> HttpResponse {
    let page = Page::new("Nothing was connected").of(person);
    let back = page.link(&format!("/{app}/connect"));
    Page::render_status(StatusCode::FORBIDDEN, &NoConsentPage { page, back, code, description })
}
