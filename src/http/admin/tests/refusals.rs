use serde_json::Value;

use super::{Broker, brokers, request};
use crate::http::openapi;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// Every operation of the administration as the document has it: method, path with ids filled in, and whether
/// it takes a body. A new route cannot be forgotten.
fn operations() -> Vec<(String, String, bool)> {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/admin/v1") else { continue };
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), filled(path), operation["requestBody"].is_object()));
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    found
}

fn filled(path: &str) -> String {
    path.replace("{app_id}", "acme")
        .replace("{connector}", "custom")
        .replace("{client_id}", "absent")
        .replace("{user_id}", "00000000-0000-7000-8000-000000000000")
        .replace("{secret_id}", "00000000-0000-7000-8000-000000000000")
        .replace("{link_id}", "00000000-0000-7000-8000-000000000000")
        .replace("{kid}", "00000000000070008000000000000000")
        .replace("{invitation_id}", "00000000-0000-7000-8000-000000000000")
}

async fn as_bearer(broker: &Broker, token: &str, method: &str, path: &str) -> (u16, String) {
    let told =
        broker.send(request(method, path).insert_header(("Authorization", format!("Bearer {token}")))).await;
    (told.status, told.body["code"].as_str().unwrap_or_default().to_owned())
}

#[actix_web::test]
async fn no_route_answers_without_an_unconfined_superadmin_of_its_scope() {
    for broker in brokers().await {
        broker.with_acme().await;
        broker.with_custom().await;
        let confined = broker.token("confined", "superadmin", Some(&["*/*"])).await;
        let scopes = "binb:read audit:read openid profile email offline_access";
        let elsewhere = broker.token("elsewhere", scopes, None).await;
        for (method, path, _) in operations() {
            let anonymous = broker.send(request(&method, &path)).await;
            assert_eq!(anonymous.refusal(), (401, "unauthenticated"), "{method} {path}");
            let forbidden = (403, "forbidden".to_owned());
            assert_eq!(as_bearer(&broker, &confined, &method, &path).await, forbidden, "{method} {path}");
            assert_eq!(as_bearer(&broker, &elsewhere, &method, &path).await, forbidden, "{method} {path}");
            let absent = path.replace("acme", "absent").replace("custom", "absent") + "?colour=red";
            assert_eq!(as_bearer(&broker, &confined, &method, &absent).await, forbidden, "{method} {absent}");
        }
    }
}

#[actix_web::test]
async fn a_client_without_the_role_is_refused_everywhere() {
    for broker in brokers().await {
        let mut plain = crate::issuer::testing::service("plain", "superadmin", None);
        plain.role = None;
        let (client, secret) = broker.authority.client(plain).await;
        let token = broker.authority.token(&client, &secret, None).await;
        // Service providers need no role: `authorization::links` holds who may send people.
        for (method, path, _) in
            operations().into_iter().filter(|(_, path, _)| !path.contains("/signup-links"))
        {
            let told = as_bearer(&broker, &token, &method, &path).await;
            assert_eq!(told, (403, "forbidden".to_owned()), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn a_reader_reads_and_writes_nothing() {
    for broker in brokers().await {
        let token = broker.token("reader", "apps:read connections:read clients:read", None).await;
        for (method, path, _) in operations() {
            let (status, code) = as_bearer(&broker, &token, &method, &path).await;
            if method == "GET" && !path.contains("connectors") && !path.starts_with("/keys/") {
                assert_ne!(status, 403, "{method} {path}");
            } else {
                assert_eq!((status, code.as_str()), (403, "forbidden"), "{method} {path}");
            }
        }
    }
}

#[actix_web::test]
async fn every_route_is_strict_about_query_and_content_type() {
    for broker in brokers().await {
        broker.with_acme().await;
        for (method, path, takes_body) in operations() {
            let told = broker.call(&method, &format!("{path}?colour=red"), None).await;
            assert_eq!(
                (told.refusal(), told.pointer()),
                ((400, "invalid_request"), "colour"),
                "{method} {path}"
            );
            if takes_body {
                let form = request(&method, &path)
                    .insert_header(("Authorization", broker.bearer()))
                    .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
                    .set_payload("id=acme");
                assert_eq!(
                    broker.send(form).await.refusal(),
                    (415, "unsupported_media_type"),
                    "{method} {path}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn routes_and_document_name_the_same_methods() {
    let broker = brokers().await.remove(0);
    let operations = operations();
    for (_, path, _) in &operations {
        for method in METHODS {
            let documented = operations.iter().any(|(known, at, _)| known == method && at == path);
            let told = broker.send(request(method, path)).await;
            let expected = if documented { (401, "unauthenticated") } else { (405, "method_not_allowed") };
            assert_eq!(told.refusal(), expected, "{method} {path}");
        }
    }
}
