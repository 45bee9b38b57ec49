//! `/account`: which applications a person has let in and which browsers are signed in; the person ends either.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::http::form::PageForm;
use crate::http::oauth::{Wish, wishes};
use crate::http::page::{self, Page, see_other};
use crate::http::person::{self, Person};
use crate::http::problem::{Code, Problem};
use crate::http::settings::WebSettings;
use crate::identity::people::{LetIn, People};
use crate::model::client::ClientId;

const PATH: &str = "/account";

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'p> {
    page: Page,
    csrf_token: &'p str,
    email: &'p str,
    applications: Vec<Application>,
    sessions: Vec<Browser>,
}

struct Application {
    client_id: String,
    name: String,
    since: String,
    wishes: Vec<Wish>,
    holds_tokens: bool,
}

struct Browser {
    id: String,
    address: String,
    since: String,
    /// The one that asks.
    this: bool,
}

pub(super) async fn show(person: Person, people: web::Data<People>) -> page::Answer {
    let signed_in = person.signed_in();
    let applications = people.let_in(signed_in).await?.into_iter().map(application).collect();
    let sessions = people.own_sessions(signed_in).await?.into_iter().map(|session| Browser {
        id: session.id.simple().to_string(),
        address: session
            .address
            .map_or_else(|| "an unknown address".to_owned(), |address| address.to_string()),
        since: day(session.created_at),
        this: session.id == person.session_id(),
    });
    Ok(Page::render(&AccountPage {
        page: Page::new("Your account").of(&person),
        csrf_token: person.csrf_token(),
        email: person.user().email.as_str(),
        applications,
        sessions: sessions.collect(),
    }))
}

fn application(one: LetIn) -> Application {
    let mut all: Vec<Wish> = Vec::new();
    for (scope, resource) in &one.scopes {
        let resource = resource.as_ref().map(|uri| uri.as_str());
        let more = wishes(one.exchanges, scope, resource).into_iter();
        all.extend(more.filter(|wish| !all.contains(wish)).collect::<Vec<_>>());
    }
    Application {
        client_id: one.client_id.to_string(),
        name: one.name,
        since: day(one.since),
        wishes: all,
        holds_tokens: one.holds_tokens,
    }
}

fn day(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.format(&format).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionForm {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    session: String,
}

pub(super) async fn end_session(
    person: Person,
    form: PageForm<SessionForm>,
    people: web::Data<People>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    person.check_csrf(&form.0.csrf_token)?;
    let session = Uuid::try_parse(&form.0.session).map_err(|_| Problem::new(Code::NotFound))?;
    people.end_own_session(person.signed_in(), session).await?;
    if session == person.session_id() {
        return Ok(person::signed_out(&settings));
    }
    Ok(back(&settings))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplicationForm {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    client_id: String,
}

pub(super) async fn let_out(
    person: Person,
    form: PageForm<ApplicationForm>,
    people: web::Data<People>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    person.check_csrf(&form.0.csrf_token)?;
    let client = ClientId::parse(&form.0.client_id).ok_or_else(|| Problem::new(Code::NotFound))?;
    people.let_out(person.signed_in(), &client).await?;
    Ok(back(&settings))
}

fn back(settings: &WebSettings) -> HttpResponse {
    see_other(&settings.link(PATH))
}
