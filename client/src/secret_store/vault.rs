//! How is a secret kept in version 2 of the key-value engine of Vault or OpenBao?
//!
//! Plain REST: two calls are not worth a library. Every write compares (`cas`), and leaves the secret's other fields as
//! they are. What is written is current at once.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use url::Url;

use super::error::{StoreError, StoreFault};
use super::reference::Reference;
use super::variables::Variables;
use super::wire::{Wire, header, json as json_of, plain, text};
use super::{Expected, SecretStore, Stored, Version};
use crate::broker::{Answer, join};
use crate::secret::Secret;

const CHECK: &str = "BAO_ADDR or VAULT_ADDR";
const CA: &str = "BAO_CACERT or VAULT_CACERT, which names a PEM file of its CA";
const WHO: &str = "set BAO_TOKEN or VAULT_TOKEN (or its _FILE twin), or VAULT_ROLE_ID and VAULT_SECRET_ID";

#[derive(Debug)]
pub(super) struct Store {
    reference: Reference,
    mount: String,
    path: String,
    field: String,
    /// A secret that has fields, and not this one, is not touched.
    own: bool,
    address: Url,
    namespace: Option<String>,
    login: Login,
    token: OnceCell<Secret>,
    wire: Wire,
}

#[derive(Debug)]
enum Login {
    Token(Secret),
    AppRole { role_id: String, secret_id: Secret },
}

/// All fields of a secret, and their version.
struct Fields {
    fields: Map<String, Value>,
    version: u64,
}

impl Store {
    pub(super) fn new(
        reference: &Reference,
        [mount, path, field]: [&str; 3],
        variables: &Variables,
    ) -> Result<Self, StoreFault> {
        let unset =
            || StoreFault::Unfit("set BAO_ADDR or VAULT_ADDR to the address of the server".to_owned());
        let address = variables.url(&["BAO_ADDR", "VAULT_ADDR"])?.ok_or_else(unset)?;
        let token = match variables.secret("BAO_TOKEN")? {
            Some(token) => Some(token),
            None => variables.secret("VAULT_TOKEN")?,
        };
        let role = variables.first(&["BAO_ROLE_ID", "VAULT_ROLE_ID"]);
        let login = match (token, role) {
            (Some(token), _) => Login::Token(token),
            (None, Some(role_id)) => {
                let secret_id = match variables.secret("BAO_SECRET_ID")? {
                    Some(secret_id) => Some(secret_id),
                    None => variables.secret("VAULT_SECRET_ID")?,
                };
                Login::AppRole { role_id, secret_id: secret_id.ok_or(StoreFault::Unauthenticated(WHO))? }
            }
            (None, None) => return Err(StoreFault::Unauthenticated(WHO)),
        };
        Ok(Self {
            reference: reference.clone(),
            mount: mount.to_owned(),
            path: path.to_owned(),
            field: field.to_owned(),
            own: false,
            address,
            namespace: variables.first(&["BAO_NAMESPACE", "VAULT_NAMESPACE"]),
            login,
            token: OnceCell::new(),
            wire: wire(variables)?,
        })
    }

    pub(super) fn own(self, own: bool) -> Self {
        Self { own, ..self }
    }

    async fn token(&self) -> Result<&Secret, StoreFault> {
        let Login::AppRole { role_id, secret_id } = &self.login else {
            return match &self.login {
                Login::Token(token) => Ok(token),
                Login::AppRole { .. } => Err(StoreFault::Unauthenticated(WHO)),
            };
        };
        let sign_in = async || {
            let url = self.url(&["auth", "approle", "login"])?;
            let body = json!({"role_id": role_id, "secret_id": plain(secret_id)});
            let made = |http: &reqwest::Client| Ok(self.in_namespace(http.post(url.clone()).json(&body)));
            let answer = self.wire.send(&url, made, is_throttled).await?;
            let token =
                json_of(&answer).ok().and_then(|body| text(&body, "/auth/client_token").map(Secret::new));
            match (answer.status, token) {
                (200, Some(token)) => Ok(token),
                (400 | 403, _) => {
                    Err(StoreFault::Unauthenticated("its VAULT_ROLE_ID and VAULT_SECRET_ID are refused"))
                }
                _ => Err(self.refusal(&answer, "update")),
            }
        };
        self.token.get_or_try_init(sign_in).await
    }

    fn url(&self, segments: &[&str]) -> Result<Url, StoreFault> {
        let all: Vec<_> = ["v1"].into_iter().chain(segments.iter().copied()).collect();
        join(&self.address, &all).map_err(|_| StoreFault::Garbled)
    }

    fn secret_url(&self) -> Result<Url, StoreFault> {
        let all: Vec<_> = [self.mount.as_str(), "data"].into_iter().chain(self.path.split('/')).collect();
        self.url(&all)
    }

    fn in_namespace(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.namespace {
            Some(namespace) => request.header("x-vault-namespace", namespace),
            None => request,
        }
    }

    async fn call(
        &self,
        url: &Url,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Answer, StoreFault> {
        let (name, value) = header("x-vault-token", "", self.token().await?)?;
        let made =
            |http: &reqwest::Client| Ok(self.in_namespace(request(http)).header(name.clone(), value.clone()));
        self.wire.send(url, made, is_throttled).await
    }

    /// The secret as it is; none where nothing is.
    async fn fields(&self, version: Option<&str>) -> Result<Option<Fields>, StoreFault> {
        let mut url = self.secret_url()?;
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("version", version);
        }
        let answer = self.call(&url, |http| http.get(url.clone())).await?;
        let body = json_of(&answer);
        match answer.status {
            200 => {
                let body = body?;
                let fields =
                    body.pointer("/data/data").and_then(Value::as_object).ok_or(StoreFault::Garbled)?;
                let version = body.pointer("/data/metadata/version").and_then(Value::as_u64);
                Ok(Some(Fields { fields: fields.clone(), version: version.ok_or(StoreFault::Garbled)? }))
            }
            404 if errors(&answer).contains("no handler for route") => Err(self.unmounted()),
            404 if body.is_ok_and(|body| body.pointer("/data/metadata").is_some()) => {
                Err(StoreFault::Deleted)
            }
            404 => Ok(None),
            _ => Err(self.refusal(&answer, "read")),
        }
    }

