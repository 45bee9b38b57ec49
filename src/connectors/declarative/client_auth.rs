//! How do we authenticate: in a header, or in a form (RFC 6749 §2.3.1)? The one door of this module's secrets.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::Error;
use crate::model::connector::TokenAuth;
use crate::model::secret::Secret;

/// A form with what authenticates us, and its headers.
pub(super) fn form(
    token_auth: TokenAuth,
    client_id: &str,
    secret: Option<&Secret>,
    fields: &[(&str, &str)],
) -> Result<(HeaderMap, Vec<u8>), Error> {
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    match (token_auth, secret.map(open)) {
        (TokenAuth::Basic, Some(secret)) => headers.extend([basic(client_id, secret)?]),
        (TokenAuth::Post, Some(secret)) => {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret);
        }
        (TokenAuth::None, _) | (_, None) => {
            form.append_pair("client_id", client_id);
        }
    }
    Ok((headers, form.finish().into_bytes()))
}

/// Basic client authentication, both parts form-urlencoded first (RFC 6749 §2.3.1).
pub(in crate::connectors) fn basic(
    client_id: &str,
    secret: &str,
) -> Result<(HeaderName, HeaderValue), Error> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret)));
    Ok((AUTHORIZATION, authorization("Basic", &pair)?))
}

/// A value that no layer below prints.
pub(super) fn authorization(scheme: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::try_from(format!("{scheme} {value}"))
        .map_err(|_| Error::Definition("the token cannot stand in a header".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// What goes over the wire.
#[expect(
    clippy::disallowed_methods,
    reason = "goes to the provider it belongs to, in a body or an Authorization header"
)]
pub(in crate::connectors) fn open(secret: &Secret) -> &str {
    secret.expose_secret()
}
