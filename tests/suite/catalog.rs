//! Do the catalog's Google, HubSpot and Salesforce connect, hand out, refresh and revoke, each in its own way?

use jeton::sandbox::{Counters, Outcome};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::house::{CLIENT_SECRET, House};
use crate::support::jar::Jar;
use crate::support::problem::read;

/// A house with an app and the instance's credentials at one provider of the catalog.
struct Shop<'a> {
    house: &'a House,
    connector: &'static str,
    ada: Jar,
}

impl<'a> Shop<'a> {
    async fn open(house: &'a House, connector: &'static str) -> Self {
        let client = json!({"client_id": format!("sandbox-{connector}"), "client_secret": CLIENT_SECRET});
        house.write(Method::PUT, &format!("/connectors/{connector}/credentials"), &client).await;
        house.app("acme", "Acme").await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        Self { house, connector, ada }
    }

    /// Ada connects alice's account.
    async fn connect(&mut self) {
        let signup = self.house.broker.at(&format!("/acme/{}/signup", self.connector));
        let authorize = self.ada.start(&signup).await;
        let back = self.ada.decide(&authorize, "alice@acme.example", "approve").await;
        let done = self.ada.get(back.as_str()).await;
        assert_eq!((done.status.as_u16(), done.to().path()), (303, "/acme/connect"), "{}", done.body);
    }

    async fn hand_out(&self) -> Value {
        let (status, handed) = self.house.binb_token("acme", self.connector).await;
        assert_eq!(status, 200, "{handed}");
        handed
    }

    fn counted(&self) -> Counters {
        self.house.sandbox.handle().ledger().clients[&format!("sandbox-{}", self.connector)].clone()
    }

    fn outcomes(&self) -> Vec<Vec<Outcome>> {
        let tokens = self.house.sandbox.handle().ledger().refresh_tokens;
        tokens.iter().map(|token| token.presentations.iter().map(|one| one.outcome).collect()).collect()
    }

    async fn account(&self) -> Value {
        let path = format!("/acme/{}/status", self.connector);
        let status: Value = self.house.ask(Method::GET, &path, None).await.json().await.unwrap();
        status["account"].clone()
    }

    /// Whether the provider's API takes a token.
    async fn lives(&self, handed: &Value) -> bool {
        let token = handed["access_token"].as_str().unwrap();
        let whoami = format!("{}/api/whoami", self.house.provider());
        self.house.broker.http.get(whoami).bearer_auth(token).send().await.unwrap().status() == 200
    }

    /// Deletes the connection, and sees that nothing of it lives at the provider.
    async fn disconnect(&self, handed: &Value) {
        let path = format!("/admin/v1/apps/acme/connections/{}", self.connector);
        let answer = self.house.ask(Method::DELETE, &path, None).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success() && !text.contains("failed"), "{status} {text}");
        assert!(!self.lives(handed).await);
        let ledger = self.house.sandbox.handle().ledger();
        assert!(ledger.refresh_tokens.iter().all(|token| !token.live));
        assert!(self.counted().revocations > 0);
    }

    /// The person takes the grant back: the next refresh parks the connection.
    async fn withdraw(&self) {
        self.house.sandbox.handle().revoke_grants_of("alice@acme.example");
        self.house.pass(8 * 3_600);
        let path = format!("/acme/{}/binb-token", self.connector);
        let problem = read(self.house.ask(Method::GET, &path, None).await, "reauthorization_required").await;
        assert_eq!(problem["reason"], "revoked", "{problem}");
    }
}

