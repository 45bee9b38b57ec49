//! What each consent, import and undo brought beside tokens: kept for as long as it can be undone.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// What each consent, import and undo brought beside tokens.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("adoption")
                    .col(uuid("id"))
                    .col(uuid("connection_id"))
                    .col(text_null("owner"))
                    .col(text_null("owner_label"))
                    .col(blob_null("account_fingerprint"))
                    .col(text_null("account_label"))
                    .col(json_binary("variables"))
                    .col(blob("own_mac"))
                    .col(uuid_null("credentials_id"))
                    .col(big_integer_null("credentials_version"))
                    .primary_key(Index::create().col("id"))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }
}
