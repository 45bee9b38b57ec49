//! From which network a device asks: one network takes no place from another.

use sea_orm_migration::prelude::*;

/// From which network a device asks.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("network_hash").binary().null().to_owned();
        manager.alter_table(Table::alter().table("device_code").add_column(column).to_owned()).await
    }
}
