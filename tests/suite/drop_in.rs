//! Do tools that speak OAuth alone get the provider's token, and errors they understand?

use std::process::Command;

use jeton::sandbox::{Faults, Trouble};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::peer::skipped;
use crate::support::problem::is_plain;

const ROUTE: &str = "/acme/sandbox/token";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// What a tool sends: its client in the header, the rest as a form.
async fn ask(house: &House, path: &str, client: &(String, String), form: &[(&str, &str)]) -> Response {
    let request = house.broker.http.post(house.broker.at(path)).basic_auth(&client.0, Some(&client.1));
    request.form(form).send().await.unwrap()
}

/// Status, the standard's code, ours, and the whole answer.
async fn refused(answer: Response) -> (u16, String, String, Value) {
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("{key}: {body}")).to_owned();
    assert!(!text("error_description").is_empty() && !text("action").is_empty());
    assert!(is_plain(&text("error_description")), "{body}");
    (status.as_u16(), text("error"), text("code"), body)
}

#[tokio::test]
async fn a_tool_gets_the_providers_token_as_a_token_endpoint_gives_it() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let root = &house.broker.superadmin;
        let answer = ask(&house, ROUTE, root, &[GRANT, ("scope", "whatever"), ("audience", "")]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            (&answer.headers()["cache-control"], &answer.headers()["pragma"]),
            (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        let given: Value = answer.json().await.unwrap();
        let (_, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!(given["access_token"], handed["access_token"]);
        assert_eq!(given["token_type"], "Bearer");
        let (told, lives) = (given["expires_in"].as_i64().unwrap(), handed["expires_in"].as_i64().unwrap());
        assert!((lives - 40..=lives - 25).contains(&told), "to where it is guaranteed: {told} of {lives}");
        // In the body, and refreshed when due.
        house.pass(7_200);
        let form =
            [GRANT, ("client_id", root.0.as_str()), ("client_secret", root.1.as_str()), ("min_ttl", "60")];
        let answer = house.broker.http.post(house.broker.at(ROUTE)).form(&form).send().await.unwrap();
        let next: Value = answer.json().await.unwrap();
        assert_ne!(next["access_token"], given["access_token"]);
        assert_eq!((house.refreshes(), next.get("refresh_token")), (1, None));
        house.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_is_in_the_standards_words_with_our_code_and_action() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.app("globex", "Globex").await;
        let root = house.broker.superadmin.clone();
        let refusal = async |path: &str, more: &[(&str, &str)]| {
            let form: Vec<_> = [GRANT].into_iter().chain(more.iter().copied()).collect();
            let (status, error, code, body) = refused(ask(&house, path, &root, &form).await).await;
            (status, format!("{error} {code} {}", body["action"].as_str().unwrap()), body)
        };
        let (status, told, body) = refusal("/globex/sandbox/token", &[]).await;
        assert_eq!((status, told.as_str()), (404, "invalid_grant connection_not_found reauthorize"));
        assert!(body["signup_url"].as_str().unwrap().ends_with("/globex/sandbox/signup"), "{body}");
        let (status, told, body) = refusal(ROUTE, &[("min_ttl", "86400")]).await;
        assert_eq!(
            (status, told.as_str()),
            (422, "invalid_grant ttl_unsatisfiable change_request"),
            "{body}"
        );
        let (status, told, _) = refusal(ROUTE, &[("min_ttl", "soon")]).await;
        assert_eq!((status, told.as_str()), (400, "invalid_request invalid_request change_request"));
        let (status, told, _) = refusal(ROUTE, &[("flow", "no such flow")]).await;
        assert_eq!((status, told.as_str()), (400, "invalid_request invalid_request change_request"));
        let (status, told, _) = refusal(ROUTE, &[GRANT]).await;
        assert_eq!(
            (status, told.as_str()),
            (400, "invalid_request invalid_request change_request"),
            "repeated"
        );
        house.pass(7_200);
        house.faults(Faults::before(Trouble::RateLimited { retry_after_s: 9 }).times(1));
        let answer = ask(&house, ROUTE, &root, &[GRANT]).await;
        assert!(answer.headers().contains_key("retry-after"));
        let (status, error, code, _) = refused(answer).await;
        assert_eq!(
            (status, error.as_str(), code.as_str()),
            (503, "temporarily_unavailable", "provider_unavailable")
        );
        house.stop().await;
    }
}

#[tokio::test]
async fn who_asks_must_be_a_superadmin_with_this_location() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let wrong = (house.broker.superadmin.0.clone(), "wrong".to_owned());
        let answer = ask(&house, ROUTE, &wrong, &[GRANT]).await;
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        let (status, error, code, _) = refused(answer).await;
        assert_eq!((status, error.as_str(), code.as_str()), (401, "invalid_client", "unauthenticated"));
        let confined = json!({"identifier": "confined", "kind": "service", "role": "superadmin",
            "scopes": ["binb:read"], "allow": ["globex/*"]});
        let weak = json!({"identifier": "weak", "kind": "service", "scopes": ["apps:read"]});
        for body in [confined, weak] {
            let client = house.client(&body).await;
            for path in [ROUTE, "/nowhere/sandbox/token", "/acme/nothing/token", "/Acme!/x/token"] {
                let (status, error, code, _) = refused(ask(&house, path, &client, &[GRANT]).await).await;
                assert_eq!(
                    (status, error.as_str(), code.as_str()),
                    (403, "unauthorized_client", "forbidden"),
                    "{path}"
                );
            }
        }
        let allowed = json!({"identifier": "allowed", "kind": "service", "role": "superadmin",
            "scopes": ["binb:read"], "allow": ["acme/sandbox"]});
        let client = house.client(&allowed).await;
        assert_eq!(ask(&house, ROUTE, &client, &[GRANT]).await.status(), StatusCode::OK);
        let secret = &client.1;
        let query = format!("{ROUTE}?client_id={}&client_secret={secret}", client.0);
        let (status, error, ..) = refused(ask(&house, &query, &client, &[GRANT]).await).await;
        assert_eq!((status, error.as_str()), (400, "invalid_request"), "no secret in the URL");
        let query = format!("{ROUTE}?%ff=1&client_secret={secret}");
        let (status, error, ..) = refused(ask(&house, &query, &client, &[GRANT]).await).await;
        assert_eq!((status, error.as_str()), (400, "invalid_request"), "nor beside what cannot be read");
        let answer = house.ask(Method::GET, ROUTE, None).await;
        assert_eq!(answer.headers()["allow"], "POST");
        let (status, error, code, _) = refused(answer).await;
        assert_eq!((status, error.as_str(), code.as_str()), (405, "invalid_request", "method_not_allowed"));
        house.stop().await;
    }
}

