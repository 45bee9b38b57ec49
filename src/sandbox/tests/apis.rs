//! The copied providers: GitHub's token endpoint and API, Aircall's.

use reqwest::{Method, header};
use serde_json::{Value, json};
use time::Duration;

use super::driver::{CALLBACK, Driver, json_of};
use crate::sandbox::{Aircall, Github, Profile};

#[tokio::test]
async fn github_errors_come_with_200_and_answers_as_forms() {
    let driver = Driver::of(Profile::github());
    let code = driver.code("app", "alice", "repo,gist").await;
    let form = [
        ("client_id", "app"),
        ("client_secret", "sandbox-secret"),
        ("code", code.as_str()),
        ("code_verifier", super::driver::VERIFIER),
        ("redirect_uri", CALLBACK),
    ];
    let plain = driver.http.post(driver.url("/login/oauth/access_token")).form(&form).send().await.unwrap();
    assert_eq!(plain.status(), 200);
    let content_type = plain.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    assert!(content_type.starts_with("application/x-www-form-urlencoded"), "{content_type}");
    let text = plain.text().await.unwrap();
    for part in [
        "access_token=gho_",
        "refresh_token=ghr_",
        "scope=gist%2Crepo",
        "token_type=bearer",
        "expires_in=28800",
        "refresh_token_expires_in=15897600",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }

    for (fields, error) in [
        ([("grant_type", "refresh_token"), ("refresh_token", "ghr_unknown")], "bad_refresh_token"),
        ([("grant_type", "authorization_code"), ("code", "unknown")], "bad_verification_code"),
    ] {
        let (status, answer) = json_of(driver.token_request("app", &fields)).await;
        assert_eq!((status, &answer["error"]), (200, &json!(error)));
    }
    let wrong = [("client_id", "app"), ("client_secret", "wrong"), ("code", "x")];
    let wrong =
        driver.http.post(driver.url("/token")).header(header::ACCEPT, "application/json").form(&wrong);
    assert_eq!(json_of(wrong).await.1["error"], "incorrect_client_credentials");
    driver.stop().await;
}

#[tokio::test]
async fn a_github_refresh_kills_the_old_tokens_and_nothing_else() {
    let driver = Driver::of(Profile::github_app());
    let first = driver.connect().await;
    assert!(first.access().starts_with("ghu_"));
    assert_eq!(first.0["scope"], "");
    let (_, second) = driver.refresh(first.refresh()).await;
    assert!(!driver.lives(first.access()).await);
    assert_eq!(driver.refresh(first.refresh()).await, {
        let description = "the refresh token is unknown, expired, revoked, used or not this client's";
        (200, json!({"error": "bad_refresh_token", "error_description": description}))
    });
    assert!(driver.lives(second["access_token"].as_str().unwrap()).await, "the family lives");
    driver.stop().await;
}

#[tokio::test]
async fn the_eleventh_github_token_kills_the_oldest() {
    let driver = Driver::of(Profile::Github(Github { expiring: false, ..Github::default() }));
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(driver.connect_as("app", "alice", "repo").await);
    }
    assert!(tokens[0].0.get("expires_in").is_none() && tokens[0].0.get("refresh_token").is_none());
    driver.connect_as("app", "alice", "gist").await;
    driver.connect_as("app", "bob", "repo").await;
    assert!(driver.lives(tokens[0].access()).await, "other scopes and users count apart");
    driver.connect_as("app", "alice", "repo").await;
    assert!(!driver.lives(tokens[0].access()).await);
    assert!(driver.lives(tokens[1].access()).await);
    driver.stop().await;
}

#[tokio::test]
async fn offline_access_makes_a_permanent_github_app_expire() {
    let driver = Driver::of(Profile::Github(Github { expiring: false, ..Github::default() }));
    let tokens = driver.connect_as("app", "alice", "repo offline_access").await;
    assert_eq!(tokens.0["expires_in"], 28_800);
    assert!(tokens.refresh().starts_with("ghr_"));
    driver.stop().await;
}

