//! `/connect/confirm`: "account X for app Y?", where a connection needs a person's word before it goes live.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use uuid::Uuid;

use super::{allow_return, connected, form, link, nothing_else, query, visitor};
use crate::http::page::{Answer, Page, see_other};
use crate::http::person::{AnySession, Person};
use crate::http::problem::Problem;
use crate::http::settings::WebSettings;
use crate::model::connection::Flow;
use crate::signup::{Error, Outcome, Question, Signup, Victim};

#[derive(Template)]
#[template(path = "connect/confirm.html")]
struct ConfirmPage {
    page: Page,
    action: String,
    csrf_token: String,
    app: String,
    app_id: String,
    connector: String,
    account: Option<String>,
    flow: Option<String>,
    started_by: String,
    own: bool,
    several_apps: bool,
    replaces: Option<(String, String)>,
    kills: Option<String>,
    takes_over: bool,
    may_confirm: bool,
    address: String,
}

pub(super) async fn show_confirmation(
    request: HttpRequest,
    AnySession(person): AnySession<Person>,
    settings: web::Data<WebSettings>,
    signup: web::Data<Signup>,
) -> Answer {
    let id = signup_id(&request)?;
    let question = signup.question(&visitor(&person), id).await?;
    Ok(render(&person, &settings, question))
}

pub(super) async fn decide(
    request: HttpRequest,
    AnySession(person): AnySession<Person>,
    payload: web::Payload,
    settings: web::Data<WebSettings>,
    signup: web::Data<Signup>,
) -> Answer {
    let ([csrf_token, decision], rest) = form(&request, payload, ["csrf_token", "decision"]).await?;
    nothing_else(&rest)?;
    person.check_csrf(&csrf_token)?;
    let id = signup_id(&request)?;
    match decision.as_str() {
        "accept" => match signup.confirm(&visitor(&person), id).await? {
            Outcome::Connected(done) => Ok(connected(&settings, &done)),
            Outcome::Return(done, id) => Ok(link::returned(&settings, &done, id)),
            Outcome::Confirm(_) => Err(Error::NothingPending.into()),
        },
        "cancel" => {
            let app = signup.cancel(&visitor(&person), id).await?;
            Ok(see_other(&settings.link(&format!("/{app}/connect"))))
        }
        _ => Err(Problem::invalid("decision", "must be accept or cancel").into()),
    }
}

fn signup_id(request: &HttpRequest) -> Answer<Uuid> {
    let [id] = query(request, ["signup"])?;
    let id = id.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    Ok(id.ok_or(Error::NothingPending)?)
}

fn render(person: &Person, settings: &WebSettings, question: Question) -> HttpResponse {
    let unknown = || "an account whose name the provider does not tell".to_owned();
    let Question { signup, app, definition, flow, account, return_to, .. } = question;
    let page = Page::new(format!("Connect {} for {}?", definition.display_name, app.name)).of(person);
    let path = format!("/connect/confirm?signup={}", signup.simple());
    let template = ConfirmPage {
        action: page.link(&path),
        page,
        csrf_token: person.csrf_token().to_owned(),
        app: app.name,
        app_id: app.id.to_string(),
        connector: definition.display_name.clone(),
        account,
        flow: (flow != Flow::default()).then(|| flow.to_string()),
        own: question.own,
        started_by: question.started_by,
        several_apps: question.several_apps,
        replaces: question.replaces.map(|before| {
            let somebody = || "somebody who is no longer known".to_owned();
            (before.account.unwrap_or_else(unknown), before.connected_by.unwrap_or_else(somebody))
        }),
        kills: question.kills.map(|victim| name(&victim)),
        takes_over: question.takes_over,
        may_confirm: question.may_confirm,
        address: settings.absolute(&path),
    };
    let mut response = Page::render(&template);
    allow_return(&mut response, return_to.as_deref());
    response
}

fn name(victim: &Victim) -> String {
    match (&victim.app, &victim.flow) {
        (Some(app), Some(flow)) => format!("the connection “{flow}” of the app {app}"),
        _ => "a connection of another app".to_owned(),
    }
}
