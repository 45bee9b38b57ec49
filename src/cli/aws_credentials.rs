//! `jeton aws-credentials`: how does a person's script get AWS keys that end by themselves?
//!
//! Made for `credential_process` in `~/.aws/config`: standard output holds its JSON and nothing else.

use std::io::Write;

use jeton_client::{AssumeRole, AwsKeys};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::remote::{Access, failing};
use super::{Error, login, output, span};

/// Print AWS keys of a role, as a credential_process does
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The role; its trust policy names this broker
    #[arg(long, value_name = "ARN", value_parser = role)]
    role_arn: String,
    /// How long the keys live, from 15m to 12h
    #[arg(long, default_value = "1h", value_parser = duration)]
    duration: u32,
    /// What CloudTrail calls the session
    #[arg(long, value_name = "NAME", default_value = "jeton", value_parser = session)]
    session_name: String,
    /// Where AWS STS is, for a region of its own or an emulator
    #[arg(
        long,
        value_name = "URL",
        env = "AWS_ENDPOINT_URL_STS",
        default_value = "https://sts.amazonaws.com/"
    )]
    endpoint_url: Url,
    /// The broker; if not given, the only one where somebody signed in here
    #[arg(long, env = "JETON_URL")]
    url: Option<String>,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let doing = "cannot get AWS keys";
    let person = login::Person::find(args.url.as_deref(), &args.access)?;
    let id_token = person.broker.fresh_id_token().await.map_err(failing(doing))?;
    let asked = AssumeRole {
        endpoint: args.endpoint_url,
        role_arn: args.role_arn,
        session_name: args.session_name,
        duration_s: args.duration,
        plain_http: args.access.allows_plain_http(),
    };
    let keys = asked.keys(&id_token).await.map_err(failing(doing))?;
    let mut out = std::io::stdout().lock();
    output::json(&mut out, &as_json(&keys))?;
    Ok(out.flush()?)
}

#[expect(clippy::disallowed_methods, reason = "printing the keys is what a credential_process is for")]
fn as_json(keys: &AwsKeys) -> Value {
    json!({
        "Version": 1,
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key.expose_secret(),
        "SessionToken": keys.session_token.expose_secret(),
        "Expiration": keys.expiration.format(&Rfc3339).unwrap_or_default(),
    })
}

fn role(text: &str) -> Result<String, String> {
    let good = text.starts_with("arn:") && (20..=2048).contains(&text.len()) && text.contains(":role/");
    if good {
        Ok(text.to_owned())
    } else {
        Err("write it like arn:aws:iam::123456789012:role/NAME".to_owned())
    }
}

fn session(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let fits = (2..=64).contains(&text.len()) && text.chars().all(good);
    if fits { Ok(text.to_owned()) } else { Err("2 to 64 letters, digits and any of _+=,.@-".to_owned()) }
}

fn duration(text: &str) -> Result<u32, String> {
    match span::seconds(text)? {
        life @ 900..=43_200 => Ok(life),
        _ => Err("must be from 15m to 12h".to_owned()),
    }
}
