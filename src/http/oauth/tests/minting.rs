//! How does a client get a token, and what is it told when it does not?

use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::json;

use super::{basic, begin, call};
use crate::model::secret::Secret;
use crate::store::testing::databases;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn form(body: impl Into<String>) -> TestRequest {
    TestRequest::post().uri("/o/token/").insert_header(FORM).set_payload(body.into())
}

#[actix_web::test]
async fn a_client_gets_a_token_by_basic_or_body_with_and_without_the_slash() {
    for db in databases().await {
        let (authority, id, secret) = begin(&db).await;
        let body =
            format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&extra=1&extra=2");
        let by_basic =
            form("grant_type=client_credentials&scope=").insert_header(basic(id.as_str(), &secret));
        let same_id = format!("grant_type=client_credentials&client_id={id}");
        let same_id = form(same_id).insert_header(basic(id.as_str(), &secret));
        for request in [form(body.clone()), form(body).uri("/o/token?x=1"), by_basic, same_id] {
            let answer = call(&authority, request).await;
            assert_eq!(answer.status, 200, "{} {}", db.name, answer.body);
            assert_eq!(
                (&answer.body["token_type"], &answer.body["expires_in"]),
                (&json!("Bearer"), &json!(3600))
            );
            assert_eq!(answer.body["scope"], "binb:read apps:read");
            assert!(answer.body.get("refresh_token").is_none());
            assert_eq!(
                (answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)),
                ("no-store", "no-cache")
            );
            authority.principal(answer.body["access_token"].as_str().unwrap()).await.unwrap();
        }
    }
}

#[actix_web::test]
async fn a_secret_of_any_characters_passes_through_basic() {
    for db in databases().await {
        let (authority, id, _) = begin(&db).await;
        let odd = "a%:+é b&=%2B";
        let (row, store) = (db.id(), db.store());
        let place = crate::vault::Vault::row(&[row.as_bytes(), id.as_str().as_bytes()]);
        let hash = db.vault().hash_secret("client_secret", "secret_hash", &place, &Secret::new(odd)).to_vec();
        let secret = crate::store::clients::ClientSecret {
            id: row,
            hash,
            created_at: db.clock().now(),
            used_at: None,
        };
        store.conn().insert_client_secret(&id, &secret).await.unwrap();
        let request = form("grant_type=client_credentials").insert_header(basic(id.as_str(), odd));
        assert_eq!(call(&authority, request).await.status, 200, "{}", db.name);
        let request = form("grant_type=client_credentials").insert_header(basic(id.as_str(), "a%:+e b&=%2B"));
        assert_eq!(call(&authority, request).await.error(), (401, "invalid_client"));
    }
}

