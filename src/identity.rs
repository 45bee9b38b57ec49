//! Who is calling, and what that person or machine may do.
//!
//! Permission is a value: [`Superadmin`], [`AppAdmin`], [`Member`] and [`MayReceive`] have private fields and are
//! made here alone; a service that needs one takes it as its first argument and names it in the audit line.
//! A token says who; what it may do is the intersection with the client's or user's row as it is now.

pub mod bearer;
pub mod exchange;
pub mod login;
pub mod password;
pub mod people;
pub mod session;
#[cfg(test)]
pub(crate) mod testing;
pub mod tools;
pub mod upstream;

use crate::model::app::AppId;
use crate::model::client::{Allow, Client, ClientId, ClientKind, Role};
use crate::model::connection::{Connection, Owner, Sharing};
use crate::model::connector::ConnectorId;
use crate::model::event::{Action, Event, Origin};
use crate::model::person::User;
use crate::model::principal::{Actor, Membership, UserId};
use crate::model::scope::{Scope, Scopes};
use crate::vault::Vault;

/// Why a permission was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Neither role nor scope nor location is enough; nothing was looked up.
    #[error("this identity may not do that")]
    Forbidden,
}

/// What a token says its bearer may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::identity) struct TokenRights {
    scopes: Scopes,
    role: Option<Role>,
    allow: Allow,
}

/// Who calls, proved by a token or a session, with the rights its row gives now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    actor: Actor,
    /// Of a client.
    kind: Option<ClientKind>,
    role: Option<Role>,
    scopes: Scopes,
    allow: Allow,
    memberships: Vec<(AppId, Membership)>,
    origin: Origin,
    /// The client that holds the person's token.
    through: Option<ClientId>,
}

impl Principal {
    /// A client: what both its token and its row grant.
    pub(in crate::identity) fn of_client(client: &Client, token: &TokenRights, origin: Origin) -> Self {
        Self {
            actor: Actor::Client(client.client_id.clone()),
            kind: Some(client.kind),
            role: client.role.filter(|role| token.role == Some(*role)),
            scopes: token.scopes.narrowed_to(&client.scopes),
            allow: token.allow.intersection(&client.allow),
            memberships: Vec::new(),
            origin,
            through: None,
        }
    }

    /// A client that has just proved itself with its secret, to the authorization server: all that its row grants.
    pub(crate) fn of_authenticated_client(client: &Client, origin: Origin) -> Self {
        let all =
            TokenRights { scopes: client.scopes.clone(), role: client.role, allow: client.allow.clone() };
        Self::of_client(client, &all, origin)
    }

    /// A person whose token a client holds: what token, client and person all grant. Memberships are the person's own,
    /// in the browser; a token reaches nothing by them.
    pub(in crate::identity) fn of_user_by_client(
        user: &User,
        client: &Client,
        token: &TokenRights,
        origin: Origin,
    ) -> Self {
        let both = Self::of_client(client, token, origin);
        let own = Self::of_user(user.id, user.role, Vec::new(), origin);
        Self {
            actor: own.actor,
            kind: own.kind,
            role: both.role.filter(|role| user.role == Some(*role)),
            scopes: both.scopes.narrowed_to(&own.scopes),
            through: Some(client.client_id.clone()),
            ..both
        }
    }

    /// A person with a session.
    pub(in crate::identity) fn of_user(
        id: UserId,
        role: Option<Role>,
        memberships: Vec<(AppId, Membership)>,
        origin: Origin,
    ) -> Self {
        let scopes = if role.is_some() { Scope::ALL.into_iter().collect() } else { Scopes::default() };
        Self {
            actor: Actor::User(id),
            kind: None,
            role,
            scopes,
            allow: Allow::default(),
            memberships,
            origin,
            through: None,
        }
    }

    /// The audit record of what it does here and now, ended well; fill in the rest with struct update.
    pub fn event(&self, action: Action) -> Event {
        let subject = self.through.as_ref().map(|client| format!("client:{client}"));
        Event { subject, ..Event::new(self.actor.clone(), action, self.origin) }
    }

