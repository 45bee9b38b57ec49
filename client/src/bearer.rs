//! How does this program sign in to the broker once, however many of its tasks ask?
//!
//! One flight at a time: whoever finds no living bearer joins the request under way. A bearer is kept until
//! it is nearly over, and dropped early only by the caller that saw this very one refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use crate::broker::{Wire, join};
use crate::error::Error;
use crate::patience::Patience;
use crate::problem::Problem;
use crate::secret::Secret;

/// The bearer of one sign-in.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) token: Secret,
    until: Instant,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Bearer>, Error>>>;

#[derive(Default)]
struct Slot {
    held: Option<Arc<Bearer>>,
    flight: Option<Flight>,
}

/// The program's sign-in.
pub(crate) struct SignIn {
    wire: Arc<Wire>,
    slot: Mutex<Slot>,
}

impl SignIn {
    pub(crate) fn new(wire: Arc<Wire>) -> Self {
        Self { wire, slot: Mutex::default() }
    }

    /// The living bearer, or the one that the request under way brings.
    pub(crate) async fn bearer(&self) -> Result<Arc<Bearer>, Error> {
        let flight = match self.board() {
            Ok(bearer) => return Ok(bearer),
            Err(flight) => flight,
        };
        let result = flight.clone().await;
        self.land(&flight, &result);
        result
    }

    /// Drops `refused`, unless another task replaced it already.
    pub(crate) fn forget(&self, refused: &Arc<Bearer>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            slot.held = None;
        }
    }

    fn board(&self) -> Result<Arc<Bearer>, Flight> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match &slot.held {
            Some(bearer) if Instant::now() < bearer.until => Ok(Arc::clone(bearer)),
            _ => {
                let wire = Arc::clone(&self.wire);
                let depart = || async move { sign_in(&wire).await }.boxed().shared();
                Err(slot.flight.get_or_insert_with(depart).clone())
            }
        }
    }

    fn land(&self, flight: &Flight, result: &Result<Arc<Bearer>, Error>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.flight.as_ref().is_some_and(|current| current.ptr_eq(flight)) {
            slot.flight = None;
            slot.held = result.as_ref().ok().cloned();
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

async fn sign_in(wire: &Wire) -> Result<Arc<Bearer>, Error> {
    let url = join(&wire.settings.url, &["o", "token", ""])?;
    let mut patience = Patience::of(&wire.settings);
    loop {
        let sent_at = Instant::now();
        let request = wire.http.post(url.clone()).form(&[("grant_type", "client_credentials")]);
        let pause = match wire.exchange(authenticate(wire, request)).await {
            Ok(answer) if answer.status == 200 => return bearer_of(&answer.parse("token")?, sent_at),
            Ok(answer) => {
                let problem = Problem::read_oauth(answer.status, answer.retry_after, &answer.body);
                let again = answer.asks_to_wait().then(|| patience.pause(answer.retry_after)).flatten();
                again.ok_or_else(|| Error::from(problem))?
            }
            // A sign-in changes nothing at the broker, so any broken connection may be tried again.
            Err(error) => patience.pause(None).ok_or(error)?,
        };
        tokio::time::sleep(pause).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the secret goes into the Authorization header of the token call"
)]
fn authenticate(wire: &Wire, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    // RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let secret = encode(wire.settings.client_secret.expose_secret());
    request.basic_auth(encode(&wire.settings.client_id), Some(secret))
}

fn bearer_of(answer: &Answer, sent_at: Instant) -> Result<Arc<Bearer>, Error> {
    let lifetime = Duration::from_secs(answer.expires_in);
    let usable = lifetime.saturating_sub(margin(lifetime));
    let until = sent_at.checked_add(usable).ok_or(Error::Garbled("token"))?;
    Ok(Arc::new(Bearer { token: answer.access_token.clone(), until }))
}

/// How early a bearer is renewed: a minute, but at most a fifth of its life.
fn margin(lifetime: Duration) -> Duration {
    Duration::from_secs(60).min(lifetime / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_a_minute_or_a_fifth() {
        assert_eq!(margin(Duration::from_secs(3600)), Duration::from_secs(60));
        assert_eq!(margin(Duration::from_secs(10)), Duration::from_secs(2));
    }

    #[test]
    fn debug_of_a_bearer_is_mute() {
        let answer = Answer { access_token: Secret::new("canary"), expires_in: 60 };
        let bearer = bearer_of(&answer, Instant::now()).unwrap();
        assert!(!format!("{bearer:?}").contains("canary"));
    }
}