/// What is asked for in the URL would be answered as if it had not been: another account's token, or a shorter life.
#[tokio::test]
async fn what_belongs_into_the_form_is_refused_in_the_url() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let root = &house.broker.superadmin;
        for query in ["flow=second", "min_ttl=86400", "rejected=1&whatever=1", "x", "%ff=1", "%C3%A9=1", "="]
        {
            let (status, error, code, body) =
                refused(ask(&house, &format!("{ROUTE}?{query}"), root, &[GRANT]).await).await;
            assert_eq!(
                (status, error.as_str(), code.as_str()),
                (400, "invalid_request", "invalid_request"),
                "{query}"
            );
            let told = body["error_description"].as_str().unwrap();
            assert!(told.contains("form body") || query.contains("%ff"), "{query}: {told}");
        }
        assert_eq!(ask(&house, &format!("{ROUTE}?"), root, &[GRANT]).await.status(), StatusCode::OK);
        house.stop().await;
    }
}

/// The library most Python tools use for this grant.
const TOOL: &str = r#"
import os, sys
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
url, client_id, secret = sys.argv[1], sys.argv[2], sys.stdin.readline().strip()
session = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
token = session.fetch_token(token_url=url, client_id=client_id, client_secret=secret)
print(token["access_token"], token["token_type"])
try:
    session.fetch_token(token_url=url, client_id=client_id, client_secret=secret, min_ttl="86400")
except Exception as error:
    print(type(error).__name__)
"#;

#[tokio::test]
async fn requests_oauthlib_takes_it_for_a_token_endpoint() {
    // The one of the path may be another than the one that Debian's packages are for.
    let has_it = |python: &&str| {
        let here = Command::new(python).args(["-c", "import requests_oauthlib"]).output();
        here.is_ok_and(|output| output.status.success())
    };
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_it) else {
        return skipped("requests-oauthlib at the drop-in: python3 with requests_oauthlib is not here")
            .unwrap_or(());
    };
    let house = House::start().await;
    house.connected_app("acme").await;
    let (id, secret) = house.broker.superadmin.clone();
    let (_, handed) = house.binb_token("acme", "sandbox").await;
    let token = handed["access_token"].as_str().unwrap();
    let url = house.broker.at(ROUTE);
    let ran = tokio::task::spawn_blocking(move || {
        use std::io::Write;
        let mut tool = Command::new(python)
            .args(["-c", TOOL, &url, &id])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        tool.stdin.take().unwrap().write_all(format!("{secret}\n").as_bytes()).unwrap();
        String::from_utf8(tool.wait_with_output().unwrap().stdout).unwrap()
    });
    let printed = ran.await.unwrap();
    assert_eq!(printed, format!("{token} Bearer\nInvalidGrantError\n"));
    house.stop().await;
}
