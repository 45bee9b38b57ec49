//! The bytes of a body, at most 64 KiB, of one content type.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_util::StreamExt;

use crate::http::problem::{Code, Problem};

/// The largest body of a request.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a whole body may take: who sends byte by byte holds a connection no longer than this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Reads a body of the media type `expected`; compressed ones are not taken.
///
/// # Errors
/// `unsupported_media_type`, `too_large`, or `invalid_request` where the connection broke off or the body is
/// late.
pub async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    expected: &str,
) -> Result<web::BytesMut, Problem> {
    read_within(DEADLINE, request, payload, expected).await
}

async fn read_within(
    deadline: Duration,
    request: &HttpRequest,
    payload: Payload,
    expected: &str,
) -> Result<web::BytesMut, Problem> {
    if !is_media_type(request, expected) || !is_identity_encoded(request) {
        let detail = format!("the body must be {expected}, not compressed");
        return Err(Problem::of(Code::UnsupportedMediaType, detail));
    }
    match tokio::time::timeout(deadline, collect(payload)).await {
        Ok(body) => body,
        Err(_) => {
            Err(Problem::of(Code::InvalidRequest, "the body did not arrive in time").close_connection())
        }
    }
}

async fn collect(mut payload: Payload) -> Result<web::BytesMut, Problem> {
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::of(Code::InvalidRequest, "the body ended early"))?;
        if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
            return Err(Problem::new(Code::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Parameters beside a charset of UTF-8 are ignored, as is case.
fn is_media_type(request: &HttpRequest, expected: &str) -> bool {
    let mut values = request.headers().get_all(header::CONTENT_TYPE);
    let one = (values.next(), values.next());
    let essence = request.content_type().trim();
    let utf8 = matches!(request.encoding(), Ok(encoding) if encoding.name() == "UTF-8");
    matches!(one, (Some(_), None)) && essence.eq_ignore_ascii_case(expected) && utf8
}

fn is_identity_encoded(request: &HttpRequest) -> bool {
    request.headers().get_all(header::CONTENT_ENCODING).all(|value| value == "identity")
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;
    use crate::http::oauth_error::OAuthError;
    use crate::http::page;

    #[actix_web::test]
    async fn a_body_that_never_ends_is_given_up_with_its_connection() {
        let request =
            TestRequest::post().insert_header((header::CONTENT_TYPE, "application/json")).to_http_request();
        let begun = stream::iter([Ok::<_, PayloadError>(web::Bytes::from_static(b"{"))]);
        let payload: std::pin::Pin<Box<dyn futures_util::Stream<Item = _>>> =
            Box::pin(begun.chain(stream::pending()));
        let read = read_within(Duration::from_millis(20), &request, payload.into(), "application/json");
        let problem = read.await.unwrap_err();
        assert_eq!(
            (problem.code(), problem.detail()),
            (Code::InvalidRequest, "the body did not arrive in time")
        );
        assert!(!problem.error_response().head().keep_alive());
        assert!(!page::Error::from(problem.clone()).error_response().head().keep_alive());
        assert!(!OAuthError::from(problem).error_response().head().keep_alive());
    }
}
