//! The device flow: A11.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Client, World, ask, claims, error, ok, public, refusal, resources, text};
use crate::support::jar::{Jar, Seen};

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(super) async fn script(world: &World, changes: &Value) -> Client {
    let mut body = json!({
        "identifier": "Notebook", "kind": "programmatic",
        "scopes": ["openid", "profile", "offline_access"],
    });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    public(&world.house, &body).await
}

pub(super) async fn begin(world: &World, script: &Client) -> Value {
    ok(ask(world.broker(), "/o/device_authorization/", script, &[]).await).await
}

async fn poll(world: &World, script: &Client, device: &Value) -> Response {
    poll_for(world, script, device, "").await
}

async fn poll_for(world: &World, script: &Client, device: &Value, resource: &str) -> Response {
    let form = [("grant_type", GRANT), ("device_code", text(&device["device_code"])), ("resource", resource)];
    ask(world.broker(), "/o/token/", script, &form).await
}

/// Types a code, and says yes or no if asked.
pub(super) async fn answer(jar: &mut Jar, world: &World, code: &str, decision: &str) -> Seen {
    let url = world.broker().at("/o/device/");
    let token = jar.get(&url).await.csrf_token();
    let asked = jar.post(&url, &[("csrf_token", &token), ("user_code", code)]).await;
    if asked.status != 200 {
        return asked;
    }
    assert!(asked.body.contains("Notebook"), "{}", asked.body);
    let letters: Vec<char> =
        code.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect();
    let shown = format!("{}-{}", String::from_iter(&letters[..4]), String::from_iter(&letters[4..]));
    assert!(asked.body.contains(&format!("<code class=\"shown\">{shown}</code>")), "{}", asked.body);
    jar.post(&url, &[("csrf_token", &token), ("user_code", code), ("decision", decision)]).await
}

#[tokio::test]
async fn a_script_gets_a_persons_tokens_once_the_person_has_typed_its_code() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        assert_eq!((&device["expires_in"], &device["interval"]), (&json!(600), &json!(5)));
        let page = world.broker().at("/o/device/");
        assert_eq!(text(&device["verification_uri"]), page);
        let code = text(&device["user_code"]);
        assert_eq!(text(&device["verification_uri_complete"]), format!("{page}?user_code={code}"));
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "authorization_pending"));
        // Opening the link answers nothing.
        let seen = world.ada.get(text(&device["verification_uri_complete"])).await;
        assert!(seen.body.contains(code) && !seen.body.contains("Notebook"), "{}", seen.body);
        world.house.pass(5);
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "authorization_pending"));
        let mut ada = world.ada.clone();
        let done = answer(&mut ada, &world, &code.to_lowercase().replace('-', " "), "accept").await;
        assert!(done.body.contains("may act for you now"), "{}", done.body);
        world.house.pass(5);
        let tokens = ok(poll(&world, &script, &device).await).await;
        assert_eq!(tokens["scope"], "openid profile offline_access");
        assert_eq!(claims(&tokens["id_token"])["preferred_username"], "ada@example.com");
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "invalid_grant"));
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
        ok(ask(world.broker(), "/o/token/", &script, &form).await).await;
        world.ada = ada;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_that_hurries_is_slowed_down_and_one_that_waits_too_long_is_told() {
    for world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "authorization_pending"));
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "slow_down"));
        world.house.pass(6);
        assert_eq!(
            refusal(poll(&world, &script, &device).await).await,
            error(400, "slow_down"),
            "10 s from then on"
        );
        world.house.pass(15);
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "authorization_pending"));
        world.house.pass(600);
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "expired_token"));
        world.stop().await;
    }
}

