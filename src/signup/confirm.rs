//! "Account X for app Y?": what is asked, who may answer, and what each answer does.

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::identity::Principal;
use crate::keeper::{self, Judged};
use crate::model::app::{App, AppId};
use crate::model::connection::Flow;
use crate::model::connector::Definition;
use crate::signup::callback::{connected, ended_event, label};
use crate::signup::doubt::Doubts;
use crate::signup::exchanged::Exchanged;
use crate::signup::{Connected, Error, Outcome, Signup, Visitor};
use crate::store::signups::{AccountUse, Stage, StoredSignup};

/// What a confirmation page shows.
#[derive(Clone, Debug)]
pub struct Question {
    /// Names the row; not a secret.
    pub signup: Uuid,
    /// For which app.
    pub app: App,
    /// With which connector.
    pub definition: Arc<Definition>,
    /// As which connection.
    pub flow: Flow,
    /// Whose account, as the provider calls it; `None`: it does not tell.
    pub account: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// Whether this very browser did.
    pub own: bool,
    /// Whether the credentials serve several apps.
    pub several_apps: bool,
    /// The account that would be replaced, and who connected it.
    pub replaces: Option<Replaced>,
    /// The connection that would die.
    pub kills: Option<Victim>,
    /// Whether jobs that name no flow would use this account from now on.
    pub takes_over: bool,
    /// Whether this person may say yes.
    pub may_confirm: bool,
    /// Where the starter wants to go afterwards.
    pub return_to: Option<String>,
    /// Until when.
    pub expires_at: OffsetDateTime,
}

/// An account that would be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// As the provider called it.
    pub account: Option<String>,
    /// Who connected it.
    pub connected_by: Option<String>,
}

/// A connection whose token the provider would kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its app, named to those who belong there.
    pub app: Option<AppId>,
    /// Its flow, likewise.
    pub flow: Option<String>,
    /// When its token came.
    pub since: OffsetDateTime,
}

struct Waiting {
    row: StoredSignup,
    set: Exchanged,
    judged: Judged,
    definition: Arc<Definition>,
    doubts: Doubts,
}

impl Waiting {
    /// Whether what this person would be asked is still what the consent was judged by.
    fn stands(&self) -> bool {
        self.judged.covers(&self.doubts.judged)
    }
}

impl Signup {
    /// What awaits confirmation under this id, for the browser that started it, and for who decides over the
    /// account it would replace.
    pub async fn question(&self, visitor: &Visitor, id: Uuid) -> Result<Question, Error> {
        let waiting = self.waiting(visitor, id).await?;
        let app = self.require_entry(&visitor.principal, &waiting.row).await?;
        if !waiting.stands() {
            return Err(keeper::Error::ConnectionChanged.into());
        }
        let Waiting { row, set, definition, doubts, .. } = waiting;
        let may_confirm = doubts.may_replace(&row, &visitor.principal);
        let replaces = doubts
            .replaces
            .map(|before| Replaced { account: before.account_label, connected_by: before.owner_label });
        Ok(Question {
            signup: id,
            app,
            definition,
            flow: row.flow,
            account: label(set.account.as_ref()),
            own: row.session == visitor.session,
            return_to: row.return_to,
            started_by: row.user_label,
            several_apps: doubts.several_apps,
            replaces,
            kills: doubts.kills.map(|one| victim(one, &visitor.principal)),
            takes_over: doubts.takes_over,
            may_confirm,
            expires_at: row.expires_at,
        })
    }

    /// Yes: the set goes live, unless what the person was shown is no longer so; then it is given back. Where a service
    /// provider's link led here, its word is still to come.
    pub async fn confirm(&self, visitor: &Visitor, id: Uuid) -> Result<Outcome, Error> {
        let waiting = self.waiting(visitor, id).await?;
        if waiting.stands() && !waiting.doubts.may_replace(&waiting.row, &visitor.principal) {
            return Err(Error::NotEntitled);
        }
        if let Some(link) = waiting.row.link.filter(|_| waiting.stands()) {
            self.agree(&waiting.row, waiting.set).await?;
            return Ok(Outcome::Return(connected(&waiting.row), link));
        }
        let Waiting { row, set, judged, .. } = waiting;
        let done = self.once(id, self.adopt(&visitor.principal, id, set, judged).await).await;
        if let Err(error) = &done
            && error.ends_consent()
        {
            self.end(&visitor.principal, &row, error).await;
        }
        done.map(Outcome::Connected)
    }

