//! What an attacker, or an accident, can do to the database behind the broker's back.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::app::Home;

/// A connection of its own.
pub(crate) struct Sql(DatabaseConnection);

impl Sql {
    pub(crate) async fn open(home: &Home) -> Self {
        let file = || format!("sqlite:{}", home.data_dir().join("jeton.db").display());
        Self(sea_orm::Database::connect(home.database_url.clone().unwrap_or_else(file)).await.unwrap())
    }

    pub(crate) async fn run(&self, statement: &str) {
        self.0.execute_unprepared(statement).await.unwrap();
    }

    /// The first column of a query, as texts.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let statement = Statement::from_string(self.0.get_database_backend(), query);
        let rows = self.0.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// How many rows there are of a table, or of what else stands behind FROM.
    pub(crate) async fn count(&self, from: &str) -> usize {
        self.texts(&format!("SELECT CAST(count(*) AS TEXT) FROM {from}")).await[0].parse().unwrap()
    }

    /// Every row of every table, as text, by the table's name.
    pub(crate) async fn contents(&self) -> BTreeMap<String, Vec<String>> {
        let tables = if self.is_postgres() {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        };
        let mut contents = BTreeMap::new();
        for table in self.texts(tables).await {
            let row = if self.is_postgres() {
                "t::text".to_owned()
            } else {
                let columns = self.texts(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
                let quoted: Vec<_> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
                quoted.join(" || ',' || ")
            };
            let rows = self.texts(&format!("SELECT {row} FROM \"{table}\" t ORDER BY 1")).await;
            contents.insert(table, rows);
        }
        contents
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == sea_orm::DbBackend::Postgres
    }

    /// From now on writes of this kind to a table fail: a full disk, a read-only standby.
    pub(crate) async fn refuse(&self, operation: &str, table: &str) {
        if self.is_postgres() {
            self.run(
                "CREATE OR REPLACE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            )
            .await;
            self.run(&format!(
                "CREATE TRIGGER refusing_{table} BEFORE {operation} ON {table} EXECUTE FUNCTION refused()"
            ))
            .await;
        } else {
            self.run(&format!(
                "CREATE TRIGGER refusing_{table} BEFORE {operation} ON {table} \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ))
            .await;
        }
    }

    pub(crate) async fn allow(&self, table: &str) {
        let on = if self.is_postgres() { format!(" ON {table}") } else { String::new() };
        self.run(&format!("DROP TRIGGER refusing_{table}{on}")).await;
    }
}
