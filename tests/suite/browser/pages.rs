//! Is every page readable and labelled, at every width, light and dark?
//!
//! Pictures of all of them are left in the build's directory for tests (`target/tmp/pages`).

use jeton::sandbox::{Faults, Iss, Trouble};
use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::browser::Browser;
use crate::support::house::{CLIENT, House, PASSWORD};
use crate::support::jar::Jar;

struct Tour {
    house: House,
    browser: Browser,
    looked: Vec<String>,
    faults: Vec<String>,
}

impl Tour {
    fn at(&self, path: &str) -> String {
        self.house.broker.at(path)
    }

    async fn open(&mut self, name: &str, path: &str) {
        let url = if path.starts_with("http") { path.to_owned() } else { self.at(path) };
        self.browser.open(&url).await;
        self.look(name).await;
    }

    /// Looks at the page as it stands.
    async fn look(&mut self, name: &str) {
        assert!(!self.looked.iter().any(|seen| seen == name), "{name} twice");
        self.faults.extend(self.browser.look(name).await);
        self.looked.push(name.to_owned());
    }

    async fn says(&self, what: &str) {
        let text = self.browser.text().await;
        assert!(text.contains(what), "no `{what}` in {text}");
    }

    /// Sends the page's form whatever the browser thinks of its fields.
    async fn send_unchecked(&self) {
        self.browser.eval("document.querySelector('main form').noValidate = true").await;
        self.browser.click("main button[type=submit], main form button").await;
    }

    async fn sign_in(&self, email: &str) {
        self.browser.client.delete_all_cookies().await.unwrap();
        self.browser.open(&self.at("/login")).await;
        self.browser.fill("#email", email).await;
        self.browser.fill("#password", PASSWORD).await;
        self.browser.click("main button[type=submit]").await;
        self.browser.find("form.who").await;
    }

    /// From a connector's page through the sandbox's and back.
    async fn consent(&self, signup: &str, user: &str, decision: &str) {
        self.browser.open(&self.at(signup)).await;
        self.browser.click("main button[type=submit]").await;
        self.browser.fill("#user", user).await;
        self.browser.click(&format!("button[value={decision}]")).await;
        self.browser.find(".brand").await;
    }
}

/// Apps, connectors, people and a few connections.
async fn furnish(house: &House) {
    house.app("acme", "Acme Ltd").await;
    house
        .app("globex-international", "Globex International Holdings of Rather Long Names GmbH & Co. KG")
        .await;
    house.credentials("sandbox", Some("acme")).await;
    let base = house.provider();
    let tenant = json!({
        "authorization_url": format!("{base}/{{tenant}}/authorize"), "url_variables": {"tenant": "^[a-z]+$"},
    });
    for (id, changes) in [
        ("tenants", tenant),
        ("shared", json!({})),
        ("capped", json!({"max_tokens_per_account": 1})),
        ("phones", json!({"starts_at_provider": true})),
        (
            "calendar",
            json!({"scopes": ["read", "https://www.example.com/auth/calendar.events.readonly.of.a.long.name"]}),
        ),
    ] {
        house.connector(id, &changes).await;
        let app = (id != "shared" && id != "phones").then_some("acme");
        house.credentials(id, app).await;
    }
    let imported = json!({"access_token": "imported", "expires_in": 3600});
    for flow in ["emea", "apac"] {
        let body = json!({"flow": flow, "access_token": "imported", "expires_in": 3600});
        house.write(Method::POST, "/apps/acme/connections/calendar/import", &body).await;
    }
    house.write(Method::POST, "/apps/acme/connections/shared/import", &imported).await;
    let mut ada = Jar::new();
    ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada Lovelace").await;
    ada.join(&house.invitation("globex-international", "ada@example.com").await).await;
    let authorize = ada.start(&house.broker.at("/acme/sandbox/signup")).await;
    let back = ada.decide(&authorize, "alice", "approve").await;
    assert_eq!(ada.get(back.as_str()).await.status, 303);
    Jar::new().accept(&house.invitation("acme", "bob@example.com").await, "Bob").await;
}

