//! Does the database answer, and is it one that this release can rely on?

use time::{Duration, OffsetDateTime};

use super::check::{Check, Remedy, chain};
use crate::app::{Nature, public_url};
use crate::config::Config;
use crate::store::facts::{Schema, Server};
use crate::store::instance::Instance;
use crate::store::{Error, Glance, Unreached};

/// PostgreSQL 15.
const OLDEST: i32 = 150_000;
const SKEW: Duration = Duration::seconds(2);
const WRONG: Duration = Duration::seconds(60);

pub(super) async fn open(config: &Config, nature: &Nature, found: &mut Vec<Check>) -> Option<Glance> {
    const NAME: &str = "database";
    match Glance::open(&config.database, nature.clock.clone()).await {
        Ok(Some(glance)) => {
            let says = match (config.sqlite_file(), glance.served) {
                (Some(file), true) => format!("{} can be read, and a server works with it", file.display()),
                (Some(file), false) => format!("{} can be read; no server runs on it", file.display()),
                (None, _) => "PostgreSQL answers".to_owned(),
            };
            found.push(Check::ok(NAME, says));
            Some(glance)
        }
        Ok(None) => {
            let advice = "Make an instance with `jeton init`, or correct `database_url` or `data_dir`";
            found.push(Check::failure(NAME, Remedy::Configure, "there is none yet", advice));
            None
        }
        Err(error) => {
            if matches!(error, Error::Unavailable(_))
                && let Some(why) = config.database.unreached().await
            {
                found.push(unreached(NAME, &why));
                return None;
            }
            let (remedy, advice) = match &error {
                Error::Untrusted(_) => (Remedy::Configure, "See docs/configuration.md on TLS"),
                Error::File { .. } => (Remedy::Configure, "Give the file to the user of the service"),
                error if error.is_damaged() => (
                    Remedy::Configure,
                    "Stop the server and restore the file from a backup; keep the damaged one",
                ),
                _ => (
                    Remedy::Wait,
                    "Start it, or correct `database_url`; tokens are handed out again as soon as it answers",
                ),
            };
            found.push(Check::failure(NAME, remedy, chain(&error), advice));
            None
        }
    }
}

fn unreached(name: &str, why: &Unreached) -> Check {
    let remedy = if why.is_passing() { Remedy::Wait } else { Remedy::Configure };
    let advice = match why {
        Unreached::Network { .. } | Unreached::Silent { .. } => {
            "Start it, or correct `database_url`; tokens are handed out again as soon as it answers"
        }
        Unreached::NoDatabase { .. } => "Make it (`createdb`), or correct `database_url`",
        Unreached::Authentication { .. } => {
            "Correct user and password in `database_url`, or let the user in (pg_hba.conf)"
        }
        Unreached::NotNow { .. } => "Look at the server's own log; it may pass",
    };
    Check::failure(name, remedy, chain(why), advice)
}

/// Everything about it but its keys; the instance, where there is one.
pub(super) async fn look(
    config: &Config,
    nature: &Nature,
    glance: &Glance,
    found: &mut Vec<Check>,
) -> Option<Instance> {
    let conn = glance.store.conn();
    let instance = match conn.find_instance().await {
        Ok(Some(instance)) => instance,
        Ok(None) => {
            let advice = "Make one with `jeton init`, or correct `database_url`";
            found.push(Check::failure(
                "instance",
                Remedy::Configure,
                "the database holds no instance of jeton",
                advice,
            ));
            return None;
        }
        Err(error) => {
            found.push(Check::failure(
                "instance",
                Remedy::Wait,
                chain(&error),
                "Look at the database's own log",
            ));
            return None;
        }
    };
    found.push(match conn.compare_schema().await {
        Ok(schema) => schema_of(schema),
        Err(error) => Check::failure("schema", Remedy::Wait, chain(&error), "Look at the database's own log"),
    });
    let before = nature.clock.now();
    match conn.ask_server().await {
        Ok(None) => found.push(Check::ok("clock", "the database goes by this machine's clock")),
        Ok(Some(server)) => {
            let middle = before + (nature.clock.now() - before) / 2;
            found.extend([version(&server), writable(&server), standby(&server), clock(&server, middle)]);
        }
        Err(error) => {
            found.push(Check::failure(
                "server",
                Remedy::Wait,
                chain(&error),
                "Look at the database's own log",
            ));
        }
    }
    found.push(address(config, instance.public_url.as_deref()));
    Some(instance)
}

fn schema_of(schema: Schema) -> Check {
    const NAME: &str = "schema";
    match schema {
        Schema { missing: 0, unknown: 0 } => Check::ok(NAME, "it is the one of this release"),
        Schema { missing: 0, unknown } => Check::warning(
            NAME,
            format!("it has {unknown} changes that this release does not know: a newer one has run here"),
            "Update this program to the release of the other replicas",
        ),
        Schema { missing, .. } => Check::warning(
            NAME,
            format!("it lacks {missing} changes of this release"),
            "Run `jeton migrate`; the next start of the server does it too",
        ),
    }
}

fn version(server: &Server) -> Check {
    let says = format!("PostgreSQL {}.{}", server.version / 10_000, server.version % 10_000);
    if server.version < OLDEST {
        return Check::failure(
            "database version",
            Remedy::Configure,
            says,
            "Update it: 15 is the oldest that works",
        );
    }
    Check::ok("database version", says)
}

fn writable(server: &Server) -> Check {
    if server.read_only {
        let says = "the server takes no writes: it is a standby, or was set so";
        let advice = "Point `database_url` at the primary; until then nothing is refreshed, and nobody can connect an account";
        return Check::failure("database writes", Remedy::Configure, says, advice);
    }
    Check::ok("database writes", "the server takes them")
}

fn standby(server: &Server) -> Check {
    const NAME: &str = "standby";
    match server.standbys {
        0 => Check::ok(NAME, "none follows the database"),
        count if server.may_forget() => Check::warning(
            NAME,
            format!(
                "{count} follow, and a commit waits for none: a fail-over would forget the last rotations"
            ),
            "Set synchronous_standby_names; a forgotten rotation ends as `lost_rotation`, and a person must consent again",
        ),
        count => Check::ok(NAME, format!("{count} follow, and a commit waits for one")),
    }
}

fn clock(server: &Server, here: OffsetDateTime) -> Check {
    let apart = (server.now - here).abs();
    let says = format!("the database's clock and this machine's are {:.1} s apart", apart.as_seconds_f64());
    let advice =
        "Let NTP set both: tokens of ours count from this machine's clock, leases from the database's";
    if apart >= WRONG {
        return Check::failure("clock", Remedy::Configure, says, advice);
    }
    if apart >= SKEW { Check::warning("clock", says, advice) } else { Check::ok("clock", says) }
}

fn address(config: &Config, stored: Option<&str>) -> Check {
    const NAME: &str = "public URL";
    match (public_url(config, stored), config.public_url.as_ref(), stored) {
        (Ok(_), Some(configured), Some(stored)) if configured.as_str() != stored => Check::warning(
            NAME,
            format!(
                "it is configured as {configured}, and `init` stored {stored}; the configured one counts"
            ),
            "If that is meant, redirect URIs at providers must name the new one; if not, correct `public_url`",
        ),
        (Ok(url), ..) => Check::ok(NAME, format!("people and programs use {url}")),
        (Err(error), ..) => Check::failure(NAME, Remedy::Configure, error.to_string(), "Set `public_url`"),
    }
}
