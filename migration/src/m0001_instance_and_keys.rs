//! The instance and its data keys.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// The instance and its data keys.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        instance(manager).await?;
        data_key(manager).await?;
        Ok(())
    }
}

async fn instance(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("instance")
                .col(integer("id"))
                .col(text("name"))
                .col(text_null("public_url"))
                .col(uuid("data_key_id"))
                .col(blob("sealed_hash_key"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn data_key(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("data_key")
                .col(uuid("id"))
                .col(text("kek_id"))
                .col(blob("wrapped"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    Ok(())
}
