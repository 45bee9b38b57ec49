//! The authorization server: resource servers, grants and what leads to them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// The authorization server: resource servers, grants and what leads to them.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        resource(manager).await?;
        oauth_grant(manager).await?;
        refresh_token(manager).await?;
        authorization_code(manager).await?;
        device_code(manager).await?;
        consent(manager).await?;
        client_assertion(manager).await?;
        revoked_token(manager).await?;
        Ok(())
    }
}

async fn resource(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("resource")
                .col(text("uri"))
                .col(text("name"))
                .col(text("scopes"))
                .col(big_integer("version"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("uri"))
                .to_owned(),
        )
        .await
}

async fn oauth_grant(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("oauth_grant")
                .col(uuid("id"))
                .col(text("client_id"))
                .col(uuid_null("user_id"))
                .col(text("begun_by"))
                .col(text("scopes"))
                .col(text_null("resource"))
                .col(big_integer_null("auth_time"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(blob("own_mac"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    for column in ["client_id", "user_id", "expires_at"] {
        index(manager, "oauth_grant", column).await?;
    }
    Ok(())
}

async fn refresh_token(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("refresh_token")
                .col(uuid("id"))
                .col(uuid("grant_id"))
                .col(blob("token_hash"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(big_integer_null("used_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    index(manager, "refresh_token", "grant_id").await?;
    index(manager, "refresh_token", "expires_at").await
}

async fn authorization_code(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("authorization_code")
                .col(uuid("id"))
                .col(blob("code_hash"))
                .col(uuid("grant_id"))
                .col(text("client_id"))
                .col(uuid("user_id"))
                .col(text("redirect_uri"))
                .col(text("scopes"))
                .col(text_null("resource"))
                .col(text("code_challenge"))
                .col(text_null("nonce"))
                .col(big_integer("auth_time"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(big_integer_null("used_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    for column in ["client_id", "user_id", "expires_at"] {
        index(manager, "authorization_code", column).await?;
    }
    Ok(())
}

async fn device_code(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("device_code")
                .col(uuid("id"))
                .col(blob("code_hash"))
                .col(blob("user_code_hash"))
                .col(text("client_id"))
                .col(text("scopes"))
                .col(text_null("resource"))
                .col(text("state"))
                .col(uuid_null("user_id"))
                .col(big_integer_null("auth_time"))
                .col(big_integer("interval_us"))
                .col(big_integer_null("polled_at"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(blob("own_mac"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("device_code_user_code_hash")
                .table("device_code")
                .col("user_code_hash")
                .unique()
                .to_owned(),
        )
        .await?;
    index(manager, "device_code", "client_id").await?;
    index(manager, "device_code", "user_id").await?;
    index(manager, "device_code", "expires_at").await
}

async fn consent(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("consent")
                .col(uuid("user_id"))
                .col(text("client_id"))
                .col(text("resource"))
                .col(text("scopes"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("user_id").col("client_id").col("resource"))
                .to_owned(),
        )
        .await?;
    index(manager, "consent", "client_id").await
}

async fn client_assertion(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("client_assertion")
                .col(blob("jti_hash"))
                .col(big_integer("expires_at"))
                .primary_key(Index::create().col("jti_hash"))
                .to_owned(),
        )
        .await?;
    index(manager, "client_assertion", "expires_at").await
}

async fn revoked_token(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("revoked_token")
                .col(uuid("jti"))
                .col(big_integer("expires_at"))
                .primary_key(Index::create().col("jti"))
                .to_owned(),
        )
        .await?;
    index(manager, "revoked_token", "expires_at").await
}

async fn index(manager: &SchemaManager<'_>, table: &'static str, column: &'static str) -> Result<(), DbErr> {
    let name = format!("{table}_{column}");
    manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await
}
