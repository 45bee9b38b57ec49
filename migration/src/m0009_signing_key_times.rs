//! When a signing key begins to sign; and that at most one waits and at most one signs, whatever replicas do at once.

use sea_orm_migration::prelude::*;

/// When a signing key begins to sign.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["activates_at", "activated_at"] {
            let column = ColumnDef::new(column).big_integer().null().to_owned();
            manager.alter_table(Table::alter().table("signing_key").add_column(column).to_owned()).await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared("UPDATE signing_key SET activated_at = created_at WHERE state = 'active'")
            .await?;
        // As text: the builder knows no index of a part of a table.
        db.execute_unprepared(
            "CREATE UNIQUE INDEX signing_key_state ON signing_key (state) WHERE state <> 'retired'",
        )
        .await?;
        Ok(())
    }
}
