//! `jeton logout`: how does a person end what `jeton login` began?

use jeton_client::{LoginError, LoginPlace, SettingsError};
use url::Url;

use super::Error;
use super::login::{end, say, unusable};
use super::remote::{Access, failing};

/// End the sign-in: at the broker, and on this machine
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The broker; if not given, the only one where somebody signed in here
    #[arg(long, env = "JETON_URL")]
    url: Option<String>,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let place = LoginPlace::from_env()?;
    let url = args.url.as_deref().map(|url| Url::parse(url.trim())).transpose();
    let url = url.map_err(|_| unusable(SettingsError::SCHEME.into()))?;
    let store = place.store(&place.find(url.as_ref())?);
    // Nobody refreshes while the token is taken away.
    let lock = store.lock()?;
    let login = store.load()?.ok_or_else(|| LoginError::Absent("this broker".to_owned()))?;
    let ended = end(&login, args.access.allows_plain_http()).await;
    store.delete()?;
    drop(lock);
    ended.map_err(failing("deleted here, but the broker was not told and may still take the tokens"))?;
    Ok(say(&format!("jeton: signed out at {}", login.url.as_str().trim_end_matches('/')))?)
}
