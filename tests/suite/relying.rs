//! Do programs that others wrote get along with the authorization server, as docs/verifying.md sets them up? Verifiers of
//! its tokens, and relying parties that sign people in. And do services of ours get along with proxies?

mod apache;
mod broker;
mod forwarded;
mod haproxy;
mod library;
mod oidc_proxied;
mod ours;
mod server;

use std::sync::Arc;

use jeton::model::time::ShiftedClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Home, http};
use crate::support::house::House;
use crate::support::jar::Jar;
use crate::support::provider::sandbox;
use crate::support::sql::Sql;

const GUIDE: &str = include_str!("../../docs/verifying.md");
/// The resource server of the guide.
const TERMS: &str = "https://terms.example.com";
/// Another one.
const MIRROR: &str = "https://mirror.example.com";

type Client = (String, String);

/// A broker with a resource server that is not ours, and who calls it.
struct Ground {
    house: House,
    algorithm: &'static str,
    /// May read.
    reader: Client,
    /// May write and no more.
    writer: Client,
    /// May read, at another service that has the word too.
    stranger: Client,
    /// A token of the reader's that has expired by now.
    stale: String,
}

impl Ground {
    /// One on each kind of database, and one that signs with RS256.
    async fn each() -> Vec<Self> {
        let mut grounds = Vec::new();
        for home in Home::each().await {
            grounds.push(Self::on(home, "ES256").await);
        }
        grounds.push(Self::on(Home::sqlite(), "RS256").await);
        grounds
    }

    /// The others live by the machine's clock: the broker begins three hours ago and is a quarter of an hour behind now.
    async fn on(home: Home, algorithm: &'static str) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        clock.advance(-Duration::hours(3));
        let keys = [("issuer.algorithm", algorithm)];
        Self::of(House::with(home, sandbox(clock.clone()), clock, &keys).await, algorithm).await
    }

    /// One whose issuer has a path.
    async fn under(path: &str) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        clock.advance(-Duration::hours(3));
        let house = House::under(path, Home::sqlite(), sandbox(clock.clone()), clock, &[]).await;
        Self::of(house, "ES256").await
    }

    async fn of(house: House, algorithm: &'static str) -> Self {
        let resource = json!({"uri": TERMS, "name": "Terms", "scopes": ["terms:read", "terms:write"]});
        house.write(Method::POST, "/resources", &resource).await;
        let resource = json!({"uri": MIRROR, "name": "Mirror", "scopes": ["terms:read"]});
        house.write(Method::POST, "/resources", &resource).await;
        let client = async |identifier: &str, resource: &str, scope: &str| {
            let body = json!({"identifier": identifier, "kind": "service", "resources": [resource], "scopes": [scope]});
            house.client(&body).await
        };
        let reader = client("reader", TERMS, "terms:read").await;
        let writer = client("writer", TERMS, "terms:write").await;
        let stranger = client("stranger", MIRROR, "terms:read").await;
        let stale = house.broker.token_of(&reader).await;
        house.pass(Duration::minutes(165).whole_seconds());
        Self { house, algorithm, reader, writer, stranger, stale }
    }

    fn url(&self) -> &str {
        &self.house.broker.url
    }

    async fn token(&self, client: &Client) -> String {
        self.house.broker.token_of(client).await
    }

    /// Another key waits.
    async fn announce_key(&self) {
        self.house.write(Method::POST, "/keys/signing/rotate", &Value::Null).await;
    }

    /// It signs. The upkeep looks once a minute of the machine's; here nobody waits for it.
    async fn promote_key(&self) {
        let sql = Sql::open(&self.house.home).await;
        sql.run("UPDATE signing_key SET state = 'retired', retired_at = activated_at WHERE state = 'active'")
            .await;
        sql.run(
            "UPDATE signing_key SET state = 'active', activated_at = activates_at WHERE state = 'pending'",
        )
        .await;
        self.house.pass(Duration::minutes(11).whole_seconds());
    }

    /// A text of the guide with this broker's address and algorithm.
    fn here(&self, block: &str) -> String {
        block.replace("https://jeton.example.com", self.url()).replace("ES256", self.algorithm)
    }

    /// Good tokens come through; others do not, and the caller learns which kind of trouble it is.
    async fn judge(&self, service: &str) {
        let good = self.token(&self.reader).await;
        let (status, said) = call(service, Some(&good)).await;
        assert_eq!(
            (status, said.split(' ').next().unwrap()),
            (StatusCode::OK, &*self.reader.0),
            "{}",
            self.name()
        );
        for (what, bad) in self.bad(&good).await {
            let (status, _) = call(service, Some(&bad)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {}", self.name());
        }
        assert_eq!(call(service, None).await.0, StatusCode::UNAUTHORIZED);
    }

    /// What nobody may take for a token for this service.
    async fn bad(&self, good: &str) -> Vec<(&'static str, String)> {
        let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let superadmin = self.token(&self.house.broker.superadmin).await;
        let [_, other, _] = superadmin.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        vec![
            ("expired", self.stale.clone()),
            ("for the broker", superadmin.clone()),
            ("for another service", self.token(&self.stranger).await),
            ("another's claims", format!("{head}.{other}.{signature}")),
            ("another's signature", format!("{head}.{body}.{}", superadmin.rsplit('.').next().unwrap())),
            ("unsigned", format!("{head}.{body}.")),
            ("alg none", format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{body}.")),
            ("no JWT", "x".to_owned()),
        ]
    }

    fn name(&self) -> String {
        format!("{} {}", self.house.home.name, self.algorithm)
    }

    /// A person with an account.
    async fn ada(&self) -> Jar {
        self.house.app("acme", "Acme").await;
        let mut ada = Jar::new();
        ada.accept(&self.house.invitation("acme", "ada@example.com").await, "Ada").await;
        ada
    }

    async fn stop(self) {
        self.house.stop().await;
    }
}

/// The block of the guide in this language that holds these words.
fn block(language: &str, words: &str) -> String {
    let open = format!("```{language}\n");
    let mut blocks = GUIDE.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(words)).unwrap_or_else(|| panic!("no {words} in the guide")).to_owned()
}

/// A call with a bearer token: the status, and who the service says it is.
async fn call(service: &str, token: Option<&str>) -> (StatusCode, String) {
    let request = http().get(service);
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap().trim().to_owned())
}
