//! The body of one of our own HTML forms, read strictly.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

use super::body::read_body;
use super::query::parse;

/// A body of `application/x-www-form-urlencoded`, at most 64 KiB. Derive `T` with `deny_unknown_fields`.
#[derive(Clone)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Form<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read_body(&request, payload, "application/x-www-form-urlencoded").await?;
            parse(&body).map(Self)
        })
    }
}
