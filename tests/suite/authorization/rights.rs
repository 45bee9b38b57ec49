//! What a person's token may do: A14, A15. Never more than the client, the person, and what was agreed to.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, World, ask, claims, links, ok, parameter, public, say, text};
use crate::support::jar::Jar;

/// A script's token for this person.
pub(super) async fn token_of(world: &World, jar: &mut Jar, client: &Client, scope: &str) -> Value {
    let changes = [("redirect_uri", "http://127.0.0.1:4711/cb"), ("scope", scope)];
    let url = super::authorization_request(&world.broker().url, &client.0, &changes);
    let back = say(jar, &url, "accept").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &parameter(&back, "code")),
        ("redirect_uri", "http://127.0.0.1:4711/cb"),
        ("code_verifier", super::VERIFIER),
    ];
    ok(ask(world.broker(), "/o/token/", client, &form).await).await
}

pub(super) async fn script(world: &World, changes: &Value) -> Client {
    let mut body = json!({
        "identifier": "Script", "kind": "programmatic", "redirect_uris": ["http://127.0.0.1/cb"],
        "role": "superadmin", "scopes": ["openid", "superadmin"],
    });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    public(&world.house, &body).await
}

async fn get(world: &World, tokens: &Value, path: &str) -> u16 {
    let request = world.broker().http.get(world.broker().at(path)).bearer_auth(text(&tokens["access_token"]));
    request.send().await.unwrap().status().as_u16()
}

pub(super) async fn root(world: &World) -> Jar {
    let mut root = Jar::new();
    root.accept(&world.broker().invitation_url, "Root").await;
    root
}

