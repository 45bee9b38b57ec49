//! A client's credential goes into a secret store instead of into an answer.
//!
//! In steps, of which any can be the last before a crash: look that nothing foreign is there; commit a row that says
//! "pending", with the new secret's hash; write it; read it back; make it the current one; commit "delivered". The
//! plaintext is kept nowhere. So whoever resumes makes another secret, unless the store has the pending one already,
//! which its hash tells. The secret before lives on until nobody uses it.

use std::sync::Arc;

use jeton_client::secret_store::{Expected, Reference, SecretStore, ServiceCredential, StoreFault};
use url::Url;
use uuid::Uuid;

use super::rules::cover;
use super::secrets::MAX_SECRETS;
use super::{Clients, Created, Error, NewClient, NewSecret, Spare};
use crate::identity::Superadmin;
use crate::model::client::{Client, ClientId};
use crate::model::delivery::{Delivery, DeliveryForm, DeliveryState};
use crate::model::public_url::PublicUrl;
use crate::model::secret::Secret;
use crate::secret_stores::{self, SecretStores};
use crate::store::Conn;
use crate::store::clients::ClientSecret;
use crate::vault::Vault;

/// Where credentials go, and what is written into them.
pub struct Post {
    /// The stores that the operator named.
    pub stores: SecretStores,
    /// Who issues tokens.
    pub issuer: PublicUrl,
    /// First part of generated names.
    pub stack: String,
}

/// A way to a store, and what was found there.
pub(super) struct Found {
    store: Arc<dyn SecretStore>,
    expected: Expected,
    pub(super) held: Option<ServiceCredential>,
}

impl Clients {
    /// Where credentials may go; nowhere without this.
    #[must_use]
    pub fn with_post(self, post: Post) -> Self {
        Self { post: Some(post), ..self }
    }

    /// Makes a client whose secret goes to `to`: a reference, or a place where it gets a generated name. Needs
    /// `clients:write`.
    pub async fn create_delivered(
        &self,
        by: &Superadmin,
        new: NewClient,
        (to, form): (&str, DeliveryForm),
    ) -> Result<(Created, Delivery), Error> {
        if !new.kind.is_confidential() || new.jwks.is_some() {
            return Err(Error::Invalid { field: "deliver_to", reason: "is for clients that keep a secret" });
        }
        let reference = self.place(to, &new.identifier)?;
        let store = self.post()?.stores.open(&reference)?;
        // Before anything is made.
        if store.get().await.map_err(secret_stores::Error::from)?.is_some() {
            return Err(occupied(&reference));
        }
        let (mut created, delivery) = self.make(by, new, Some((&reference, form))).await?;
        let (Some(secret), Some(delivery)) = (created.secret.take(), delivery) else {
            return Err(Error::Invalid { field: "deliver_to", reason: "is for clients that keep a secret" });
        };
        let found = Found { store, expected: Expected::Absent, held: None };
        let delivered = self.hand_in(by, &created.client, &secret, delivery, &found).await;
        let delivery =
            delivered.map_err(|cause| Error::HalfDone(created.client.client_id.clone(), Box::new(cause)))?;
        Ok((created, delivery))
    }

    /// Finishes a delivery that is pending, else delivers a new secret in place of the one before; to `to`, or where it
    /// went before. Needs `clients:write`.
    pub async fn deliver(
        &self,
        by: &Superadmin,
        id: &ClientId,
        (to, form): (Option<&str>, Option<DeliveryForm>),
    ) -> Result<Delivery, Error> {
        let conn = self.tools.store.conn();
        let (client, secrets) = conn.find_client_and_secrets(id).await?.ok_or(Error::NotFound)?;
        let client = self.tools.vault.check(client)?;
        cover(by, &client)?;
        let before = self.delivery(conn, id).await?;
        let to = to.or(before.as_ref().map(|before| before.reference.as_str()));
        let to = to.ok_or(Error::Invalid {
            field: "deliver_to",
            reason: "must say where: nothing was delivered before",
        })?;
        let reference = self.place(to, &client.identifier)?;
        let found = self.look(&reference, id).await?;
        let here = before.as_ref().filter(|before| before.reference == reference.to_string());
        let held = found.held.as_ref();
        let is_there =
            |one: &Delivery| held.is_some_and(|held| self.is_secret(id, &secrets, one.secret_id, held));
        if let Some(pending) = here.filter(|one| one.state == DeliveryState::Pending && is_there(one)) {
            return self.finish_delivery(by, pending.clone()).await;
        }
        let lost = here.filter(|one| one.state == DeliveryState::Delivered && !is_there(one));
        let lost = lost.map(|one| one.secret_id);
        let seen = before.as_ref().map(|before| before.secret_id);
        let begun = self.begin_delivery(by, id, (&reference, form), seen).await;
        let (secret, delivery) = begun.map_err(|error| match (error, lost) {
            (Error::TwoSecrets(client, _), Some(lost)) if is_live(&secrets, lost) => {
                Error::TwoSecrets(client, Spare::Lost(lost))
            }
            (error, _) => error,
        })?;
        self.hand_in(by, &client, &secret, delivery, &found).await
    }

