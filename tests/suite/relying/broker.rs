//! Is whom Apache has signed in a user of the broker behind it, as docs/identity-provider.md says?

use std::net::TcpListener;
use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::TERMS;
use super::forwarded::{CLIENT, Proxy, Service, arrange, as_proxy, call, from_proxy, sign_in};
use super::server::free_ports;
use crate::support::app::{Broker, Home};
use crate::support::browser::Browser;
use crate::support::jar::{Jar, Seen};
use crate::support::peer::OidcProvider;

async fn write(broker: &Broker, path: &str, body: &Value) -> Value {
    let token = broker.token_of(&broker.superadmin).await;
    let url = broker.at(&format!("/admin/v1{path}"));
    let answer = broker.http.post(url).bearer_auth(token).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

/// Opens a page as far as it leads.
async fn arrive(jar: &mut Jar, url: &str) -> Seen {
    let mut seen = jar.get(url).await;
    for _ in 0..3 {
        let Some(to) = &seen.location else { break };
        seen = jar.get(to.clone().as_str()).await;
    }
    seen
}

/// The access token that the proxy forwards to its service for whoever signs in.
async fn token_of(apache: &Proxy, login: &str) -> String {
    let seen = sign_in(&mut Jar::new(), &apache.site, login).await;
    let told: Value = serde_json::from_str(&seen.body).unwrap_or_else(|_| panic!("{}", apache.log()));
    told["access_token"].as_str().unwrap().to_owned()
}

/// A broker that takes whom Apache has signed in.
struct Behind {
    broker: Broker,
    apache: Proxy,
    site: String,
    provider: OidcProvider,
    port: u16,
}

async fn behind_apache(home: &Home) -> Option<Behind> {
    let [port] = free_ports();
    let provider = arrange(port, 3_600)?;
    let site = format!("http://localhost:{port}");
    let keys = [
        ("public_url", site.as_str()),
        ("proxy.trusted", "127.0.0.2"),
        ("outbound.allow_loopback", "true"),
        ("login.oidc.issuer", &provider.url),
        ("login.oidc.client_id", "jeton"),
        ("login.oidc.forwarded_audience", TERMS),
        ("login.oidc.forwarded_token_header", "OIDC_access_token"),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let behind = listener.local_addr().unwrap().port();
    let mut broker = Broker::start_on(listener, home, Arc::default(), Arc::new(SystemEntropy), &keys).await;
    // Machines go past the sign-in of people.
    broker.url.clone_from(&broker.direct);
    write(&broker, "/apps", &json!({"id": "globex", "name": "Globex"})).await;
    let apache = Proxy::apache(port, behind, &provider.url, ("jeton", "peer-secret"));
    Some(Behind { broker, apache, site, provider, port })
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_apache_has_signed_in_is_a_user_of_the_broker_and_of_its_pages_alone() {
    for home in Home::each().await {
        let Some(Behind { broker, apache, site, provider, port }) = behind_apache(&home).await else {
            return;
        };
        let mut bob = Jar::new();
        sign_in(&mut bob, &site, "bob").await;
        let told = arrive(&mut bob, &format!("{site}/")).await;
        assert!(told.body.contains("bob, who is not known here"), "{}\n{}", told.body, apache.log());
        let invited = write(&broker, "/apps/globex/invitations", &json!({"email": "bob@example.com"})).await;
        let path = invited["url"].as_str().unwrap().strip_prefix(&site).unwrap().to_owned();
        let page = arrive(&mut bob, &format!("{site}{path}")).await;
        let form = [("csrf_token", page.csrf_token()), ("at_proxy", "yes".to_owned())];
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let accepted = bob.post(&format!("{site}{path}"), &form).await;
        assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
        assert_eq!(arrive(&mut bob, &format!("{site}/globex/connect")).await.status, StatusCode::OK);

        // Another browser of his need not sign in here either.
        let mut again = Jar::new();
        sign_in(&mut again, &site, "bob").await;
        assert!(arrive(&mut again, &format!("{site}/")).await.body.contains("Globex"), "{}", home.name);
        // What is for machines takes no token of the provider, wherever it comes from.
        for path in ["/admin/v1/apps", "/globex/sandbox/binb-token"] {
            assert_eq!(again.get(&format!("{site}{path}")).await.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        // Past Apache nobody is anybody.
        let echo = Service::behind_apache(&provider.url, TERMS, "jeton");
        drop(apache);
        let apache = Proxy::apache(port, echo.port, &provider.url, CLIENT);
        let token = token_of(&apache, "bob").await;
        let spoofed = [("OIDC_access_token", &*token), ("Host", site.trim_start_matches("http://"))];
        let direct = call(&format!("{}/globex/connect", broker.direct), &spoofed).await;
        assert_eq!(direct, StatusCode::SEE_OTHER, "{}", home.name);
        drop(apache);
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_behind_apache_stays_out_until_they_ask() {
    let Some(Behind { broker, apache, site, provider, .. }) = behind_apache(&Home::sqlite()).await else {
        return;
    };
    let Some(browser) = Browser::start().await else { return };
    let invited = write(&broker, "/apps/globex/invitations", &json!({"email": "bob@example.com"})).await;
    browser.open(invited["url"].as_str().unwrap()).await;
    browser.fill("input[name=login]", "bob").await;
    browser.fill("input[name=password]", "any").await;
    browser.click("button[type=submit]").await;
    browser.find("input[name=prompt][value=consent]").await;
    browser.click("button[type=submit]").await;
    browser.arrive(&site).await;
    let mut faults = browser.look("invitation-at-proxy").await;
    browser.click("main button[type=submit]").await;
    browser.click("form.who button").await;
    browser.find("form[action='/login/proxy']").await;
    faults.extend(browser.look("signed-out-at-proxy").await);
    assert_eq!(faults, [""; 0]);
    // Whatever page is asked for, until the person asks for it: then it is shown.
    browser.open(&format!("{site}/globex/connect")).await;
    let text = browser.text().await;
    assert!(text.contains("still knows you"), "{text}");
    browser.click("main button[type=submit]").await;
    browser.find("form.who").await;
    browser.arrive(&format!("{site}/globex/connect")).await;
    browser.close().await;
    drop((apache, provider));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_machines_takes_no_token_of_the_provider_however_much_its_claims_give() {
    for home in Home::each().await {
        let [port] = free_ports();
        let Some(provider) = arrange(port, 3_600) else { return };
        let echo = Service::behind_apache(&provider.url, TERMS, "jeton");
        let apache = Proxy::apache(port, echo.port, &provider.url, CLIENT);
        let (ada, bob) = (token_of(&apache, "ada.boss").await, token_of(&apache, "bob.acme").await);
        // As APISIX sends it: in `Authorization`. Ada's claim makes her a superadmin, bob's him a member of one app.
        let keys = [
            ("proxy.trusted", "127.0.0.2"),
            ("outbound.allow_loopback", "true"),
            ("login.oidc.issuer", provider.url.as_str()),
            ("login.oidc.client_id", "jeton"),
            ("login.oidc.forwarded_audience", TERMS),
            ("login.oidc.apps_claim", "groups"),
            ("login.oidc.superadmin_values", "boss"),
        ];
        let broker = Broker::start(&home, &keys).await;
        for app in ["acme", "globex"] {
            write(&broker, "/apps", &json!({"id": app, "name": app})).await;
        }
        for (token, globex) in [(&ada, StatusCode::OK), (&bob, StatusCode::FORBIDDEN)] {
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str())];
            let mut jar = Jar::of(from_proxy());
            let mut seen = jar.get_with(&broker.at("/"), &headers).await;
            for _ in 0..3 {
                let Some(to) = &seen.location else { break };
                seen = jar.get_with(to.clone().as_str(), &headers).await;
            }
            assert!(seen.status == StatusCode::OK && seen.body.contains("/acme/connect"), "{}", seen.body);
            let page = jar.get_with(&broker.at("/acme/connect"), &headers).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
            let page = jar.get_with(&broker.at("/globex/connect"), &headers).await;
            assert_eq!(page.status, globex, "{}: {}", home.name, page.body);

            for path in ["/admin/v1/apps", "/admin/v1/clients", "/acme/sandbox/binb-token"] {
                assert_eq!(as_proxy(&broker.at(path), &headers).await, StatusCode::UNAUTHORIZED, "{path}");
                // Nor does the session of the same browser help there.
                let seen = jar.get_with(&broker.at(path), &headers).await;
                assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{path}: {}", seen.body);
            }
            let form = [("grant_type", "client_credentials")];
            let seen = jar.post_with(&broker.at("/acme/sandbox/token"), &form, &headers).await;
            assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{}", seen.body);
            let seen = jar.post_with(&broker.at("/admin/v1/apps"), &form, &headers).await;
            assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{}", seen.body);
        }
        drop(apache);
        broker.stop().await;
    }
}