#[tokio::test]
async fn a_superadmins_script_administers_and_a_members_does_not() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let mut root = root(&world).await;
        let tokens = token_of(&world, &mut root, &script, "openid superadmin").await;
        assert_eq!(claims(&tokens["access_token"])["role"], "superadmin");
        assert_eq!(get(&world, &tokens, "/admin/v1/apps").await, 200);
        let narrow = token_of(&world, &mut root, &script, "apps:read").await;
        assert_eq!(
            (get(&world, &narrow, "/admin/v1/apps").await, get(&world, &narrow, "/admin/v1/clients").await),
            (200, 403)
        );
        let mut ada = world.ada.clone();
        let member = token_of(&world, &mut ada, &script, "openid superadmin").await;
        assert_eq!(member["scope"], "openid", "she has no more to give");
        assert!(claims(&member["access_token"]).get("role").is_none());
        for path in ["/admin/v1/apps", "/acme/sandbox/binb-token", "/acme/sandbox/status"] {
            assert_eq!(get(&world, &member, path).await, 403, "{path} on {}", world.house.home.name);
        }
        // She has none of these at all.
        let changes = [("redirect_uri", "http://127.0.0.1/cb"), ("scope", "superadmin")];
        let url = super::authorization_request(&world.broker().url, &script.0, &changes);
        assert_eq!(parameter(&ada.get(&url).await.to(), "error"), "access_denied");
        world.ada = ada;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_without_the_role_gets_no_superadmin_rights_from_a_superadmin() {
    for world in World::each().await {
        let script = script(&world, &json!({"role": null, "scopes": ["openid", "apps:read"]})).await;
        let tokens = token_of(&world, &mut root(&world).await, &script, "openid apps:read").await;
        assert_eq!(tokens["scope"], "openid");
        assert_eq!(get(&world, &tokens, "/admin/v1/apps").await, 403, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_confined_script_reaches_its_locations_and_nothing_else() {
    for world in World::each().await {
        world.house.credentials("sandbox", Some("acme")).await;
        world.house.import("acme", "sandbox", &json!({})).await;
        let script = script(&world, &json!({"allow": ["acme/sandbox"]})).await;
        let tokens = token_of(&world, &mut root(&world).await, &script, "openid superadmin").await;
        assert_eq!(get(&world, &tokens, "/acme/sandbox/binb-token").await, 200);
        assert_eq!(get(&world, &tokens, "/acme/sandbox/status").await, 200);
        let spec: Value = serde_json::from_str(include_str!("../../../api-spec/openapi.json")).unwrap();
        let mut tried = 0;
        for (path, operations) in spec["paths"].as_object().unwrap() {
            if !path.starts_with("/admin/v1") {
                continue;
            }
            for method in operations.as_object().unwrap().keys() {
                let path = path
                    .replace("{app_id}", "acme")
                    .replace("{connector}", "sandbox")
                    .replace(['{', '}'], "");
                let method: Method = method.to_uppercase().parse().unwrap();
                let request = world.broker().http.request(method.clone(), world.broker().at(&path));
                let answer = request.bearer_auth(text(&tokens["access_token"])).send().await.unwrap();
                assert_eq!(answer.status(), 403, "{method} {path}");
                tried += 1;
            }
        }
        assert!(tried > 40, "the whole administration: {tried}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_narrowed_row_of_client_or_person_binds_tokens_already_out() {
    for world in World::each().await {
        let script = script(&world, &json!({})).await;
        let tokens = token_of(&world, &mut root(&world).await, &script, "superadmin").await;
        assert_eq!(get(&world, &tokens, "/admin/v1/clients").await, 200);
        let path = format!("/clients/{}", script.0);
        world.house.write(Method::PATCH, &path, &json!({"scopes": ["apps:read"]})).await;
        assert_eq!(get(&world, &tokens, "/admin/v1/clients").await, 403);
        assert_eq!(get(&world, &tokens, "/admin/v1/apps").await, 200);
        let user = text(&claims(&tokens["access_token"])["sub"]).to_owned();
        world.house.write(Method::PATCH, &format!("/users/{user}"), &json!({"role": null})).await;
        world.house.pass(5);
        assert_eq!(get(&world, &tokens, "/admin/v1/apps").await, 403, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_or_grant_widened_by_sql_is_not_used() {
    for mut world in World::each().await {
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let job = json!({"identifier": "job", "kind": "service", "role": "superadmin", "scopes": ["binb:read"], "allow": ["acme/*"]});
        let job = world.house.client(&job).await;
        let token = world.broker().token_of(&job).await;
        let tokens = world.tokens(&[]).await;
        sql.run(&format!(
            "UPDATE client SET allow = NULL, scopes = 'superadmin' WHERE client_id = '{}'",
            job.0
        ))
        .await;
        world.house.pass(5);
        let form = [("grant_type", "client_credentials")];
        let refused = super::refusal(ask(world.broker(), "/o/token/", &job, &form).await).await;
        assert_eq!(refused, super::error(500, "server_error"));
        let request =
            world.broker().http.get(world.broker().at("/acme/sandbox/binb-token")).bearer_auth(token);
        let problem: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(problem["code"], "secret_unreadable");
        let path = format!("/admin/v1/clients/{}", job.0);
        let changed = world.house.ask(Method::PATCH, &path, Some(&json!({"identifier": "innocent"}))).await;
        let problem: Value = changed.json().await.unwrap();
        assert_eq!(
            problem["code"], "secret_unreadable",
            "an innocent change does not make it ours: {problem}"
        );
        let listed = world.house.ask(Method::GET, "/admin/v1/clients", None).await;
        assert_eq!(listed.status(), 200, "it hides no other");
        assert_eq!(world.house.ask(Method::DELETE, &path, None).await.status(), 204, "it can go");
        sql.run("UPDATE oauth_grant SET scopes = 'superadmin openid'").await;
        let refused = super::refusal(world.refresh(text(&tokens["refresh_token"]), &[]).await).await;
        assert_eq!(refused, super::error(500, "server_error"), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn an_account_made_beforehand_gains_nothing_by_its_address() {
    for world in World::each().await {
        // Somebody registers the address that will be invited.
        let body = json!({"email": "grace@example.com", "display_name": "Not Grace"});
        let made = world.house.write(Method::POST, "/users", &body).await;
        let mut squatter = Jar::new();
        let link = text(&made["url"]).to_owned();
        let token = squatter.get(&link).await.csrf_token();
        let form = [("password", crate::support::house::PASSWORD), ("csrf_token", token.as_str())];
        assert_eq!(squatter.post(&link, &form).await.status, 303);
        world.house.invitation("acme", "grace@example.com").await;
        let seen = squatter.get(&world.broker().at("/acme/connect")).await;
        assert_eq!(seen.status, 403, "an address alone gives nothing: {}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_signup_link_with_somebody_s_address_is_another_person() {
    for mut world in World::each().await {
        world.house.credentials("sandbox", Some("acme")).await;
        let shop = links::sender(&world, "Web shop").await;
        let tokens = world.tokens(&[("scope", "openid")]).await;
        let ada = text(&claims(&tokens["access_token"])["sub"]).to_owned();
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let members = async |app: &str| -> Value {
            let path = format!("/admin/v1/apps/{app}/members");
            world.house.ask(Method::GET, &path, None).await.json().await.unwrap()
        };
        let before = members("acme").await;
        let body = json!({
            "connector": "sandbox", "user": {"id": "customer-7", "email": "ada@example.com"},
            "return_to": links::DONE,
        });
        let made = links::post(world.broker(), &shop, "/apps/acme/signup-links", &body).await;
        let made: Value = made.json().await.unwrap();
        let mut browser = Jar::new();
        links::connect(&mut browser, text(&made["url"])).await;
        assert_eq!(members("acme").await, before, "opening it makes nobody a member");
        let path = format!("/apps/acme/signup-links/{}/confirm", text(&made["id"]));
        let confirmed = ok(links::post(world.broker(), &shop, &path, &json!({})).await).await;
        assert_ne!(confirmed["user_id"], json!(ada), "{}", world.house.home.name);
        // Ada is a member as before, and the browser is not signed in as her, nor at home at all.
        let (was, now) = (&before["items"][0], members("acme").await);
        assert!(now["items"].as_array().unwrap().contains(was), "{now}");
        assert_eq!(browser.get(&world.broker().at("/login")).await.status, 200, "no login");
        let owners = sql.texts("SELECT owner FROM connection").await;
        assert!(owners.iter().all(|owner| !owner.contains(&ada)), "{owners:?}");
        world.stop().await;
    }
}
