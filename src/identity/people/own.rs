//! What a person sees of their own and ends without an admin: browsers signed in, and applications let in.

use std::cmp::Reverse;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Error, People};
use crate::identity::session::SignedIn;
use crate::model::client::ClientId;
use crate::model::event::{Action, Event};
use crate::model::grant::{GrantType, GrantedScope};
use crate::model::person::Session;
use crate::model::principal::UserId;
use crate::model::uri::ResourceUri;
use crate::store::allowed::Allowed;

/// An application or script that a person has let in.
#[derive(Clone, Debug)]
pub struct LetIn {
    /// Its id.
    pub client_id: ClientId,
    /// What people call it.
    pub name: String,
    /// Whether it may swap the person's tokens for those of connected accounts.
    pub exchanges: bool,
    /// Since when.
    pub since: OffsetDateTime,
    /// What it may, the latest first; each for a resource server, or for the broker.
    pub scopes: Vec<(GrantedScope, Option<ResourceUri>)>,
    /// Whether it was given tokens that live; without, it may still have them without asking.
    pub holds_tokens: bool,
}

impl People {
    /// The person's live sessions, newest first.
    pub async fn own_sessions(&self, person: &SignedIn) -> Result<Vec<Session>, Error> {
        Ok(self.tools.store.conn().sessions_of(person.user.id).await?)
    }

    /// Ends one of the person's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] for another person's, and one that has ended.
    pub async fn end_own_session(&self, person: &SignedIn, session: Uuid) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        let own = tx.conn().sessions_of(person.user.id).await?.iter().any(|own| own.id == session);
        if !own || !tx.conn().delete_session(session).await? {
            return Err(Error::NotFound);
        }
        let event = person.principal.event(Action::Logout);
        self.tools.audit.record_in(tx.conn(), event).await?;
        Ok(tx.commit().await?)
    }

    /// Whom the person has let in, the latest first.
    pub async fn let_in(&self, person: &SignedIn) -> Result<Vec<LetIn>, Error> {
        let mut all: Vec<LetIn> = Vec::new();
        for (allowed, holds_tokens) in self.allowed(person.user.id).await? {
            let Allowed { client_id, scope, resource, since } = allowed;
            if let Some(one) = all.iter_mut().find(|one| one.client_id == client_id) {
                one.since = since;
                one.scopes.push((scope, resource));
                one.holds_tokens |= holds_tokens;
                continue;
            }
            // A client takes its grants along when it goes.
            let Some(client) = self.tools.store.conn().find_client(&client_id).await? else { continue };
            let client = client.into_parts().0;
            let exchanges = client.may_use(GrantType::TokenExchange);
            let (name, scopes) = (client.identifier, vec![(scope, resource)]);
            all.push(LetIn { client_id, name, exchanges, since, scopes, holds_tokens });
        }
        Ok(all)
    }

    /// All that a person allows, the latest first, and whether tokens came of it.
    async fn allowed(&self, user: UserId) -> Result<Vec<(Allowed, bool)>, Error> {
        let conn = self.tools.store.conn();
        let mut all: Vec<(Allowed, bool)> = Vec::new();
        for grant in conn.grants_of_user(user).await? {
            // Changed by SQL, it gives nothing: no tokens come of it.
            let Ok(grant) = self.tools.vault.check(grant) else { continue };
            let since = grant.created_at;
            let (client_id, scope, resource) = (grant.client_id, grant.scope, grant.resource);
            all.push((Allowed { client_id, scope, resource, since }, true));
        }
        for (device, since) in conn.allowed_devices_of(user).await? {
            let Ok(device) = self.tools.vault.check(device) else { continue };
            let (client_id, scope, resource) = (device.client_id, device.scope, device.resource);
            all.push((Allowed { client_id, scope, resource, since }, false));
        }
        all.extend(conn.waiting_codes_of(user).await?.into_iter().map(|code| (code, false)));
        all.extend(conn.consents_of(user).await?.into_iter().map(|consent| (consent, false)));
        all.sort_by_key(|(allowed, _)| Reverse(allowed.since));
        Ok(all)
    }

    /// Lets an application in no more: all its tokens for the person end, what it has not fetched yet as well, and it must
    /// ask again.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is nothing at all of it.
    pub async fn let_out(&self, person: &SignedIn, client: &ClientId) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        if !tx.conn().end_grants_between(person.user.id, client).await? {
            return Err(Error::NotFound);
        }
        let subject = Some(format!("client:{client}"));
        let event = Event { subject, ..person.principal.event(Action::GrantEnd) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        self.finish(tx, person.user.id).await
    }
}
