//! Signing in through a provider that others wrote and certified, in Chromium.
//!
//! Pictures of the pages are left in the build's directory for tests (`target/tmp/pages/upstream-*`).

use std::net::TcpListener;
use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use reqwest::Method;
use serde_json::{Value, json};

use super::keyboard::tab_to;
use crate::support::app::{Broker, Home};
use crate::support::browser::Browser;
use crate::support::house::PASSWORD;
use crate::support::peer::OidcProvider;

struct Place {
    broker: Broker,
    browser: Browser,
    faults: Vec<String>,
}

impl Place {
    /// Looks at the page as it stands.
    async fn look(&mut self, name: &str) {
        self.faults.extend(self.browser.look(&format!("upstream-{name}")).await);
    }

    async fn says(&self, what: &str) {
        let text = self.browser.text().await;
        assert!(text.contains(what), "no `{what}` in {text}");
    }

    /// A page of ours for somebody whom neither we nor the provider know.
    async fn open_anew(&self, url: &str) {
        self.browser.devtools("Network.clearBrowserCookies", json!({})).await;
        self.browser.open(url).await;
    }

    /// The first button of the page, then the provider's own forms.
    async fn go(&self, provider: &OidcProvider, login: &str) {
        self.browser.click("main button[type=submit]").await;
        self.browser.arrive(&format!("{}/interaction/", provider.url)).await;
        self.browser.fill("input[name=login]", login).await;
        self.browser.fill("input[name=password]", "any").await;
        self.browser.click("button[type=submit]").await;
        self.browser.find("input[name=prompt][value=consent]").await;
        self.browser.click("button[type=submit]").await;
    }

    async fn write(&self, path: &str, body: &Value) -> Value {
        let token = self.broker.token_of(&self.broker.superadmin).await;
        let request = self.broker.http.request(Method::POST, self.broker.at(&format!("/admin/v1{path}")));
        let answer = request.bearer_auth(token).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }
}

async fn arrange(home: &Home) -> Option<(Place, OidcProvider)> {
    let browser = Browser::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let redirect = format!("http://{}/login/oidc/callback", listener.local_addr().unwrap());
    let provider = OidcProvider::start(&redirect)?;
    let keys = [
        ("outbound.allow_loopback", "true"),
        ("login.oidc.issuer", provider.url.as_str()),
        ("login.oidc.client_id", "jeton"),
        ("login.oidc.client_secret", "peer-secret"),
        ("login.oidc.apps_claim", "groups"),
        ("login.oidc.superadmin_values", "boss"),
    ];
    let broker = Broker::start_on(listener, home, Arc::default(), Arc::new(SystemEntropy), &keys).await;
    Some((Place { broker, browser, faults: Vec::new() }, provider))
}

#[tokio::test]
async fn people_come_in_through_a_certified_provider_by_claims_by_invitation_and_linked() {
    for home in Home::each().await {
        let Some((mut place, provider)) = arrange(&home).await else { return };
        for app in ["acme", "globex"] {
            place.write("/apps", &json!({"id": app, "name": app.to_uppercase()})).await;
        }
        by_claims(&mut place, &provider).await;
        by_invitation(&mut place, &provider).await;
        linked(&mut place, &provider).await;
        refused(&mut place, provider).await;
        assert_eq!(place.faults, Vec::<String>::new(), "{}", home.name);
        place.browser.close().await;
        place.broker.stop().await;
    }
}

/// And back to where the person wanted to go.
async fn by_claims(place: &mut Place, provider: &OidcProvider) {
    place.open_anew(&place.broker.at("/acme/connect")).await;
    place.look("login").await;
    place.go(provider, "eve.acme").await;
    place.browser.arrive(&place.broker.at("/acme/connect")).await;
    place.browser.open(&place.broker.at("/")).await;
    place.says("ACME").await;
    place.says("your only way in").await;
    place.look("start-only-way-in").await;
}

