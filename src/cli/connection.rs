//! `jeton connection`: which accounts are connected, and which need somebody's attention?

mod import;

use clap::Subcommand;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::output::tell;
use super::remote::{Call, Remote, RemoteArgs, failing};
use super::{Error, span};
use crate::model::connection::{RATE_LIMITED, UNAVAILABLE};
use crate::model::time::{Clock, SystemClock};

/// Connections: an account's grant to an app
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The app
    app: String,
    /// The connector
    connector: String,
    /// Which connection, where the app has several of this connector
    #[arg(long)]
    flow: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the connections of all apps
    List(Filter),
    /// Show one connection
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Take over tokens that were got elsewhere
    Import(import::Args),
    /// Let clients of service providers exchange for it
    Share {
        #[command(flatten)]
        which: Which,
    },
    /// Stop sharing it
    Unshare {
        #[command(flatten)]
        which: Which,
    },
    /// List the token sets that are kept
    Generations {
        #[command(flatten)]
        which: Which,
    },
    /// Make a token set current again that was never refreshed: undo of a new consent or an import; the current one stays
    Restore {
        #[command(flatten)]
        which: Which,
        /// Which, as `generations` lists them
        generation: i64,
    },
    /// Refresh it now
    Refresh {
        #[command(flatten)]
        which: Which,
        /// Only where this generation is still current; without it: the one that is
        #[arg(long)]
        generation: Option<i64>,
    },
    /// Delete it, and revoke it at the provider
    Delete {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Only those in this state
    #[arg(long, value_parser = ["active", "misconfigured", "reauthorization_required", "revoked"])]
    state: Option<String>,
    /// Only those of this connector
    #[arg(long)]
    connector: Option<String>,
    /// Only those of this app
    #[arg(long)]
    app: Option<String>,
    /// Only those whose token expires before a time, or within a span such as 12h
    #[arg(long, value_name = "TIME|SPAN", value_parser = moment)]
    expires_before: Option<String>,
    /// Only those that wait for a person; exit code 78 when there are any
    #[arg(long, conflicts_with = "state")]
    needs_attention: bool,
}

const COLUMNS: [&str; 10] = [
    "app_id",
    "connector",
    "flow",
    "state",
    "reason",
    "since",
    "generation",
    "expires_at",
    "account",
    "shared",
];

/// Of those that wait for a person.
const ATTENTION: [&str; 8] =
    ["app_id", "connector", "flow", "state", "reason", "since", "account", "what_to_do"];
const GENERATION_COLUMNS: [&str; 9] = [
    "generation",
    "created_at",
    "superseded_at",
    "expires_at",
    "current",
    "spent",
    "restorable",
    "account",
    "connected_by",
];

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::List(filter) => list(&remote, filter).await,
        Verb::Show { which } => which.call(&remote, "show", |path| Call::get(path)).await,
        Verb::Import(args) => import::run(&remote, args).await,
        Verb::Share { which } => {
            which.call(&remote, "share", |path| Call::patch(path, json!({"shared": true}))).await
        }
        Verb::Unshare { which } => {
            which.call(&remote, "stop sharing", |path| Call::patch(path, json!({"shared": false}))).await
        }
        Verb::Generations { which } => which.generations(&remote).await,
        Verb::Restore { which, generation } => which.restore(&remote, generation).await,
        Verb::Refresh { which, generation } => which.refresh(&remote, generation).await,
        Verb::Delete { which } => which.call(&remote, "delete", |path| Call::delete(path)).await,
    }
}

