//! What is sent and answered of clients?

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::clients::{ClientChange, Created, Drift, NewClient, NewSecret, SecretInfo};
use crate::http::admin::times;
use crate::http::problem::Problem;
use crate::model::client::{Allow, Client, ClientKind, Location, Role};
use crate::model::delivery::{Delivery, DeliveryForm};
use crate::model::grant::{GrantType, GrantedScope};
use crate::model::resource::ResourceScope;
use crate::model::scope::Scope;
use crate::model::uri::{RedirectUri, ResourceUri};

/// A client, without its secrets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct ClientResponse {
    client_id: String,
    identifier: String,
    kind: ClientKind,
    /// What it may ask tokens by; follows from its kind, its scopes and `refresh_tokens`.
    grant_types: Vec<&'static str>,
    role: Option<Role>,
    /// The broker's, then those of its resources.
    scopes: Vec<String>,
    /// Where it may receive tokens (`app/connector`, `*` for either); null: not confined.
    allow: Option<Vec<String>>,
    resources: Vec<String>,
    redirect_uris: Vec<String>,
    #[schema(value_type = Option<Object>)]
    jwks: Option<serde_json::Value>,
    /// Null: the instance's default.
    token_lifetime_s: Option<u32>,
    refresh_tokens: bool,
    disabled: bool,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
    /// Where its credential was delivered to; only where that was done just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    delivery: Option<DeliveryResponse>,
    /// Its live secrets; only where one client is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secrets: Option<Vec<SecretResponse>>,
    /// What to think about (`unconfined`); only where it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warnings: Option<Vec<&'static str>>,
}

/// A live secret, without itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct SecretResponse {
    secret_id: Uuid,
    #[serde(serialize_with = "times::time")]
    created_at: OffsetDateTime,
}

/// Where a client's credential is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct DeliveryResponse {
    /// Which secret of which store.
    reference: String,
    /// As what it is kept.
    form: DeliveryForm,
    /// `pending` or `delivered`.
    state: &'static str,
    /// Counts the credentials delivered for this client.
    version: i64,
    secret_id: Uuid,
    /// The secret before it, which lives until nobody has used it for a day.
    previous_secret_id: Option<Uuid>,
    #[serde(serialize_with = "times::time")]
    changed_at: OffsetDateTime,
    /// What is wrong in the store, where it was looked at; null: nothing.
    drift: Option<DriftResponse>,
}

/// What is wrong in a store.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct DriftResponse {
    /// `pending`, `missing`, `foreign`, `not_live`, `outdated` or `unreadable`.
    code: &'static str,
    /// One sentence.
    detail: String,
}

/// A credential to be delivered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DeliverRequest {
    /// A reference, or a place that ends with `/` or `:`; missing: where it went before.
    pub(super) deliver_to: Option<String>,
    /// Missing: as before.
    pub(super) deliver_as: Option<DeliveryForm>,
}

/// A client just made.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::http) struct CreateClientResponse {
    #[serde(flatten)]
    client: ClientResponse,
    /// Shown this once; null for a programmatic client, and where it was delivered.
    client_secret: Option<String>,
    /// To delete the secret by.
    secret_id: Option<Uuid>,
}

/// A secret just made.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::http) struct CreateSecretResponse {
    secret_id: Uuid,
    /// Shown this once.
    client_secret: String,
}

/// A client to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateClientRequest {
    /// What people call it; unique.
    #[schema(min_length = 1, max_length = 200)]
    identifier: String,
    kind: ClientKind,
    role: Option<Role>,
    /// The broker's, and those of its resources. When missing, `openid` and `offline_access` for a programmatic client, and
    /// `binb:read` for a superadmin.
    scopes: Option<Vec<String>>,
    /// Where it may receive tokens; missing or null: not confined.
    #[schema(value_type = Option<Vec<String>>)]
    allow: Option<Vec<Location>>,
    #[schema(value_type = Option<Vec<String>>)]
    resources: Option<Vec<ResourceUri>>,
    /// Byte for byte; when missing, `http://127.0.0.1/` for a programmatic client, else none.
    #[schema(value_type = Option<Vec<String>>)]
    redirect_uris: Option<Vec<RedirectUri>>,
    #[schema(value_type = Option<Object>)]
    jwks: Option<serde_json::Value>,
    /// When missing, the instance's default.
    #[schema(minimum = 60, maximum = 86400)]
    token_lifetime_s: Option<u32>,
    refresh_tokens: Option<bool>,
    /// Where its secret goes instead of into the answer: a secret store reference, or a place that ends with `/` or `:`.
    pub(super) deliver_to: Option<String>,
    /// As a document that says by itself how to get a token, or as the pair `client-id`, `client-secret`.
    #[schema(default = "document")]
    pub(super) deliver_as: Option<DeliveryForm>,
}

/// What to change of a client; null empties what may be empty.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::http) struct ChangeClientRequest {
    #[schema(min_length = 1, max_length = 200)]
    identifier: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Role>)]
    role: Option<Option<Role>>,
    scopes: Option<Vec<String>>,
    /// Null: not confined any more.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    allow: Option<Option<Vec<Location>>>,
    #[schema(value_type = Option<Vec<String>>)]
    resources: Option<Vec<ResourceUri>>,
    #[schema(value_type = Option<Vec<String>>)]
    redirect_uris: Option<Vec<RedirectUri>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    jwks: Option<Option<serde_json::Value>>,
    /// Null: the instance's default.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    token_lifetime_s: Option<Option<u32>>,
    refresh_tokens: Option<bool>,
    disabled: Option<bool>,
}

/// Tells a null from a missing field.
pub(in crate::http::admin) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Deserialize::deserialize(deserializer).map(Some)
}

