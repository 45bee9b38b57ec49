use rstest::rstest;
use serde_json::{Value, json};

use super::{Broker, brokers, definition};
use crate::issuer::testing::URL;

const IMPORT: &str = "/apps/acme/connections/custom/import";
const CONNECTION: &str = "/apps/acme/connections/custom";

async fn prepared() -> Vec<Broker> {
    let brokers = brokers().await;
    for broker in &brokers {
        broker.with_acme().await;
        broker.with_custom().await;
    }
    brokers
}

#[actix_web::test]
async fn a_token_set_is_imported_shared_and_deleted() {
    for broker in prepared().await {
        let body = json!({
            "access_token": "at-canary", "refresh_token": "rt-canary", "expires_in": 3600, "scope": "read",
            "extra": { "instance_url": "https://x.example.com" }
        });
        let made = broker.post(IMPORT, body.clone()).await;
        assert_eq!(
            (made.status, &made.body["generation"], &made.body["flow"]),
            (201, &json!(1), &json!("default"))
        );
        assert!(!made.body.to_string().contains("canary"), "{made:?}");
        let told = broker.get(CONNECTION).await;
        assert_eq!((told.status, &told.body), (200, &made.body));
        assert_eq!(broker.get("/apps/acme/connections/CUSTOM").await.body, told.body);
        let keys: Vec<_> = told.body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            keys,
            [
                "account",
                "app_id",
                "connected_by",
                "connector",
                "expires_at",
                "flow",
                "generation",
                "last_error",
                "last_refresh_at",
                "reason",
                "shared",
                "since",
                "state"
            ]
        );

        assert_eq!(broker.post(IMPORT, body).await.status, 201, "the very same again changes nothing");
        let other = json!({ "access_token": "at-2", "refresh_token": "rt-2" });
        assert_eq!(broker.post(IMPORT, other).await.refusal(), (409, "already_exists"));
        let shared = broker.patch(CONNECTION, json!({ "shared": true })).await;
        assert_eq!((shared.status, &shared.body["shared"]), (200, &json!(true)));
        let deleted = broker.delete(CONNECTION).await;
        assert_eq!((deleted.status, &deleted.body["flow"]), (200, &json!("default")));
        assert!(["skipped", "failed", "unsupported"].contains(&deleted.body["revocation"].as_str().unwrap()));
        assert_eq!(broker.get(CONNECTION).await.body["state"], "revoked");
    }
}

#[actix_web::test]
async fn a_refresh_token_has_one_owner() {
    for broker in prepared().await {
        let body = json!({ "access_token": "at", "refresh_token": "rt" });
        assert_eq!(broker.post(IMPORT, body.clone()).await.status, 201);
        let mut second = body;
        second["flow"] = json!("second");
        assert_eq!(broker.post(IMPORT, second).await.refusal(), (409, "duplicate_grant"));
    }
}

#[rstest]
#[case::no_token(json!({}), "/access_token")]
#[case::empty_token(json!({ "access_token": "" }), "/access_token")]
#[case::line_end(json!({ "access_token": "a\nb" }), "/access_token")]
#[case::no_ascii(json!({ "access_token": "a", "refresh_token": "é" }), "/refresh_token")]
#[case::both(json!({ "access_token": "a", "expires_in": 60, "expires_at": "2026-11-25T00:00:00Z" }), "/expires_at")]
#[case::zero(json!({ "access_token": "a", "expires_in": 0 }), "/expires_in")]
#[case::negative(json!({ "access_token": "a", "expires_in": -5 }), "/expires_in")]
#[case::absurd(json!({ "access_token": "a", "expires_in": 99_999_999_999_i64 }), "/expires_in")]
#[case::long_ago(json!({ "access_token": "a", "expires_at": "1999-12-31T23:59:59Z" }), "/expires_at")]
#[case::before_all(json!({ "access_token": "a", "expires_at": "0000-01-01T00:00:00+23:59" }), "/expires_at")]
#[case::far(json!({ "access_token": "a", "expires_at": "9999-12-31T23:59:59Z" }), "/expires_at")]
#[case::no_time(json!({ "access_token": "a", "expires_at": "tomorrow" }), "/expires_at")]
#[case::flow(json!({ "access_token": "a", "flow": "a/b" }), "/flow")]
#[case::token_field(json!({ "access_token": "a", "extra": { "refresh_token": "x" } }), "/extra/refresh_token")]
#[case::unknown_extra(json!({ "access_token": "a", "extra": { "colour": "x" } }), "/extra/colour")]
#[case::unknown(json!({ "access_token": "a", "account": "x" }), "/account")]
#[actix_web::test]
async fn a_bad_import_is_pointed_at_and_stores_nothing(#[case] body: Value, #[case] pointer: &str) {
    for broker in prepared().await {
        let told = broker.post(IMPORT, body.clone()).await;
        assert_eq!((told.refusal(), told.pointer()), ((400, "invalid_request"), pointer), "{told:?}");
        assert_eq!(broker.get("/apps/acme/connections").await.body["items"], json!([]));
    }
}

