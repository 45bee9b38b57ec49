//! People: made, changed, listed and deleted by superadmins.

use super::{Error, Link, Part, People, after, covered, covered_in_apps, event, part};
use crate::identity::Superadmin;
use crate::model::client::Role;
use crate::model::event::Action;
use crate::model::name::DisplayName;
use crate::model::person::{Email, Session, User};
use crate::model::principal::UserId;
use crate::store::users::UserChange;

impl People {
    /// Makes a person without a password, and a link that sets one.
    ///
    /// # Errors
    /// [`Error::EmailTaken`]; [`Error::Denied`] where the role exceeds the caller's rights.
    pub async fn create_user(
        &self,
        by: &Superadmin,
        email: &Email,
        name: &DisplayName,
        role: Option<Role>,
    ) -> Result<(User, Link), Error> {
        covered(by, role)?;
        let id = UserId(self.tools.id());
        let tx = self.tools.store.begin().await?;
        if tx.conn().find_login(email).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let user = match tx.conn().insert_user(id, email, name.as_str(), role, None).await {
            Err(crate::store::Error::AlreadyExists) => return Err(Error::EmailTaken),
            other => other?,
        };
        let link = self.insert_link(tx.conn(), id).await?;
        self.tools.audit.record_in(tx.conn(), event(by, Action::UserChange, id)).await?;
        tx.commit().await?;
        Ok((user, link))
    }

    /// One person.
    pub async fn find_user(&self, _by: &Superadmin, id: UserId) -> Result<User, Error> {
        self.tools.store.conn().find_user(id).await?.ok_or(Error::NotFound)
    }

    /// People in the order they were made.
    pub async fn list_users(
        &self,
        _by: &Superadmin,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Part<User>, Error> {
        let users = self.tools.store.conn().list_users(after(cursor)?, u64::from(limit) + 1).await?;
        Ok(part(users, limit, |user| user.id.0))
    }

    /// Changes a person; who is disabled is signed out everywhere, out of clients too.
    pub async fn update_user(
        &self,
        by: &Superadmin,
        id: UserId,
        name: Option<&DisplayName>,
        role: Option<Option<Role>>,
        disabled: Option<bool>,
    ) -> Result<User, Error> {
        let tx = self.tools.store.begin().await?;
        let user = tx.conn().find_user(id).await?.ok_or(Error::NotFound)?;
        covered(by, user.role)?;
        covered_in_apps(tx.conn(), by, id).await?;
        covered(by, role.flatten())?;
        let display_name = name.map(|name| name.as_str().to_owned());
        let change = UserChange { display_name, role, disabled };
        let user = tx.conn().update_user(id, &change).await?.ok_or(Error::NotFound)?;
        if user.disabled {
            tx.conn().delete_sessions_of(id).await?;
            tx.conn().end_grants_of_user(id).await?;
        }
        self.tools.audit.record_in(tx.conn(), event(by, Action::UserChange, id)).await?;
        self.finish(tx, id).await?;
        Ok(user)
    }

    /// Deletes a person with memberships, sessions and links; connections they made stay.
    pub async fn delete_user(&self, by: &Superadmin, id: UserId) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        let user = tx.conn().find_user(id).await?.ok_or(Error::NotFound)?;
        covered(by, user.role)?;
        covered_in_apps(tx.conn(), by, id).await?;
        tx.conn().delete_user(id).await?;
        self.tools.audit.record_in(tx.conn(), event(by, Action::UserChange, id)).await?;
        self.finish(tx, id).await
    }

    /// A person's live sessions, newest first.
    pub async fn list_sessions(&self, by: &Superadmin, id: UserId) -> Result<Vec<Session>, Error> {
        self.find_user(by, id).await?;
        Ok(self.tools.store.conn().sessions_of(id).await?)
    }

    /// Signs a person out everywhere, out of clients too; how many sessions that were.
    pub async fn end_sessions(&self, by: &Superadmin, id: UserId) -> Result<u64, Error> {
        let tx = self.tools.store.begin().await?;
        let user = tx.conn().find_user(id).await?.ok_or(Error::NotFound)?;
        covered(by, user.role)?;
        covered_in_apps(tx.conn(), by, id).await?;
        let ended = tx.conn().delete_sessions_of(id).await?;
        tx.conn().end_grants_of_user(id).await?;
        self.tools.audit.record_in(tx.conn(), event(by, Action::UserChange, id)).await?;
        self.finish(tx, id).await?;
        Ok(ended)
    }
}
