//! How does a database get many connections quickly? One is made as an import makes it; the rest are copies of its
//! rows, with keys of their own and tokens that the product's own vault sealed for them, so that the broker opens them
//! like any other.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jeton::app::{App, Nature};
use jeton::config::{Config, Flag, Sources};
use jeton::connectors::catalog::Catalog;
use jeton::keeper::{Adoption, AdoptionKind};
use jeton::model::app::AppId;
use jeton::model::connection::Flow;
use jeton::model::connector::{ConnectorId, Definition, Grant};
use jeton::model::entropy::{SystemEntropy, token, uuid};
use jeton::model::event::Origin;
use jeton::model::principal::Actor;
use jeton::model::secret::{Secret, WrappedKey};
use jeton::model::time::{Clock, SystemClock, to_micros};
use jeton::model::token_set::TokenSetId;
use jeton::registry;
use jeton::store::credentials::StoredCredentials;
use jeton::store::entity::{adoption, connection, token_set};
use jeton::store::token_sets::TABLE;
use jeton::store::{self, Store};
use jeton::vault::{InstanceKeys, Place, Vault, keyring::Keyring};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel,
    TransactionTrait,
};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::Fallible;
use crate::floor;

/// Tenants; connections are spread over them.
pub(crate) const APPS: u32 = 1_000;
/// The connector of every connection.
pub(crate) const CONNECTOR: &str = "sandbox";
/// Rows of one statement: 40 columns each, under SQLite's 32,766 parameters.
const CHUNK: usize = 400;

/// What a database is filled with.
pub(crate) struct Plan<'a> {
    pub(crate) connections: u32,
    /// Where the connector's endpoints are.
    pub(crate) provider: &'a Url,
    /// Microseconds since 1970; in the past: due at once.
    pub(crate) refresh_due_at: i64,
}

/// Where each connection is asked for.
pub(crate) fn targets(connections: u32) -> Vec<String> {
    (0..connections)
        .map(|n| format!("/app-{}/{CONNECTOR}/binb-token?flow=flow-{}", n % APPS, n / APPS))
        .collect()
}

/// The rows of one connection.
struct Rows<C, A, T> {
    connection: C,
    adoption: A,
    set: T,
}

/// The rows that were made as the product makes them.
type Template = Rows<connection::Model, adoption::Model, token_set::Model>;
/// Rows that are to be written.
type Copied = Rows<connection::ActiveModel, adoption::ActiveModel, token_set::ActiveModel>;

struct Filling<'a> {
    vault: Vault,
    connector: ConnectorId,
    plan: &'a Plan<'a>,
    keys: Vec<(AppId, WrappedKey)>,
    template: Template,
}

/// Fills the database of an instance that no broker runs on.
pub(crate) async fn product(database: &str, data_dir: &Path, plan: &Plan<'_>) -> Fallible<()> {
    let settings = store::Settings {
        url: database.to_owned(),
        max_connections: 2,
        acquire_timeout: Duration::from_secs(10),
    };
    let store = Store::connect(&settings, Arc::new(SystemClock)).await?;
    let instance = store.conn().find_instance().await?.ok_or("no instance")?;
    let keys = InstanceKeys { data_key: instance.data_key, sealed_hash_key: instance.sealed_hash_key };
    let keyring = Arc::new(Keyring::read(&data_dir.join("keyring.toml"))?);
    let vault = Vault::unlock(keyring, Arc::new(SystemEntropy), &keys)?;
    let catalog = Catalog::builtin().with_base(CONNECTOR, plan.provider);
    let definition = Definition::clone(catalog.find(CONNECTOR).ok_or("no such connector")?);
    let credentials = credentials(&vault, &definition)?;
    let tx = store.begin().await?;
    tx.conn().insert_credentials(&credentials).await?;
    let mut app_keys = Vec::new();
    for n in 0..APPS {
        let app = AppId::parse(&format!("app-{n}"))?;
        let key = vault.new_data_key(id())?;
        tx.conn().app(&app).insert_app(app.as_str(), &key).await?;
        app_keys.push((app, key));
    }
    tx.commit().await?;
    store.close().await?;
    let connector = definition.id;
    import_first(&config(database, data_dir, plan)?, first(&connector, &credentials)?).await?;
    let db = Database::connect(database).await?;
    let template = template(&db).await?;
    let filling = Filling { vault, connector, plan, keys: app_keys, template };
    filling.insert(&db).await?;
    analyse(&db).await?;
    Ok(db.close().await?)
}

