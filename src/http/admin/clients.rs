//! Routes of our OAuth clients. A secret is shown once, when it is made.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::{ClientsRead, ClientsWrite, Collection, CollectionParams, May};
use crate::admin::Part;
use crate::admin::clients::Clients;
use crate::http::extract::{IfMatch, Json, Segments, etag};
use crate::http::problem::{Answer, Code, Problem};

mod wire;

pub(super) use self::wire::present;
pub(in crate::http) use self::wire::{
    ChangeClientRequest, ClientResponse, CreateClientRequest, CreateClientResponse, CreateSecretResponse,
    DeliverRequest, DeliveryResponse,
};

/// Lists the clients by identifier.
#[utoipa::path(get, path = "/admin/v1/clients", tag = "clients", params(CollectionParams),
    responses((status = 200, body = Collection<ClientResponse>)))]
pub(in crate::http) async fn list_clients(
    may: May<ClientsRead, (), CollectionParams>,
    clients: web::Data<Clients>,
) -> Answer {
    let page = may.query.page()?;
    let (items, next) = clients.list(&may.by, page.after.as_deref(), page.limit.into()).await?;
    Ok(HttpResponse::Ok().json(Collection::<ClientResponse>::of(Part { items, next })))
}

/// Makes a client; answers its secret, once.
#[utoipa::path(post, path = "/admin/v1/clients", tag = "clients", request_body = CreateClientRequest,
    responses((status = 201, body = CreateClientResponse)))]
pub(in crate::http) async fn create_client(
    may: May<ClientsWrite, Json<CreateClientRequest>>,
    clients: web::Data<Clients>,
) -> Answer {
    let Json(request) = may.body;
    let (deliver_to, form) = (request.deliver_to.clone(), request.deliver_as.unwrap_or_default());
    let (created, delivery) = match deliver_to {
        Some(to) => {
            let (created, delivery) = clients.create_delivered(&may.by, request.read()?, (&to, form)).await?;
            (created, Some(delivery))
        }
        None => (clients.create(&may.by, request.read()?).await?, None),
    };
    let tag = etag(created.client.version);
    let answer = CreateClientResponse::from(created);
    let answer = match delivery {
        Some(delivery) => answer.delivered(delivery),
        None => answer,
    };
    Ok(HttpResponse::build(StatusCode::CREATED).insert_header(tag).json(answer))
}

/// Reads a client, with the ids of its live secrets.
#[utoipa::path(get, path = "/admin/v1/clients/{client_id}", tag = "clients",
    params(("client_id" = String, Path)), responses((status = 200, body = ClientResponse)))]
pub(in crate::http) async fn read_client(
    may: May<ClientsRead>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let found = clients.find(&may.by, &path.client()?).await?;
    let (client, secrets) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let tag = etag(client.version);
    Ok(HttpResponse::Ok().insert_header(tag).json(ClientResponse::with_secrets(client, &secrets)))
}

/// Changes a client; tokens already out are bound within 5 s.
#[utoipa::path(patch, path = "/admin/v1/clients/{client_id}", tag = "clients",
    params(("client_id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = ChangeClientRequest, responses((status = 200, body = ClientResponse)))]
pub(in crate::http) async fn change_client(
    may: May<ClientsWrite, (IfMatch, Json<ChangeClientRequest>)>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let (IfMatch(seen), Json(request)) = may.body;
    let (client, warnings) = clients.change(&may.by, &path.client()?, request.read()?, seen).await?;
    let tag = etag(client.version);
    Ok(HttpResponse::Ok().insert_header(tag).json(ClientResponse::from(client).warned(warnings)))
}

/// Deletes a client and its secrets; its tokens are refused.
#[utoipa::path(delete, path = "/admin/v1/clients/{client_id}", tag = "clients",
    params(("client_id" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204)))]
pub(in crate::http) async fn delete_client(
    may: May<ClientsWrite, IfMatch>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let IfMatch(seen) = may.body;
    clients.delete(&may.by, &path.client()?, seen).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes a second secret; answers it, once.
#[utoipa::path(post, path = "/admin/v1/clients/{client_id}/secrets", tag = "clients",
    params(("client_id" = String, Path)), responses((status = 201, body = CreateSecretResponse)))]
pub(in crate::http) async fn create_client_secret(
    may: May<ClientsWrite>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let secret = clients.add_secret(&may.by, &path.client()?).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(CreateSecretResponse::from(secret)))
}

/// Deletes a secret; tokens its client got before are refused.
#[utoipa::path(delete, path = "/admin/v1/clients/{client_id}/secrets/{secret_id}", tag = "clients",
    params(("client_id" = String, Path), ("secret_id" = Uuid, Path)), responses((status = 204)))]
pub(in crate::http) async fn delete_client_secret(
    may: May<ClientsWrite>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    clients.delete_secret(&may.by, &path.client()?, path.uuid("secret_id")?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Reads where a client's credential was delivered to, and looks into the store whether it is still there.
#[utoipa::path(get, path = "/admin/v1/clients/{client_id}/delivery", tag = "clients",
    params(("client_id" = String, Path)), responses((status = 200, body = DeliveryResponse)))]
pub(in crate::http) async fn check_client_delivery(
    may: May<ClientsRead>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let found = clients.check_delivery(&may.by, &path.client()?).await?;
    let (delivery, drift) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(DeliveryResponse::looked_at(delivery, &drift)))
}

/// Finishes a delivery that is pending, else delivers a new secret; the one before lives until nobody uses it.
#[utoipa::path(post, path = "/admin/v1/clients/{client_id}/delivery", tag = "clients",
    params(("client_id" = String, Path)), request_body = DeliverRequest,
    responses((status = 200, body = DeliveryResponse)))]
pub(in crate::http) async fn deliver_client_credential(
    may: May<ClientsWrite, Json<DeliverRequest>>,
    path: Segments,
    clients: web::Data<Clients>,
) -> Answer {
    let Json(request) = may.body;
    let to = (request.deliver_to.as_deref(), request.deliver_as);
    let delivery = clients.deliver(&may.by, &path.client()?, to).await?;
    Ok(HttpResponse::Ok().json(DeliveryResponse::from(delivery)))
}
