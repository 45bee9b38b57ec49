//! What people may do is under this instance's keyed hash: roles, memberships, consents,
//! and whose a connection is. And how a session
//! came to be.

use sea_orm_migration::prelude::*;

/// What people may do is under this instance's keyed hash.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["user", "membership", "consent"] {
            let column = ColumnDef::new("own_mac").binary().null().to_owned();
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        for name in ["owner_mac", "shared_mac"] {
            let column = ColumnDef::new(name).binary().null().to_owned();
            manager.alter_table(Table::alter().table("connection").add_column(column).to_owned()).await?;
        }
        let column = ColumnDef::new("opened_by").text().null().to_owned();
        manager.alter_table(Table::alter().table("session").add_column(column).to_owned()).await?;
        Ok(())
    }
}
