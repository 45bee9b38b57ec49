//! How does a database get many connections quickly? Rows are sealed by the product's own vault and inserted in
//! bulk, so that the broker opens them like any other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jeton::connectors::catalog::Catalog;
use jeton::model::app::AppId;
use jeton::model::connector::{ConnectorId, Definition};
use jeton::model::entropy::{SystemEntropy, token, uuid};
use jeton::model::secret::{Secret, WrappedKey};
use jeton::model::time::{Clock, SystemClock, to_micros};
use jeton::model::token_set::TokenSetId;
use jeton::registry;
use jeton::store::credentials::StoredCredentials;
use jeton::store::entity::{connection, token_set};
use jeton::store::token_sets::TABLE;
use jeton::store::{self, Store};
use jeton::vault::{InstanceKeys, Place, Vault, keyring::Keyring};
use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, TransactionTrait};
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

struct Filling<'a> {
    vault: Vault,
    definition: Definition,
    connector: ConnectorId,
    plan: &'a Plan<'a>,
    keys: Vec<(AppId, WrappedKey)>,
    credentials: Uuid,
    now: i64,
}

/// Fills the database of an instance that no broker runs on.
pub(crate) async fn product(database: &str, keyring: &Path, plan: &Plan<'_>) -> Fallible<()> {
    let settings = store::Settings {
        url: database.to_owned(),
        max_connections: 2,
        acquire_timeout: Duration::from_secs(10),
    };
    let store = Store::connect(&settings, Arc::new(SystemClock)).await?;
    let instance = store.conn().find_instance().await?.ok_or("no instance")?;
    let keys = InstanceKeys { data_key: instance.data_key, sealed_hash_key: instance.sealed_hash_key };
    let vault = Vault::unlock(Arc::new(Keyring::read(keyring)?), Arc::new(SystemEntropy), &keys)?;
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
    let connector = definition.id.clone();
    let now = to_micros(SystemClock.now());
    let filling =
        Filling { vault, definition, connector, plan, keys: app_keys, credentials: credentials.id, now };
    let db = Database::connect(database).await?;
    filling.insert(&db).await?;
    Ok(db.close().await?)
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
        let (mut connections, mut sets) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
        for n in 0..self.plan.connections {
            let (connection, set) = self.rows(n)?;
            connections.push(connection);
            sets.push(set);
            if connections.len() == CHUNK || n + 1 == self.plan.connections {
                connection::Entity::insert_many(connections.drain(..)).exec_without_returning(&tx).await?;
                token_set::Entity::insert_many(sets.drain(..)).exec_without_returning(&tx).await?;
            }
        }
        tx.commit().await?;
        analyse(db).await
    }

    fn rows(&self, n: u32) -> Fallible<(connection::ActiveModel, token_set::ActiveModel)> {
        let (app, key) = self.keys.get(usize::try_from(n % APPS)?).ok_or("no app")?;
        let (connection, set) = (id(), id());
        let flow = format!("flow-{}", n / APPS);
        let set = self.set(connection, set, (app, key))?;
        Ok((self.connection(connection, app, &flow, &set), set))
    }

    fn set(
        &self,
        connection: Uuid,
        set: Uuid,
        (app, key): (&AppId, &WrappedKey),
    ) -> Fallible<token_set::ActiveModel> {
        let place = |column| Place {
            token_set: Some(TokenSetId(set)),
            ..Place::of(TABLE, column, connection).in_app(app, &self.connector)
        };
        let origin = self.definition.token_origin();
        let (access, refresh) = (random_token(), random_token());
        let refresh_place = Place { origin: Some(&origin), ..place("sealed_refresh") };
        let hour = 3_600_000_000;
        Ok(token_set::ActiveModel {
            id: Set(set),
            connection_id: Set(connection),
            generation: Set(1),
            sealed_access: Set(Some(self.vault.seal(key, &place("sealed_access"), &access)?.bytes)),
            sealed_refresh: Set(Some(self.vault.seal(key, &refresh_place, &refresh)?.bytes)),
            sealed_extra: Set(None),
            key_id: Set(key.id),
            origin: Set(origin),
            refresh_fingerprint: Set(Some(
                self.vault.hash_secret(TABLE, "refresh_fingerprint", b"", &refresh).to_vec(),
            )),
            access_fingerprint: Set(Some(
                self.vault.hash_secret(TABLE, "access_fingerprint", b"", &access).to_vec(),
            )),
            expires_at: Set(Some(self.now + 8 * hour)),
            initial_life_us: Set(Some(8 * hour)),
            refresh_expires_at: Set(None),
            adopted_set_id: Set(Some(set)),
            scope: Set(Some("read".into())),
            created_at: Set(self.now),
            current: Set(true),
            spent: Set(false),
            superseded_at: Set(None),
            other_account: Set(false),
            deleted: Set(false),
            revoke_pending: Set(false),
        })
    }

    fn connection(
        &self,
        id: Uuid,
        app: &AppId,
        flow: &str,
        set: &token_set::ActiveModel,
    ) -> connection::ActiveModel {
        let variables = BTreeMap::new();
        let own_mac = registry::own::sign_variables(&self.vault, id, app, &self.connector, &variables);
        connection::ActiveModel {
            id: Set(id),
            app: Set(app.to_string()),
            connector: Set(self.connector.to_string()),
            flow: Set(flow.to_owned()),
            state: Set("active".to_owned()),
            reason: Set(None),
            state_since: Set(self.now),
            token_set_id: Set(set.id.try_as_ref().copied()),
            adopted_set_id: Set(set.id.try_as_ref().copied()),
            generation: Set(1),
            last_generation: Set(1),
            owner: Set(Some("system".into())),
            owner_label: Set(None),
            shared: Set(false),
            account_fingerprint: Set(None),
            account_label: Set(Some("alice".into())),
            variables: Set(serde_json::json!(variables)),
            own_mac: Set(own_mac.to_vec()),
            granted_scope: Set(Some("read".into())),
            scope_narrowed: Set(false),
            access_expires_at: Set(set.expires_at.try_as_ref().copied().flatten()),
            refresh_expires_at: Set(None),
            refresh_due_at: Set(Some(self.plan.refresh_due_at)),
            lifetime_us: Set(Some(8 * 3_600_000_000)),
            rotates: Set(Some(true)),
            last_refresh_at: Set(None),
            last_error_code: Set(None),
            last_error_at: Set(None),
            failures: Set(0),
            retry_at: Set(None),
            lease_id: Set(None),
            lease_until: Set(None),
            sends: Set(0),
            resend_after: Set(None),
            after_resend: Set(false),
            swept_until: Set(None),
            rejected_count: Set(0),
            rejected_since: Set(None),
            credentials_id: Set(Some(self.credentials)),
            credentials_version: Set(Some(1)),
            created_at: Set(self.now),
        }
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
