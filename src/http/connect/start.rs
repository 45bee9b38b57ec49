//! `/{app_id}/{connector}/signup`: GET says what a click would ask for and starts nothing, POST starts it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{allow_provider, form, member, nothing_else, query, refused, visitor};
use crate::http::extract::{Pairs, Segments};
use crate::http::page::{Answer, Page, see_other};
use crate::http::person::Person;
use crate::http::problem::Problem;
use crate::identity::Member;
use crate::model::connection::Flow;
use crate::signup::{Error, Proposal, Signup, Wish};

/// Before the names of URL variables in the form.
const VARIABLE: &str = "var.";

#[derive(Template)]
#[template(path = "connect/signup.html")]
struct SignupPage {
    page: Page,
    action: String,
    back: String,
    csrf_token: String,
    app: String,
    connector: String,
    person: String,
    flow: Option<String>,
    scopes: Vec<String>,
    fields: Vec<Field>,
}

/// A URL variable that the person gives.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: String,
    pub(super) wrong: Option<String>,
}

/// What the query of both methods says.
struct Asked {
    flow: Flow,
    return_to: Option<String>,
}

pub(super) async fn show_signup(
    request: HttpRequest,
    path: Segments,
    person: Person,
    signup: web::Data<Signup>,
) -> Answer {
    let asked = asked(&request)?;
    let by = member(&person, &path)?;
    let name = path.connector()?;
    let proposal = signup.propose(&by, name.as_str(), asked.flow, asked.return_to.as_deref()).await?;
    Ok(render(StatusCode::OK, &person, proposal, asked.return_to.as_deref(), &Wish::default(), &[]))
}

pub(super) async fn start_signup(
    request: HttpRequest,
    path: Segments,
    person: Person,
    payload: web::Payload,
    signup: web::Data<Signup>,
) -> Answer {
    let ([csrf_token], fields) = form(&request, payload, ["csrf_token"]).await?;
    person.check_csrf(&csrf_token)?;
    let asked = asked(&request)?;
    let by = member(&person, &path)?;
    let name = path.connector()?;
    let variables = variables(fields)?;
    let wish = Wish { flow: asked.flow, return_to: asked.return_to, variables };
    match signup.start(&by, &visitor(&person), name.as_str(), wish.clone()).await {
        Ok(url) => Ok(see_other(url.as_str())),
        Err(Error::Variables(wrong)) => again(&signup, &by, &person, name.as_str(), &wish, wrong).await,
        Err(error) => Err(error.into()),
    }
}

/// The page once more, with what is wrong beside each field.
async fn again(
    signup: &Signup,
    by: &Member,
    person: &Person,
    name: &str,
    wish: &Wish,
    wrong: Vec<crate::model::connector::Violation>,
) -> Answer {
    let return_to = wish.return_to.as_deref();
    let proposal = signup.propose(by, name, wish.flow.clone(), return_to).await?;
    let known =
        |pointer: &str| proposal.variables.iter().any(|(name, _)| pointer.trim_start_matches('/') == name);
    if let Some(other) = wrong.iter().find(|one| !known(&one.pointer)) {
        return Err(Problem::invalid(&other.pointer, other.detail.clone()).into());
    }
    let wrong: Vec<_> = wrong.into_iter().map(|one| (one.pointer, one.detail)).collect();
    Ok(render(StatusCode::BAD_REQUEST, person, proposal, return_to, wish, &wrong))
}

fn asked(request: &HttpRequest) -> Answer<Asked> {
    let [flow, flow_id, return_to] = query(request, ["flow", "auth_flow_id", "return_to"])?;
    if flow.is_some() && flow_id.is_some() {
        return Err(Problem::invalid("flow", "is repeated under its other name").into());
    }
    let flow = match flow.or(flow_id) {
        None => Flow::default(),
        Some(text) => Flow::parse(&text)
            .ok_or_else(|| Problem::invalid("flow", "must be 1 to 64 characters A-Za-z0-9._-"))?,
    };
    Ok(Asked { flow, return_to })
}

pub(super) fn variables(mut fields: Pairs) -> Answer<BTreeMap<String, String>> {
    let names: Vec<String> =
        fields.names().filter_map(|name| name.strip_prefix(VARIABLE)).map(str::to_owned).collect();
    let mut values = BTreeMap::new();
    for name in names {
        let value = fields.take(&format!("{VARIABLE}{name}")).map_err(|error| refused(&error))?;
        values.extend(value.map(|value| (name, value.trim().to_owned())));
    }
    nothing_else(&fields)?;
    Ok(values)
}

fn render(
    status: StatusCode,
    person: &Person,
    proposal: Proposal,
    return_to: Option<&str>,
    wish: &Wish,
    wrong: &[(String, String)],
) -> HttpResponse {
    let Proposal { app, definition, scopes, variables, flow } = proposal;
    let page = Page::new(format!("Connect {}", definition.display_name)).of(person);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let other_flow = (flow != Flow::default()).then(|| flow.to_string());
    query.extend_pairs(other_flow.iter().map(|flow| ("flow", flow)));
    query.extend_pairs(return_to.map(|target| ("return_to", target)));
    let query = query.finish();
    let question = if query.is_empty() { "" } else { "?" };
    let template = SignupPage {
        action: page.link(&format!("/{}/{}/signup{question}{query}", app.id, definition.id)),
        back: page.link(&format!("/{}/connect", app.id)),
        page,
        csrf_token: person.csrf_token().to_owned(),
        app: app.name,
        connector: definition.display_name.clone(),
        person: person.user().display_name.clone(),
        flow: other_flow,
        scopes,
        fields: fields(variables, &wish.variables, wrong),
    };
    let mut response = Page::render_status(status, &template);
    allow_provider(&mut response, &definition, return_to);
    response
}

/// A form's fields for these URL variables, with what was given and what is wrong beside each.
pub(super) fn fields(
    variables: Vec<(String, String)>,
    given: &BTreeMap<String, String>,
    wrong: &[(String, String)],
) -> Vec<Field> {
    let wrong = |name: &str| {
        wrong.iter().find(|(at, _)| at.trim_start_matches('/') == name).map(|(_, why)| why.clone())
    };
    let field = |(name, _): (String, String)| Field {
        label: name.replace('_', " "),
        value: given.get(&name).cloned().unwrap_or_default(),
        wrong: wrong(&name),
        name: format!("{VARIABLE}{name}"),
    };
    variables.into_iter().map(field).collect()
}
