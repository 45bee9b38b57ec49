//! What is a person told who has made or changed a client, beside the answer? A line for each, with what to do.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cli::remote::Remote;
use crate::model::grant::GrantType;
use crate::model::scope::Scope;

/// The lines: of the answer, and of the locations that were named.
pub(super) async fn lines(remote: &Remote, client: &Value, allow: &[String]) -> Vec<String> {
    let id = client.get("client_id").and_then(Value::as_str).unwrap_or("CLIENT_ID");
    let update = format!("jeton client update {id}");
    let mut told: Vec<_> = texts(client, "warnings").map(|warning| line(warning, &update)).collect();
    if is_idle(client) {
        told.push(format!(
            "the client can do nothing yet: for providers' tokens, `{update} --role superadmin --scope binb:read --allow \
             APP/CONNECTOR`"
        ));
    }
    if is_exchanging_everywhere(client) {
        told.push(format!(
            "whom it signs in, it can ask for the tokens of their accounts, in every app of theirs: confine it by `{update} \
             --allow APP/CONNECTOR`, or by `{update} --allow none` where it signs people in and no more"
        ));
    }
    let (apps, connectors): (BTreeSet<_>, BTreeSet<_>) =
        allow.iter().filter_map(|location| location.split_once('/')).unzip();
    for app in apps.into_iter().filter(|app| *app != "*") {
        if remote.is_missing("app", app).await {
            told.push(format!(
                "there is no app `{app}`: `jeton app create {app}`, or name another with `{update} --allow APP/CONNECTOR`"
            ));
        }
    }
    for connector in connectors.into_iter().filter(|connector| *connector != "*") {
        if remote.is_missing("connector", connector).await {
            told.push(format!(
                "there is no connector `{connector}`: see `jeton connector list`, and name another with `{update} --allow \
                 APP/CONNECTOR`"
            ));
        }
    }
    told.into_iter().map(|text| format!("jeton: warning: {text}")).collect()
}

/// What is wrong with a delivery, and what to do; `None`: nothing is wrong.
pub(super) fn drift(delivery: &Value) -> Option<String> {
    let word = |pointer: &str| delivery.pointer(pointer).and_then(Value::as_str);
    let (code, id) = (word("/drift/code")?, word("/client_id").unwrap_or("CLIENT_ID"));
    let reference = word("/reference").unwrap_or_default();
    let detail = word("/drift/detail").unwrap_or(code);
    let deliver = format!("jeton client deliver {id}");
    // What is unreadable says itself what to do.
    let remedy = match code {
        "pending" | "missing" | "not_live" | "outdated" => format!(": `{deliver}`"),
        "foreign" => format!(": look whose it is, and remove it there or `{deliver} --deliver-to REFERENCE`"),
        _ => String::new(),
    };
    Some(format!("jeton: `{reference}`: {detail}{remedy}"))
}

/// What a deleted client leaves in a store: its delivery as it was seen before.
pub(super) fn left(delivery: &Value) -> Option<String> {
    let reference = delivery.get("reference")?.as_str()?;
    let is = match delivery.pointer("/drift/code").and_then(Value::as_str) {
        Some("missing" | "foreign") => return None,
        Some("pending" | "unreadable") => "may be",
        _ => "is still",
    };
    let file = reference.strip_prefix("file:").map_or_else(String::new, |name| {
        format!(" (the file {name}.sealed in the server's folder of secrets)")
    });
    Some(format!(
        "jeton: warning: the client's credential, which is refused from now on, {is} at `{reference}`: remove it \
         there{file}, else that name stays taken"
    ))
}

/// A warning that this program does not know is told as it came.
fn line(warning: &str, update: &str) -> String {
    match warning {
        "unconfined" => format!(
            "the client is confined to no app: right for an administrator; for a job, `{update} --allow APP/CONNECTOR`"
        ),
        other => other.to_owned(),
    }
}

/// Whether it is a service that may do nothing: the broker's own scopes count for nothing without the role, and those
/// that speak of a person for nothing without a person.
fn is_idle(client: &Value) -> bool {
    let is = |name: &str, value: Value| client.get(name) == Some(&value);
    let counts =
        |scope: &str| !Scope::ALL.iter().any(|own| own.as_str() == scope && *own != Scope::SignupsWrite);
    is("kind", "service".into())
        && is("role", Value::Null)
        && is("disabled", false.into())
        && texts(client, "resources").next().is_none()
        && !texts(client, "scopes").any(counts)
}

/// Whether it may swap a person's sign-in for the tokens of that person's accounts, and is confined to none of them.
fn is_exchanging_everywhere(client: &Value) -> bool {
    let exchanges = texts(client, "grant_types").any(|grant| grant == GrantType::TokenExchange.as_str());
    exchanges && client.get("allow").is_some_and(Value::is_null)
}

fn texts<'a>(client: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    client.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
