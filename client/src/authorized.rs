//! How does a call to an API carry the token, and what if the API does not take it?

use std::sync::Arc;

use crate::error::Error;
use crate::token_source::{Bearer, TokenSource};

/// An HTTP client that attaches the token of a [`TokenSource`], and asks once more with a new one after a 401.
/// The client that is given should follow no redirects to other hosts with tokens, as reqwest's do not.
#[derive(Clone, Debug)]
pub struct Authorized {
    http: reqwest::Client,
    source: TokenSource,
}

impl Authorized {
    /// Calls through `http` with tokens of `source`.
    pub fn new(http: reqwest::Client, source: TokenSource) -> Self {
        Self { http, source }
    }

    /// To begin a request with.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends a request with the token. One whose body cannot be read twice is not repeated: its 401 is the answer,
    /// and the next request has a new token.
    ///
    /// # Errors
    /// When no token was got, or the API was not reached. An answer of whatever status is none.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let again = request.try_clone();
        let bearer = self.source.bearer().await?;
        let answer = attach(request, &bearer).send().await.map_err(unreached)?;
        if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.source.forget(&bearer);
        match again {
            Some(request) => {
                let bearer = self.source.bearer().await?;
                attach(request, &bearer).send().await.map_err(unreached)
            }
            None => Ok(answer),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the token goes into the Authorization header of the call")]
fn attach(request: reqwest::RequestBuilder, bearer: &Bearer) -> reqwest::RequestBuilder {
    request.bearer_auth(bearer.token().expose_secret())
}

fn unreached(error: reqwest::Error) -> Error {
    Error::ApiUnreached(Arc::new(error))
}
