//! `jeton login`: how does a person let the programs of this machine act for them, without a password in any of them?

mod browser;
mod device;

use std::io::{self, Write};
use std::sync::Arc;

use jeton_client::secret_store::Variables;
use jeton_client::{
    Broker, BrokerSettings, Kept, Login, LoginClient, LoginError, LoginPlace, LoginStore, Method,
    SettingsError,
};
use serde_json::Value;
use url::Url;

use super::client::IdParser;
use super::remote::{Access, failing};
use super::{Error, output};
use crate::model::scope::Scope;

/// Sign in as a person: commands on this machine then act for you
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The broker; if not given, the only one where somebody signed in here
    #[arg(long, env = "JETON_URL")]
    url: Option<String>,
    /// The client that acts for you, of the kind `programmatic`; the last one if not given
    #[arg(long, value_name = "ID", env = "JETON_CLIENT_ID", allow_hyphen_values = true, value_parser = IdParser)]
    client_id: Option<String>,
    /// A scope to ask for, beside `openid` and `offline_access`; all of the client's if not given; repeat it
    #[arg(long = "scope", value_delimiter = ' ')]
    scopes: Vec<String>,
    /// Sign in with a browser on this machine, instead of by a code
    #[arg(long)]
    browser: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let place = LoginPlace::from_env()?;
    let before = found(&place, args.url.as_deref())?;
    let url = args.url.clone().or_else(|| before.as_ref().map(|kept| kept.url.to_string()));
    let client_id = args.client_id.clone().or_else(|| before.as_ref().map(|kept| kept.client_id.clone()));
    let (url, client_id) = match (url, client_id) {
        (Some(url), Some(client_id)) => (url, client_id),
        (url, client_id) => return Err(unsaid(url.is_none(), client_id.is_none())),
    };
    let plain_http = args.access.allows_plain_http();
    let client = LoginClient::new(&url, &client_id, plain_http).map_err(unusable)?;
    let scope = scope(&args.scopes);
    let login = match args.browser {
        true => browser::sign_in(&client, scope.as_deref()).await?,
        false => device::sign_in(&client, scope.as_deref()).await?,
    };
    let store = keep(&place, &login, before.as_ref(), plain_http).await?;
    say(&granted(scope.as_deref(), &login.scope))?;
    if let Some(line) = withheld(scope.as_deref(), &login.scope) {
        say(&line)?;
    }
    told(&login, store, plain_http).await?;
    if let Some(name) = BrokerSettings::secret_variable(&Variables::of_process()) {
        say(&format!(
            "jeton: {name} is set: until it is unset, commands act as that client and not for you"
        ))?;
    }
    Ok(())
}

