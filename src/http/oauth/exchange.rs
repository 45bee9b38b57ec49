//! Token exchange (RFC 8693): a service provider swaps its person's access token for the third-party token.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::http::binb_token::min_ttl;
use crate::http::extract::service;
use crate::http::oauth_error::{OAuthCode, OAuthError};
use crate::http::problem::Problem;
use crate::http::settings::WebSettings;
use crate::identity::Denied;
use crate::identity::bearer::Bearers;
use crate::identity::exchange::Refusal;
use crate::issuer::Error;
use crate::keeper::{HandedToken, Lifetime, SecretsKeeper};
use crate::model::app::AppId;
use crate::model::client::Client;
use crate::model::connection::{Flow, Request};
use crate::model::connector::ConnectorId;
use crate::model::event::Origin;
use crate::model::grant::GrantType;
use crate::model::secret::Secret;

use super::form::{Parameters, invalid};
use super::token::unkept;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// How long a caller waits for a refresh under way.
const WAIT: Duration = Duration::from_secs(20);

/// What is asked for.
pub(super) struct Exchange {
    subject_token: Secret,
    app: AppId,
    connector: ConnectorId,
    flow: Option<Flow>,
    min_ttl: Option<time::Duration>,
}

/// RFC 8693 §2.2.1. `expires_in` counts to where the token is guaranteed.
#[derive(Serialize)]
struct ExchangeResponse<'a> {
    access_token: &'a str,
    issued_token_type: &'static str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

impl Exchange {
    pub(super) fn read(form: &mut Parameters, resource: Option<&str>) -> Result<Self, OAuthError> {
        if resource.is_some() {
            let why = "resource names no connection: say audience={app_id}/{connector}";
            return Err(OAuthError::new(OAuthCode::InvalidTarget, why));
        }
        let subject_token = form.require_secret("subject_token")?;
        let access_token = |kind: &str| kind == ACCESS_TOKEN;
        if !access_token(&form.require("subject_token_type")?) {
            return Err(invalid("subject_token_type: only an access token can be exchanged"));
        }
        if form.take("requested_token_type")?.is_some_and(|kind| !access_token(&kind)) {
            return Err(invalid("requested_token_type: only an access token can be had"));
        }
        // Its type alone says nothing, and must not be there (RFC 8693 §2.1).
        if form.take("actor_token")?.is_some() || form.take("actor_token_type")?.is_some() {
            return Err(invalid("no actor_token is taken, nor its type: the client itself is the actor"));
        }
        let audience = form.require("audience")?;
        let ids = audience.split_once('/').and_then(|(app, connector)| {
            Some((AppId::parse(app).ok()?, ConnectorId::parse(connector).ok()?))
        });
        let no_target = || OAuthError::new(OAuthCode::InvalidTarget, "audience is not {app_id}/{connector}");
        let (app, connector) = ids.ok_or_else(no_target)?;
        let flow = form.take("flow")?;
        let flow =
            flow.map(|name| Flow::parse(&name).ok_or_else(|| invalid("flow is no name of a connection")));
        let seconds = |text: String| {
            let seconds = text.parse().ok().and_then(|seconds| min_ttl(seconds).ok());
            seconds.ok_or_else(|| invalid("min_ttl must be 1 to 86400 seconds"))
        };
        let min_ttl = form.take("min_ttl")?.map(seconds).transpose()?;
        Ok(Self { subject_token, app, connector, flow: flow.transpose()?, min_ttl })
    }

    /// Answers with the provider's token of a connection that the person owns, or an app admin shares.
    #[expect(clippy::disallowed_methods, reason = "door: the subject token is verified")]
    pub(super) async fn answer(
        self,
        request: &HttpRequest,
        client: &Client,
        origin: Origin,
    ) -> Result<HttpResponse, OAuthError> {
        let keeper = service::<SecretsKeeper>(request)?;
        let (bearers, web) = (service::<Bearers>(request)?, service::<WebSettings>(request)?);
        if !client.may_use(GrantType::TokenExchange) {
            return Err(Error::UnauthorizedClient.into());
        }
        let subject = bearers.inspect(self.subject_token.expose_secret()).await.map_err(|error| {
            let problem = Problem::from(error);
            match problem.code().status().is_server_error() {
                true => OAuthError::of_exchange(problem),
                false => invalid("subject_token is no good access token of ours"),
            }
        })?;
        let connector = keeper.canonical(&self.connector).await;
        let by = bearers.may_exchange(&subject, client, &self.app, &connector, origin).await;
        let by = by.map_err(Problem::from)?.map_err(|refusal| match refusal {
            Refusal::Subject => {
                invalid("subject_token: only a person's, issued to this very client, is exchanged")
            }
            Refusal::Target => OAuthError::of_exchange(Denied::Forbidden.into()),
        })?;
        let lifetime = Lifetime { request: Request { min_ttl: self.min_ttl, rejected: None }, wait: WAIT };
        let token = keeper.retrieve_token(&by, self.flow.as_ref(), lifetime).await;
        let refused = |error| Problem::of_connection(error, by.app(), by.connector(), &web);
        Ok(answer(&token.map_err(refused).map_err(OAuthError::of_exchange)?))
    }
}

#[expect(clippy::disallowed_methods, reason = "door: the hand-out itself")]
fn answer(token: &HandedToken) -> HttpResponse {
    unkept(ExchangeResponse {
        access_token: token.access_token.expose_secret(),
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in: token.guaranteed_in.or(token.expires_in),
        scope: token.scope.as_deref(),
    })
}
