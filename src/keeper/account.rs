//! Is a token still of the account that was connected? Asked after a refresh was stored, also from the spool, and
//! where a probe asks for it.
//!
//! A token of another account parks its connection and is never handed out again. Whoever waited for the refresh waits
//! up to [`PATIENCE`] for this, too; a provider that answers later has its answer acted on when it comes, and until
//! then the token is served. A question that fails changes nothing: the next refresh asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::connectors::{Connector, Probe};
use crate::model::connection::Connection;
use crate::model::connector::{Account, Credentials, Definition};
use crate::model::secret::Secret;
use crate::store::token_sets::{Marked, TABLE};

use super::flight::{Trouble, Verdict};
use super::spooled::Answer;
use super::{Core, Error, Parts, account_fingerprint, refresh};

/// How long a refresh is held back for the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is tried to write down that the account is another.
const TRYING: Duration = Duration::from_secs(30);

/// What is compared: an access token, and the connection it should belong to.
pub(super) struct Comparison {
    parts: Parts,
    connection: Connection,
    known: Vec<u8>,
    access: Secret,
    connector: Arc<dyn Connector>,
    credentials: Credentials,
}

impl Comparison {
    /// `None` where the provider cannot be asked or nobody knows the account.
    pub(super) fn of(
        parts: &Parts,
        connection: &Connection,
        access: &Secret,
        (connector, credentials): (&Arc<dyn Connector>, &Credentials),
    ) -> Option<Self> {
        connector.definition().identity.as_ref()?;
        Some(Self {
            parts: parts.clone(),
            connection: connection.clone(),
            known: connection.account_fingerprint.clone()?,
            access: access.clone(),
            connector: Arc::clone(connector),
            credentials: credentials.clone(),
        })
    }

    /// Compares after a refresh; goes on where the provider takes longer than the callers wait. They get no token that
    /// is known to be of another account, also where it is in the spool still.
    pub(super) async fn after_refresh(self, verdict: Verdict) -> Verdict {
        let other = Arc::new(AtomicBool::new(false));
        let found = Arc::clone(&other);
        let asking = tokio::spawn(async move {
            match self.connector.identify(&self.credentials, &self.access).await {
                Ok(Some(account)) if self.is_other(&account) => {
                    found.store(true, Ordering::SeqCst);
                    self.keep_parking().await;
                }
                Ok(_) => {}
                Err(cause) => {
                    let Connection { app, connector, flow, .. } = &self.connection;
                    warn!(app.id = %app, connector = %connector, flow = %flow, %cause,
                        "the provider did not tell whose account a refreshed token is of");
                }
            }
        });
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, asking).await {
            error!(%error, "the comparison of an account had failed");
        }
        match verdict {
            Verdict::Spooled(_) if other.load(Ordering::SeqCst) => Verdict::Failed(Trouble::Storage),
            verdict => verdict,
        }
    }

    /// A probe at the identity address.
    pub(super) async fn probe(self) -> Probe {
        match self.connector.identify(&self.credentials, &self.access).await {
            Ok(Some(account)) => {
                if self.is_other(&account) {
                    self.keep_parking().await;
                }
                Probe::Works
            }
            Err(crate::connectors::Error::RequestRejected { .. }) => Probe::Rejected,
            Ok(None) | Err(_) => Probe::Unknown,
        }
    }

    fn is_other(&self, account: &Account) -> bool {
        let told = account_fingerprint(&self.parts.vault, &self.connection.connector, &account.id);
        told.to_vec() != self.known
    }

    async fn keep_parking(&self) {
        let Connection { connector, app, flow, .. } = &self.connection;
        let until = Instant::now() + TRYING;
        loop {
            match self.park().await {
                Ok(Marked::Nothing) if Instant::now() < until => {}
                Ok(_) => return,
                Err(cause) if Instant::now() < until => {
                    warn!(app.id = %app, connector = %connector, flow = %flow, %cause,
                        "could not yet write down that a token is of another account; trying again");
                }
                Err(cause) => {
                    error!(app.id = %app, connector = %connector, flow = %flow, %cause,
                        "could not write down that a token is of another account; the next refresh asks again");
                    return;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn park(&self) -> Result<Marked, Error> {
        let Connection { id, app, connector, flow, .. } = &self.connection;
        let access = self.parts.vault.hash_secret(TABLE, "access_fingerprint", b"", &self.access);
        let tx = self.parts.store.begin().await?;
        let marked = tx.conn().app(app).park_other_account(*id, access).await?;
        if let Marked::Current(set) = marked {
            let event = refresh::event(&self.connection, set, "account_changed");
            self.parts.audit.record_in(tx.conn(), event).await?;
        }
        tx.commit().await?;
        if matches!(marked, Marked::Current(_)) {
            warn!(app.id = %app, connector = %connector, flow = %flow,
                "the provider's token is of another account now; it is not handed out, a new consent is needed");
        }
        Ok(marked)
    }
}

impl Core {
    /// The comparison of an answer that came out of the spool: what asked when it came may have failed, or ended with
    /// its process. Nothing is asked where another set is current by now.
    pub(super) async fn compare_account(&self, answer: &Answer) {
        match self.comparison(answer).await {
            Ok(Some(comparison)) => {
                comparison.after_refresh(Verdict::Done).await;
            }
            Ok(None) => {}
            Err(cause) => {
                info!(app.id = %answer.app, connector = %answer.connector, flow = %answer.flow, %cause,
                "it was not asked whose account a token from the spool is of; the next refresh asks")
            }
        }
    }

    async fn comparison(&self, answer: &Answer) -> Result<Option<Comparison>, Error> {
        let found = self.find(&answer.app, &answer.connector, Some(&answer.flow)).await?;
        let connection = &found.held.connection;
        if connection.token_set.as_ref().is_none_or(|set| set.id != answer.set.id) {
            return Ok(None);
        }
        let definition = self.definition(&answer.connector).await?;
        let opened = self.credentials_of(connection, &definition).await?;
        let access = self.open_access(&found.held).await?.access;
        let connector = self.parts.registry.connector(&definition);
        Ok(Comparison::of(&self.parts, connection, &access, (&connector, &opened.credentials)))
    }
}

/// Whether a probe asks for the account, so that both can be learnt from one answer.
pub(super) fn is_probed_by_identity(definition: &Definition) -> bool {
    definition.probe_url.is_none() && definition.identity.is_some()
}
