//! Apps, people, memberships, invitations, sessions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// Apps, people, memberships, invitations, sessions.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        app(manager).await?;
        user(manager).await?;
        membership(manager).await?;
        invitation(manager).await?;
        password_link(manager).await?;
        session(manager).await?;
        attempt(manager).await?;
        Ok(())
    }
}

async fn app(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("app")
                .col(text("id"))
                .col(text("name"))
                .col(text("state"))
                .col(uuid_null("data_key_id"))
                .col(big_integer("created_at"))
                .col(big_integer_null("deleted_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn user(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("user")
                .col(uuid("id"))
                .col(text("email"))
                .col(text("display_name"))
                .col(text_null("role"))
                .col(text_null("password_hash"))
                .col(boolean("disabled"))
                .col(big_integer("version"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(Index::create().name("user_email").table("user").col("email").unique().to_owned())
        .await?;
    Ok(())
}

async fn membership(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("membership")
                .col(text("app"))
                .col(uuid("user_id"))
                .col(text("role"))
                .col(big_integer("created_at"))
                .primary_key(Index::create().col("app").col("user_id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("membership_user_id").table("membership").col("user_id").to_owned(),
        )
        .await?;
    Ok(())
}

async fn invitation(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("invitation")
                .col(uuid("id"))
                .col(blob("token_hash"))
                .col(text_null("app"))
                .col(text_null("email"))
                .col(text("role"))
                .col(json_binary_null("connectors"))
                .col(text("invited_by"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(big_integer_null("accepted_at"))
                .col(uuid_null("accepted_by"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(Index::create().name("invitation_app").table("invitation").col("app").to_owned())
        .await?;
    Ok(())
}

async fn password_link(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("password_link")
                .col(uuid("id"))
                .col(uuid("user_id"))
                .col(blob("token_hash"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .col(big_integer_null("used_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("password_link_user_id").table("password_link").col("user_id").to_owned(),
        )
        .await?;
    Ok(())
}

async fn session(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("session")
                .col(uuid("id"))
                .col(blob("token_hash"))
                .col(uuid("user_id"))
                .col(text_null("address"))
                .col(big_integer("created_at"))
                .col(big_integer("expires_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    manager
        .create_index(Index::create().name("session_user_id").table("session").col("user_id").to_owned())
        .await?;
    Ok(())
}

async fn attempt(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("attempt")
                .col(blob("key"))
                .col(integer("failures"))
                .col(big_integer("window_ends_at"))
                .primary_key(Index::create().col("key"))
                .to_owned(),
        )
        .await?;
    Ok(())
}
