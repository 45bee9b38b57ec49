//! Scopes of the broker (RFC 6749 §3.3), what its own routes ask for.

use std::collections::BTreeSet;
use std::fmt;

/// A scope of the broker itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Implies all others.
    Superadmin,
    /// Receive third-party tokens.
    BinbRead,
    /// Read apps.
    AppsRead,
    /// Change apps.
    AppsWrite,
    /// Change connector definitions and credentials.
    ConnectorsWrite,
    /// Read connections.
    ConnectionsRead,
    /// Change connections.
    ConnectionsWrite,
    /// Read clients.
    ClientsRead,
    /// Change clients.
    ClientsWrite,
    /// Rotate keys.
    KeysWrite,
    /// Read the audit trail.
    AuditRead,
    /// Make signup links.
    SignupsWrite,
    /// OpenID Connect.
    Openid,
    /// OpenID Connect: name.
    Profile,
    /// OpenID Connect: e-mail.
    Email,
    /// OpenID Connect: refresh tokens.
    OfflineAccess,
}

impl Scope {
    /// All of them, in the order they are documented.
    pub const ALL: [Self; 16] = [
        Self::Superadmin,
        Self::BinbRead,
        Self::AppsRead,
        Self::AppsWrite,
        Self::ConnectorsWrite,
        Self::ConnectionsRead,
        Self::ConnectionsWrite,
        Self::ClientsRead,
        Self::ClientsWrite,
        Self::KeysWrite,
        Self::AuditRead,
        Self::SignupsWrite,
        Self::Openid,
        Self::Profile,
        Self::Email,
        Self::OfflineAccess,
    ];

    /// The scope token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Superadmin => "superadmin",
            Self::BinbRead => "binb:read",
            Self::AppsRead => "apps:read",
            Self::AppsWrite => "apps:write",
            Self::ConnectorsWrite => "connectors:write",
            Self::ConnectionsRead => "connections:read",
            Self::ConnectionsWrite => "connections:write",
            Self::ClientsRead => "clients:read",
            Self::ClientsWrite => "clients:write",
            Self::KeysWrite => "keys:write",
            Self::AuditRead => "audit:read",
            Self::SignupsWrite => "signups:write",
            Self::Openid => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::OfflineAccess => "offline_access",
        }
    }

    /// Reads one scope token.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A set of the broker's scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Reads a space-separated list.
    ///
    /// # Errors
    /// The first token that is no scope of the broker.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(' ')
            .filter(|token| !token.is_empty())
            .map(|token| Scope::parse(token).ok_or_else(|| token.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `scope` is granted; `superadmin` implies all.
    pub fn grants(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Superadmin)
    }

    /// Whether everything `other` grants is granted here.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|scope| self.grants(*scope))
    }

    /// What both grant.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(Scope::ALL.into_iter().filter(|scope| self.grants(*scope) && other.grants(*scope)).collect())
    }

    /// The scopes, in documented order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        Scope::ALL.into_iter().filter(|scope| self.0.contains(scope))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superadmin_implies_all_and_unknown_scopes_are_named() {
        let all = Scopes::parse("superadmin").unwrap();
        assert!(all.covers(&Scopes::parse("binb:read clients:write").unwrap()));
        assert_eq!(Scopes::parse("binb:read terms:read"), Err("terms:read".to_owned()));
        assert_eq!(Scopes::parse("clients:read  binb:read").unwrap().to_string(), "binb:read clients:read");
    }

    #[test]
    fn an_intersection_never_widens() {
        let client = Scopes::parse("binb:read").unwrap();
        assert_eq!(Scopes::parse("superadmin").unwrap().intersection(&client), client);
    }
}
