//! What would a consent change for others? Read when a person is asked, and again, under lock, before it is stored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::store::signups::{AccountUse, Predecessor};
use crate::store::{Conn, Error};

/// A consent, as far as others are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// Tenant.
    pub app: &'a AppId,
    /// Kind of API.
    pub connector: &'a ConnectorId,
    /// Which of several.
    pub flow: &'a Flow,
    /// Whose client it was made with.
    pub credentials: Option<Uuid>,
    /// Keyed hash of its account, where known.
    pub account: Option<&'a [u8]>,
    /// Live tokens of one account the provider allows.
    pub max_tokens: Option<u32>,
}

/// What a consent would change.
#[derive(Clone, Debug)]
pub struct Impact {
    /// The connection it replaces, with the same account or another one.
    pub replaces: Option<Predecessor>,
    /// The provider would kill the oldest token of this account, which another connection lives on.
    pub kills: Option<AccountUse>,
    /// Jobs that name no flow got another connection, or were told to name one; they would get this one.
    pub takes_over: bool,
}

/// What was known when a consent was judged. Refreshes of the connections concerned change nothing in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    replaces: Option<Uuid>,
    kills: Option<Uuid>,
    takes_over: bool,
}

impl Consent<'_> {
    /// What it would change now.
    pub async fn impact(&self, conn: Conn<'_>) -> Result<Impact, Error> {
        let rows = conn.app(self.app);
        let replaces = rows.find_predecessor(self.connector, self.flow).await?;
        let first = replaces.is_none() && *self.flow == Flow::default();
        let takes_over = first && rows.has_other_flows(self.connector, self.flow).await?;
        let kills = self.victim(conn, replaces.as_ref().map(|before| before.id)).await?;
        Ok(Impact { replaces, kills, takes_over })
    }

    async fn victim(&self, conn: Conn<'_>, own: Option<Uuid>) -> Result<Option<AccountUse>, Error> {
        let (Some(most), Some(account), Some(credentials)) =
            (self.max_tokens, self.account, self.credentials)
        else {
            return Ok(None);
        };
        let uses = conn.list_uses_of_account(self.connector, credentials, account).await?;
        let full = u32::try_from(uses.len()).is_ok_and(|live| live >= most);
        Ok(uses.into_iter().next().filter(|oldest| full && Some(oldest.connection) != own))
    }
}

impl Impact {
    /// To be compared later.
    pub fn judged(&self) -> Judged {
        Judged {
            replaces: self.replaces.as_ref().and_then(|before| before.adopted_set),
            kills: self.kills.as_ref().map(|oldest| oldest.connection),
            takes_over: self.takes_over,
        }
    }
}

impl Judged {
    /// Whether what was judged then covers what is so now: the same set is replaced, and nothing else is hit.
    pub fn covers(&self, now: &Self) -> bool {
        let victim = now.kills.is_none() || now.kills == self.kills;
        self.replaces == now.replaces && victim && (self.takes_over || !now.takes_over)
    }
}
