//! Does `OidcProxyScheme` take the tokens of our own server, as Apache forwards them?

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::forwarded::{Proxy, Service, as_proxy, call};
use super::server::free_ports;
use super::{Ground, TERMS, apache};
use crate::authorization::say;
use crate::support::jar::Jar;
use crate::support::peer::skipped;

fn headers<'t>(access: &'t str, id_token: &'t str) -> [(&'static str, &'t str); 2] {
    [("OIDC_access_token", access), ("OIDC_id_token", id_token)]
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_signed_in_at_our_server_come_through_apache_to_a_service() {
    if let Some(missing) = apache::missing() {
        return skipped(&format!("our own tokens through Apache: {missing} here")).unwrap_or_default();
    }
    for ground in Ground::each().await {
        ground.house.pass(900);
        let body = json!({
            "identifier": "Shop", "kind": "provider", "redirect_uris": ["http://localhost/callback"],
            "resources": [TERMS], "scopes": ["openid", "profile", "email", "terms:read"],
        });
        let (id, secret) = ground.house.client(&body).await;
        let service = Service::behind_apache(ground.url(), TERMS, &id);
        let [port] = free_ports();
        let apache = Proxy::apache(port, service.port, ground.url(), (&id, &secret));
        ground.ada().await;
        let (mut ada, page) = (Jar::new(), format!("{}/", apache.site));
        let authorize = ada.get(&page).await.to();
        let authorize = apache::sign_in(&mut ada, &ground, &authorize).await;
        let back = say(&mut ada, authorize.as_str(), "accept").await;
        let home = ada.get(back.as_str()).await.to();
        let seen = ada.get(home.as_str()).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        assert_eq!(
            (seen.status, &told["name"]),
            (StatusCode::OK, &json!("ada@example.com")),
            "{}\n{}",
            seen.body,
            apache.log()
        );
        assert_eq!(told["sub"].as_str().map(str::len), Some(36), "{}", ground.name());

        let [access, id_token] = ["access_token", "id_token"].map(|name| told[name].as_str().unwrap());
        assert_eq!(as_proxy(&service.url(), &headers(access, id_token)).await, StatusCode::OK);
        assert_eq!(call(&service.url(), &headers(access, id_token)).await, StatusCode::UNAUTHORIZED);
        let good = ground.token(&ground.reader).await;
        for (what, bad) in ground.bad(&good).await {
            let answer = as_proxy(&service.url(), &headers(&bad, id_token)).await;
            assert_eq!(answer, StatusCode::UNAUTHORIZED, "{what}: {}", ground.name());
        }
        // A machine's token is good, and the person's ID token is not its own.
        assert_eq!(as_proxy(&service.url(), &[("OIDC_access_token", &good)]).await, StatusCode::OK);
        assert_eq!(as_proxy(&service.url(), &headers(&good, id_token)).await, StatusCode::UNAUTHORIZED);
        drop(apache);
        ground.stop().await;
    }
}
