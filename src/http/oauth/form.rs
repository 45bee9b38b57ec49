//! What do a client's form and header say: its parameters, and who it is?

use std::collections::HashSet;

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::http::extract::{Pairs, PairsError, decode_pair_text, read_body};
use crate::http::oauth_error::{OAuthCode, OAuthError};
use crate::http::problem::SaidClient;
use crate::issuer::authentication::Presented;
use crate::model::client::ClientId;
use crate::model::grant::GrantType;
use crate::model::secret::Secret;

/// The parameters of a request; one without a value counts as left out (RFC 6749 §3.2).
pub(in crate::http) struct Parameters(Pairs);

impl Parameters {
    /// Reads the body of a POST.
    pub(in crate::http) async fn read(
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<Self, OAuthError> {
        refuse_secrets_in_query(request)?;
        let body = read_body(request, payload.into_inner(), "application/x-www-form-urlencoded").await?;
        let pairs = Pairs::parse(&body).map_err(malformed)?;
        let mut seen = HashSet::new();
        if pairs.names().any(|name| KNOWN.contains(&name) && !seen.insert(name)) {
            return Err(invalid("a parameter is repeated"));
        }
        Ok(Self(pairs))
    }

    /// How a token is asked for.
    pub(in crate::http) fn grant_type(&mut self) -> Result<GrantType, OAuthError> {
        let text = self.require("grant_type")?;
        let unknown = || OAuthError::new(OAuthCode::UnsupportedGrantType, "no grant of this server");
        GrantType::parse(&text).ok_or_else(unknown)
    }

    /// A parameter that must be there.
    pub(in crate::http) fn require(&mut self, name: &str) -> Result<String, OAuthError> {
        self.take(name)?.ok_or_else(|| invalid(&format!("{name} is missing")))
    }

    /// The same, where it is a secret.
    pub(in crate::http) fn require_secret(&mut self, name: &str) -> Result<Secret, OAuthError> {
        self.require(name).map(Secret::new)
    }

    pub(in crate::http) fn take(&mut self, name: &str) -> Result<Option<String>, OAuthError> {
        Ok(self.0.take(name).map_err(malformed)?.filter(|value| !value.is_empty()))
    }
}

/// What comes once at most, whichever endpoint or grant reads it (RFC 6749 §3.2).
const KNOWN: [&str; 22] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
    "scope",
    "resource",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "flow",
    "min_ttl",
    "token",
    "token_type_hint",
];

/// What a URL must not carry.
const SECRETS: [&str; 12] = [
    "access_token",
    "actor_token",
    "assertion",
    "password",
    "client_secret",
    "client_assertion",
    "code",
    "code_verifier",
    "refresh_token",
    "device_code",
    "subject_token",
    "token",
];

/// RFC 6749 §2.3.1: never in the URL, which is logged everywhere on the way.
fn refuse_secrets_in_query(request: &HttpRequest) -> Result<(), OAuthError> {
    let secret = |name: &str| SECRETS.contains(&name);
    let query = Pairs::parse(request.query_string().as_bytes());
    let query = query.map_err(|_| invalid("the query is not form-urlencoded UTF-8"))?;
    if query.names().any(secret) {
        return Err(invalid(
            "secrets, codes and tokens do not belong into the URL: send them in the form body",
        ));
    }
    Ok(())
}

/// The value of `client_assertion_type` (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the client presents, by one method (RFC 6749 §2.3), and whether a challenge may answer it: libraries that
/// sent a body look for the error there.
pub(in crate::http) fn presented(
    request: &HttpRequest,
    form: &mut Parameters,
) -> Result<(Presented, bool), OAuthError> {
    let (id, secret) = (form.take("client_id")?, form.take("client_secret")?.map(Secret::new));
    let assertion = assertion(form)?;
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let failed =
        || OAuthError::new(OAuthCode::InvalidClient, "client authentication failed").challenging(true);
    let presented = match (headers.next(), headers.next(), id, secret, assertion) {
        (_, Some(_), ..) => Err(invalid("the authorization header is repeated")),
        (Some(_), _, _, Some(_), _) | (Some(_), _, _, _, Some(_)) | (_, _, _, Some(_), Some(_)) => {
            Err(invalid("only one way of client authentication at a time"))
        }
        (Some(value), None, id, None, None) => {
            let (client_id, secret) = basic(value.as_bytes()).ok_or_else(failed)?;
            if id.is_some_and(|id| id != client_id) {
                return Err(invalid("client_id is not the one of the authorization header"));
            }
            Ok((Presented::Secret { client_id, secret }, true))
        }
        (None, None, client_id, None, Some(assertion)) => {
            Ok((Presented::Assertion { client_id, assertion }, false))
        }
        (None, None, Some(client_id), Some(secret), None) => {
            Ok((Presented::Secret { client_id, secret }, false))
        }
        (None, None, Some(client_id), None, None) => Ok((Presented::Name { client_id }, true)),
        (None, None, None, _, None) => Err(failed()),
    }?;
    note(request, &presented.0);
    Ok(presented)
}

/// Tells the log which client it is said to be. What is not in the form of our ids may be anything, a secret too.
fn note(request: &HttpRequest, presented: &Presented) {
    let said = match presented {
        Presented::Secret { client_id, .. } | Presented::Name { client_id } => Some(client_id.as_str()),
        Presented::Assertion { client_id, .. } => client_id.as_deref(),
    };
    if let Some(id) = said.and_then(ClientId::parse).filter(ClientId::is_like_a_made_one) {
        request.extensions_mut().insert(SaidClient(id));
    }
}

fn assertion(form: &mut Parameters) -> Result<Option<Secret>, OAuthError> {
    match (form.take("client_assertion_type")?.as_deref(), form.take("client_assertion")?) {
        (Some(JWT_BEARER), Some(assertion)) => Ok(Some(Secret::new(assertion))),
        (None, None) => Ok(None),
        (Some(JWT_BEARER), None) => Err(invalid("client_assertion is missing")),
        (_, _) => Err(invalid("client_assertion_type is not jwt-bearer (RFC 7523, section 2.2)")),
    }
}

/// `Basic base64(id:secret)`, where both are form-urlencoded first (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<(String, Secret)> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let encoded = rest.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = (decoded.get(..colon)?, decoded.get(colon.saturating_add(1)..)?);
    let secret = Secret::new(decode_pair_text(secret).ok()?);
    Some((decode_pair_text(id).ok()?, secret))
}

fn malformed(error: PairsError) -> OAuthError {
    match error {
        PairsError::Malformed => invalid("the body is not form-urlencoded UTF-8"),
        PairsError::Repeated(_) => invalid("a parameter is repeated"),
    }
}

pub(in crate::http) fn invalid(description: &str) -> OAuthError {
    OAuthError::new(OAuthCode::InvalidRequest, description)
}
