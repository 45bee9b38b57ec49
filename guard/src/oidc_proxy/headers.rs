//! Which tokens do the headers of a request hold?
//!
//! Each header at most once: which of two another hop has looked at nobody knows. Nothing here is verified.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::bearer::is_b64token;
use crate::{HeaderError, MAX_ID_TOKEN_BYTES, Refused, bearer};

/// Where APISIX puts what the provider said of the person, as base64 of JSON.
const USERINFO: &str = "x-userinfo";
/// The longest refresh token taken, in bytes.
const MAX_REFRESH_TOKEN_BYTES: usize = 8 * 1024;

/// Where the tokens are.
pub(super) struct Names {
    pub(super) access_token: String,
    /// Behind `Bearer`, not bare.
    pub(super) in_authorization: bool,
    pub(super) id_token: String,
    pub(super) refresh_token: String,
}

/// What a request carries.
pub(super) struct Carried<'r> {
    pub(super) access_token: &'r str,
    pub(super) id_token: Option<IdToken<'r>>,
    pub(super) refresh_token: Option<&'r str>,
    /// Of whom the proxy says that it is, without a signature, and in which header.
    pub(super) told: Vec<(String, String)>,
}

/// One in the form of a JWT.
#[derive(Clone, Copy)]
pub(super) struct IdToken<'r>(pub(super) &'r str);

impl<'r> Carried<'r> {
    /// Looks at no other header.
    pub(super) fn access_token_alone(
        names: &Names,
        headers: impl Fn(&str) -> Vec<&'r [u8]>,
    ) -> Result<Self, Refused> {
        let access_token = access_token(names, headers(&names.access_token))
            .map_err(|cause| Refused::Header { name: names.access_token.clone(), cause })?
            .ok_or(Refused::Missing)?;
        Ok(Self { access_token, id_token: None, refresh_token: None, told: Vec::new() })
    }

    pub(super) fn read(names: &Names, headers: impl Fn(&str) -> Vec<&'r [u8]>) -> Result<Self, Refused> {
        let mut carried = Self::access_token_alone(names, &headers)?;
        if let Some(text) = single(&names.id_token, &headers, MAX_ID_TOKEN_BYTES)? {
            if text.contains('.') {
                carried.id_token = Some(IdToken(text));
            } else {
                carried.told.extend(subject(&names.id_token, text)?);
            }
        }
        if let Some(text) = single(USERINFO, &headers, MAX_ID_TOKEN_BYTES)? {
            carried.told.extend(subject(USERINFO, text)?);
        }
        carried.refresh_token = single(&names.refresh_token, &headers, MAX_REFRESH_TOKEN_BYTES)?;
        Ok(carried)
    }
}

fn access_token<'r>(names: &Names, values: Vec<&'r [u8]>) -> Result<Option<&'r str>, HeaderError> {
    if names.in_authorization {
        return bearer(values);
    }
    let token = match values.as_slice() {
        [] => return Ok(None),
        [one] => *one,
        _ => return Err(HeaderError::Repeated),
    };
    if token.is_empty() {
        return Ok(None);
    }
    let token = std::str::from_utf8(token).ok().filter(|token| is_b64token(token.as_bytes()));
    token.map(Some).ok_or(HeaderError::Malformed)
}

/// The one value of a header; an empty one is none. Printable ASCII without spaces and commas: a comma is how
/// proxies join two headers.
fn single<'r>(
    name: &str,
    headers: &impl Fn(&str) -> Vec<&'r [u8]>,
    most: usize,
) -> Result<Option<&'r str>, Refused> {
    let refused = |cause| Refused::Header { name: name.to_owned(), cause };
    let values = headers(name);
    let value = match values.as_slice() {
        [] | [[]] => return Ok(None),
        [one] => *one,
        _ => return Err(refused(HeaderError::Repeated)),
    };
    let fits = value.len() <= most && value.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',');
    let text = std::str::from_utf8(value).ok().filter(|_| fits);
    text.map(Some).ok_or_else(|| refused(HeaderError::Malformed))
}

/// Of whom the base64 of a JSON object speaks, if of anybody; with the name of the header.
fn subject(name: &str, text: &str) -> Result<Option<(String, String)>, Refused> {
    #[derive(Deserialize)]
    struct Told {
        sub: Option<String>,
    }
    let decoders = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let bytes = decoders.iter().find_map(|decoder| decoder.decode(text).ok());
    let told = bytes.and_then(|bytes| serde_json::from_slice::<Told>(&bytes).ok());
    told.map(|told| Some((name.to_owned(), told.sub?)))
        .ok_or_else(|| Refused::Header { name: name.to_owned(), cause: HeaderError::Malformed })
}
