//! How is a secret kept in Azure Key Vault?
//!
//! Plain REST. The service compares nothing when it writes and overwrites nothing either: each write is a new version,
//! current at once. So the versions are listed before and after, and whoever finds somebody else's among them is told.

mod bearer;

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use self::bearer::Bearer;
use super::error::{StoreError, StoreFault};
use super::reference::Reference;
use super::variables::Variables;
use super::wire::{Wire, header, json as json_of, plain, text};
use super::{Expected, SecretStore, Stored, Version};
use crate::broker::{Answer, join};
use crate::secret::Secret;

const API_VERSION: &str = "7.4";
/// An emulator's or a sovereign cloud's address of the vault.
const ENDPOINT: &str = "JETON_AZURE_KEYVAULT_ENDPOINT";
/// How many parts of a list of versions are asked for; a part has 25.
const PARTS: usize = 200;
/// How many versions of others are named.
const NAMED: usize = 3;

#[derive(Debug)]
pub(super) struct Store {
    reference: Reference,
    name: String,
    endpoint: Url,
    bearer: Bearer,
    wire: Wire,
}

impl Store {
    pub(super) fn new(
        reference: &Reference,
        vault: &str,
        name: &str,
        variables: &Variables,
    ) -> Result<Self, StoreFault> {
        let endpoint = match variables.url(&[ENDPOINT])? {
            Some(endpoint) => endpoint,
            None => {
                Url::parse(&format!("https://{vault}.vault.azure.net/")).map_err(|_| StoreFault::Garbled)?
            }
        };
        Ok(Self {
            reference: reference.clone(),
            name: name.to_owned(),
            endpoint,
            bearer: Bearer::new(variables)?,
            wire: Wire::new("the vault's name, and JETON_AZURE_KEYVAULT_ENDPOINT where it is set")?,
        })
    }

