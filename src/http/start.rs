//! The start page: a person's apps.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::layer::host;
use super::login::oidc;
use super::page::{self, Page};
use super::person::Person;
use super::server::read;
use crate::identity::people::People;
use crate::identity::upstream::Upstreams;
use crate::model::app::{App, AppState};

/// `/`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(host::resource("/", "GET, HEAD").route(read().to(start)));
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    page: Page,
    apps: Vec<App>,
    superadmin: bool,
    upstream: Option<Link>,
    csrf_token: String,
}

/// The upstream provider, and what it calls the person.
struct Link {
    provider: String,
    label: Option<String>,
    has_password: bool,
}

impl StartPage {
    fn is_disabled(app: &App) -> bool {
        app.state == AppState::Disabled
    }
}

async fn start(
    person: Person,
    people: web::Data<People>,
    upstreams: web::Data<Upstreams>,
) -> page::Answer<HttpResponse> {
    let apps = people.apps_of(person.principal()).await?;
    let superadmin = person.user().role.is_some();
    let upstream = match upstreams.find() {
        Some(upstream) => Some(Link {
            provider: upstream.name().to_owned(),
            label: upstream.linked_label(person.signed_in()).await?,
            has_password: person.user().has_password,
        }),
        None => None,
    };
    let (page, csrf_token) = (Page::new("Your apps").of(&person), person.csrf_token().to_owned());
    let mut response = Page::render(&StartPage { page, apps, superadmin, upstream, csrf_token });
    oidc::allow_provider(&mut response, &upstreams);
    Ok(response)
}