/// Which is then accepted by a click.
async fn by_invitation(place: &mut Place, provider: &OidcProvider) {
    let invited = place.write("/apps/globex/invitations", &json!({"email": "bob@example.com"})).await;
    place.open_anew(invited["url"].as_str().unwrap()).await;
    place.look("invitation").await;
    place.go(provider, "bob").await;
    place.browser.find("main form button[type=submit]").await;
    place.says("You are signed in as bob@example.com").await;
    place.browser.click("main button[type=submit]").await;
    place.browser.arrive(&place.broker.at("/globex/connect")).await;
}

/// Who has a password links, comes in by the provider from then on, and unlinks.
async fn linked(place: &mut Place, provider: &OidcProvider) {
    place.open_anew(&place.broker.invitation_url).await;
    place.browser.fill("#display_name", "Root").await;
    place.browser.fill("#password", PASSWORD).await;
    place.browser.click("main form:last-of-type button[type=submit]").await;
    place.browser.arrive(&place.broker.at("/")).await;
    place.browser.find("form.who").await;
    place.look("start-not-linked").await;
    place.go(provider, "root-at-peer").await;
    place.browser.find("form[action$=unlink]").await;
    place.says("linked to root-at-peer@example.com").await;
    place.look("start-linked").await;
    place.open_anew(&place.broker.at("/login")).await;
    place.go(provider, "root-at-peer").await;
    place.browser.find("form.who").await;
    place.says("Root").await;
    place.browser.click("form[action$=unlink] button").await;
    place.browser.find("form[action$='/login/oidc'] button").await;
}

/// Nobody here and nothing that lets them in; the person says no; the provider is gone.
async fn refused(place: &mut Place, provider: OidcProvider) {
    let login = place.broker.at("/login");
    place.open_anew(&login).await;
    place.go(&provider, "mallory").await;
    place.browser.find(".notice.error").await;
    place.says("knows you as mallory@example.com. No account here belongs to that").await;
    place.look("unknown").await;
    place.open_anew(&login).await;
    place.browser.click("main button[type=submit]").await;
    place.browser.arrive(&format!("{}/interaction/", provider.url)).await;
    place.browser.click("a[href$='/abort']").await;
    place.browser.find(".notice.error").await;
    place.says("access_denied").await;
    place.look("denied").await;
    drop(provider);
    place.broker.clock.advance(time::Duration::hours(2));
    place.open_anew(&login).await;
    place.browser.click("main button[type=submit]").await;
    place.browser.find(".notice.error").await;
    place.says("Sign in with your password, or try again in a moment").await;
    place.look("login-unavailable").await;
}

/// On a page of the provider's, which shows the focus in its own way: Tab until the element has it.
async fn reach(browser: &Browser, css: &str) {
    browser.find(css).await;
    for _ in 0..20 {
        if browser.eval(&format!("document.activeElement.matches(\"{css}\")")).await == true {
            return;
        }
        browser.tab().await;
    }
    panic!("{css} is not reached: {}", browser.text().await);
}

#[tokio::test]
async fn a_person_comes_in_through_the_provider_by_keyboard_alone() {
    let Some((place, provider)) = arrange(&Home::sqlite()).await else { return };
    place.write("/apps", &json!({"id": "acme", "name": "Acme"})).await;
    place.open_anew(&place.broker.at("/acme/connect")).await;
    place.browser.find("form[action$='/login/oidc'] button").await;
    let text = place.browser.eval("document.querySelector('main button[type=submit]').textContent").await;
    let name = text.as_str().unwrap().trim().to_owned();
    assert_eq!(tab_to(&place.browser, &name).await, ["Skip to the content", "jeton", &name]);
    place.browser.enter().await;
    place.browser.arrive(&format!("{}/interaction/", provider.url)).await;
    reach(&place.browser, "input[name=login]").await;
    place.browser.type_text("eve.acme").await;
    reach(&place.browser, "input[name=password]").await;
    place.browser.type_text("any").await;
    place.browser.enter().await;
    place.browser.find("input[name=prompt][value=consent]").await;
    reach(&place.browser, "button[type=submit]").await;
    place.browser.enter().await;
    place.browser.arrive(&place.broker.at("/acme/connect")).await;
    place.browser.open(&place.broker.at("/")).await;
    place.says("eve.acme").await;
    place.browser.close().await;
    place.broker.stop().await;
}
