//! Schema of the broker, forward only; one change a file. The same statements run on SQLite and PostgreSQL.

#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "the words of a schema: one for each type of column")
)]

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::{MigrationTrait, async_trait};

mod m0001_instance_and_keys;
mod m0002_apps_and_people;
mod m0003_connectors_and_connections;
mod m0004_clients_and_signing_keys;
mod m0005_audit;
mod m0006_adoptions;
mod m0007_outbox;
mod m0008_authorization_server;
mod m0009_signing_key_times;
mod m0010_upstream_identities;
mod m0011_signup_links;
mod m0012_own_rights;
mod m0013_deliveries;
mod m0014_device_networks;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_instance_and_keys::Migration),
            Box::new(m0002_apps_and_people::Migration),
            Box::new(m0003_connectors_and_connections::Migration),
            Box::new(m0004_clients_and_signing_keys::Migration),
            Box::new(m0005_audit::Migration),
            Box::new(m0006_adoptions::Migration),
            Box::new(m0007_outbox::Migration),
            Box::new(m0008_authorization_server::Migration),
            Box::new(m0009_signing_key_times::Migration),
            Box::new(m0010_upstream_identities::Migration),
            Box::new(m0011_signup_links::Migration),
            Box::new(m0012_own_rights::Migration),
            Box::new(m0013_deliveries::Migration),
            Box::new(m0014_device_networks::Migration),
        ]
    }
}
