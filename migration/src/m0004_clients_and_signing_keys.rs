//! Our OAuth clients and the keys that sign their tokens.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// Our OAuth clients and the keys that sign their tokens.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        client(manager).await?;
        client_secret(manager).await?;
        signing_key(manager).await?;
        Ok(())
    }
}

async fn client(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("client")
                .col(text("client_id"))
                .col(text("identifier"))
                .col(text("kind"))
                .col(text_null("role"))
                .col(text("scopes"))
                .col(json_binary_null("allow"))
                .col(json_binary("resources"))
                .col(json_binary("redirect_uris"))
                .col(text_null("jwks"))
                .col(integer_null("token_lifetime_s"))
                .col(boolean("refresh_tokens"))
                .col(boolean("disabled"))
                .col(big_integer_null("not_before"))
                .col(big_integer("version"))
                .col(blob("own_mac"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("client_id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("client_identifier").table("client").col("identifier").unique().to_owned(),
        )
        .await?;
    Ok(())
}

async fn client_secret(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("client_secret")
                .col(uuid("id"))
                .col(text("client_id"))
                .col(blob("secret_hash"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("client_secret_client_id")
                .table("client_secret")
                .col("client_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn signing_key(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("signing_key")
                .col(text("kid"))
                .col(text("algorithm"))
                .col(blob("sealed_private"))
                .col(uuid("key_id"))
                .col(text("public_jwk"))
                .col(blob("public_mac"))
                .col(text("state"))
                .col(big_integer("created_at"))
                .col(big_integer_null("retired_at"))
                .primary_key(Index::create().col("kid"))
                .to_owned(),
        )
        .await?;
    Ok(())
}
