//! Requests are accepted with and without the path of the public URL: this takes it off before routing.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::http::settings::WebSettings;

/// Takes the prefix off the request's path.
///
/// # Errors
/// Whatever comes from inside.
pub async fn strip<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(uri) = shorter(&request) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

fn shorter(request: &ServiceRequest) -> Option<Uri> {
    let settings = request.app_data::<web::Data<WebSettings>>()?;
    let whole = request.uri().path_and_query()?.as_str();
    let rest = settings.without_prefix(whole)?;
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(rest.parse().ok()?);
    Uri::from_parts(parts).ok()
}