#[tokio::test]
async fn every_page_is_readable_and_labelled_at_every_width_light_and_dark() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    let mut tour = Tour { house, browser, looked: Vec::new(), faults: Vec::new() };
    first(&mut tour).await;
    furnish(&tour.house).await;
    signed_out(&mut tour).await;
    signed_in(&mut tour).await;
    flows(&mut tour).await;
    clients(&mut tour).await;
    sent(&mut tour).await;
    refusals(&mut tour).await;
    assert_eq!(tour.faults, Vec::<String>::new());
    assert_eq!(tour.looked.len(), 51, "{:?}", tour.looked);
    tour.browser.close().await;
    tour.house.stop().await;
}

/// The first person, before anything is there.
async fn first(tour: &mut Tour) {
    let invitation = tour.house.broker.invitation_url.clone();
    tour.open("invitation-superadmin", &invitation).await;
    tour.browser.fill("#display_name", "Root").await;
    tour.browser.fill("#password", PASSWORD).await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find("form.who").await;
    tour.says("There is no app yet").await;
    tour.look("start-empty").await;
    tour.house.app("initech", "Initech").await;
    tour.open("connect-empty", "/initech/connect").await;
    tour.says("Nothing can be connected here yet").await;
    tour.browser.client.delete_all_cookies().await.unwrap();
}

async fn signed_out(tour: &mut Tour) {
    tour.open("login", "/acme/connect").await;
    tour.browser.fill("#email", "ada@example.com").await;
    tour.browser.fill("#password", "wrong").await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find(".notice.error").await;
    tour.look("login-wrong").await;
    let invitation = tour.house.invitation("acme", "new@example.com").await;
    tour.open("invitation", &invitation).await;
    tour.browser.fill("#display_name", " ").await;
    tour.browser.fill("#password", "short").await;
    tour.send_unchecked().await;
    tour.browser.find(".wrong").await;
    tour.says("The password must have at least 12 characters").await;
    tour.says("The name must be 1 to 100 characters").await;
    tour.look("invitation-wrong").await;
    let known = tour.house.invitation("acme", "ada@example.com").await;
    tour.open("invitation-known", &known).await;
    tour.open("invitation-gone", "/invitations/0193.nonsense").await;
    let made = json!({"email": "cy@example.com", "display_name": "Cy"});
    let made: Value = tour.house.write(Method::POST, "/users", &made).await;
    tour.open("password", made["url"].as_str().unwrap()).await;
    tour.browser.fill("#password", "short").await;
    tour.send_unchecked().await;
    tour.browser.find(".wrong").await;
    tour.look("password-wrong").await;
    tour.open("password-gone", "/account/password/0193.nonsense").await;
    tour.open("not-found", "/nowhere/at/all/really").await;
    let provider = tour.house.provider();
    tour.open("sandbox", &provider).await;
    tour.open("explained", "/problems/reauthorization_required").await;
    tour.open("reference", "/docs").await;
}

async fn signed_in(tour: &mut Tour) {
    tour.sign_in("bob@example.com").await;
    let other = tour.house.invitation("globex-international", "ada@example.com").await;
    tour.open("invitation-for-another", &other).await;
    let own = tour.house.invitation("globex-international", "bob@example.com").await;
    tour.open("invitation-accept", &own).await;
    tour.open("forbidden", "/globex-international/connect").await;
    tour.sign_in("ada@example.com").await;
    tour.open("start", "/").await;
    tour.open("connect", "/acme/connect").await;
    tour.says("Connected as alice").await;
    tour.open("signup", "/acme/calendar/signup?flow=emea").await;
    tour.open("signup-variables", "/acme/tenants/signup").await;
    tour.browser.fill("input[name='var.tenant']", "NOT THIS").await;
    tour.send_unchecked().await;
    tour.browser.find(".wrong").await;
    tour.look("signup-variables-wrong").await;
    tour.open("install", "/connect/phones/install").await;
}

