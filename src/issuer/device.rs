//! The device flow (RFC 8628): a script shows a code, its person types it into a page here and says yes.

use time::Duration;

use crate::identity::login::network;
use crate::identity::session::SignedIn;
use crate::model::client::Client;
use crate::model::entropy::{Entropy, uuid};
use crate::model::event::{Action, Event, Origin};
use crate::model::grant::{DeviceAnswer, DeviceCode, Grant, GrantId, GrantType, GrantedScope};
use crate::model::own::Unchecked;
use crate::model::scope::Scope;
use crate::model::secret::{KeyedHash, Secret};
use crate::model::ticket::Ticket;
use crate::store::device_codes::{DeviceHashes, WaitingDevices};

use super::client_credentials::Asked;
use super::code::parse;
use super::mint::{IssuedTokens, Minted, Minting};
use super::target::{Target, given_by, within};
use super::{Error, Issuer};

/// How long a device waits.
const LIFE: Duration = Duration::minutes(10);
/// How far its polls lie apart, in seconds.
const INTERVAL_S: i64 = 5;
/// How many devices may wait: for one client in one network, for one client, and in all.
const WAITING: WaitingDevices = WaitingDevices { of_network: 100, of_client: 1_000, all: 10_000 };
/// When one that finds no place may ask again: places become free as people answer.
const FULL_RETRY_S: u64 = 60;
/// Letters of a user code: none reads like another, and no words come of them (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LEN: usize = 8;
/// Codes somebody may type wrongly within a quarter of an hour: one person, and all together.
const WRONG: (i64, i64) = (10, 1_000);
const WINDOW_US: i64 = 15 * 60 * 1_000_000;

/// What a device is answered (RFC 8628 §3.2).
#[derive(Debug)]
pub struct DeviceAuthorization {
    /// What it polls with.
    pub device_code: Secret,
    /// What the person types.
    pub user_code: Secret,
    /// Seconds both live.
    pub expires_in_s: i64,
    /// Seconds between polls.
    pub interval_s: i64,
}

/// A device that waits, as its person sees it.
#[derive(Clone, Debug)]
pub struct WaitingDevice {
    /// Which client.
    pub client: Client,
    /// What this person would give it.
    pub scope: GrantedScope,
    /// For which other resource server.
    pub resource: Option<String>,
    /// What the person typed, as the device shows it.
    pub user_code: String,
    code: DeviceCode,
}

impl WaitingDevice {
    /// What it asks for, where this person has nothing of it to give.
    pub fn asks_in_vain(&self) -> Option<&GrantedScope> {
        let asked = &self.code.scope;
        (self.scope.is_empty() && !asked.is_empty()).then_some(asked)
    }
}

impl Issuer {
    /// Begins for a device.
    pub async fn authorize_device(
        &self,
        client: &Client,
        asked: &Asked,
        origin: Origin,
    ) -> Result<DeviceAuthorization, Error> {
        self.demand(client, GrantType::DeviceCode)?;
        let target = self.target(client, asked.resource.as_deref()).await?;
        let scope = within(target.available(client), asked.scope.as_deref())?;
        let conn = self.store.conn();
        let network = self.network_hash(origin);
        let waiting = conn.count_device_codes(&client.client_id, network).await?;
        // Anybody can say the name of a public client: whoever floods it has a place of his own to fill.
        if waiting.of_network >= WAITING.of_network {
            return Err(Error::TooManyDevices { retry_after_s: FULL_RETRY_S });
        }
        if waiting.of_client >= WAITING.of_client || waiting.all >= WAITING.all {
            return Err(Error::Overloaded);
        }
        let user_code = user_code(&*self.entropy);
        let ticket = Ticket::new(uuid(&*self.clock, &*self.entropy), &*self.entropy);
        let code = DeviceCode {
            id: ticket.id,
            client_id: client.client_id.clone(),
            scope,
            resource: target.uri().cloned(),
            answer: DeviceAnswer::Pending,
            expires_at: self.clock.now() + LIFE,
            user_code: self.user_code_hash(&user_code),
        };
        let hashes = DeviceHashes {
            code: self.tools().hash("device_code", &ticket, client.client_id.as_str().as_bytes()),
            own_mac: self.vault.sign(&code),
            network,
        };
        conn.insert_device_code(&code, hashes, INTERVAL_S * 1_000_000).await?;
        Ok(DeviceAuthorization {
            device_code: ticket.text(),
            user_code: Secret::new(spaced(&user_code)),
            expires_in_s: LIFE.whole_seconds(),
            interval_s: INTERVAL_S,
        })
    }

