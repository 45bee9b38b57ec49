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

    /// Whether it speaks of the person, whatever the resource server (OpenID Connect Core §5.4, §11).
    pub fn is_of_openid(self) -> bool {
        matches!(self, Self::Openid | Self::Profile | Self::Email | Self::OfflineAccess)
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

    /// Whether `scope` itself is among them, whatever is implied.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// What is left of these where no more than `most` may be granted. In place of `superadmin` stand the broker's scopes
    /// it implied that are left; it stands for none of OpenID Connect's.
    #[must_use]
    pub fn narrowed_to(&self, most: &Self) -> Self {
        let kept = self.iter().filter(|scope| most.grants(*scope));
        let implied = most.iter().filter(|scope| self.contains(Scope::Superadmin) && !scope.is_of_openid());
        Self(kept.chain(implied).collect())
    }

    /// OpenID Connect's among them.
    #[must_use]
    pub fn of_openid(&self) -> Self {
        Self(self.iter().filter(|scope| scope.is_of_openid()).collect())
    }

    /// The broker's among them.
    #[must_use]
    pub fn of_broker(&self) -> Self {
        Self(self.iter().filter(|scope| !scope.is_of_openid()).collect())
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
    fn narrowing_never_widens() {
        let narrowed = |scopes: &str, most: &str| {
            Scopes::parse(scopes).unwrap().narrowed_to(&Scopes::parse(most).unwrap()).to_string()
        };
        assert_eq!(narrowed("superadmin", "binb:read openid"), "binb:read");
        assert_eq!(narrowed("superadmin", "superadmin openid"), "superadmin");
        assert_eq!(narrowed("binb:read openid", "superadmin"), "binb:read openid");
        assert_eq!(narrowed("binb:read", "apps:read"), "");
        assert_eq!(narrowed("superadmin openid", "openid profile"), "openid");
    }

    proptest::proptest! {
        #[test]
        fn what_is_left_is_granted_by_both(a in 0_u32..65_536, b in 0_u32..65_536) {
            let set = |bits: u32| -> Scopes {
                let chosen = Scope::ALL.into_iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
                chosen.map(|(_, scope)| scope).collect()
            };
            let (asked, most) = (set(a), set(b));
            let left = asked.narrowed_to(&most);
            proptest::prop_assert!(asked.covers(&left) && most.covers(&left));
            for scope in Scope::ALL.into_iter().filter(|scope| !scope.is_of_openid()) {
                let both = asked.grants(scope) && most.grants(scope);
                proptest::prop_assert_eq!(left.grants(scope), both, "{}", scope.as_str());
            }
            proptest::prop_assert!(left.of_openid().iter().all(|scope| asked.contains(scope)));
        }
    }
}