#[tokio::test]
async fn github_repositories_follow_the_link_header() {
    let driver = Driver::of(Profile::github());
    let tokens = driver.connect_as("app", "alice", "repo").await;
    let mut next = Some(driver.url("/user/repos?per_page=30").to_string());
    let mut names = Vec::new();
    while let Some(url) = next.take() {
        let page = driver.http.get(url).bearer_auth(tokens.access()).send().await.unwrap();
        let links = page.headers().get(header::LINK).unwrap().to_str().unwrap().to_owned();
        let forward = links.split(", ").find(|link| link.ends_with("rel=\"next\""));
        next = forward.map(|link| link[1..link.find('>').unwrap()].to_owned());
        let items: Vec<Value> = page.json().await.unwrap();
        names.extend(items.iter().map(|item| item["full_name"].as_str().unwrap().to_owned()));
    }
    names.dedup();
    assert_eq!(names.len(), 73);
    let public = driver.connect_as("app", "alice", "read").await;
    let page: Vec<Value> =
        driver.call("/user/repos?per_page=100", public.access()).await.json().await.unwrap();
    assert_eq!(page.len(), 49, "private ones need the scope repo");
    assert_eq!(driver.call("/user", "gho_unknown").await.status(), 401);
    driver.stop().await;
}

#[tokio::test]
async fn github_deletes_one_token_or_the_whole_grant() {
    let driver = Driver::of(Profile::github());
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(driver.connect_as("app", "alice", "repo").await);
    }
    let delete = async |what: &str, token: &str, secret: &str| {
        let request = driver.http.request(Method::DELETE, driver.url(&format!("/applications/app/{what}")));
        let request = request.basic_auth("app", Some(secret)).json(&json!({"access_token": token}));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(delete("token", tokens[0].access(), "wrong").await, 404);
    assert_eq!(delete("token", tokens[0].access(), "sandbox-secret").await, 204);
    assert_eq!(delete("token", tokens[0].access(), "sandbox-secret").await, 404);
    assert!(!driver.lives(tokens[0].access()).await && driver.lives(tokens[1].access()).await);
    assert_eq!(delete("grant", tokens[1].access(), "sandbox-secret").await, 204);
    assert!(!driver.lives(tokens[2].access()).await);
    assert_eq!(driver.ledger().clients["app"].revocations, 3);
    driver.stop().await;
}

#[tokio::test]
async fn an_aircall_token_is_permanent_and_the_companys() {
    let driver = Driver::of(Profile::aircall());
    let tokens = driver.connect_as("app", "alice@acme.example", "public_api").await;
    let keys: Vec<&String> = tokens.0.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["access_token", "token_type"]);
    driver.clock.advance(Duration::days(400));
    let me: Value = driver.call("/v1/integrations/me", tokens.access()).await.json().await.unwrap();
    assert_eq!(me["integration"]["company_name"], "acme.example");
    let refused = driver.decide(driver.asking("app", "read"), "alice", "approve").await;
    assert_eq!(super::driver::returned(&refused)["error"], "invalid_scope");
    driver.stop().await;
}

#[tokio::test]
async fn aircall_calls_are_paged_by_window_and_end_at_ten_thousand() {
    let driver = Driver::of(Profile::Aircall(Aircall { limit_per_minute: 100_000, calls: 10_030, days: 28 }));
    let tokens = driver.connect_as("app", "alice", "public_api").await;
    let page = async |url: String| -> Value {
        driver.http.get(url).bearer_auth(tokens.access()).send().await.unwrap().json().await.unwrap()
    };
    let last = page(driver.url("/v1/calls?per_page=50&page=200").into()).await;
    assert_eq!((last["calls"].as_array().unwrap().len(), &last["meta"]["total"]), (50, &json!(10_030)));
    assert_eq!(last["meta"]["next_page_link"], Value::Null, "the 10,000th record is the last");
    let beyond = page(driver.url("/v1/calls?per_page=50&page=201").into()).await;
    assert_eq!(beyond["calls"], json!([]));

    let first = page(driver.url("/v1/calls?per_page=1").into()).await;
    let from = first["calls"][0]["started_at"].as_i64().unwrap() + 3 * 86_400;
    let to = from + 86_400;
    let mut next = Some(driver.url(&format!("/v1/calls?from={from}&to={to}&per_page=50")).to_string());
    let (mut seen, mut total) = (Vec::new(), json!(0));
    while let Some(url) = next.take() {
        let answer = page(url).await;
        next = answer["meta"]["next_page_link"].as_str().map(String::from);
        total = answer["meta"]["total"].clone();
        seen.extend(
            answer["calls"].as_array().unwrap().iter().map(|call| call["started_at"].as_i64().unwrap()),
        );
    }
    assert!(seen.len() > 300 && json!(seen.len()) == total, "{} of {total}", seen.len());
    assert!(seen.iter().all(|at| (from..=to).contains(at)));
    driver.stop().await;
}