    /// For audit records and "connected by".
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Where the request came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The person, where it is one.
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User(id) => Some(id),
            Actor::Client(_) | Actor::System => None,
        }
    }

    /// Unconfined superadmin with `scope`: administers the instance.
    pub fn superadmin(&self, scope: Scope) -> Result<Superadmin, Denied> {
        let may =
            self.role == Some(Role::Superadmin) && !self.allow.is_confined() && self.scopes.grants(scope);
        if may { Ok(Superadmin { principal: self.clone() }) } else { Err(Denied::Forbidden) }
    }

    /// A client with `signups:write` that sends its own people to connect accounts: a service provider within its
    /// locations, or an unconfined superadmin. A confined superadmin receives tokens and does nothing else.
    pub fn sends_people(&self) -> Result<SendsPeople, Denied> {
        let sends = match self.role {
            None => self.kind == Some(ClientKind::Provider),
            Some(Role::Superadmin) => !self.allow.is_confined(),
        };
        match &self.actor {
            Actor::Client(client) if sends && self.scopes.grants(Scope::SignupsWrite) => {
                Ok(SendsPeople { principal: self.clone(), client: client.clone() })
            }
            Actor::Client(_) | Actor::User(_) | Actor::System => Err(Denied::Forbidden),
        }
    }

    /// Superadmin with `binb:read` for this location: receives tokens and reads their status.
    pub fn may_receive(&self, app: &AppId, connector: &ConnectorId) -> Result<MayReceive, Denied> {
        let may = self.role == Some(Role::Superadmin)
            && self.scopes.grants(Scope::BinbRead)
            && self.allow.matches(app, connector);
        if !may {
            return Err(Denied::Forbidden);
        }
        let (app, connector) = (app.clone(), connector.clone());
        Ok(MayReceive { principal: self.clone(), app, connector, only_of: None })
    }

    /// May connect accounts of `app`: a member, an admin of the app, or a superadmin.
    pub fn member(&self, app: &AppId) -> Result<Member, Denied> {
        let role = self.membership(app);
        let superadmin = self.role == Some(Role::Superadmin) && !self.allow.is_confined();
        if role.is_none() && !superadmin {
            return Err(Denied::Forbidden);
        }
        let admin = superadmin || role == Some(Membership::AppAdmin);
        Ok(Member { principal: self.clone(), app: app.clone(), admin })
    }

    /// Decides over other people's connections of `app`.
    pub fn app_admin(&self, app: &AppId) -> Result<AppAdmin, Denied> {
        let member = self.member(app)?;
        if member.admin { Ok(AppAdmin { member }) } else { Err(Denied::Forbidden) }
    }

    fn membership(&self, app: &AppId) -> Option<Membership> {
        self.memberships.iter().find(|(own, _)| own == app).map(|(_, role)| *role)
    }
}

/// Administers the instance.
#[derive(Clone, Debug)]
pub struct Superadmin {
    principal: Principal,
}

impl Superadmin {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether somebody with these rights has no more than this superadmin: nobody makes, widens or gives a
    /// secret to a client or user whose rights exceed his own.
    pub fn covers(&self, scopes: &Scopes) -> bool {
        self.principal.scopes.covers(scopes)
    }
}

/// Sends its own people to connect accounts.
#[derive(Clone, Debug)]
pub struct SendsPeople {
    principal: Principal,
    client: ClientId,
}

impl SendsPeople {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Which client.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// Refuses what is outside of the client's locations.
    ///
    /// # Errors
    /// [`Denied::Forbidden`], before anything is looked up.
    pub fn check(&self, app: &AppId, connector: &ConnectorId) -> Result<(), Denied> {
        if self.principal.allow.matches(app, connector) { Ok(()) } else { Err(Denied::Forbidden) }
    }
}

/// Receives tokens of one app's connector.
#[derive(Clone, Debug)]
pub struct MayReceive {
    principal: Principal,
    app: AppId,
    connector: ConnectorId,
    only_of: Option<UserId>,
}

impl MayReceive {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Of which app.
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// Of which connector.
    pub fn connector(&self) -> &ConnectorId {
        &self.connector
    }

