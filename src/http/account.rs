//! A person's account: setting a password by a one-time link; what is the person's own stands in `account/own.rs`.

mod own;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::PageForm;
use super::layer::host;
use super::login::nothing;
use super::page::{self, Page};
use super::person::{self, AnySession, Person, Visitor};
use super::server::read;
use super::settings::WebSettings;
use crate::identity::password;
use crate::identity::people::{Error, People};
use crate::model::person::User;
use crate::model::secret::Secret;

/// `/account`, `/account/password/{token}`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        host::resource("/account/password/{token}", "GET, POST")
            .route(web::get().to(password_page))
            .route(web::post().to(set_password)),
    )
    .service(host::resource("/account", "GET, HEAD").route(read().to(own::show)))
    .service(host::resource("/account/sessions", "POST").route(web::post().to(own::end_session)))
    .service(host::resource("/account/applications", "POST").route(web::post().to(own::let_out)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    #[serde(default = "nothing")]
    password: Secret,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'p> {
    page: Page,
    user: &'p User,
    csrf_token: &'p str,
    wrong: Option<&'static str>,
    /// Who is signed in so far, and will not be any more.
    instead_of: Option<&'p User>,
}

async fn password_page(
    token: web::Path<String>,
    visitor: Visitor,
    people: web::Data<People>,
) -> page::Answer {
    let user = people.open_password_link(&token).await?;
    Ok(visitor.keep(show(StatusCode::OK, &visitor, &user, None)))
}

async fn set_password(
    request: HttpRequest,
    token: web::Path<String>,
    browser: AnySession<Visitor>,
    form: PageForm<PasswordRequest>,
    people: web::Data<People>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let (visitor, former) = browser.replacing();
    visitor.check_csrf(&form.0.csrf_token)?;
    match people.set_password(&token, &form.0.password, former, person::origin(&request)).await {
        Ok(opened) => Ok(person::signed_in(&settings, &opened, "/")),
        Err(Error::Password(password::Error::Rule(why))) => {
            let user = people.open_password_link(&token).await?;
            Ok(show(StatusCode::BAD_REQUEST, &visitor, &user, Some(why)))
        }
        Err(error) => Err(error.into()),
    }
}

fn show(status: StatusCode, visitor: &Visitor, user: &User, wrong: Option<&'static str>) -> HttpResponse {
    let page = Page::new("Set your password");
    let instead_of = visitor.person().map(Person::user).filter(|person| person.id != user.id);
    let csrf_token = visitor.csrf_token();
    Page::render_status(status, &PasswordPage { page, user, csrf_token, wrong, instead_of })
}
