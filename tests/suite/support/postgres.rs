//! A fresh PostgreSQL database, where `JETON_TEST_POSTGRES_URL` names a server.

use jeton::model::entropy::{SystemEntropy, token};
use sea_orm::ConnectionTrait;

/// The URL of a new, empty database; `None` without a server.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) async fn fresh() -> Option<String> {
    let server = std::env::var("JETON_TEST_POSTGRES_URL").ok()?;
    let name = format!("suite_{}", token::<12>(&SystemEntropy).to_lowercase().replace('-', "_"));
    let db = sea_orm::Database::connect(&server).await.unwrap();
    db.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

/// Whether there is a server at all.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) fn is_here() -> bool {
    std::env::var("JETON_TEST_POSTGRES_URL").is_ok()
}
