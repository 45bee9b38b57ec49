//! `jeton demo`: what is this product for, shown on a broker and a provider that live as long as the command?
//!
//! Each step prints what was sent and what came back. Whatever differs from what is promised ends the command
//! with exit code 1 and says what it was.

mod form;
mod hold;
mod job;
mod person;
mod setup;
mod stage;
mod tell;
mod wire;

use http::Method;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use crate::telemetry;

use self::job::{Job, let_time_pass, revoke, tell_provider};
use self::person::Person;
use self::stage::{PROVIDER_CLIENT, Stage, TOKEN_LIFE};
use self::tell::{Teller, place};

/// Show the whole product in one process: connect an account, fetch a token, refresh it once for many, lose the grant
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connect the account yourself: print the address and open it in a browser, and stay until Ctrl-C
    #[arg(long)]
    browser: bool,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    telemetry::start_quietly();
    let mut teller = Teller::of_process();
    // Heard from here on: whatever is stored is removed again.
    let mut told = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stage = Stage::build().await?;
    let ended = if args.browser { Ok(()) } else { Err(deviation("it was interrupted".to_owned())) };
    let played = tokio::select! {
        played = play(&stage, args.browser, &mut teller) => played,
        _ = told.0.recv() => ended,
        _ = told.1.recv() => ended,
    };
    let struck = stage.strike().await;
    played?;
    struck?;
    Ok(teller.line("Everything was stopped, and what was stored is removed.")?)
}

async fn play(stage: &Stage, browser: bool, teller: &mut Teller) -> Result<(), Error> {
    introduce(stage, teller)?;
    let invitation = setup::prepare(stage, teller).await?;
    let mut person = Person::new()?;
    person.accept(&invitation, teller).await?;
    if browser {
        teller
            .step("The admin makes a client for the job, which may fetch this one token and nothing else")?;
        let client = setup::job_client(stage, teller).await?;
        return hold::hold(stage, client, teller).await;
    }
    teller.step("The person connects an account: to the provider, yes, and back")?;
    person.connect(stage, teller).await?;

    teller.step("A job gets a token by two calls; its client may fetch this one token and nothing else")?;
    let client = setup::job_client(stage, teller).await?;
    let mut job = Job::start(stage, client, teller).await?;

    teller.step("The token expires, and 50 jobs ask at the same time")?;
    let_time_pass(stage, teller)?;
    job.use_token(stage, 401, teller).await?;
    teller.say("The provider is made slow, so that all of them meet the same refresh:")?;
    let slow = json!({"client_id": PROVIDER_CLIENT.0,
        "faults": {"delay_ms": 300, "grant_type": "refresh_token"}});
    tell_provider(stage, Method::PUT, "/_sandbox/faults", &slow, teller).await?;
    job.crowd(stage, teller).await?;

    teller.step("The person takes the consent back at the provider, and the job is told what to do")?;
    revoke(stage, teller).await?;
    let_time_pass(stage, teller)?;
    job.is_told_to_reauthorize(stage, teller).await?;

    teller.step("The person opens that `signup_url` and consents again, and the job goes on")?;
    teller.say("(the same pages as in step 3)")?;
    teller.hush(true);
    person.connect(stage, teller).await?;
    teller.hush(false);
    job.fetch(stage, 3, teller).await?;
    Ok(teller.line("\nThat is all of it. To connect the account yourself: `jeton demo --browser`.")?)
}

fn introduce(stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
    teller.line(
        "jeton keeps the OAuth tokens of third-party APIs: a person connects an account once, and jobs",
    )?;
    teller.line(
        "fetch a token that lives long enough by one call. This shows it on a broker and a provider of",
    )?;
    teller.line("their own in this process; every line is a real HTTP request. Secrets are shortened.")?;
    teller.line("")?;
    teller.say(&format!("broker    {}", place(&stage.broker)))?;
    let minutes = TOKEN_LIFE.whole_minutes();
    teller.say(&format!(
        "provider  {} (a sandbox; its tokens live {minutes} minutes, its refresh tokens work once)",
        place(&stage.provider)
    ))?;
    Ok(())
}

/// What must not be.
fn deviation(what: String) -> Error {
    Error::Demo(what)
}

fn no_url(error: url::ParseError) -> Error {
    deviation(format!("an address is none: {error}"))
}