    /// Whether this connection is among them: in an exchange only one that the person made, or an app admin shares.
    ///
    /// Who could write rows but has no key gives nobody either.
    pub fn reaches(&self, connection: &Connection, vault: &Vault) -> bool {
        let Some(user) = &self.only_of else { return true };
        let (notary, id, app, shared) = (vault.notary(), connection.id, &connection.app, connection.shared);
        let owner = connection.owner.as_deref().unwrap_or_default();
        let signed = |mac: &Option<Vec<u8>>, knows: &dyn Fn(&[u8]) -> bool| mac.as_deref().is_some_and(knows);
        let own = owner == Actor::User(*user).to_string()
            && signed(&connection.owner_mac, &|mac| notary.knows(&Owner { id, app, owner }, mac));
        own || (shared
            && signed(&connection.shared_mac, &|mac| notary.knows(&Sharing { id, app, shared }, mac)))
    }
}

/// Connects accounts of one app.
#[derive(Clone, Debug)]
pub struct Member {
    principal: Principal,
    app: AppId,
    admin: bool,
}

impl Member {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Of which app.
    pub fn app(&self) -> &AppId {
        &self.app
    }
}

/// Decides over other people's connections of one app.
#[derive(Clone, Debug)]
pub struct AppAdmin {
    member: Member,
}

impl AppAdmin {
    /// As a member.
    pub fn member(&self) -> &Member {
        &self.member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(scopes: &str, allow: Option<&str>) -> Client {
        Client {
            client_id: ClientId::parse("c1").unwrap(),
            identifier: "job".into(),
            kind: ClientKind::Service,
            role: Some(Role::Superadmin),
            scopes: Scopes::parse(scopes).unwrap(),
            resource_scopes: Default::default(),
            allow: Allow(allow.map(|text| vec![text.to_owned().try_into().unwrap()])),
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            jwks: None,
            refresh_tokens: false,
            token_lifetime_s: None,
            disabled: false,
            not_before: None,
            version: 1,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn rights(scopes: &str, role: Option<Role>) -> TokenRights {
        TokenRights { scopes: Scopes::parse(scopes).unwrap(), role, allow: Allow::default() }
    }

    fn principal(client: &Client, token: &str) -> Principal {
        Principal::of_client(client, &rights(token, Some(Role::Superadmin)), Origin::default())
    }

    #[test]
    fn a_confined_superadmin_receives_in_its_locations_and_does_nothing_else() {
        let confined = principal(&client("superadmin", Some("acme/github")), "superadmin");
        let (acme, globex) = (AppId::parse("acme").unwrap(), AppId::parse("globex").unwrap());
        let github = ConnectorId::parse("github").unwrap();
        assert!(confined.may_receive(&acme, &github).is_ok());
        assert!(confined.may_receive(&globex, &github).is_err());
        assert!(confined.superadmin(Scope::AppsRead).is_err());
        assert!(confined.member(&acme).is_err());
    }

    #[test]
    fn a_token_out_before_its_client_was_narrowed_gives_what_is_left() {
        let narrowed = principal(&client("apps:read", None), "superadmin");
        assert!(narrowed.superadmin(Scope::AppsRead).is_ok());
        assert!(narrowed.superadmin(Scope::AppsWrite).is_err());
    }

    #[test]
    fn a_token_out_before_its_client_was_widened_stays_as_narrow_as_it_was() {
        let mut token = rights("superadmin", Some(Role::Superadmin));
        token.allow = Allow(Some(vec!["acme/github".to_owned().try_into().unwrap()]));
        let principal = Principal::of_client(&client("superadmin", None), &token, Origin::default());
        let github = ConnectorId::parse("github").unwrap();
        assert!(principal.may_receive(&AppId::parse("acme").unwrap(), &github).is_ok());
        assert!(principal.may_receive(&AppId::parse("globex").unwrap(), &github).is_err());
        assert!(principal.superadmin(Scope::AppsRead).is_err());
    }

    #[test]
    fn the_role_must_be_in_the_token_too() {
        let client = client("superadmin", None);
        let principal = Principal::of_client(&client, &rights("binb:read", None), Origin::default());
        let github = ConnectorId::parse("github").unwrap();
        assert!(principal.may_receive(&AppId::parse("acme").unwrap(), &github).is_err());
    }

    #[test]
    fn members_connect_only_in_their_app() {
        let acme = AppId::parse("acme").unwrap();
        let user = UserId(uuid::Uuid::from_u128(1));
        let person =
            Principal::of_user(user, None, vec![(acme.clone(), Membership::Member)], Origin::default());
        assert!(person.member(&acme).is_ok() && person.app_admin(&acme).is_err());
        assert!(person.member(&AppId::parse("globex").unwrap()).is_err());
    }
}
