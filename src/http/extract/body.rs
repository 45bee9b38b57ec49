//! The bytes of a body, at most 64 KiB, of one content type.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_util::StreamExt;

use crate::http::problem::{Code, Problem};

/// The largest body of a request.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Reads a body of the media type `expected`; compressed ones are not taken.
///
/// # Errors
/// `unsupported_media_type`, `too_large`, or `invalid_request` where the connection broke off.
pub async fn read_body(
    request: &HttpRequest,
    mut payload: Payload,
    expected: &str,
) -> Result<web::BytesMut, Problem> {
    if !is_media_type(request, expected) || !is_identity_encoded(request) {
        let detail = format!("the body must be {expected}, not compressed");
        return Err(Problem::of(Code::UnsupportedMediaType, detail));
    }
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