    /// The device whose code a person typed. Wrong codes are counted, over all replicas: each before it is looked up, so
    /// that many at once cannot slip by; a right one is taken back.
    pub async fn find_device(&self, person: &SignedIn, typed: &str) -> Result<WaitingDevice, Error> {
        let limits = self.wrong_code_limits(person);
        if let Some(failures) = self.store.count_attempt(&limits, WINDOW_US).await? {
            return Err(too_many(failures.ends_in_us));
        }
        let typed = canonical(typed);
        let found = match &typed {
            Some(code) => self.store.conn().find_user_code(self.user_code_hash(code)).await?,
            None => None,
        };
        let code = found.ok_or(Error::InvalidGrant("no device waits with this code"))?;
        let tx = self.store.begin().await?;
        for (key, _) in limits {
            tx.conn().uncount_failure(key).await?;
        }
        tx.commit().await?;
        let code = self.vault.check(code)?;
        let client = self.store.conn().find_client(&code.client_id).await?;
        let client = client.map(|client| self.vault.check(client)).transpose()?;
        let gone = Error::InvalidGrant("the application is not known here any more, or was disabled");
        let client = client.filter(|client| !client.disabled).ok_or(gone)?;
        let target = match self.same_target(code.resource.as_ref(), None).await {
            Err(Error::InvalidTarget) => {
                return Err(Error::InvalidGrant("what it wants to use is not known here any more"));
            }
            other => other?,
        };
        let scope = given_by(&person.user, &client, GrantType::DeviceCode, &code.scope)
            .narrowed_to(&target.available(&client));
        let resource = code.resource.as_ref().map(|uri| uri.as_str().to_owned());
        let user_code = spaced(&typed.unwrap_or_default());
        Ok(WaitingDevice { client, scope, resource, user_code, code })
    }

