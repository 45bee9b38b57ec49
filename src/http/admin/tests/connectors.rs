use rstest::rstest;
use serde_json::{Value, json};

use super::{Broker, brokers, definition, request};
use crate::model::connector::ConnectorId;
use crate::vault::Place;

const CREDENTIALS: &str = "/connectors/custom/credentials";

#[actix_web::test]
async fn a_definition_is_kept_read_replaced_and_deleted() {
    for broker in brokers().await {
        broker.with_custom().await;
        let read = broker.get("/connectors/CUSTOM").await;
        assert_eq!((read.status, &read.body["token_auth"]), (200, &json!("post")));
        let mut changed = read.body.clone();
        changed["display_name"] = json!("Renamed");
        let put = broker.put("/connectors/custom", changed.clone()).await;
        assert_eq!((put.status, &put.body), (200, &changed));
        let listed = broker.get("/connectors?limit=200").await;
        let find =
            |id: &str| listed.body["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned();
        assert_eq!(find("custom").unwrap()["display_name"], "Renamed");
        assert!(find("github").is_some());
        assert_eq!(broker.delete("/connectors/custom").await.status, 204);
        assert_eq!(broker.get("/connectors/custom").await.refusal(), (404, "connector_not_found"));
        let again = broker.post("/connectors", definition("custom", "https://login.example.com/token")).await;
        assert_eq!(again.refusal(), (409, "already_exists"));
    }
}

#[rstest]
#[case::catalog_id(json!({ "id": "GitHub" }), (409, "already_exists"), "none")]
#[case::catalog_name_as_alias(json!({ "aliases": ["aircall"] }), (409, "already_exists"), "none")]
#[case::taken_alias(json!({ "aliases": ["Custom"] }), (409, "already_exists"), "none")]
#[case::plain_http(json!({ "token_url": "http://login.example.com/t" }), (400, "invalid_request"), "/token_url")]
#[case::private_host(json!({ "token_url": "https://10.0.0.1/t" }), (400, "invalid_request"), "/token_url")]
#[case::protocol_parameter(json!({ "token_params": { "redirect_uri": "x" } }), (400, "invalid_request"), "/token_params/redirect_uri")]
#[case::token_field(json!({ "extra_fields": ["refresh_token"] }), (400, "invalid_request"), "/extra_fields/0")]
#[case::unknown(json!({ "colour": "red" }), (400, "invalid_request"), "/colour")]
#[case::long_id(json!({ "id": "a".repeat(41) }), (400, "invalid_request"), "/id")]
#[actix_web::test]
async fn a_bad_definition_is_refused(
    #[case] change: Value,
    #[case] refusal: (u16, &str),
    #[case] pointer: &str,
) {
    for broker in brokers().await {
        broker.with_custom().await;
        let mut body = definition("other", "https://login.example.com/token");
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        let told = broker.post("/connectors", body).await;
        assert_eq!((told.refusal(), told.pointer()), (refusal, pointer), "{told:?}");
    }
}

#[actix_web::test]
async fn the_catalog_stays_as_it_is() {
    for broker in brokers().await {
        let github = broker.get("/connectors/github").await.body;
        assert_eq!(broker.put("/connectors/github", github).await.refusal(), (409, "already_exists"));
        assert_eq!(broker.delete("/connectors/github").await.refusal(), (409, "already_exists"));
        let other = definition("custom", "https://login.example.com/token");
        assert_eq!(broker.put("/connectors/absent", other).await.pointer(), "/id");
    }
}

#[actix_web::test]
async fn a_moved_connector_loses_its_credentials_and_parks_its_connections_until_it_is_confirmed() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        put(&broker, CREDENTIALS, "cid", "first-secret").await;
        let import = json!({ "access_token": "at-1", "refresh_token": "rt-canary", "expires_in": 60 });
        assert_eq!(broker.post("/apps/acme/connections/custom/import", import).await.status, 201);
        assert_eq!(broker.delete("/connectors/custom").await.refusal(), (400, "invalid_request"));

        let moved = definition("custom", "https://other.example.net/token");
        assert_eq!(broker.put("/connectors/custom", moved.clone()).await.status, 200);
        assert_eq!(broker.get(CREDENTIALS).await.refusal(), (404, "not_found"));
        let parked = broker.get("/apps/acme/connections/custom").await;
        assert_eq!(
            (&parked.body["state"], &parked.body["last_error"]["code"]),
            (&json!("misconfigured"), &json!("origin_changed"))
        );

        put(&broker, CREDENTIALS, "cid", "second-secret").await;
        assert_eq!(broker.get("/apps/acme/connections/custom").await.body["state"], "misconfigured");
        let wrong =
            broker.put("/connectors/custom?confirm_origin=https://login.example.com", moved.clone()).await;
        assert_eq!((wrong.refusal(), wrong.pointer()), ((400, "invalid_request"), "confirm_origin"));
        let confirmed =
            broker.put("/connectors/custom?confirm_origin=https://other.example.net", moved).await;
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        let live = broker.get("/apps/acme/connections/custom").await;
        assert_eq!((&live.body["state"], &live.body["last_error"]), (&json!("active"), &Value::Null));
        assert_eq!(refresh_token_at(&broker, "https://other.example.net").await, "rt-canary");
    }
}

