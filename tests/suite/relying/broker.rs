//! Is whom Apache has signed in a user of the broker behind it, as docs/identity-provider.md says?

use std::net::TcpListener;
use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::TERMS;
use super::forwarded::{Proxy, arrange, call, sign_in};
use super::server::free_ports;
use crate::support::app::{Broker, Home};
use crate::support::jar::{Jar, Seen};

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

#[tokio::test(flavor = "multi_thread")]
async fn whom_apache_has_signed_in_is_a_user_of_the_broker_and_of_its_pages_alone() {
    for home in Home::each().await {
        let [port] = free_ports();
        let Some(provider) = arrange(port, 3_600) else { return };
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
        let mut broker =
            Broker::start_on(listener, &home, Arc::default(), Arc::new(SystemEntropy), &keys).await;
        // Machines go past the sign-in of people.
        broker.url.clone_from(&broker.direct);
        write(&broker, "/apps", &json!({"id": "globex", "name": "Globex"})).await;
        let apache = Proxy::apache(port, behind, &provider.url, ("jeton", "peer-secret"));

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
        let spoofed = [("OIDC_access_token", "x"), ("Host", site.trim_start_matches("http://"))];
        let direct = call(&format!("{}/globex/connect", broker.direct), &spoofed).await;
        assert_eq!(direct, StatusCode::SEE_OTHER, "{}", home.name);
        drop(apache);
        broker.stop().await;
    }
}