impl CreateClientRequest {
    pub(super) fn read(self) -> Result<NewClient, Problem> {
        let scope = self.scopes.as_deref().map(scopes).transpose()?;
        Ok(NewClient {
            identifier: self.identifier,
            kind: self.kind,
            role: self.role,
            resource_scopes: scope.as_ref().map(|scope| scope.of_resource.clone()).unwrap_or_default(),
            scopes: scope.map(|scope| scope.own),
            allow: Allow(self.allow),
            resources: self.resources.unwrap_or_default(),
            redirect_uris: self.redirect_uris,
            jwks: self.jwks,
            token_lifetime_s: self.token_lifetime_s,
            refresh_tokens: self.refresh_tokens.unwrap_or_default(),
        })
    }
}

impl ChangeClientRequest {
    pub(super) fn read(self) -> Result<ClientChange, Problem> {
        let scope = self.scopes.as_deref().map(scopes).transpose()?;
        Ok(ClientChange {
            identifier: self.identifier,
            role: self.role,
            resource_scopes: scope.as_ref().map(|scope| scope.of_resource.clone()),
            scopes: scope.map(|scope| scope.own),
            allow: self.allow.map(Allow),
            resources: self.resources,
            redirect_uris: self.redirect_uris,
            jwks: self.jwks,
            token_lifetime_s: self.token_lifetime_s,
            refresh_tokens: self.refresh_tokens,
            disabled: self.disabled,
        })
    }
}

fn scopes(texts: &[String]) -> Result<GrantedScope, Problem> {
    for (index, text) in texts.iter().enumerate() {
        if Scope::parse(text).is_none() && ResourceScope::parse(text).is_none() {
            return Err(Problem::invalid(&format!("/scopes/{index}"), "is no scope token (RFC 6749 §3.3)"));
        }
    }
    GrantedScope::parse(&texts.join(" "))
        .ok_or_else(|| Problem::invalid("/scopes", "is no list of scope tokens"))
}

impl From<Client> for ClientResponse {
    fn from(client: Client) -> Self {
        let grant_types = client.grant_types().map(GrantType::as_str).collect();
        let scope = client.scope().to_string();
        Self {
            client_id: client.client_id.into(),
            identifier: client.identifier,
            kind: client.kind,
            role: client.role,
            grant_types,
            scopes: scope.split_whitespace().map(str::to_owned).collect(),
            allow: client.allow.0.map(|all| all.into_iter().map(String::from).collect()),
            resources: client.resources.iter().map(|uri| uri.as_str().to_owned()).collect(),
            redirect_uris: client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            jwks: client.jwks,
            token_lifetime_s: client.token_lifetime_s,
            refresh_tokens: client.refresh_tokens,
            disabled: client.disabled,
            created_at: client.created_at,
            delivery: None,
            secrets: None,
            warnings: None,
        }
    }
}

impl From<Delivery> for DeliveryResponse {
    fn from(delivery: Delivery) -> Self {
        Self {
            reference: delivery.reference,
            form: delivery.form,
            state: delivery.state.as_str(),
            version: delivery.version,
            secret_id: delivery.secret_id,
            previous_secret_id: delivery.previous_secret_id,
            changed_at: delivery.changed_at,
            drift: None,
        }
    }
}

impl DeliveryResponse {
    pub(super) fn looked_at(delivery: Delivery, drift: &Drift) -> Self {
        let (code, detail) = match drift {
            Drift::None => return delivery.into(),
            Drift::Pending => ("pending", "the delivery is not finished: deliver it again".to_owned()),
            Drift::Missing => ("missing", "nothing is there: deliver it again".to_owned()),
            Drift::Foreign => ("foreign", "what is there is no credential of this client".to_owned()),
            Drift::NotLive => {
                ("not_live", "the secret that is there is refused: deliver it again".to_owned())
            }
            Drift::Superseded => (
                "outdated",
                "the secret that is there still works, but another one was delivered last: deliver it again"
                    .to_owned(),
            ),
            Drift::Outdated => (
                "outdated",
                "what is there says something else than the client is: deliver it again".to_owned(),
            ),
            Drift::Unreadable(error) => ("unreadable", error.to_string()),
        };
        Self { drift: Some(DriftResponse { code, detail }), ..delivery.into() }
    }
}

impl ClientResponse {
    pub(super) fn with_secrets(client: Client, secrets: &[SecretInfo]) -> Self {
        let told =
            |secret: &SecretInfo| SecretResponse { secret_id: secret.id, created_at: secret.created_at };
        Self { secrets: Some(secrets.iter().map(told).collect()), ..client.into() }
    }

    pub(super) fn delivered(self, delivery: Delivery) -> Self {
        Self { delivery: Some(delivery.into()), ..self }
    }

    pub(super) fn warned(self, warnings: Vec<&'static str>) -> Self {
        Self { warnings: Some(warnings), ..self }
    }
}

impl From<Created> for CreateClientResponse {
    fn from(created: Created) -> Self {
        let secret = created.secret.map(CreateSecretResponse::from);
        Self {
            client: ClientResponse::from(created.client).warned(created.warnings),
            secret_id: secret.as_ref().map(|secret| secret.secret_id),
            client_secret: secret.map(|secret| secret.client_secret),
        }
    }
}

impl CreateClientResponse {
    pub(super) fn delivered(self, delivery: Delivery) -> Self {
        Self { client: self.client.delivered(delivery), ..self }
    }
}

impl From<NewSecret> for CreateSecretResponse {
    #[expect(
        clippy::disallowed_methods,
        reason = "door: a client's secret is answered when it is made, once"
    )]
    fn from(made: NewSecret) -> Self {
        Self { secret_id: made.id, client_secret: made.secret.expose_secret().to_owned() }
    }
}
