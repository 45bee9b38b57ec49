//! What a person is asked, and what follows from the answer.

use serde_json::json;

use super::{World, ask, claims, error, hidden, ok, parameter, refusal, say, text};
use crate::support::house::PASSWORD;
use crate::support::jar::Jar;

#[tokio::test]
async fn who_is_not_signed_in_signs_in_on_the_way() {
    for world in World::each().await {
        let mut browser = Jar::new();
        let url = world.request(&[("state", &"s".repeat(1_500))]);
        let page = browser.get(&url).await;
        let return_to = hidden(&page, "return_to");
        let login = world.broker().at("/login");
        let mut form = vec![
            ("email", "ada@example.com".to_owned()),
            ("password", "wrong".to_owned()),
            ("csrf_token", page.csrf_token()),
            ("return_to", return_to),
        ];
        let fields = |form: &[(&'static str, String)]| form.to_vec();
        let wrong = fields(&form);
        let wrong: Vec<_> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let again = browser.post(&login, &wrong).await;
        assert_eq!(again.status, 401, "{}", again.body);
        form[1].1 = PASSWORD.to_owned();
        form[2].1 = again.csrf_token();
        form[3].1 = hidden(&again, "return_to");
        let right: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let next = browser.post(&login, &right).await.to();
        let back = say(&mut browser, next.as_str(), "accept").await;
        assert_eq!(parameter(&back, "state").len(), 1_500);
        ok(world.redeem(&parameter(&back, "code"), &[]).await).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn what_was_agreed_to_is_not_asked_again_and_more_is() {
    for mut world in World::each().await {
        world.tokens(&[("scope", "openid profile")]).await;
        let same = world.request(&[("scope", "openid")]);
        assert!(world.ada.get(&same).await.location.is_some(), "nothing new: no page");
        let more = world.request(&[("scope", "openid email")]);
        let page = world.ada.get(&more).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("See your e-mail address"), "{}", page.body);
        let forced = world.request(&[("scope", "openid"), ("prompt", "consent")]);
        assert_eq!(world.ada.get(&forced).await.status, 200);
        world.stop().await;
    }
}

#[tokio::test]
async fn nobody_agrees_by_sql() {
    for mut world in World::each().await {
        world.tokens(&[("scope", "openid profile")]).await;
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        sql.run("UPDATE consent SET scopes = 'openid profile email'").await;
        for scope in ["openid email", "openid profile"] {
            let page = world.ada.get(&world.request(&[("scope", scope)])).await;
            assert_eq!(page.status, 200, "{}: {scope} is asked", world.house.home.name);
        }
        world.tokens(&[("scope", "openid profile")]).await;
        assert!(
            world.ada.get(&world.request(&[("scope", "openid")])).await.location.is_some(),
            "stored again"
        );
        world.stop().await;
    }
}

#[tokio::test]
async fn an_answer_counts_only_from_the_page_that_asked_this_person() {
    for mut world in World::each().await {
        let url = world.request(&[]);
        let page = world.ada.get(&url).await;
        let (query, shown, token) = (hidden(&page, "query"), hidden(&page, "shown"), page.csrf_token());
        let action = world.broker().at("/o/authorize/");
        let form = |token: &str, shown: &str| {
            vec![
                ("csrf_token", token.to_owned()),
                ("query", query.clone()),
                ("shown", shown.to_owned()),
                ("decision", "accept".to_owned()),
            ]
        };
        async fn post(jar: &mut Jar, action: &str, form: &[(&str, String)]) -> crate::support::jar::Seen {
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            jar.post(action, &form).await
        }
        let forged = post(&mut world.ada, &action, &form("forged", &shown)).await;
        assert_eq!((forged.status.as_u16(), forged.location), (403, None));
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let other = post(&mut eve, &action, &form(&token, &shown)).await;
        assert_eq!((other.status.as_u16(), other.location), (403, None));
        // Another scope than the page showed: asked again.
        let again = post(&mut world.ada, &action, &form(&token, "openid")).await;
        assert_eq!((again.status.as_u16(), again.location), (200, None), "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn no_is_told_and_nothing_is_remembered() {
    for mut world in World::each().await {
        let url = world.request(&[]);
        let back = say(&mut world.ada, &url, "cancel").await;
        assert_eq!(
            (parameter(&back, "error"), parameter(&back, "state")),
            ("access_denied".into(), "af0ifjsldkj".into())
        );
        assert_eq!(world.ada.get(&url).await.status, 200, "asked again");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_page_shows_is_escaped() {
    for mut world in World::each().await {
        let name = "<script>alert(1)</script>\"'";
        let evil = world.house.client(&super::provider(name)).await;
        let url = super::authorization_request(&world.broker().url, &evil.0, &[]);
        let page = world.ada.get(&url).await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("<script"), "{}", page.body);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_new_password_and_an_end_of_all_sessions_end_what_clients_hold() {
    for mut world in World::each().await {
        let mut tokens = world.tokens(&[]).await;
        let id = text(&claims(&tokens["access_token"])["sub"]).to_owned();
        for end in ["sessions", "password"] {
            match end {
                "sessions" => {
                    let path = format!("/admin/v1/users/{id}/sessions");
                    world.house.ask(reqwest::Method::DELETE, &path, None).await;
                }
                _ => {
                    let path = format!("/users/{id}/password-link");
                    let made = world.house.write(reqwest::Method::POST, &path, &json!({})).await;
                    let link = text(&made["url"]).to_owned();
                    let token = world.ada.get(&link).await.csrf_token();
                    let form = [("password", PASSWORD), ("csrf_token", token.as_str())];
                    assert_eq!(world.ada.post(&link, &form).await.status, 303);
                }
            }
            let refused = refusal(world.refresh(text(&tokens["refresh_token"]), &[]).await).await;
            assert_eq!(refused, error(400, "invalid_grant"), "{end}");
            world.house.pass(5);
            let told = world.userinfo(text(&tokens["access_token"])).await;
            assert_eq!(told.status(), 401, "{end} on {}", world.house.home.name);
            let url = world.broker().url.clone();
            world.ada = Jar::new();
            world.ada.sign_in(&url, "ada@example.com").await;
            tokens = world.tokens(&[]).await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn all_that_was_granted_leaves_its_trace() {
    for mut world in World::each().await {
        let tokens = world.tokens(&[]).await;
        world.refresh(text(&tokens["refresh_token"]), &[]).await;
        world.refresh(text(&tokens["refresh_token"]), &[]).await;
        let form = [("token", text(&tokens["access_token"]))];
        ask(world.broker(), "/o/revoke_token/", &world.shop, &form).await;
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let user = text(&claims(&tokens["access_token"])["sub"]).to_owned();
        let count = async |filter: &str| sql.count(&format!("audit_event WHERE {filter}")).await;
        assert_eq!(count(&format!("action = 'grant.approve' AND actor = 'user:{user}'")).await, 1);
        assert_eq!(count(&format!("action = 'token.issue' AND actor = 'user:{user}'")).await, 2);
        assert_eq!(count("action = 'grant.end' AND result = 'reused'").await, 1, "{}", world.house.home.name);
        let rows = sql.count("audit_event WHERE subject LIKE '%eyJ%'").await;
        assert_eq!(rows, 0, "no token stands in it");
        world.stop().await;
    }
}
