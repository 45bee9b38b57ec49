//! Routes of an app's invitations. The link is shown once; nobody but the caller sends it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AppsRead, AppsWrite, Collection, CollectionParams, LinkResponse, May, read_email, times};
use crate::http::extract::{Json, Segments};
use crate::http::problem::Answer;
use crate::identity::people::{NewInvitation, People};
use crate::model::connector::ConnectorId;
use crate::model::person::{Invitation, Offer};
use crate::model::principal::Membership;

/// An invitation that waits, without its link.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct InvitationResponse {
    id: Uuid,
    email: Option<String>,
    role: &'static str,
    /// What the person is asked to connect.
    connectors: Vec<String>,
    invited_by: String,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "times::time")]
    expires_at: OffsetDateTime,
}

impl From<Invitation> for InvitationResponse {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email.map(|email| email.to_string()),
            role: invitation.offer.role(),
            connectors: invitation.connectors.into_iter().map(String::from).collect(),
            invited_by: invitation.invited_by,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// Whom to invite.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateInvitationRequest {
    /// A login name in the form of an address.
    #[schema(max_length = 254)]
    email: String,
    /// `member` when missing.
    role: Option<Membership>,
    /// What the person is asked to connect.
    #[schema(value_type = Option<Vec<String>>)]
    connectors: Option<Vec<ConnectorId>>,
    /// 7 days when missing.
    #[schema(minimum = 60)]
    expires_in_s: Option<u32>,
}

/// Lists an app's invitations that wait.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/invitations", tag = "invitations",
    params(("app_id" = String, Path), CollectionParams),
    responses((status = 200, body = Collection<InvitationResponse>)))]
pub(in crate::http) async fn list_invitations(
    may: May<AppsRead, (), CollectionParams>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let (cursor, limit) = (may.query.cursor(), may.query.limit()?);
    let (items, next) = people.list_invitations(&may.by, &path.app()?, cursor, limit).await?;
    Ok(HttpResponse::Ok().json(Collection::<InvitationResponse>::opaque(items, next)))
}

/// Invites a person into an app.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/invitations", tag = "invitations",
    params(("app_id" = String, Path)), request_body = CreateInvitationRequest,
    responses((status = 201, body = LinkResponse)))]
pub(in crate::http) async fn create_invitation(
    may: May<AppsWrite, Json<CreateInvitationRequest>>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let Json(request) = may.body;
    let new = NewInvitation {
        offer: Offer::App(path.app()?, request.role.unwrap_or(Membership::Member)),
        email: read_email(&request.email)?,
        connectors: request.connectors.unwrap_or_default(),
        expires_in: request.expires_in_s.map(|seconds| Duration::seconds(seconds.into())),
    };
    let link = people.invite(&may.by, new).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(LinkResponse::from(link)))
}

/// Withdraws an invitation.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}/invitations/{invitation_id}", tag = "invitations",
    params(("app_id" = String, Path), ("invitation_id" = Uuid, Path)), responses((status = 204)))]
pub(in crate::http) async fn delete_invitation(
    may: May<AppsWrite>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    people.delete_invitation(&may.by, &path.app()?, path.uuid("invitation_id")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
