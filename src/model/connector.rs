//! A connector: one kind of third-party API, described as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::Duration;
use url::Url;

mod exchange;
mod id;
mod template;
mod validate;
mod variables;

pub use self::exchange::{Account, Credentials, Grant};
pub use self::id::ConnectorId;
pub use self::validate::{Rules, Violation, is_token_field};

/// Proof Key for Code Exchange (RFC 7636).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Pkce {
    /// Always sent.
    #[default]
    S256,
    /// The provider chokes on it.
    #[serde(rename = "none")]
    None,
}

/// How the client authenticates at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Post,
    /// HTTP Basic.
    Basic,
    /// A public client: `client_id` alone.
    None,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

/// What a refresh does at this provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Refresh {
    /// Whether refresh tokens are used; null: if one came.
    pub supported: Option<bool>,
    /// Whether a refresh spends the refresh token; null: until an answer came without a new one.
    pub rotates: Option<bool>,
    /// Whether a refresh kills the old access token at once.
    pub kills_access_token: bool,
    /// Seconds a spent refresh token still works.
    pub grace_s: u32,
    /// Days of disuse after which a refresh token dies.
    pub idle_days: Option<u32>,
    /// Days after which a refresh token dies whatever happens.
    pub absolute_days: Option<u32>,
    /// Extra parameters of the refresh request.
    pub params: BTreeMap<String, String>,
}

/// Where to ask whose account a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Asked with the access token as bearer.
    #[schema(value_type = String)]
    pub url: String,
    /// JSON pointer to the account's stable id.
    #[serde(default = "default_identity_id")]
    pub id: String,
    /// JSON pointer to what people call it.
    #[serde(default = "default_identity_label")]
    pub label: String,
}

fn default_identity_id() -> String {
    "/sub".to_owned()
}

fn default_identity_label() -> String {
    "/email".to_owned()
}

/// A connector as data: the same keys in JSON (REST) and TOML (`catalog/`). URLs may hold `{variable}`s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Slug, at most 40 bytes.
    #[schema(value_type = String)]
    pub id: ConnectorId,
    /// What people call it.
    pub display_name: String,
    /// Where the browser is sent.
    pub authorization_url: String,
    /// Where codes and refresh tokens go.
    pub token_url: String,
    /// Asked for when the credentials name none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Between scopes in requests.
    #[serde(default = "default_separator")]
    pub scope_separator: String,
    /// Other names of the URL segment, matched without regard to case.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Proof key.
    #[serde(default)]
    pub pkce: Pkce,
    /// Client authentication.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// How token requests are written.
    #[serde(default = "default_token_format")]
    pub token_format: Format,
    /// How token answers are written.
    #[serde(default = "default_response_format")]
    pub response_format: Format,
    /// Extra parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Extra parameters of the code exchange.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// Refresh policy.
    #[serde(default)]
    pub refresh: Refresh,
    /// Seconds an access token lives where answers don't say.
    #[serde(default)]
    pub access_token_lifetime_s: Option<u32>,
    /// Asked once (RFC 7662) where an answer names no lifetime.
    #[serde(default)]
    pub introspection_url: Option<String>,
    /// Error codes beside `invalid_grant` and `bad_refresh_token` that need a new consent.
    #[serde(default)]
    pub reauthorize_errors: Vec<String>,
    /// Checked against `iss` of the authorization response (RFC 9207).
    #[serde(default)]
    pub issuer: Option<String>,
    /// Revocation endpoint (RFC 7009).
    #[serde(default)]
    pub revocation_url: Option<String>,
    /// Whether a revocation ends all grants of the account with this client, not the token's own alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revokes_all_grants: bool,
    /// Whose account a token belongs to.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// A cheap call that proves a token works.
    #[serde(default)]
    pub probe_url: Option<String>,
    /// Fields of a token answer that are kept and handed out as `extra`.
    #[serde(default)]
    pub extra_fields: Vec<String>,
    /// Variables of the URLs, each with the regular expression its value must match.
    #[serde(default)]
    pub url_variables: BTreeMap<String, String>,
    /// Live tokens a provider allows per account before the oldest dies.
    #[serde(default)]
    pub max_tokens_per_account: Option<u32>,
    /// Whether a flow may begin at the provider, at our `install_uri`.
    #[serde(default)]
    pub starts_at_provider: bool,
    /// Where the API itself is.
    #[serde(default)]
    pub api_base_url: Option<String>,
    /// For people.
    #[serde(default)]
    pub docs_url: Option<String>,
}

