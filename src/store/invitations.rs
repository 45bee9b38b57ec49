//! Invitations and password links, as rows.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::model::app::AppId;
use crate::model::connector::ConnectorId;
use crate::model::person::{Email, Invitation, Offer};
use crate::model::principal::{Membership, UserId};
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::{invitation, password_link};
use crate::store::{AppRows, Conn, Error};

impl Conn<'_> {
    /// Stores an invitation.
    pub async fn insert_invitation(&self, new: &Invitation, token_hash: KeyedHash) -> Result<(), Error> {
        let connectors: Vec<_> = new.connectors.iter().map(ConnectorId::as_str).collect();
        let row = invitation::ActiveModel {
            id: Set(new.id),
            token_hash: Set(token_hash.to_vec()),
            app: Set(new.offer.app().map(ToString::to_string)),
            email: Set(new.email.as_ref().map(ToString::to_string)),
            role: Set(new.offer.role().to_owned()),
            connectors: Set((!connectors.is_empty()).then(|| serde_json::json!(connectors))),
            invited_by: Set(new.invited_by.clone()),
            created_at: Set(to_micros(new.created_at)),
            expires_at: Set(to_micros(new.expires_at)),
            accepted_at: Set(None),
            accepted_by: Set(None),
        };
        invitation::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// An invitation that can still be accepted, with the hash its link is compared with.
    pub async fn find_open_invitation(&self, id: Uuid) -> Result<Option<(Invitation, Vec<u8>)>, Error> {
        let row =
            open().filter(invitation::Column::Id.eq(id)).filter(later(self.now_us())).one(&self.db()).await?;
        let Some(row) = row else { return Ok(None) };
        let hash = row.token_hash.clone();
        Ok(Some((read(row)?, hash)))
    }

    /// Uses an invitation up, in one statement; whether it could still be.
    pub async fn take_invitation(&self, id: Uuid, by: UserId) -> Result<bool, Error> {
        let done = invitation::Entity::update_many()
            .filter(invitation::Column::Id.eq(id))
            .filter(invitation::Column::AcceptedAt.is_null())
            .filter(later(self.now_us()))
            .col_expr(invitation::Column::AcceptedAt, Expr::value(self.now_us()))
            .col_expr(invitation::Column::AcceptedBy, Expr::value(by.0))
            // Nobody has its link any more, whatever is written into the row.
            .col_expr(invitation::Column::TokenHash, Expr::value(Vec::<u8>::new()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Removes the invitations to no app that nobody has accepted.
    pub async fn delete_instance_invitations(&self) -> Result<(), Error> {
        invitation::Entity::delete_many()
            .filter(invitation::Column::App.is_null())
            .filter(invitation::Column::AcceptedAt.is_null())
            .exec(&self.db())
            .await?;
        Ok(())
    }

    /// Stores a password link.
    pub async fn insert_password_link(
        &self,
        id: Uuid,
        user: UserId,
        token_hash: KeyedHash,
        expires_at_us: i64,
    ) -> Result<(), Error> {
        let row = password_link::ActiveModel {
            id: Set(id),
            user_id: Set(user.0),
            token_hash: Set(token_hash.to_vec()),
            created_at: Set(self.now_us()),
            expires_at: Set(expires_at_us),
            used_at: Set(None),
        };
        password_link::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Whose password an unused link sets and until when, in microseconds, with the hash the link is compared with.
    pub async fn find_password_link(&self, id: Uuid) -> Result<Option<(UserId, i64, Vec<u8>)>, Error> {
        let row = password_link::Entity::find_by_id(id)
            .filter(password_link::Column::UsedAt.is_null())
            .filter(password_link::Column::ExpiresAt.gt(self.now_us()))
            .one(&self.db())
            .await?;
        Ok(row.map(|row| (UserId(row.user_id), row.expires_at, row.token_hash)))
    }

    /// Uses a password link up, in one statement; whether it could still be.
    pub async fn take_password_link(&self, id: Uuid) -> Result<bool, Error> {
        let done = password_link::Entity::update_many()
            .filter(password_link::Column::Id.eq(id))
            .filter(password_link::Column::UsedAt.is_null())
            .filter(password_link::Column::ExpiresAt.gt(self.now_us()))
            .col_expr(password_link::Column::UsedAt, Expr::value(self.now_us()))
            .col_expr(password_link::Column::TokenHash, Expr::value(Vec::<u8>::new()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Removes a person's other links: only the newest works.
    pub async fn delete_password_links_of(&self, user: UserId) -> Result<(), Error> {
        let whose = password_link::Column::UserId.eq(user.0);
        password_link::Entity::delete_many().filter(whose).exec(&self.db()).await?;
        Ok(())
    }
}

impl AppRows<'_> {
    /// The tenant's invitations that wait, in the order they were made, after `after`.
    pub async fn list_invitations(&self, after: Option<Uuid>, limit: u64) -> Result<Vec<Invitation>, Error> {
        let mut query = open()
            .filter(invitation::Column::App.eq(self.app.as_str()))
            .filter(later(self.conn.now_us()))
            .order_by_asc(invitation::Column::Id)
            .limit(limit);
        if let Some(after) = after {
            query = query.filter(invitation::Column::Id.gt(after));
        }
        query.all(&self.conn.db()).await?.into_iter().map(read).collect()
    }

    /// Withdraws an invitation of the tenant; whether there was one.
    pub async fn delete_invitation(&self, id: Uuid) -> Result<bool, Error> {
        let done = invitation::Entity::delete_by_id(id)
            .filter(invitation::Column::App.eq(self.app.as_str()))
            .exec(&self.conn.db())
            .await?;
        Ok(done.rows_affected == 1)
    }
}

fn open() -> Select<invitation::Entity> {
    invitation::Entity::find().filter(invitation::Column::AcceptedAt.is_null())
}

fn later(now_us: i64) -> sea_orm::sea_query::SimpleExpr {
    invitation::Column::ExpiresAt.gt(now_us)
}

fn read(row: invitation::Model) -> Result<Invitation, Error> {
    let corrupt = |column| Error::Corrupt { table: "invitation", column };
    let app = row.app.map(|app| AppId::parse(&app).map_err(|_| corrupt("app"))).transpose()?;
    let offer = match (app, Membership::parse(&row.role)) {
        (Some(app), Some(role)) => Offer::App(app, role),
        (None, None) if row.role == "superadmin" => Offer::Superadmin,
        _ => return Err(corrupt("role")),
    };
    let email = row.email.map(|email| Email::parse(&email).ok_or_else(|| corrupt("email"))).transpose()?;
    let connectors: Vec<String> = match row.connectors {
        Some(list) => serde_json::from_value(list).map_err(|_| corrupt("connectors"))?,
        None => Vec::new(),
    };
    let connectors = connectors.iter().map(|id| ConnectorId::parse(id)).collect::<Result<_, _>>();
    Ok(Invitation {
        id: row.id,
        offer,
        email,
        connectors: connectors.map_err(|_| corrupt("connectors"))?,
        invited_by: row.invited_by,
        created_at: from_micros(row.created_at),
        expires_at: from_micros(row.expires_at),
        accepted_at: row.accepted_at.map(from_micros),
    })
}
