//! What an access token of ours says (RFC 9068 §2.2, RFC 9396 §9.1).

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::client::{Client, ClientId, Location, Role};
use crate::model::scope::Scopes;

/// The `typ` of its header.
pub(super) const TYPE: &str = "at+jwt";

/// Claims of an access token for the broker itself.
#[derive(Serialize)]
pub(super) struct AccessToken<'a> {
    iss: &'a str,
    sub: &'a ClientId,
    aud: &'a str,
    client_id: &'a ClientId,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<[BinbToken<'a>; 1]>,
}

#[derive(Serialize)]
struct BinbToken<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    locations: &'a [Location],
}

impl<'a> AccessToken<'a> {
    /// For a client that speaks for itself.
    pub(super) fn of_client(
        issuer: &'a str,
        client: &'a Client,
        scopes: &Scopes,
        lifetime_s: u32,
        jti: Uuid,
        now: OffsetDateTime,
    ) -> Self {
        let iat = issued_at(client, now);
        let locations = client.allow.0.as_deref();
        Self {
            iss: issuer,
            sub: &client.client_id,
            aud: issuer,
            client_id: &client.client_id,
            iat,
            exp: iat.saturating_add(lifetime_s.into()),
            jti: jti.to_string(),
            scope: scopes.to_string(),
            role: client.role,
            authorization_details: locations.map(|locations| [BinbToken { kind: "binb_token", locations }]),
        }
    }
}

/// `iat` has whole seconds: a token issued in the very second in which older ones were refused says the next.
fn issued_at(client: &Client, now: OffsetDateTime) -> i64 {
    let start = client
        .not_before
        .map_or(i64::MIN, |start| start.unix_timestamp().saturating_add(i64::from(start.nanosecond() > 0)));
    now.unix_timestamp().max(start)
}
