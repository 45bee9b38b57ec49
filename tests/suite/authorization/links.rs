//! Signup links: a service provider sends its own people here, and takes them back. A16, D1a.

mod refusals;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{Client, World, ask, claims, hidden, ok, parameter, text};
use crate::support::app::Broker;
use crate::support::jar::Jar;

pub(super) const DONE: &str = "https://shop.example/done?cart=7";

/// A web application that may send its people.
pub(super) async fn sender(world: &World, name: &str) -> Client {
    let body = json!({
        "identifier": name, "kind": "provider", "redirect_uris": [super::BACK],
        "scopes": ["openid", "signups:write"],
    });
    world.house.client(&body).await
}

pub(super) async fn post(broker: &Broker, client: &Client, path: &str, body: &Value) -> Response {
    let form = [("grant_type", "client_credentials")];
    let tokens = ok(ask(broker, "/o/token/", client, &form).await).await;
    let url = broker.at(&format!("/admin/v1{path}"));
    broker.http.post(url).bearer_auth(text(&tokens["access_token"])).json(body).send().await.unwrap()
}

/// Each world with a connector to be connected and a web application that may send its people.
pub(super) async fn shops() -> Vec<(World, Client)> {
    let mut shops = Vec::new();
    for world in World::each().await {
        world.house.credentials("sandbox", Some("acme")).await;
        let shop = sender(&world, "Web shop").await;
        shops.push((world, shop));
    }
    shops
}

/// A link for this person of the client's; its id and address.
pub(super) async fn link(world: &World, client: &Client, person: &str) -> (String, String) {
    let body = json!({
        "connector": "sandbox", "user": {"id": person, "display_name": format!("{person} of the shop")},
        "return_to": DONE,
    });
    let made = post(world.broker(), client, "/apps/acme/signup-links", &body).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.unwrap();
    (text(&made["id"]).to_owned(), text(&made["url"]).to_owned())
}

/// Clicks on the link's page; gives the authorization request.
pub(super) async fn follow(jar: &mut Jar, url: &str) -> Url {
    let page = jar.get(url).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let token = page.csrf_token();
    jar.post(url, &[("csrf_token", token.as_str())]).await.to()
}

/// The whole way through the provider, back to the web application.
pub(super) async fn connect(jar: &mut Jar, url: &str) -> Url {
    let authorize = follow(jar, url).await;
    let back = jar.decide(&authorize, "alice", "approve").await;
    jar.get(back.as_str()).await.to()
}

async fn confirm(world: &World, client: &Client, id: &str) -> Response {
    post(world.broker(), client, &format!("/apps/acme/signup-links/{id}/confirm"), &json!({})).await
}

#[tokio::test]
async fn a_person_of_a_service_provider_connects_an_account_without_an_account_here() {
    for (world, shop) in shops().await {
        let (id, url) = link(&world, &shop, "customer-7").await;
        let mut browser = Jar::new();
        let page = browser.get(&url).await;
        assert!(
            page.body.contains("customer-7 of the shop") && page.body.contains("Web shop"),
            "{}",
            page.body
        );
        assert!(page.body.contains("Acme"));
        let back = connect(&mut browser, &url).await;
        assert!(back.as_str().starts_with(&format!("{DONE}&signup_link=")), "{back}");
        assert_eq!(parameter(&back, "signup_link"), id);
        // Not before the web application has seen its person again; and who was sent belongs nowhere before.
        assert_eq!(members(&world).await.matches("\"user_id\"").count(), 1, "Ada alone");
        assert_eq!(world.house.binb_token("acme", "sandbox").await.0, 404);
        let confirmed: Value = ok(confirm(&world, &shop, &id).await).await;
        assert!(members(&world).await.contains(text(&confirmed["user_id"])));
        assert_eq!((&confirmed["app_id"], &confirmed["connector"]), (&json!("acme"), &json!("sandbox")));
        let (status, handed) = world.house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "{}", world.house.home.name);
        let again = confirm(&world, &shop, &id).await;
        assert_eq!(again.status(), 404, "once");
        // The same person, signed in with code and PKCE, swaps the token for the third-party token.
        let mut world = world;
        world.shop = shop;
        world.ada = browser;
        let tokens = world.tokens(&[("scope", "openid")]).await;
        assert_eq!(claims(&tokens["access_token"])["sub"], confirmed["user_id"]);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", text(&tokens["access_token"])),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", "acme/sandbox"),
        ];
        let swapped = ok(ask(world.broker(), "/o/token/", &world.shop, &form).await).await;
        assert_eq!(swapped["access_token"], handed["access_token"]);
        world.stop().await;
    }
}

