//! A JSON body, read strictly.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

use super::body::read_body;
use super::reading::{Naming, problem};

/// A body of `application/json`, at most 64 KiB. Derive `T` with `deny_unknown_fields`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { parse(&read_body(&request, payload, "application/json").await?).map(Self) })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if has_escaped_nul(body) {
        return Err(Problem::invalid("", "a text holds the character NUL"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            problem(error.path(), &error.inner().to_string(), Naming::Pointer)
        } else {
            malformed(error.inner())
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// A place in the text, and nothing of the text.
fn malformed(error: &serde_json::Error) -> Problem {
    Problem::invalid("", format!("is not JSON: line {}, column {}", error.line(), error.column()))
}

/// PostgreSQL knows no NUL in texts; JSON can write one only as an escape.
fn has_escaped_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = rest.get(at..).unwrap_or_default();
        if escape.starts_with(br"\u0000") {
            return true;
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    false
}
