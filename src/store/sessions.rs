//! Signed-in browsers and counted failures, as rows.

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, ExprTrait, QueryOrder, Statement};
use time::OffsetDateTime;

use crate::model::event::Origin;
use crate::model::person::{OpenedBy, Session};
use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::{attempt, session};
use crate::store::{Conn, Error, Store};

/// Failures of one kind in the current window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: i64,
    /// Microseconds until the window ends.
    pub ends_in_us: i64,
}

impl Conn<'_> {
    /// Stores a session.
    pub async fn insert_session(
        &self,
        id: Uuid,
        token_hash: KeyedHash,
        (user, opened_by): (UserId, &OpenedBy),
        origin: Origin,
        (created_at, expires_at): (OffsetDateTime, OffsetDateTime),
    ) -> Result<Session, Error> {
        let row = session::Model {
            id,
            token_hash: token_hash.to_vec(),
            user_id: user.0,
            opened_by: opened_by.to_text(),
            address: origin.address.map(|address| address.to_string()),
            created_at: to_micros(created_at),
            expires_at: to_micros(expires_at),
        };
        let new = session::ActiveModel::from(row.clone());
        session::Entity::insert(new).exec_without_returning(&self.db()).await?;
        read(row)
    }

    /// A session that has not ended, with the hash its cookie is compared with.
    pub async fn find_session(&self, id: Uuid) -> Result<Option<(Session, Vec<u8>)>, Error> {
        let row = session::Entity::find_by_id(id)
            .filter(session::Column::ExpiresAt.gt(self.now_us()))
            .one(&self.db())
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let hash = std::mem::take(&mut row.token_hash);
        Ok(Some((read(row)?, hash)))
    }

    /// A person's sessions that have not ended, newest first.
    pub async fn sessions_of(&self, user: UserId) -> Result<Vec<Session>, Error> {
        let rows = session::Entity::find()
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::ExpiresAt.gt(self.now_us()))
            .order_by_desc(session::Column::Id)
            .all(&self.db())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// A person's sessions at a reverse proxy that have not ended, with their hashes; newest first.
    pub async fn sessions_at_proxy_of(&self, user: UserId) -> Result<Vec<(Session, Vec<u8>)>, Error> {
        let rows = session::Entity::find()
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::OpenedBy.starts_with("proxy"))
            .filter(session::Column::ExpiresAt.gt(self.now_us()))
            .order_by_desc(session::Column::Id)
            .all(&self.db())
            .await?;
        rows.into_iter()
            .map(|mut row| {
                let hash = std::mem::take(&mut row.token_hash);
                Ok((read(row)?, hash))
            })
            .collect()
    }

    /// Keeps a session from being ended before the transaction is; whether it has not ended.
    pub async fn hold_session(&self, id: Uuid) -> Result<bool, Error> {
        let held = session::Entity::update_many()
            .col_expr(session::Column::UserId, Expr::col(session::Column::UserId))
            .filter(session::Column::Id.eq(id))
            .filter(session::Column::ExpiresAt.gt(self.now_us()))
            .exec(&self.db())
            .await?;
        Ok(held.rows_affected == 1)
    }

    /// Ends one session; whether there was one.
    pub async fn delete_session(&self, id: Uuid) -> Result<bool, Error> {
        Ok(session::Entity::delete_by_id(id).exec(&self.db()).await?.rows_affected == 1)
    }

    /// Ends all sessions of a person; how many.
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<u64, Error> {
        let filter = session::Column::UserId.eq(user.0);
        Ok(session::Entity::delete_many().filter(filter).exec(&self.db()).await?.rows_affected)
    }

    /// Removes sessions and counters whose time is over.
    pub async fn purge_sessions(&self) -> Result<(), Error> {
        let now = self.now_us();
        let over = session::Column::ExpiresAt.lte(now);
        self.sweep::<session::Entity>(session::Column::Id, over).await?;
        let over = attempt::Column::WindowEndsAt.lte(now);
        self.sweep::<attempt::Entity>(attempt::Column::Key, over).await
    }

    /// The failures counted under `key`, by the database's clock.
    pub async fn find_failures(&self, key: KeyedHash) -> Result<Failures, Error> {
        let (clock, clock_value) = self.clock_sql(2);
        let sql = format!(
            "SELECT CAST(failures AS BIGINT) AS failures, window_ends_at - {clock} AS ends_in FROM attempt \
             WHERE key = $1 AND window_ends_at > {clock}"
        );
        let values = [key.to_vec().into(), clock_value];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        match self.db().query_one_raw(statement).await? {
            Some(row) => failures(&row),
            None => Ok(Failures { count: 0, ends_in_us: 0 }),
        }
    }

    /// Counts one more failure under `key`; a window over begins anew and lasts `window_us`.
    pub async fn count_failure(&self, key: KeyedHash, window_us: i64) -> Result<Failures, Error> {
        let (clock, clock_value) = self.clock_sql(2);
        let sql = format!(
            "INSERT INTO attempt (key, failures, window_ends_at) VALUES ($1, 1, {clock} + $3) \
             ON CONFLICT (key) DO UPDATE SET \
             failures = CASE WHEN attempt.window_ends_at > {clock} THEN attempt.failures + 1 ELSE 1 END, \
             window_ends_at = CASE WHEN attempt.window_ends_at > {clock} THEN attempt.window_ends_at \
             ELSE {clock} + $3 END \
             RETURNING CAST(failures AS BIGINT) AS failures, window_ends_at - {clock} AS ends_in"
        );
        let values = [key.to_vec().into(), clock_value, window_us.into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let row = self.db().query_one_raw(statement).await?;
        failures(&row.ok_or(Error::Corrupt { table: "attempt", column: "key" })?)
    }

    /// Takes one failure back: the attempt it was counted for succeeded.
    pub async fn uncount_failure(&self, key: KeyedHash) -> Result<(), Error> {
        attempt::Entity::update_many()
            .filter(attempt::Column::Key.eq(key.to_vec()))
            .filter(attempt::Column::Failures.gt(0))
            .col_expr(attempt::Column::Failures, Expr::col(attempt::Column::Failures).sub(1))
            .exec(&self.db())
            .await?;
        Ok(())
    }

    /// Forgets the failures counted under `key`.
    pub async fn forget_failures(&self, key: KeyedHash) -> Result<(), Error> {
        attempt::Entity::delete_by_id(key.to_vec()).exec(&self.db()).await?;
        Ok(())
    }
}

