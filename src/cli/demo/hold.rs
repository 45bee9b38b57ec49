//! How does a person take over? The connect page opens in their own browser, and everything stays until Ctrl-C.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jeton_client::{Broker, BrokerSettings, Error as Refusal, Method};
use url::Url;

use super::person::PASSWORD;
use super::setup::{EMAIL, JobClient};
use super::stage::Stage;
use super::tell::{Teller, json_fields};
use crate::cli::Error;
use crate::cli::remote::failing;

/// Says where everything is, opens the page, and tells when the account is connected. Never ends by itself.
pub(super) async fn hold(stage: &Stage, client: JobClient, teller: &mut Teller) -> Result<(), Error> {
    let page = stage.at("/acme/connect")?;
    teller.step("Your turn: connect an account in the browser")?;
    teller.say(&format!("Open      {page}"))?;
    teller.say(&format!("E-mail    {EMAIL}"))?;
    teller.say(&format!("Password  {PASSWORD}"))?;
    teller.say("The provider asks for an account: any name will do, it has no passwords.")?;
    show_job(stage, &client, teller)?;
    let opened = open(&page);
    teller.say(match &opened {
        Some(_) => {
            "The page is being opened in your browser. Ctrl-C ends everything and removes what was stored."
        }
        None => "No browser could be opened from here. Ctrl-C ends everything and removes what was stored.",
    })?;
    teller.line("")?;
    let settings = BrokerSettings::new(stage.broker.as_str(), client.id, client.secret)?;
    let job = Broker::new(settings).map_err(failing("cannot reach the broker"))?;
    watch(stage, &job, teller).await?;
    std::future::pending::<()>().await;
    if let Some(mut child) = opened {
        child.wait()?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "door: a throw-away client's secret, for the reader to try")]
fn show_job(stage: &Stage, client: &JobClient, teller: &mut Teller) -> Result<(), Error> {
    let broker = stage.broker.as_str().trim_end_matches('/');
    teller.line("")?;
    teller.say("The job's side, in another terminal:")?;
    teller.line(&format!("     export JETON_URL={broker}"))?;
    teller.line(&format!("     export JETON_CLIENT_ID={}", client.id))?;
    teller.line(&format!("     export JETON_CLIENT_SECRET={}", client.secret.expose_secret()))?;
    let program =
        std::env::current_exe().map_or_else(|_| "jeton".to_owned(), |path| path.display().to_string());
    teller.line(&format!("     {program} token acme sandbox --json"))?;
    Ok(teller.line("")?)
}

/// Asks as the job would, until there is a token.
async fn watch(stage: &Stage, job: &Broker, teller: &mut Teller) -> Result<(), Error> {
    let path = ["acme", "sandbox", "binb-token"];
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        match job.call(Method::GET, &path, &[], None).await {
            Ok((status, token)) => {
                teller.step("The account is connected, and the job gets its token")?;
                teller.sent(&Method::GET, &stage.at("/acme/sandbox/binb-token")?, &[])?;
                let shown = ["access_token", "expires_in", "guaranteed_until", "generation", "scope"];
                return Ok(teller.came(status, &json_fields(&token, &shown))?);
            }
            Err(Refusal::Problem(problem)) if problem.code == "connection_not_found" => {}
            Err(error) => return Err(failing("the job's call failed")(error)),
        }
    }
}

/// Where there is a screen. A browser that does not open is the person's to open: the address was printed.
fn open(page: &Url) -> Option<Child> {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let program = match () {
        () if cfg!(target_os = "macos") => "open",
        () if has("DISPLAY") || has("WAYLAND_DISPLAY") => "xdg-open",
        () => return None,
    };
    let mut command = Command::new(program);
    command.arg(page.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}
