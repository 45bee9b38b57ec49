use rstest::rstest;
use serde_json::{Value, json};

use super::{brokers, request};

#[actix_web::test]
async fn a_person_is_made_changed_joined_to_an_app_and_deleted() {
    for broker in brokers().await {
        broker.with_acme().await;
        let made = broker.post("/users", json!({ "email": "Ada@Example.com", "display_name": "Ada" })).await;
        assert_eq!((made.status, &made.body["email"]), (201, &json!("ada@example.com")), "{made:?}");
        assert!(
            made.body["url"].as_str().unwrap().starts_with("https://broker.example/laputa/account/password/")
        );
        let id = made.body["id"].as_str().unwrap();
        let user = format!("/users/{id}");
        let changed = broker.patch(&user, json!({ "role": "superadmin", "display_name": "Ada L." })).await;
        assert_eq!((changed.status, &changed.body["role"]), (200, &json!("superadmin")));
        assert_eq!(broker.patch(&user, json!({ "role": null })).await.body["role"], Value::Null);
        assert_eq!(broker.get(&user).await.body["display_name"], "Ada L.");
        assert_eq!(broker.get("/users").await.body["items"][0]["id"], id);
        let link = broker.call("POST", &format!("{user}/password-link"), None).await;
        assert_eq!(link.status, 201);
        assert!(link.body["url"].is_string() && link.body["expires_at"].is_string());
        assert_eq!(broker.get(&format!("{user}/sessions")).await.body["items"], json!([]));
        assert_eq!(broker.delete(&format!("{user}/sessions")).await.status, 204);

        let joined = broker.post("/apps/acme/members", json!({ "user_id": id, "role": "app_admin" })).await;
        assert_eq!((joined.status, &joined.body["role"]), (201, &json!("app_admin")), "{joined:?}");
        assert_eq!(broker.get("/apps/acme/members").await.body["items"], json!([joined.body]));
        assert_eq!(broker.delete(&format!("/apps/acme/members/{id}")).await.status, 204);
        assert_eq!(broker.delete(&format!("/apps/acme/members/{id}")).await.refusal(), (404, "not_found"));
        assert_eq!(broker.delete(&user).await.status, 204);
        assert_eq!(broker.get(&user).await.refusal(), (404, "not_found"));
    }
}

#[actix_web::test]
async fn an_invitation_is_made_listed_without_its_link_and_withdrawn() {
    for broker in brokers().await {
        broker.with_acme().await;
        let body = json!({ "email": "ada@example.com", "role": "app_admin", "connectors": ["github"], "expires_in_s": 3600 });
        let made = broker.post("/apps/acme/invitations", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        let url = made.body["url"].as_str().unwrap();
        assert!(url.starts_with("https://broker.example/laputa/invitations/"));
        let listed = broker.get("/apps/acme/invitations").await;
        let item = &listed.body["items"][0];
        assert_eq!(
            (&item["id"], &item["role"], &item["connectors"]),
            (&made.body["id"], &json!("app_admin"), &json!(["github"]))
        );
        let secret = url.rsplit('.').next().unwrap();
        assert!(!listed.body.to_string().contains(secret));
        let one = format!("/apps/acme/invitations/{}", made.body["id"].as_str().unwrap());
        assert_eq!(broker.delete(&one).await.status, 204);
        assert_eq!(broker.delete(&one).await.refusal(), (404, "not_found"));
        let absent = broker.post("/apps/absent/invitations", json!({ "email": "a@b" })).await;
        assert_eq!(absent.refusal(), (404, "app_not_found"));
    }
}

#[actix_web::test]
async fn a_client_is_made_changed_given_a_second_secret_and_deleted() {
    for broker in brokers().await {
        let body =
            json!({ "identifier": "job", "kind": "service", "role": "superadmin", "allow": ["acme/*"] });
        let made = broker.post("/clients", body.clone()).await;
        assert_eq!(
            (made.status, &made.body["warnings"], &made.body["scopes"]),
            (201, &json!([]), &json!(["binb:read"])),
            "{made:?}"
        );
        let secret = made.body["client_secret"].as_str().unwrap();
        assert_eq!(broker.post("/clients", body).await.refusal(), (409, "already_exists"));
        let path = format!("/clients/{}", made.body["client_id"].as_str().unwrap());
        let read = broker.get(&path).await;
        assert!(!read.body.to_string().contains(secret));
        assert_eq!((&read.etag, read.body["secrets"].as_array().unwrap().len()), (&made.etag, 1));

        let second = broker.call("POST", &format!("{path}/secrets"), None).await;
        assert_eq!(second.status, 201);
        let third = broker.call("POST", &format!("{path}/secrets"), None).await;
        assert_eq!(third.status, 409, "{third:?}");
        let gone = format!("{path}/secrets/{}", second.body["secret_id"].as_str().unwrap());
        assert_eq!(broker.delete(&gone).await.status, 204);
        assert_eq!(broker.delete(&gone).await.refusal(), (404, "not_found"));

        let widened = broker.patch(&path, json!({ "allow": null, "disabled": true })).await;
        assert_eq!(
            (&widened.body["allow"], &widened.body["warnings"]),
            (&Value::Null, &json!(["unconfined"]))
        );
        let stale = request("PATCH", &path)
            .insert_header(("Authorization", broker.bearer()))
            .insert_header(("If-Match", made.etag.unwrap()))
            .set_json(json!({ "disabled": false }));
        assert_eq!(broker.send(stale).await.refusal(), (412, "precondition_failed"));
        assert_eq!(broker.get("/clients?limit=1").await.body["items"].as_array().unwrap().len(), 1);
        assert_eq!(broker.delete(&path).await.status, 204);
        assert_eq!(broker.get(&path).await.refusal(), (404, "not_found"));
    }
}

#[rstest]
#[case("/users", json!({ "email": "no address", "display_name": "A" }), "/email")]
#[case("/users", json!({ "email": "a@b", "display_name": "" }), "/display_name")]
#[case("/users", json!({ "email": "a@b", "display_name": "A", "role": "king" }), "/role")]
#[case("/apps/acme/members", json!({ "user_id": "7", "role": "member" }), "/user_id")]
#[case("/apps/acme/members", json!({ "user_id": "00000000-0000-0000-0000-000000000000", "role": "superadmin" }), "/role")]
#[case("/apps/acme/invitations", json!({ "email": "a@b", "connectors": ["UP_"] }), "/connectors/0")]
#[case("/clients", json!({ "identifier": "a", "kind": "robot" }), "/kind")]
#[case("/clients", json!({ "identifier": "a", "kind": "service", "scopes": ["binb:read", "all"] }), "/scopes")]
#[case("/clients", json!({ "identifier": "a", "kind": "service", "scopes": ["binb:read", "a b"] }), "/scopes/1")]
#[case("/clients", json!({ "identifier": "a", "kind": "service", "allow": ["acme"] }), "/allow/0")]
#[case("/clients", json!({ "identifier": "a", "kind": "service", "redirect_uris": ["http://example.com"] }), "/redirect_uris/0")]
#[actix_web::test]
async fn a_bad_person_or_client_is_pointed_at(
    #[case] path: &str,
    #[case] body: Value,
    #[case] pointer: &str,
) {
    for broker in brokers().await {
        broker.with_acme().await;
        let told = broker.post(path, body.clone()).await;
        assert_eq!((told.refusal(), told.pointer()), ((400, "invalid_request"), pointer), "{told:?}");
    }
}
