//! Bad input of every kind at every endpoint: the standard's error code, never a 500, never a redirect to an address
//! that is not registered. A1, A2, A3.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Client, World, ask, changed, devices, error, hidden, links, ok, refusal, text};
use crate::support::jar::{Jar, Seen};

const FORMS: [&str; 4] = ["/o/token/", "/o/introspect/", "/o/revoke_token/", "/o/device_authorization/"];

#[tokio::test]
async fn the_endpoints_of_programs_take_forms_by_post_and_nothing_else() {
    for world in World::each().await {
        let broker = world.broker();
        let script = devices::script(&world, &json!({})).await;
        let basic = |request: RequestBuilder| request.basic_auth(&world.shop.0, Some(&world.shop.1));
        for path in FORMS {
            let url = broker.at(path);
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = basic(broker.http.request(method.clone(), &url)).send().await.unwrap();
                assert_eq!(answer.headers()["allow"], "POST", "{method} {path}");
                assert_eq!(answer.headers()["cache-control"], "no-store");
                assert_eq!(refusal(answer).await, error(405, "invalid_request"));
            }
            let json =
                basic(broker.http.post(&url)).json(&serde_json::json!({"grant_type": "client_credentials"}));
            assert_eq!(refusal(json.send().await.unwrap()).await, error(400, "invalid_request"), "{path}");
            let binary =
                basic(broker.http.post(&url)).header("content-type", "application/x-www-form-urlencoded");
            let answer = binary.body(vec![0xff, 0xfe, b'=']).send().await.unwrap();
            assert_eq!(refusal(answer).await, error(400, "invalid_request"), "{path}");
            let large = basic(broker.http.post(&url)).form(&[("token", "a".repeat(70_000))]);
            assert_eq!(refusal(large.send().await.unwrap()).await, error(413, "invalid_request"), "{path}");
            for name in ["client_secret", "client_assertion", "code", "refresh_token", "device_code", "token"]
            {
                let request = basic(broker.http.post(format!("{url}?{name}=x"))).form(&[("token", "x")]);
                let answer = request.send().await.unwrap();
                assert_eq!(
                    refusal(answer).await,
                    error(400, "invalid_request"),
                    "{name} in the URL of {path}"
                );
            }
            let client = if path == "/o/device_authorization/" { &script } else { &world.shop };
            let form = [("grant_type", "client_credentials"), ("token", "x"), ("scope", "openid")];
            let form = &form[if path == "/o/token/" { 0..1 } else { 1..3 }];
            for name in PARAMETERS {
                let twice = [form, &[(name, "x"), (name, "x")]].concat();
                let answer = ask(broker, path, client, &twice).await;
                assert_eq!(refusal(answer).await, error(400, "invalid_request"), "{name} twice at {path}");
            }
            let unknown = [form, &[("utm_source", "x"), ("utm_source", "x")]].concat();
            assert_eq!(ask(broker, path, client, &unknown).await.status(), 200, "{path}");
        }
        world.stop().await;
    }
}

/// What some endpoint or grant reads.
const PARAMETERS: [&str; 22] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
    "scope",
    "resource",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "flow",
    "min_ttl",
    "token",
    "token_type_hint",
];

#[tokio::test]
async fn what_no_endpoint_reads_is_refused_in_the_form_of_the_standard() {
    for world in World::each().await {
        let broker = world.broker();
        let post =
            |path: &str| broker.http.post(broker.at(path)).form(&[("grant_type", "client_credentials")]);
        let (long, query) = ("a".repeat(17_000), "a".repeat(9_000));
        let mut table = vec![
            (broker.http.get(broker.at("/o/nothing")), 404),
            (broker.http.get(broker.at("/o/")), 404),
            (post("/o/token/more"), 404),
            (post("/o/sandbox/token"), 404),
            (broker.http.get(broker.at("/o/sandbox/binb-token")), 404),
        ];
        for path in FORMS.iter().chain(&["/o/userinfo/", "/o/nothing"]) {
            table.push((post(&format!("{path}?x={query}")), 413));
            table.push((post(path).header("x-long", &long), 413));
        }
        for (request, status) in table {
            let answer = request.send().await.unwrap();
            let path = answer.url().path().to_owned();
            assert_eq!(answer.status(), status, "{path}");
            let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(
                (media.as_str(), &answer.headers()["cache-control"]),
                ("application/json", &"no-store".parse().unwrap())
            );
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"], "invalid_request", "{path}: {body}");
            assert!(
                body["error_description"].as_str().is_some_and(|text| !text.is_empty()),
                "{path}: {body}"
            );
            assert_eq!(body.as_object().unwrap().len(), 2, "{status} {path}: {body}");
        }
        let page =
            broker.http.get(broker.at("/o/nothing")).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 404);
        assert!(page.text().await.unwrap().contains("<html"), "a browser gets a page");
        let elsewhere = broker.http.get(broker.at(&format!("/acme?x={query}"))).send().await.unwrap();
        crate::support::problem::read(elsewhere, "too_large").await;
        world.stop().await;
    }
}

