//! Our OAuth clients: who may ask for tokens here, and where a confined one may use them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::app::AppId;
use super::connector::ConnectorId;
use super::grant::{GrantType, GrantedScope};
use super::own::Own;
use super::resource::ResourceScope;
use super::scope::{Scope, Scopes};
use super::time::to_micros;
use super::uri::{RedirectUri, ResourceUri};

/// A client id: 1 to 64 characters `A-Za-z0-9_-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// Whether it is as long as those that are made here: 128 bits, where a secret has 256.
    pub fn is_like_a_made_one(&self) -> bool {
        self.0.len() == 22
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be 1 to 64 characters A-Za-z0-9_-")
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A job or service: `client_credentials`.
    Service,
    /// A person's script: device flow or loopback code.
    Programmatic,
    /// A service provider registered at our identity provider.
    Provider,
}

impl ClientKind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Programmatic => "programmatic",
            Self::Provider => "provider",
        }
    }

    /// Whether it can keep a secret (RFC 6749 §2.1).
    pub fn is_confidential(self) -> bool {
        match self {
            Self::Service | Self::Provider => true,
            Self::Programmatic => false,
        }
    }

    /// The grants it is for; `refresh_token` comes with any other.
    fn grant_types(self) -> &'static [GrantType] {
        match self {
            Self::Service => &[GrantType::ClientCredentials],
            Self::Programmatic => &[GrantType::AuthorizationCode, GrantType::DeviceCode],
            Self::Provider => {
                &[GrantType::ClientCredentials, GrantType::AuthorizationCode, GrantType::TokenExchange]
            }
        }
    }

    /// Reads a stored value.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Service, Self::Programmatic, Self::Provider].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The one role there is beyond memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Unconfined: administers the instance. Confined by `allow`: receives tokens of its locations.
    Superadmin,
}

impl Role {
    /// As stored and as a claim.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Superadmin => "superadmin",
        }
    }

    /// Reads a stored value or a claim.
    pub fn parse(text: &str) -> Option<Self> {
        (text == Self::Superadmin.as_str()).then_some(Self::Superadmin)
    }
}

/// One entry of `allow`: `app/connector`, with `*` for a whole segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location {
    app: Option<AppId>,
    connector: Option<ConnectorId>,
}

impl Location {
    /// Reads an entry.
    pub fn parse(text: &str) -> Option<Self> {
        let (app, connector) = text.split_once('/')?;
        Some(Self {
            app: if app == "*" { None } else { Some(AppId::parse(app).ok()?) },
            connector: if connector == "*" { None } else { Some(ConnectorId::parse(connector).ok()?) },
        })
    }

    /// Whether it covers this app's connector.
    pub fn matches(&self, app: &AppId, connector: &ConnectorId) -> bool {
        self.app.as_ref().is_none_or(|own| own == app)
            && self.connector.as_ref().is_none_or(|own| own == connector)
    }

    /// What both cover.
    fn meet(&self, other: &Self) -> Option<Self> {
        Some(Self {
            app: narrower(self.app.as_ref(), other.app.as_ref())?,
            connector: narrower(self.connector.as_ref(), other.connector.as_ref())?,
        })
    }

    /// Whether everything `other` covers is covered here.
    pub fn covers(&self, other: &Self) -> bool {
        (self.app.is_none() || self.app == other.app)
            && (self.connector.is_none() || self.connector == other.connector)
    }
}

/// Of two segments the one within the other; `None` inside means `*`.
#[expect(clippy::option_option, reason = "outside: is there one at all; inside: is it `*`")]
fn narrower<T: Clone + PartialEq>(a: Option<&T>, b: Option<&T>) -> Option<Option<T>> {
    match (a, b) {
        (Some(a), Some(b)) => (a == b).then(|| Some(a.clone())),
        (one, other) => Some(one.or(other).cloned()),
    }
}

