//! Guesses of user codes: how many are looked at, of one person and of all. A11.

use serde_json::json;

use super::devices::{answer, begin, script};
use super::{World, text};
use crate::support::jar::Jar;

/// So many wrong codes at the same time, each to the next of these addresses; the statuses, in order.
pub(super) async fn guess_at_once(jar: &Jar, urls: &[String], times: usize) -> Vec<u16> {
    let token = jar.clone().get(&urls[0]).await.csrf_token();
    let own = url::Url::parse(&urls[0]).unwrap();
    let host = format!("{}:{}", own.host_str().unwrap(), own.port().unwrap());
    let guess = |url: &String| {
        let (mut jar, url, token, host) = (jar.clone(), url.clone(), token.clone(), host.clone());
        async move {
            // All replicas are known by the first one's name.
            let form = [("csrf_token", token.as_str()), ("user_code", "BBBB-BBBB")];
            jar.post_with(&url, &form, &[("host", &host)]).await.status.as_u16()
        }
    };
    let mut statuses = futures_util::future::join_all(urls.iter().cycle().take(times).map(guess)).await;
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn guessing_codes_is_limited_for_each_person_over_all_pages() {
    for mut world in World::each().await {
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let mut ada = world.ada.clone();
        for _ in 0..10 {
            assert_eq!(answer(&mut ada, &world, "BBBB-BBBB", "accept").await.status, 400);
        }
        let right = answer(&mut ada, &world, text(&device["user_code"]), "accept").await;
        assert_eq!(right.status, 429, "even the right one has to wait now");
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let other = answer(&mut eve, &world, text(&device["user_code"]), "accept").await;
        assert_eq!(other.status, 200, "others are not locked out by it: {}", other.body);
        world.ada = ada;
        world.stop().await;
    }
}

#[tokio::test]
async fn guesses_at_once_do_not_slip_by_the_limits_of_one_person_and_of_all() {
    for world in World::each().await {
        let url = [world.broker().at("/o/device/")];
        let statuses = guess_at_once(&world.ada, &url, 50).await;
        assert_eq!(statuses, [[400; 10].to_vec(), [429; 40].to_vec()].concat(), "{}", world.house.home.name);
        // Five more are left to all together.
        let mut eve = Jar::new();
        eve.accept(&world.house.invitation("acme", "eve@example.com").await, "Eve").await;
        let sql = crate::support::sql::Sql::open(&world.house.home).await;
        sql.run("UPDATE attempt SET failures = 995").await;
        assert_eq!(guess_at_once(&eve, &url, 8).await, [400, 400, 400, 400, 400, 429, 429, 429]);
        sql.run("UPDATE attempt SET failures = 999").await;
        // A right code takes none of what is left.
        let script = script(&world, &json!({})).await;
        let device = begin(&world, &script).await;
        let mut bob = Jar::new();
        bob.accept(&world.house.invitation("acme", "bob@example.com").await, "Bob").await;
        let done = answer(&mut bob, &world, text(&device["user_code"]), "accept").await;
        assert!(done.body.contains("may act for you now"), "{}", done.body);
        assert_eq!(guess_at_once(&bob, &url, 2).await, [400, 429], "{}", world.house.home.name);
        world.stop().await;
    }
}
