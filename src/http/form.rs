//! Forms and queries of browser routes: read as strictly as elsewhere, refused as a page.

use std::future::{Future, Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::extract::{Form, Query};
use super::page;

/// A form's fields. Derive `T` with `deny_unknown_fields`.
pub struct PageForm<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for PageForm<T> {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A form without fields has no body and may have no content type either.
        if !request.headers().contains_key(header::CONTENT_TYPE) && is_empty(request) {
            return Box::pin(async { Ok(Self(parse_nothing()?)) });
        }
        let form = Form::<T>::from_request(request, payload);
        Box::pin(async move { Ok(Self(form.await?.0)) })
    }
}

/// A query's parameters. Derive `T` with `deny_unknown_fields`.
pub struct PageQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequest for PageQuery<T> {
    type Error = page::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(
            Query::<T>::from_request(request, payload)
                .into_inner()
                .map(|query| Self(query.0))
                .map_err(Into::into),
        )
    }
}

fn parse_nothing<T: DeserializeOwned>() -> page::Answer<T> {
    let missing = |_| super::problem::Problem::new(super::problem::Code::InvalidRequest);
    Ok(serde_urlencoded::from_str("").map_err(missing)?)
}

fn is_empty(request: &HttpRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.is_none_or(|length| length.as_bytes() == b"0")
        && !request.headers().contains_key(header::TRANSFER_ENCODING)
}
