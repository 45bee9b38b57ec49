//! How does this program sign in to the broker once, however many of its tasks ask?
//!
//! One flight at a time: whoever finds no living bearer joins the request under way. A bearer is kept until
//! it is nearly over, replaced in the background shortly before, and dropped early only by the caller that saw this
//! very one refused. A flight belongs to no caller: one that gives up does not end it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use crate::broker::{Wire, join};
use crate::error::Error;
use crate::login::{Login, now, renew};
use crate::patience::Patience;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::settings::Credential;

/// How long after a failure nothing is asked in the background.
const REST: Duration = Duration::from_secs(5);

/// The bearer of one sign-in.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) token: Secret,
    /// From here on the next one is worth asking for.
    ahead: Instant,
    until: Instant,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Bearer>, Error>>>;

#[derive(Default)]
struct Slot {
    held: Option<Arc<Bearer>>,
    flight: Option<Flight>,
    refused: Option<Secret>,
    resting: Option<Instant>,
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
    pub(crate) async fn bearer(self: &Arc<Self>) -> Result<Arc<Bearer>, Error> {
        match self.board() {
            Ok(bearer) => Ok(bearer),
            Err(flight) => flight.await,
        }
    }

    /// Drops `refused`, unless another task replaced it already.
    pub(crate) fn forget(&self, refused: &Arc<Bearer>) {
        let mut slot = self.slot();
        if slot.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            slot.held = None;
            slot.refused = Some(refused.token.clone());
        }
    }

    fn board(self: &Arc<Self>) -> Result<Arc<Bearer>, Flight> {
        let mut slot = self.slot();
        let now = Instant::now();
        match slot.held.clone().filter(|bearer| now < bearer.until) {
            None => Err(self.flight(&mut slot)),
            Some(bearer) => {
                let rested = slot.resting.is_none_or(|until| until <= now);
                if self.wire.settings.ahead && bearer.ahead <= now && rested {
                    // It lands by itself; nobody waits for it.
                    drop(self.flight(&mut slot));
                }
                Ok(bearer)
            }
        }
    }

    /// The flight under way, or a new one; it lands by itself.
    fn flight(self: &Arc<Self>, slot: &mut Slot) -> Flight {
        let depart = || {
            let (own, refused) = (Arc::clone(self), slot.refused.clone());
            let task = tokio::spawn(async move {
                let result = sign_in(&own.wire, refused.as_ref()).await;
                own.land(&result);
                result
            });
            let own = Arc::clone(self);
            let landed = async move {
                task.await.unwrap_or_else(|_| {
                    let interrupted = Err(Error::Interrupted);
                    own.land(&interrupted);
                    interrupted
                })
            };
            landed.boxed().shared()
        };
        slot.flight.get_or_insert_with(depart).clone()
    }

    fn land(&self, result: &Result<Arc<Bearer>, Error>) {
        let mut slot = self.slot();
        slot.flight = None;
        match result {
            Ok(bearer) => (slot.held, slot.refused) = (Some(Arc::clone(bearer)), None),
            Err(_) => slot.resting = Instant::now().checked_add(REST),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl SignIn {
    pub(crate) fn age(&self, by: Duration) {
        let mut slot = self.slot();
        let held = slot.held.take().unwrap();
        let [ahead, until] = [held.ahead, held.until].map(|at| at.checked_sub(by).unwrap());
        slot.held = Some(Arc::new(Bearer { token: held.token.clone(), ahead, until }));
    }

    pub(crate) async fn landed(&self) {
        let flight = self.slot().flight.clone();
        if let Some(flight) = flight {
            flight.await.unwrap();
        }
    }
}

async fn sign_in(wire: &Wire, refused: Option<&Secret>) -> Result<Arc<Bearer>, Error> {
    match &wire.settings.credential {
        Credential::ClientSecret { client_id, client_secret } => {
            client_credentials(wire, client_id, client_secret).await
        }
        Credential::Login(store) => of_login(&renew::living(wire, store, refused).await?),
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

async fn client_credentials(wire: &Wire, id: &str, secret: &Secret) -> Result<Arc<Bearer>, Error> {
    let url = join(&wire.settings.url, &["o", "token", ""])?;
    let mut patience = Patience::of(&wire.settings);
    loop {
        let sent_at = Instant::now();
        let request = wire.http.post(url.clone()).form(&[("grant_type", "client_credentials")]);
        let pause = match wire.exchange(authenticate(request, id, secret)).await {
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
fn authenticate(request: reqwest::RequestBuilder, id: &str, secret: &Secret) -> reqwest::RequestBuilder {
    // RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    request.basic_auth(encode(id), Some(encode(secret.expose_secret())))
}

fn bearer_of(answer: &Answer, sent_at: Instant) -> Result<Arc<Bearer>, Error> {
    held(answer.access_token.clone(), Duration::from_secs(answer.expires_in), sent_at)
}

fn of_login(login: &Login) -> Result<Arc<Bearer>, Error> {
    held(login.access_token.clone(), login.left(now()).unwrap_or_default(), Instant::now())
}

fn held(token: Secret, lifetime: Duration, from: Instant) -> Result<Arc<Bearer>, Error> {
    let margin = margin(lifetime);
    let at =
        |early: Duration| from.checked_add(lifetime.saturating_sub(early)).ok_or(Error::Garbled("token"));
    Ok(Arc::new(Bearer { token, ahead: at(margin * 2)?, until: at(margin)? }))
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
