use rstest::rstest;
use serde_json::{Value, json};

use super::brokers;
use crate::model::app::AppId;

#[actix_web::test]
async fn an_app_is_made_renamed_disabled_and_deleted_for_good() {
    for broker in brokers().await {
        let made = broker.post("/apps", json!({ "id": "acme", "name": " Acme Ltd " })).await;
        assert_eq!(
            (made.status, &made.body["name"], &made.body["state"]),
            (201, &json!("Acme Ltd"), &json!("active"))
        );
        let changed = broker.patch("/apps/acme", json!({ "name": "Acme", "state": "disabled" })).await;
        assert_eq!(changed.status, 200);
        let read = broker.get("/apps/acme").await;
        assert_eq!((read.status, &read.body), (200, &changed.body));
        assert_eq!((&read.body["name"], &read.body["state"]), (&json!("Acme"), &json!("disabled")));
        let key = broker.db.store().conn().app(&acme()).find_app_key().await.unwrap().unwrap();

        assert_eq!(broker.delete("/apps/acme").await.refusal(), (400, "invalid_request"));
        assert_eq!(broker.delete("/apps/acme?confirm=acm").await.pointer(), "confirm");
        assert_eq!(broker.delete("/apps/acme?confirm=acme").await.status, 204);
        assert_eq!(broker.get("/apps/acme").await.refusal(), (404, "app_not_found"));
        assert_eq!(broker.delete("/apps/acme?confirm=acme").await.refusal(), (404, "app_not_found"));
        let store = broker.db.store();
        assert!(store.conn().find_data_key(key.id).await.unwrap().is_none(), "the data key is destroyed");
        let again = broker.post("/apps", json!({ "id": "acme", "name": "Acme" })).await;
        assert_eq!(again.refusal(), (409, "already_exists"));
        assert_eq!(broker.get("/apps").await.body["items"], json!([]));
    }
}

#[actix_web::test]
async fn deleting_an_app_deletes_its_connections_and_nobody_elses() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        assert_eq!(broker.post("/apps", json!({ "id": "globex", "name": "Globex" })).await.status, 201);
        for app in ["acme", "globex"] {
            let path = format!("/apps/{app}/connections/custom/import");
            let body = json!({ "access_token": format!("at-{app}"), "refresh_token": format!("rt-{app}") });
            assert_eq!(broker.post(&path, body).await.status, 201);
        }
        let deleted = broker.delete("/apps/acme?confirm=acme").await;
        let not_revoked = json!([{ "connector": "custom", "flow": "default" }]);
        assert_eq!(
            (deleted.status, &deleted.body),
            (200, &json!({ "id": "acme", "not_revoked": not_revoked })),
            "nobody is known to the provider here"
        );
        let left = broker.get("/connections").await;
        let states: Vec<_> = left.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["app_id"].as_str().unwrap(), item["state"].as_str().unwrap()))
            .collect();
        assert_eq!(states, [("acme", "revoked"), ("globex", "active")]);
    }
}

#[actix_web::test]
async fn what_is_imported_while_its_app_is_deleted_is_deleted_with_it_or_refused() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        let import = async |n: usize| {
            let body = json!({
                "access_token": format!("at-{n}"), "refresh_token": format!("rt-{n}"), "flow": format!("f{n}"),
            });
            broker.post("/apps/acme/connections/custom/import", body).await.status
        };
        assert_eq!(import(0).await, 201);
        let imports = async { futures_util::future::join_all((1..20).map(import)).await };
        let (deleted, imported) = tokio::join!(broker.delete("/apps/acme?confirm=acme"), imports);
        assert_eq!(deleted.status, 200, "{}", deleted.body);
        let taken = 1 + imported.iter().filter(|status| **status == 201).count();
        assert_eq!(deleted.body["not_revoked"].as_array().unwrap().len(), taken, "{}", broker.db.name);
        assert_eq!(broker.db.count("connection WHERE state <> 'revoked'").await, 0, "{}", broker.db.name);
    }
}

#[actix_web::test]
async fn a_collection_is_read_in_parts() {
    for broker in brokers().await {
        for id in ["c", "a", "b"] {
            assert_eq!(broker.post("/apps", json!({ "id": id, "name": id })).await.status, 201);
        }
        let first = broker.get("/apps?limit=2").await;
        let ids = |body: &Value| -> Vec<String> {
            let items = body["items"].as_array().unwrap();
            items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&first.body), ["a", "b"]);
        let cursor = first.body["next_cursor"].as_str().unwrap();
        let rest = broker.get(&format!("/apps?limit=2&cursor={cursor}")).await;
        assert_eq!((ids(&rest.body), &rest.body["next_cursor"]), (vec!["c".to_owned()], &Value::Null));
    }
}

#[rstest]
#[case::unknown_field(json!({ "id": "acme", "name": "A", "colour": 1 }), "/colour")]
#[case::wrong_type(json!({ "id": 7, "name": "A" }), "/id")]
#[case::missing(json!({ "id": "acme" }), "/name")]
#[case::reserved(json!({ "id": "oauth", "name": "A" }), "/id")]
#[case::in_our_path(json!({ "id": "laputa", "name": "A" }), "/id")]
#[case::too_long(json!({ "id": "a".repeat(64), "name": "A" }), "/id")]
#[case::alphabet(json!({ "id": "Acme", "name": "A" }), "/id")]
#[case::blank_name(json!({ "id": "acme", "name": "  " }), "/name")]
#[case::long_name(json!({ "id": "acme", "name": "a".repeat(101) }), "/name")]
#[actix_web::test]
async fn a_bad_app_is_pointed_at(#[case] body: Value, #[case] pointer: &str) {
    for broker in brokers().await {
        let told = broker.post("/apps", body.clone()).await;
        assert_eq!((told.refusal(), told.pointer()), ((400, "invalid_request"), pointer));
        assert_eq!(broker.get("/apps").await.body["items"], json!([]));
    }
}

#[rstest]
#[case("/apps?limit=0", "limit")]
#[case("/apps?limit=201", "limit")]
#[case("/apps?limit=99999999999999999999", "limit")]
#[case("/apps?limit=1&limit=1", "limit")]
#[case("/apps?cursor=!", "cursor")]
#[case("/apps?cursor=AA", "cursor")]
#[case("/apps?color=1", "color")]
#[case("/connections?state=happy", "state")]
#[case("/connections?expires_before=yesterday", "expires_before")]
#[case("/connections?app_id=A_", "app_id")]
#[case("/connections?cursor=YWJj", "cursor")]
#[actix_web::test]
async fn a_bad_query_is_pointed_at(#[case] path: &str, #[case] pointer: &str) {
    for broker in brokers().await {
        let told = broker.get(path).await;
        assert_eq!((told.refusal(), told.pointer()), ((400, "invalid_request"), pointer), "{told:?}");
    }
}

#[actix_web::test]
async fn an_id_that_cannot_be_is_answered_as_one_that_is_not() {
    for broker in brokers().await {
        let absent = broker.get("/apps/absent").await;
        for path in [format!("/apps/{}", "a".repeat(64)), "/apps/admin".into(), "/apps/UPPER".into()] {
            assert_eq!(broker.get(&path).await.refusal(), absent.refusal(), "{path}");
        }
    }
}

fn acme() -> AppId {
    AppId::parse("acme").unwrap()
}