#[tokio::test]
async fn no_is_no_and_a_code_is_answered_once() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let mut ada = world.ada.clone();
        let done = answer(&mut ada, &world, text(&device["user_code"]), "cancel").await;
        assert!(done.body.contains("was told no"), "{}", done.body);
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "access_denied"));
        let again = answer(&mut ada, &world, text(&device["user_code"]), "accept").await;
        assert_eq!(again.status, 400);
        assert_eq!(refusal(poll(&world, &script, &device).await).await, error(400, "access_denied"));
        // Another client's device code is nobody's.
        let device = begin(&world, &script).await;
        let body = json!({"identifier": "Other", "kind": "programmatic", "scopes": ["openid"]});
        let other = public(&world.house, &body).await;
        assert_eq!(refusal(poll(&world, &other, &device).await).await, error(400, "invalid_grant"));
        world.ada = ada;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_gets_its_token_for_the_resource_server_it_began_with_and_no_other() {
    for world in World::each().await {
        resources::register(&world).await;
        let scopes = json!({"resources": [resources::TERMS], "scopes": ["openid", "terms:read"]});
        let script = script(&world, &scopes).await;
        let issuer = world.broker().url.clone();
        let terms = [("resource", resources::TERMS)];
        for (asked, own, other) in [
            (&terms[..], resources::TERMS, &*issuer),
            (&[("resource", &*issuer)], &*issuer, resources::TERMS),
        ] {
            let device = ok(ask(world.broker(), "/o/device_authorization/", &script, asked).await).await;
            let refused = refusal(poll_for(&world, &script, &device, other).await).await;
            assert_eq!(refused, error(400, "invalid_target"), "while it waits");
            answer(&mut world.ada.clone(), &world, text(&device["user_code"]), "accept").await;
            for wrong in [other, "https://evil.example/", "x"] {
                let refused = refusal(poll_for(&world, &script, &device, wrong).await).await;
                assert_eq!(refused, error(400, "invalid_target"), "{wrong}: {}", world.house.home.name);
            }
            let tokens = ok(poll_for(&world, &script, &device, own).await).await;
            assert_eq!(claims(&tokens["access_token"])["aud"], own);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn the_page_ignores_parameters_it_does_not_know_and_refuses_known_ones_twice() {
    for world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let (code, mut ada) = (text(&device["user_code"]), world.ada.clone());
        let url = world.broker().at("/o/device/");
        let page = ada.get(&format!("{url}?user_code={code}&utm_source=mail&x=1&x=2")).await;
        assert!(page.status == 200 && page.body.contains(code), "{}: {}", page.status, page.body);
        for query in [format!("user_code={code}&user_code={code}"), "user_code=%".to_owned()] {
            assert_eq!(ada.get(&format!("{url}?{query}")).await.status, 400, "{query}");
        }
        let token = page.csrf_token();
        let form = [("csrf_token", token.as_str()), ("user_code", code), ("decision", "accept")];
        for (name, value) in form {
            let seen = ada.post(&url, &[&form[..], &[(name, value)]].concat()).await;
            assert_eq!(seen.status, 400, "{name} twice");
            assert!(seen.body.contains("<html"), "told on a page: {}", seen.body);
        }
        let seen = ada.post(&url, &[&form[..], &[("utm_source", "mail")]].concat()).await;
        assert!(seen.body.contains("may act for you now"), "{}", seen.body);
        ok(poll(&world, &script, &device).await).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_tells_which_grants_it_may_use_and_may_use_no_other() {
    for world in World::each().await {
        let [code, refresh, exchange] =
            ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"];
        let machine = "client_credentials";
        let table = [
            (json!({"kind": "service"}), vec![machine]),
            (json!({"kind": "service", "refresh_tokens": true}), vec![machine, refresh]),
            (json!({"kind": "programmatic"}), vec![code, refresh, GRANT]),
            (json!({"kind": "programmatic", "scopes": []}), vec![code, GRANT]),
            (json!({"kind": "programmatic", "scopes": ["offline_access"]}), vec![code, refresh, GRANT]),
            (json!({"kind": "provider"}), vec![machine, code, exchange]),
        ];
        for (number, (mut body, grants)) in table.into_iter().enumerate() {
            body["identifier"] = json!(format!("client {number}"));
            let made = world.house.write(Method::POST, "/clients", &body).await;
            let told = |client: &Value| {
                let grants = client["grant_types"].as_array().unwrap();
                grants.iter().map(|grant| text(grant).to_owned()).collect::<std::collections::BTreeSet<_>>()
            };
            let grants: std::collections::BTreeSet<_> = grants.into_iter().map(str::to_owned).collect();
            assert_eq!(told(&made), grants, "{body}");
            let path = format!("/admin/v1/clients/{}", text(&made["client_id"]));
            let read: Value = world.house.ask(Method::GET, &path, None).await.json().await.unwrap();
            assert_eq!(told(&read), grants, "{body}");
            let secret = made["client_secret"].as_str().unwrap_or_default().to_owned();
            let client = (text(&made["client_id"]).to_owned(), secret);
            let begun = ask(world.broker(), "/o/device_authorization/", &client, &[]).await;
            if grants.contains(GRANT) {
                ok(begun).await;
            } else {
                assert_eq!(refusal(begun).await, error(400, "unauthorized_client"), "{body}");
                let form = [("grant_type", GRANT), ("device_code", "x")];
                let polled = ask(world.broker(), "/o/token/", &client, &form).await;
                assert_eq!(refusal(polled).await, error(400, "unauthorized_client"), "{body}");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_gets_superadmin_rights_only_where_its_client_is_confined() {
    for world in World::each().await {
        world.house.credentials("sandbox", Some("acme")).await;
        world.house.import("acme", "sandbox", &json!({})).await;
        let mut root = Jar::new();
        root.accept(&world.broker().invitation_url, "Root").await;
        let wide = json!({"identifier": "Notebook wide", "role": "superadmin", "scopes": ["openid", "binb:read", "apps:read"]});
        let confined = json!({
            "identifier": "Notebook confined", "role": "superadmin", "scopes": ["openid", "binb:read", "apps:read"],
            "allow": ["acme/*"],
        });
        for (body, status) in [(wide, 403), (confined, 200)] {
            let script = script(&world, &body).await;
            let device = begin(&world, &script).await;
            answer(&mut root, &world, text(&device["user_code"]), "accept").await;
            let tokens = ok(poll(&world, &script, &device).await).await;
            let token = text(&tokens["access_token"]);
            assert_eq!(claims(&tokens["access_token"]).get("role").is_some(), status == 200, "{tokens}");
            let get = async |path: &str| {
                let http = &world.broker().http;
                http.get(world.broker().at(path)).bearer_auth(token).send().await.unwrap().status().as_u16()
            };
            assert_eq!(get("/acme/sandbox/binb-token").await, status, "{}", world.house.home.name);
            assert_eq!(get("/globex/sandbox/binb-token").await, 403);
            assert_eq!(get("/admin/v1/apps").await, 403);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_let_in_before_everybody_was_signed_out_gets_nothing() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let mut ada = world.ada.clone();
        answer(&mut ada, &world, text(&device["user_code"]), "accept").await;
        let users: Value = world.house.ask(Method::GET, "/admin/v1/users", None).await.json().await.unwrap();
        let id = text(&users["items"][0]["id"]).to_owned();
        world.house.ask(Method::DELETE, &format!("/admin/v1/users/{id}/sessions"), None).await;
        let refused = refusal(poll(&world, &script, &device).await).await;
        assert_eq!(refused, error(400, "invalid_grant"), "{}", world.house.home.name);
        world.ada = ada;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_device_code_changed_by_sql_is_worth_nothing() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let users = world.house.ask(Method::GET, "/admin/v1/users", None).await;
        let users: Value = users.json().await.unwrap();
        let id = text(&users["items"][0]["id"]).to_owned();
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let id = if world.house.home.name == "sqlite" {
            format!("X'{}'", id.replace('-', ""))
        } else {
            format!("'{id}'")
        };
        sql.run(&format!(
            "UPDATE device_code SET state = 'approved', auth_time = created_at, user_id = {id}"
        ))
        .await;
        let (status, code) = refusal(poll(&world, &script, &device).await).await;
        assert_eq!((status, code.as_str()), (500, "server_error"), "{}", world.house.home.name);
        world.ada = Jar::new();
        world.stop().await;
    }
}

#[tokio::test]
async fn a_flood_of_devices_is_bounded() {
    for world in World::each().await {
        let script = script(&world, &json!({})).await;
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        begin(&world, &script).await;
        // As many as may wait for one client, but for one.
        let copy = "INSERT INTO device_code (id, code_hash, user_code_hash, client_id, scopes, state, interval_us, created_at, expires_at, own_mac) ";
        let sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
             SELECT randomblob(16), code_hash, randomblob(32), client_id, scopes, state, interval_us, created_at, expires_at, own_mac FROM device_code, n";
        let postgres = "SELECT gen_random_uuid(), code_hash, decode(md5(i::text), 'hex'), client_id, scopes, state, interval_us, created_at, expires_at, own_mac FROM device_code, generate_series(1, 999) i";
        let rows = if world.house.home.name == "sqlite" { sqlite } else { postgres };
        sql.run(&format!("{copy}{rows}")).await;
        let refused = refusal(ask(world.broker(), "/o/device_authorization/", &script, &[]).await).await;
        assert_eq!(refused, error(503, "temporarily_unavailable"), "{}", world.house.home.name);
        world.house.pass(601);
        begin(&world, &script).await;
        world.stop().await;
    }
}

/// Whoever writes rows has somebody else's yes, if what the person types may lead to another row.
#[tokio::test]
async fn a_code_turned_to_another_device_by_sql_lets_nobody_in() {
    for world in World::each().await {
        let script = script(&world, &json!({})).await;
        let (own, other) = (begin(&world, &script).await, begin(&world, &script).await);
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        // The later row takes the hash of the earlier one, which gets another.
        sql.run("CREATE TABLE kept AS SELECT user_code_hash AS hash FROM device_code ORDER BY id LIMIT 1")
            .await;
        sql.run("DELETE FROM device_code WHERE id = (SELECT min_id FROM (SELECT id AS min_id FROM device_code ORDER BY id LIMIT 1) AS first_row)").await;
        sql.run("UPDATE device_code SET user_code_hash = (SELECT hash FROM kept)").await;
        let mut ada = world.ada.clone();
        let url = world.broker().at("/o/device/");
        let token = ada.get(&url).await.csrf_token();
        let form =
            [("csrf_token", token.as_str()), ("user_code", text(&own["user_code"])), ("decision", "accept")];
        let seen = ada.post(&url, &form).await;
        assert_eq!(seen.status, 500, "{}: {}", world.house.home.name, seen.body);
        assert_eq!(refusal(poll(&world, &script, &other).await).await.1, "server_error");
        world.stop().await;
    }
}