#[actix_web::test]
async fn another_host_for_any_endpoint_parks_until_it_is_confirmed() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        put(&broker, CREDENTIALS, "cid", "first-secret").await;
        let import = json!({ "access_token": "at-1", "expires_in": 60 });
        assert_eq!(broker.post("/apps/acme/connections/custom/import", import).await.status, 201);
        let mut moved = definition("custom", "https://login.example.com/token");
        moved["probe_url"] = json!("https://evil.example.net/ping");
        assert_eq!(broker.put("/connectors/custom", moved.clone()).await.status, 200);
        assert_eq!(broker.get(CREDENTIALS).await.refusal(), (404, "not_found"));
        assert_eq!(broker.get("/apps/acme/connections/custom").await.body["state"], "misconfigured");
        let confirm = "/connectors/custom?confirm_origin=https://evil.example.net";
        assert_eq!(broker.put(confirm, moved).await.status, 200);
        assert_eq!(broker.get("/apps/acme/connections/custom").await.body["state"], "active");
    }
}

/// The refresh token of the connector `custom`, opened for an origin.
#[expect(clippy::disallowed_methods, reason = "the test looks at the plaintext")]
async fn refresh_token_at(broker: &Broker, origin: &str) -> String {
    let connector = ConnectorId::parse("custom").unwrap();
    let store = broker.db.store();
    let bound = store.conn().list_tokens_bound_elsewhere(&connector, "nowhere").await.unwrap().remove(0);
    assert_eq!(bound.origin, origin);
    let key = store.conn().app(&bound.app).find_app_key().await.unwrap().unwrap();
    let place = Place {
        token_set: Some(bound.id),
        origin: Some(origin),
        ..Place::of("token_set", "sealed_refresh", bound.connection).in_app(&bound.app, &connector)
    };
    broker.db.vault().open(&key, &place, &bound.sealed).unwrap().expose_secret().to_owned()
}

#[actix_web::test]
async fn credentials_are_stored_changed_and_removed_and_never_told() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        let absent = broker.get(CREDENTIALS).await;
        let redirect = "https://broker.example/laputa/connect/custom/callback";
        assert_eq!((absent.refusal(), &absent.body["redirect_uri"]), ((404, "not_found"), &json!(redirect)));

        let stored = put(&broker, CREDENTIALS, "cid", "canary-1").await;
        assert_eq!(
            (&stored["redirect_uri"], &stored["install_uri"], &stored["app_id"]),
            (&json!(redirect), &Value::Null, &Value::Null)
        );
        let kept = put(&broker, &format!("{CREDENTIALS}?keep_previous=true"), "cid", "canary-2").await;
        assert_eq!((&kept["has_secret"], &kept["has_previous_secret"]), (&json!(true), &json!(true)));
        let dropped = put(&broker, CREDENTIALS, "cid", "canary-3").await;
        assert_eq!(dropped["has_previous_secret"], false);

        let own = "/apps/acme/connectors/custom/credentials";
        assert_eq!(broker.get(own).await.status, 404, "the instance's are not the app's");
        let of_app = put(&broker, own, "cid", "canary-4").await;
        assert_eq!(
            (&of_app["redirect_uri"], &of_app["app_id"]),
            (&json!(format!("{redirect}/acme")), &json!("acme"))
        );
        assert_eq!(broker.delete(own).await.status, 204);
        assert_eq!(broker.delete(own).await.refusal(), (404, "not_found"));
        assert_eq!(broker.get(CREDENTIALS).await.status, 200);
    }
}

#[actix_web::test]
async fn another_client_id_gets_a_row_of_its_own_and_the_same_one_its_row_again() {
    for broker in brokers().await {
        broker.with_custom().await;
        let custom = ConnectorId::parse("custom").unwrap();
        let (store, row) = (broker.db.store(), async || {
            let conn = broker.db.store();
            conn.conn().find_own_credentials(None, &custom).await.unwrap().map(|row| row.id)
        });
        put(&broker, CREDENTIALS, "one", "s1").await;
        let one = row().await.unwrap();
        put(&broker, CREDENTIALS, "two", "s2").await;
        assert_ne!(row().await, Some(one));
        let replaced = store.conn().find_credentials(one).await.unwrap().unwrap();
        assert!(!replaced.current && replaced.sealed_secret.is_some(), "it still refreshes");
        assert_eq!(broker.delete(CREDENTIALS).await.status, 204);
        assert!(store.conn().find_credentials(one).await.unwrap().is_none(), "removed with the current one");
        put(&broker, CREDENTIALS, "one", "s3").await;
        assert_eq!(row().await, Some(one), "connections made with it go on");
    }
}