    fn stored(&self, all: &Fields) -> Result<Option<Stored>, StoreFault> {
        let Some(value) = all.fields.get(&self.field) else {
            return if self.own && !all.fields.is_empty() { Err(StoreFault::Shared) } else { Ok(None) };
        };
        let value = match value {
            Value::String(text) => Secret::new(text.as_str()),
            // `bao kv put` of JSON keeps an object.
            Value::Object(_) => Secret::new(value.to_string()),
            _ => return Err(StoreFault::Malformed("is no text in this field")),
        };
        Ok(Some(Stored { value, version: Version(all.version.to_string()) }))
    }

    /// Writes all fields where `version` is still current; 0 where nothing is.
    async fn write(&self, fields: &Map<String, Value>, version: u64) -> Result<u64, StoreFault> {
        let url = self.secret_url()?;
        let body = json!({"options": {"cas": version}, "data": fields});
        let answer = self.call(&url, |http| http.post(url.clone()).json(&body)).await?;
        match answer.status {
            200 => {
                let written = json_of(&answer)?.pointer("/data/version").and_then(Value::as_u64);
                written.ok_or(StoreFault::Garbled)
            }
            400 if errors(&answer).contains("check-and-set") && version == 0 => Err(StoreFault::Exists),
            400 if errors(&answer).contains("check-and-set") => Err(StoreFault::Changed),
            404 => Err(self.unmounted()),
            _ => Err(self.refusal(&answer, "create and update")),
        }
    }

    fn unmounted(&self) -> StoreFault {
        StoreFault::Unfit(format!("no key-value engine is mounted at `{}`: mend the reference", self.mount))
    }

    async fn replace(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreFault> {
        let before = self.fields(None).await?;
        let field = before.as_ref().map(|all| self.stored(all)).transpose()?.flatten();
        match (expected, &field) {
            (Expected::Absent, None) => {}
            (Expected::Absent, Some(_)) => return Err(StoreFault::Exists),
            (Expected::Version(seen), Some(stored)) if *seen == stored.version => {}
            (Expected::Version(_), _) => return Err(StoreFault::Changed),
        }
        let (mut fields, version) = before.map_or_else(Default::default, |all| (all.fields, all.version));
        fields.insert(self.field.clone(), plain(value).into());
        self.write(&fields, version).await.map(|version| Version(version.to_string()))
    }

    async fn remove(&self) -> Result<(), StoreFault> {
        let Some(mut all) = self.fields(None).await? else { return Ok(()) };
        all.fields.remove(&self.field);
        if !all.fields.is_empty() {
            return self.write(&all.fields, all.version).await.map(|_| ());
        }
        let url = self.secret_url()?;
        let answer = self.call(&url, |http| http.delete(url.clone())).await?;
        if answer.status == 204 { Ok(()) } else { Err(self.refusal(&answer, "delete")) }
    }

    fn refusal(&self, answer: &Answer, right: &str) -> StoreFault {
        match answer.status {
            403 => StoreFault::Denied(format!(
                "allow `{right}` on `{}/data/{}` to the policy of its token, or get it a new one where that has ended",
                self.mount, self.path
            )),
            429 => StoreFault::Throttled,
            503 if errors(answer).contains("sealed") => StoreFault::Sealed,
            status => StoreFault::refused(status, None),
        }
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn get(&self) -> Result<Option<Stored>, StoreError> {
        let all = self.fields(None).await.map_err(|fault| fault.at(&self.reference))?;
        let found = all.as_ref().map(|all| self.stored(all)).transpose();
        Ok(found.map_err(|fault| fault.at(&self.reference))?.flatten())
    }

    async fn put(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreError> {
        self.replace(value, expected).await.map_err(|fault| fault.at(&self.reference))
    }

    async fn read_back(&self, version: &Version) -> Result<Option<Secret>, StoreError> {
        let all = self.fields(Some(&version.0)).await.map_err(|fault| fault.at(&self.reference))?;
        let found = all.as_ref().map(|all| self.stored(all)).transpose();
        Ok(found.map_err(|fault| fault.at(&self.reference))?.flatten().map(|stored| stored.value))
    }

    async fn activate(&self, _version: &Version, _expected: &Expected) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete(&self) -> Result<(), StoreError> {
        self.remove().await.map_err(|fault| fault.at(&self.reference))
    }

    fn reference(&self) -> &Reference {
        &self.reference
    }
}

/// With the CA of its own that a server inside a cluster usually has.
fn wire(variables: &Variables) -> Result<Wire, StoreFault> {
    let wire = match variables.authorities(&["BAO_CACERT", "VAULT_CACERT"])? {
        Some((pem, unfit)) => Wire::trusting(&pem, CHECK).ok_or(unfit)?,
        None => Wire::new(CHECK)?,
    };
    Ok(wire.naming(CA))
}

fn is_throttled(answer: &Answer) -> bool {
    answer.status == 429
}

/// What the server says, to look for words in; never repeated.
fn errors(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).to_lowercase()
}
