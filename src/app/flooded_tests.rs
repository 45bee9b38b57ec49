//! What are callers told over HTTP when more come than a queue may hold? 503 at once; and once it has room again,
//! what they came for.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{Ground, Nature, audit, init, services};
use crate::audit::Audit;
use crate::config::{Config, Flag, Sources};
use crate::http::server::{Server, Services};
use crate::keeper::{self, SecretsKeeper};
use crate::model::entropy::SystemEntropy;
use crate::model::time::ShiftedClock;
use crate::outbound::Outbound;
use crate::registry::Registry;
use crate::sandbox::{self, Faults, Sandbox};
use crate::spool::{Kind, Spool};
use crate::store::Store;

const CLIENT: &str = "sandbox-standard";
const SECRET: &str = "sandbox-secret";
const CALLBACK: &str = "http://127.0.0.1:9/callback";

/// How much may wait.
struct Bounds {
    keeper: keeper::Settings,
    audit: audit::Settings,
    spool: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        // A busy machine sends nothing to the spool.
        let audit = audit::Settings { patience: Duration::from_secs(20), ..audit::Settings::default() };
        Self { keeper: keeper::Settings::default(), audit, spool: 1 << 20 }
    }
}

/// A broker that serves with these bounds, whose app `acme` has connections at a sandbox.
struct Flooded {
    url: String,
    http: reqwest::Client,
    superadmin: (String, String),
    bearer: String,
    clock: Arc<ShiftedClock>,
    database: String,
    store: Store,
    audit: Arc<Audit>,
    spool: Arc<Spool>,
    server: Server,
    sandbox: Sandbox,
    _dir: tempfile::TempDir,
}