impl TryFrom<String> for Location {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be app/connector, app/*, */connector or */*")
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.app.as_ref().map_or("*", AppId::as_str);
        let connector = self.connector.as_ref().map_or("*", ConnectorId::as_str);
        write!(f, "{app}/{connector}")
    }
}

/// Where a principal may receive tokens: everywhere (not confined), or in these locations only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(pub Option<Vec<Location>>);

impl Allow {
    /// Whether this app's connector is covered.
    pub fn matches(&self, app: &AppId, connector: &ConnectorId) -> bool {
        self.0.as_ref().is_none_or(|locations| locations.iter().any(|l| l.matches(app, connector)))
    }

    /// What both allow.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (None, _) => other.clone(),
            (_, None) => self.clone(),
            (Some(ours), Some(theirs)) => {
                Self(Some(ours.iter().flat_map(|a| theirs.iter().filter_map(|b| a.meet(b))).collect()))
            }
        }
    }

    /// Whether it is confined to no location at all.
    pub fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether the principal is confined at all.
    pub fn is_confined(&self) -> bool {
        self.0.is_some()
    }
}

/// A client as its row is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Public id.
    pub client_id: ClientId,
    /// What people call it; unique.
    pub identifier: String,
    /// What it is for.
    pub kind: ClientKind,
    /// Superadmin or nothing.
    pub role: Option<Role>,
    /// The broker's scopes it may ask for.
    pub scopes: Scopes,
    /// Scopes of its resource servers it may ask for.
    pub resource_scopes: BTreeSet<ResourceScope>,
    /// Where it may receive tokens.
    pub allow: Allow,
    /// Resource servers it may ask tokens for (RFC 8707).
    pub resources: Vec<ResourceUri>,
    /// Where it may be sent back to, compared byte for byte.
    pub redirect_uris: Vec<RedirectUri>,
    /// Its public keys (RFC 7517), for private_key_jwt.
    pub jwks: Option<serde_json::Value>,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: bool,
    /// Seconds an access token of it lives; null: the instance's default.
    pub token_lifetime_s: Option<u32>,
    /// Disabled clients get and use nothing.
    pub disabled: bool,
    /// Tokens issued before are refused (a secret was deleted).
    pub not_before: Option<OffsetDateTime>,
    /// Counts changes; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl Client {
    /// Whether it may ask by this grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types().any(|own| own == grant)
    }

    /// The grants it may ask by.
    pub fn grant_types(&self) -> impl Iterator<Item = GrantType> {
        // Without a flag it is for those who speak for people.
        let asks_people = self.kind.grant_types().contains(&GrantType::AuthorizationCode);
        let refreshes = self.refresh_tokens || (asks_people && self.scopes.contains(Scope::OfflineAccess));
        let refresh = refreshes.then_some(GrantType::RefreshToken);
        // One that is confined to no location has nothing to swap for.
        let exchanges = !self.allow.is_nowhere();
        let own = self.kind.grant_types().iter().copied();
        own.filter(move |grant| exchanges || *grant != GrantType::TokenExchange).chain(refresh)
    }

    /// All scopes it may ask for, whatever the resource.
    pub fn scope(&self) -> GrantedScope {
        GrantedScope { own: self.scopes.clone(), of_resource: self.resource_scopes.clone() }
    }
}

/// All but when it was made: who changes what a client may do, where its codes go or which secrets count, makes it
/// nobody's.
impl Own for Client {
    const TABLE: &'static str = "client";

    #[expect(clippy::expect_used, reason = "texts, numbers and a JSON value are JSON")]
    fn covered(&self) -> Vec<Vec<u8>> {
        let rights = (&self.kind, &self.role, self.scope().to_string(), &self.allow.0, &self.resources);
        let manner = (&self.redirect_uris, &self.jwks, self.refresh_tokens, self.token_lifetime_s);
        let not_before = self.not_before.map(to_micros);
        let row =
            (&self.client_id, &self.identifier, rights, manner, self.disabled, not_before, self.version);
        vec![serde_json::to_vec(&row).expect("it is JSON")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_match_whole_segments() {
        let acme = AppId::parse("acme").unwrap();
        let github = ConnectorId::parse("github").unwrap();
        for (entry, yes) in [
            ("acme/github", true),
            ("acme/*", true),
            ("*/github", true),
            ("*/*", true),
            ("acm/github", false),
        ] {
            assert_eq!(Location::parse(entry).unwrap().matches(&acme, &github), yes, "{entry}");
        }
        for bad in ["acme", "acme/gi*", "a*/github", "acme/github/x", ""] {
            assert_eq!(Location::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_confinements_leave_what_both_allow() {
        let allow =
            |entries: &[&str]| Allow(Some(entries.iter().map(|e| Location::parse(e).unwrap()).collect()));
        let row = allow(&["acme/*", "globex/github"]);
        assert_eq!(row.intersection(&allow(&["*/github"])), allow(&["acme/github", "globex/github"]));
        assert_eq!(row.intersection(&allow(&["umbrella/*"])), allow(&[]));
        assert_eq!(row.intersection(&Allow::default()), row);
        assert_eq!(Allow::default().intersection(&row), row);
    }

    #[test]
    fn a_wildcard_covers_and_is_not_covered() {
        let wide = Location::parse("acme/*").unwrap();
        let narrow = Location::parse("acme/github").unwrap();
        assert!(wide.covers(&narrow) && !narrow.covers(&wide));
    }
}
