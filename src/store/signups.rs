//! Which consents are under way, and how far has each come?
//!
//! Every step is one compare-and-set on the stage, so that of two requests for one row a single one goes on.
//! Times are the database's: the replica that takes a callback need not be the one that started the flow.

mod neighbours;
mod row;

use std::collections::BTreeMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{QueryOrder, QuerySelect, Statement};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::principal::UserId;
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::signup;
use crate::store::{AppRows, Conn, Error};

pub use self::neighbours::{AccountUse, Predecessor};

/// The table's name, for the places of its ciphertexts and hashes.
pub const TABLE: &str = "signup";

/// How far a consent has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The browser was sent to the provider.
    Started,
    /// Its callback came: the state is used up.
    Taken,
    /// The code was exchanged; the set is sealed and not live.
    Exchanged,
    /// Given up: the set is being revoked at the provider.
    Revoking,
    /// The set is live.
    Done,
    /// Denied, refused, or given up.
    Failed,
}

impl Stage {
    const ALL: [Self; 6] =
        [Self::Started, Self::Taken, Self::Exchanged, Self::Revoking, Self::Done, Self::Failed];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Taken => "taken",
            Self::Exchanged => "exchanged",
            Self::Revoking => "revoking",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A consent under way.
#[derive(Clone, Debug)]
pub struct StoredSignup {
    /// Row id; first half of the state.
    pub id: Uuid,
    /// Keyed hash of the second half.
    pub state_hash: KeyedHash,
    /// The browser that started it.
    pub session: Uuid,
    /// The person who did.
    pub user: UserId,
    /// What people call them.
    pub user_label: String,
    /// Tenant.
    pub app: AppId,
    /// Kind of API.
    pub connector: ConnectorId,
    /// Which connection.
    pub flow: Flow,
    /// As sent to the provider.
    pub redirect_uri: String,
    /// Credentials row and version as used.
    pub credentials: (Uuid, i64),
    /// Keyed hash of the definition as used, and of all in the row that says whose, of what, and where to.
    pub definition_hash: Vec<u8>,
    /// Proof key.
    pub sealed_verifier: Sealed,
    /// Values the person gave for URL variables.
    pub variables: BTreeMap<String, String>,
    /// Where to go afterwards.
    pub return_to: Option<String>,
    /// The service provider's link that it began with: its client confirms it.
    pub link: Option<Uuid>,
    /// How far it has come.
    pub stage: Stage,
    /// The exchanged set with its account.
    pub sealed_grant: Option<Sealed>,
    /// When the code was sent.
    pub sent_at: Option<OffsetDateTime>,
    /// When it was started.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

/// What a callback must agree with, beside the state.
#[derive(Clone, Copy, Debug)]
pub struct Browser {
    /// Its session.
    pub session: Uuid,
    /// Who is signed in.
    pub user: UserId,
}

impl Conn<'_> {
    /// The database's time: what [`StoredSignup::expires_at`] is compared with.
    pub async fn signup_clock(&self) -> Result<OffsetDateTime, Error> {
        let (clock, shift) = self.clock_sql(1);
        let sql = format!("SELECT CAST({clock} AS BIGINT) AS now");
        let statement = Statement::from_sql_and_values(self.backend(), sql, [shift]);
        let row = sea_orm::ConnectionTrait::query_one_raw(&self.db(), statement).await?;
        let now = row.map(|row| row.try_get::<i64>("", "now")).transpose()?;
        Ok(from_micros(now.unwrap_or_else(|| self.now_us())))
    }

