//! Does a store still hold what was delivered, and which secret does nobody use any more?

use jeton_client::secret_store::StoreFault;
use uuid::Uuid;

use super::deliver::Found;
use super::{Clients, Error};
use crate::identity::Superadmin;
use crate::model::client::ClientId;
use crate::model::delivery::{Delivery, DeliveryForm, DeliveryState};
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::secret_stores;

/// What a look into the store told.
#[derive(Debug)]
pub enum Drift {
    /// It holds what was delivered.
    None,
    /// The delivery is not finished.
    Pending,
    /// Nothing is there.
    Missing,
    /// Something is there that is no credential of this client.
    Foreign,
    /// Its secret is no live one.
    NotLive,
    /// Its secret still works, but another one was delivered last.
    Superseded,
    /// It says something else than the client is now.
    Outdated,
    /// The store gave nothing.
    Unreadable(secret_stores::Error),
}

impl Clients {
    /// Where a client's credential was delivered to, and what the store says of it now. Needs `clients:read`.
    pub async fn check_delivery(
        &self,
        _by: &Superadmin,
        id: &ClientId,
    ) -> Result<Option<(Delivery, Drift)>, Error> {
        let conn = self.tools.store.conn();
        let Some(delivery) = self.delivery(conn, id).await? else { return Ok(None) };
        let (client, secrets) = conn.find_client_and_secrets(id).await?.ok_or(Error::NotFound)?;
        let (client, _) = client.into_parts();
        let reference = self.place(&delivery.reference, &client.identifier)?;
        let drift = match self.look(&reference, id).await {
            Err(Error::Delivery(secret_stores::Error::Store(error)))
                if matches!(error.fault(), Some(StoreFault::Exists | StoreFault::Shared)) =>
            {
                Drift::Foreign
            }
            Err(Error::Delivery(error)) => Drift::Unreadable(error),
            Err(other) => return Err(other),
            Ok(Found { held: None, .. }) if delivery.state == DeliveryState::Pending => Drift::Pending,
            Ok(Found { held: None, .. }) => Drift::Missing,
            Ok(Found { held: Some(held), .. }) => {
                let now = self.credential(&client, jeton_client::Secret::new(""), delivery.version)?;
                let live = secrets.iter().any(|live| self.is_secret(id, &secrets, live.id, &held));
                if live && delivery.state == DeliveryState::Pending {
                    Drift::Pending
                } else if !live {
                    Drift::NotLive
                } else if !self.is_secret(id, &secrets, delivery.secret_id, &held) {
                    Drift::Superseded
                } else if delivery.form == DeliveryForm::Document
                    && (&now.token_endpoint, &now.scope, &now.audience)
                        != (&held.token_endpoint, &held.scope, &held.audience)
                {
                    Drift::Outdated
                } else {
                    Drift::None
                }
            }
        };
        Ok(Some((delivery, drift)))
    }

    /// Deletes secrets that were replaced in a store and that nobody uses any more; how many.
    pub async fn retire_superseded(&self) -> Result<usize, Error> {
        let mut retired = 0;
        for delivery in self.tools.store.conn().list_retiring_deliveries().await? {
            let delivery = self.tools.vault.check(delivery)?;
            let Some(previous) = delivery.previous_secret_id else { continue };
            let used_at = self.tools.store.conn().find_use_of_client_secret(previous).await?;
            if used_at.is_some_and(|used_at| !delivery.may_retire(used_at, self.tools.clock.now())) {
                continue;
            }
            retired += usize::from(self.retire(&delivery.client_id, previous).await?);
        }
        Ok(retired)
    }

    async fn retire(&self, id: &ClientId, secret: Uuid) -> Result<bool, Error> {
        let tx = self.tools.store.begin().await?;
        if !tx.conn().lock_client(id).await? {
            return Ok(false);
        }
        let Some(delivery) = self.delivery(tx.conn(), id).await? else { return Ok(false) };
        if delivery.previous_secret_id != Some(secret) || delivery.state != DeliveryState::Delivered {
            return Ok(false);
        }
        // Its tokens have ended: none lives longer than it was unused.
        tx.conn().delete_client_secret(id, secret).await?;
        let delivery = Delivery { previous_secret_id: None, ..delivery };
        tx.conn().put_delivery(&delivery, self.tools.vault.sign(&delivery)).await?;
        let event = Event::new(Actor::System, Action::ClientChange, Origin::default());
        let event = Event { subject: Some(format!("{id} superseded secret retired")), ..event };
        self.tools.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.recent.forget(id);
        Ok(true)
    }
}
