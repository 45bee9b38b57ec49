//! The query of a URL, read strictly.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde::de::value::Error;

use crate::http::problem::Problem;

use super::pairs::{Pairs, PairsError};
use super::reading::{Naming, problem};

/// Query parameters; a repeated or malformed one is refused. Derive `T` with `deny_unknown_fields`.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string().as_bytes()).map(Self))
    }
}

/// Reads a query or a form into its type.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let pairs = Pairs::parse(text).and_then(Pairs::once).map_err(|error| refused(&error))?;
    // The decoded pairs go through serde_urlencoded once more: its values parse themselves into numbers.
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs.into_inner()).finish();
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let inner: &Error = error.inner();
        problem(error.path(), &inner.to_string(), Naming::Parameter)
    })
}

fn refused(error: &PairsError) -> Problem {
    match error {
        PairsError::Malformed => Problem::invalid("", error.to_string()),
        PairsError::Repeated(name) => Problem::invalid(name, "is repeated"),
    }
}
