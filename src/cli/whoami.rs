//! `jeton whoami`: for whom do the commands on this machine act, and until when?

use std::io::Write;

use jeton_client::Method;
use serde_json::json;
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
    let mut out = std::io::stdout().lock();
    if args.json {
        output::json(&mut out, &told)?
    } else {
        output::record(&mut out, &told)?
    };
    Ok(out.flush()?)
}
