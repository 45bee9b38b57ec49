//! `/connect/links/{token}`: a service provider's person arrives. GET says who sends whom to do what, and changes
//! nothing; POST uses the link up, signs the person in and goes on to the provider.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use url::Url;
use uuid::Uuid;

use super::start::{Field, fields, variables};
use super::{allow_provider, form, visitor_of};
use crate::http::page::{Answer, Page, see_other};
use crate::http::person::{self, AnySession, Visitor, local_path};
use crate::http::settings::WebSettings;
use crate::identity::people::People;
use crate::model::connection::Flow;
use crate::signup::{Connected, Error, OpenLink, Signup};

#[derive(Template)]
#[template(path = "connect/link.html")]
struct LinkPage<'p> {
    page: Page,
    action: String,
    csrf_token: &'p str,
    client: &'p str,
    person: &'p str,
    app: &'p str,
    connector: &'p str,
    flow: Option<String>,
    scopes: &'p [String],
    fields: Vec<Field>,
    /// Who is signed in so far, and will not be any more.
    instead_of: Option<&'p str>,
}

#[derive(Template)]
#[template(path = "connect/returned.html")]
struct ReturnedPage {
    page: Page,
}

pub(super) async fn show_link(
    token: web::Path<String>,
    visitor: Visitor,
    signup: web::Data<Signup>,
) -> Answer {
    let open = signup.open_link(&token).await?;
    Ok(visitor.keep(render(StatusCode::OK, &token, &visitor, &open, &BTreeMap::new(), &[])))
}

pub(super) async fn follow_link(
    request: HttpRequest,
    token: web::Path<String>,
    browser: AnySession<Visitor>,
    payload: web::Payload,
    signup: web::Data<Signup>,
    people: web::Data<People>,
    settings: web::Data<WebSettings>,
) -> Answer {
    let (visitor, former) = browser.replacing();
    let ([csrf_token], fields) = form(&request, payload, ["csrf_token"]).await?;
    visitor.check_csrf(&csrf_token)?;
    let given = variables(fields)?;
    let open = signup.open_link(&token).await?;
    if let Err(error) = signup.check_link_variables(&open.link, &given).await {
        let Error::Variables(wrong) = error else { return Err(error.into()) };
        let wrong: Vec<_> = wrong.into_iter().map(|one| (one.pointer, one.detail)).collect();
        return Ok(render(StatusCode::BAD_REQUEST, &token, &visitor, &open, &given, &wrong));
    }
    let (opened, signed_in) = people.arrive(&open.link, former, person::origin(&request)).await?;
    let started = signup.start_linked(&visitor_of(&signed_in), &open.link, given).await?;
    Ok(person::signed_in_at(&settings, &opened, started.as_str()))
}

/// Back to the service provider, which confirms; where it named no address, a page says so.
pub(super) fn returned(settings: &WebSettings, done: &Connected, link: Uuid) -> HttpResponse {
    let Some(target) = &done.return_to else {
        return Page::render(&ReturnedPage { page: Page::new("Almost done") });
    };
    let local = local_path(settings, target).map(|path| settings.absolute(&path));
    let address = local.as_deref().unwrap_or(target);
    match Url::parse(address) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("signup_link", &link.to_string());
            see_other(url.as_str())
        }
        Err(_) => see_other(address),
    }
}

fn render(
    status: StatusCode,
    token: &str,
    visitor: &Visitor,
    open: &OpenLink,
    given: &BTreeMap<String, String>,
    wrong: &[(String, String)],
) -> HttpResponse {
    let OpenLink { link, client, proposal } = open;
    let page = Page::new(format!("Connect {} for {}", proposal.definition.display_name, proposal.app.name));
    let template = LinkPage {
        action: page.link(&format!("/connect/links/{token}")),
        page,
        csrf_token: visitor.csrf_token(),
        client,
        person: &link.label,
        app: &proposal.app.name,
        connector: &proposal.definition.display_name,
        flow: (link.flow != Flow::default()).then(|| link.flow.to_string()),
        scopes: &proposal.scopes,
        fields: fields(proposal.variables.clone(), given, wrong),
        instead_of: visitor.person().map(|person| person.user().display_name.as_str()),
    };
    let mut response = Page::render_status(status, &template);
    allow_provider(&mut response, &proposal.definition, link.return_to.as_deref());
    response
}
