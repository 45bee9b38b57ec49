//! The start page: a person's apps.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::layer::host;
use super::page::{self, Page};
use super::person::Person;
use crate::identity::people::People;
use crate::model::app::{App, AppState};

/// `/`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(host::resource("/").route(web::get().to(start)));
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    page: Page,
    apps: Vec<App>,
    superadmin: bool,
}

impl StartPage {
    fn is_disabled(app: &App) -> bool {
        app.state == AppState::Disabled
    }
}

async fn start(person: Person, people: web::Data<People>) -> page::Answer<HttpResponse> {
    let apps = people.apps_of(person.principal()).await?;
    let superadmin = person.user().role.is_some();
    Ok(Page::render(&StartPage { page: Page::new("Your apps").of(&person), apps, superadmin }))
}
