//! Names that a request brings: the issuer is what the configuration says, also behind a proxy that is trusted. A6.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{World, claims, devices, ok, text};
use crate::support::app::Home;
use crate::support::house::House;
use crate::support::jar::Jar;

const SPOOFED: [(&str, &str); 6] = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "8443"),
    ("x-forwarded-prefix", "/evil"),
    ("forwarded", "for=10.0.0.1;host=evil.example;proto=https"),
];

fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn no_header_of_a_trusted_proxy_changes_where_we_say_we_are() {
    for home in Home::each().await {
        let world = World::of(House::on(home, &[("proxy.trusted", "127.0.0.1/32")]).await).await;
        let broker = world.broker();
        let script = devices::script(&world, &json!({})).await;
        let ways = SPOOFED.iter().map(std::slice::from_ref).chain([&SPOOFED[..], &SPOOFED[1..]]);
        for headers in ways {
            for document in ["oauth-authorization-server", "openid-configuration"] {
                let url = broker.at(&format!("/.well-known/{document}"));
                let plain: Value = ok(broker.http.get(&url).send().await.unwrap()).await;
                let spoofed = ok(with(broker.http.get(&url), headers).send().await.unwrap()).await;
                assert_eq!((&spoofed, &spoofed["issuer"]), (&plain, &json!(broker.url)), "{headers:?}");
            }
            let (id, secret) = &broker.superadmin;
            let request = broker.http.post(broker.at("/o/token/")).basic_auth(id, Some(secret));
            let request = with(request.form(&[("grant_type", "client_credentials")]), headers);
            let said = claims(&ok(request.send().await.unwrap()).await["access_token"]);
            assert_eq!((&said["iss"], &said["aud"]), (&json!(broker.url), &json!(broker.url)), "{headers:?}");
            let url = broker.at("/o/device_authorization/");
            let request = with(broker.http.post(&url).form(&[("client_id", &script.0)]), headers);
            let device = ok(request.send().await.unwrap()).await;
            for name in ["verification_uri", "verification_uri_complete"] {
                assert!(text(&device[name]).starts_with(&broker.at("/o/device/")), "{headers:?}: {device}");
            }
            let at_login = Jar::new().get_with(&world.request(&[]), headers).await;
            let refused = Jar::new().get_with(&world.request(&[("prompt", "none")]), headers).await;
            if headers.iter().any(|(name, _)| *name == "host") {
                // Pages are served under our own name alone.
                for seen in [at_login, refused] {
                    assert!(
                        seen.status.is_client_error() && seen.location.is_none(),
                        "{headers:?}: {}",
                        seen.status
                    );
                }
                continue;
            }
            // Whoever must sign in first stays with us, and the web application is told our own name.
            let stays = at_login.status == 200 && at_login.location.is_none();
            assert!(stays && !at_login.body.contains("evil"), "{headers:?}: {}", at_login.body);
            let (refused, iss) = (refused.to(), super::parameter(&refused.to(), "iss"));
            assert_eq!(
                (iss.as_str(), refused.host_str()),
                (broker.url.as_str(), Some("shop.example")),
                "{headers:?}"
            );
        }
        world.stop().await;
    }
}
