//! Do clients that others wrote and certified get along with the authorization server?
//!
//! Their programs are in `tests/peers`: each is also an example of how to use the product with that library. The test
//! starts a broker, plays the person and the clock, and talks with the program one line of JSON at a time.

mod conversation;
mod oauth4webapi;
mod openid_client;
mod python;
mod verifiers;

use std::sync::Arc;
use std::time::Duration;

use jeton::model::client::ClientId;
use jeton::model::entropy::{self, SystemEntropy};
use jeton::model::secret::Secret;
use jeton::model::time::{Clock, ShiftedClock, SystemClock};
use jeton::store::clients::ClientSecret;
use jeton::store::{self, Store};
use jeton::vault::keyring::Keyring;
use jeton::vault::{InstanceKeys, Vault};
use reqwest::Method;
use serde_json::{Value, json};

use self::conversation::Peer;
use crate::authorization::say;
use crate::support::app::Home;
use crate::support::house::House;
use crate::support::jar::Jar;
use crate::support::provider::sandbox;

/// Where the web application is; the browser is sent there, and nobody listens.
const BACK: &str = "http://localhost:3000/callback";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A broker, a web application of a service provider, and Ada, who has connected Alice's account for Acme.
struct Scene {
    house: House,
    shop: (String, String),
    ada: Jar,
}

impl Scene {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these keys of the configuration.
    async fn with(more: &[(&'static str, &str)]) -> Self {
        Self::on(Home::sqlite(), more).await
    }

    /// On PostgreSQL, where there is one.
    async fn on_postgres() -> Self {
        Self::on(Home::each().await.pop().unwrap(), &[]).await
    }

    /// Whose issuer has a path.
    async fn under(path: &str) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let sandbox = sandbox(clock.clone());
        Self::of(House::under(path, Home::sqlite(), sandbox, clock, &[]).await).await
    }

    async fn on(home: Home, more: &[(&'static str, &str)]) -> Self {
        Self::of(House::on(home, more).await).await
    }

    async fn of(house: House) -> Self {
        house.app("acme", "Acme").await;
        house.credentials("sandbox", Some("acme")).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        assert_eq!(ada.get(back.as_str()).await.status, 303);
        let shop = json!({
            "identifier": "Shop", "kind": "provider", "redirect_uris": [BACK],
            "scopes": ["openid", "profile", "email", "offline_access"],
        });
        let shop = house.client(&shop).await;
        Self { house, shop, ada }
    }

    /// What a program is told first.
    fn settings(&self, client: &(String, String)) -> Value {
        json!({
            "issuer": self.house.broker.url, "id": client.0, "secret": client.1,
            "redirect_uri": BACK, "audience": "acme/sandbox",
        })
    }

    /// A client with a key of its own instead of a secret, whose public half the program shows.
    async fn register_key(&self, peer: &mut Peer) {
        let shown = peer.step("key").await;
        let body = json!({
            "identifier": "signer", "kind": "service", "role": "superadmin", "scopes": ["binb:read", "apps:read"],
            "jwks": {"keys": [shown["jwk"]]},
        });
        let made = self.house.write(Method::POST, "/clients", &body).await;
        peer.tell(&json!({"id": made["client_id"]}));
    }

    /// Ada says yes to what the program's authorization request asks.
    async fn agree(&mut self, peer: &mut Peer) {
        let url = peer.step("authorize").await["url"].clone();
        let back = say(&mut self.ada, url.as_str().unwrap(), "accept").await;
        peer.tell(&json!({"back": back}));
    }

    /// What a job gets.
    async fn handed_out(&self) -> Value {
        self.house.binb_token("acme", "sandbox").await.1["access_token"].clone()
    }
}

/// A pipeline that may take tokens out.
async fn pipeline(house: &House) -> (String, String) {
    let body = json!({
        "identifier": "pipeline", "kind": "service", "role": "superadmin", "scopes": ["binb:read", "apps:read"],
    });
    house.client(&body).await
}

/// The same with one more secret, which no broker makes: of characters that each library must encode.
async fn pipeline_with_odd_secret(house: &House) -> (String, String) {
    let made = pipeline(house).await;
    // Nobody else opens an SQLite database that a broker runs on.
    let Some(url) = house.home.database_url.clone() else { return made };
    let id = ClientId::parse(&made.0).unwrap();
    let odd = "100 %:+é&=%2B";
    let settings = store::Settings { url, max_connections: 1, acquire_timeout: Duration::from_secs(10) };
    let store = Store::connect(&settings, Arc::new(SystemClock)).await.unwrap();
    let instance = store.conn().find_instance().await.unwrap().unwrap();
    let keys = InstanceKeys { data_key: instance.data_key, sealed_hash_key: instance.sealed_hash_key };
    let keyring = Keyring::read(&house.home.data_dir().join("keyring.toml")).unwrap();
    let vault = Vault::unlock(Arc::new(keyring), Arc::new(SystemEntropy), &keys).unwrap();
    let row = entropy::uuid(&SystemClock, &SystemEntropy);
    let place = Vault::row(&[row.as_bytes(), id.as_str().as_bytes()]);
    let hash = vault.hash_secret("client_secret", "secret_hash", &place, &Secret::new(odd)).to_vec();
    let secret = ClientSecret { id: row, hash, created_at: SystemClock.now(), used_at: None };
    store.conn().insert_client_secret(&id, &secret).await.unwrap();
    store.close().await.unwrap();
    (id.as_str().to_owned(), odd.to_owned())
}

/// A script of somebody's notebook, which keeps no secret.
async fn notebook(house: &House) -> (String, String) {
    let body = json!({"identifier": "Notebook", "kind": "programmatic", "scopes": ["openid", "profile"]});
    let made = house.write(Method::POST, "/clients", &body).await;
    (made["client_id"].as_str().unwrap().to_owned(), String::new())
}

/// Ada types a device's code, and says yes or no.
async fn answer_device(scene: &mut Scene, code: &Value, decision: &str) {
    let url = scene.house.broker.at("/o/device/");
    let token = scene.ada.get(&url).await.csrf_token();
    let form = [("csrf_token", token.as_str()), ("user_code", code.as_str().unwrap())];
    assert_eq!(scene.ada.post(&url, &form).await.status, 200);
    let done = scene.ada.post(&url, &[form[0], form[1], ("decision", decision)]).await;
    assert_eq!(done.status, 200, "{}", done.body);
}
