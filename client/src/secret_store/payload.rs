//! What is kept of a client in a store? A document that says by itself how to get a token.

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::StoreFault;
use super::wire::plain;
use crate::broker::join;
use crate::secret::Secret;
use crate::settings::{base_url, check_scheme};

/// The one flow there is.
const FLOW: &str = "client_credentials";

/// A client's credential as it is kept: JSON of the keys `flow`, `issuer`, `token_endpoint`, `client_id`,
/// `client_secret`, `scope`, `audience`, `version`. `Debug` prints no secret.
#[derive(Clone, Debug)]
pub struct ServiceCredential {
    /// Who issues tokens for it.
    pub issuer: Url,
    /// Where.
    pub token_endpoint: Url,
    /// Who it is.
    pub client_id: String,
    /// How it proves that.
    pub client_secret: Secret,
    /// What to ask for, separated by spaces; all that it may have where none is named.
    pub scope: Option<String>,
    /// For which resource server (RFC 8707).
    pub audience: Option<String>,
    /// Counts the credentials of this client, from 1 on.
    pub version: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    flow: &'a str,
    issuer: &'a str,
    token_endpoint: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    scope: Option<&'a str>,
    audience: Option<&'a str>,
    version: u64,
}

/// Keys that come later are not refused: older programs go on reading.
#[derive(Deserialize)]
struct Read {
    flow: String,
    issuer: String,
    token_endpoint: String,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    audience: Option<String>,
    version: u64,
}

/// What other tools keep: two values, which do not say of which broker.
#[derive(Deserialize)]
struct Pair {
    #[serde(rename = "client-id")]
    client_id: String,
    #[serde(rename = "client-secret")]
    client_secret: Secret,
}

impl ServiceCredential {
    /// Reads a document, or the pair `client-id` and `client-secret` of the broker at `url`.
    ///
    /// # Errors
    /// Says what is at fault.
    pub fn read_at(document: &Secret, url: Option<&Url>) -> Result<Self, StoreFault> {
        let Ok(pair) = serde_json::from_str::<Pair>(plain(document)) else { return Self::read(document) };
        let unknown = "is a pair of client-id and client-secret, which needs JETON_URL beside it; else";
        let issuer = url.ok_or(StoreFault::Malformed(unknown))?.clone();
        let token_endpoint =
            join(&issuer, &["o", "token", ""]).map_err(|_| StoreFault::Malformed(unknown))?;
        let own = Self {
            issuer,
            token_endpoint,
            client_id: pair.client_id,
            client_secret: pair.client_secret,
            scope: None,
            audience: None,
            version: 1,
        };
        own.checked()
    }

    /// The document.
    pub fn document(&self) -> Secret {
        let written = Written {
            flow: FLOW,
            issuer: self.issuer.as_str().trim_end_matches('/'),
            token_endpoint: self.token_endpoint.as_str(),
            client_id: &self.client_id,
            client_secret: plain(&self.client_secret),
            scope: self.scope.as_deref(),
            audience: self.audience.as_deref(),
            version: self.version,
        };
        Secret::new(serde_json::to_string(&written).unwrap_or_default())
    }

    /// The pair `client-id` and `client-secret`, for tools that know no more.
    pub fn pair(&self) -> Secret {
        let pair =
            serde_json::json!({"client-id": self.client_id, "client-secret": plain(&self.client_secret)});
        Secret::new(pair.to_string())
    }

    /// Reads a document. What it holds is not told where it is none.
    ///
    /// # Errors
    /// Says which key is at fault.
    pub fn read(document: &Secret) -> Result<Self, StoreFault> {
        let read: Read = serde_json::from_str(plain(document)).map_err(|_| {
            StoreFault::Malformed(
                "is no credential (JSON with flow, issuer, token_endpoint, client_id, client_secret, version)",
            )
        })?;
        if read.flow != FLOW {
            return Err(StoreFault::Malformed("has a flow that is not known here"));
        }
        let address = |text: &str, fault| {
            let checked = base_url(text).and_then(|url| check_scheme(&url, false).map(|()| url));
            checked.map_err(|_| StoreFault::Malformed(fault))
        };
        let issuer = address(&read.issuer, "has an issuer that is no https address")?;
        let token_endpoint = address(&read.token_endpoint, "has a token_endpoint that is no https address")?;
        if token_endpoint.origin() != issuer.origin() {
            return Err(StoreFault::Malformed("has a token_endpoint that is not its issuer's"));
        }
        let own = Self {
            issuer,
            token_endpoint,
            client_id: read.client_id,
            client_secret: read.client_secret,
            scope: read.scope,
            audience: read.audience,
            version: read.version,
        };
        own.checked()
    }

    fn checked(self) -> Result<Self, StoreFault> {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if is_word(&self.client_id) && is_word(plain(&self.client_secret)) {
            return Ok(self);
        }
        Err(StoreFault::Malformed("has no usable client_id and client_secret"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "flow": "client_credentials", "issuer": "https://b.example/laputa",
            "token_endpoint": "https://b.example/laputa/o/token/", "client_id": "c1", "client_secret": "canary",
            "scope": "terms:read terms:write", "audience": "https://terms.example", "version": 3,
        })
    }

    fn read(document: &Value) -> Result<ServiceCredential, StoreFault> {
        ServiceCredential::read(&Secret::new(document.to_string()))
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let credential = read(&good()).unwrap();
        let written: Value = serde_json::from_str(plain(&credential.document())).unwrap();
        assert_eq!(written, good());
        assert!(!format!("{credential:?}").contains("canary"));
        let mut later = good();
        later["rotate_after"] = json!("2027-01-01");
        assert_eq!(read(&later).unwrap().version, 3);
    }

    #[test]
    fn what_is_no_credential_is_told_without_repeating_it() {
        let with = |name: &str, value: Value| {
            let mut document = good();
            document[name] = value;
            document
        };
        for document in [
            json!("canary"),
            json!([]),
            json!({}),
            with("flow", json!("password")),
            with("issuer", json!("http://b.example")),
            with("issuer", json!("javascript:canary")),
            with("token_endpoint", json!("https://evil.example/o/token/")),
            with("client_secret", json!("canary\r\nX: 1")),
            with("client_secret", json!("")),
            with("client_id", json!(7)),
            with("version", json!("canary")),
        ] {
            let fault = read(&document).unwrap_err();
            assert!(matches!(fault, StoreFault::Malformed(_)), "{document}");
            assert!(!fault.to_string().contains("canary"), "{fault}");
        }
    }

    #[test]
    fn a_pair_needs_a_broker() {
        let pair = Secret::new(json!({"client-id": "c1", "client-secret": "canary"}).to_string());
        assert!(ServiceCredential::read_at(&pair, None).unwrap_err().to_string().contains("JETON_URL"));
        let url = Url::parse("https://b.example/laputa").unwrap();
        let read = ServiceCredential::read_at(&pair, Some(&url)).unwrap();
        assert_eq!(read.token_endpoint.as_str(), "https://b.example/laputa/o/token/");
    }
}
