//! Links by which a service provider sends its own people to connect an account.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// Links by which a service provider sends its own people to connect an account.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        signup_link(manager).await?;
        provider_user(manager).await?;
        manager
            .alter_table(Table::alter().table("signup").add_column(uuid_null("link_id")).to_owned())
            .await?;
        manager
            .create_index(Index::create().name("signup_link_id").table("signup").col("link_id").to_owned())
            .await
    }
}

async fn signup_link(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("signup_link")
                .col(uuid("id"))
                .col(blob("token_hash"))
                .col(text("client_id"))
                .col(text("app"))
                .col(text("connector"))
                .col(text("flow"))
                .col(text("external_id"))
                .col(text("label"))
                .col(text_null("return_to"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(big_integer_null("used_at"))
                .col(blob("own_mac"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    let index =
        Index::create().name("signup_link_expires_at").table("signup_link").col("expires_at").to_owned();
    manager.create_index(index).await
}

async fn provider_user(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("provider_user")
                .col(text("client_id"))
                .col(text("external_id"))
                .col(uuid("user_id"))
                .col(big_integer("created_at"))
                .col(blob("own_mac"))
                .primary_key(Index::create().col("client_id").col("external_id"))
                .to_owned(),
        )
        .await?;
    let index =
        Index::create().name("provider_user_user_id").table("provider_user").col("user_id").to_owned();
    manager.create_index(index).await
}