    /// Writes down what the person said, of a yes also to what; `false` where the device waits no more.
    pub async fn answer_device(
        &self,
        person: &SignedIn,
        device: &WaitingDevice,
        yes: bool,
    ) -> Result<bool, Error> {
        let approved = DeviceAnswer::Approved { user: person.user.id, auth_time: person.signed_in_at };
        let (answer, scope) =
            if yes { (approved, &device.scope) } else { (DeviceAnswer::Denied, &device.code.scope) };
        let code = DeviceCode { answer, scope: scope.clone(), ..device.code.clone() };
        let tx = self.store.begin().await?;
        if !tx.conn().hold_session(person.session_id).await? {
            return Err(Error::SignedOut);
        }
        if !tx.conn().answer_device_code(&code, self.vault.sign(&code)).await? {
            return Ok(false);
        }
        let result = if yes { "ok" } else { "denied" };
        let subject = Some(format!("client:{} device:{} {}", device.client.client_id, code.id, device.scope));
        let event = person.principal.event(Action::GrantApprove);
        self.audit.record_in(tx.conn(), Event { subject, result, ..event }).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Answers a device that polls (RFC 8628 §3.5); a `resource` it names must be the one it began with (RFC 8707 §2.2).
    pub async fn poll_device(
        &self,
        client: &Client,
        device_code: &Secret,
        resource: Option<&str>,
        origin: Origin,
    ) -> Result<IssuedTokens, Error> {
        self.demand(client, GrantType::DeviceCode)?;
        let unknown = Error::InvalidGrant("the device code is unknown or used");
        let Some(ticket) = parse(device_code) else { return Err(unknown) };
        let Some(stored) = self.store.conn().find_device_code(ticket.id).await? else { return Err(unknown) };
        let fits =
            self.tools().fits("device_code", &ticket, client.client_id.as_str().as_bytes(), &stored.hash);
        if !fits {
            return Err(unknown);
        }
        let code = self.own_code(stored.code, client)?;
        if code.expires_at <= self.clock.now() {
            return Err(Error::ExpiredToken);
        }
        let target = self.same_target(code.resource.as_ref(), resource).await?;
        match code.answer {
            DeviceAnswer::Pending if self.store.conn().note_poll(code.id).await? => {
                Err(Error::AuthorizationPending)
            }
            DeviceAnswer::Pending => {
                self.store.conn().slow_down(code.id, INTERVAL_S * 1_000_000).await?;
                Err(Error::SlowDown)
            }
            DeviceAnswer::Denied => Err(Error::AccessDenied("the person said no")),
            DeviceAnswer::Approved { user, auth_time } => {
                self.redeem_device(client, &code, &target, (user, auth_time), origin).await
            }
        }
    }

    fn own_code(&self, code: Unchecked<DeviceCode>, client: &Client) -> Result<DeviceCode, Error> {
        let code = self.vault.check(code)?;
        let own = code.client_id == client.client_id;
        if own { Ok(code) } else { Err(Error::InvalidGrant("the device code is unknown or used")) }
    }

    async fn redeem_device(
        &self,
        client: &Client,
        code: &DeviceCode,
        target: &Target,
        (user, auth_time): (crate::model::principal::UserId, Option<time::OffsetDateTime>),
        origin: Origin,
    ) -> Result<IssuedTokens, Error> {
        let user = self.person(user).await?;
        let scope = given_by(&user, client, GrantType::DeviceCode, &code.scope)
            .narrowed_to(&target.available(client));
        if scope.is_empty() && !code.scope.is_empty() {
            return Err(Error::AccessDenied("nothing is left of what was granted"));
        }
        let offline = client.refresh_tokens || scope.own.contains(Scope::OfflineAccess);
        let refreshes = offline && client.may_use(GrantType::RefreshToken);
        let grant = Grant {
            id: GrantId(uuid(&*self.clock, &*self.entropy)),
            client_id: client.client_id.clone(),
            user: Some(user.id),
            begun_by: GrantType::DeviceCode,
            scope: scope.clone(),
            resource: code.resource.clone(),
            auth_time,
            created_at: self.clock.now(),
            expires_at: self.grant_ends(client, refreshes),
        };
        let minting = Minting { client, target, scope, grant: Some(&grant), user: Some(&user), nonce: None };
        let Minted { mut tokens, event } = self.mint(minting, origin).await?;
        let tx = self.store.begin().await?;
        if !tx.conn().take_device_code(code.id).await? {
            return Err(Error::InvalidGrant("the device code is unknown or used"));
        }
        let ended = self.insert_grant(tx.conn(), &grant, origin).await?;
        if refreshes {
            tokens.refresh_token = Some(self.insert_refresh_token(tx.conn(), &grant).await?);
        }
        self.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        self.forget_grants(ended);
        Ok(tokens)
    }

    fn user_code_hash(&self, code: &str) -> KeyedHash {
        self.vault.hash("device_code", "user_code_hash", b"", code.as_bytes())
    }

    fn network_hash(&self, origin: Origin) -> KeyedHash {
        let network = origin.address.map(network).map(|at| at.to_string()).unwrap_or_default();
        self.vault.hash("device_code", "network_hash", b"", network.as_bytes())
    }

    fn wrong_code_limits(&self, person: &SignedIn) -> [(KeyedHash, i64); 2] {
        let key = |who: &[u8]| self.vault.hash("attempt", "user_code", b"", who);
        [(key(person.user.id.0.as_bytes()), WRONG.0), (key(b""), WRONG.1)]
    }
}

fn too_many(ends_in_us: i64) -> Error {
    let retry_after_s = u64::try_from(ends_in_us / 1_000_000).unwrap_or_default().saturating_add(1);
    Error::TooManyFailures { retry_after_s }
}

fn user_code(entropy: &dyn Entropy) -> String {
    let mut code = String::new();
    while code.len() < USER_CODE_LEN {
        let mut byte = [0_u8; 1];
        entropy.fill(&mut byte);
        // 240 is twelve times twenty: each letter is as likely as another.
        let letter = LETTERS.get(usize::from(byte[0] % 20)).filter(|_| byte[0] < 240);
        code.extend(letter.map(|letter| char::from(*letter)));
    }
    code
}

/// As it is shown: in two halves.
fn spaced(code: &str) -> String {
    let (first, second) = code.split_at_checked(USER_CODE_LEN / 2).unwrap_or((code, ""));
    format!("{first}-{second}")
}

/// What somebody typed: without regard to case, spaces and hyphens.
fn canonical(typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase());
    let code: String = letters.take(USER_CODE_LEN + 1).collect();
    let good = code.len() == USER_CODE_LEN && code.bytes().all(|b| LETTERS.contains(&b));
    good.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entropy::SystemEntropy;

    #[test]
    fn user_codes_are_read_however_they_are_typed() {
        let code = user_code(&SystemEntropy);
        let shown = spaced(&code);
        assert_eq!((shown.len(), shown.as_bytes().get(4)), (9, Some(&b'-')));
        for typed in [shown.clone(), shown.to_lowercase(), format!(" {} ", shown.replace('-', " "))] {
            assert_eq!(canonical(&typed), Some(code.clone()), "{typed}");
        }
        for wrong in ["", "BCDF", "BCDFGHJA", "BCDFGHJKL", "BCDF_GHJ"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
