//! The authorization server, as clients and people see it: security.md's A lines, each by its proof.

mod addresses;
mod assertions;
mod bad_input;
mod bounds;
mod codes;
mod consent;
mod device_floods;
mod devices;
mod exchange;
mod hints;
mod inspection;
mod links;
mod long_requests;
mod metadata;
mod narrowed;
mod own;
mod passwords;
mod refreshing;
mod replaced;
mod replicas;
mod resources;
mod rights;
mod scopes;
mod secrets;
mod signing;
mod sources;
mod spoofed;
mod taken;
mod user_codes;
mod widening;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use url::Url;

use crate::support::app::Broker;
use crate::support::house::House;
use crate::support::jar::{Jar, Seen};
use crate::support::problem::is_plain;

/// Where the web application of the tests is sent back to; nobody listens there.
const BACK: &str = "https://shop.example/back?from=jeton";
/// PKCE's, as RFC 7636 appendix B has it.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client's id and secret; a public one has none.
type Client = (String, String);

/// A broker, its people, and a web application that signs them in.
struct World {
    house: House,
    shop: Client,
    ada: Jar,
}

impl World {
    /// One on each kind of database: Ada is a member of Acme, and Shop a service provider.
    async fn each() -> Vec<Self> {
        let mut worlds = Vec::new();
        for house in House::each().await {
            worlds.push(Self::of(house).await);
        }
        worlds
    }

    async fn of(house: House) -> Self {
        house.app("acme", "Acme").await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let shop = house.client(&provider("Shop")).await;
        Self { house, shop, ada }
    }

    fn broker(&self) -> &Broker {
        &self.house.broker
    }

    /// A request of the web application's, with these parameters changed; an empty one is left out.
    fn request(&self, changes: &[(&str, &str)]) -> String {
        authorization_request(&self.broker().url, &self.shop.0, changes)
    }

    /// Ada says yes to what the web application asks; the code.
    async fn code(&mut self, changes: &[(&str, &str)]) -> String {
        let url = self.request(changes);
        let back = say(&mut self.ada, &url, "accept").await;
        parameter(&back, "code")
    }

    /// The web application's tokens for Ada.
    async fn tokens(&mut self, changes: &[(&str, &str)]) -> Value {
        let code = self.code(changes).await;
        ok(self.redeem(&code, &[]).await).await
    }

    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        ask(self.broker(), "/o/token/", &self.shop, &changed(&form, changes)).await
    }

    async fn refresh(&self, token: &str, changes: &[(&str, &str)]) -> Response {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        ask(self.broker(), "/o/token/", &self.shop, &changed(&form, changes)).await
    }

    /// What an access token tells of its person.
    async fn userinfo(&self, token: &str) -> Response {
        self.broker().http.get(self.broker().at("/o/userinfo/")).bearer_auth(token).send().await.unwrap()
    }

    async fn stop(self) {
        self.house.stop().await;
    }
}

/// A web application.
fn provider(identifier: &str) -> Value {
    json!({
        "identifier": identifier, "kind": "provider", "redirect_uris": [BACK],
        "scopes": ["openid", "profile", "email", "offline_access"],
    })
}

fn authorization_request(broker: &str, client: &str, changes: &[(&str, &str)]) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", BACK),
        ("scope", "openid profile email offline_access"),
        ("state", "af0ifjsldkj"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let mut url = Url::parse(&format!("{broker}/o/authorize/")).unwrap();
    url.query_pairs_mut().extend_pairs(changed(&parameters, changes));
    url.into()
}

/// A client's form with these changed; an empty one is left out.
fn changed<'a>(form: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let replaced = |name: &str| changes.iter().any(|(own, _)| *own == name);
    let kept = form.iter().filter(|(name, _)| !replaced(name));
    kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect()
}

/// A form to an endpoint of the authorization server, by a client that authenticates in the header, or says its name.
async fn ask(broker: &Broker, path: &str, client: &Client, form: &[(&str, &str)]) -> Response {
    let request = broker.http.post(broker.at(path));
    if client.1.is_empty() {
        let mut form = form.to_vec();
        form.push(("client_id", &client.0));
        return request.form(&form).send().await.unwrap();
    }
    request.basic_auth(&client.0, Some(&client.1)).form(form).send().await.unwrap()
}

/// A public client: its id, and no secret.
async fn public(house: &House, body: &Value) -> Client {
    let made = house.write(Method::POST, "/clients", body).await;
    assert!(made["client_secret"].is_null());
    (made["client_id"].as_str().unwrap().to_owned(), String::new())
}

/// The answer to a request that must succeed.
async fn ok(answer: Response) -> Value {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Status and `error` of one that must not.
async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert!(is_plain(body["error_description"].as_str().unwrap_or_default()), "{body}");
    (status, body["error"].as_str().unwrap_or_default().to_owned())
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A person answers an authorization request, on its page if there is one; where the browser goes.
pub(crate) async fn say(jar: &mut Jar, url: &str, decision: &str) -> Url {
    let page = jar.get(url).await;
    if let Some(answered) = page.location {
        return answered;
    }
    assert_eq!(page.status, 200, "{}", page.body);
    let (query, shown, token) = (hidden(&page, "query"), hidden(&page, "shown"), page.csrf_token());
    let form = [
        ("csrf_token", token.as_str()),
        ("query", query.as_str()),
        ("shown", shown.as_str()),
        ("decision", decision),
    ];
    let mut action = page.url.clone();
    action.set_query(None);
    jar.post(action.as_str(), &form).await.to()
}

/// The value of a hidden field.
pub(crate) fn hidden(page: &Seen, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.body.split_once(&start).unwrap_or_else(|| panic!("no {name}: {}", page.body));
    rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

/// A parameter of the address a browser was sent to.
fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// What a JWT says; its signature is another test's business.
fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
