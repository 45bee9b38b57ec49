//! The audit trail.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// The audit trail.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audit_event(manager).await?;
        Ok(())
    }
}

async fn audit_event(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("audit_event")
                .col(uuid("id"))
                .col(big_integer("at"))
                .col(uuid("boot"))
                .col(big_integer("seq"))
                .col(text("actor"))
                .col(text("action"))
                .col(text("result"))
                .col(text_null("app"))
                .col(text_null("connector"))
                .col(text_null("flow"))
                .col(uuid_null("token_set"))
                .col(text_null("subject"))
                .col(text_null("address"))
                .col(uuid("trace_id"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(Index::create().name("audit_event_at").table("audit_event").col("at").to_owned())
        .await?;
    manager
        .create_index(
            Index::create().name("audit_event_app_at").table("audit_event").col("app").col("at").to_owned(),
        )
        .await?;
    Ok(())
}