fn default_separator() -> String {
    " ".to_owned()
}

fn default_token_format() -> Format {
    Format::Form
}

fn default_response_format() -> Format {
    Format::Json
}

impl Definition {
    /// Scheme, host and port of the token endpoint: what secrets are bound to. Variables stay as they are
    /// written, so a definition with a variable host has one origin.
    pub fn token_origin(&self) -> String {
        origin_of(&self.token_url)
    }

    /// The same with the variables filled in: where a call goes. `None` where one has no value.
    pub fn called_origin(&self, variables: &BTreeMap<String, String>) -> Option<String> {
        Some(fill(&self.token_url, variables).ok()?.origin().ascii_serialization())
    }

    /// Every address the connector calls or sends people to, to be moved elsewhere; `docs_url` stays.
    pub fn addresses_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [
            &mut self.introspection_url,
            &mut self.issuer,
            &mut self.revocation_url,
            &mut self.probe_url,
            &mut self.api_base_url,
        ];
        [&mut self.authorization_url, &mut self.token_url]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(self.identity.as_mut().map(|identity| &mut identity.url))
    }

    /// Whether `name` calls this connector, by id or alias, without regard to case.
    pub fn is_called(&self, name: &str) -> bool {
        self.id.as_str().eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// The policy the keeper goes by.
    pub fn policy(&self) -> Policy {
        Policy {
            refreshes: self.refresh.supported.unwrap_or(true),
            rotates: self.refresh.rotates,
            kills_access_token: self.refresh.kills_access_token,
            lifetime: self.access_token_lifetime_s.map(|s| Duration::seconds(i64::from(s))),
            idle: self.refresh.idle_days.map(|days| Duration::days(i64::from(days))),
            absolute: self.refresh.absolute_days.map(|days| Duration::days(i64::from(days))),
            probeable: self.probe_url.is_some() || self.identity.is_some(),
        }
    }
}

/// Scheme and authority of a URL template; the whole text where there is no authority.
pub fn origin_of(template: &str) -> String {
    let Some((scheme, rest)) = template.split_once("://") else { return template.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase())
}

/// What the keeper needs to know of a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether a refresh token is used where there is one.
    pub refreshes: bool,
    /// Whether a refresh spends the refresh token; `None`: not known yet.
    pub rotates: Option<bool>,
    /// Whether a refresh kills the old access token.
    pub kills_access_token: bool,
    /// Lifetime of an access token by definition.
    pub lifetime: Option<Duration>,
    /// Disuse after which a refresh token dies.
    pub idle: Option<Duration>,
    /// Life of a grant, whatever happens.
    pub absolute: Option<Duration>,
    /// Whether the provider can be asked if a token still works.
    pub probeable: bool,
}

/// The address of an absolute `http(s)` URL template after filling in variables.
///
/// # Errors
/// A sentence naming what is missing or wrong.
pub fn fill(template: &str, variables: &BTreeMap<String, String>) -> Result<Url, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| format!("`{template}` has an open brace"))?;
        let value = variables.get(name).ok_or_else(|| format!("variable `{name}` has no value"))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = tail;
    }
    filled.push_str(rest);
    Url::parse(&filled).map_err(|error| format!("`{template}` gives no address: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_scheme_host_and_port() {
        assert_eq!(origin_of("https://API.example.com:8443/token?x=1"), "https://api.example.com:8443");
    }

    #[test]
    fn variables_are_filled_or_named() {
        let values = BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]);
        let url = fill("https://{tenant}.example.com/token", &values).unwrap();
        assert_eq!(url.as_str(), "https://acme.example.com/token");
        assert!(fill("https://{other}.example.com/", &values).unwrap_err().contains("`other`"));
    }

    #[test]
    fn four_keys_make_a_definition() {
        let definition: Definition = serde_json::from_str(
            r#"{"id":"Example","display_name":"Example","authorization_url":"https://a/x","token_url":"https://a/t"}"#,
        )
        .unwrap();
        assert_eq!(definition.pkce, Pkce::S256);
        assert_eq!(definition.token_auth, TokenAuth::Post);
        assert!(definition.policy().refreshes && definition.policy().rotates.is_none());
    }
}
