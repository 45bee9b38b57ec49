//! People of an upstream OpenID provider: who they are here, sign-ins under way, and which rights their claims give.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

/// People of an upstream OpenID provider.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        identity(manager).await?;
        login(manager).await?;
        // What claims give stands beside what an admin or an invitation gave: one can go without the other.
        for (table, column) in
            [("user", "claimed_role"), ("membership", "claimed_role"), ("membership", "granted_role")]
        {
            let alter = Table::alter().table(table).add_column(text_null(column)).to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}

async fn identity(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("upstream_identity")
                .col(uuid("id"))
                .col(text("issuer"))
                .col(text("subject"))
                .col(uuid("user_id"))
                .col(text("label"))
                .col(blob("own_mac"))
                .col(big_integer("created_at"))
                .col(big_integer("used_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    for (name, other) in [("upstream_identity_subject", "subject"), ("upstream_identity_user", "user_id")] {
        let mut index = Index::create();
        index.name(name).table("upstream_identity").col("issuer").col(other).unique();
        manager.create_index(index).await?;
    }
    Ok(())
}

async fn login(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("upstream_login")
                .col(uuid("id"))
                .col(blob("state_hash"))
                .col(uuid_null("session_id"))
                .col(blob("network_hash"))
                .col(blob("sealed_flow"))
                .col(uuid("key_id"))
                .col(big_integer("expires_at"))
                .primary_key(Index::create().col("id"))
                .to_owned(),
        )
        .await?;
    let mut index = Index::create();
    index.name("upstream_login_expires_at").table("upstream_login").col("expires_at");
    manager.create_index(index).await
}