/// Values that have broken parsers before.
const ODD: [&str; 14] = [
    " ",
    "%",
    "../../etc/passwd",
    "'; DROP TABLE client; --",
    "<script>alert(1)</script>",
    "\u{1F600}",
    "\u{202E}abc",
    "null",
    "[]",
    "-1",
    "99999999999999999999",
    "a.b.c.d",
    "00000000000070008000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "https://evil.example/",
];

/// What is wrong with the answers to odd values of these parameters: each has its own code, and no value is repeated.
async fn judge(
    world: &World,
    client: &Client,
    form: &[(&str, &str)],
    names: &[(&'static str, &'static str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in names {
        for odd in ODD {
            // These are names that a connection might have, and none has.
            let named = ["null", "-1", "99999999999999999999", "a.b.c.d"].contains(&odd);
            let expected = if *name == "flow" && named { "invalid_target" } else { *expected };
            let form = changed(form, &[(*name, odd)]);
            let answer = ask(world.broker(), "/o/token/", client, &form).await;
            let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
            let body: Value = serde_json::from_str(&body).unwrap();
            let told = body["error_description"].as_str().unwrap_or_default();
            let repeated = told.contains(odd) && odd != " " && odd != "%";
            if repeated || (status, &body["error"]) != (400, &json!(expected)) {
                wrong.push(format!("{}: {name}={odd}: {status} {body}, not {expected}", form[0].1));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn an_odd_value_gets_the_error_of_its_parameter() {
    let (target, request, grant, scope) =
        ("invalid_target", "invalid_request", "invalid_grant", "invalid_scope");
    for mut world in World::each().await {
        let script = devices::script(&world, &json!({})).await;
        let device = devices::begin(&world, &script).await;
        let tokens = world.tokens(&[]).await;
        let machine = [("grant_type", "client_credentials")];
        let mut wrong = judge(&world, &world.shop, &machine, &[("scope", scope), ("resource", target)]).await;
        let code = [
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("redirect_uri", super::BACK),
            ("code_verifier", super::VERIFIER),
        ];
        // The code comes first: without it nothing else is looked at.
        let names = [("code", grant), ("redirect_uri", grant), ("code_verifier", grant), ("resource", grant)];
        wrong.extend(judge(&world, &world.shop, &code, &names).await);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
        let names = [("refresh_token", grant), ("scope", scope), ("resource", target)];
        wrong.extend(judge(&world, &world.shop, &refresh, &names).await);
        let poll = [("grant_type", devices::GRANT), ("device_code", text(&device["device_code"]))];
        wrong.extend(judge(&world, &script, &poll, &[("device_code", grant), ("resource", target)]).await);
        let exchange = [
            ("grant_type", super::exchange::GRANT),
            ("subject_token", text(&tokens["access_token"])),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", "acme/sandbox"),
        ];
        let names = [
            ("subject_token", request),
            ("subject_token_type", request),
            ("audience", target),
            ("flow", request),
            ("min_ttl", request),
            ("requested_token_type", request),
            ("actor_token", request),
            ("resource", target),
        ];
        wrong.extend(judge(&world, &world.shop, &exchange, &names).await);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        world.stop().await;
    }
}

#[tokio::test]
async fn no_value_of_any_parameter_is_a_500() {
    for world in World::each().await {
        let broker = world.broker();
        let script = devices::script(&world, &json!({})).await;
        for (name, refused) in [("scope", "invalid_scope"), ("resource", "invalid_target")] {
            for odd in ODD {
                let answer = ask(broker, "/o/device_authorization/", &script, &[(name, odd)]).await;
                assert_eq!(refusal(answer).await, error(400, refused), "{name}={odd}");
            }
        }
        for path in ["/o/introspect/", "/o/revoke_token/"] {
            for odd in ODD {
                let request =
                    broker.http.post(broker.at(path)).form(&[("token", odd), ("token_type_hint", odd)]);
                let answer = request.basic_auth(&world.shop.0, Some(&world.shop.1)).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{path} {odd}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn odd_grants_assertions_and_actors_get_the_standard_s_errors() {
    for world in World::each().await {
        let broker = world.broker();
        let token = broker.at("/o/token/");
        let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
        let access = "urn:ietf:params:oauth:token-type:access_token";
        for odd in ODD {
            let forms = [
                (true, vec![("grant_type", odd)], (400, "unsupported_grant_type")),
                (
                    false,
                    vec![("client_assertion_type", odd), ("client_assertion", "x")],
                    (400, "invalid_request"),
                ),
                (true, vec![("client_assertion_type", odd)], (400, "invalid_request")),
                (true, vec![("client_id", odd)], (400, "invalid_request")),
                (
                    true,
                    vec![
                        ("grant_type", exchange),
                        ("subject_token", "x"),
                        ("subject_token_type", access),
                        ("audience", "acme/sandbox"),
                        ("actor_token", odd),
                    ],
                    (400, "invalid_request"),
                ),
            ];
            for (authenticated, mut form, (status, code)) in forms {
                if !form.iter().any(|(name, _)| *name == "grant_type") {
                    form.push(("grant_type", "client_credentials"));
                }
                let request = broker.http.post(&token).form(&form);
                let request = match authenticated {
                    true => request.basic_auth(&world.shop.0, Some(&world.shop.1)),
                    false => request,
                };
                let refused = refusal(request.send().await.unwrap()).await;
                assert_eq!(refused, error(status, code), "{form:?}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn odd_names_proofs_and_headers_get_the_standard_s_errors() {
    for world in World::each().await {
        let broker = world.broker();
        let (token, userinfo) = (broker.at("/o/token/"), broker.at("/o/userinfo/"));
        let jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        // Each of these counts as a failure from here: a few must do.
        for odd in ["%", "\u{1F600}", "a.b.c.d"] {
            let forms = [
                vec![("client_id", odd), ("client_secret", "x")],
                vec![("client_id", &world.shop.0), ("client_secret", odd)],
                vec![("client_assertion_type", jwt), ("client_assertion", odd)],
            ];
            for mut form in forms {
                form.push(("grant_type", "client_credentials"));
                let answer = broker.http.post(&token).form(&form).send().await.unwrap();
                assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{form:?}");
            }
        }
        let headers: [&[u8]; 8] = [
            b"Basic",
            b"Basic ",
            b"Basic !!!",
            b"Basic bm9jb2xvbg==",
            b"Basic /zr/",
            b"Bearer x",
            b"Digest x",
            b"\xff\xfe",
        ];
        for value in headers {
            let form = [("grant_type", "client_credentials")];
            let request = broker.http.post(&token).header("authorization", value).form(&form);
            let answer = request.send().await.unwrap();
            assert!(answer.headers().contains_key("www-authenticate"), "{value:?}");
            assert_eq!(refusal(answer).await, error(401, "invalid_client"), "{value:?}");
            let answer = broker.http.get(&userinfo).header("authorization", value).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{value:?}");
        }
        for url in [&token, &userinfo] {
            let twice = broker.http.post(url).header("authorization", "Bearer x");
            let twice =
                twice.header("authorization", "Bearer x").form(&[("grant_type", "client_credentials")]);
            let answer = twice.send().await.unwrap();
            if url == &userinfo {
                let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
                assert_eq!(challenge, "Bearer realm=\"jeton\", error=\"invalid_request\"", "RFC 6750 §3.1");
            }
            assert_eq!(refusal(answer).await, error(400, "invalid_request"), "two headers at {url}");
        }
        let bearer = broker.http.get(broker.at("/admin/v1/apps")).header("authorization", "Bearer x");
        let answer = bearer.header("authorization", "Bearer x").send().await.unwrap();
        crate::support::problem::read(answer, "invalid_token").await;
        ok(ask(broker, "/o/token/", &world.shop, &[("grant_type", "client_credentials")]).await).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn no_value_at_the_pages_is_a_500_or_a_redirect_elsewhere() {
    for mut world in World::each().await {
        let names = [
            "client_id",
            "redirect_uri",
            "response_type",
            "response_mode",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "prompt",
            "max_age",
            "resource",
            "request",
            "request_uri",
        ];
        let own = [super::BACK.split_once('?').unwrap().0.to_owned(), world.broker().url.clone()];
        for name in names {
            for odd in ODD {
                let url = world.request(&[(name, odd)]);
                let seen = world.ada.get(&url).await;
                let status = seen.status.as_u16();
                assert!([200, 303, 400].contains(&status), "{name}={odd}: {status}");
                let safe = seen
                    .location
                    .as_ref()
                    .is_none_or(|to| own.iter().any(|own| to.as_str().starts_with(own)));
                assert!(safe, "{name}={odd}: {:?}", seen.location);
                assert!(!seen.body.contains("<script"), "{name}={odd}");
            }
        }
        let device = world.broker().at("/o/device/");
        for odd in ODD {
            let url = url::Url::parse_with_params(&device, [("user_code", odd)]).unwrap();
            let page = world.ada.get(url.as_str()).await;
            assert_eq!(page.status, 200);
            assert!(!page.body.contains("<script"), "{odd}");
        }
        let mut raw = Vec::new();
        for query in
            ["client_id=%", "client_id=%ff", "%00=1", "client_id", "&&&", "=", "client_id=a&client_id=b"]
        {
            raw.push(
                world
                    .ada
                    .get(&format!("{}?{query}", world.broker().at("/o/authorize/")))
                    .await
                    .status
                    .as_u16(),
            );
        }
        assert_eq!(raw, [400; 7], "{}", world.house.home.name);
        world.stop().await;
    }
}

/// What a page may answer to a form that it did not make: it says why, leads nowhere but home or, with an error, back to
/// the registered address, and is no yes.
fn is_harmless(seen: &Seen, own: &str, what: &str) {
    let status = seen.status.as_u16();
    assert!([200, 303, 400, 403, 404, 429].contains(&status), "{what}: {status}");
    let back = super::BACK.split_once('?').unwrap().0;
    if let Some(to) = seen.location.as_ref().map(|to| to.as_str()) {
        let refused = to.starts_with(back) && to.contains("error=") && !to.contains("code=");
        assert!(refused || to.starts_with(own), "{what}: {to}");
    }
    for never in ["<script", "may act for you now"] {
        assert!(!seen.body.contains(never), "{what}: {}", seen.body);
    }
}

#[tokio::test]
async fn no_form_of_a_page_is_a_500_or_a_redirect_elsewhere() {
    for mut world in World::each().await {
        let own = world.broker().url.clone();
        let page = world.ada.get(&world.request(&[])).await;
        let (query, shown, token) = (hidden(&page, "query"), hidden(&page, "shown"), page.csrf_token());
        let right = [("csrf_token", &*token), ("query", &query), ("shown", &shown), ("decision", "accept")];
        let action = world.broker().at("/o/authorize/");
        for (name, _) in right {
            for odd in ODD {
                let seen = world.ada.post(&action, &super::changed(&right, &[(name, odd)])).await;
                is_harmless(&seen, &own, &format!("consent {name}={odd}"));
            }
        }
        // Nothing of all that was a yes.
        assert_eq!(world.ada.get(&world.request(&[])).await.status, 200);
        let script = devices::script(&world, &json!({})).await;
        let device = devices::begin(&world, &script).await;
        let url = world.broker().at("/o/device/");
        let token = world.ada.get(&url).await.csrf_token();
        let code = super::text(&device["user_code"]);
        let right = [("csrf_token", &*token), ("user_code", code), ("decision", "accept")];
        for name in ["csrf_token", "decision", "user_code"] {
            for odd in ODD {
                let seen = world.ada.post(&url, &super::changed(&right, &[(name, odd)])).await;
                is_harmless(&seen, &own, &format!("device {name}={odd}"));
            }
        }
        world.house.credentials("sandbox", Some("acme")).await;
        let shop = links::sender(&world, "Web shop").await;
        let (_, url) = links::link(&world, &shop, "customer-7").await;
        for odd in ODD {
            let mut browser = Jar::new();
            browser.get(&url).await;
            let seen = browser.post(&url, &[("csrf_token", odd)]).await;
            is_harmless(&seen, &own, &format!("link csrf_token={odd}"));
            assert_eq!(seen.location, None, "{odd}");
        }
        assert_eq!(Jar::new().get(&url).await.status, 200, "{}", world.house.home.name);
        world.stop().await;
    }
}