    async fn call(
        &self,
        method: reqwest::Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Answer, StoreFault> {
        let (name, value) = header("authorization", "Bearer ", &self.bearer.token(&self.wire).await?)?;
        let make = |http: &reqwest::Client| {
            let request = http.request(method.clone(), url.clone()).header(name.clone(), value.clone());
            Ok(match body {
                Some(body) => request.json(body),
                None => request,
            })
        };
        self.wire.send(&url, make, |answer| answer.status == 429).await
    }

    /// The secret's, or that of what is below it.
    fn url(&self, below: Option<&str>) -> Result<Url, StoreFault> {
        let path: Vec<_> = ["secrets", &self.name].into_iter().chain(below).collect();
        let mut url = join(&self.endpoint, &path).map_err(|_| StoreFault::Garbled)?;
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }

    async fn version(&self, version: Option<&str>) -> Result<Option<Stored>, StoreFault> {
        let answer = self.call(reqwest::Method::GET, self.url(version)?, None).await?;
        match answer.status {
            200 => self.stored(&answer).map(Some),
            404 => Ok(None),
            _ => Err(refusal(&answer, "Get")),
        }
    }

    fn stored(&self, answer: &Answer) -> Result<Stored, StoreFault> {
        let body = json_of(answer)?;
        let value = text(&body, "/value").ok_or(StoreFault::Garbled)?;
        Ok(Stored { value: Secret::new(value), version: Version(self.version_of(&body)?) })
    }

    /// The version that this is, by its address.
    fn version_of(&self, body: &Value) -> Result<String, StoreFault> {
        let id = text(body, "/id").and_then(|id| Url::parse(id).ok()).ok_or(StoreFault::Garbled)?;
        let segments: Vec<_> = id.path_segments().into_iter().flatten().collect();
        let is_version = |text: &str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        match segments.as_slice() {
            [.., "secrets", name, version]
                if name.eq_ignore_ascii_case(&self.name) && is_version(version) =>
            {
                Ok((*version).to_owned())
            }
            _ => Err(StoreFault::Garbled),
        }
    }

    /// All that there are, in no order.
    async fn versions(&self) -> Result<BTreeSet<String>, StoreFault> {
        let mut found = BTreeSet::new();
        let mut url = self.url(Some("versions"))?;
        for _ in 0..PARTS {
            let answer = self.call(reqwest::Method::GET, url.clone(), None).await?;
            match answer.status {
                200 => {}
                404 => return Ok(found),
                _ => return Err(refusal(&answer, "List")),
            }
            let body = json_of(&answer)?;
            let listed = body.get("value").and_then(Value::as_array).ok_or(StoreFault::Garbled)?;
            for one in listed {
                found.insert(self.version_of(one)?);
            }
            let Some(next) = text(&body, "/nextLink").filter(|next| !next.is_empty()) else {
                return Ok(found);
            };
            // Its query alone: a token goes to no address that an answer names.
            let next = Url::parse(next).map_err(|_| StoreFault::Garbled)?;
            url.set_query(next.query());
        }
        Err(StoreFault::Garbled)
    }

    async fn write(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreFault> {
        // First: what comes after it is found by the second list.
        let mut before = self.versions().await?;
        if let Expected::Version(seen) = expected {
            // It may be too new for a list.
            before.insert(seen.0.clone());
        }
        match (expected, self.version(None).await?) {
            (Expected::Absent, None) => {}
            (Expected::Absent, Some(_)) => return Err(StoreFault::Exists),
            (Expected::Version(seen), Some(stored)) if *seen == stored.version => {}
            (Expected::Version(_), _) => return Err(StoreFault::Changed),
        }
        let body = json!({"value": plain(value), "contentType": "application/json"});
        let answer = self.call(reqwest::Method::PUT, self.url(None)?, Some(&body)).await?;
        if answer.status != 200 {
            return Err(refusal(&answer, "Set"));
        }
        let own = self.stored(&answer)?.version;
        let mut after = self.versions().await?;
        after.remove(&own.0);
        let others: Vec<_> = after.difference(&before).take(NAMED).map(String::as_str).collect();
        if others.is_empty() {
            return Ok(own);
        }
        // Who of them was first, nothing tells: whoever reads it gets the last.
        self.confirm(&own).await?;
        Err(StoreFault::Beside(others.join(", ")))
    }

    async fn confirm(&self, version: &Version) -> Result<(), StoreFault> {
        let current = self.version(None).await?;
        if current.is_some_and(|stored| stored.version == *version) {
            Ok(())
        } else {
            Err(StoreFault::Changed)
        }
    }

    async fn remove(&self) -> Result<(), StoreFault> {
        let answer = self.call(reqwest::Method::DELETE, self.url(None)?, None).await?;
        if matches!(answer.status, 200 | 404) { Ok(()) } else { Err(refusal(&answer, "Delete")) }
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn get(&self) -> Result<Option<Stored>, StoreError> {
        self.version(None).await.map_err(|fault| fault.at(&self.reference))
    }

    async fn put(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreError> {
        self.write(value, expected).await.map_err(|fault| fault.at(&self.reference))
    }

    async fn read_back(&self, version: &Version) -> Result<Option<Secret>, StoreError> {
        let stored = self.version(Some(&version.0)).await;
        Ok(stored.map_err(|fault| fault.at(&self.reference))?.map(|stored| stored.value))
    }

    async fn activate(&self, version: &Version, _expected: &Expected) -> Result<(), StoreError> {
        self.confirm(version).await.map_err(|fault| fault.at(&self.reference))
    }

    async fn delete(&self) -> Result<(), StoreError> {
        self.remove().await.map_err(|fault| fault.at(&self.reference))
    }

    fn reference(&self) -> &Reference {
        &self.reference
    }
}

fn refusal(answer: &Answer, right: &str) -> StoreFault {
    let body = json_of(answer).unwrap_or_default();
    let inner = text(&body, "/error/innererror/code");
    let code = text(&body, "/error/code");
    match (answer.status, inner.or(code).unwrap_or_default()) {
        (401, _) => {
            StoreFault::Unauthenticated("its token is refused: check AZURE_TENANT_ID and the vault's tenant")
        }
        (403, "SecretDisabled") => StoreFault::Disabled,
        (403, "ForbiddenByFirewall") => {
            StoreFault::Denied("let this machine's network through the vault's firewall".to_owned())
        }
        (403, _) => {
            let role = if right == "Get" { "Key Vault Secrets User" } else { "Key Vault Secrets Officer" };
            StoreFault::Denied(format!("allow `{right}` on the vault's secrets (role {role})"))
        }
        (404, _) => StoreFault::Absent,
        (409, _) => StoreFault::Deleted,
        (429, _) => StoreFault::Throttled,
        (status, code) => StoreFault::refused(status, Some(code)),
    }
}
