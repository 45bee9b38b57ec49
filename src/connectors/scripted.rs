//! What the tests of connectors share: credentials, definitions, a connector in front of a scripted provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::{Authorize, Connector, Error, Exchange, instantiate};
use crate::model::connector::{Credentials, Definition, Grant};
use crate::model::secret::Secret;
use crate::outbound::scripted::{Scripted, Step};
use crate::outbound::{Outbound, Settings, Trust};

/// 43 characters, as ours have.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its S256 challenge (RFC 7636 appendix B).
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(super) fn credentials() -> Credentials {
    Credentials {
        client_id: "our id".to_owned(),
        client_secret: Some(Secret::new("%:+é secret")),
        previous_secret: None,
        scopes: None,
        variables: BTreeMap::new(),
    }
}

pub(super) fn outbound() -> Outbound {
    Outbound::new(&Settings { allow_loopback: true, ..Settings::default() }).unwrap()
}

/// A provider that answers by script, and a custom connector to it with `changes` in its definition.
pub(super) async fn provider(script: Vec<Step>, changes: Value) -> (Scripted, Arc<dyn Connector>) {
    let server = Scripted::start(script).await;
    let mut definition = json!({
        "id": "example", "display_name": "Example",
        "authorization_url": server.url("/authorize?tenant=7"), "token_url": server.url("/token"),
        "revocation_url": server.url("/revoke"), "probe_url": server.url("/ping"),
        "identity": {"url": server.url("/me")},
    });
    for (key, value) in changes.as_object().unwrap() {
        let at_server =
            value.as_str().filter(|path| path.starts_with('/')).map(|path| server.url(path).to_string());
        definition[key] = at_server.map_or(value.clone(), Value::from);
    }
    let definition: Definition = serde_json::from_value(definition).unwrap();
    (server, instantiate(Arc::new(definition), outbound(), Trust::Custom))
}

pub(super) fn redirect_uri() -> Url {
    "https://broker.example/connect/example/callback".parse().unwrap()
}

pub(super) async fn exchange(connector: &dyn Connector, credentials: &Credentials) -> Result<Grant, Error> {
    let (code, verifier) = (Secret::new("the code"), Secret::new(VERIFIER));
    let redirect_uri = redirect_uri();
    connector
        .exchange(&Exchange { credentials, redirect_uri: &redirect_uri, code: &code, verifier: &verifier })
        .await
}

pub(super) async fn refresh(connector: &dyn Connector, credentials: &Credentials) -> Result<Grant, Error> {
    connector.refresh(credentials, &Secret::new("old-refresh-token")).await
}

pub(super) fn authorize_url(connector: &dyn Connector, credentials: &Credentials) -> Result<Url, Error> {
    let (state, verifier) = (Secret::new("the state"), Secret::new(VERIFIER));
    let redirect_uri = redirect_uri();
    connector.authorize_url(&Authorize {
        credentials,
        redirect_uri: &redirect_uri,
        state: &state,
        verifier: &verifier,
    })
}

/// A grant as most providers answer it.
pub(super) fn granted() -> Step {
    Step::json(
        200,
        &json!({"access_token": "new", "refresh_token": "newer", "expires_in": 60, "scope": "a,b"}),
    )
}

pub(super) fn refused(status: u16, code: &str) -> Step {
    Step::json(status, &json!({ "error": code }))
}

/// Form fields as `name=value` in order.
pub(super) fn form(body: &str) -> Vec<String> {
    let mut fields: Vec<_> =
        url::form_urlencoded::parse(body.as_bytes()).map(|(name, value)| format!("{name}={value}")).collect();
    fields.sort();
    fields
}

#[expect(clippy::disallowed_methods, reason = "the test compares tokens")]
pub(super) fn text(secret: &Secret) -> &str {
    secret.expose_secret()
}
