//! Routes under `/keys/signing`.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Collection, CollectionParams, KeysWrite, May, times};
use crate::admin::keys::{KEPT, SigningKeys, State, StoredKey};
use crate::http::extract::Segments;
use crate::http::problem::Answer;

/// A key that signs our tokens, once did, or will. Its private part is never told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct SigningKeyResponse {
    /// Its name in the JWKS and in the tokens it signs.
    kid: String,
    algorithm: String,
    state: SigningKeyStateResponse,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    /// When it may begin to sign, while it waits.
    #[serde(serialize_with = "times::optional")]
    activates_at: Option<OffsetDateTime>,
    /// Since when it signs or signed.
    #[serde(serialize_with = "times::optional")]
    activated_at: Option<OffsetDateTime>,
    /// Since when it signs no more.
    #[serde(serialize_with = "times::optional")]
    retired_at: Option<OffsetDateTime>,
    /// When it is published no more: the last token it signed has expired by then.
    #[serde(serialize_with = "times::optional")]
    removed_at: Option<OffsetDateTime>,
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SigningKeyStateResponse {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Published, signs no more.
    Retired,
}

/// Whether a new key waits to take over.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct RotationResponse {
    state: RotationStateResponse,
    /// The key that waits.
    kid: Option<String>,
    /// When it may begin to sign.
    #[serde(serialize_with = "times::optional")]
    activates_at: Option<OffsetDateTime>,
}

/// Whether a rotation is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum RotationStateResponse {
    /// None is.
    Idle,
    /// A new key waits.
    Pending,
}

impl From<StoredKey> for SigningKeyResponse {
    fn from(key: StoredKey) -> Self {
        let (state, activates_at, activated_at, retired_at) = match key.state {
            State::Pending { activates_at } => {
                (SigningKeyStateResponse::Pending, Some(activates_at), None, None)
            }
            State::Active { activated_at } => {
                (SigningKeyStateResponse::Active, None, Some(activated_at), None)
            }
            State::Retired { activated_at, retired_at } => {
                (SigningKeyStateResponse::Retired, None, Some(activated_at), Some(retired_at))
            }
        };
        Self {
            kid: key.kid.simple().to_string(),
            algorithm: key.algorithm,
            state,
            created_at: key.created_at,
            activates_at,
            activated_at,
            retired_at,
            removed_at: retired_at.map(|at| at.saturating_add(KEPT)),
        }
    }
}

impl From<Option<StoredKey>> for RotationResponse {
    fn from(pending: Option<StoredKey>) -> Self {
        let Some(SigningKeyResponse { kid, activates_at, .. }) = pending.map(Into::into) else {
            return Self { state: RotationStateResponse::Idle, kid: None, activates_at: None };
        };
        Self { state: RotationStateResponse::Pending, kid: Some(kid), activates_at }
    }
}

/// Lists the keys that are published, oldest first.
#[utoipa::path(get, path = "/admin/v1/keys/signing", tag = "keys", params(CollectionParams),
    responses((status = 200, body = Collection<SigningKeyResponse>)))]
pub(in crate::http) async fn list_signing_keys(
    may: May<KeysWrite, (), CollectionParams>,
    keys: web::Data<SigningKeys>,
) -> Answer {
    let (page, mut all) = (may.query.page()?, keys.list(&may.by).await?);
    // A name begins with the time at which it was given.
    all.sort_by_key(|key| key.kid);
    let part = page.slice(all, |key| key.kid.simple().to_string());
    Ok(HttpResponse::Ok().json(Collection::<SigningKeyResponse>::of(part)))
}

/// Makes a key that signs in ten minutes; one that waits already is answered instead.
#[utoipa::path(post, path = "/admin/v1/keys/signing/rotate", tag = "keys", responses(
    (status = 202, body = SigningKeyResponse, description = "A new key waits"),
    (status = 200, body = SigningKeyResponse, description = "One waits already")))]
pub(in crate::http) async fn rotate_signing_key(may: May<KeysWrite>, keys: web::Data<SigningKeys>) -> Answer {
    let rotation = keys.rotate(&may.by).await?;
    let mut answer = if rotation.begun { HttpResponse::Accepted() } else { HttpResponse::Ok() };
    Ok(answer.json(SigningKeyResponse::from(rotation.pending)))
}

/// Tells whether a new key waits to take over.
#[utoipa::path(get, path = "/admin/v1/keys/signing/rotate", tag = "keys",
    responses((status = 200, body = RotationResponse)))]
pub(in crate::http) async fn read_signing_key_rotation(
    may: May<KeysWrite>,
    keys: web::Data<SigningKeys>,
) -> Answer {
    Ok(HttpResponse::Ok().json(RotationResponse::from(keys.find_pending(&may.by).await?)))
}

/// Takes a key out at once: tokens that it signed are refused. A new one signs in the place of the active one.
#[utoipa::path(delete, path = "/admin/v1/keys/signing/{kid}", tag = "keys", params(("kid" = String, Path)),
    responses((status = 204)))]
pub(in crate::http) async fn delete_signing_key(
    may: May<KeysWrite>,
    path: Segments,
    keys: web::Data<SigningKeys>,
) -> Answer {
    keys.retire(&may.by, path.uuid("kid")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
