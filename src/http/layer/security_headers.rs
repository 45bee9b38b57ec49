//! The headers every response carries, errors and panics included.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::http::page::FormTargets;
use crate::http::settings::WebSettings;

/// Adds the headers; a handler that set one itself keeps it.
///
/// # Errors
/// What came from inside, as a response with the headers.
pub async fn apply(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let https = request.app_data::<web::Data<WebSettings>>().is_some_and(|settings| settings.is_https());
    match next.call(request).await {
        Ok(answer) => {
            let (request, mut response) = answer.map_into_boxed_body().into_parts();
            decorate(&mut response, https);
            Ok(ServiceResponse::new(request, response))
        }
        Err(error) => {
            let mut response = error.error_response();
            decorate(&mut response, https);
            Err(InternalError::from_response("answered", response).into())
        }
    }
}

fn decorate(response: &mut HttpResponse, https: bool) {
    let targets = response.extensions().get::<FormTargets>().map(|targets| targets.0.join(" "));
    let policy = policy(targets.as_deref());
    let headers = response.headers_mut();
    headers.remove(header::SERVER);
    set(headers, header::CONTENT_SECURITY_POLICY, &policy);
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(headers, HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if https {
        set(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

fn policy(targets: Option<&str>) -> String {
    let targets = targets.map(|targets| format!(" {targets}")).unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'{targets}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !headers.contains_key(&name)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}