#[actix_web::test]
async fn if_match_guards_credentials() {
    for broker in brokers().await {
        broker.with_custom().await;
        let put = |tag: &str, secret: &str| {
            request("PUT", CREDENTIALS)
                .insert_header(("Authorization", broker.bearer()))
                .insert_header(("If-Match", tag))
                .set_json(json!({ "client_id": "cid", "client_secret": secret }))
        };
        assert_eq!(broker.send(put("\"1\"", "s")).await.refusal(), (412, "precondition_failed"));
        let first = broker.send(put("*", "s1")).await;
        let tag = first.etag.unwrap();
        assert_eq!(broker.get(CREDENTIALS).await.etag.as_ref(), Some(&tag));
        assert_eq!(broker.send(put(&tag, "s2")).await.status, 200);
        assert_eq!(broker.send(put(&tag, "s3")).await.refusal(), (412, "precondition_failed"));
        let stale = request("DELETE", CREDENTIALS)
            .insert_header(("Authorization", broker.bearer()))
            .insert_header(("If-Match", tag));
        assert_eq!(broker.send(stale).await.refusal(), (412, "precondition_failed"));
    }
}

#[rstest]
#[case::removed("DELETE", None)]
#[case::replaced("PUT", Some(json!({ "client_id": "another", "client_secret": "s" })))]
#[actix_web::test]
async fn if_match_holds_until_the_write(#[case] method: &str, #[case] body: Option<Value>) {
    for broker in brokers().await {
        broker.with_custom().await;
        put(&broker, CREDENTIALS, "cid", "s1").await;
        let tag = broker.get(CREDENTIALS).await.etag.unwrap();
        let custom = ConnectorId::parse("custom").unwrap();
        let store = broker.db.store();
        let mut newer = store.conn().find_own_credentials(None, &custom).await.unwrap().unwrap();
        let seen = newer.version;
        newer.version += 1;
        let tx = store.begin().await.unwrap();
        assert!(tx.conn().replace_credentials(&newer, seen).await.unwrap());
        let request = request(method, CREDENTIALS)
            .insert_header(("Authorization", broker.bearer()))
            .insert_header(("If-Match", tag));
        let request = match &body {
            Some(body) => request.set_json(body),
            None => request,
        };
        // Where readers see what was before, the other one commits between the look and the write.
        let commit = async {
            while broker.db.name == "postgres" && broker.db.count(WAITING).await == 0 {
                tokio::task::yield_now().await;
            }
            tx.commit().await.unwrap();
        };
        let (told, ()) = tokio::join!(broker.send(request), commit);
        assert_eq!(told.refusal(), (412, "precondition_failed"), "{}", broker.db.name);
        let left = store.conn().find_own_credentials(None, &custom).await.unwrap().unwrap();
        assert_eq!((left.client_id.as_str(), left.version), ("cid", seen + 1), "{}", broker.db.name);
    }
}

/// Sessions of the test's PostgreSQL database that wait for a row.
const WAITING: &str = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[rstest]
#[case::no_secret(json!({ "client_id": "c" }), "/client_secret")]
#[case::empty_secret(json!({ "client_id": "c", "client_secret": "" }), "/client_secret")]
#[case::line_end(json!({ "client_id": "c", "client_secret": "a\r\nb" }), "/client_secret")]
#[case::empty_id(json!({ "client_id": "", "client_secret": "s" }), "/client_id")]
#[case::scope(json!({ "client_id": "c", "client_secret": "s", "scopes": ["a b"] }), "/scopes")]
#[case::variable(json!({ "client_id": "c", "client_secret": "s", "params": { "host": "x" } }), "/params/host")]
#[case::unknown(json!({ "client_id": "c", "client_secret": "s", "secret": "s" }), "/secret")]
#[actix_web::test]
async fn bad_credentials_are_pointed_at(#[case] body: Value, #[case] pointer: &str) {
    for broker in brokers().await {
        broker.with_custom().await;
        let told = broker.put(CREDENTIALS, body.clone()).await;
        assert_eq!((told.refusal(), told.pointer()), ((400, "invalid_request"), pointer), "{told:?}");
    }
}

#[actix_web::test]
async fn a_variable_host_takes_credentials_of_an_app_only() {
    for broker in brokers().await {
        broker.with_acme().await;
        let mut body = definition("anywhere", "https://{host}/token");
        body["url_variables"] = json!({ "host": "^[a-z.]+$" });
        assert_eq!(broker.post("/connectors", body).await.status, 201);
        let secret = json!({ "client_id": "c", "client_secret": "s" });
        let refused = broker.put("/connectors/anywhere/credentials", secret.clone()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request"));
        assert_eq!(broker.put("/apps/acme/connectors/anywhere/credentials", secret).await.status, 200);
    }
}

/// Stores credentials; the answer must not tell the secret.
async fn put(broker: &Broker, path: &str, client_id: &str, secret: &str) -> Value {
    let told = broker.put(path, json!({ "client_id": client_id, "client_secret": secret })).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert!(!told.body.to_string().contains(secret), "{told:?}");
    told.body
}