    /// The service provider's yes: what its person has agreed to goes live, as above.
    pub(super) async fn confirm_returned(
        &self,
        by: &Principal,
        row: StoredSignup,
    ) -> Result<Connected, Error> {
        if row.expires_at <= self.store.conn().signup_clock().await? {
            return Err(Error::NotReturned);
        }
        let resolved = self.resolve_kept(&row).await?;
        let set = self.open_exchanged(&self.key_of(&row).await?, &row, &resolved.definition).await?;
        let judged = set.judged.filter(|_| set.agreed).ok_or(Error::NotReturned)?;
        let doubts = self.doubts(&row, &resolved, set.account.as_ref()).await?;
        let done = match judged.covers(&doubts.judged) {
            true => self.adopt(by, row.id, set, judged).await,
            false => Err(keeper::Error::ConnectionChanged.into()),
        };
        let done = self.once(row.id, done).await;
        match &done {
            Err(error) if error.ends_consent() => self.end(by, &row, error).await,
            Err(_) | Ok(_) => {}
        }
        done
    }

    /// Where the connection changed because another yes to this very question was faster, nothing is asked any more.
    async fn once(&self, id: Uuid, done: Result<Connected, Error>) -> Result<Connected, Error> {
        let changed = matches!(done, Err(Error::Keeper(keeper::Error::ConnectionChanged)));
        if !changed {
            return done;
        }
        let row = self.store.conn().find_signup(id).await?;
        if row.is_some_and(|row| row.stage == Stage::Exchanged) { done } else { Err(Error::NothingPending) }
    }

    /// Notes that the person said yes.
    async fn agree(&self, row: &StoredSignup, mut set: Exchanged) -> Result<(), Error> {
        set.agreed = true;
        let resolved = self.resolve_kept(row).await?;
        self.reseal(row, &resolved, &self.key_of(row).await?, &set).await
    }

    /// No: the set is revoked at the provider, the old connection stays as it was.
    pub async fn cancel(&self, visitor: &Visitor, id: Uuid) -> Result<AppId, Error> {
        let row = self.waiting(visitor, id).await?.row;
        self.give_up(id, Some(ended_event(&visitor.principal, &row, "cancelled"))).await?;
        Ok(row.app)
    }

    async fn waiting(&self, visitor: &Visitor, id: Uuid) -> Result<Waiting, Error> {
        let conn = self.store.conn();
        let row = conn.find_signup(id).await?.ok_or(Error::NothingPending)?;
        if row.stage != Stage::Exchanged || row.expires_at <= conn.signup_clock().await? {
            return Err(Error::NothingPending);
        }
        if !entitled(&visitor.principal, &row) {
            return Err(Error::NothingPending);
        }
        let resolved = self.resolve_kept(&row).await?;
        let set = self.open_exchanged(&self.key_of(&row).await?, &row, &resolved.definition).await?;
        let judged = set.judged.ok_or(Error::NothingPending)?;
        let doubts = self.doubts(&row, &resolved, set.account.as_ref()).await?;
        let starter = row.session == visitor.session && Some(row.user) == visitor.principal.user();
        let decides = doubts.replaces.is_some() && doubts.may_replace(&row, &visitor.principal);
        if !starter && !decides {
            return Err(Error::NothingPending);
        }
        Ok(Waiting { row, set, judged, definition: resolved.definition, doubts })
    }
}

/// Whether this person may see the row at all: whom a link led to it, or who belongs to its app. That the app is active
/// is asked later, so that a disabled one's set can still be given back.
fn entitled(by: &Principal, row: &StoredSignup) -> bool {
    (row.link.is_some() && by.user() == Some(row.user)) || by.member(&row.app).is_ok()
}

/// Foreign apps are named to superadmins alone.
fn victim(one: AccountUse, by: &Principal) -> Victim {
    let visible = by.member(&one.app).is_ok();
    Victim { app: visible.then_some(one.app), flow: visible.then_some(one.flow), since: one.since }
}
