//! Can everything be done without a mouse, and does a person see where they are?

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::house::{House, PASSWORD};
use crate::support::jar::Jar;

/// What has the focus: how it is called, and whether its outline is seen.
async fn focus(browser: &Browser) -> (String, bool) {
    let seen = browser
        .eval(
            "(() => { const at = document.activeElement, style = getComputedStyle(at); \
             return [at.ariaLabel || at.id || at.textContent.trim(), \
             style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; })()",
        )
        .await;
    let Value::Array(seen) = seen else { panic!("{seen}") };
    (seen[0].as_str().unwrap().to_owned(), seen[1].as_bool().unwrap())
}

/// Presses Tab as often as it takes; every stop on the way is visible and comes once.
pub(super) async fn tab_to(browser: &Browser, name: &str) -> Vec<String> {
    let mut stops = Vec::new();
    while stops.last().map(String::as_str) != Some(name) {
        browser.tab().await;
        let (stop, visible) = focus(browser).await;
        assert!(visible, "`{stop}` does not show that it has the focus");
        assert!(!stops.contains(&stop), "{name} is not reached: {stops:?}");
        stops.push(stop);
    }
    stops
}

#[tokio::test]
async fn sign_in_connect_and_consent_work_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    house.app("acme", "Acme Ltd").await;
    house.credentials("sandbox", Some("acme")).await;
    Jar::new().accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;

    browser.open(&house.broker.at("/login")).await;
    assert_eq!(tab_to(&browser, "email").await, ["Skip to the content", "jeton", "email"]);
    browser.type_text("ada@example.com").await;
    assert_eq!(tab_to(&browser, "password").await, ["password"]);
    browser.type_text(PASSWORD).await;
    // Enter in the field sends the form, as everywhere.
    browser.enter().await;
    browser.find("form.who").await;
    let stops = tab_to(&browser, "Accounts of Acme Ltd").await;
    assert_eq!(stops, ["Skip to the content", "jeton", "Ada", "Sign out", "Accounts of Acme Ltd"]);
    browser.enter().await;
    browser.arrive(&house.broker.at("/acme/connect")).await;
    // The skip link jumps over what is the same on every page.
    browser.find("a[aria-label='Connect Sandbox']").await;
    tab_to(&browser, "Skip to the content").await;
    browser.enter().await;
    assert_eq!(tab_to(&browser, "Connect Sandbox").await, ["Connect Sandbox"]);
    browser.enter().await;
    browser.arrive(&house.broker.at("/acme/sandbox/signup")).await;
    tab_to(&browser, "Skip to the content").await;
    browser.enter().await;
    assert_eq!(tab_to(&browser, "Not now").await, ["Continue to Sandbox", "Not now"]);
    browser.tab_back().await;
    browser.enter().await;
    // The provider's page: the account is filled in, the first button approves.
    browser.find("#user").await;
    tab_to(&browser, "user").await;
    browser.enter().await;
    browser.arrive(&house.broker.at("/acme/connect?connected=sandbox")).await;
    let page = browser.text().await;
    assert!(page.contains("Sandbox is connected."), "{page}");
    browser.close().await;
    house.stop().await;
}

#[tokio::test]
async fn a_program_is_let_in_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    house.app("acme", "Acme Ltd").await;
    Jar::new().accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    let notebook = serde_json::json!({
        "identifier": "Notebook", "kind": "programmatic", "scopes": ["openid", "offline_access"],
    });
    let made = house.write(reqwest::Method::POST, "/clients", &notebook).await;
    let client = made["client_id"].as_str().unwrap();
    let ask = async |path: &str, form: &[(&str, &str)]| -> Value {
        let answer = house.broker.http.post(house.broker.at(path)).form(form).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let device = ask("/o/device_authorization/", &[("client_id", client)]).await;

    browser.open(device["verification_uri"].as_str().unwrap()).await;
    tab_to(&browser, "email").await;
    browser.type_text("ada@example.com").await;
    tab_to(&browser, "password").await;
    browser.type_text(PASSWORD).await;
    browser.enter().await;
    browser.find("#user_code").await;
    tab_to(&browser, "user_code").await;
    browser.type_text(device["user_code"].as_str().unwrap()).await;
    browser.enter().await;
    browser.find("button[value=accept]").await;
    tab_to(&browser, "Skip to the content").await;
    browser.enter().await;
    assert_eq!(tab_to(&browser, "Do not allow").await, ["Allow", "Do not allow"]);
    browser.tab_back().await;
    browser.enter().await;
    browser.find(".notice.good").await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device["device_code"].as_str().unwrap()),
        ("client_id", client),
    ];
    assert!(ask("/o/token/", &form).await["refresh_token"].is_string());
    browser.close().await;
    house.stop().await;
}

