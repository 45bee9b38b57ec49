//! From an invitation to a live token, through Chromium and a provider that others wrote.

use jeton::model::app::AppId;
use jeton::model::connector::ConnectorId;
use jeton::model::public_url::PublicUrl;
use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::browser::Browser;
use crate::support::house::{House, PASSWORD};
use crate::support::peer::OidcProvider;

const LIFETIME: Duration = Duration::seconds(3600);

fn definition(provider: &str) -> Value {
    json!({
        "id": "peer", "display_name": "Peer", "scopes": ["openid", "email"], "issuer": provider,
        "authorization_url": format!("{provider}/auth"), "token_url": format!("{provider}/token"),
        "revocation_url": format!("{provider}/token/revocation"),
        "identity": {"url": format!("{provider}/me"), "id": "/sub", "label": "/email"},
    })
}

/// What the provider counted: grants that live, refreshes that succeeded, requests it refused.
async fn state(house: &House, provider: &OidcProvider) -> (u64, u64, u64) {
    let answer = house.broker.http.get(format!("{}/_test/state", provider.url)).send().await.unwrap();
    let counted: Value = answer.json().await.unwrap();
    let number = |name: &str| counted[name].as_u64().unwrap();
    (number("grants"), number("refreshes"), number("refused"))
}

#[tokio::test]
async fn an_account_is_connected_in_chromium_refreshed_five_times_and_revoked() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    let (connector, app) = (ConnectorId::parse("peer").unwrap(), AppId::parse("acme").unwrap());
    let redirect = PublicUrl::parse(&house.broker.url).unwrap().redirect_uri(&connector, Some(&app));
    let Some(provider) = OidcProvider::start(&redirect) else { return };

    house.app("acme", "Acme Ltd").await;
    house.write(Method::POST, "/connectors", &definition(&provider.url)).await;
    let client = json!({"client_id": "jeton", "client_secret": "peer-secret"});
    let stored = house.write(Method::PUT, "/apps/acme/connectors/peer/credentials", &client).await;
    assert_eq!(stored["redirect_uri"], redirect);
    let invitation = house.invitation("acme", "ada@example.com").await;

    accept_and_connect(&browser, &house, &invitation).await;
    consent(&browser, &provider).await;
    browser.arrive(&house.broker.at("/acme/connect?connected=peer")).await;
    let page = browser.text().await;
    assert!(page.contains("Peer is connected.") && page.contains("ada-at-peer@example.com"), "{page}");
    browser.close().await;

    let (status, first) = house.binb_token("acme", "peer").await;
    assert_eq!(
        (status, &first["generation"], &first["refreshed"]),
        (200, &json!(1), &json!(false)),
        "{first}"
    );
    assert_eq!(account_of(&house, &provider, &first).await, (200, "ada-at-peer".to_owned()));
    let mut seen = vec![first["access_token"].clone()];
    for generation in 2..=6 {
        house.broker.clock.advance(LIFETIME);
        let (status, fresh) = house.binb_token("acme", "peer").await;
        assert_eq!((status, &fresh["generation"]), (200, &json!(generation)), "{fresh}");
        assert_eq!(account_of(&house, &provider, &fresh).await.0, 200);
        assert!(!seen.contains(&fresh["access_token"]));
        seen.push(fresh["access_token"].clone());
    }
    assert_eq!(state(&house, &provider).await, (1, 5, 0), "one grant, five rotations, nothing sent twice");

    house.broker.http.post(format!("{}/_test/revoke", provider.url)).send().await.unwrap();
    house.broker.clock.advance(LIFETIME);
    let (status, problem) = house.binb_token("acme", "peer").await;
    assert_eq!((status, &problem["code"]), (409, &json!("reauthorization_required")), "{problem}");
    assert_eq!((&problem["action"], &problem["reason"]), (&json!("reauthorize"), &json!("revoked")));
    assert_eq!(problem["signup_url"], house.broker.at("/acme/peer/signup"));
    assert_eq!(state(&house, &provider).await, (0, 5, 1));
    // Parked: the provider is not asked again.
    assert_eq!(house.binb_token("acme", "peer").await.0, 409);
    assert_eq!(state(&house, &provider).await, (0, 5, 1));
    house.stop().await;
}

/// The link of the invitation, the form behind it, the app's page, the connector's page.
async fn accept_and_connect(browser: &Browser, house: &House, invitation: &str) {
    browser.open(invitation).await;
    browser.fill("#display_name", "Ada Lovelace").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main button[type=submit]").await;
    browser.arrive(&house.broker.at("/acme/connect")).await;
    browser.click("a[aria-label='Connect Peer']").await;
    browser.arrive(&house.broker.at("/acme/peer/signup")).await;
    let page = browser.text().await;
    assert!(page.contains("Acme Ltd") && page.contains("Ada Lovelace") && page.contains("openid"), "{page}");
    browser.click("main button[type=submit]").await;
}

/// The provider's own forms: sign-in, then consent.
async fn consent(browser: &Browser, provider: &OidcProvider) {
    browser.arrive(&format!("{}/interaction/", provider.url)).await;
    browser.fill("input[name=login]", "ada-at-peer").await;
    browser.fill("input[name=password]", "any").await;
    browser.click("button[type=submit]").await;
    browser.find("input[name=prompt][value=consent]").await;
    browser.click("button[type=submit]").await;
}

/// Whose account the provider says a handed-out token opens.
async fn account_of(house: &House, provider: &OidcProvider, handed: &Value) -> (u16, String) {
    let token = handed["access_token"].as_str().unwrap();
    let answer =
        house.broker.http.get(format!("{}/me", provider.url)).bearer_auth(token).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["sub"].as_str().unwrap_or_default().to_owned())
}
