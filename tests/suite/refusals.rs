//! Which ways back from a provider lead nowhere? Each leaves the provider's token endpoint unasked and the
//! connection there was as it was.

use jeton::sandbox::{Counters, Faults, Iss};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::scripted::ScriptedServer;
use crate::support::house::{CLIENT, House};
use crate::support::jar::{Jar, Seen};

/// Ada, whose app Acme reads Alice's account at the sandbox.
struct Scene {
    house: House,
    ada: Jar,
    before: Before,
}

/// What must stay as it is.
#[derive(Debug, PartialEq)]
struct Before {
    counted: Counters,
    connections: Value,
    access_token: Value,
}

impl Scene {
    async fn new() -> Self {
        let house = House::start().await;
        house.app("acme", "Acme Ltd").await;
        house.credentials("sandbox", Some("acme")).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
        let back = ada.decide(&authorize, "alice", "approve").await;
        let done = ada.get(back.as_str()).await;
        assert_eq!(done.to().as_str(), house.broker.at("/acme/connect?connected=sandbox"));
        let before = now(&house).await;
        assert_eq!(before.counted.code_exchanges, 1);
        assert_eq!(before.connections["items"][0]["connector"], "sandbox", "{before:?}");
        Self { house, ada, before }
    }

    fn signup(&self) -> String {
        self.house.broker.at("/acme/sandbox/signup")
    }

    /// A consent of somebody else's account that nobody has come back from yet.
    async fn consented(&mut self) -> Url {
        let signup = self.signup();
        let authorize = self.ada.start(&signup).await;
        self.ada.decide(&authorize, "mallory", "approve").await
    }

    /// Another app of Ada's, with credentials of its own.
    async fn second_app(&mut self) {
        self.house.app("globex", "Globex").await;
        self.house.credentials("sandbox", Some("globex")).await;
        self.ada.join(&self.house.invitation("globex", "ada@example.com").await).await;
    }

    async fn unchanged(&self) {
        assert_eq!(now(&self.house).await, self.before);
    }
}

async fn now(house: &House) -> Before {
    let list = house.ask(Method::GET, "/admin/v1/connections", None).await;
    let (status, handed) = house.binb_token("acme", "sandbox").await;
    assert_eq!(status, 200, "{handed}");
    Before {
        counted: house.counted(),
        connections: list.json().await.unwrap(),
        access_token: handed["access_token"].clone(),
    }
}

/// A page that says no, and repeats nothing of what came.
fn refused(seen: &Seen, status: u16) {
    assert_eq!(seen.status.as_u16(), status, "{}", seen.body);
    assert_eq!(seen.location, None);
    let carried = seen.url.query_pairs().filter(|(name, _)| name == "code" || name == "state");
    for (name, value) in carried {
        assert!(!seen.body.contains(&*value), "the {name} is on the page");
    }
}

fn at_path(url: &Url, path: &str) -> String {
    let mut url = url.clone();
    url.set_path(path);
    url.into()
}

#[tokio::test]
async fn a_replayed_callback_is_refused() {
    let mut scene = Scene::new().await;
    let signup = scene.signup();
    let authorize = scene.ada.start(&signup).await;
    let back = scene.ada.decide(&authorize, "alice", "approve").await;
    let mut twin = scene.ada.clone();
    let (one, two) = tokio::join!(scene.ada.get(back.as_str()), twin.get(back.as_str()));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400], "one of two at the same moment");
    scene.before = now(&scene.house).await;
    assert_eq!(scene.before.counted.code_exchanges, 2);
    refused(&scene.ada.get(back.as_str()).await, 400);
    scene.unchanged().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_callback_in_a_second_browser_is_refused_and_does_not_use_up_the_first() {
    let mut scene = Scene::new().await;
    let back = scene.consented().await;
    let mut eve = Jar::new();
    eve.accept(&scene.house.invitation("acme", "eve@example.com").await, "Eve").await;
    let mut elsewhere = Jar::new();
    elsewhere.sign_in(&scene.house.broker.url, "ada@example.com").await;
    for (who, browser) in [("nobody", &mut Jar::new()), ("eve", &mut eve), ("ada elsewhere", &mut elsewhere)]
    {
        let seen = browser.get(back.as_str()).await;
        assert_eq!(seen.status, 400, "{who}: {}", seen.body);
        refused(&seen, 400);
    }
    scene.unchanged().await;
    // Nobody took it: the account differs from the one before, so its owner is asked.
    let own = scene.ada.get(back.as_str()).await;
    assert_eq!(own.to().path(), "/connect/confirm");
    scene.house.stop().await;
}

