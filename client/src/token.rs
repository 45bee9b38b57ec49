//! What does a job ask for when it wants a token, and what does it get?

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::broker::{Broker, Call};
use crate::error::Error;
use crate::secret::Secret;

/// What the caller wants of a token; the default is best effort on the only flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// Which connection, when the app has several of this connector.
    pub flow: Option<String>,
    /// Seconds that must remain: met, or an error.
    pub min_ttl_s: Option<u32>,
    /// "The API refused the token of this generation."
    pub rejected: Option<u64>,
    /// Seconds to wait for a refresh under way.
    pub wait_s: Option<u32>,
}

impl TokenRequest {
    fn query(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("flow", self.flow.clone()),
            ("min_ttl", self.min_ttl_s.map(|s| s.to_string())),
            ("rejected", self.rejected.map(|g| g.to_string())),
            ("wait", self.wait_s.map(|s| s.to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A provider's token as handed out. `Debug` does not print the token.
#[derive(Clone, Debug, Deserialize)]
pub struct HandedToken {
    /// The token to send to the API.
    pub access_token: Secret,
    /// How to send it, usually `Bearer`.
    pub token_type: String,
    /// Seconds left, none when no expiry is known.
    pub expires_in: Option<i64>,
    /// When it expires.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Until when the broker promises it works.
    #[serde(with = "time::serde::rfc3339::option")]
    pub guaranteed_until: Option<OffsetDateTime>,
    /// Scopes granted, separated by spaces.
    pub scope: Option<String>,
    /// Whose token it is.
    pub app_id: String,
    /// For which API.
    pub connector: String,
    /// Which of the app's connections.
    pub flow: String,
    /// Counts the token sets of the connection; repeat it in [`TokenRequest::rejected`].
    pub generation: u64,
    /// Whether this call had it refreshed.
    pub refreshed: bool,
    /// Further fields of the provider's answer, such as `instance_url`.
    #[serde(default)]
    pub extra: Map<String, Value>,
    /// Set when something is wrong though the token lives.
    pub degraded: Option<Degraded>,
}

/// Why a living token is the last for now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Degraded {
    /// Stable name, such as `provider_unavailable`.
    pub code: String,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// One sentence for people.
    pub detail: Option<String>,
}

/// The state of a connection, without its token.
#[derive(Clone, Debug, Deserialize)]
pub struct ConnectionStatus {
    /// Whose connection.
    pub app_id: String,
    /// To which API.
    pub connector: String,
    /// Which of the app's connections.
    pub flow: String,
    /// `active`, `misconfigured`, `reauthorization_required` or `revoked`.
    pub state: String,
    /// Why it is not active.
    pub reason: Option<String>,
    /// Since when it is in this state.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// The generation of the current token set.
    pub generation: Option<u64>,
    /// When the current token expires.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The account at the provider.
    pub account: Option<Value>,
    /// Who connected it.
    pub connected_by: Option<Value>,
    /// When it was last refreshed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_refresh_at: Option<OffsetDateTime>,
    /// The last failure.
    pub last_error: Option<LastError>,
}

/// The last failure of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LastError {
    /// Stable name.
    pub code: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Broker {
    /// Gets a token of the app for the connector.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn retrieve_token(
        &self,
        app: &str,
        connector: &str,
        request: &TokenRequest,
    ) -> Result<HandedToken, Error> {
        let path = [app, connector, "binb-token"];
        let answer = self.send(&Call::get(&path, &request.query())).await?;
        answer.parse("binb-token")
    }

    /// The state of a connection; spends nothing.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn status(
        &self,
        app: &str,
        connector: &str,
        flow: Option<&str>,
    ) -> Result<ConnectionStatus, Error> {
        let query: Vec<_> = flow.map(|flow| ("flow", flow.to_owned())).into_iter().collect();
        let answer = self.send(&Call::get(&[app, connector, "status"], &query)).await?;
        answer.parse("status")
    }
}
