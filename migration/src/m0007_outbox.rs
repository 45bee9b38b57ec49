//! What is told of connections: written by the database itself where a state changes, so that no statement can forget it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// What is told of connections.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A state changed, or the reason that a person has to act on.
const CHANGED: &str = "(OLD.state <> NEW.state OR COALESCE(OLD.reason, '') <> COALESCE(NEW.reason, ''))";
const COLUMNS: &str = "at, app, connector, flow, before, state, reason";
const VALUES: &str = "NEW.state_since, NEW.app, NEW.connector, NEW.flow, OLD.state, NEW.state, NEW.reason";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("outbox")
                    .col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key())
                    .col(big_integer("at"))
                    .col(text("app"))
                    .col(text("connector"))
                    .col(text("flow"))
                    .col(text("before"))
                    .col(text("state"))
                    .col(text_null("reason"))
                    .to_owned(),
            )
            .await?;
        let db = manager.get_connection();
        if manager.get_database_backend() == sea_orm_migration::sea_orm::DbBackend::Postgres {
            db.execute_unprepared(&format!(
                "CREATE FUNCTION connection_changed() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN INSERT INTO outbox ({COLUMNS}) VALUES ({VALUES}); RETURN NULL; END $$"
            ))
            .await?;
            db.execute_unprepared(&format!(
                "CREATE TRIGGER connection_changed AFTER UPDATE OF state, reason ON connection \
                 FOR EACH ROW WHEN {CHANGED} EXECUTE FUNCTION connection_changed()"
            ))
            .await?;
        } else {
            db.execute_unprepared(&format!(
                "CREATE TRIGGER connection_changed AFTER UPDATE OF state, reason ON connection \
                 FOR EACH ROW WHEN {CHANGED} BEGIN INSERT INTO outbox ({COLUMNS}) VALUES ({VALUES}); END"
            ))
            .await?;
        }
        Ok(())
    }
}
