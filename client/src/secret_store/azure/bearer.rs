//! As whom does this program speak to Azure?
//!
//! By the first of these that is there: an application's secret, a workload's token (Kubernetes), the managed identity
//! of an App Service, that of the machine.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::super::error::StoreFault;
use super::super::variables::Variables;
use super::super::wire::{Wire, header, json as json_of, plain, text};
use crate::broker::join;
use crate::secret::Secret;

const RESOURCE: &str = "https://vault.azure.net";
const SCOPE: &str = "https://vault.azure.net/.default";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const WHO: &str =
    "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run it with a managed identity";
const UNASSIGNED: &str = "its machine's managed identity gives no token: assign one to the machine and check \
                          AZURE_CLIENT_ID, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";
/// A token that ends within this is replaced first.
const MARGIN: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Bearer {
    from: From,
    held: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Debug)]
enum From {
    /// RFC 6749 §4.4, with a secret or an assertion (RFC 7523).
    Application { url: Url, client_id: String, proof: Proof },
    /// A GET to this machine.
    Managed { url: Url, header: Option<Secret> },
}

#[derive(Debug)]
enum Proof {
    Secret(Secret),
    /// Read anew each time: it is replaced every hour.
    Assertion(Variables),
}

impl Bearer {
    pub(super) fn new(variables: &Variables) -> Result<Self, StoreFault> {
        Ok(Self { from: from(variables)?, held: Mutex::default() })
    }

    pub(super) async fn token(&self, wire: &Wire) -> Result<Secret, StoreFault> {
        let mut held = self.held.lock().await;
        if let Some((token, _)) = held.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(token.clone());
        }
        let asked_at = Instant::now();
        let (token, life) = self.ask(wire).await?;
        let until = asked_at.checked_add(life.saturating_sub(MARGIN)).ok_or(StoreFault::Garbled)?;
        *held = Some((token.clone(), until));
        Ok(token)
    }

    async fn ask(&self, wire: &Wire) -> Result<(Secret, Duration), StoreFault> {
        let answer = match &self.from {
            From::Application { url, client_id, proof } => {
                let proof = match proof {
                    Proof::Secret(secret) => vec![("client_secret", secret.clone())],
                    Proof::Assertion(variables) => {
                        let assertion = variables.file("AZURE_FEDERATED_TOKEN_FILE")?;
                        let assertion = assertion.ok_or(StoreFault::Unauthenticated(WHO))?;
                        vec![
                            ("client_assertion_type", Secret::new(ASSERTION)),
                            ("client_assertion", assertion),
                        ]
                    }
                };
                let make = |http: &reqwest::Client| {
                    let mut form = vec![
                        ("grant_type", "client_credentials"),
                        ("client_id", client_id),
                        ("scope", SCOPE),
                    ];
                    form.extend(proof.iter().map(|(name, value)| (*name, plain(value))));
                    Ok(http.post(url.clone()).form(&form))
                };
                let wire = wire.checking("AZURE_AUTHORITY_HOST where it is set");
                wire.send(url, make, |answer| answer.status == 429).await?
            }
            From::Managed { url, header: proof } => {
                let make = |http: &reqwest::Client| {
                    let request = http.get(url.clone()).header("metadata", "true");
                    Ok(match proof {
                        Some(proof) => {
                            let (name, value) = header("x-identity-header", "", proof)?;
                            request.header(name, value)
                        }
                        None => request,
                    })
                };
                let unreached = |_| StoreFault::Unauthenticated(WHO);
                wire.send(url, make, |answer| answer.status == 429).await.map_err(unreached)?
            }
        };
        let body = json_of(&answer).unwrap_or_default();
        match (answer.status, text(&body, "/access_token"), &self.from) {
            (200, Some(token), _) => Ok((Secret::new(token), life(&body))),
            (429, ..) => Err(StoreFault::Throttled),
            (400 | 401, _, From::Application { .. }) => Err(StoreFault::Unauthenticated(
                "Entra ID refuses it: check AZURE_TENANT_ID, AZURE_CLIENT_ID and its secret or identity",
            )),
            (400..=499, _, From::Managed { .. }) => Err(StoreFault::Unauthenticated(UNASSIGNED)),
            (status, ..) => Err(StoreFault::refused(status, text(&body, "/error"))),
        }
    }
}

fn from(variables: &Variables) -> Result<From, StoreFault> {
    let unset = || StoreFault::Unauthenticated(WHO);
    let client_id = variables.find("AZURE_CLIENT_ID");
    let secret = variables.secret("AZURE_CLIENT_SECRET")?;
    let federated = variables.find("AZURE_FEDERATED_TOKEN_FILE");
    if secret.is_some() || federated.is_some() {
        let authority = variables.url(&["AZURE_AUTHORITY_HOST"])?;
        let public = || Url::parse("https://login.microsoftonline.com/").map_err(|_| StoreFault::Garbled);
        let authority = authority.map_or_else(public, Ok)?;
        let tenant = variables.find("AZURE_TENANT_ID").ok_or_else(unset)?;
        let url = join(&authority, &[&tenant, "oauth2", "v2.0", "token"]).map_err(|_| unset())?;
        let proof = secret.map_or_else(|| Proof::Assertion(variables.clone()), Proof::Secret);
        return Ok(From::Application { url, client_id: client_id.ok_or_else(unset)?, proof });
    }
    let service = (variables.find("IDENTITY_ENDPOINT"), variables.secret("IDENTITY_HEADER")?);
    let (address, version, header) = match service {
        (Some(address), Some(header)) => (address, "2019-08-01", Some(header)),
        _ => ("http://169.254.169.254/metadata/identity/oauth2/token".to_owned(), "2018-02-01", None),
    };
    let mut url = Url::parse(&address).map_err(|_| unset())?;
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", RESOURCE)
        .extend_pairs(client_id.map(|id| ("client_id", id)));
    Ok(From::Managed { url, header })
}

/// `expires_in` is a number at Entra ID, and a string at the metadata service.
fn life(body: &Value) -> Duration {
    let seconds = body.get("expires_in").and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    });
    Duration::from_secs(seconds.unwrap_or_default().min(86_400))
}