    fn issuer(&self) -> Result<Url, Error> {
        Url::parse(self.post()?.issuer.as_str()).map_err(|_| no_url())
    }

    fn post(&self) -> Result<&Post, Error> {
        self.post.as_ref().ok_or(Error::Invalid {
            field: "deliver_to",
            reason: "needs `secret_stores.deliver_to` in the configuration",
        })
    }

    pub(super) fn place(&self, to: &str, identifier: &str) -> Result<Reference, Error> {
        let named = Reference::named(to, &self.post()?.stack, identifier);
        Ok(named.map_err(|error| secret_stores::Error::Store(error.into()))?)
    }

    pub(super) async fn delivery(&self, conn: Conn<'_>, id: &ClientId) -> Result<Option<Delivery>, Error> {
        let found = conn.find_delivery(id).await?;
        Ok(found.map(|delivery| self.tools.vault.check(delivery)).transpose()?)
    }

    /// What is there, if it is this client's.
    pub(super) async fn look(&self, reference: &Reference, id: &ClientId) -> Result<Found, Error> {
        let store = self.post()?.stores.open(reference)?;
        let Some(stored) = store.get().await.map_err(secret_stores::Error::from)? else {
            return Ok(Found { store, expected: Expected::Absent, held: None });
        };
        let held = ServiceCredential::read_at(&stored.value, Some(&self.issuer()?))
            .ok()
            .filter(|held| held.client_id == id.as_str());
        let held = held.ok_or_else(|| occupied(reference))?;
        Ok(Found { store, expected: Expected::Version(stored.version), held: Some(held) })
    }

    /// A new secret and the row that says so, committed.
    pub(super) async fn begin_delivery(
        &self,
        by: &Superadmin,
        id: &ClientId,
        (reference, form): (&Reference, Option<DeliveryForm>),
        seen: Option<Uuid>,
    ) -> Result<(NewSecret, Delivery), Error> {
        let tx = self.tools.store.begin().await?;
        let client = self.locked(&tx, id, None).await?;
        cover(by, &client)?;
        if !client.kind.is_confidential() {
            return Err(Error::Invalid {
                field: "kind",
                reason: "is programmatic: such a client cannot keep a secret",
            });
        }
        let before = self.delivery(tx.conn(), id).await?;
        // Whoever else is at it has a secret that may be current in a moment: it must not be deleted.
        if before.as_ref().is_some_and(|before| before.is_under_way(self.tools.clock.now())) {
            return Err(Error::UnderWay);
        }
        if before.as_ref().map(|before| before.secret_id) != seen {
            return Err(Error::Changed);
        }
        if let Some(pending) = before.as_ref().filter(|before| before.state == DeliveryState::Pending) {
            if pending.reference != reference.to_string() {
                return Err(Error::Invalid {
                    field: "deliver_to",
                    reason: "is not where the pending delivery goes, which may have arrived there: finish that one first",
                });
            }
            // It was given to nobody, or lies where nobody reads it.
            tx.conn().delete_client_secret(id, pending.secret_id).await?;
        }
        let live = tx.conn().list_client_secrets(id).await?;
        if live.len() >= MAX_SECRETS {
            let retiring = before.filter(|before| before.state == DeliveryState::Delivered);
            let replaced = retiring.and_then(|before| before.previous_secret_id);
            let replaced = replaced.filter(|one| is_live(&live, *one));
            return Err(Error::TwoSecrets(id.clone(), replaced.map_or(Spare::Unknown, Spare::Replaced)));
        }
        let version = before.as_ref().map_or(1, |before| before.version.saturating_add(1));
        // One that is gone, by us or by hand, leaves the one before it to be retired.
        let previous = before.as_ref().and_then(|before| {
            if is_live(&live, before.secret_id) { Some(before.secret_id) } else { before.previous_secret_id }
        });
        let form = form.or(before.map(|before| before.form)).unwrap_or_default();
        let secret = self.insert_secret(tx.conn(), id).await?;
        let delivery = self.pending(id, (reference, form), &secret, (version, previous));
        tx.conn().put_delivery(&delivery, self.tools.vault.sign(&delivery)).await?;
        self.finish(tx, by, id, "delivery begun").await?;
        Ok((secret, delivery))
    }

