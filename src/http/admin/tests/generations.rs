use serde_json::{Value, json};

use super::{Broker, brokers};
use crate::issuer::testing::URL;

const CONNECTION: &str = "/apps/acme/connections/custom";

/// Three token sets of one connection, the last one without a refresh token.
async fn imported_thrice() -> Vec<Broker> {
    let brokers = brokers().await;
    for broker in &brokers {
        broker.with_acme().await;
        broker.with_custom().await;
        for (at, refresh) in [(1, json!("rt-canary-1")), (2, json!("rt-canary-2")), (3, Value::Null)] {
            let mut body =
                json!({ "access_token": format!("at-canary-{at}"), "expires_in": 3600, "replace": true });
            if !refresh.is_null() {
                body["refresh_token"] = refresh;
            }
            let told = broker.post(&format!("{CONNECTION}/import"), body).await;
            assert_eq!((told.status, &told.body["generation"]), (201, &json!(at)), "{told:?}");
        }
    }
    brokers
}

/// Generation, and whether it is current, spent, restorable.
fn marks(item: &Value) -> (i64, bool, bool, bool) {
    let is = |key: &str| item[key].as_bool().unwrap();
    (item["generation"].as_i64().unwrap(), is("current"), is("spent"), is("restorable"))
}

#[actix_web::test]
async fn kept_generations_are_listed_in_parts_and_restored() {
    for broker in imported_thrice().await {
        let told = broker.get(&format!("{CONNECTION}/generations")).await;
        assert_eq!((told.status, &told.body["next_cursor"]), (200, &Value::Null), "{told:?}");
        assert!(!told.body.to_string().contains("canary"), "{told:?}");
        let items = told.body["items"].as_array().unwrap();
        let all: Vec<_> = items.iter().map(marks).collect();
        assert_eq!(all, [(3, true, false, false), (2, false, false, true), (1, false, false, true)]);
        let keys: Vec<_> = items[0].as_object().unwrap().keys().cloned().collect();
        let expected = [
            "account",
            "connected_by",
            "created_at",
            "current",
            "expires_at",
            "generation",
            "restorable",
            "spent",
            "superseded_at",
        ];
        assert_eq!(keys, expected);

        let first = broker.get(&format!("{CONNECTION}/generations?limit=2")).await;
        let cursor = first.body["next_cursor"].as_str().unwrap();
        let rest = broker.get(&format!("{CONNECTION}/generations?cursor={cursor}")).await;
        assert_eq!((first.body["items"].as_array().unwrap().len(), &rest.body["items"][0]), (2, &items[2]));

        let restored = broker.post(&format!("{CONNECTION}/generations/1/restore"), json!({})).await;
        assert_eq!((restored.status, &restored.body["generation"]), (200, &json!(4)), "{restored:?}");
        assert_eq!(broker.get(CONNECTION).await.body, restored.body);
        let again = broker.post(&format!("{CONNECTION}/generations/1/restore"), json!({})).await;
        assert_eq!(again.refusal(), (409, "already_spent"));
    }
}

#[actix_web::test]
async fn what_cannot_be_restored_or_refreshed_is_said_plainly() {
    for broker in imported_thrice().await {
        for generation in ["0", "9", "-1", "one", "99999999999999999999"] {
            let path = format!("{CONNECTION}/generations/{generation}/restore");
            assert_eq!(broker.post(&path, json!({})).await.refusal(), (404, "not_found"), "{generation}");
        }
        let flow = broker.post(&format!("{CONNECTION}/generations/1/restore?flow=b"), json!({})).await;
        assert_eq!(flow.refusal(), (404, "connection_not_found"));
        assert_eq!(flow.body["signup_url"], format!("{URL}/acme/custom/signup?flow=b"));
        let cursor = broker.get(&format!("{CONNECTION}/generations?cursor=YQ")).await;
        assert_eq!((cursor.refusal(), cursor.pointer()), ((400, "invalid_request"), "cursor"));

        let refresh = format!("{CONNECTION}/refresh");
        let other = broker.post(&refresh, json!({ "generation": 2 })).await;
        assert_eq!(
            (other.status, &other.body["generation"]),
            (200, &json!(3)),
            "nothing is called: {other:?}"
        );
        let current = broker.post(&refresh, json!({ "generation": 3 })).await;
        assert_eq!(current.refusal(), (400, "invalid_request"), "it has no refresh token: {current:?}");
        let none = broker.post(&refresh, json!({})).await;
        assert_eq!(none.refusal(), (400, "invalid_request"));

        assert_eq!(broker.delete(CONNECTION).await.status, 200);
        for told in [
            broker.get(&format!("{CONNECTION}/generations")).await,
            broker.post(&format!("{CONNECTION}/generations/1/restore"), json!({})).await,
            broker.post(&refresh, json!({ "generation": 3 })).await,
        ] {
            assert_eq!(told.refusal(), (404, "connection_not_found"), "{told:?}");
        }
    }
}

#[actix_web::test]
async fn undo_and_refresh_need_the_right_to_write() {
    for broker in imported_thrice().await {
        let reader = broker.token("reader", "connections:read", None).await;
        let ask = async |method: &str, path: &str| {
            let request = super::request(method, &format!("{CONNECTION}/{path}"))
                .insert_header(("Authorization", format!("Bearer {reader}")))
                .set_json(json!({ "generation": 2 }));
            broker.send(request).await
        };
        assert_eq!(ask("GET", "generations").await.status, 200);
        assert_eq!(ask("POST", "generations/1/restore").await.refusal(), (403, "forbidden"));
        assert_eq!(ask("POST", "refresh").await.refusal(), (403, "forbidden"));
        assert_eq!(broker.get(CONNECTION).await.body["generation"], 3);
    }
}
