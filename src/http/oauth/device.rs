//! The device flow (RFC 8628): the device asks, its person answers on a page.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Serialize;
use url::form_urlencoded;

use crate::http::extract::{Pairs, PairsError, RequestOrigin, read_body};
use crate::http::oauth_error::OAuthError;
use crate::http::page::{self, Page};
use crate::http::person::Person;
use crate::http::problem::{Code, Problem};
use crate::issuer::client_credentials::Asked;
use crate::issuer::device::{DeviceAuthorization, WaitingDevice};
use crate::issuer::{Error, Issuer};
use crate::model::grant::GrantType;

use super::form::{Parameters, presented};
use super::token::{authenticate, unkept};
use super::wishes::{Wish, wishes};

/// RFC 8628 §3.2.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct DeviceAuthorizationResponse<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: i64,
    interval: i64,
}

/// The form of a device's request.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read parameter by parameter")]
pub(in crate::http) struct DeviceAuthorizationRequest {
    client_id: String,
    /// Space-separated; without it all of the client's.
    scope: Option<String>,
    /// RFC 8707.
    resource: Option<String>,
}

/// Begins for a device: it shows the code and the address, and polls the token endpoint.
#[utoipa::path(post, path = "/o/device_authorization/", tag = "authorization server", security((), ("basic" = [])),
    request_body(content = DeviceAuthorizationRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = DeviceAuthorizationResponse),
        (status = "default", description = "RFC 6749 §5.2", body = Object)))]
pub(in crate::http) async fn device_authorization(
    request: HttpRequest,
    payload: web::Payload,
    origin: RequestOrigin,
    issuer: web::Data<Issuer>,
) -> Result<HttpResponse, OAuthError> {
    let mut form = Parameters::read(&request, payload).await?;
    let asked = Asked { scope: form.take("scope")?, resource: form.take("resource")? };
    let (client, in_header) = presented(&request, &mut form)?;
    let client = authenticate(&issuer, &client, in_header, origin.0).await?;
    Ok(answer(issuer.url(), &issuer.authorize_device(&client, &asked, origin.0).await?))
}

#[expect(clippy::disallowed_methods, reason = "door: the codes go to the device that asked")]
fn answer(issuer: &str, device: &DeviceAuthorization) -> HttpResponse {
    let page = format!("{}/o/device/", issuer.trim_end_matches('/'));
    let user_code = device.user_code.expose_secret();
    let query: String = form_urlencoded::byte_serialize(user_code.as_bytes()).collect();
    unkept(DeviceAuthorizationResponse {
        device_code: device.device_code.expose_secret(),
        user_code,
        verification_uri_complete: format!("{page}?user_code={query}"),
        verification_uri: page,
        expires_in: device.expires_in_s,
        interval: device.interval_s,
    })
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'p> {
    page: Page,
    csrf_token: &'p str,
    person: &'p str,
    user_code: &'p str,
    stage: Stage<'p>,
}

/// What the page is about.
enum Stage<'p> {
    /// The code is typed; why the one before was none.
    Typing(Option<String>),
    /// The person is asked.
    Asking { client: &'p str, wishes: Vec<Wish> },
    /// It asks for nothing that this person could give.
    InVain { client: &'p str, wishes: Vec<Wish> },
    /// It was answered.
    Done { client: &'p str, yes: bool },
}

/// What a person who was shown a code comes here with.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape alone is used: the parameter is read by itself")]
pub(in crate::http) struct DevicePageParams {
    /// Is filled in (RFC 8628 §3.3.1); the person still has to send it.
    user_code: Option<String>,
}

/// The form of the page.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the shape alone is used: the form is read field by field")]
pub(in crate::http) struct DeviceAnswerRequest {
    /// Of the page.
    csrf_token: String,
    /// As the device shows it.
    user_code: String,
    /// `accept` or `cancel`; without it the page asks.
    decision: Option<String>,
}

/// Where the code is typed; one in the address is filled in, and no more.
///
/// Parameters we do not know are ignored, here and in the form.
#[utoipa::path(get, path = "/o/device/", tag = "authorization server", security(("session" = [])),
    params(DevicePageParams),
    responses((status = 200, description = "The page where the code is typed", content_type = "text/html", body = String),
        (status = 303, description = "To the sign-in, which leads back", headers(("Location" = String))),
        (status = "default", description = "A page that says what is wrong", content_type = "text/html", body = String)))]
