//! Routes of an app's members.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AppsRead, AppsWrite, Collection, CollectionParams, May, times};
use crate::http::extract::{Json, Segments};
use crate::http::problem::Answer;
use crate::identity::people::People;
use crate::model::person::AppMember;
use crate::model::principal::{Membership, UserId};

/// A person in an app.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct MemberResponse {
    user_id: Uuid,
    email: String,
    display_name: String,
    role: Membership,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
}

impl From<AppMember> for MemberResponse {
    fn from(member: AppMember) -> Self {
        Self {
            user_id: member.user.id.0,
            email: member.user.email.to_string(),
            display_name: member.user.display_name,
            role: member.role,
            created_at: member.created_at,
        }
    }
}

/// A person to be a member.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PutMemberRequest {
    user_id: Uuid,
    role: Membership,
}

/// Lists an app's members.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/members", tag = "members",
    params(("app_id" = String, Path), CollectionParams),
    responses((status = 200, body = Collection<MemberResponse>)))]
pub(in crate::http) async fn list_members(
    may: May<AppsRead, (), CollectionParams>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let (cursor, limit) = (may.query.cursor(), may.query.limit()?);
    let (items, next) = people.list_members(&may.by, &path.app()?, cursor, limit).await?;
    Ok(HttpResponse::Ok().json(Collection::<MemberResponse>::opaque(items, next)))
}

/// Makes a person a member, or changes what a member may do.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/members", tag = "members",
    params(("app_id" = String, Path)), request_body = PutMemberRequest,
    responses((status = 201, body = MemberResponse)))]
pub(in crate::http) async fn put_member(
    may: May<AppsWrite, Json<PutMemberRequest>>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let Json(PutMemberRequest { user_id, role }) = may.body;
    let member = people.add_member(&may.by, &path.app()?, UserId(user_id), role).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(MemberResponse::from(member)))
}

/// Ends a membership.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}/members/{user_id}", tag = "members",
    params(("app_id" = String, Path), ("user_id" = Uuid, Path)), responses((status = 204)))]
pub(in crate::http) async fn delete_member(
    may: May<AppsWrite>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let (app, user) = (path.app()?, UserId(path.uuid("user_id")?));
    people.remove_member(&may.by, &app, user).await?;
    Ok(HttpResponse::NoContent().finish())
}