#[tokio::test]
async fn aircalls_limit_is_shared_by_the_company_and_told_in_headers() {
    let driver = Driver::of(Profile::Aircall(Aircall { limit_per_minute: 2, ..Aircall::default() }));
    let alice = driver.connect_as("app", "alice@acme.example", "public_api").await;
    let bob = driver.connect_as("app", "bob@acme.example", "public_api").await;
    let other = driver.connect_as("app", "eve@globex.example", "public_api").await;
    let first = driver.call("/v1/ping", alice.access()).await;
    assert_eq!(
        (&first.headers()["x-aircallapi-limit"], &first.headers()["x-aircallapi-remaining"]),
        (&"2".parse().unwrap(), &"1".parse().unwrap())
    );
    assert_eq!(driver.call("/v1/ping", bob.access()).await.status(), 200);
    let over = driver.call("/v1/calls", alice.access()).await;
    assert_eq!(over.status(), 429);
    assert!(over.headers().contains_key("x-aircallapi-reset"));
    assert_eq!(driver.call("/v1/ping", other.access()).await.status(), 200);
    driver.clock.advance(Duration::seconds(61));
    assert_eq!(driver.call("/v1/ping", alice.access()).await.status(), 200);
    driver.stop().await;
}

#[tokio::test]
async fn the_plain_api_is_read_page_by_page_and_only_with_a_live_token() {
    let driver = Driver::of(Profile::standard());
    let tokens = driver.connect().await;
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), Some(String::new()));
    while let Some(at) = cursor.take() {
        let page: Value = driver
            .call(&format!("/api/items?limit=40&cursor={at}"), tokens.access())
            .await
            .json()
            .await
            .unwrap();
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|item| item["id"].as_u64().unwrap()));
        cursor = page["next_cursor"].as_str().map(String::from);
    }
    assert_eq!((sizes, seen), (vec![40, 40, 15], (1..=95).collect()));
    driver.clock.advance(Duration::hours(2));
    assert_eq!(driver.call("/api/items", tokens.access()).await.status(), 401);
    driver.stop().await;
}

#[tokio::test]
async fn google_gives_a_refresh_token_once_unless_consent_is_asked_for_again() {
    let driver = Driver::of(Profile::google());
    let connect = async |more: &[(&'static str, &str)]| -> Value {
        let mut asking = driver.asking("app", "openid email");
        asking.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let code = super::driver::returned(&driver.decide(asking, "alice", "approve").await)["code"].clone();
        json_of(driver.exchange_request("app", &code)).await.1
    };
    let has = |answer: &Value| answer.get("refresh_token").is_some();
    assert!(!has(&connect(&[]).await), "nobody asked for offline access");
    let offline = ("access_type", "offline");
    let first = connect(&[offline]).await;
    assert!(
        has(&first)
            && !has(&connect(&[offline]).await)
            && has(&connect(&[offline, ("prompt", "consent")]).await)
    );
    let (status, again) = driver.refresh(first["refresh_token"].as_str().unwrap()).await;
    assert_eq!((status, has(&again), &again["expires_in"]), (200, false, &json!(3599)));

    let revoke = || {
        driver.http.post(driver.url("/revoke")).form(&[("token", first["refresh_token"].as_str().unwrap())])
    };
    assert_eq!(json_of(revoke()).await.0, 200, "whoever has it may");
    assert_eq!(json_of(revoke()).await, {
        let error = json!({"error": "invalid_token", "error_description": "Token expired or revoked"});
        (400, error)
    });
    assert_eq!(driver.refresh(first["refresh_token"].as_str().unwrap()).await, {
        let error =
            json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
        (400, error)
    });
    driver.stop().await;
}

#[tokio::test]
async fn hubspot_and_salesforce_refuse_in_their_own_words() {
    let driver = Driver::of(Profile::hubspot());
    let (status, refused) = driver.refresh("unknown").await;
    assert_eq!(
        (status, &refused["error"], &refused["status"]),
        (400, &json!("invalid_grant"), &json!("BAD_REFRESH_TOKEN"))
    );
    let tokens = driver.connect().await;
    assert_eq!(driver.refresh(tokens.refresh()).await.1["refresh_token"], tokens.0["refresh_token"]);
    driver.stop().await;
    let driver = Driver::of(Profile::salesforce());
    let (status, refused) = driver.refresh("unknown").await;
    assert_eq!((status, &refused["error_description"]), (400, &json!("expired access/refresh token")));
    let tokens = driver.connect_as("app", "alice", "api refresh_token").await;
    assert!(tokens.0.get("expires_in").is_none() && tokens.0["instance_url"].is_string());
    assert!(driver.refresh(tokens.refresh()).await.1.get("refresh_token").is_none());
    let plain = driver.connect_as("app", "alice", "api").await;
    assert!(plain.0.get("refresh_token").is_none(), "the scope was not asked for");
    driver.stop().await;
}
