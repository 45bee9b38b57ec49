//! Which addresses of clients and resource servers can be registered: only as they are written everywhere. A9.

use reqwest::Method;
use serde_json::{Value, json};

use super::World;

/// Other spellings of an address, which whoever compares bytes takes for another one, and what is no host.
const OTHERWISE: [&str; 11] = [
    "https:a.example/cb",
    "https:///a/cb",
    r"https://a\@evil/",
    "https://*.example/",
    "https://a.example;script-src/",
    "https://A.example/cb",
    "HTTPS://a.example/cb",
    "https://a.example:443/cb",
    "https://a.example/x/../cb",
    "https://a.example/x/%2e%2e/cb",
    "https://[0:0::1]/cb",
];

#[tokio::test]
async fn only_an_address_as_it_is_written_everywhere_can_be_registered() {
    for world in World::each().await {
        let told = async |path: &str, body: &Value| {
            let answer = world.house.ask(Method::POST, path, Some(body)).await;
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let client = |uri: &str| json!({"identifier": "a", "kind": "provider", "redirect_uris": [uri]});
        let resource = |uri: &str| json!({"uri": uri, "name": "T", "scopes": []});
        for uri in OTHERWISE.into_iter().chain(["HTTP://127.0.0.1:8080/", "com.example.app://*/cb"]) {
            for (path, body) in [("/admin/v1/clients", client(uri)), ("/admin/v1/resources", resource(uri))] {
                let (status, problem) = told(path, &body).await;
                assert_eq!((status, &problem["code"]), (400, &json!("invalid_request")), "{path} {uri}");
            }
        }
        for (number, uri) in [
            "https://a.example",
            "https://a.example/",
            "https://a.example:8443/cb?x=%7E&y=~",
            "https://xn--bcher-kva.example/cb",
            "https://[::1]/cb",
            "http://127.0.0.1/cb",
            "http://localhost",
            "com.example.app:/cb",
            "com.example.app://cb",
        ]
        .into_iter()
        .enumerate()
        {
            let mut body = client(uri);
            body["identifier"] = json!(format!("good{number}"));
            for (path, body) in [("/admin/v1/clients", body), ("/admin/v1/resources", resource(uri))] {
                let (status, made) = told(path, &body).await;
                assert_eq!(status, 201, "{path} {uri}: {made}");
            }
        }
        world.stop().await;
    }
}