async fn flows(tour: &mut Tour) {
    tour.browser.open(&tour.at("/acme/sandbox/signup")).await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find("#user").await;
    tour.look("sandbox-consent").await;
    tour.consent("/acme/sandbox/signup", "mallory", "deny").await;
    tour.says("Access was denied").await;
    tour.look("denied").await;
    tour.consent("/acme/sandbox/signup", "mallory", "approve").await;
    tour.browser.find("button[value=accept]").await;
    tour.look("confirm-another-account").await;
    tour.sign_in("bob@example.com").await;
    tour.consent("/acme/sandbox/signup", "mallory", "approve").await;
    tour.says("may replace it").await;
    tour.look("confirm-not-yours").await;
    tour.sign_in("ada@example.com").await;
    tour.consent("/globex-international/shared/signup", "alice", "approve").await;
    tour.says("Several apps").await;
    tour.look("confirm-several-apps").await;
    tour.browser.click("button[value=accept]").await;
    tour.browser.find(".notice.good").await;
    tour.look("connected").await;
    tour.consent("/acme/capped/signup?flow=one", "carol", "approve").await;
    tour.consent("/acme/capped/signup", "dave", "approve").await;
    tour.says("will use this account").await;
    tour.look("confirm-takes-over").await;
    tour.consent("/acme/capped/signup?flow=two", "carol", "approve").await;
    tour.says("stops working").await;
    tour.look("confirm-kills-another").await;
    let provider = tour.house.sandbox.handle();
    provider.revoke_grants_of("alice");
    tour.house.broker.clock.advance(Duration::seconds(3600));
    assert_eq!(tour.house.binb_token("acme", "sandbox").await.0, 409);
    provider.set_faults(CLIENT, Faults::before(Trouble::invalid_client())).unwrap();
    assert_eq!(tour.house.binb_token("acme", "capped").await.0, 502);
    tour.open("connect-broken", "/acme/connect").await;
    tour.says("Needs to be reconnected").await;
    tour.says("Waits for an admin").await;
}

/// Who may give away more sees what is grave.
async fn grave(tour: &mut Tour, asked: &str) {
    let people = tour.house.ask(Method::GET, "/admin/v1/users", None).await;
    let people: Value = people.json().await.unwrap();
    let is_ada = |person: &&Value| person["email"] == "ada@example.com";
    let ada = people["items"].as_array().unwrap().iter().find(is_ada).unwrap();
    let ada = format!("/users/{}", ada["id"].as_str().unwrap());
    tour.house.write(Method::PATCH, &ada, &json!({"role": "superadmin"})).await;
    tour.open("authorize-grave", asked).await;
    assert!(tour.browser.find("li.grave").await.is_displayed().await.unwrap());
    tour.house.write(Method::PATCH, &ada, &json!({"role": null})).await;
}

/// What programs of ours ask of a person.
async fn clients(tour: &mut Tour) {
    let shop = json!({
        "identifier": "Shop, the web shop of Globex International Holdings of Rather Long Names",
        "kind": "provider", "redirect_uris": ["https://shop.example/back"], "role": "superadmin",
        "scopes": ["openid", "profile", "email", "offline_access", "superadmin"],
    });
    let shop = tour.house.client(&shop).await.0;
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let request = |scope: &str, back: &str| {
        format!(
            "/o/authorize/?response_type=code&client_id={shop}&redirect_uri={back}&scope={scope}\
             &code_challenge={challenge}&code_challenge_method=S256"
        )
    };
    tour.browser.client.delete_all_cookies().await.unwrap();
    let plain = request("openid%20profile%20email%20offline_access", "https://shop.example/back");
    tour.open("authorize-login", &plain).await;
    tour.sign_in("ada@example.com").await;
    tour.open("authorize", &plain).await;
    tour.says("go on to shop.example").await;
    grave(tour, &request("openid%20superadmin", "https://shop.example/back")).await;
    tour.open("authorize-elsewhere", &request("openid", "https://evil.example/back")).await;
    tour.says("not registered").await;
    let script = json!({
        "identifier": "Notebook", "kind": "programmatic", "scopes": ["openid", "offline_access"],
    });
    let (client_id, device) = asking(tour, &script).await;
    tour.open("device", "/o/device/").await;
    tour.browser.fill("#user_code", "BBBB-BBBB").await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find(".notice.error").await;
    tour.look("device-wrong").await;
    let link = device["verification_uri_complete"].as_str().unwrap().to_owned();
    tour.browser.open(&link).await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find("button[value=accept]").await;
    tour.says("Notebook asks to act for you").await;
    tour.look("device-asked").await;
    tour.browser.click("button[value=accept]").await;
    tour.browser.find(".notice.good").await;
    tour.look("device-connected").await;
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device["device_code"].as_str().unwrap()),
        ("client_id", &client_id),
    ];
    let broker = &tour.house.broker;
    let tokens = broker.http.post(broker.at("/o/token/")).form(&poll).send().await.unwrap();
    assert_eq!(tokens.status(), 200);
    tour.open("account", "/account").await;
    tour.says("Go on while you are away").await;
    tour.browser.click("form[action$=applications] button").await;
    tour.browser.find("main [role=status]").await;
    tour.says("None. Whoever asks").await;
    tour.look("account-empty").await;
    in_vain(tour).await;
}

