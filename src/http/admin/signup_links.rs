//! Routes by which a service provider sends its own people to connect an account, and takes them back.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::may::NoParams;
use super::{LinkResponse, times};
use crate::http::extract::{Caller, Json, Query, Segments};
use crate::http::problem::{Answer, Problem};
use crate::identity::SendsPeople;
use crate::identity::people::People;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::name::DisplayName;
use crate::model::person::Email;
use crate::signup::{MadeLink, NewLink, Signup};

/// The longest name a client may have for a person, in bytes.
const MAX_EXTERNAL_ID: usize = 255;

/// Who may send people; then the query, which has nothing, and the body.
pub(in crate::http) struct Sender<B = ()> {
    by: SendsPeople,
    body: B,
}

impl<B: FromRequest + 'static> FromRequest for Sender<B> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = Caller::from_request(&request, &mut Payload::None).await?;
            let by = caller.0.sends_people().map_err(Problem::from)?;
            Query::<NoParams>::from_request(&request, &mut Payload::None).await?;
            let body = B::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { by, body })
        })
    }
}

/// Whom to send, to connect what.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateSignupLinkRequest {
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// As which connection; `default` when missing.
    #[schema(value_type = Option<String>)]
    flow: Option<Flow>,
    user: ProviderUserRequest,
    /// Where the person goes afterwards, with `signup_link={id}` added: at the origin of a redirect URI of the client, or
    /// where the operator allows it.
    #[schema(max_length = 2048)]
    return_to: Option<String>,
}

/// One of the client's people.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ProviderUserRequest {
    /// As the client calls the person, always the same.
    #[schema(min_length = 1, max_length = 255)]
    id: String,
    /// Shown to the person where there is no name; it proves nothing and is no login name.
    #[schema(max_length = 254)]
    email: Option<String>,
    #[schema(value_type = Option<String>)]
    display_name: Option<DisplayName>,
}

/// What its client has confirmed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct ConfirmedSignupResponse {
    app_id: String,
    connector: String,
    flow: String,
    /// The person, as our tokens call them (`sub`).
    user_id: Uuid,
    #[serde(serialize_with = "times::time")]
    confirmed_at: OffsetDateTime,
}

/// Makes a link that sends one of the client's people to connect an account: one use, 30 minutes.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/signup-links", tag = "signup links",
    params(("app_id" = String, Path)), request_body = CreateSignupLinkRequest,
    responses((status = 201, body = LinkResponse)))]
pub(in crate::http) async fn create_signup_link(
    sender: Sender<Json<CreateSignupLinkRequest>>,
    path: Segments,
    signup: web::Data<Signup>,
) -> Answer {
    let Json(request) = sender.body;
    let ProviderUserRequest { id, email, display_name } = request.user;
    let fits = (1..=MAX_EXTERNAL_ID).contains(&id.len()) && !id.chars().any(char::is_control);
    if !fits {
        return Err(Problem::invalid("/user/id", "must be 1 to 255 bytes without control characters"));
    }
    let address = |text: &String| {
        Email::parse(text)
            .ok_or_else(|| Problem::invalid("/user/email", "must be an address of at most 254 bytes"))
    };
    let email = email.as_ref().map(address).transpose()?;
    let named = display_name.map(String::from).or(email.map(|email| email.to_string()));
    let new = NewLink {
        app: path.app()?,
        connector: request.connector,
        flow: request.flow.unwrap_or_default(),
        label: named.unwrap_or_else(|| id.clone()),
        external_id: id,
        return_to: request.return_to,
    };
    let made = signup.make_link(&sender.by, new).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(LinkResponse::from(made)))
}

/// Makes the connection live: the client says that the very person it sent has come back to it.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/signup-links/{link_id}/confirm", tag = "signup links",
    params(("app_id" = String, Path), ("link_id" = Uuid, Path)),
    responses((status = 200, body = ConfirmedSignupResponse)))]
pub(in crate::http) async fn confirm_signup_link(
    sender: Sender,
    path: Segments,
    signup: web::Data<Signup>,
    people: web::Data<People>,
) -> Answer {
    let confirmed = signup.confirm_link(&sender.by, &path.app()?, path.uuid("link_id")?).await?;
    people.admit(&sender.by, &confirmed.connected.app, confirmed.user).await?;
    Ok(HttpResponse::Ok().json(ConfirmedSignupResponse {
        app_id: confirmed.connected.app.to_string(),
        connector: confirmed.connected.connector.to_string(),
        flow: confirmed.connected.flow.to_string(),
        user_id: confirmed.user.0,
        confirmed_at: confirmed.at,
    }))
}

impl From<MadeLink> for LinkResponse {
    fn from(made: MadeLink) -> Self {
        Self::new(made.id, &made.url, made.expires_at)
    }
}
