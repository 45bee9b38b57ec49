//! Forms and queries of browser routes, read strictly: unknown or repeated fields are refused, as a page.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::UrlencodedError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::page;
use super::problem::{Code, Problem};

const LIMIT: usize = 64 * 1024;

/// A form's fields.
#[derive(Debug)]
pub struct PageForm<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for PageForm<T> {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A form without fields has no body and may have no content type either.
        if !request.headers().contains_key(header::CONTENT_TYPE) && is_empty(request) {
            return Box::pin(async { read("").map(Self) });
        }
        let body = web::UrlEncoded::<T>::new(request, payload).limit(LIMIT);
        Box::pin(async move { body.await.map(Self).map_err(|error| refused(&error).into()) })
    }
}

/// A query's parameters.
#[derive(Debug)]
pub struct PageQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequest for PageQuery<T> {
    type Error = page::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(read(request.query_string()).map(Self))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> page::Answer<T> {
    serde_urlencoded::from_str(text).map_err(|_| malformed().into())
}

fn is_empty(request: &HttpRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.is_none_or(|length| length.as_bytes() == b"0")
        && !request.headers().contains_key(header::TRANSFER_ENCODING)
}

fn refused(error: &UrlencodedError) -> Problem {
    match error {
        UrlencodedError::Overflow { .. } => Problem::new(Code::TooLarge),
        UrlencodedError::ContentType | UrlencodedError::Encoding => Problem::new(Code::UnsupportedMediaType),
        _ => malformed(),
    }
}

/// Without the parser's words: they may quote what was sent.
fn malformed() -> Problem {
    Problem::of(Code::InvalidRequest, "A field is missing, unknown, repeated or malformed.")
}
