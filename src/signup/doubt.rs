//! May an exchanged set go live at once, or must a person say so first?

use crate::identity::Principal;
use crate::keeper::{Consent, Judged, account_fingerprint};
use crate::model::connector::Account;
use crate::model::principal::Actor;
use crate::signup::resolve::Resolved;
use crate::signup::{Error, Signup};
use crate::store::signups::{AccountUse, Predecessor, StoredSignup};

/// Why a person is asked; nothing of it: the set goes live at once.
#[derive(Clone, Debug)]
pub(super) struct Doubts {
    /// The credentials are the instance's and more than one app uses them.
    pub(super) several_apps: bool,
    /// The connection had another account before, or one that nobody can tell from this.
    pub(super) replaces: Option<Predecessor>,
    /// The provider would kill the oldest token of this account, which another connection lives on.
    pub(super) kills: Option<AccountUse>,
    /// Jobs that name no flow would get this account from now on.
    pub(super) takes_over: bool,
    /// What all this rests on.
    pub(super) judged: Judged,
}

impl Doubts {
    pub(super) fn none(&self) -> bool {
        !self.several_apps && self.replaces.is_none() && self.kills.is_none() && !self.takes_over
    }

    /// Whether this person decides over the account that would be replaced.
    pub(super) fn may_replace(&self, row: &StoredSignup, by: &Principal) -> bool {
        let Some(before) = &self.replaces else { return true };
        let owns = before.owner.as_deref() == Some(by.actor().to_string().as_str());
        let member = by.member(&row.app).is_ok();
        member && (owns || by.app_admin(&row.app).is_ok())
    }
}

/// Whether the account before may be another one. Of an account nobody knows (an import, a connector without
/// identity) only its owner can say that it is the same.
fn is_another(before: &Predecessor, account: Option<&[u8]>, row: &StoredSignup) -> bool {
    match before.account_fingerprint.as_deref() {
        Some(known) => Some(known) != account,
        None => before.owner.as_deref() != Some(Actor::User(row.user).to_string().as_str()),
    }
}

impl Signup {
    pub(super) async fn doubts(
        &self,
        row: &StoredSignup,
        resolved: &Resolved,
        account: Option<&Account>,
    ) -> Result<Doubts, Error> {
        let conn = self.store.conn();
        let fingerprint = account.map(|account| self.fingerprint(row, account));
        let consent = Consent {
            app: &row.app,
            connector: &row.connector,
            flow: &row.flow,
            credentials: Some(row.credentials.0),
            account: fingerprint.as_deref(),
            max_tokens: resolved.definition.max_tokens_per_account,
        };
        let impact = consent.impact(conn).await?;
        Ok(Doubts {
            several_apps: !resolved.opened.owned_by_app && conn.list_apps(None, 2).await?.len() > 1,
            judged: impact.judged(),
            replaces: impact.replaces.filter(|before| is_another(before, fingerprint.as_deref(), row)),
            kills: impact.kills,
            takes_over: impact.takes_over,
        })
    }

    pub(super) fn fingerprint(&self, row: &StoredSignup, account: &Account) -> Vec<u8> {
        account_fingerprint(&self.vault, &row.connector, &account.id).to_vec()
    }
}
