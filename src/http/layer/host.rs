//! Browser routes answer only under the public URL's host, whatever a proxy or an attacker's DNS says.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, Resource, ResponseError, web};

use crate::http::page;
use crate::http::settings::WebSettings;

/// A browser route: `web::resource` behind the host check, with 405 as a page for all but its `methods`.
pub fn resource(
    path: &str,
    methods: &'static str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    web::resource(path).default_service(page::only(methods)).wrap(from_fn(check))
}

async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let own = request
        .app_data::<web::Data<WebSettings>>()
        .is_some_and(|settings| named_host(&request).is_some_and(|host| settings.is_own_host(host)));
    if own {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    Ok(request.into_response(page::Error::Misdirected.error_response()))
}

/// The one host a request names: `:authority` or an absolute target before the header (RFC 9112 §3.2.2).
fn named_host(request: &ServiceRequest) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = request.headers().get_all(header::HOST);
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}
