//! What all cases of a run share: where things are, how large they are, fresh databases.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;

use crate::{Fallible, RunArgs};

pub(crate) struct Stage {
    pub(crate) jeton: PathBuf,
    pub(crate) times: u32,
    /// The core that a floor and what is compared with it run on.
    pub(crate) one_core: String,
    pub(crate) all_cores: String,
    postgres: String,
    divide: u32,
    dir: TempDir,
}

/// Which database a case is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

impl Stage {
    pub(crate) fn new(args: &RunArgs) -> Fallible<Self> {
        Ok(Self {
            jeton: args.jeton.clone(),
            times: args.times.max(1),
            one_core: args.server_core.to_string(),
            all_cores: args.all_cores.clone(),
            postgres: args.postgres.clone(),
            divide: args.divide.max(1),
            dir: TempDir::new()?,
        })
    }

    pub(crate) fn size(&self, whole: u32) -> u32 {
        (whole / self.divide).max(64)
    }

    pub(crate) fn seconds(&self, whole: u32) -> Duration {
        (Duration::from_secs(whole.into()) / self.divide).max(Duration::from_millis(200))
    }

    /// A new directory of this name.
    pub(crate) fn directory(&self, name: &str) -> Fallible<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// The URL of a new, empty database.
    pub(crate) async fn database(&self, kind: Kind, name: &str) -> Fallible<String> {
        if kind == Kind::Sqlite {
            let path = self.directory(&format!("{name}-db"))?.join("bench.db");
            return Ok(format!("sqlite:{}?mode=rwc", path.display()));
        }
        let name = name.replace('-', "_");
        let db = Database::connect(&self.postgres).await?;
        db.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        db.close().await?;
        let (server, _) = self.postgres.rsplit_once('/').ok_or("the PostgreSQL URL names no database")?;
        Ok(format!("{server}/{name}"))
    }
}
