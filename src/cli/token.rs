//! `jeton token`: how does a shell get a token?

use std::io::Write;

use jeton_client::{HandedToken, TokenRequest};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::remote::{Access, failing};
use super::{Error, output, span};

/// Print a live token of an app's connector
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) wanted: Wanted,
    /// Print it raw, as JSON with its terms, as a header line, or as NAME=value
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    format: Format,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Which token, and how fresh.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// The app whose token it is
    app: String,
    /// The connector it is for
    pub(super) connector: String,
    /// Which connection, where the app has several of this connector
    #[arg(long)]
    flow: Option<String>,
    /// How long it must live at least, such as 30m
    #[arg(long, value_parser = span::token_life)]
    min_ttl: Option<u32>,
    /// The API refused the token of this generation
    #[arg(long, value_name = "GENERATION")]
    rejected: Option<u64>,
    /// Seconds to wait for a refresh under way
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=30))]
    wait: Option<u32>,
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Raw,
    Json,
    Header,
    Env,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let token = args.wanted.retrieve().await?;
    let format = if args.json { Format::Json } else { args.format };
    let mut out = std::io::stdout().lock();
    write(&mut out, &token, format)?;
    Ok(out.flush()?)
}

impl Wanted {
    /// Gets the token, and says on standard error when the connection is ailing.
    pub(super) async fn retrieve(&self) -> Result<HandedToken, Error> {
        let request = TokenRequest {
            flow: self.flow.clone(),
            min_ttl_s: self.min_ttl,
            rejected: self.rejected,
            wait_s: self.wait,
        };
        let asked = self.access.broker().await?.retrieve_token(&self.app, &self.connector, &request).await;
        let doing = format!("cannot get a token of {}/{}", self.app, self.connector);
        let token = asked.map_err(failing(doing))?;
        if let Some(degraded) = &token.degraded {
            let detail = degraded.detail.as_deref().unwrap_or("the connection needs attention");
            let note = format!("jeton: the token lives, but: {detail} ({})", degraded.code);
            writeln!(std::io::stderr(), "{}", output::printable(&note)).ok();
        }
        Ok(token)
    }
}

fn write(out: &mut impl Write, token: &HandedToken, format: Format) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "printing the token is what `jeton token` is for")]
    let secret = token.access_token.expose_secret();
    match format {
        Format::Raw => writeln!(out, "{secret}")?,
        Format::Json => output::json(out, &as_json(token, secret))?,
        Format::Header => {
            let scheme =
                if token.token_type.eq_ignore_ascii_case("bearer") { "Bearer" } else { &token.token_type };
            writeln!(out, "Authorization: {}", line(&format!("{scheme} {secret}"), "a header")?)?;
        }
        Format::Env => {
            writeln!(out, "{}={}", variable_of(&token.connector), quoted(line(secret, "a variable")?))?;
        }
    }
    Ok(())
}

fn as_json(token: &HandedToken, secret: &str) -> Value {
    json!({
        "access_token": secret,
        "token_type": token.token_type,
        "expires_in": token.expires_in,
        "expires_at": token.expires_at.map(rfc3339),
        "guaranteed_until": token.guaranteed_until.map(rfc3339),
        "scope": token.scope,
        "app_id": token.app_id,
        "connector": token.connector,
        "flow": token.flow,
        "generation": token.generation,
        "refreshed": token.refreshed,
        "extra": token.extra,
        "degraded": token.degraded.as_ref().map(|degraded| {
            json!({"code": degraded.code, "since": degraded.since, "detail": degraded.detail})
        }),
    })
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// Refuses what would break out of its line.
fn line<'a>(text: &'a str, place: &'static str) -> Result<&'a str, Error> {
    if text.chars().any(char::is_control) { Err(Error::Unprintable(place)) } else { Ok(text) }
}

/// `GITHUB_APP_TOKEN` of `github-app`.
fn variable_of(connector: &str) -> String {
    let name: String = connector
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let lead = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("{lead}{name}_TOKEN")
}

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~+/=:,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &str) -> HandedToken {
        let body = json!({
            "access_token": secret, "token_type": "bearer", "expires_in": 3312,
            "expires_at": "2026-11-24T10:00:00Z", "guaranteed_until": "2026-11-24T09:59:30Z",
            "scope": "repo", "app_id": "acme", "connector": "github-app", "flow": "default", "generation": 17,
            "refreshed": true, "extra": {"instance_url": "https://x.example"},
            "degraded": {"code": "provider_unavailable", "since": "2026-11-24T09:00:00Z", "detail": null},
        });
        serde_json::from_value(body).unwrap()
    }

    fn printed(secret: &str, format: Format) -> Result<String, Error> {
        let mut out = Vec::new();
        write(&mut out, &token(secret), format)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_format_prints_the_token_its_way() {
        assert_eq!(printed("gho_x", Format::Raw).unwrap(), "gho_x\n");
        assert_eq!(printed("gho_x", Format::Header).unwrap(), "Authorization: Bearer gho_x\n");
        assert_eq!(printed("gho_x", Format::Env).unwrap(), "GITHUB_APP_TOKEN=gho_x\n");
        assert_eq!(printed("a'b$c", Format::Env).unwrap(), "GITHUB_APP_TOKEN='a'\\''b$c'\n");
    }

    #[test]
    fn the_json_repeats_the_brokers_answer() {
        let printed: Value = serde_json::from_str(&printed("gho_x", Format::Json).unwrap()).unwrap();
        assert_eq!(printed["expires_at"], "2026-11-24T10:00:00Z");
        assert_eq!(printed["guaranteed_until"], "2026-11-24T09:59:30Z");
        assert_eq!(printed["extra"]["instance_url"], "https://x.example");
        assert_eq!(printed["degraded"]["code"], "provider_unavailable");
        assert_eq!(printed.as_object().unwrap().len(), 13);
    }

    #[test]
    fn a_token_cannot_break_out_of_its_line() {
        for format in [Format::Header, Format::Env] {
            let error = printed("canary\nX-Admin: 1", format).unwrap_err();
            assert!(matches!(error, Error::Unprintable(_)));
            assert!(!error.line().contains("canary"));
        }
    }

    #[test]
    fn variables_are_named_by_the_connector() {
        assert_eq!(variable_of("github"), "GITHUB_TOKEN");
        assert_eq!(variable_of("3cx"), "_3CX_TOKEN");
    }
}