    /// Stores a consent at its start.
    pub async fn insert_signup(&self, new: &StoredSignup) -> Result<(), Error> {
        signup::Entity::insert(row::write(new)).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// How many consents of this browser are under way.
    pub async fn count_signups_of_session(&self, session: Uuid, now: OffsetDateTime) -> Result<u64, Error> {
        Ok(pending(now).filter(signup::Column::SessionId.eq(session)).count(&self.db()).await?)
    }

    /// A consent by row id.
    pub async fn find_signup(&self, id: Uuid) -> Result<Option<StoredSignup>, Error> {
        signup::Entity::find_by_id(id).one(&self.db()).await?.map(row::read).transpose()
    }

    /// The consent of a service provider's link that waits for its client.
    pub async fn find_signup_of_link(&self, link: Uuid) -> Result<Option<StoredSignup>, Error> {
        let waiting = signup::Column::Stage.eq(Stage::Exchanged.as_str());
        let of_link = signup::Entity::find().filter(signup::Column::LinkId.eq(link)).filter(waiting);
        of_link.one(&self.db()).await?.map(row::read).transpose()
    }

    /// Uses a state up, whatever comes of it: only the browser that started the flow, only once, only in time.
    pub async fn take_signup(
        &self,
        id: Uuid,
        state_hash: &KeyedHash,
        browser: Browser,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSignup>, Error> {
        let rows = signup::Entity::update_many()
            .col_expr(signup::Column::Stage, Expr::value(Stage::Taken.as_str()))
            .filter(signup::Column::Id.eq(id))
            .filter(signup::Column::StateHash.eq(state_hash.to_vec()))
            .filter(signup::Column::SessionId.eq(browser.session))
            .filter(signup::Column::UserId.eq(browser.user.0))
            .filter(signup::Column::Stage.eq(Stage::Started.as_str()))
            .filter(signup::Column::ExpiresAt.gt(to_micros(now)))
            .exec_with_returning(&self.db())
            .await?;
        rows.into_iter().next().map(row::read).transpose()
    }

    /// Keeps an exchanged set: `taken` becomes `exchanged`. False where the row is at another stage.
    pub async fn keep_exchanged(
        &self,
        id: Uuid,
        grant: &Sealed,
        sent_at: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<bool, Error> {
        let done = signup::Entity::update_many()
            .col_expr(signup::Column::Stage, Expr::value(Stage::Exchanged.as_str()))
            .col_expr(signup::Column::SealedGrant, Expr::value(Some(grant.bytes.clone())))
            .col_expr(signup::Column::SentAt, Expr::value(Some(to_micros(sent_at))))
            .col_expr(signup::Column::ExpiresAt, Expr::value(to_micros(expires_at)))
            .filter(signup::Column::Id.eq(id))
            .filter(signup::Column::KeyId.eq(grant.key_id))
            .filter(signup::Column::Stage.eq(Stage::Taken.as_str()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Replaces the sealed set of an exchanged row: its account has become known.
    pub async fn reseal_exchanged(&self, id: Uuid, grant: &Sealed) -> Result<bool, Error> {
        let done = signup::Entity::update_many()
            .col_expr(signup::Column::SealedGrant, Expr::value(Some(grant.bytes.clone())))
            .filter(signup::Column::Id.eq(id))
            .filter(signup::Column::KeyId.eq(grant.key_id))
            .filter(signup::Column::Stage.eq(Stage::Exchanged.as_str()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Ends a consent in the transaction that makes its set live. False where it was given up or ended before:
    /// then nothing may be made live.
    pub async fn finish_signup(&self, id: Uuid) -> Result<bool, Error> {
        self.end_signup(id, Stage::Exchanged, Stage::Done).await
    }

    /// Ends a consent without a live set: whatever was sealed in the row is forgotten.
    pub async fn fail_signup(&self, id: Uuid, at: Stage) -> Result<bool, Error> {
        self.end_signup(id, at, Stage::Failed).await
    }

    /// Gives an exchanged set up, to be revoked; `overdue`: only if nobody confirmed it before then.
    pub async fn give_up_signup(
        &self,
        id: Uuid,
        retry_at: OffsetDateTime,
        overdue: Option<OffsetDateTime>,
    ) -> Result<Option<StoredSignup>, Error> {
        let from = [Stage::Exchanged.as_str(), Stage::Revoking.as_str()];
        let mut update = signup::Entity::update_many()
            .col_expr(signup::Column::Stage, Expr::value(Stage::Revoking.as_str()))
            .col_expr(signup::Column::ExpiresAt, Expr::value(to_micros(retry_at)))
            .filter(signup::Column::Id.eq(id));
        update = match overdue {
            Some(now) => update
                .filter(signup::Column::Stage.is_in(from))
                .filter(signup::Column::ExpiresAt.lte(to_micros(now))),
            None => update.filter(signup::Column::Stage.eq(Stage::Exchanged.as_str())),
        };
        update.exec_with_returning(&self.db()).await?.into_iter().next().map(row::read).transpose()
    }

    /// Ids of exchanged sets nobody confirmed in time, and of revocations that are due again; oldest first.
    pub async fn list_overdue_signups(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<Uuid>, Error> {
        let stages = [Stage::Exchanged.as_str(), Stage::Revoking.as_str()];
        let ids = signup::Entity::find()
            .select_only()
            .column(signup::Column::Id)
            .filter(signup::Column::Stage.is_in(stages))
            .filter(signup::Column::ExpiresAt.lte(to_micros(now)))
            .order_by_asc(signup::Column::ExpiresAt)
            .limit(limit)
            .into_tuple::<Uuid>()
            .all(&self.db())
            .await?;
        Ok(ids)
    }

    /// Forgets rows that hold no set and ended before `before`.
    pub async fn delete_ended_signups(&self, before: OffsetDateTime) -> Result<u64, Error> {
        let holding = [Stage::Exchanged.as_str(), Stage::Revoking.as_str()];
        let done = signup::Entity::delete_many()
            .filter(signup::Column::Stage.is_not_in(holding))
            .filter(signup::Column::ExpiresAt.lte(to_micros(before)))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected)
    }

    async fn end_signup(&self, id: Uuid, from: Stage, to: Stage) -> Result<bool, Error> {
        let done = signup::Entity::update_many()
            .col_expr(signup::Column::Stage, Expr::value(to.as_str()))
            .col_expr(signup::Column::SealedGrant, Expr::value(Option::<Vec<u8>>::None))
            .filter(signup::Column::Id.eq(id))
            .filter(signup::Column::Stage.eq(from.as_str()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }
}

impl AppRows<'_> {
    /// How many consents of this tenant are under way.
    pub async fn count_signups(&self, now: OffsetDateTime) -> Result<u64, Error> {
        Ok(pending(now).filter(signup::Column::App.eq(self.app.as_str())).count(&self.conn.db()).await?)
    }
}

fn pending(now: OffsetDateTime) -> Select<signup::Entity> {
    let stages = [Stage::Started.as_str(), Stage::Taken.as_str(), Stage::Exchanged.as_str()];
    signup::Entity::find()
        .filter(signup::Column::Stage.is_in(stages))
        .filter(signup::Column::ExpiresAt.gt(to_micros(now)))
}
