//! Which browser is at the provider, and what did it take along? Bounded, sealed, and used up once.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Error, Settings, Upstream, Visit, code};
use crate::identity::login;
use crate::identity::tools::Tools;
use crate::model::event::Origin;
use crate::model::secret::{KeyedHash, Secret};
use crate::model::ticket::Ticket;
use crate::model::time::{from_micros, to_micros};
use crate::store::upstream::{LOGINS, StoredLogin};
use crate::vault::{Place, Vault};

/// How long a browser may stay at the provider.
const PENDING: Duration = Duration::minutes(10);
/// Sign-ins under way over all replicas: of one network, and in all.
const PENDING_PER_NETWORK: u64 = 200;
const PENDING_IN_ALL: u64 = 10_000;

/// What a browser takes along, sealed in its row.
pub(super) struct Flow {
    pub(super) verifier: Secret,
    pub(super) return_to: Option<String>,
    /// The person must have signed in there since; then it is a sign-in, whoever is signed in here.
    pub(super) not_before: Option<OffsetDateTime>,
}

impl Upstream {
    pub(super) async fn insert(
        &self,
        state: &Ticket,
        browser: &Browser,
        flow: &Flow,
        origin: Origin,
    ) -> Result<(), Error> {
        let Tools { vault, store, .. } = &self.tools;
        let place = Place::of(LOGINS, "sealed_flow", state.id);
        let network = origin.address.map(login::network).map(|at| at.to_string()).unwrap_or_default();
        let network = vault.hash(LOGINS, "network_hash", b"", network.as_bytes());
        let tx = store.begin().await?;
        let now = tx.conn().signup_clock().await?;
        tx.conn().purge_upstream_logins(now).await?;
        let (of_network, in_all) = tx.conn().count_upstream_logins(network, now).await?;
        if in_all >= PENDING_IN_ALL {
            return Err(Error::Overloaded);
        }
        if of_network >= PENDING_PER_NETWORK {
            return Err(Error::TooManyPending);
        }
        let new = StoredLogin {
            id: state.id,
            state_hash: self.tools.hash(LOGINS, state, &self.subject(browser)),
            session: browser.session,
            network,
            flow: vault.seal(vault.instance_key(), &place, &flow.write())?,
            expires_at: now + PENDING,
        };
        tx.conn().insert_upstream_login(&new).await?;
        Ok(tx.commit().await?)
    }

    /// Uses the state up; whether it is about a link, and what the browser took along.
    pub(super) async fn take(&self, state: &Ticket, visit: Visit<'_>) -> Result<(bool, Flow), Error> {
        let tx = self.tools.store.begin().await?;
        let now = tx.conn().signup_clock().await?;
        let mut taken = None;
        for browser in self.browsers(visit) {
            let hash = self.tools.hash(LOGINS, state, &self.subject(&browser));
            taken = tx.conn().take_upstream_login(state.id, hash, browser.session, now).await?;
            if taken.is_some() {
                break;
            }
        }
        tx.commit().await?;
        let taken = taken.ok_or(Error::State)?;
        let vault = &self.tools.vault;
        let place = Place::of(LOGINS, "sealed_flow", taken.id);
        let flow = Flow::read(&vault.open(vault.instance_key(), &place, &taken.flow)?);
        Ok((taken.session.is_some() && flow.not_before.is_none(), flow))
    }

    /// Who this browser can be: the signed-in one, or the one from before.
    pub(super) fn browsers(&self, visit: Visit<'_>) -> Vec<Browser> {
        let vault = &self.tools.vault;
        let signed_in = visit.person.map(|person| {
            let id = person.session_id;
            Browser { session: Some(id), mark: vault.hash(LOGINS, "session", b"", id.as_bytes()) }
        });
        let before = visit
            .cookie
            .map(|cookie| Browser { session: None, mark: vault.hash_secret(LOGINS, "visit", b"", cookie) });
        signed_in.into_iter().chain(before).collect()
    }

    /// What must be the same when the browser comes back.
    fn subject(&self, browser: &Browser) -> Vec<u8> {
        let Settings { issuer, client_id, .. } = &self.settings;
        Vault::row(&[&browser.mark.0, issuer.as_bytes(), client_id.as_bytes()])
    }

    /// Made of the state, so that it need not be kept: one cannot be had of the other without the instance's key.
    pub(super) fn nonce(&self, state: &Ticket) -> String {
        let hash = self.tools.vault.hash_secret(LOGINS, "nonce", state.id.as_bytes(), &state.secret);
        URL_SAFE_NO_PAD.encode(hash.0)
    }
}

/// One that this browser can be.
pub(super) struct Browser {
    session: Option<Uuid>,
    mark: KeyedHash,
}

impl Flow {
    fn write(&self) -> Secret {
        let return_to = self.return_to.as_deref().unwrap_or_default();
        let not_before = self.not_before.map(|at| to_micros(at).to_string()).unwrap_or_default();
        Secret::new(format!("{} {not_before} {return_to}", code::plain(&self.verifier)))
    }

    fn read(text: &Secret) -> Self {
        let (verifier, rest) = code::plain(text).split_once(' ').unwrap_or_default();
        let (not_before, return_to) = rest.split_once(' ').unwrap_or_default();
        let return_to = Some(return_to.to_owned()).filter(|path| !path.is_empty());
        Self {
            verifier: Secret::new(verifier),
            return_to,
            not_before: not_before.parse().ok().map(from_micros),
        }
    }
}