/// A script asks for what its person cannot give.
async fn in_vain(tour: &mut Tour) {
    let job = json!({
        "identifier": "Nightly extraction", "kind": "programmatic", "role": "superadmin",
        "scopes": ["binb:read"], "allow": ["acme/sandbox"],
    });
    let (_, device) = asking(tour, &job).await;
    tour.browser.open(device["verification_uri_complete"].as_str().unwrap()).await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.find(".notice.warning").await;
    tour.says("You cannot give it any of this").await;
    tour.look("device-in-vain").await;
}

/// Makes a script's client and lets it ask; its id, and what it was told.
async fn asking(tour: &mut Tour, script: &Value) -> (String, Value) {
    let made = tour.house.write(Method::POST, "/clients", script).await;
    let client_id = made["client_id"].as_str().unwrap().to_owned();
    let broker = &tour.house.broker;
    let form = [("client_id", &client_id)];
    let begun = broker.http.post(broker.at("/o/device_authorization/")).form(&form).send().await.unwrap();
    (client_id, begun.json().await.unwrap())
}

/// A service provider sends a person.
async fn sent(tour: &mut Tour) {
    tour.house.faults(Faults::default());
    let sender = json!({"identifier": "Web shop", "kind": "provider", "scopes": ["signups:write"]});
    let sender = tour.house.client(&sender).await;
    let bearer = tour.house.broker.token_of(&sender).await;
    let broker = &tour.house.broker;
    let wanted = json!({
        "connector": "calendar", "flow": "shop", "user": {"id": "7", "display_name": "Grace Hopper"},
    });
    let link =
        broker.http.post(broker.at("/admin/v1/apps/acme/signup-links")).bearer_auth(bearer).json(&wanted);
    let link: Value = link.send().await.unwrap().json().await.unwrap();
    tour.open("signup-link", link["url"].as_str().unwrap()).await;
    tour.says("instead").await;
    tour.browser.click("main button[type=submit]").await;
    tour.browser.fill("#user", "grace").await;
    tour.browser.click("button[value=approve]").await;
    tour.browser.find("[role=status]").await;
    tour.look("signup-link-returned").await;
}

async fn refusals(tour: &mut Tour) {
    // Whom the service provider sent belongs to no app until it confirms.
    tour.sign_in("ada@example.com").await;
    tour.open("stale-callback", "/connect/sandbox/callback/acme?state=x&code=y").await;
    let wrong = Faults { iss: Some(Iss::Wrong), ..Faults::default() };
    tour.house.sandbox.handle().set_faults(CLIENT, wrong).unwrap();
    tour.consent("/acme/sandbox/signup", "alice", "approve").await;
    tour.look("wrong-issuer").await;
    tour.browser.open(&tour.at("/login?return_to=/")).await;
    tour.browser.eval("document.querySelector('form.who input[name=csrf_token]').value = 'old'").await;
    tour.browser.click("form.who button").await;
    tour.look("form-expired").await;
    let elsewhere = tour.at("/login").replace("127.0.0.1", "localhost");
    tour.open("another-host", &elsewhere).await;
}
