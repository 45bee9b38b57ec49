//! What does a run stand on? Provider, database, replicas, and as many connections as were planned.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use jeton::model::entropy::SystemEntropy;
use jeton::model::time::SystemClock;
use jeton::sandbox::{Client, Faults, Profile, Sandbox, Settings, Standard};
use reqwest::Method;
use serde_json::{Value, json};

use super::disk::Disk;
use super::plan::{Base, Plan};
use super::record::Record;
use super::replica::Replica;
use super::wire::Wire;
use crate::support::app::{Home, http};
use crate::support::cluster::Cluster;
use crate::support::house::{CLIENT, CLIENT_SECRET};
use crate::support::program::{exit_code, run, stderr};
use crate::support::provider::consent_of;

/// The name all replicas are known by; nobody listens there.
const PUBLIC_URL: &str = "http://127.0.0.1:9";
/// Connections of one app.
const FLOWS: usize = 20;
/// Connections that are made at once.
const MAKING: usize = 8;

/// Everything a run needs.
pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) sandbox: Sandbox,
    pub(super) replicas: Vec<Replica>,
    pub(super) connections: Vec<Connection>,
    pub(super) record: Record,
    pub(super) http: reqwest::Client,
    pub(super) bearer: String,
    pub(super) cluster: Option<Cluster>,
    pub(super) wire: Option<Wire>,
    pub(super) disk: Result<Disk, String>,
    pub(super) home: Home,
    over: AtomicBool,
}

/// One connection, of an account of its own.
pub(super) struct Connection {
    pub(super) app: String,
    pub(super) flow: String,
    /// The provider's name of the account.
    pub(super) user: String,
}

impl Connection {
    fn numbered(number: usize) -> Self {
        let app = format!("app-{}", number / FLOWS);
        Self { app, flow: format!("f{}", number % FLOWS), user: format!("u{number}") }
    }

    /// Where its token is asked for.
    pub(super) fn route(&self, wait: u64) -> String {
        format!("/{}/sandbox/binb-token?flow={}&wait={wait}", self.app, self.flow)
    }
}

impl Ground {
    /// Starts everything and connects every account; `Err` says why it cannot be done here.
    pub(super) async fn prepare(plan: Plan) -> Result<Self, String> {
        let mut home = Home::sqlite();
        let (mut cluster, mut wire) = (None, None);
        let mut disk = Err("the database is a server's".to_owned());
        match plan.base {
            Base::Sqlite => disk = Disk::mount(&home.path().join("image"), &home.data_dir()),
            Base::Postgres => {
                let own = Cluster::start().await?;
                let between = Wire::to(own.address()).await;
                home.database_url = Some(Cluster::url_at(between.address));
                (cluster, wire) = (Some(own), Some(between));
            }
        }
        let made = run(&home, "init", &["--json", "--public-url", PUBLIC_URL]);
        assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let sandbox = provider(&plan);
        let replicas: Vec<Replica> = (0..plan.replicas).map(|n| replica(&plan, &home, &sandbox, n)).collect();
        for replica in &replicas {
            replica.start()?;
        }
        let http = http();
        let text = |key: &str| made[key].as_str().unwrap();
        let first = replicas[0].address().unwrap();
        let bearer = mint(&http, &first, text("client_id"), text("client_secret")).await;
        let connections = (0..plan.connections).map(Connection::numbered).collect();
        let (record, over) = (Record::default(), AtomicBool::new(false));
        let ground = Self {
            plan,
            sandbox,
            replicas,
            connections,
            record,
            http,
            bearer,
            cluster,
            wire,
            disk,
            home,
            over,
        };
        ground.connect_all().await;
        Ok(ground)
    }

    /// What the provider's token endpoint does from now on.
    pub(super) fn provider_does(&self, faults: Faults) {
        self.sandbox.handle().set_faults(CLIENT, faults).unwrap();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The callers end.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    async fn connect_all(&self) {
        let credentials = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET});
        self.write(Method::PUT, "/connectors/sandbox/credentials", &credentials).await;
        for app in self.connections.iter().step_by(FLOWS).map(|one| &one.app) {
            self.write(Method::POST, "/apps", &json!({"id": app, "name": app})).await;
        }
        // Said to end earlier than they do, each at another time, so that refreshes are spread from the beginning.
        let lives = (1..=self.plan.lifetime_s).cycle();
        stream::iter(self.connections.iter().zip(lives))
            .for_each_concurrent(MAKING, |(connection, life)| async move {
                let granted = consent_of(&self.http, &self.sandbox, CLIENT, (&connection.user, "read")).await;
                let import = json!({
                    "access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
                    "expires_in": life, "flow": connection.flow,
                });
                let path = format!("/apps/{}/connections/sandbox/import", connection.app);
                self.write(Method::POST, &path, &import).await;
            })
            .await;
    }

    async fn write(&self, method: Method, path: &str, body: &Value) {
        let at = self.replicas[0].address().unwrap();
        let request = self.http.request(method, format!("{at}/admin/v1{path}"));
        let answer = request.bearer_auth(&self.bearer).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
    }
}

fn provider(plan: &Plan) -> Sandbox {
    let profile = Profile::Standard(Standard { lifetime_s: plan.lifetime_s, ..Standard::default() });
    let client = Client { any_loopback_redirect: true, ..Client::new(CLIENT, profile) };
    let settings = Settings { clients: vec![client], ..Settings::new(([127, 0, 0, 1], 0).into()) };
    jeton::sandbox::start(settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap()
}

/// Replicas share database and keyring, and nothing else.
fn replica(plan: &Plan, home: &Home, sandbox: &Sandbox, number: usize) -> Replica {
    let data_dir: PathBuf = match plan.base {
        Base::Sqlite => home.data_dir(),
        Base::Postgres => home.path().join(format!("replica-{number}")),
    };
    std::fs::create_dir_all(&data_dir).unwrap();
    let timeout_s = plan.provider_timeout.as_secs();
    let mut keys = vec![
        ("JETON_PUBLIC_URL", PUBLIC_URL.to_owned()),
        ("JETON_KEYS__KEYRING_FILE", home.data_dir().join("keyring.toml").display().to_string()),
        ("JETON_OUTBOUND__ALLOW_LOOPBACK", "true".to_owned()),
        ("JETON_CONNECTORS__SANDBOX__BASE_URL", sandbox.url().as_str().trim_end_matches('/').to_owned()),
        ("JETON_REFRESH__TIMEOUT_S", timeout_s.to_string()),
        ("JETON_REFRESH__CONNECT_TIMEOUT_S", "2".to_owned()),
        ("JETON_REFRESH__LEASE_S", (timeout_s + 5).to_string()),
    ];
    keys.extend(home.database_url.clone().map(|url| ("JETON_DATABASE_URL", url)));
    let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Replica::new(number, data_dir, keys)
}

async fn mint(http: &reqwest::Client, at: &str, id: &str, secret: &str) -> String {
    let form = [("grant_type", "client_credentials")];
    let request = http.post(format!("{at}/o/token/")).basic_auth(id, Some(secret)).form(&form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
