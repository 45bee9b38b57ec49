//! What a person sees of their own and ends without an admin: browsers signed in, and applications let in.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Error, People};
use crate::identity::session::SignedIn;
use crate::model::client::{ClientId, ClientKind};
use crate::model::event::{Action, Event};
use crate::model::grant::Grant;
use crate::model::person::Session;

/// An application or script that a person has let in.
#[derive(Clone, Debug)]
pub struct LetIn {
    /// Its id.
    pub client_id: ClientId,
    /// What people call it.
    pub name: String,
    /// What may be asked by it.
    pub kind: ClientKind,
    /// Since when.
    pub since: OffsetDateTime,
    /// All that lives, newest first.
    pub grants: Vec<Grant>,
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
        let conn = self.tools.store.conn();
        let mut all: Vec<LetIn> = Vec::new();
        for grant in conn.grants_of_user(person.user.id).await? {
            // Changed by SQL, it gives nothing: no tokens come of it.
            let Ok(grant) = self.tools.vault.check(grant) else { continue };
            if let Some(one) = all.iter_mut().find(|one| one.client_id == grant.client_id) {
                one.since = grant.created_at;
                one.grants.push(grant);
                continue;
            }
            // A client takes its grants along when it goes.
            let Some(client) = conn.find_client(&grant.client_id).await? else { continue };
            let client = client.into_parts().0;
            let (client_id, since) = (grant.client_id.clone(), grant.created_at);
            all.push(LetIn {
                client_id,
                name: client.identifier,
                kind: client.kind,
                since,
                grants: vec![grant],
            });
        }
        Ok(all)
    }

    /// Lets an application in no more: all its tokens for the person end, and it must ask again.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was not let in.
    pub async fn let_out(&self, person: &SignedIn, client: &ClientId) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        if tx.conn().end_grants_between(person.user.id, client).await? == 0 {
            return Err(Error::NotFound);
        }
        let subject = Some(format!("client:{client}"));
        let event = Event { subject, ..person.principal.event(Action::GrantEnd) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        self.finish(tx, person.user.id).await
    }
}