/// Google's revocation ends everything the client has of the account.
#[tokio::test]
async fn deleting_one_google_connection_leaves_another_to_the_same_account_alive() {
    for house in House::each().await {
        let mut shop = Shop::open(&house, "google").await;
        shop.connect().await;
        let default = shop.hand_out().await;
        let second = house.broker.at("/acme/google/signup?flow=second");
        let authorize = shop.ada.start(&second).await;
        let back = shop.ada.decide(&authorize, "alice@acme.example", "approve").await;
        shop.ada.get(back.as_str()).await;
        let delete = async |flow: &str| {
            let path = format!("/admin/v1/apps/acme/connections/google?flow={flow}");
            let answer = house.ask(Method::DELETE, &path, None).await;
            answer.json::<Value>().await.unwrap()["revocation"].clone()
        };
        assert_eq!(delete("second").await, "skipped", "{}", house.home.name);
        assert_eq!((shop.counted().revocations, shop.lives(&default).await), (0, true));
        house.pass(3_600);
        let handed = shop.hand_out().await;
        assert_eq!(handed["generation"], 2, "{}", house.home.name);
        assert_eq!(delete("default").await, "revoked", "the last one takes all along");
        assert!(!shop.lives(&handed).await);
        assert!(house.sandbox.handle().ledger().refresh_tokens.iter().all(|token| !token.live));
        house.stop().await;
    }
}

#[tokio::test]
async fn google_keeps_its_refresh_token_though_no_answer_repeats_it() {
    for house in House::each().await {
        let mut shop = Shop::open(&house, "google").await;
        shop.connect().await;
        let first = shop.hand_out().await;
        assert!(first["access_token"].as_str().unwrap().starts_with("ya29."));
        assert_eq!(
            (&first["scope"], first["expires_in"].as_i64() > Some(3_500)),
            (&json!("email openid"), true)
        );
        assert!(shop.account().await.as_str().unwrap().contains("alice@acme.example"));
        for generation in [2, 3] {
            house.pass(3_600);
            assert_eq!(shop.hand_out().await["generation"], generation, "{}", house.home.name);
        }
        assert_eq!(shop.outcomes(), [[Outcome::Kept, Outcome::Kept]], "one refresh token for all of it");
        // Asking for consent again brings a refresh token again.
        shop.withdraw().await;
        shop.connect().await;
        house.pass(3_600);
        let handed = shop.hand_out().await;
        shop.disconnect(&handed).await;
        house.stop().await;
    }
}

#[tokio::test]
async fn hubspot_is_known_by_its_portal_and_told_apart_from_rotation() {
    for house in House::each().await {
        let mut shop = Shop::open(&house, "hubspot").await;
        shop.connect().await;
        let first = shop.hand_out().await;
        let portal = &first["extra"]["hub_id"];
        assert!(portal.is_u64() && first["extra"]["user_id"].is_u64(), "{first}");
        assert!(shop.account().await.as_str().unwrap().contains(&portal.to_string()));
        house.pass(1_800);
        let second = shop.hand_out().await;
        assert_eq!((&second["generation"], &second["extra"]["hub_id"]), (&json!(2), portal));
        assert_eq!(shop.outcomes(), [[Outcome::Kept]], "{}", house.home.name);
        shop.withdraw().await;
        shop.connect().await;
        let handed = shop.hand_out().await;
        shop.disconnect(&handed).await;
        house.stop().await;
    }
}

#[tokio::test]
async fn salesforce_tells_where_its_api_is_and_each_expiry_by_one_introspection() {
    for house in House::each().await {
        let mut shop = Shop::open(&house, "salesforce").await;
        shop.connect().await;
        let first = shop.hand_out().await;
        assert_eq!(first["extra"], json!({"instance_url": house.provider()}));
        assert!((7_100..=7_200).contains(&first["expires_in"].as_i64().unwrap()), "{first}");
        for _ in 0..3 {
            shop.hand_out().await;
        }
        assert_eq!(shop.counted().introspections, 1, "for the code, and for no hand-out");
        assert!(shop.account().await.as_str().unwrap().contains("alice@acme.example"));
        house.pass(7_200);
        let second = shop.hand_out().await;
        assert_eq!((&second["generation"], &second["extra"]), (&json!(2), &first["extra"]));
        assert!((7_100..=7_200).contains(&second["expires_in"].as_i64().unwrap()), "{second}");
        assert_eq!(shop.counted().introspections, 2, "for the refresh");
        assert_eq!(shop.outcomes(), [[Outcome::Kept]], "{}", house.home.name);
        shop.withdraw().await;
        shop.connect().await;
        let handed = shop.hand_out().await;
        shop.disconnect(&handed).await;
        house.stop().await;
    }
}
