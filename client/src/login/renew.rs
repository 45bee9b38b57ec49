//! How is a person's bearer replaced, by one process at a time?
//!
//! Under the store's lock: load, spend the refresh token, save, let go. Whoever waited for the lock finds what the
//! one before brought and spends nothing. The lock is kept until the answer is saved, and the task that does it
//! belongs to no caller, so that a caller who gives up loses no token.

use std::sync::Arc;
use std::time::Duration;

use super::store::address;
use super::{Login, LoginClient, LoginError, LoginLock, LoginStore, now};
use crate::broker::Wire;
use crate::error::Error;
use crate::patience::Patience;
use crate::secret::Secret;

type Store = Arc<dyn LoginStore>;

/// A kept bearer that ends within this is replaced first.
const MARGIN: Duration = Duration::from_secs(60);

/// The sign-in with a bearer that lives and is not the one that was `refused`.
pub(crate) async fn living(wire: &Wire, store: &Store, refused: Option<&Secret>) -> Result<Login, Error> {
    let good = |login: &Login| {
        let lives = login.left(now()).is_some_and(|left| left > MARGIN);
        lives && !refused.is_some_and(|refused| login.has_bearer(refused))
    };
    // The file is replaced as a whole, so a look at it takes no lock.
    if let Some(login) = blocking(store, |store| store.load()).await?.filter(good) {
        return Ok(login);
    }
    let (lock, login) = locked(wire, store).await?;
    if good(&login) {
        return Ok(login);
    }
    spend(wire, store, &login, lock).await
}

/// The sign-in with all its tokens new.
pub(crate) async fn renewed(wire: &Wire, store: &Store) -> Result<Login, Error> {
    let (lock, login) = locked(wire, store).await?;
    spend(wire, store, &login, lock).await
}

async fn locked(wire: &Wire, store: &Store) -> Result<(LoginLock, Login), Error> {
    let (lock, login) = blocking(store, |store| Ok((store.lock()?, store.load()?))).await?;
    let login = login.ok_or_else(|| LoginError::absent(&wire.settings.url))?;
    // A refresh token goes nowhere but to whom it came from.
    if address(&login.url) == address(&wire.settings.url) {
        Ok((lock, login))
    } else {
        Err(LoginError::absent(&wire.settings.url).into())
    }
}

async fn spend(wire: &Wire, store: &Store, login: &Login, lock: LoginLock) -> Result<Login, Error> {
    // What cannot be written now could not be written afterwards, and then the token would be spent.
    save(store, login).await?;
    let client = LoginClient::of(&wire.http, login);
    let mut patience = Patience::of(&wire.settings);
    let fresh = loop {
        let pause = match client.refresh(login).await {
            Ok(fresh) => break fresh,
            Err(error) => {
                let asked = unspent(&error).ok_or_else(|| error.clone())?;
                patience.pause(asked).ok_or(error)?
            }
        };
        tokio::time::sleep(pause).await;
    };
    save(store, &fresh).await?;
    drop(lock);
    Ok(fresh)
}

/// Whether the refresh token cannot have been spent by what failed, and which pause the broker asks for.
fn unspent(error: &Error) -> Option<Option<Duration>> {
    match error {
        Error::Transport(error) => error.is_connect().then_some(None),
        Error::Problem(problem) => matches!(problem.status, 429 | 503).then_some(problem.retry_after),
        _ => None,
    }
}

async fn save(store: &Store, login: &Login) -> Result<(), Error> {
    let login = login.clone();
    blocking(store, move |store| store.save(&login)).await
}

async fn blocking<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&dyn LoginStore) -> Result<T, LoginError> + Send + 'static,
) -> Result<T, Error> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(&*store)).await;
    Ok(done.map_err(|_| Error::Interrupted)??)
}
