//! Routes of people, their password links and sessions.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::clients::present;
use super::{ClientsRead, ClientsWrite, Collection, CollectionParams, LinkResponse, May, read_email, times};
use crate::http::extract::{Json, Segments};
use crate::http::problem::{Answer, Problem};
use crate::identity::people::People;
use crate::model::client::Role;
use crate::model::name::DisplayName;
use crate::model::person::{Session, User};
use crate::model::principal::UserId;

/// A person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct UserResponse {
    id: Uuid,
    email: String,
    display_name: String,
    role: Option<Role>,
    disabled: bool,
    /// Whether a password was set.
    has_password: bool,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
}

/// A new person, and the link that sets the first password.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::http) struct CreateUserResponse {
    #[serde(flatten)]
    user: UserResponse,
    /// Shown once; whoever has it may use it.
    url: String,
    #[serde(serialize_with = "times::time")]
    expires_at: OffsetDateTime,
}

/// A signed-in browser.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct SessionResponse {
    id: Uuid,
    /// Where it was made.
    address: Option<String>,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "times::time")]
    expires_at: OffsetDateTime,
}

/// A person to be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateUserRequest {
    /// A login name in the form of an address.
    #[schema(max_length = 254)]
    email: String,
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    display_name: DisplayName,
    role: Option<Role>,
}

/// What to change of a person.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChangeUserRequest {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    display_name: Option<DisplayName>,
    /// Null takes the role away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Role>)]
    role: Option<Option<Role>>,
    disabled: Option<bool>,
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.to_string(),
            display_name: user.display_name,
            role: user.role,
            disabled: user.disabled,
            has_password: user.has_password,
            created_at: user.created_at,
        }
    }
}

impl From<Session> for SessionResponse {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            address: session.address.map(|address| address.to_string()),
            created_at: session.created_at,
            expires_at: session.expires_at,
        }
    }
}

/// Lists people in the order they were made.
#[utoipa::path(get, path = "/admin/v1/users", tag = "users", params(CollectionParams),
    responses((status = 200, body = Collection<UserResponse>)))]
pub(in crate::http) async fn list_users(
    may: May<ClientsRead, (), CollectionParams>,
    people: web::Data<People>,
) -> Answer {
    let (items, next) = people.list_users(&may.by, may.query.cursor(), may.query.limit()?).await?;
    Ok(HttpResponse::Ok().json(Collection::<UserResponse>::opaque(items, next)))
}

/// Makes a person, with a link that sets the password.
#[utoipa::path(post, path = "/admin/v1/users", tag = "users", request_body = CreateUserRequest,
    responses((status = 201, body = CreateUserResponse)))]
pub(in crate::http) async fn create_user(
    may: May<ClientsWrite, Json<CreateUserRequest>>,
    people: web::Data<People>,
) -> Answer {
    let Json(request) = may.body;
    let email = read_email(&request.email)?;
    let (user, link) = people.create_user(&may.by, &email, &request.display_name, request.role).await?;
    let LinkResponse { url, expires_at, .. } = link.into();
    let answer = CreateUserResponse { user: user.into(), url, expires_at };
    Ok(HttpResponse::build(StatusCode::CREATED).json(answer))
}

/// Reads a person.
#[utoipa::path(get, path = "/admin/v1/users/{user_id}", tag = "users", params(("user_id" = Uuid, Path)),
    responses((status = 200, body = UserResponse)))]
pub(in crate::http) async fn read_user(
    may: May<ClientsRead>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let user = people.find_user(&may.by, user(&path)?).await?;
    Ok(HttpResponse::Ok().json(UserResponse::from(user)))
}

/// Changes a person.
#[utoipa::path(patch, path = "/admin/v1/users/{user_id}", tag = "users", params(("user_id" = Uuid, Path)),
    request_body = ChangeUserRequest, responses((status = 200, body = UserResponse)))]
pub(in crate::http) async fn change_user(
    may: May<ClientsWrite, Json<ChangeUserRequest>>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let Json(ChangeUserRequest { display_name, role, disabled }) = may.body;
    let user = people.update_user(&may.by, user(&path)?, display_name.as_ref(), role, disabled).await?;
    Ok(HttpResponse::Ok().json(UserResponse::from(user)))
}

/// Deletes a person with memberships and sessions.
#[utoipa::path(delete, path = "/admin/v1/users/{user_id}", tag = "users", params(("user_id" = Uuid, Path)),
    responses((status = 204)))]
pub(in crate::http) async fn delete_user(
    may: May<ClientsWrite>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    people.delete_user(&may.by, user(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes a link that sets a person's password; earlier ones end.
#[utoipa::path(post, path = "/admin/v1/users/{user_id}/password-link", tag = "users",
    params(("user_id" = Uuid, Path)), responses((status = 201, body = LinkResponse)))]
pub(in crate::http) async fn create_password_link(
    may: May<ClientsWrite>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let link = people.password_link(&may.by, user(&path)?).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(LinkResponse::from(link)))
}

/// Lists a person's sessions.
#[utoipa::path(get, path = "/admin/v1/users/{user_id}/sessions", tag = "users",
    params(("user_id" = Uuid, Path)), responses((status = 200, body = Collection<SessionResponse>)))]
pub(in crate::http) async fn list_user_sessions(
    may: May<ClientsRead>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    let sessions = people.list_sessions(&may.by, user(&path)?).await?;
    Ok(HttpResponse::Ok().json(Collection::<SessionResponse>::opaque(sessions, None)))
}

/// Signs a person out everywhere.
#[utoipa::path(delete, path = "/admin/v1/users/{user_id}/sessions", tag = "users",
    params(("user_id" = Uuid, Path)), responses((status = 204)))]
pub(in crate::http) async fn delete_user_sessions(
    may: May<ClientsWrite>,
    path: Segments,
    people: web::Data<People>,
) -> Answer {
    people.end_sessions(&may.by, user(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn user(path: &Segments) -> Result<UserId, Problem> {
    Ok(UserId(path.uuid("user_id")?))
}