impl Flooded {
    async fn with(bounds: Bounds, flows: &[&str]) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ShiftedClock::default());
        let at_sandbox = sandbox::Settings::demo(([127, 0, 0, 1], 0).into());
        let sandbox = sandbox::start(at_sandbox, clock.clone(), Arc::new(SystemEntropy)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        let config = config(dir.path(), &listen, sandbox.url().as_str().trim_end_matches('/'));
        let nature = Nature { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let made = init(&config, nature.clone()).await.unwrap();
        let mut ground = Ground::open(&config, nature).await.unwrap();
        let (store, vault) = (ground.store.clone(), ground.vault.clone());
        let (nature, spool) =
            (&ground.nature, Arc::new(Spool::with_limit(dir.path().join("spool"), bounds.spool)));
        let (clock_of, entropy) = (nature.clock.clone(), nature.entropy.clone());
        let of_audit = audit::Parts {
            store: store.clone(),
            vault: vault.clone(),
            spool: spool.clone(),
            clock: clock_of.clone(),
            entropy: entropy.clone(),
        };
        ground.spool = spool.clone();
        ground.audit = Arc::new(Audit::start(of_audit, bounds.audit));
        let catalog = services::catalog(&config).unwrap();
        let outbound = Outbound::new(&config.outbound).unwrap();
        let audit = ground.audit.clone();
        let services = services::build(&config, ground).await.unwrap();
        let parts = keeper::Parts {
            registry: Arc::new(Registry::new(catalog, store.clone(), vault.clone(), outbound)),
            store: store.clone(),
            vault,
            spool: spool.clone(),
            audit: audit.clone(),
            clock: clock_of,
            entropy,
            figures: services.figures.clone(),
        };
        let keeper = Arc::new(SecretsKeeper::new(parts, bounds.keeper));
        let server = Server::start(listener, Services { keeper, ..services }).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test is who the credentials were made for")]
        let superadmin = (made.client_id.to_string(), made.client_secret.expose_secret().to_owned());
        let mut flooded = Self {
            url: format!("http://{listen}"),
            http: client(),
            superadmin,
            bearer: String::new(),
            clock,
            database: config.database.url.clone(),
            store,
            audit,
            spool,
            server,
            sandbox,
            _dir: dir,
        };
        flooded.connect(flows).await;
        flooded
    }

    async fn connect(&mut self, flows: &[&str]) {
        self.sign_in().await;
        self.write("POST", "/apps", &json!({"id": "acme", "name": "Acme"})).await;
        let credentials = json!({"client_id": CLIENT, "client_secret": SECRET});
        self.write("PUT", "/connectors/sandbox/credentials", &credentials).await;
        for flow in flows {
            let mut import = self.consent().await;
            import["flow"] = json!(flow);
            self.write("POST", "/apps/acme/connections/sandbox/import", &import).await;
        }
    }

    /// A bearer token of this moment.
    async fn sign_in(&mut self) {
        let (id, secret) = &self.superadmin;
        let request = self.http.post(format!("{}/o/token/", self.url)).basic_auth(id, Some(secret));
        let answer = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
        let minted: Value = answer.json().await.unwrap();
        self.bearer = minted["access_token"].as_str().unwrap().to_owned();
    }

    async fn write(&self, method: &str, path: &str, body: &Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}/admin/v1{path}", self.url));
        let answer = request.bearer_auth(&self.bearer).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// What the provider gives when Alice consents.
    async fn consent(&self) -> Value {
        let at = |path: &str| self.sandbox.url().join(path).unwrap();
        let asking = [
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("state", "s"),
            ("user", "alice"),
            ("decision", "approve"),
        ];
        let back = self.http.post(at("/authorize")).form(&asking).send().await.unwrap();
        let back = url::Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
        let back: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
        let form = [
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("grant_type", "authorization_code"),
            ("code", &back["code"]),
            ("redirect_uri", CALLBACK),
        ];
        let granted: Value =
            self.http.post(at("/token")).form(&form).send().await.unwrap().json().await.unwrap();
        json!({"access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "expires_in": granted["expires_in"]})
    }

    /// Every token dies, and refreshes take so long from now on.
    async fn expire(&mut self, delay_ms: u64) {
        self.clock.advance(time::Duration::hours(2));
        self.sign_in().await;
        self.provider_takes(Some(delay_ms));
    }

    fn provider_takes(&self, delay_ms: Option<u64>) {
        let faults = Faults { delay_ms, ..Faults::default() };
        self.sandbox.handle().set_faults(CLIENT, faults).unwrap();
    }

    async fn hand_out(&self, flow: &str) -> Seen {
        let url = format!("{}/acme/sandbox/binb-token?flow={flow}", self.url);
        let answer = self.http.get(url).bearer_auth(&self.bearer).send().await.unwrap();
        let retry_after =
            answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        Seen { status: answer.status().as_u16(), retry_after, body: answer.json().await.unwrap() }
    }

    /// One caller of each flow in the list, all at once: how many got their token, and how many were turned away.
    async fn flood(&self, flows: &[&str]) -> (usize, usize) {
        let seen = join_all(flows.iter().map(|flow| self.hand_out(flow))).await;
        let (given, refused): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| seen.status == 200);
        refused.iter().for_each(|seen| seen.is("overloaded"));
        (given.len(), refused.len())
    }

    async fn sql(&self, statement: &str) {
        let db = sea_orm::Database::connect(&self.database).await.unwrap();
        db.execute_unprepared(statement).await.unwrap();
        db.close().await.unwrap();
    }

    async fn stop(self) {
        self.server.stop().await;
        self.sandbox.stop().await;
        self.store.close().await.unwrap();
    }
}

/// An answer to a hand-out.
struct Seen {
    status: u16,
    retry_after: Option<u64>,
    body: Value,
}

impl Seen {
    /// 503 with this code, that says when to come again.
    #[track_caller]
    fn is(&self, code: &str) {
        let told = (self.status, self.body["code"].as_str(), self.body["action"].as_str());
        assert_eq!(told, (503, Some(code), Some("retry")), "{}", self.body);
        assert!(self.retry_after.is_some_and(|seconds| seconds >= 1), "{code}: {:?}", self.retry_after);
    }
}

fn config(data_dir: &std::path::Path, listen: &str, provider: &str) -> Config {
    let data_dir = data_dir.display().to_string();
    let keys = [
        ("data_dir", data_dir.as_str()),
        ("listen", listen),
        ("outbound.allow_loopback", "true"),
        ("connectors.sandbox.base_url", provider),
    ];
    let flag = |(key, value): (&'static str, &str)| Flag { key, name: "a test", value: value.to_owned() };
    Config::load(Sources::flags(keys.into_iter().map(flag).collect())).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test is the outside")]
fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

#[tokio::test]
async fn beyond_those_who_may_wait_for_a_connection_callers_are_told_at_once() {
    let keeper = keeper::Settings { waiters_per_connection: 3, ..keeper::Settings::default() };
    let mut broker = Flooded::with(Bounds { keeper, ..Bounds::default() }, &["a", "b"]).await;
    broker.expire(3_000).await;
    assert_eq!(broker.flood(&["a"; 10]).await, (3, 7));
    broker.provider_takes(None);
    assert_eq!(broker.flood(&["a", "b", "a", "b"]).await, (4, 0), "whoever waited has made room");
    broker.stop().await;
}

#[tokio::test]
async fn beyond_those_who_may_wait_in_the_process_callers_are_told_at_once() {
    let keeper = keeper::Settings { waiters: 4, ..keeper::Settings::default() };
    let mut broker = Flooded::with(Bounds { keeper, ..Bounds::default() }, &["a", "b", "c"]).await;
    broker.expire(3_000).await;
    assert_eq!(
        broker.flood(&["a", "b", "c", "a", "b", "c", "a", "b", "c"]).await,
        (4, 5),
        "of any connection"
    );
    broker.provider_takes(None);
    assert_eq!(broker.flood(&["a", "b", "c"]).await, (3, 0), "whoever waited has made room");
    broker.stop().await;
}

#[tokio::test]
async fn beyond_the_audit_records_that_may_wait_callers_are_told_at_once() {
    let audit = audit::Settings { queue: 2, ..Bounds::default().audit };
    let broker = Arc::new(Flooded::with(Bounds { audit, ..Bounds::default() }, &["a"]).await);
    // SQLite has one writer: the records of the moment wait for it.
    let store = broker.store.clone();
    let tx = store.begin().await.unwrap();
    let mut waiting = Vec::new();
    // One record with the writer of the trail, two in its queue.
    for records in 1..=3 {
        let caller = Arc::clone(&broker);
        waiting.push(tokio::spawn(async move { caller.hand_out("a").await }));
        while broker.audit.waiting().0 < records {
            tokio::task::yield_now().await;
        }
    }
    for _ in 0..3 {
        broker.hand_out("a").await.is("overloaded");
    }
    drop(tx);
    for given in join_all(waiting).await {
        assert_eq!(given.unwrap().status, 200);
    }
    assert_eq!(broker.hand_out("a").await.status, 200);
    Arc::into_inner(broker).expect("all callers have ended").stop().await;
}

#[tokio::test]
async fn a_spool_that_holds_all_it_may_is_told_and_emptied_once_the_database_is_back() {
    let broker = Flooded::with(Bounds { spool: 8 << 10, ..Bounds::default() }, &["a"]).await;
    broker.sql("ALTER TABLE audit_event RENAME TO audit_event_away").await;
    let mut given = 0;
    let refused = loop {
        match broker.hand_out("a").await {
            seen if seen.status == 200 => given += 1,
            seen => break seen,
        }
        assert!(given < 1_000, "it never became full");
    };
    refused.is("audit_unavailable");
    assert!(given > 0, "what fits is taken");
    broker.hand_out("a").await.is("audit_unavailable");
    broker.sql("ALTER TABLE audit_event_away RENAME TO audit_event").await;
    let served = async { while broker.hand_out("a").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), served).await.expect("it goes on by itself");
    let empty = async {
        while !broker.spool.entries(Kind::Audit).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.expect("the records leave the spool");
    broker.stop().await;
}
