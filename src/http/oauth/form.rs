//! What do a client's form and header say: its parameters, and who it is?

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::http::extract::{Pairs, PairsError, decode_pair_text, read_body};
use crate::http::oauth_error::{OAuthCode, OAuthError};
use crate::issuer::authentication::Presented;
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
        Ok(Self(Pairs::parse(&body).map_err(malformed)?))
    }

    /// The only grant there is.
    pub(in crate::http) fn demand_client_credentials(&mut self) -> Result<(), OAuthError> {
        match self.take("grant_type")?.as_deref() {
            Some("client_credentials") => Ok(()),
            Some(_) => Err(OAuthError::new(OAuthCode::UnsupportedGrantType, "no grant of this server")),
            None => Err(invalid("grant_type is missing")),
        }
    }

    pub(in crate::http) fn take(&mut self, name: &str) -> Result<Option<String>, OAuthError> {
        Ok(self.0.take(name).map_err(malformed)?.filter(|value| !value.is_empty()))
    }
}

/// RFC 6749 §2.3.1: never in the URL, which is logged everywhere on the way.
fn refuse_secrets_in_query(request: &HttpRequest) -> Result<(), OAuthError> {
    let secret = |name: &str| matches!(name, "client_secret" | "client_assertion");
    let query = Pairs::parse(request.query_string().as_bytes());
    let query = query.map_err(|_| invalid("the query is not form-urlencoded UTF-8"))?;
    if query.names().any(secret) {
        return Err(invalid("client credentials do not belong into the URL"));
    }
    Ok(())
}

/// What the client presents, by one method (RFC 6749 §2.3), and whether a challenge may answer it: libraries that
/// sent a body look for the error there.
pub(in crate::http) fn presented(
    request: &HttpRequest,
    form: &mut Parameters,
) -> Result<(Presented, bool), OAuthError> {
    let (id, secret) = (form.take("client_id")?, form.take("client_secret")?);
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let failed =
        || OAuthError::new(OAuthCode::InvalidClient, "client authentication failed").challenging(true);
    match (headers.next(), headers.next(), id, secret) {
        (_, Some(_), _, _) => Err(invalid("the authorization header is repeated")),
        (Some(_), None, _, Some(_)) => Err(invalid("only one way of client authentication at a time")),
        (Some(value), None, id, None) => {
            let basic = basic(value.as_bytes()).ok_or_else(failed)?;
            if id.is_some_and(|id| id != basic.client_id) {
                return Err(invalid("client_id is not the one of the authorization header"));
            }
            Ok((basic, true))
        }
        (None, None, Some(client_id), Some(secret)) => {
            Ok((Presented { client_id, secret: Secret::new(secret) }, false))
        }
        (None, None, _, _) => Err(failed()),
    }
}

/// `Basic base64(id:secret)`, where both are form-urlencoded first (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<Presented> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let encoded = rest.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = (decoded.get(..colon)?, decoded.get(colon.saturating_add(1)..)?);
    let secret = Secret::new(decode_pair_text(secret).ok()?);
    Some(Presented { client_id: decode_pair_text(id).ok()?, secret })
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