pub(in crate::http) async fn device_page(request: HttpRequest, person: Person) -> page::Answer {
    let mut query = Pairs::parse(request.query_string().as_bytes()).map_err(malformed)?;
    let user_code = query.take("user_code").map_err(malformed)?.unwrap_or_default();
    Ok(show(StatusCode::OK, &person, &user_code, Stage::Typing(None)))
}

/// A code, or the answer to what it asks.
#[utoipa::path(post, path = "/o/device/", tag = "authorization server", security(("session" = [])),
    request_body(content = DeviceAnswerRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The page that asks, or the one that says it is done",
            content_type = "text/html", body = String),
        (status = 303, description = "To the sign-in, which leads back", headers(("Location" = String))),
        (status = 400, description = "The page where the code is typed: this one is not known or not good any more",
            content_type = "text/html", body = String),
        (status = 429, description = "The same, after too many codes that were none",
            content_type = "text/html", body = String),
        (status = "default", description = "A page that says what is wrong", content_type = "text/html", body = String)))]
pub(in crate::http) async fn decide_device(
    request: HttpRequest,
    payload: web::Payload,
    person: Person,
    issuer: web::Data<Issuer>,
) -> page::Answer {
    let body = read_body(&request, payload.into_inner(), "application/x-www-form-urlencoded").await?;
    let mut form = Pairs::parse(&body).map_err(malformed)?;
    let mut field = |name| form.take(name).map_err(malformed).map(Option::unwrap_or_default);
    let (csrf_token, user_code, decision) = (field("csrf_token")?, field("user_code")?, field("decision")?);
    person.check_csrf(&csrf_token)?;
    let device = match issuer.find_device(person.signed_in(), &user_code).await {
        Ok(device) => device,
        Err(Error::InvalidGrant(why)) => {
            let why = Some(format!(
                "This code cannot be used: {why}. Compare it with the one your script shows; after ten minutes start it again."
            ));
            return Ok(show(StatusCode::BAD_REQUEST, &person, &user_code, Stage::Typing(why)));
        }
        Err(error @ Error::TooManyFailures { .. }) => {
            let problem = Problem::from(error);
            let why = Some(problem.detail().to_owned());
            let mut response = show(problem.code().status(), &person, "", Stage::Typing(why));
            page::keep_manner(&problem, &mut response);
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    };
    let client = &device.client.identifier;
    match decision.as_str() {
        decision @ ("accept" | "cancel") => {
            // A yes that gives nothing is a no, which the script learns at once.
            let yes = decision == "accept" && device.asks_in_vain().is_none();
            if !issuer.answer_device(person.signed_in(), &device, yes).await? {
                let why = Some("The script does not wait any more. Start it again.".to_owned());
                return Ok(show(StatusCode::BAD_REQUEST, &person, "", Stage::Typing(why)));
            }
            Ok(show(StatusCode::OK, &person, &user_code, Stage::Done { client, yes }))
        }
        _ => Ok(show(StatusCode::OK, &person, &device.user_code, asking(&device))),
    }
}

fn malformed(_: PairsError) -> Problem {
    Problem::of(Code::InvalidRequest, "a parameter is repeated or not well formed")
}

fn asking(device: &WaitingDevice) -> Stage<'_> {
    let (client, resource) = (&device.client.identifier, device.resource.as_deref());
    let told = |scope| wishes(device.client.may_use(GrantType::TokenExchange), scope, resource);
    match device.asks_in_vain() {
        Some(asked) => Stage::InVain { client, wishes: told(asked) },
        None => Stage::Asking { client, wishes: told(&device.scope) },
    }
}

fn show(status: StatusCode, person: &Person, user_code: &str, stage: Stage<'_>) -> HttpResponse {
    let title = match &stage {
        Stage::Typing(_) => "Connect a script or device".to_owned(),
        Stage::Asking { client, .. } => format!("Let {client} in?"),
        Stage::InVain { client, .. } => format!("{client} cannot be let in by you"),
        Stage::Done { yes: true, .. } => "It is connected".to_owned(),
        Stage::Done { yes: false, .. } => "It was not let in".to_owned(),
    };
    let page = Page::new(title).of(person);
    let (csrf_token, name) = (person.csrf_token(), &person.user().display_name);
    Page::render_status(status, &DevicePage { page, csrf_token, person: name, user_code, stage })
}