#[tokio::test]
async fn a_web_application_is_let_in_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    house.app("acme", "Acme Ltd").await;
    Jar::new().accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    let back = house.broker.at("/healthz");
    let shop = serde_json::json!({
        "identifier": "Web shop", "kind": "provider", "scopes": ["openid", "profile"], "redirect_uris": [back],
    });
    let client = house.client(&shop).await.0;
    let mut request = url::Url::parse(&house.broker.at("/o/authorize/")).unwrap();
    request.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", &client),
        ("redirect_uri", &back),
        ("scope", "openid profile"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]);
    browser.open(request.as_str()).await;
    tab_to(&browser, "email").await;
    browser.type_text("ada@example.com").await;
    tab_to(&browser, "password").await;
    browser.type_text(PASSWORD).await;
    browser.enter().await;
    // No first, then, asked again, yes.
    for (decision, told) in [("Do not allow", "error=access_denied"), ("Allow", "code=")] {
        browser.find("button[value=accept]").await;
        tab_to(&browser, "Skip to the content").await;
        browser.enter().await;
        assert_eq!(tab_to(&browser, "Do not allow").await, ["Allow", "Do not allow"]);
        if decision == "Allow" {
            browser.tab_back().await;
        }
        browser.enter().await;
        browser.arrive(&format!("{back}?{told}")).await;
        if decision != "Allow" {
            browser.open(request.as_str()).await;
        }
    }
    browser.close().await;
    house.stop().await;
}

#[tokio::test]
async fn a_link_of_a_service_provider_is_followed_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    house.app("acme", "Acme Ltd").await;
    house.credentials("sandbox", Some("acme")).await;
    let back = house.broker.at("/healthz");
    let shop = serde_json::json!({
        "identifier": "Web shop", "kind": "provider", "scopes": ["signups:write"], "redirect_uris": [back],
    });
    let bearer = house.broker.token_of(&house.client(&shop).await).await;
    let wanted = serde_json::json!({
        "connector": "sandbox", "user": {"id": "7", "display_name": "Grace Hopper"}, "return_to": back,
    });
    let post = async |path: &str, body: &Value| -> Value {
        let url = house.broker.at(&format!("/admin/v1/apps/acme/signup-links{path}"));
        let answer = house.broker.http.post(url).bearer_auth(&bearer).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.json().await.unwrap()
    };
    let link = post("", &wanted).await;
    browser.open(link["url"].as_str().unwrap()).await;
    let stops = tab_to(&browser, "Continue to Sandbox").await;
    assert_eq!(stops, ["Skip to the content", "jeton", "Continue to Sandbox"]);
    browser.enter().await;
    browser.find("#user").await;
    tab_to(&browser, "user").await;
    browser.enter().await;
    let id = link["id"].as_str().unwrap();
    browser.arrive(&format!("{back}?signup_link={id}")).await;
    post(&format!("/{id}/confirm"), &serde_json::json!({})).await;
    assert_eq!(house.binb_token("acme", "sandbox").await.0, 200);
    browser.close().await;
    house.stop().await;
}

#[tokio::test]
async fn the_reference_is_read_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let house = House::start().await;
    browser.open(&house.broker.at("/docs")).await;
    let stops = tab_to(&browser, "Connections").await;
    assert_eq!(stops[..4], ["Skip to the content", "jeton", "Calling", "Errors"]);
    browser.enter().await;
    browser.arrive(&house.broker.at("/docs#tag-connections")).await;
    // From there the next stop is the first operation of the group, and that leads to what it needs.
    let first = "GET /admin/v1/apps/{app_id}/connections";
    assert_eq!(tab_to(&browser, first).await, [first]);
    browser.enter().await;
    browser.arrive(&house.broker.at("/docs#operation-list_app_connections")).await;
    assert_eq!(tab_to(&browser, "Collection_ConnectionResponse").await.len(), 2);
    browser.enter().await;
    browser.arrive(&house.broker.at("/docs#schema-Collection_ConnectionResponse")).await;
    browser.close().await;
    house.stop().await;
}
