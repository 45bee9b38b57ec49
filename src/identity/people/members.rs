//! Memberships: who belongs to which app.

use super::{Error, Part, People, after, event, part};
use crate::identity::{Principal, Superadmin};
use crate::model::app::{App, AppId};
use crate::model::event::{Action, Event};
use crate::model::person::AppMember;
use crate::model::principal::{Membership, UserId};
use crate::model::scope::Scope;

/// Apps a start page lists at most.
const START_PAGE: u64 = 500;

impl People {
    /// Makes or changes a membership.
    pub async fn add_member(
        &self,
        by: &Superadmin,
        app: &AppId,
        user: UserId,
        role: Membership,
    ) -> Result<AppMember, Error> {
        let tx = self.tools.store.begin().await?;
        let rows = tx.conn().app(app);
        rows.find_app().await?.ok_or(Error::NoApp)?;
        let person = tx.conn().find_user(user).await?.ok_or(Error::NotFound)?;
        let created_at = rows.put_member(user, role).await?;
        let event = Event { app: Some(app.clone()), ..event(by, Action::MemberChange, user) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        tx.commit().await?;
        Ok(AppMember { user: person, role, created_at })
    }

    /// Ends a membership.
    pub async fn remove_member(&self, by: &Superadmin, app: &AppId, user: UserId) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        tx.conn().app(app).find_app().await?.ok_or(Error::NoApp)?;
        if !tx.conn().app(app).delete_member(user).await? {
            return Err(Error::NotFound);
        }
        let event = Event { app: Some(app.clone()), ..event(by, Action::MemberChange, user) };
        self.tools.audit.record_in(tx.conn(), event).await?;
        Ok(tx.commit().await?)
    }

    /// Members in the order of their ids.
    pub async fn list_members(
        &self,
        _by: &Superadmin,
        app: &AppId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Part<AppMember>, Error> {
        let conn = self.tools.store.conn();
        conn.app(app).find_app().await?.ok_or(Error::NoApp)?;
        let members = conn.app(app).list_members(after(cursor)?, u64::from(limit) + 1).await?;
        Ok(part(members, limit, |member| member.user.id.0))
    }

    /// What the start page of a person lists: their apps; for a superadmin all.
    pub async fn apps_of(&self, person: &Principal) -> Result<Vec<App>, Error> {
        let conn = self.tools.store.conn();
        let Some(user) = person.user() else { return Ok(Vec::new()) };
        if person.superadmin(Scope::AppsRead).is_ok() {
            return Ok(conn.list_apps(None, START_PAGE).await?);
        }
        let mut apps = Vec::new();
        for (app, _) in conn.memberships_of(user).await? {
            apps.extend(conn.app(&app).find_app().await?);
        }
        Ok(apps)
    }
}
