//! How does a command speak to the broker, and show what it answered?

use std::io::Write;

use jeton_client::{Broker, BrokerSettings, Credential, Method};
use serde_json::Value;

use super::{Error, output};

/// How the broker may be reached.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// Allow plain http to another machine: the client secret then travels in clear
    #[arg(long, global = true)]
    allow_plain_http: bool,
}

impl Access {
    /// The broker that the environment names, or where the person signed in.
    pub(super) async fn broker(&self) -> Result<Broker, Error> {
        broker(self.settings().await?)
    }

    pub(super) fn allows_plain_http(&self) -> bool {
        self.allow_plain_http
    }

    pub(super) async fn settings(&self) -> Result<BrokerSettings, Error> {
        let read = BrokerSettings::from_env_or_login().await;
        let mut settings = read.map_err(failing("this command speaks to a broker"))?;
        settings.plain_http = self.allow_plain_http;
        // A command may end at any moment, and would lose a refresh token that was just brought.
        settings.ahead = !matches!(settings.credential, Credential::Login(_));
        Ok(settings)
    }
}

fn broker(settings: BrokerSettings) -> Result<Broker, Error> {
    Broker::new(settings).map_err(failing("cannot reach the broker"))
}

/// Arguments of each command over the admin REST.
#[derive(Debug, clap::Args)]
pub(super) struct RemoteArgs {
    #[command(flatten)]
    access: Access,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
}

impl RemoteArgs {
    pub(super) async fn connect(&self) -> Result<Remote, Error> {
        let settings = self.access.settings().await?;
        let url = settings.url.as_str().trim_end_matches('/').to_owned();
        Ok(Remote { broker: broker(settings)?, url, json: self.json })
    }
}

/// The admin REST, with the form its answers are shown in.
pub(super) struct Remote {
    broker: Broker,
    url: String,
    json: bool,
}

impl Remote {
    /// An address below the broker's.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Shows a collection.
    pub(super) async fn list(&self, doing: &str, path: &[&str], columns: &[&str]) -> Result<(), Error> {
        let items = self.items(doing, path, &[]).await?;
        self.show_items(items, columns)
    }

    /// All items of a collection.
    pub(super) async fn items(
        &self,
        doing: &str,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, Error> {
        self.broker.admin_items(path, query).await.map_err(failing(doing))
    }

    /// Shows items that are at hand.
    pub(super) fn show_items(&self, items: Vec<Value>, columns: &[&str]) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        if self.json {
            output::json(&mut out, &Value::Array(items))?;
        } else {
            output::table(&mut out, &items, columns)?;
        }
        Ok(out.flush()?)
    }

    /// Sends a call and shows its answer.
    pub(super) async fn call(&self, doing: &str, call: Call<'_>) -> Result<(), Error> {
        self.show(&self.ask(call).await.map_err(failing(doing))?)
    }

    /// Shows an answer.
    pub(super) fn show(&self, answer: &Value) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        if self.json {
            output::json(&mut out, answer)?;
        } else {
            output::record(&mut out, answer)?;
        }
        Ok(out.flush()?)
    }

    /// Whether the broker says that there is no such app or connector. Who may not ask is not told so.
    pub(super) async fn is_missing(&self, what: &str, id: &str) -> bool {
        let (collection, code) = (format!("{what}s"), format!("{what}_not_found"));
        let asked = self.ask(Call::get(&[&collection, id])).await;
        asked.is_err_and(|error| error.problem().is_some_and(|problem| problem.code == code))
    }

    /// Sends a call.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Value, jeton_client::Error> {
        self.broker.admin(call.method, call.path, &call.query, call.body.as_ref()).await
    }
}

/// One call of the admin REST.
pub(super) struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Vec<(&'a str, String)>,
    body: Option<Value>,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a [&'a str], body: Option<Value>) -> Self {
        Self { method, path, query: Vec::new(), body }
    }

    pub(super) fn get(path: &'a [&'a str]) -> Self {
        Self::new(Method::GET, path, None)
    }

    pub(super) fn post(path: &'a [&'a str], body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    pub(super) fn put(path: &'a [&'a str], body: Value) -> Self {
        Self::new(Method::PUT, path, Some(body))
    }

    pub(super) fn patch(path: &'a [&'a str], body: Value) -> Self {
        Self::new(Method::PATCH, path, Some(body))
    }

    pub(super) fn delete(path: &'a [&'a str]) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    /// Adds a parameter, where it has a value.
    pub(super) fn with(mut self, name: &'a str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }
}

/// Names what was attempted.
pub(super) fn failing(doing: impl Into<String>) -> impl FnOnce(jeton_client::Error) -> Error {
    |source| match source {
        jeton_client::Error::Settings(source) => Error::Settings(source),
        source => Error::Broker { doing: doing.into(), source },
    }
}

/// A body of those fields that were given: no nulls, no empty lists or objects.
pub(super) fn given(mut body: Value) -> Value {
    let is_given = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| is_given(value));
    }
    body
}

/// Sets `role` for `superadmin`, null for `none`; leaves the body alone otherwise.
pub(super) fn set_role(body: &mut Value, role: Option<RoleChoice>) {
    if let (Some(fields), Some(role)) = (body.as_object_mut(), role) {
        let value = match role {
            RoleChoice::Superadmin => Value::from("superadmin"),
            RoleChoice::None => Value::Null,
        };
        fields.insert("role".to_owned(), value);
    }
}

/// A role to set.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum RoleChoice {
    Superadmin,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_were_not_given_are_not_sent() {
        let body = json!({"id": "acme", "name": null, "scopes": [], "params": {}, "shared": false});
        assert_eq!(given(body), json!({"id": "acme", "shared": false}));
        let mut body = json!({});
        set_role(&mut body, None);
        assert_eq!(body, json!({}));
        set_role(&mut body, Some(RoleChoice::None));
        assert_eq!(body, json!({"role": null}));
    }
}
