//! Does a job get a live token? From the admin's first call to the fiftieth caller of an expired one.

use std::sync::Arc;

use futures_util::future::join_all;
use jeton::model::time::ShiftedClock;
use serde_json::{Value, json};

use crate::support::app::{Broker, Home};
use crate::support::provider::{consent, sandbox};

#[tokio::test]
async fn fifty_callers_of_an_expired_token_cost_one_refresh() {
    for home in Home::each().await {
        let clock = Arc::new(ShiftedClock::default());
        let provider = sandbox(clock.clone());
        let base = provider.url().to_string();
        let keys = [("outbound.allow_loopback", "true"), ("connectors.sandbox.base_url", base.as_str())];
        let broker = Broker::start_at(&home, clock.clone(), &keys).await;
        let admin = broker.token_of(&broker.superadmin).await;
        let granted = consent(&provider, "sandbox-standard").await;

        let app = json!({"id": "acme", "name": "Acme"});
        let answer = broker.http.post(broker.at("/admin/v1/apps")).bearer_auth(&admin).json(&app);
        assert_eq!(answer.send().await.unwrap().status(), 201, "{}", home.name);
        let credentials = json!({"client_id": "sandbox-standard", "client_secret": "sandbox-secret"});
        let route = broker.at("/admin/v1/connectors/sandbox/credentials");
        let answer = broker.http.put(route).bearer_auth(&admin).json(&credentials).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let import = json!({
            "access_token": granted["access_token"],
            "refresh_token": granted["refresh_token"],
            "expires_in": granted["expires_in"],
        });
        let route = broker.at("/admin/v1/apps/acme/connections/sandbox/import");
        let answer = broker.http.post(route).bearer_auth(&admin).json(&import).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());

        let first = ask(&broker, &admin).await;
        assert_eq!((&first["access_token"], &first["generation"]), (&granted["access_token"], &json!(1)));

        clock.advance(time::Duration::hours(2));
        let admin = broker.token_of(&broker.superadmin).await;
        let answers = join_all((0..50).map(|_| ask(&broker, &admin))).await;
        let fresh = &answers[0]["access_token"];
        assert_ne!(fresh, &granted["access_token"], "{}", home.name);
        assert!(answers.iter().all(|answer| &answer["access_token"] == fresh && answer["generation"] == 2));
        let spent: usize =
            provider.handle().ledger().refresh_tokens.iter().map(|token| token.presented).sum();
        assert_eq!(spent, 1, "{}", home.name);

        let anybody = broker.http.get(broker.at("/acme/sandbox/binb-token")).send().await.unwrap();
        assert_eq!(anybody.status(), 401);
        broker.stop().await;
        provider.stop().await;
    }
}

async fn ask(broker: &Broker, bearer: &str) -> Value {
    let request = broker.http.get(broker.at("/acme/sandbox/binb-token")).bearer_auth(bearer);
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["cache-control"].to_str().unwrap()),
        (200, "no-store")
    );
    answer.json().await.unwrap()
}