impl Store {
    /// Counts an attempt as a failure under each key before anybody knows whether it is one, so that attempts at once
    /// cannot all pass. Where a key has as many as it may have, nothing is counted and those are returned; that alone
    /// costs one read.
    pub async fn count_attempt(
        &self,
        limits: &[(KeyedHash, i64)],
        window_us: i64,
    ) -> Result<Option<Failures>, Error> {
        for (key, most) in limits {
            let failures = self.conn().find_failures(*key).await?;
            if failures.count >= *most {
                return Ok(Some(failures));
            }
        }
        let tx = self.begin().await?;
        for (key, most) in limits {
            let failures = tx.conn().count_failure(*key, window_us).await?;
            if failures.count > *most {
                return Ok(Some(failures));
            }
        }
        tx.commit().await?;
        Ok(None)
    }
}

fn failures(row: &sea_orm::QueryResult) -> Result<Failures, Error> {
    Ok(Failures { count: row.try_get("", "failures")?, ends_in_us: row.try_get("", "ends_in")? })
}

fn read(row: session::Model) -> Result<Session, Error> {
    let corrupt = Error::Corrupt { table: "session", column: "opened_by" };
    Ok(Session {
        id: row.id,
        user: UserId(row.user_id),
        opened_by: OpenedBy::parse(row.opened_by.as_deref()).ok_or(corrupt)?,
        address: row.address.and_then(|address| address.parse().ok()),
        created_at: from_micros(row.created_at),
        expires_at: from_micros(row.expires_at),
    })
}