#[actix_web::test]
async fn lists_are_filtered_and_read_in_parts() {
    for broker in prepared().await {
        for flow in ["one", "two", "three"] {
            let body = json!({ "access_token": flow, "flow": flow, "expires_in": 60 });
            assert_eq!(broker.post(IMPORT, body).await.status, 201);
        }
        assert_eq!(broker.get(CONNECTION).await.refusal(), (409, "ambiguous_connection"));
        assert_eq!(broker.get(&format!("{CONNECTION}?flow=two")).await.body["flow"], "two");
        assert_eq!(broker.delete(&format!("{CONNECTION}?flow=two")).await.status, 200);
        let first = broker.get("/apps/acme/connections?limit=1").await;
        assert_eq!(first.body["items"][0]["flow"], "one");
        let cursor = first.body["next_cursor"].as_str().unwrap();
        let rest = broker.get(&format!("/apps/acme/connections?cursor={cursor}")).await;
        assert_eq!(
            (rest.body["items"].as_array().unwrap().len(), &rest.body["next_cursor"]),
            (2, &Value::Null)
        );
        let flows = async |query: &str| -> Vec<String> {
            let told = broker.get(&format!("/connections?{query}")).await;
            let items = told.body["items"].as_array().unwrap().clone();
            items.iter().map(|item| item["flow"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(flows("state=revoked").await, ["two"]);
        assert_eq!(flows("state=active&connector=custom&app_id=acme").await, ["one", "three"]);
        assert!(flows("connector=github").await.is_empty());
        assert!(flows("expires_before=2020-01-01T00:00:00Z").await.is_empty());
    }
}

#[actix_web::test]
async fn a_list_is_filtered_by_the_state_that_is_shown() {
    for broker in prepared().await {
        let mut unrefreshed = definition("plain", "https://login.example.com/token");
        unrefreshed["refresh"] = json!({ "supported": false });
        assert_eq!(broker.post("/connectors", unrefreshed).await.status, 201);
        let import = async |connector: &str, flow: &str, body: Value| {
            let mut body = body;
            (body["access_token"], body["flow"]) = (json!(flow), json!(flow));
            let told = broker.post(&format!("/apps/acme/connections/{connector}/import"), body).await;
            assert_eq!(told.status, 201, "{told:?}");
        };
        import("custom", "refreshed", json!({ "refresh_token": "rt-1", "expires_in": 60 })).await;
        import("custom", "over", json!({ "expires_in": 60 })).await;
        import("custom", "lasting", json!({ "expires_in": 6000 })).await;
        import("custom", "endless", json!({})).await;
        import("plain", "unrefreshed", json!({ "refresh_token": "rt-2", "expires_in": 60 })).await;
        broker.db.clock.advance(time::Duration::seconds(61));
        for (state, flows) in [
            ("active", vec!["refreshed", "lasting", "endless"]),
            ("reauthorization_required", vec!["over", "unrefreshed"]),
            ("misconfigured", vec![]),
            ("revoked", vec![]),
        ] {
            let mut found = Vec::new();
            let mut path = format!("/connections?state={state}&limit=1");
            loop {
                let told = broker.get(&path).await;
                let Some(item) = told.body["items"].get(0) else { break };
                let (connector, flow) = (item["connector"].as_str().unwrap(), item["flow"].as_str().unwrap());
                let one = broker.get(&format!("/apps/acme/connections/{connector}?flow={flow}")).await;
                assert_eq!((&item["state"], item), (&json!(state), &one.body), "{}", broker.db.name);
                found.push(flow.to_owned());
                let Some(cursor) = told.body["next_cursor"].as_str() else { break };
                path = format!("/connections?state={state}&limit=1&cursor={cursor}");
            }
            assert_eq!(found, flows, "{state} on {}", broker.db.name);
        }
    }
}

#[actix_web::test]
async fn who_must_connect_is_told_where() {
    for broker in prepared().await {
        for (query, at) in [("", ""), ("?flow=default", ""), ("?flow=two", "?flow=two")] {
            let path = format!("/apps/acme/connections/CUSTOM{query}");
            let share = json!({ "shared": true });
            let told =
                [broker.get(&path).await, broker.patch(&path, share).await, broker.delete(&path).await];
            for told in told {
                assert_eq!(told.refusal(), (404, "connection_not_found"));
                assert_eq!(told.body["action"], "reauthorize");
                assert_eq!(told.body["signup_url"], format!("{URL}/acme/custom/signup{at}"));
            }
        }
        let elsewhere = broker.get("/apps/acme/connections/absent").await;
        assert!(elsewhere.body.get("signup_url").is_none(), "{elsewhere:?}");
    }
}

#[actix_web::test]
async fn what_is_not_there_is_said_plainly() {
    for broker in prepared().await {
        assert_eq!(broker.get(CONNECTION).await.refusal(), (404, "connection_not_found"));
        assert_eq!(broker.get("/apps/absent/connections").await.refusal(), (404, "app_not_found"));
        assert_eq!(broker.get("/apps/absent/connections/custom").await.refusal(), (404, "app_not_found"));
        assert_eq!(broker.get("/apps/acme/connections/absent").await.refusal(), (404, "connector_not_found"));
        let import = json!({ "access_token": "a" });
        let told = broker.post("/apps/acme/connections/absent/import", import.clone()).await;
        assert_eq!(told.refusal(), (404, "connector_not_found"));
        let told = broker.post("/apps/absent/connections/custom/import", import).await;
        assert_eq!(told.refusal(), (404, "app_not_found"));
    }
}
