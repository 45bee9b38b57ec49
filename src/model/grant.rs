//! Grants: what a client may ask tokens by, and what was granted to it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::ClientId;
use super::own::Own;
use super::principal::UserId;
use super::resource::ResourceScope;
use super::scope::{Scope, Scopes};
use super::secret::KeyedHash;
use super::time::to_micros;
use super::uri::ResourceUri;

/// Ways to ask for a token (`grant_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantType {
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 6749 §4.1 with RFC 7636.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 8628.
    DeviceCode,
    /// RFC 8693.
    TokenExchange,
}

impl GrantType {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::ClientCredentials,
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// The value of `grant_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// Reads a value of `grant_type`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// The scope of one token: of OpenID Connect and the broker, or of OpenID Connect and one other resource server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedScope {
    /// OpenID Connect's and the broker's.
    pub own: Scopes,
    /// The other resource server's.
    pub of_resource: BTreeSet<ResourceScope>,
}

impl GrantedScope {
    /// Reads a space-separated list; `None` where a word is no scope token.
    pub fn parse(text: &str) -> Option<Self> {
        let mut read = Self::default();
        let mut own = BTreeSet::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match Scope::parse(word) {
                Some(scope) => {
                    own.insert(scope);
                }
                None => {
                    read.of_resource.insert(ResourceScope::parse(word)?);
                }
            }
        }
        read.own = own.into_iter().collect();
        Some(read)
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.of_resource.is_empty()
    }

    /// Whether all that `other` grants is granted here.
    pub fn covers(&self, other: &Self) -> bool {
        self.own.covers(&other.own) && self.of_resource.is_superset(&other.of_resource)
    }

    /// What is left of it where no more than `most` may be granted.
    #[must_use]
    pub fn narrowed_to(&self, most: &Self) -> Self {
        Self {
            own: self.own.narrowed_to(&most.own),
            of_resource: self.of_resource.intersection(&most.of_resource).cloned().collect(),
        }
    }
}

impl fmt::Display for GrantedScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.iter().map(|scope| scope.as_str().to_owned());
        let words: Vec<_> = own.chain(self.of_resource.iter().map(ToString::to_string)).collect();
        f.write_str(&words.join(" "))
    }
}

/// Names a grant; the claim `grant_id` of its access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub Uuid);

/// What a client was granted once: all its access and refresh tokens end with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// To whom.
    pub client_id: ClientId,
    /// By whom; `None`: the client speaks for itself.
    pub user: Option<UserId>,
    /// How it began.
    pub begun_by: GrantType,
    /// What.
    pub scope: GrantedScope,
    /// For which resource server; `None`: the broker.
    pub resource: Option<ResourceUri>,
    /// When the person signed in, where that is known.
    pub auth_time: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends by itself; ended before, it is gone.
    pub expires_at: OffsetDateTime,
}

impl Own for Grant {
    const TABLE: &'static str = "oauth_grant";

    #[expect(clippy::expect_used, reason = "texts and numbers are JSON")]
    fn covered(&self) -> Vec<Vec<u8>> {
        let who = (&self.client_id, self.user, self.begun_by.as_str());
        let what = (self.scope.to_string(), &self.resource);
        let times = (self.auth_time.map(to_micros), to_micros(self.created_at), to_micros(self.expires_at));
        vec![serde_json::to_vec(&(self.id, who, what, times)).expect("it is JSON")]
    }
}

/// What an authorization code stands for (RFC 6749 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The first half of the code.
    pub id: Uuid,
    /// The grant it makes.
    pub grant: GrantId,
    /// For whom.
    pub client_id: ClientId,
    /// By whom.
    pub user: UserId,
    /// Where it was sent, as the client asked.
    pub redirect_uri: String,
    /// What.
    pub scope: GrantedScope,
    /// For which resource server; `None`: the broker.
    pub resource: Option<ResourceUri>,
    /// S256 of the verifier (RFC 7636 §4.2).
    pub code_challenge: String,
    /// For the ID token.
    pub nonce: Option<String>,
    /// When the person signed in, where that is known.
    pub auth_time: Option<OffsetDateTime>,
    /// When it ends unused.
    pub expires_at: OffsetDateTime,
}

impl AuthorizationCode {
    /// All it stands for, for the hash that its second half is compared with.
    #[expect(clippy::expect_used, reason = "texts and numbers are JSON")]
    pub fn subject(&self) -> Vec<u8> {
        let who = (&self.client_id, self.user, self.grant);
        let what = (self.scope.to_string(), &self.resource);
        let manner = (&self.redirect_uri, &self.code_challenge, &self.nonce);
        serde_json::to_vec(&(who, what, manner, self.auth_time.map(to_micros))).expect("it is JSON")
    }
}

/// What the person said to a device's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// Nothing yet.
    Pending,
    /// Yes.
    Approved {
        /// Who.
        user: UserId,
        /// When the person signed in, where that is known.
        auth_time: Option<OffsetDateTime>,
    },
    /// No.
    Denied,
}

/// A device that waits for a person (RFC 8628).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCode {
    /// The first half of the device's code.
    pub id: Uuid,
    /// Which client.
    pub client_id: ClientId,
    /// What it asks for.
    pub scope: GrantedScope,
    /// For which resource server; `None`: the broker.
    pub resource: Option<ResourceUri>,
    /// What was said.
    pub answer: DeviceAnswer,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// Keyed hash of what the person types: whose row that is decides who is let in.
    pub user_code: KeyedHash,
}

impl Own for DeviceCode {
    const TABLE: &'static str = "device_code";

    #[expect(clippy::expect_used, reason = "texts and numbers are JSON")]
    fn covered(&self) -> Vec<Vec<u8>> {
        let what = (&self.client_id, self.scope.to_string(), &self.resource);
        let answer = match self.answer {
            DeviceAnswer::Pending => ("pending", None),
            DeviceAnswer::Approved { user, auth_time } => {
                ("approved", Some((user, auth_time.map(to_micros))))
            }
            DeviceAnswer::Denied => ("denied", None),
        };
        let row = (self.id, what, answer, to_micros(self.expires_at), self.user_code);
        vec![serde_json::to_vec(&row).expect("it is JSON")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_both_kinds_are_read_and_written() {
        let read = GrantedScope::parse("terms:read openid  binb:read").unwrap();
        assert_eq!(read.to_string(), "binb:read openid terms:read");
        assert!(read.covers(&GrantedScope::parse("terms:read").unwrap()));
        assert!(!read.covers(&GrantedScope::parse("terms:write").unwrap()));
        let left = read.narrowed_to(&GrantedScope::parse("superadmin terms:write").unwrap());
        assert_eq!(left.to_string(), "binb:read openid");
        assert!(GrantedScope::parse("a\"b").is_none());
        assert!(GrantedScope::parse("").unwrap().is_empty());
    }
}