/// The sign-in that this one replaces.
fn found(place: &LoginPlace, url: Option<&str>) -> Result<Option<Kept>, Error> {
    let url = url.and_then(|url| Url::parse(url.trim()).ok());
    match place.find(url.as_ref()) {
        Ok(kept) => Ok(Some(kept)),
        // What is damaged is about to be replaced; what others can read is not used and not silently mended.
        Err(LoginError::Absent(_) | LoginError::Damaged(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn scope(asked: &[String]) -> Option<String> {
    if asked.is_empty() {
        return None;
    }
    let own = ["openid", "offline_access"].into_iter();
    let more =
        asked.iter().map(String::as_str).filter(|scope| !["openid", "offline_access", ""].contains(scope));
    Some(own.chain(more).collect::<Vec<_>>().join(" "))
}

/// What was asked for, and what of it was given. Without `asked`, all that the client may have was asked for, and which
/// that is the server does not say.
fn granted(asked: Option<&str>, granted: &str) -> String {
    let given: Vec<_> = granted.split_whitespace().collect();
    let some = |scopes: &[&str]| if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") };
    let missing: Vec<_> =
        asked.unwrap_or_default().split_whitespace().filter(|scope| !given.contains(scope)).collect();
    let line = format!("jeton: granted: {}", some(&given));
    if asked.is_some() { format!("{line}; not granted: {}", some(&missing)) } else { line }
}

/// Why scopes of the broker were not granted. One that the client has not is refused before anybody is asked, so it is
/// for want of the role. Where all was asked for, the one that most are after is told.
fn withheld(asked: Option<&str>, granted: &str) -> Option<String> {
    let given = |scope: &&str| {
        granted.split_whitespace().any(|one| one == *scope || one == Scope::Superadmin.as_str())
    };
    let about_people = [Scope::Openid, Scope::Profile, Scope::Email, Scope::OfflineAccess];
    let needs_role = |scope: &&str| Scope::parse(scope).is_some_and(|scope| !about_people.contains(&scope));
    let asked = asked.unwrap_or(Scope::BinbRead.as_str()).split_whitespace();
    let missing: Vec<_> = asked.filter(needs_role).filter(|scope| !given(scope)).collect();
    let it_needs =
        if missing.len() == 1 { "was not granted: it needs" } else { "were not granted: they need" };
    (!missing.is_empty()).then(|| {
        format!(
            "jeton: {} {it_needs} a superadmin, and a client with the role and the scope (for a code, a confined one)",
            missing.join(" ")
        )
    })
}

fn unsaid(url: bool, client_id: bool) -> Error {
    let wanted = [(url, "--url (or JETON_URL)"), (client_id, "--client-id (or JETON_CLIENT_ID)")];
    let wanted: Vec<_> = wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name).collect();
    Error::Unsaid(wanted.join(" and "))
}

/// What is wrong with an address may have come from the option.
pub(super) fn unusable(error: jeton_client::Error) -> Error {
    match error {
        jeton_client::Error::Settings(SettingsError::Url(why)) => Error::LoginUrl(why),
        other => failing("cannot sign in")(other),
    }
}

/// Keeps the new one, then ends the one before: nobody would ever use it again.
async fn keep(
    place: &LoginPlace,
    login: &Login,
    before: Option<&Kept>,
    plain_http: bool,
) -> Result<Arc<dyn LoginStore>, Error> {
    let kept = Kept {
        url: login.url.clone(),
        client_id: login.client_id.clone(),
        store: jeton_client::StoreKind::File,
    };
    let store = place.store(&kept);
    let lock = store.lock()?;
    let old = before.filter(|before| before.url == login.url).map(|before| place.store(before).load());
    store.save(login)?;
    drop(lock);
    if let Some(Ok(Some(old))) = old {
        end(&old, plain_http).await.ok();
    }
    Ok(store)
}

/// Revokes what a sign-in holds.
pub(super) async fn end(login: &Login, plain_http: bool) -> Result<(), jeton_client::Error> {
    let client = LoginClient::new(login.url.as_str(), &login.client_id, plain_http)?;
    client.revoke(login.refresh_token.as_ref().unwrap_or(&login.access_token)).await
}

async fn told(login: &Login, store: Arc<dyn LoginStore>, plain_http: bool) -> Result<(), Error> {
    let place = store.place();
    let who = who(login, store, plain_http).await;
    let who = who.map(|who| format!(" as {who}")).unwrap_or_default();
    let url = login.url.as_str().trim_end_matches('/');
    say(&format!("jeton: signed in{who} at {url}; kept in {place}"))?;
    if login.refresh_token.is_none() {
        let client = &login.client_id;
        say(&format!(
            "jeton: for {} minutes only: the client {client} has no scope offline_access",
            (login.expires_at - super::login::now()).whole_minutes()
        ))?;
    }
    Ok(())
}

/// The person who signed in, whatever else the environment says.
pub(super) struct Person {
    pub(super) broker: Broker,
    pub(super) kept: Kept,
    pub(super) store: Arc<dyn LoginStore>,
}

impl Person {
    pub(super) fn find(url: Option<&str>, access: &Access) -> Result<Self, Error> {
        let place = LoginPlace::from_env()?;
        let url = url.map(|url| Url::parse(url.trim())).transpose();
        let url = url.map_err(|_| unusable(SettingsError::SCHEME.into()))?;
        let kept = place.find(url.as_ref())?;
        let store = place.store(&kept);
        let mut settings = BrokerSettings::of_login(kept.url.clone(), store.clone());
        // A command may end at any moment, and would lose a refresh token that was just brought.
        (settings.plain_http, settings.ahead) = (access.allows_plain_http(), false);
        let broker = Broker::new(settings).map_err(failing("cannot reach the broker"))?;
        Ok(Self { broker, kept, store })
    }
}

/// What the person is called; none where the client may not know it.
async fn who(login: &Login, store: Arc<dyn LoginStore>, plain_http: bool) -> Option<String> {
    let mut settings = BrokerSettings::of_login(login.url.clone(), store);
    (settings.plain_http, settings.ahead) = (plain_http, false);
    let broker = Broker::new(settings).ok()?;
    let (_, claims) = broker.call(Method::GET, &["o", "userinfo", ""], &[], None).await.ok()?;
    name(&claims)
}

/// The best name among the claims of a person.
pub(super) fn name(claims: &Value) -> Option<String> {
    let claim = |name: &&str| claims.get(*name).and_then(Value::as_str).filter(|text| !text.is_empty());
    ["email", "preferred_username", "name", "sub"].iter().find_map(claim).map(str::to_owned)
}

/// A line for the person; standard output stays empty.
pub(super) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{}", output::printable(line))
}

/// The machine's clock.
pub(super) fn now() -> time::OffsetDateTime {
    use crate::model::time::{Clock, SystemClock};
    SystemClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_asked_for_is_asked_once() {
        assert_eq!(scope(&[]), None);
        let asked = ["binb:read".to_owned(), "openid".to_owned()];
        assert_eq!(scope(&asked).as_deref(), Some("openid offline_access binb:read"));
    }

    #[test]
    fn what_was_not_granted_is_told() {
        let asked = Some("openid offline_access binb:read");
        assert_eq!(
            granted(asked, "openid offline_access"),
            "jeton: granted: openid offline_access; not granted: binb:read"
        );
        assert_eq!(granted(Some("openid"), "openid"), "jeton: granted: openid; not granted: none");
        assert_eq!(granted(None, "openid"), "jeton: granted: openid");
    }

    #[test]
    fn what_needs_a_superadmin_is_told_where_it_was_not_granted() {
        let told = withheld(None, "openid email offline_access").unwrap();
        assert!(
            told.starts_with("jeton: binb:read was not granted: it needs a superadmin, and a client"),
            "{told}"
        );
        let asked = Some("openid offline_access binb:read apps:read terms:read");
        let told = withheld(asked, "openid").unwrap();
        assert!(
            told.starts_with("jeton: binb:read apps:read were not granted: they need a superadmin"),
            "{told}"
        );
        for (asked, granted) in [
            (None, "openid binb:read"),
            (None, "openid superadmin"),
            (asked, "openid apps:read binb:read"),
            (Some("openid offline_access email"), "openid"),
        ] {
            assert_eq!(withheld(asked, granted), None, "{asked:?}");
        }
    }

    #[test]
    fn a_person_is_called_by_the_best_name_there_is() {
        assert_eq!(name(&json!({"sub": "u1", "preferred_username": "ada@x"})).as_deref(), Some("ada@x"));
        assert_eq!(name(&json!({"sub": "u1", "email": ""})).as_deref(), Some("u1"));
        assert_eq!(name(&json!({})), None);
    }
}
