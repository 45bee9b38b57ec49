//! For whom is a token, and with which scope? The broker's scopes and those of other resource servers never meet in
//! one token.

use crate::model::client::{Client, Role};
use crate::model::grant::{GrantType, GrantedScope};
use crate::model::person::User;
use crate::model::resource::Resource;
use crate::model::uri::ResourceUri;

use super::{Error, Issuer};

/// Whom a token is for, as registered now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The broker itself.
    Broker,
    /// Another resource server.
    Other(Resource),
}

impl Target {
    pub(super) fn uri(&self) -> Option<&ResourceUri> {
        match self {
            Self::Broker => None,
            Self::Other(resource) => Some(&resource.uri),
        }
    }

    /// What a client may ask for here.
    pub(super) fn available(&self, client: &Client) -> GrantedScope {
        match self {
            Self::Broker => GrantedScope { own: client.scopes.clone(), of_resource: Default::default() },
            Self::Other(resource) => GrantedScope {
                own: client.scopes.of_openid(),
                of_resource: client.resource_scopes.intersection(&resource.scopes).cloned().collect(),
            },
        }
    }
}

impl Issuer {
    /// The resource server a client means (RFC 8707 §2): the one it names, else its only one, else the broker.
    pub(super) async fn target(&self, client: &Client, asked: Option<&str>) -> Result<Target, Error> {
        let uri = match (asked, client.resources.as_slice()) {
            (Some(asked), _) if asked == self.url() => return Ok(Target::Broker),
            (Some(asked), own) => own.iter().find(|uri| uri.as_str() == asked).ok_or(Error::InvalidTarget)?,
            (None, [only]) => only,
            (None, _) => return Ok(Target::Broker),
        };
        self.registered(uri).await
    }

    /// The target of a grant, if what is asked for with it is the same.
    pub(super) async fn same_target(
        &self,
        granted: Option<&ResourceUri>,
        asked: Option<&str>,
    ) -> Result<Target, Error> {
        let own = granted.map_or(self.url(), ResourceUri::as_str);
        if asked.is_some_and(|asked| asked != own) {
            return Err(Error::InvalidTarget);
        }
        match granted {
            Some(uri) => self.registered(uri).await,
            None => Ok(Target::Broker),
        }
    }

    async fn registered(&self, uri: &ResourceUri) -> Result<Target, Error> {
        let found = self.store.conn().find_resource(uri.as_str()).await?;
        found.map(Target::Other).ok_or(Error::InvalidTarget)
    }
}

/// What is asked for, where it is within what can be had; all of that where nothing is asked.
pub(super) fn within(available: GrantedScope, asked: Option<&str>) -> Result<GrantedScope, Error> {
    let Some(asked) = asked else { return Ok(available) };
    let scope = GrantedScope::parse(asked).ok_or(Error::InvalidScope)?;
    let within = !scope.is_empty() && available.covers(&scope);
    if within { Ok(scope) } else { Err(Error::InvalidScope) }
}

/// What a client may ask for itself: it is no person.
pub(super) fn without_openid(scope: GrantedScope) -> GrantedScope {
    GrantedScope { own: scope.own.of_broker(), ..scope }
}

/// What a person can give: the broker's scopes only as superadmin, to a superadmin client, and to a device only where
/// the client is confined; who types a code on a page knows least of who asks.
pub(super) fn given_by(
    user: &User,
    client: &Client,
    begun_by: GrantType,
    scope: &GrantedScope,
) -> GrantedScope {
    match gives_role(user, client, begun_by) {
        true => scope.clone(),
        false => GrantedScope { own: scope.own.of_openid(), of_resource: scope.of_resource.clone() },
    }
}

/// Whether a token of this person for the broker carries the role.
pub(super) fn gives_role(user: &User, client: &Client, begun_by: GrantType) -> bool {
    let both = user.role == Some(Role::Superadmin) && client.role == Some(Role::Superadmin);
    both && (begun_by != GrantType::DeviceCode || client.allow.is_confined())
}
