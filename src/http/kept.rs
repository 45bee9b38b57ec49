//! Bodies that are the same for everybody: made once, kept by browsers, asked for again by their tag (RFC 9110 §13.1.2).

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

/// Such a body.
#[derive(Clone, Debug)]
pub struct Kept {
    media: &'static str,
    version: String,
    body: Bytes,
}

impl Kept {
    /// A body of this media type.
    pub fn new(media: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
        let version = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { media, version, body }
    }

    /// Another text for another body.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The body, or 304 to whoever has it. Nobody asks again for so many seconds.
    pub fn answer(&self, request: &HttpRequest, max_age_s: u32) -> HttpResponse {
        let known =
            request.headers().get_all(header::IF_NONE_MATCH).any(|tags| self.is_among(tags.as_bytes()));
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((header::ETAG, format!("\"{}\"", self.version)))
            .insert_header((header::CACHE_CONTROL, format!("public, max-age={max_age_s}")));
        if known { response.finish() } else { response.content_type(self.media).body(self.body.clone()) }
    }

    /// A proxy that compresses makes a weak tag of ours: they are compared weakly.
    fn is_among(&self, tags: &[u8]) -> bool {
        let Ok(tags) = std::str::from_utf8(tags) else { return false };
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag.trim_matches('"') == self.version)
    }
}
