//! What people see and end themselves: applications let in, browsers signed in.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{World, ask, error, hidden, ok, refusal, text};
use crate::support::jar::Jar;

#[tokio::test]
async fn a_person_sees_whom_they_let_in_and_lets_them_out() {
    for mut world in World::each().await {
        let account = world.broker().at("/account");
        assert!(world.ada.get(&account).await.body.contains("None. Whoever asks"));
        let tokens = world.tokens(&[("scope", "openid email offline_access")]).await;
        world.house.pass(60);
        let later = world.tokens(&[("scope", "openid profile offline_access")]).await;
        let page = world.ada.get(&account).await;
        for shown in
            ["Shop", "See your e-mail address", "See your name", "Use the accounts that you connected"]
        {
            assert_eq!(
                page.body.matches(shown).count(),
                1 + usize::from(shown == "Shop"),
                "{shown}: {}",
                page.body
            );
        }
        let mut stranger = Jar::new();
        stranger.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let eves = stranger.get(&account).await.csrf_token();
        let id = hidden(&page, "client_id");
        assert_eq!(id, world.shop.0);
        let out = world.broker().at("/account/applications");
        let foreign = stranger.post(&out, &[("csrf_token", &eves), ("client_id", &id)]).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "Eve let nobody in");
        assert_eq!(world.ada.post(&out, &[("client_id", &id)]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.userinfo(text(&tokens["access_token"])).await.status(), 200);
        let token = page.csrf_token();
        let done = world.ada.post(&out, &[("csrf_token", &token), ("client_id", &id)]).await.to();
        assert!(world.ada.get(done.as_str()).await.body.contains("None. Whoever asks"));
        for tokens in [&tokens, &later] {
            assert_eq!(world.userinfo(text(&tokens["access_token"])).await.status(), 401);
            let refused = world.refresh(text(&tokens["refresh_token"]), &[]).await;
            assert_eq!(refusal(refused).await, error(400, "invalid_grant"));
        }
        let asked = world.ada.get(&world.request(&[("scope", "openid")])).await;
        assert_eq!(asked.status, 200, "{}: it asks anew", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_person_ends_another_browser_and_nobody_elses() {
    for mut world in World::each().await {
        let url = world.broker().url.clone();
        let (account, end) = (world.broker().at("/account"), world.broker().at("/account/sessions"));
        let ids = |body: &str| {
            let parts = body.split("name=\"session\" value=\"").skip(1);
            parts.map(|part| part.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut library = Jar::new();
        library.sign_in(&url, "ada@example.com").await;
        let page = world.ada.get(&account).await;
        let sessions = ids(&page.body);
        assert_eq!((sessions.len(), page.body.matches("this browser").count()), (2, 1), "{}", page.body);
        let (newest, own) = (&sessions[0], &sessions[1]);
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let eves = eve.get(&account).await.csrf_token();
        for session in [newest.as_str(), "x", ""] {
            let refused = eve.post(&end, &[("csrf_token", &eves), ("session", session)]).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{session}");
        }
        assert_eq!(library.get(&account).await.status, 200);
        let token = page.csrf_token();
        world.ada.post(&end, &[("csrf_token", &token), ("session", newest)]).await.to();
        assert!(library.get(&account).await.to().path().ends_with("/login"));
        assert_eq!(world.ada.get(&account).await.status, 200);
        let out = world.ada.post(&end, &[("csrf_token", &token), ("session", own)]).await.to();
        assert!(out.path().ends_with("/login"), "{}: {out}", world.house.home.name);
        assert!(world.ada.get(&account).await.to().path().ends_with("/login"));
        world.stop().await;
    }
}

/// The forms' own addresses have no page.
#[tokio::test]
async fn who_is_signed_out_meanwhile_comes_back_to_the_page_of_the_form() {
    for mut world in World::each().await {
        world.house.pass(13 * 3_600);
        for (path, back) in [
            ("/account/sessions", "/account"),
            ("/account/applications", "/account"),
            ("/login/oidc/unlink", "/"),
        ] {
            let to = world.ada.post(&world.broker().at(path), &[("csrf_token", "x")]).await.to();
            assert!(to.path().ends_with("/login"), "{to}");
            assert_eq!(super::parameter(&to, "return_to"), back, "{path}: {}", world.house.home.name);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn an_admin_sees_a_person_s_browsers_and_signs_all_of_them_and_nobody_else_out() {
    for mut world in World::each().await {
        let (url, account) = (world.broker().url.clone(), world.broker().at("/account"));
        let mut library = Jar::new();
        library.sign_in(&url, "ada@example.com").await;
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let users: Value = world.house.ask(Method::GET, "/admin/v1/users", None).await.json().await.unwrap();
        let of = |email: &str| {
            let user = users["items"].as_array().unwrap().iter().find(|user| user["email"] == email);
            format!("/admin/v1/users/{}/sessions", super::text(&user.unwrap()["id"]))
        };
        let (sessions, eves) = (of("ada@example.com"), of("eve@example.com"));
        let list_of = async |path: &str| -> Value {
            world.house.ask(Method::GET, path, None).await.json().await.unwrap()
        };
        let list = async || list_of(&sessions).await;
        let listed = list().await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
        for cookie in [world.ada.cookies(), library.cookies()].concat() {
            assert!(!listed.to_string().contains(&cookie), "a cookie is shown");
        }
        assert_eq!(library.get(&account).await.status, 200);
        assert_eq!(world.house.ask(Method::DELETE, &sessions, None).await.status(), 204);
        assert_eq!(list().await["items"], json!([]), "{}", world.house.home.name);
        for browser in [&mut world.ada, &mut library] {
            assert!(browser.get(&account).await.to().path().ends_with("/login"), "its cookie is dead");
        }
        assert_eq!(eve.get(&account).await.status, 200, "nobody else is signed out");
        assert_eq!(list_of(&eves).await["items"].as_array().unwrap().len(), 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_no_leaves_its_trace() {
    for mut world in World::each().await {
        let url = world.request(&[("scope", "openid profile")]);
        let back = super::say(&mut world.ada, &url, "cancel").await;
        assert!(back.as_str().contains("error=access_denied"), "{back}");
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let denied = "audit_event WHERE action = 'grant.approve' AND result = 'denied'";
        assert_eq!(
            sql.texts(&format!("SELECT subject FROM {denied}")).await.len(),
            1,
            "{}",
            world.house.home.name
        );
        world.stop().await;
    }
}

/// One that waited too long is told so for an hour, whatever others begin meanwhile.
#[tokio::test]
async fn what_is_over_is_swept_late_enough_to_say_what_happened() {
    for world in World::each().await {
        let script = super::devices::script(&world, &json!({})).await;
        let device = super::devices::begin(&world, &script).await;
        let poll = async || {
            let form = [("grant_type", super::devices::GRANT), ("device_code", text(&device["device_code"]))];
            refusal(ask(world.broker(), "/o/token/", &script, &form).await).await
        };
        world.house.pass(50 * 60);
        super::devices::begin(&world, &script).await;
        assert_eq!(poll().await, error(400, "expired_token"));
        world.house.pass(21 * 60);
        super::devices::begin(&world, &script).await;
        assert_eq!(poll().await, error(400, "invalid_grant"), "{}", world.house.home.name);
        let tokens = ok(ask(world.broker(), "/o/device_authorization/", &script, &[]).await).await;
        assert_eq!(tokens["expires_in"], 600);
        world.stop().await;
    }
}