impl Which {
    async fn call(
        &self,
        remote: &Remote,
        verb: &str,
        call: impl for<'a> FnOnce(&'a [&'a str]) -> Call<'a>,
    ) -> Result<(), Error> {
        remote.call(&self.doing(verb), call(&self.path()).with("flow", self.flow.clone())).await
    }

    fn path(&self) -> [&str; 4] {
        ["apps", &self.app, "connections", &self.connector]
    }

    fn doing(&self, verb: &str) -> String {
        format!("cannot {verb} the connection {}/{}", self.app, self.connector)
    }

    async fn generations(&self, remote: &Remote) -> Result<(), Error> {
        let [apps, app, connections, connector] = self.path();
        let path = [apps, app, connections, connector, "generations"];
        let query: Vec<_> = self.flow.iter().map(|flow| ("flow", flow.clone())).collect();
        let items = remote.items(&self.doing("list the generations of"), &path, &query).await?;
        remote.show_items(items, &GENERATION_COLUMNS)
    }

    async fn restore(&self, remote: &Remote, generation: i64) -> Result<(), Error> {
        let [apps, app, connections, connector] = self.path();
        let name = generation.to_string();
        let path = [apps, app, connections, connector, "generations", &name, "restore"];
        let call = Call::post(&path, json!({})).with("flow", self.flow.clone());
        let answer = remote.ask(call).await.map_err(failing(self.doing("restore")))?;
        remote.show(&answer)?;
        // What was put back is current under the number after all others.
        if answer.get("generation").and_then(Value::as_i64) == Some(generation) {
            tell(&format!("jeton: generation {generation} is the current one; nothing was changed"));
        }
        Ok(())
    }

    async fn refresh(&self, remote: &Remote, generation: Option<i64>) -> Result<(), Error> {
        let doing = self.doing("refresh");
        let [apps, app, connections, connector] = self.path();
        let generation = match generation {
            Some(generation) => json!(generation),
            None => {
                let path = self.path();
                let seen = remote.ask(Call::get(&path).with("flow", self.flow.clone())).await;
                let seen = seen.map_err(failing(doing.as_str()))?;
                seen.get("generation").cloned().unwrap_or_default()
            }
        };
        let path = [apps, app, connections, connector, "refresh"];
        let call = Call::post(&path, json!({ "generation": generation })).with("flow", self.flow.clone());
        remote.call(&doing, call).await
    }
}

async fn list(remote: &Remote, filter: Filter) -> Result<(), Error> {
    let mut items: Vec<Value> = Vec::new();
    if filter.needs_attention {
        for state in ["reauthorization_required", "misconfigured"] {
            items.extend(some(remote, &filter, Some(state), filter.expires_before.clone()).await?);
        }
        // A time of today has an RFC 3339 form.
        let now = at_seconds(SystemClock.now()).ok();
        let dead = some(remote, &filter, Some("active"), now).await?;
        items.extend(dead.into_iter().filter(is_stuck));
    } else {
        items = some(remote, &filter, filter.state.as_deref(), filter.expires_before.clone()).await?;
    }
    let count = items.len();
    if let (0, Some(app)) = (count, &filter.app)
        && remote.is_missing("app", app).await
    {
        tell(&format!("jeton: warning: there is no app `{app}`: see `jeton app list`"));
    }
    if filter.needs_attention {
        items.iter_mut().for_each(|item| advise(remote, item));
        remote.show_items(items, &ATTENTION)?;
    } else {
        remote.show_items(items, &COLUMNS)?;
    }
    if filter.needs_attention && count > 0 { Err(Error::NeedAttention(count)) } else { Ok(()) }
}

async fn some(
    remote: &Remote,
    filter: &Filter,
    state: Option<&str>,
    expires_before: Option<String>,
) -> Result<Vec<Value>, Error> {
    let pairs = [
        ("state", state.map(str::to_owned)),
        ("connector", filter.connector.clone()),
        ("app_id", filter.app.clone()),
        ("expires_before", expires_before),
    ];
    let query: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    remote.items("cannot list the connections", &["connections"], &query).await
}

/// Whether a connection whose token is dead waits for somebody, though it is not parked: its last error is none
/// of those that pass by themselves.
fn is_stuck(item: &Value) -> bool {
    let code = item.pointer("/last_error/code").and_then(Value::as_str);
    code.is_some_and(|code| code != UNAVAILABLE && code != RATE_LIMITED)
}

/// Says of a connection that waits for a person what that person does.
fn advise(remote: &Remote, item: &mut Value) {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let (app, connector, flow) = (text("app_id"), text("connector"), text("flow"));
    let error = item.pointer("/last_error/code").and_then(Value::as_str).unwrap_or_default();
    let advice = match (text("state"), error) {
        ("misconfigured", "origin_changed") => {
            format!("confirm where {connector} moved: store its definition again with `confirm_origin`")
        }
        ("active", "credentials_missing") => {
            format!("store our client there: {}", set_credentials(connector, app))
        }
        ("misconfigured" | "active", _) => {
            format!("correct our client there: {}", set_credentials(connector, app))
        }
        _ => {
            let flow = if flow == "default" { String::new() } else { format!("?flow={flow}") };
            format!("a member connects it again: {}", remote.at(&format!("/{app}/{connector}/signup{flow}")))
        }
    };
    if let Some(fields) = item.as_object_mut() {
        fields.insert("what_to_do".to_owned(), advice.into());
    }
}

fn set_credentials(connector: &str, app: &str) -> String {
    format!(
        "jeton credentials set {connector} --client-id ID --client-secret-file FILE (and --app {app}, where it has a \
         client of its own)"
    )
}

/// A time as it is sent: as given, or a span from now.
fn moment(text: &str) -> Result<String, String> {
    if OffsetDateTime::parse(text, &Rfc3339).is_ok() {
        return Ok(text.to_owned());
    }
    let span =
        span::seconds(text).map_err(|_| "write a time like 2026-11-24T10:00:00Z or a span like 12h")?;
    at_seconds(SystemClock.now() + Duration::seconds(span.into()))
}

fn at_seconds(at: OffsetDateTime) -> Result<String, String> {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_from_now() {
        assert_eq!(moment("2026-11-24T10:00:00Z").unwrap(), "2026-11-24T10:00:00Z");
        let at = OffsetDateTime::parse(&moment("12h").unwrap(), &Rfc3339).unwrap();
        assert!((at - SystemClock.now() - Duration::hours(12)).abs() < Duration::minutes(1));
        assert!(moment("tonight").is_err());
    }
}
