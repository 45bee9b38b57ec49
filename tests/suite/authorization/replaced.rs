//! A browser that is signed in as somebody else ends the session it had: its cookie opens nothing, wherever a copy is.

use reqwest::Method;
use serde_json::json;

use super::{World, links, text};
use crate::support::house::PASSWORD;
use crate::support::jar::Jar;

async fn is_signed_out(mut thief: Jar, world: &World) -> bool {
    let seen = thief.get(&world.broker().at("/account")).await;
    seen.location.is_some_and(|to| to.path().ends_with("/login"))
}

#[tokio::test]
async fn a_signup_link_ends_the_session_of_whoever_clicks_it() {
    for (mut world, shop) in links::shops().await {
        let (_, url) = links::link(&world, &shop, "customer-7").await;
        let thief = world.ada.clone();
        assert!(world.ada.get(&url).await.body.contains("you are signed out"));
        assert!(!is_signed_out(thief.clone(), &world).await, "looking ends nothing");
        links::follow(&mut world.ada, &url).await;
        assert!(is_signed_out(thief, &world).await, "{}", world.house.home.name);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_password_link_ends_the_session_of_another_person_and_says_so() {
    for mut world in World::each().await {
        let body = json!({"email": "bob@example.com", "display_name": "Bob"});
        let made = world.house.write(Method::POST, "/users", &body).await;
        let (link, id) = (text(&made["url"]).to_owned(), text(&made["id"]).to_owned());
        let said = "You are signed in here as";
        assert!(!Jar::new().get(&link).await.body.contains(said), "nobody is");
        let thief = world.ada.clone();
        let page = world.ada.get(&link).await;
        assert!(page.body.contains(said) && page.body.contains("ada@example.com"), "{}", page.body);
        assert!(!is_signed_out(thief.clone(), &world).await, "looking ends nothing");
        let token = page.csrf_token();
        let short = world.ada.post(&link, &[("password", "short"), ("csrf_token", &token)]).await;
        assert!(short.status == 400 && short.body.contains(said), "{}", short.body);
        let done = world.ada.post(&link, &[("password", PASSWORD), ("csrf_token", &token)]).await;
        assert_eq!(done.status, 303, "{}", done.body);
        assert!(is_signed_out(thief, &world).await, "{}", world.house.home.name);
        assert!(world.ada.get(&world.broker().at("/account")).await.body.contains("bob@example.com"));
        // It is Bob's browser now, and his own link has nothing to warn of.
        let path = format!("/users/{id}/password-link");
        let made = world.house.write(Method::POST, &path, &json!({})).await;
        assert!(!world.ada.get(text(&made["url"])).await.body.contains(said));
        world.stop().await;
    }
}
