//! `jeton whoami`: for whom do the commands on this machine act, and until when?

use std::io::Write;

use jeton_client::{Credential, Method, SettingsError};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::login::Person;
use super::remote::{Access, failing};
use super::{Error, output};

/// Tell for whom commands on this machine act
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The broker; if not given, the only one where somebody signed in here
    #[arg(long, env = "JETON_URL")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let doing = "cannot ask who you are";
    if let Some(client) = client(&args.access).await? {
        return show(args.json, &client);
    }
    let Person { broker, kept, store } = Person::find(args.url.as_deref(), &args.access)?;
    let asked = broker.call(Method::GET, &["o", "userinfo", ""], &[], None).await;
    let (_, claims) = asked.map_err(failing(doing))?;
    let login = store.load()?;
    let until = login.as_ref().and_then(|login| login.expires_at.format(&Rfc3339).ok());
    let told = json!({
        "url": kept.url.as_str().trim_end_matches('/'),
        "person": super::login::name(&claims),
        "subject": claims.get("sub"),
        "client_id": kept.client_id,
        "scope": login.as_ref().map(|login| login.scope.clone()),
        "bearer_until": until,
        "refreshes": login.as_ref().is_some_and(|login| login.refresh_token.is_some()),
        "kept_in": store.place(),
    });
    show(args.json, &told)
}

/// The client whose secret the environment names: it goes before any sign-in.
async fn client(access: &Access) -> Result<Option<Value>, Error> {
    let settings = match access.settings().await {
        Ok(settings) => settings,
        // What is set is wrong; where something is not set, a sign-in at --url may do.
        Err(error) if is_of_a_client(&error) => return Err(error),
        Err(_) => return Ok(None),
    };
    let client_id = match &settings.credential {
        Credential::ClientSecret { client_id, .. } => client_id.clone(),
        Credential::Stored(stored) => stored.current().client_id,
        _ => return Ok(None),
    };
    let url = settings.url.as_str().trim_end_matches('/');
    Ok(Some(json!({"url": url, "person": null, "subject": client_id, "client_id": client_id})))
}

fn is_of_a_client(error: &Error) -> bool {
    match error {
        Error::Settings(error) => !matches!(error, SettingsError::Missing(_)),
        Error::Broker { source, .. } => matches!(source, jeton_client::Error::Store(_)),
        _ => false,
    }
}

fn show(as_json: bool, told: &Value) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    if as_json {
        output::json(&mut out, told)?
    } else {
        output::record(&mut out, told)?
    };
    Ok(out.flush()?)
}
