use serde_json::{Value, json};

use super::{brokers, request};

const KEYS: [&str; 8] =
    ["activated_at", "activates_at", "algorithm", "created_at", "kid", "removed_at", "retired_at", "state"];

#[actix_web::test]
async fn a_rotation_is_begun_once_told_and_taken_back() {
    for broker in brokers().await {
        let idle = json!({ "state": "idle", "kid": null, "activates_at": null });
        assert_eq!(broker.get("/keys/signing/rotate").await.body, idle, "{}", broker.db.name);
        let listed = broker.get("/keys/signing").await;
        let active = &listed.body["items"][0];
        let members: Vec<&str> = active.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((&members[..], &listed.body["next_cursor"]), (&KEYS[..], &Value::Null));
        assert_eq!((&active["state"], &active["algorithm"]), (&json!("active"), &json!("ES256")));
        assert_eq!(
            (&active["activated_at"], &active["activates_at"], &active["removed_at"]),
            (&active["created_at"], &Value::Null, &Value::Null)
        );

        let begun = broker.call("POST", "/keys/signing/rotate", None).await;
        let again = broker.call("POST", "/keys/signing/rotate", None).await;
        assert_eq!((begun.status, again.status, &begun.body), (202, 200, &again.body));
        let (kid, at) = (&begun.body["kid"], &begun.body["activates_at"]);
        let pending = json!({ "state": "pending", "kid": kid, "activates_at": at });
        assert_eq!(broker.get("/keys/signing/rotate").await.body, pending);
        assert_eq!(broker.get("/keys/signing").await.body["items"], json!([active, begun.body]));
        let first = broker.get("/keys/signing?limit=1").await.body;
        assert_eq!(first["items"], json!([active]));
        let next = format!("/keys/signing?cursor={}", first["next_cursor"].as_str().unwrap());
        assert_eq!(broker.get(&next).await.body["items"], json!([begun.body]));

        let one = format!("/keys/signing/{}", kid.as_str().unwrap());
        assert_eq!(broker.delete(&one).await.status, 204);
        assert_eq!(broker.delete(&one).await.refusal(), (404, "not_found"));
        assert_eq!(broker.delete("/keys/signing/nonsense").await.refusal(), (404, "not_found"));
        assert_eq!(broker.get("/keys/signing/rotate").await.body, idle);
    }
}

#[actix_web::test]
async fn taking_out_the_key_that_signs_refuses_the_very_token_it_was_asked_with() {
    for broker in brokers().await {
        let kid = broker.get("/keys/signing").await.body["items"][0]["kid"].as_str().unwrap().to_owned();
        assert_eq!(broker.delete(&format!("/keys/signing/{kid}")).await.status, 204);
        assert_eq!(broker.get("/keys/signing").await.refusal(), (401, "invalid_token"), "{}", broker.db.name);
        let token = broker.authority.first_token().await;
        let ask = request("GET", "/keys/signing").insert_header(("Authorization", format!("Bearer {token}")));
        let listed = broker.send(ask).await;
        assert_eq!((listed.status, listed.body["items"].as_array().unwrap().len()), (200, 1));
        assert_ne!(listed.body["items"][0]["kid"], json!(kid));
    }
}

#[actix_web::test]
async fn who_writes_keys_writes_nothing_else() {
    for broker in brokers().await {
        let token = broker.token("rotation", "keys:write", None).await;
        let ask = async |method: &str, path: &str| {
            let bearer = ("Authorization", format!("Bearer {token}"));
            broker.send(request(method, path).insert_header(bearer)).await
        };
        assert_eq!(ask("POST", "/keys/signing/rotate").await.status, 202, "{}", broker.db.name);
        assert_eq!(ask("GET", "/keys/signing").await.status, 200);
        assert_eq!(ask("GET", "/clients").await.refusal(), (403, "forbidden"));
    }
}