async fn members(world: &World) -> String {
    world.house.ask(reqwest::Method::GET, "/admin/v1/apps/acme/members", None).await.text().await.unwrap()
}

/// Whoever was made to open another's link must not connect, accept or let in anything in that one's name.
#[tokio::test]
async fn a_session_that_a_link_opened_is_good_for_its_way_and_its_client_alone() {
    for (mut world, shop) in shops().await {
        let (id, url) = link(&world, &shop, "customer-7").await;
        let mut browser = Jar::new();
        connect(&mut browser, &url).await;
        ok(confirm(&world, &shop, &id).await).await;
        for path in ["/", "/acme/connect", "/acme/sandbox/signup", "/o/device/", "/connect/sandbox/install"] {
            let seen = browser.get(&world.broker().at(path)).await;
            let to = seen.location.unwrap_or_else(|| panic!("{path}: {}", seen.body));
            assert!(to.path().ends_with("/login"), "{path}: {to}");
        }
        let invitation = world.house.invitation("acme", "mallory@example.com").await;
        let page = browser.get(&invitation).await;
        assert!(
            !page.body.contains("of the shop") && page.body.contains("name=\"password\""),
            "{}",
            page.body
        );
        // Another client's request is answered by whoever signs in, on the page that comes.
        let other = world.request(&[("scope", "openid")]);
        let page = browser.get(&other).await;
        let return_to = hidden(&page, "return_to");
        let login = [
            ("email", "ada@example.com"),
            ("password", crate::support::house::PASSWORD),
            ("csrf_token", &page.csrf_token()),
            ("return_to", &return_to),
        ];
        // Its own client's is not.
        world.shop = shop.clone();
        let own = world.request(&[("scope", "openid")]);
        assert!(browser.get(&own).await.body.contains("customer-7 of the shop"));
        let next = browser.post(&world.broker().at("/login"), &login).await.to();
        let answered = super::say(&mut browser, next.as_str(), "accept").await;
        assert!(answered.query_pairs().any(|(name, _)| name == "code"), "{answered}");
        // It ends with the time in which the link could be confirmed.
        let (_, url) = link(&world, &shop, "customer-8").await;
        let mut browser = Jar::new();
        follow(&mut browser, &url).await;
        assert!(browser.get(&own).await.body.contains("customer-8 of the shop"));
        world.house.pass(3_601);
        assert!(!browser.get(&own).await.body.contains("customer-8 of the shop"));
        // Nor does SQL make more of it.
        let (_, url) = link(&world, &shop, "customer-9").await;
        follow(&mut browser, &url).await;
        assert!(browser.get(&own).await.body.contains("customer-9 of the shop"));
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        sql.run("UPDATE session SET opened_by = NULL").await;
        assert!(
            !browser.get(&own).await.body.contains("customer-9 of the shop"),
            "{}",
            world.house.home.name
        );
        world.stop().await;
    }
}