#[actix_web::test]
async fn bad_requests_get_the_errors_of_the_standard() {
    for db in databases().await {
        let (authority, id, secret) = begin(&db).await;
        let good = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let with = |more: &str| form(format!("{good}&{more}"));
        let only_grant = || form("grant_type=client_credentials");
        let json =
            || TestRequest::post().uri("/o/token/").insert_header(("content-type", "application/json"));
        let table = [
            (
                "json body",
                json().set_payload(r#"{"grant_type":"client_credentials"}"#),
                400,
                "invalid_request",
            ),
            (
                "no content type",
                TestRequest::post().uri("/o/token/").set_payload(good.clone()),
                400,
                "invalid_request",
            ),
            ("empty", form(""), 400, "invalid_request"),
            ("no grant_type", form(format!("client_id={id}&client_secret={secret}")), 400, "invalid_request"),
            ("empty grant_type", form(format!("grant_type=&client_id={id}")), 400, "invalid_request"),
            ("doubled grant_type", with("grant_type=client_credentials"), 400, "invalid_request"),
            ("doubled client_id", with(&format!("client_id={id}")), 400, "invalid_request"),
            ("doubled secret", with("client_secret=x"), 400, "invalid_request"),
            ("doubled scope", with("scope=binb:read&scope=binb:read"), 400, "invalid_request"),
            ("doubled resource", with("resource=a&resource=b"), 400, "invalid_request"),
            ("bad encoding", with("scope=%zz"), 400, "invalid_request"),
            ("too large", with(&"a".repeat(70_000)), 413, "invalid_request"),
            (
                "password grant",
                form("grant_type=password&username=a&password=b"),
                400,
                "unsupported_grant_type",
            ),
            ("unknown grant", form("grant_type=magic"), 400, "unsupported_grant_type"),
            ("unknown scope", with("scope=magic"), 400, "invalid_scope"),
            ("wider scope", with("scope=apps:write"), 400, "invalid_scope"),
            ("unknown target", with("resource=https://terms.example"), 400, "invalid_target"),
            ("two methods", with("").insert_header(basic(id.as_str(), &secret)), 400, "invalid_request"),
            (
                "another id in the body",
                form("grant_type=client_credentials&client_id=x").insert_header(basic(id.as_str(), &secret)),
                400,
                "invalid_request",
            ),
            (
                "two headers",
                only_grant().append_header(basic(id.as_str(), &secret)).append_header(basic("a", "b")),
                400,
                "invalid_request",
            ),
            (
                "secret in the query",
                only_grant().uri(&format!("/o/token/?client_id={id}&client_secret={secret}")),
                400,
                "invalid_request",
            ),
            ("everything in the query", form("").uri(&format!("/o/token/?{good}")), 400, "invalid_request"),
            ("no client", only_grant(), 401, "invalid_client"),
            (
                "no secret",
                form(format!("grant_type=client_credentials&client_id={id}")),
                401,
                "invalid_client",
            ),
            ("wrong secret", only_grant().insert_header(basic(id.as_str(), "wrong")), 401, "invalid_client"),
            ("unknown client", only_grant().insert_header(basic("nobody", &secret)), 401, "invalid_client"),
            ("no client id", only_grant().insert_header(basic("a/b", &secret)), 401, "invalid_client"),
            (
                "broken basic",
                only_grant().insert_header(("authorization", "Basic !!!")),
                401,
                "invalid_client",
            ),
            ("no colon", only_grant().insert_header(("authorization", "Basic YWJj")), 401, "invalid_client"),
            ("bearer", only_grant().insert_header(("authorization", "Bearer abc")), 401, "invalid_client"),
            ("get", TestRequest::get().uri(&format!("/o/token/?{good}")), 405, "invalid_request"),
            (
                "put",
                TestRequest::put().uri("/o/token").insert_header(FORM).set_payload(good.clone()),
                405,
                "invalid_request",
            ),
        ];
        for (name, request, status, error) in table {
            let answer = call(&authority, request).await;
            assert_eq!(answer.error(), (status, error), "{name} on {}", db.name);
            assert!(answer.body["error_description"].is_string(), "{name}");
            assert_eq!(
                (answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)),
                ("no-store", "no-cache"),
                "{name}"
            );
            assert_eq!(
                answer.header(header::WWW_AUTHENTICATE).starts_with("Basic "),
                status == 401,
                "{name}"
            );
            assert!(!answer.body.to_string().contains(&secret), "{name}");
        }
    }
}

#[actix_web::test]
async fn a_wrong_secret_in_the_body_is_answered_without_a_challenge_and_a_get_names_post() {
    for db in databases().await {
        let (authority, id, _) = begin(&db).await;
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret=wrong");
        let answer = call(&authority, form(body)).await;
        assert_eq!(answer.error(), (401, "invalid_client"), "{}", db.name);
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), "");
        let answer = call(&authority, TestRequest::get().uri("/o/token/")).await;
        assert_eq!(answer.header(header::ALLOW), "POST");
    }
}

#[actix_web::test]
async fn too_many_failures_are_told_to_wait() {
    for db in databases().await {
        let (authority, id, _) = begin(&db).await;
        let mut last = None;
        for _ in 0..25 {
            let request = form("grant_type=client_credentials").insert_header(basic(id.as_str(), "wrong"));
            last = Some(call(&authority, request).await);
        }
        let last = last.unwrap();
        assert_eq!(last.error(), (429, "temporarily_unavailable"), "{}", db.name);
        assert!(last.header(header::RETRY_AFTER).parse::<u64>().unwrap() >= 1);
    }
}
