//! Which apps are there, and what is left of deleted ones?

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::model::app::{App, AppId, AppState};
use crate::model::secret::WrappedKey;
use crate::model::time::from_micros;
use crate::store::entity::{app, connector_credentials, data_key, invitation, membership};
use crate::store::{AppRows, Conn, Error};

const DELETED: &str = "deleted";

impl Conn<'_> {
    /// Apps by id, after `after`, deleted ones left out.
    pub async fn list_apps(&self, after: Option<&str>, limit: u64) -> Result<Vec<App>, Error> {
        let mut query = app::Entity::find().filter(app::Column::State.ne(DELETED));
        if let Some(after) = after {
            query = query.filter(app::Column::Id.gt(after));
        }
        let rows = query.order_by_asc(app::Column::Id).limit(limit).all(&self.db()).await?;
        rows.into_iter().map(read).collect()
    }
}

impl AppRows<'_> {
    /// Stores a new app with its data key.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for an id that is or ever was in use.
    pub async fn insert_app(&self, name: &str, data_key: &WrappedKey) -> Result<App, Error> {
        let row = app::ActiveModel {
            id: Set(self.app.to_string()),
            name: Set(name.to_owned()),
            state: Set(AppState::Active.as_str().to_owned()),
            data_key_id: Set(Some(data_key.id)),
            created_at: Set(self.conn.now_us()),
            deleted_at: Set(None),
        };
        let row = app::Entity::insert(row).exec_with_returning(&self.conn.db()).await?;
        self.conn.insert_data_key(data_key).await?;
        read(row)
    }

    /// The app, unless it was deleted.
    pub async fn find_app(&self) -> Result<Option<App>, Error> {
        self.find_row().await?.filter(|row| row.state != DELETED).map(read).transpose()
    }

    /// The app's data key; `None` without the app or once the key is destroyed.
    pub async fn find_app_key(&self) -> Result<Option<WrappedKey>, Error> {
        match self.find_row().await?.and_then(|row| row.data_key_id) {
            Some(id) => self.conn.find_data_key(id).await,
            None => Ok(None),
        }
    }

    /// Keeps the app as it is, neither disabled nor deleted meanwhile, for the length of the transaction; SQLite
    /// has one writer anyway.
    pub async fn hold_app(&self) -> Result<(), Error> {
        if self.conn.is_postgres() {
            let sql = "SELECT id FROM app WHERE id = $1 FOR SHARE";
            self.conn.run(sql.to_owned(), vec![self.app.as_str().into()]).await?;
        }
        Ok(())
    }

    /// Changes what is given; `None` where there is no such app.
    pub async fn update_app(
        &self,
        name: Option<&str>,
        state: Option<AppState>,
    ) -> Result<Option<App>, Error> {
        let row = app::ActiveModel {
            name: name.map(str::to_owned).map_or_else(Default::default, Set),
            state: state.map(|state| state.as_str().to_owned()).map_or_else(Default::default, Set),
            ..Default::default()
        };
        if name.is_some() || state.is_some() {
            app::Entity::update_many()
                .set(row)
                .filter(app::Column::Id.eq(self.app.as_str()))
                .filter(app::Column::State.ne(DELETED))
                .exec(&self.conn.db())
                .await?;
        }
        self.find_app().await
    }

    /// Turns the app into a tombstone: memberships, invitations and credentials go, its data key is destroyed,
    /// its id stays taken. Says whether there was anything to bury.
    pub async fn bury_app(&self) -> Result<bool, Error> {
        let Some(row) = self.find_row().await?.filter(|row| row.state != DELETED) else { return Ok(false) };
        let (db, id) = (self.conn.db(), self.app.as_str());
        membership::Entity::delete_many().filter(membership::Column::App.eq(id)).exec(&db).await?;
        invitation::Entity::delete_many().filter(invitation::Column::App.eq(id)).exec(&db).await?;
        connector_credentials::Entity::delete_many()
            .filter(connector_credentials::Column::App.eq(id))
            .exec(&db)
            .await?;
        let buried = app::ActiveModel {
            id: Set(row.id),
            state: Set(DELETED.to_owned()),
            data_key_id: Set(None),
            deleted_at: Set(Some(self.conn.now_us())),
            ..Default::default()
        };
        app::Entity::update(buried).exec(&db).await?;
        if let Some(key) = row.data_key_id {
            data_key::Entity::delete_by_id(key).exec(&db).await?;
        }
        Ok(true)
    }

    async fn find_row(&self) -> Result<Option<app::Model>, Error> {
        Ok(app::Entity::find_by_id(self.app.as_str()).one(&self.conn.db()).await?)
    }
}

fn read(row: app::Model) -> Result<App, Error> {
    let corrupt = |column| Error::Corrupt { table: "app", column };
    Ok(App {
        id: AppId::parse(&row.id).map_err(|_| corrupt("id"))?,
        name: row.name,
        state: [AppState::Active, AppState::Disabled]
            .into_iter()
            .find(|state| state.as_str() == row.state)
            .ok_or_else(|| corrupt("state"))?,
        created_at: from_micros(row.created_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::databases;

    /// Sessions of the test's PostgreSQL database that wait for a row.
    const WAITING: &str = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

    #[tokio::test]
    async fn whoever_disables_an_app_waits_for_who_holds_it() {
        for db in databases().await.into_iter().filter(|db| db.name == "postgres") {
            let (store, app) = (db.store(), AppId::parse("acme").unwrap());
            let tx = store.begin().await.unwrap();
            let key = db.vault().new_data_key(db.id()).unwrap();
            tx.conn().app(&app).insert_app("Acme", &key).await.unwrap();
            tx.commit().await.unwrap();
            let holding = store.begin().await.unwrap();
            holding.conn().app(&app).hold_app().await.unwrap();
            let other = db.store();
            let disabling = tokio::spawn(async move {
                let tx = other.begin().await.unwrap();
                let app = AppId::parse("acme").unwrap();
                tx.conn().app(&app).update_app(None, Some(AppState::Disabled)).await.unwrap();
                tx.commit().await.unwrap();
            });
            while db.count(WAITING).await == 0 {
                assert!(!disabling.is_finished(), "nothing held it");
                tokio::task::yield_now().await;
            }
            holding.commit().await.unwrap();
            disabling.await.unwrap();
        }
    }
}