/// At night nobody is there: the extraction service asks as itself for what a person connected by day.
#[tokio::test]
async fn the_extraction_service_gets_by_night_what_a_link_connected_by_day() {
    for (world, shop) in shops().await {
        let (id, url) = link(&world, &shop, "customer-7").await;
        connect(&mut Jar::new(), &url).await;
        ok(confirm(&world, &shop, &id).await).await;
        let extraction = json!({
            "identifier": "Extraction", "kind": "provider", "role": "superadmin", "scopes": ["binb:read"],
            "allow": ["acme/*"],
        });
        let extraction = world.house.client(&extraction).await;
        let before = world.house.refreshes();
        // Its third-party token is over by then, and so is everybody's session.
        world.house.pass(13 * 3_600);
        let job = |app: &'static str| {
            let mut command = crate::support::program::jeton(&world.house.home);
            command.args(["token", app, "sandbox", "--format", "json"]);
            command.env("JETON_URL", &world.broker().url);
            command.env("JETON_CLIENT_ID", &extraction.0).env("JETON_CLIENT_SECRET", &extraction.1);
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        let done = job("acme").await.unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{told}");
        let token: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((&token["app_id"], &token["refreshed"]), (&json!("acme"), &json!(true)), "{token}");
        assert_eq!(world.house.refreshes(), before + 1);
        world.house.app("globex", "Globex").await;
        let elsewhere = job("globex").await.unwrap();
        assert_eq!(elsewhere.status.code(), Some(77), "{}", String::from_utf8_lossy(&elsewhere.stderr));
        assert!(elsewhere.stdout.is_empty(), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_is_the_same_at_the_next_link_and_another_at_another_client() {
    for (world, shop) in shops().await {
        let other = sender(&world, "Other").await;
        let mut users = Vec::new();
        for client in [&shop, &shop, &other] {
            let (id, url) = link(&world, client, "customer-7").await;
            let mut browser = Jar::new();
            connect(&mut browser, &url).await;
            users.push(ok(confirm(&world, client, &id).await).await["user_id"].clone());
        }
        assert_eq!(users[0], users[1]);
        assert_ne!(users[0], users[2], "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_link_is_good_once_for_half_an_hour() {
    for (world, shop) in shops().await {
        let (_, url) = link(&world, &shop, "customer-7").await;
        // Looking does not use it up.
        for _ in 0..2 {
            assert_eq!(Jar::new().get(&url).await.status, 200);
        }
        let forged = Jar::new().post(&url, &[("csrf_token", "x")]).await;
        assert_eq!((forged.status.as_u16(), forged.location), (403, None));
        follow(&mut Jar::new(), &url).await;
        assert_eq!(Jar::new().get(&url).await.status, 404);
        let (_, late) = link(&world, &shop, "customer-8").await;
        world.house.pass(31 * 60);
        assert_eq!(Jar::new().get(&late).await.status, 404);
        let nonsense = world.broker().at("/connect/links/0193.nonsense");
        assert_eq!(Jar::new().get(&nonsense).await.status, 404, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_nobody_confirms_is_revoked_and_only_its_client_may() {
    for (world, shop) in shops().await {
        let other = sender(&world, "Other").await;
        let (id, url) = link(&world, &shop, "customer-7").await;
        assert_eq!(confirm(&world, &shop, &id).await.status(), 404, "nobody has come back yet");
        connect(&mut Jar::new(), &url).await;
        assert_eq!(confirm(&world, &other, &id).await.status(), 404, "it is another client's");
        world.house.app("globex", "Globex").await;
        let elsewhere = format!("/apps/globex/signup-links/{id}/confirm");
        assert_eq!(post(world.broker(), &shop, &elsewhere, &json!({})).await.status(), 404);
        world.house.pass(11 * 60);
        assert_eq!(confirm(&world, &shop, &id).await.status(), 404, "{}", world.house.home.name);
        assert_eq!(world.house.binb_token("acme", "sandbox").await.0, 404);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_says_yes_first_where_the_account_is_another_one() {
    for (world, shop) in shops().await {
        let (id, url) = link(&world, &shop, "customer-7").await;
        let mut browser = Jar::new();
        connect(&mut browser, &url).await;
        ok(confirm(&world, &shop, &id).await).await;
        let (id, url) = link(&world, &shop, "customer-7").await;
        let authorize = follow(&mut browser, &url).await;
        let back = browser.decide(&authorize, "mallory", "approve").await;
        let question = browser.get(back.as_str()).await.to();
        assert!(question.path().ends_with("/connect/confirm"), "{question}");
        assert_eq!(confirm(&world, &shop, &id).await.status(), 404, "the person was not asked yet");
        let token = browser.get(question.as_str()).await.csrf_token();
        let form = [("csrf_token", token.as_str()), ("decision", "accept")];
        let returned = browser.post(question.as_str(), &form).await.to();
        assert_eq!(parameter(&returned, "signup_link"), id);
        assert_eq!(world.house.binb_token("acme", "sandbox").await.1["generation"], 1);
        ok(confirm(&world, &shop, &id).await).await;
        let (_, handed) = world.house.binb_token("acme", "sandbox").await;
        assert_eq!(handed["generation"], 2, "{}", world.house.home.name);
        world.stop().await;
    }
}
