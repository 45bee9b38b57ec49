//! Who may not send people, what may not be asked, and what SQL makes of a link: nothing.

use serde_json::{Value, json};

use super::{confirm, connect, link, post, shops};
use crate::authorization::{ask, error, ok, refusal, text};
use crate::support::jar::Jar;

#[tokio::test]
async fn who_may_not_send_people_and_what_may_not_be_asked() {
    for (world, shop) in shops().await {
        let body = json!({"connector": "sandbox", "user": {"id": "7"}});
        let without = post(world.broker(), &world.shop, "/apps/acme/signup-links", &body).await;
        assert_eq!(without.status(), 403);
        let confined = json!({
            "identifier": "Confined", "kind": "provider", "scopes": ["signups:write"], "allow": ["acme/*"],
        });
        let confined = world.house.client(&confined).await;
        assert_eq!(post(world.broker(), &confined, "/apps/acme/signup-links", &body).await.status(), 201);
        for app in ["globex", "nowhere"] {
            let path = format!("/apps/{app}/signup-links");
            assert_eq!(post(world.broker(), &confined, &path, &body).await.status(), 403, "{app}");
        }
        let superadmin = json!({
            "identifier": "Job", "kind": "service", "role": "superadmin", "scopes": ["superadmin"], "allow": ["*/*"],
        });
        let superadmin = world.house.client(&superadmin).await;
        assert_eq!(post(world.broker(), &superadmin, "/apps/acme/signup-links", &body).await.status(), 403);
        let confined = json!({"role": "superadmin", "allow": ["acme/*"]});
        let services = [json!({}), json!({"allow": ["acme/*"]}), confined];
        for (number, more) in services.iter().enumerate() {
            let mut service = json!({"identifier": format!("job-{number}"), "kind": "service", "scopes": ["signups:write"]});
            service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let service = world.house.client(&service).await;
            let refused = post(world.broker(), &service, "/apps/acme/signup-links", &body).await;
            assert_eq!(refused.status(), 403, "no provider: {more}");
        }
        let table = [
            (json!({"connector": "sandbox", "user": {"id": ""}}), 400, "/user/id"),
            (json!({"connector": "sandbox", "user": {"id": "7", "email": "nobody"}}), 400, "/user/email"),
            (
                json!({"connector": "sandbox", "user": {"id": "7", "display_name": ""}}),
                400,
                "/user/display_name",
            ),
            (json!({"connector": "sandbox", "user": {}}), 400, "/user/id"),
            (json!({"connector": "sandbox", "user": {"id": "7"}, "flow": "no flow"}), 400, "/flow"),
            (
                json!({"connector": "sandbox", "user": {"id": "7"}, "return_to": "https://evil.example/"}),
                400,
                "return_to",
            ),
            (
                json!({"connector": "sandbox", "user": {"id": "7"}, "return_to": "//evil.example"}),
                400,
                "return_to",
            ),
            (json!({"connector": "nothing", "user": {"id": "7"}}), 404, ""),
            (json!({"connector": "aircall", "user": {"id": "7"}}), 422, ""),
        ];
        for (body, status, pointer) in table {
            let answer = post(world.broker(), &shop, "/apps/acme/signup-links", &body).await;
            assert_eq!(answer.status(), status, "{body}");
            let problem: Value = answer.json().await.unwrap();
            let at = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
            assert_eq!(at, pointer, "{problem}");
        }
        assert_eq!(post(world.broker(), &shop, "/apps/nowhere/signup-links", &body).await.status(), 404);
        // A person's token sends nobody, whatever its scopes.
        let mut world = world;
        world.shop = shop;
        let tokens = world.tokens(&[("scope", "openid signups:write")]).await;
        let url = world.broker().at("/admin/v1/apps/acme/signup-links");
        let request = world.broker().http.post(url).bearer_auth(text(&tokens["access_token"])).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 403, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_link_or_person_changed_by_sql_signs_nobody_in() {
    for (world, shop) in shops().await {
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        let (_, url) = link(&world, &shop, "customer-7").await;
        sql.run("UPDATE signup_link SET external_id = 'customer-1'").await;
        let seen = Jar::new().get(&url).await;
        assert_eq!(seen.status, 500, "{}", seen.body);
        let (id, url) = link(&world, &shop, "customer-8").await;
        connect(&mut Jar::new(), &url).await;
        ok(confirm(&world, &shop, &id).await).await;
        // Another consent under way takes the place of the one that the link began.
        let (id, url) = link(&world, &shop, "customer-8").await;
        connect(&mut Jar::new(), &url).await;
        let ada = "(SELECT id FROM \"user\" WHERE email = 'ada@example.com')";
        sql.run(&format!("UPDATE signup SET user_id = {ada} WHERE link_id IS NOT NULL")).await;
        assert_eq!(confirm(&world, &shop, &id).await.status(), 404);
        // Whom the shop calls 8 becomes Ada.
        sql.run(
            "UPDATE provider_user SET user_id = (SELECT id FROM \"user\" WHERE email = 'ada@example.com') \
             WHERE external_id = 'customer-8'",
        )
        .await;
        let (_, url) = link(&world, &shop, "customer-8").await;
        let mut browser = Jar::new();
        let token = browser.get(&url).await.csrf_token();
        let refused = browser.post(&url, &[("csrf_token", token.as_str())]).await;
        assert_eq!((refused.status.as_u16(), refused.location), (404, None), "{}", world.house.home.name);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        assert_eq!(
            refusal(ask(world.broker(), "/o/token/", &shop, &form).await).await,
            error(400, "unauthorized_client")
        );
        world.stop().await;
    }
}
