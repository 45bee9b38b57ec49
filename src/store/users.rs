//! People and their memberships, as rows.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};

use crate::model::app::AppId;
use crate::model::client::Role;
use crate::model::person::{AppMember, Email, User};
use crate::model::principal::{Membership, UserId};
use crate::model::time::from_micros;
use crate::store::entity::{membership, password_link, session, upstream_identity, user};
use crate::store::{AppRows, Conn, Error};

/// What of a person can be changed.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// For people.
    pub display_name: Option<String>,
    /// The role beyond memberships; `Some(None)` takes it away.
    pub role: Option<Option<Role>>,
    /// Signs in no more.
    pub disabled: Option<bool>,
}

impl Conn<'_> {
    /// Stores a new person.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the login name is taken.
    pub async fn insert_user(
        &self,
        id: UserId,
        email: &Email,
        display_name: &str,
        role: Option<Role>,
        password_hash: Option<String>,
    ) -> Result<User, Error> {
        let mut row = user::Model {
            id: id.0,
            email: email.as_str().to_owned(),
            display_name: display_name.to_owned(),
            role: role.map(|Role::Superadmin| "superadmin".to_owned()),
            claimed_role: None,
            password_hash,
            disabled: false,
            version: 1,
            created_at: self.now_us(),
            own_mac: None,
        };
        row.own_mac = self.sign(&row)?;
        user::Entity::insert(user::ActiveModel::from(row.clone())).exec_without_returning(&self.db()).await?;
        read(row)
    }

    /// A person by id.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, Error> {
        let row = user::Entity::find_by_id(id.0).one(&self.db()).await?;
        row.map(|row| read(self.believed(row))).transpose()
    }

    /// A person by login name, with the password's hash.
    pub async fn find_login(&self, email: &Email) -> Result<Option<(User, Option<String>)>, Error> {
        let row = user::Entity::find().filter(user::Column::Email.eq(email.as_str())).one(&self.db()).await?;
        let Some(row) = row else { return Ok(None) };
        let hash = row.password_hash.clone();
        Ok(Some((read(self.believed(row))?, hash)))
    }

    /// People in the order they were made, after `after`.
    pub async fn list_users(&self, after: Option<Uuid>, limit: u64) -> Result<Vec<User>, Error> {
        let mut query = user::Entity::find().order_by_asc(user::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(user::Column::Id.gt(after));
        }
        let rows = query.all(&self.db()).await?;
        rows.into_iter().map(|row| read(self.believed(row))).collect()
    }

    /// Changes a person in the caller's transaction; `None` where there is none.
    pub async fn update_user(&self, id: UserId, change: &UserChange) -> Result<Option<User>, Error> {
        let Some(mut row) = self.user_to_change(id).await? else { return Ok(None) };
        if let Some(name) = &change.display_name {
            row.display_name.clone_from(name);
        }
        if let Some(role) = change.role {
            if role.is_none() {
                // What is taken away is gone at once, whoever gave it.
                row.claimed_role = None;
            }
            row.role = role.map(|Role::Superadmin| "superadmin".to_owned());
        }
        row.disabled = change.disabled.unwrap_or(row.disabled);
        self.put_user(row).await.map(Some)
    }

    /// A person as the row stands, kept from others' changes to the end of the transaction.
    pub(super) async fn user_to_change(&self, id: UserId) -> Result<Option<user::Model>, Error> {
        self.hold_user(id).await?;
        let row = user::Entity::find_by_id(id.0).one(&self.db()).await?;
        Ok(row.map(|row| self.believed(row)))
    }

    /// Stores what of a person can change, signed.
    pub(super) async fn put_user(&self, row: user::Model) -> Result<User, Error> {
        let changed = user::ActiveModel {
            id: Set(row.id),
            display_name: Set(row.display_name.clone()),
            role: Set(row.role.clone()),
            claimed_role: Set(row.claimed_role.clone()),
            disabled: Set(row.disabled),
            version: Set(row.version.saturating_add(1)),
            own_mac: Set(self.sign(&row)?),
            ..Default::default()
        };
        read(user::Entity::update(changed).exec(&self.db()).await?)
    }

    /// Sets a person's password hash; whether there is such a person.
    pub async fn set_password_hash(&self, id: UserId, hash: String) -> Result<bool, Error> {
        let done = user::Entity::update_many()
            .filter(user::Column::Id.eq(id.0))
            .col_expr(user::Column::PasswordHash, Expr::value(hash))
            .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1_i64))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Deletes a person with memberships, sessions, links, grants and upstream identities; whether there was one.
    pub async fn delete_user(&self, id: UserId) -> Result<bool, Error> {
        let db = self.db();
        membership::Entity::delete_many().filter(membership::Column::UserId.eq(id.0)).exec(&db).await?;
        session::Entity::delete_many().filter(session::Column::UserId.eq(id.0)).exec(&db).await?;
        password_link::Entity::delete_many().filter(password_link::Column::UserId.eq(id.0)).exec(&db).await?;
        self.end_grants_of_user(id).await?;
        self.delete_provider_users_of(id).await?;
        let own = upstream_identity::Column::UserId.eq(id.0);
        upstream_identity::Entity::delete_many().filter(own).exec(&db).await?;
        Ok(user::Entity::delete_by_id(id.0).exec(&db).await?.rows_affected == 1)
    }

    /// The apps a person belongs to.
    pub async fn memberships_of(&self, id: UserId) -> Result<Vec<(AppId, Membership)>, Error> {
        let rows = membership::Entity::find()
            .filter(membership::Column::UserId.eq(id.0))
            .order_by_asc(membership::Column::App)
            .all(&self.db())
            .await?;
        let corrupt = || Error::Corrupt { table: "membership", column: "app" };
        let rows = rows.into_iter().filter_map(|row| self.own_membership(row));
        let read = |row: membership::Model| {
            let app = AppId::parse(&row.app).map_err(|_| corrupt())?;
            Ok((app, read_membership(&row.role)?))
        };
        rows.map(read).collect()
    }
}

