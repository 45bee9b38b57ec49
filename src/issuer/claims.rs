//! What our tokens say: access tokens (RFC 9068 §2.2, RFC 9396 §9.1) and ID tokens (OpenID Connect Core §2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::client::{Client, ClientId, Location, Role};
use crate::model::person::User;
use crate::model::scope::{Scope, Scopes};
use crate::model::secret::Secret;

/// The `typ` of an access token.
pub(super) const ACCESS_TOKEN: &str = "at+jwt";
/// The `typ` of an ID token.
pub(super) const ID_TOKEN: &str = "JWT";

/// Claims of an access token.
#[derive(Serialize)]
pub(super) struct AccessToken<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: String,
    pub(super) aud: &'a str,
    pub(super) client_id: &'a ClientId,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authorization_details: Option<[BinbToken<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_time: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct BinbToken<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    locations: &'a [Location],
}

/// Where a confined client's tokens reach.
pub(super) fn binb_token(locations: &[Location]) -> [BinbToken<'_>; 1] {
    [BinbToken { kind: "binb_token", locations }]
}

/// `iat` has whole seconds: a token issued in the very second in which older ones were refused says the next.
pub(super) fn issued_at(client: &Client, now: OffsetDateTime) -> i64 {
    let start = client
        .not_before
        .map_or(i64::MIN, |start| start.unix_timestamp().saturating_add(i64::from(start.nanosecond() > 0)));
    now.unix_timestamp().max(start)
}

/// Claims of an ID token: who the person is, told to the client.
#[derive(Serialize)]
pub(super) struct IdToken<'a> {
    iss: &'a str,
    aud: &'a ClientId,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
    #[serde(flatten)]
    person: PersonClaims,
}

impl<'a> IdToken<'a> {
    pub(super) fn of(
        issuer: &'a str,
        client: &'a Client,
        user: &User,
        scopes: &Scopes,
        (iat, exp): (i64, i64),
        jti: Uuid,
    ) -> Self {
        Self {
            iss: issuer,
            aud: &client.client_id,
            iat,
            exp,
            jti: jti.to_string(),
            auth_time: None,
            nonce: None,
            at_hash: String::new(),
            person: PersonClaims::of(user, scopes),
        }
    }

    pub(super) fn with(self, nonce: Option<&'a str>, auth_time: Option<i64>, at_hash: String) -> Self {
        Self { nonce, auth_time, at_hash, ..self }
    }
}

/// What a client may know of a person (OpenID Connect Core §5.1, §5.4).
#[derive(Clone, Debug, Serialize)]
pub struct PersonClaims {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Always false: an address is a login name that was proved to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

impl PersonClaims {
    /// What these scopes tell.
    pub fn of(user: &User, scopes: &Scopes) -> Self {
        let (profile, email) = (scopes.contains(Scope::Profile), scopes.contains(Scope::Email));
        Self {
            sub: user.id.to_string(),
            name: profile.then(|| user.display_name.clone()),
            preferred_username: profile.then(|| user.email.to_string()),
            email: email.then(|| user.email.to_string()),
            email_verified: email.then_some(false),
        }
    }
}

/// `at_hash` (OpenID Connect Core §3.1.3.6); both algorithms we sign with hash with SHA-256.
#[expect(clippy::disallowed_methods, reason = "door: the token is hashed")]
pub(super) fn left_half_hash(token: &Secret) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose_secret().as_bytes());
    let half = digest.as_ref().get(..16).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(half)
}