#[tokio::test]
async fn a_session_that_ended_in_between_does_not_finish() {
    let mut scene = Scene::new().await;
    let back = scene.consented().await;
    let stolen = scene.ada.clone();
    let token = scene.ada.get(&scene.house.broker.at("/")).await.csrf_token();
    scene.ada.post(&scene.house.broker.at("/logout"), &[("csrf_token", &token)]).await;
    refused(&stolen.clone().get(back.as_str()).await, 400);
    scene.ada.sign_in(&scene.house.broker.url, "ada@example.com").await;
    refused(&scene.ada.get(back.as_str()).await, 400);
    scene.unchanged().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_cross_site_navigation_of_a_signed_in_person_stores_nothing() {
    let mut scene = Scene::new().await;
    scene.second_app().await;
    let signup = scene.house.broker.at("/globex/sandbox/signup");
    let evil = [
        ("referer", "https://evil.example/"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    let page = scene.ada.get_with(&signup, &evil).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Globex"), "{}", page.body);
    let mut eve = Jar::new();
    eve.accept(&scene.house.invitation("globex", "eve@example.com").await, "Eve").await;
    let foreign = eve.get(&signup).await.csrf_token();
    for form in [&[][..], &[("csrf_token", "")], &[("csrf_token", foreign.as_str())]] {
        refused(&scene.ada.post_with(&signup, form, &evil).await, 403);
    }
    let forged = scene.house.broker.at("/connect/sandbox/callback/globex?code=planted&state=planted");
    refused(&scene.ada.get_with(&forged, &evil).await, 400);
    // Login CSRF: the attacker's own consent in the victim's browser.
    let authorize = eve.start(&signup).await;
    let planted = eve.decide(&authorize, "mallory", "approve").await;
    refused(&scene.ada.get_with(planted.as_str(), &evil).await, 400);
    scene.unchanged().await;
    let (status, problem) = scene.house.binb_token("globex", "sandbox").await;
    assert_eq!((status, &problem["code"]), (404, &json!("connection_not_found")));
    scene.house.stop().await;
}

#[tokio::test]
async fn a_callback_at_another_connectors_address_is_refused() {
    let mut scene = Scene::new().await;
    scene.house.connector("twin", &json!({})).await;
    scene.house.credentials("twin", Some("acme")).await;
    let back = scene.consented().await;
    refused(&scene.ada.get(&at_path(&back, "/connect/twin/callback/acme")).await, 400);
    // The state is used up: the right address comes too late.
    refused(&scene.ada.get(back.as_str()).await, 400);
    scene.unchanged().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_callback_at_another_apps_address_is_refused() {
    let mut scene = Scene::new().await;
    scene.second_app().await;
    for path in ["/connect/sandbox/callback/globex", "/connect/sandbox/callback"] {
        let back = scene.consented().await;
        refused(&scene.ada.get(&at_path(&back, path)).await, 400);
        refused(&scene.ada.get(back.as_str()).await, 400);
    }
    scene.unchanged().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn an_answer_under_another_issuers_name_is_refused() {
    let mut scene = Scene::new().await;
    scene
        .house
        .sandbox
        .handle()
        .set_faults(CLIENT, Faults { iss: Some(Iss::Wrong), ..Faults::default() })
        .unwrap();
    let back = scene.consented().await;
    assert!(back.query().unwrap().contains("iss=https%3A%2F%2Fsomebody-else.example"), "{back}");
    refused(&scene.ada.get(back.as_str()).await, 400);
    let signup = scene.signup();
    let authorize = scene.ada.start(&signup).await;
    let denied = scene.ada.decide(&authorize, "mallory", "deny").await;
    let seen = scene.ada.get(denied.as_str()).await;
    refused(&seen, 400);
    assert!(!seen.body.contains("denied at the provider"), "whose word is it? {}", seen.body);
    scene.unchanged().await;
    scene.house.stop().await;
}

#[tokio::test]
async fn a_denied_consent_says_so_and_keeps_what_was_connected() {
    let mut scene = Scene::new().await;
    let signup = scene.signup();
    let authorize = scene.ada.start(&signup).await;
    let back = scene.ada.decide(&authorize, "mallory", "deny").await;
    let seen = scene.ada.get(back.as_str()).await;
    refused(&seen, 403);
    assert!(
        seen.body.contains("Access was denied at the provider") && seen.body.contains("the person said no")
    );
    assert!(seen.body.contains("href=\"/acme/connect\""), "{}", seen.body);
    refused(&scene.ada.get(back.as_str()).await, 400);
    scene.unchanged().await;
    scene.house.stop().await;
}

/// A provider that sends the browser on to the sandbox, with our `state` and challenge, to `redirect_uri`, and
/// would be glad of the code.
async fn bouncer(honest: String, redirect_uri: String) -> ScriptedServer {
    ScriptedServer::start(move |seen, _| {
        let here = Url::parse("http://evil").unwrap().join(&seen.target).unwrap();
        if here.path() != "/authorize" {
            return (200, "content-type: application/json\r\n", json!({"access_token": "bait"}).to_string());
        }
        let mut on = Url::parse(&honest).unwrap();
        for (name, value) in here.query_pairs() {
            let value = match &*name {
                "client_id" => CLIENT.into(),
                "redirect_uri" => redirect_uri.as_str().into(),
                _ => value,
            };
            on.query_pairs_mut().append_pair(&name, &value);
        }
        // The scripted server wants header lines that outlive it.
        (302, Box::leak(format!("location: {on}\r\n").into_boxed_str()), String::new())
    })
    .await
}

#[tokio::test]
async fn a_connector_that_bounces_to_an_honest_provider_gets_no_code() {
    let mut scene = Scene::new().await;
    let honest = format!("{}/authorize", scene.house.provider());
    let own = scene.house.broker.at("/connect/sandbox/callback/acme");
    for (name, to, issuer) in [
        // To the honest connector's address, where the provider knows it exactly.
        ("evil", own.clone(), None),
        // To the evil connector's address, where the provider is lax about it.
        (
            "evil-named",
            scene.house.broker.at("/connect/evil-named/callback/acme"),
            Some("https://evil.example"),
        ),
        ("evil-unnamed", scene.house.broker.at("/connect/evil-unnamed/callback/acme"), None),
    ] {
        let evil = bouncer(honest.clone(), to).await;
        let at = &evil.url;
        let changes = json!({
            "authorization_url": format!("{at}/authorize"), "token_url": format!("{at}/token"),
            "identity": null, "issuer": issuer,
        });
        scene.house.connector(name, &changes).await;
        let client = json!({"client_id": "evil", "client_secret": "evil"});
        scene.house.write(Method::PUT, &format!("/apps/acme/connectors/{name}/credentials"), &client).await;
        let authorize = scene.ada.start(&scene.house.broker.at(&format!("/acme/{name}/signup"))).await;
        assert!(authorize.as_str().starts_with(at.as_str()), "{authorize}");
        let bounced = scene.ada.get(authorize.as_str()).await.to();
        let back = scene.ada.decide(&bounced, "alice", "approve").await;
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        refused(&scene.ada.get(back.as_str()).await, 400);
        let seen = evil.seen();
        assert_eq!(seen.len(), 1, "{name}: only the browser called: {seen:?}");
        assert!(!format!("{seen:?}").contains(&code), "{name}");
        let (status, problem) = scene.house.binb_token("acme", name).await;
        assert_eq!((status, &problem["code"]), (404, &json!("connection_not_found")), "{name}");
        scene.unchanged().await;
    }
    scene.house.stop().await;
}
