//! What do claims of the upstream provider give, beside what an admin or an invitation gave?
//!
//! The two stand apart, so that one can go without the other; what counts is the higher of both. A membership that no
//! claim ever touched has its role alone, and that was granted.

use sea_orm::entity::prelude::*;

use crate::model::app::AppId;
use crate::model::client::Role;
use crate::model::principal::{Membership, UserId};
use crate::store::entity::membership;
use crate::store::users::read_membership;
use crate::store::{AppRows, Conn, Error};

impl Conn<'_> {
    /// Keeps others from changing what this person may do for the length of the transaction; SQLite has one writer
    /// anyway.
    pub async fn hold_user(&self, id: UserId) -> Result<(), Error> {
        if self.is_postgres() {
            let sql = "SELECT id FROM \"user\" WHERE id = $1 FOR UPDATE";
            self.run(sql.to_owned(), vec![id.0.into()]).await?;
        }
        Ok(())
    }

    /// The apps in which claims give this person something.
    pub async fn claimed_apps(&self, user: UserId) -> Result<Vec<AppId>, Error> {
        let rows = membership::Entity::find()
            .filter(membership::Column::UserId.eq(user.0))
            .filter(membership::Column::ClaimedRole.is_not_null())
            .all(&self.db())
            .await?;
        let corrupt = |_| Error::Corrupt { table: "membership", column: "app" };
        rows.into_iter().map(|row| AppId::parse(&row.app).map_err(corrupt)).collect()
    }

    /// What claims say of the role; whether they said something else before.
    pub async fn claim_role(&self, id: UserId, role: Option<Role>) -> Result<bool, Error> {
        let Some(mut row) = self.user_to_change(id).await? else { return Ok(false) };
        let role = role.map(|Role::Superadmin| "superadmin".to_owned());
        if row.claimed_role == role {
            return Ok(false);
        }
        row.claimed_role = role;
        self.put_user(row).await?;
        Ok(true)
    }
}

impl AppRows<'_> {
    /// Gives a membership, and never takes away what the person has; [`AppRows::put_member`] decides anew.
    pub async fn grant_member(&self, user: UserId, role: Membership) -> Result<(), Error> {
        let held = self.find_shares(user).await?;
        let granted = held.granted.map_or(role, |granted| granted.max(role));
        self.write_shares(user, Shares { granted: Some(granted), ..held }).await
    }

    /// What claims say of a membership; whether they said something else before.
    pub async fn claim_member(&self, user: UserId, claimed: Option<Membership>) -> Result<bool, Error> {
        let held = self.find_shares(user).await?;
        if held.claimed == claimed {
            return Ok(false);
        }
        self.write_shares(user, Shares { claimed, ..held }).await?;
        Ok(true)
    }

    async fn find_shares(&self, user: UserId) -> Result<Shares, Error> {
        let key = (self.app.as_str().to_owned(), user.0);
        let row = membership::Entity::find_by_id(key).one(&self.conn.db()).await?;
        let Some(row) = row else { return Ok(Shares::default()) };
        let Some(row) = self.conn.own_membership(row) else {
            return Ok(Shares { exists: true, ..Shares::default() });
        };
        let read = |role: Option<String>| role.map(|role| read_membership(&role)).transpose();
        let claimed = read(row.claimed_role)?;
        let granted = if claimed.is_some() { row.granted_role } else { Some(row.role) };
        Ok(Shares { exists: true, claimed, granted: read(granted)? })
    }

    async fn write_shares(&self, user: UserId, shares: Shares) -> Result<(), Error> {
        let Some(role) = shares.claimed.max(shares.granted) else {
            self.delete_member(user).await?;
            return Ok(());
        };
        let text = |role: Option<Membership>| role.map(|role| role.as_str().to_owned());
        let mut row = membership::Model {
            app: self.app.as_str().to_owned(),
            user_id: user.0,
            role: role.as_str().to_owned(),
            claimed_role: text(shares.claimed),
            granted_role: shares.claimed.and(text(shares.granted)),
            created_at: self.conn.now_us(),
            own_mac: None,
        };
        row.own_mac = self.conn.sign(&row)?;
        let mut row = membership::ActiveModel::from(row);
        if shares.exists {
            row = row.reset_all();
            row.not_set(membership::Column::CreatedAt);
            membership::Entity::update(row).exec(&self.conn.db()).await?;
        } else {
            membership::Entity::insert(row).exec_without_returning(&self.conn.db()).await?;
        }
        Ok(())
    }
}

/// Who gave what of one membership.
#[derive(Clone, Copy, Default)]
struct Shares {
    exists: bool,
    claimed: Option<Membership>,
    granted: Option<Membership>,
}
