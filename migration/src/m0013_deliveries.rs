//! Credentials of clients that were delivered into secret stores.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// Credentials of clients that were delivered into secret stores.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("delivery")
                    .col(text("client_id"))
                    .col(text("reference"))
                    .col(big_integer("version"))
                    .col(text("form"))
                    .col(text("state"))
                    .col(uuid("secret_id"))
                    .col(uuid_null("previous_secret_id"))
                    .col(big_integer("changed_at"))
                    .col(blob("own_mac"))
                    .primary_key(Index::create().col("client_id"))
                    .to_owned(),
            )
            .await?;
        manager
            .alter_table(
                Table::alter().table("client_secret").add_column(big_integer_null("used_at")).to_owned(),
            )
            .await
    }
}
