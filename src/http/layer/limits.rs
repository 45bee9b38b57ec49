//! How long may a URL and the headers of a request be? Longer ones are refused before anybody reads them.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::http::oauth_error::refusal;
use crate::http::problem::{Code, Problem};
use crate::http::settings::WebSettings;

/// The longest path and query.
pub const URL: usize = 8 * 1024;
const HEADERS: usize = 16 * 1024;

/// Refuses what is too long.
///
/// # Errors
/// Whatever comes from inside.
pub async fn check<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match excess(&request) {
        Some(detail) => {
            let problem = Problem::of(Code::TooLarge, detail);
            let settings = request.app_data::<web::Data<WebSettings>>();
            let under_o = settings.is_some_and(|settings| settings.is_under_o(request.path()));
            Ok(request.into_response(refusal(problem, under_o)).map_into_right_body())
        }
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}

fn excess(request: &ServiceRequest) -> Option<&'static str> {
    let url = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let headers: usize = request.headers().iter().map(line).sum();
    if url > URL {
        Some("the URL is longer than 8 KiB")
    } else if headers > HEADERS {
        Some("the headers are longer than 16 KiB")
    } else {
        None
    }
}