fn nature() -> Nature {
    Nature { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
}

/// What a broker on this database is configured with.
fn config(database: &str, data_dir: &Path, plan: &Plan<'_>) -> Fallible<Config> {
    let keys = [
        ("database_url", database.to_owned()),
        ("data_dir", data_dir.display().to_string()),
        ("outbound.allow_loopback", "true".to_owned()),
        ("connectors.sandbox.base_url", plan.provider.to_string()),
    ];
    let flag = |(key, value): (&'static str, String)| Flag { key, name: "the benchmark", value };
    Ok(Config::load(Sources::flags(keys.into_iter().map(flag).collect()))?)
}

/// Once this has ended, nothing of the broker runs any more.
async fn import_first(config: &Config, first: Adoption) -> Fallible<()> {
    let app = App::open(config, nature()).await?;
    app.services().keeper.adopt(first).await?;
    // Served for a moment, since that is what can be stopped in order.
    app.serve(TcpListener::bind("127.0.0.1:0")?)?.stop().await;
    Ok(())
}

/// The connection of the first target, as an import brings it.
fn first(connector: &ConnectorId, credentials: &StoredCredentials) -> Fallible<Adoption> {
    Ok(Adoption {
        app: AppId::parse("app-0")?,
        connector: connector.clone(),
        flow: Flow::parse("flow-0").ok_or("no flow")?,
        grant: Grant {
            access_token: random_token(),
            refresh_token: Some(random_token()),
            expires_in: Some(8 * 3_600),
            refresh_expires_in: None,
            scope: Some("read".to_owned()),
            extra: BTreeMap::new(),
        },
        account: None,
        by: Actor::System,
        owner: Actor::System,
        owner_label: None,
        credentials: Some((credentials.id, credentials.version)),
        variables: BTreeMap::new(),
        sent_at: SystemClock.now(),
        origin: Origin::default(),
        signup: None,
        kind: AdoptionKind::Import { replace: false, expires_at: None },
    })
}

/// The only rows there are.
async fn template(db: &DatabaseConnection) -> Fallible<Template> {
    Ok(Rows {
        connection: connection::Entity::find().one(db).await?.ok_or("no connection")?,
        adoption: adoption::Entity::find().one(db).await?.ok_or("no adoption")?,
        set: token_set::Entity::find().one(db).await?.ok_or("no token set")?,
    })
}

fn id() -> Uuid {
    uuid(&SystemClock, &SystemEntropy)
}

/// The instance's client at the provider.
fn credentials(vault: &Vault, definition: &Definition) -> Fallible<StoredCredentials> {
    let mut made = StoredCredentials {
        id: id(),
        connector: definition.id.clone(),
        app: None,
        client_id: "sandbox-standard".into(),
        sealed_secret: None,
        sealed_previous: None,
        key: vault.instance_key().clone(),
        scopes: None,
        params: BTreeMap::new(),
        origin: definition.token_origin(),
        version: 1,
        current: true,
        own_mac: Vec::new(),
        held_until: None,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    };
    let place = registry::place(&made, "sealed_secret", &made.origin);
    made.sealed_secret = Some(vault.seal(&made.key, &place, &Secret::new("sandbox-secret"))?);
    registry::own::sign_credentials(vault, &mut made);
    Ok(made)
}

impl Filling<'_> {
    async fn insert(&self, db: &DatabaseConnection) -> Fallible<()> {
        let tx = db.begin().await?;
        let first = connection::ActiveModel {
            refresh_due_at: Set(Some(self.plan.refresh_due_at)),
            ..self.template.connection.clone().into_active_model()
        };
        first.update(&tx).await?;
        let numbers: Vec<u32> = (1..self.plan.connections).collect();
        for chunk in numbers.chunks(CHUNK) {
            let (mut connections, mut adoptions, mut sets) = (Vec::new(), Vec::new(), Vec::new());
            for n in chunk {
                let Rows { connection, adoption, set } = self.copy(*n)?;
                connections.push(connection);
                adoptions.push(adoption);
                sets.push(set);
            }
            connection::Entity::insert_many(connections).exec_without_returning(&tx).await?;
            adoption::Entity::insert_many(adoptions).exec_without_returning(&tx).await?;
            token_set::Entity::insert_many(sets).exec_without_returning(&tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whatever has to be another connection's own; the rest is the template's.
    fn copy(&self, n: u32) -> Fallible<Copied> {
        let (app, key) = self.keys.get(usize::try_from(n % APPS)?).ok_or("no app")?;
        let (connection, set) = (id(), id());
        let own_mac =
            registry::own::sign_variables(&self.vault, connection, app, &self.connector, &BTreeMap::new());
        let Rows { connection: row, adoption, set: sealed } = &self.template;
        Ok(Rows {
            connection: connection::ActiveModel {
                id: Set(connection),
                app: Set(app.to_string()),
                flow: Set(format!("flow-{}", n / APPS)),
                token_set_id: Set(Some(set)),
                adopted_set_id: Set(Some(set)),
                own_mac: Set(own_mac.to_vec()),
                refresh_due_at: Set(Some(self.plan.refresh_due_at)),
                ..row.clone().into_active_model().reset_all()
            },
            adoption: adoption::ActiveModel {
                id: Set(set),
                connection_id: Set(connection),
                own_mac: Set(own_mac.to_vec()),
                ..adoption.clone().into_active_model().reset_all()
            },
            set: token_set::ActiveModel {
                id: Set(set),
                connection_id: Set(connection),
                adopted_set_id: Set(Some(set)),
                ..self.sealed(sealed, (connection, set), (app, key))?
            },
        })
    }

    /// Tokens of its own, sealed for its own place.
    fn sealed(
        &self,
        template: &token_set::Model,
        (connection, set): (Uuid, Uuid),
        (app, key): (&AppId, &WrappedKey),
    ) -> Fallible<token_set::ActiveModel> {
        let place = |column| Place {
            token_set: Some(TokenSetId(set)),
            ..Place::of(TABLE, column, connection).in_app(app, &self.connector)
        };
        let refresh_place = Place { origin: Some(&template.origin), ..place("sealed_refresh") };
        let (access, refresh) = (random_token(), random_token());
        let fingerprint = |column, token| Some(self.vault.hash_secret(TABLE, column, b"", token).to_vec());
        Ok(token_set::ActiveModel {
            sealed_access: Set(Some(self.vault.seal(key, &place("sealed_access"), &access)?.bytes)),
            sealed_refresh: Set(Some(self.vault.seal(key, &refresh_place, &refresh)?.bytes)),
            key_id: Set(key.id),
            access_fingerprint: Set(fingerprint("access_fingerprint", &access)),
            refresh_fingerprint: Set(fingerprint("refresh_fingerprint", &refresh)),
            ..template.clone().into_active_model().reset_all()
        })
    }
}

/// As autovacuum would. SQLite is left without statistics, as it is in use: with them it plans every statement anew
/// for each value.
async fn analyse(db: &DatabaseConnection) -> Fallible<()> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}

fn random_token() -> Secret {
    Secret::new(token::<32>(&SystemEntropy))
}

/// Fills the floor's own database.
pub(crate) async fn floor(database: &str, connections: u32) -> Fallible<()> {
    let db = Database::connect(database).await?;
    let blob = if database.starts_with("postgres") { "BYTEA" } else { "BLOB" };
    db.execute_unprepared(&floor::TABLE.replace("{blob}", blob)).await?;
    let tx = db.begin().await?;
    let cipher = floor::cipher();
    let expires_at = to_micros(SystemClock.now()) + 8 * 3_600_000_000;
    let rows: Vec<floor::row::ActiveModel> = (0..connections)
        .map(|n| {
            let (app, nonce) = (format!("app-{}", n % APPS), *id().as_bytes());
            let nonce = nonce.first_chunk().copied().unwrap_or_default();
            Some(floor::row::ActiveModel {
                sealed_access: Set(floor::seal(&cipher, &app, nonce, &token::<32>(&SystemEntropy))?),
                app: Set(app),
                connector: Set(CONNECTOR.to_owned()),
                flow: Set(format!("flow-{}", n / APPS)),
                generation: Set(1),
                expires_at: Set(expires_at),
                scope: Set("read".to_owned()),
            })
        })
        .collect::<Option<_>>()
        .ok_or("a token was not sealed")?;
    for chunk in rows.chunks(CHUNK) {
        floor::row::Entity::insert_many(chunk.to_vec()).exec_without_returning(&tx).await?;
    }
    tx.commit().await?;
    analyse(&db).await?;
    Ok(db.close().await?)
}

#[cfg(test)]
mod tests;