impl AppRows<'_> {
    /// Makes or changes a membership, whoever gave the one before; tells since when it is.
    pub async fn put_member(&self, user: UserId, role: Membership) -> Result<time::OffsetDateTime, Error> {
        let mut row = membership::Model {
            app: self.app.as_str().to_owned(),
            user_id: user.0,
            role: role.as_str().to_owned(),
            claimed_role: None,
            granted_role: None,
            created_at: self.conn.now_us(),
            own_mac: None,
        };
        row.own_mac = self.conn.sign(&row)?;
        let all = [
            membership::Column::Role,
            membership::Column::ClaimedRole,
            membership::Column::GrantedRole,
            membership::Column::OwnMac,
        ];
        let again = OnConflict::columns([membership::Column::App, membership::Column::UserId])
            .update_columns(all)
            .to_owned();
        let row = membership::Entity::insert(membership::ActiveModel::from(row))
            .on_conflict(again)
            .exec_with_returning(&self.conn.db())
            .await?;
        Ok(from_micros(row.created_at))
    }

    /// One person's membership.
    pub async fn find_member(&self, user: UserId) -> Result<Option<Membership>, Error> {
        let key = (self.app.as_str().to_owned(), user.0);
        let row = membership::Entity::find_by_id(key).one(&self.conn.db()).await?;
        let row = row.and_then(|row| self.conn.own_membership(row));
        row.map(|row| read_membership(&row.role)).transpose()
    }

    /// Ends a membership; whether there was one.
    pub async fn delete_member(&self, user: UserId) -> Result<bool, Error> {
        let key = (self.app.as_str().to_owned(), user.0);
        Ok(membership::Entity::delete_by_id(key).exec(&self.conn.db()).await?.rows_affected == 1)
    }

    /// Members in the order of their ids, after `after`.
    pub async fn list_members(&self, after: Option<Uuid>, limit: u64) -> Result<Vec<AppMember>, Error> {
        let mut query = membership::Entity::find()
            .filter(membership::Column::App.eq(self.app.as_str()))
            .order_by_asc(membership::Column::UserId)
            .limit(limit);
        if let Some(after) = after {
            query = query.filter(membership::Column::UserId.gt(after));
        }
        let rows = query.all(&self.conn.db()).await?;
        let ids = rows.iter().map(|row| row.user_id);
        let users = user::Entity::find().filter(user::Column::Id.is_in(ids)).all(&self.conn.db()).await?;
        let mut members = Vec::with_capacity(rows.len());
        for row in rows.into_iter().filter_map(|row| self.conn.own_membership(row)) {
            if let Some(found) = users.iter().find(|user| user.id == row.user_id) {
                let role = read_membership(&row.role)?;
                let created_at = from_micros(row.created_at);
                members.push(AppMember { user: read(self.conn.believed(found.clone()))?, role, created_at });
            }
        }
        Ok(members)
    }
}

pub(super) fn read_membership(text: &str) -> Result<Membership, Error> {
    Membership::parse(text).ok_or(Error::Corrupt { table: "membership", column: "role" })
}

fn read(row: user::Model) -> Result<User, Error> {
    let corrupt = |column| Error::Corrupt { table: "user", column };
    let role = match row.role.as_deref().or(row.claimed_role.as_deref()) {
        None => None,
        Some("superadmin") => Some(Role::Superadmin),
        Some(_) => return Err(corrupt("role")),
    };
    Ok(User {
        id: UserId(row.id),
        email: Email::parse(&row.email).ok_or_else(|| corrupt("email"))?,
        display_name: row.display_name,
        role,
        disabled: row.disabled,
        has_password: row.password_hash.is_some(),
        version: row.version,
        created_at: from_micros(row.created_at),
    })
}