    pub(super) fn pending(
        &self,
        id: &ClientId,
        (reference, form): (&Reference, DeliveryForm),
        secret: &NewSecret,
        (version, previous_secret_id): (i64, Option<Uuid>),
    ) -> Delivery {
        Delivery {
            client_id: id.clone(),
            reference: reference.to_string(),
            version,
            form,
            state: DeliveryState::Pending,
            secret_id: secret.id,
            previous_secret_id,
            changed_at: self.tools.clock.now(),
        }
    }

    /// Writes, reads back, makes current, and says so.
    async fn hand_in(
        &self,
        by: &Superadmin,
        client: &Client,
        secret: &NewSecret,
        delivery: Delivery,
        found: &Found,
    ) -> Result<Delivery, Error> {
        let credential = self.credential(client, plain(&secret.secret), delivery.version)?;
        let document = match delivery.form {
            DeliveryForm::Document => credential.document(),
            DeliveryForm::Pair => credential.pair(),
        };
        if let Err(error) = write(found, &document).await {
            self.give_up(&delivery).await?;
            return Err(error.into());
        }
        self.finish_delivery(by, delivery).await
    }

    /// Nobody is at this delivery any more: it can be tried again at once.
    async fn give_up(&self, pending: &Delivery) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        let now = self.delivery(tx.conn(), &pending.client_id).await?;
        if now.is_some_and(|now| now.secret_id == pending.secret_id && now.state == DeliveryState::Pending) {
            let given_up = pending.given_up();
            tx.conn().put_delivery(&given_up, self.tools.vault.sign(&given_up)).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn finish_delivery(&self, by: &Superadmin, pending: Delivery) -> Result<Delivery, Error> {
        let tx = self.tools.store.begin().await?;
        self.locked(&tx, &pending.client_id, None).await?;
        let now = self.delivery(tx.conn(), &pending.client_id).await?;
        if now.is_none_or(|now| now.secret_id != pending.secret_id) {
            return Err(Error::Changed);
        }
        let delivery =
            Delivery { state: DeliveryState::Delivered, changed_at: self.tools.clock.now(), ..pending };
        tx.conn().put_delivery(&delivery, self.tools.vault.sign(&delivery)).await?;
        self.finish(tx, by, &delivery.client_id, "credential delivered").await?;
        Ok(delivery)
    }

    pub(super) fn credential(
        &self,
        client: &Client,
        secret: jeton_client::Secret,
        version: i64,
    ) -> Result<ServiceCredential, Error> {
        let issuer = self.issuer()?;
        let base = issuer.as_str().trim_end_matches('/');
        let token_endpoint = Url::parse(&format!("{base}/o/token/")).map_err(|_| no_url())?;
        let scope = client.scope().to_string();
        // One that is for a single resource server asks for its tokens, as it would without saying so.
        let audience = match client.resources.as_slice() {
            [only] => Some(only.as_str().to_owned()),
            _ => None,
        };
        Ok(ServiceCredential {
            issuer,
            token_endpoint,
            client_id: client.client_id.to_string(),
            client_secret: secret,
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            audience,
            version: version.unsigned_abs(),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "door: what a store holds, compared with a keyed hash")]
    pub(super) fn is_secret(
        &self,
        id: &ClientId,
        secrets: &[ClientSecret],
        wanted: Uuid,
        held: &ServiceCredential,
    ) -> bool {
        let presented = Secret::new(held.client_secret.expose_secret());
        let row = Vault::row(&[wanted.as_bytes(), id.as_str().as_bytes()]);
        secrets.iter().filter(|secret| secret.id == wanted).any(|secret| {
            self.tools.vault.hash_matches("client_secret", "secret_hash", &row, &presented, &secret.hash)
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "door: a client's secret, on its way into the store that was named"
)]
fn plain(secret: &Secret) -> jeton_client::Secret {
    jeton_client::Secret::new(secret.expose_secret())
}

fn is_live(secrets: &[ClientSecret], id: Uuid) -> bool {
    secrets.iter().any(|secret| secret.id == id)
}

fn no_url() -> Error {
    Error::Invalid { field: "deliver_to", reason: "needs a public URL that can have a path" }
}

/// Writes, reads back, makes current.
async fn write(found: &Found, document: &jeton_client::Secret) -> Result<(), secret_stores::Error> {
    let store = &found.store;
    let version = store.put(document, &found.expected).await?;
    if !store.read_back(&version).await?.is_some_and(|back| back.is(document)) {
        return Err(secret_stores::Error::NotReadBack(store.reference().clone()));
    }
    Ok(store.activate(&version, &found.expected).await?)
}

fn occupied(reference: &Reference) -> Error {
    let fault = jeton_client::secret_store::StoreError::Fault {
        reference: reference.clone(),
        fault: StoreFault::Exists,
    };
    secret_stores::Error::from(fault).into()
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
