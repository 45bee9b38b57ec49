//! Guessing passwords stops whoever guesses, and never the person whose password is guessed.

use futures_util::future::join_all;

use super::World;
use crate::support::app::{Broker, Home};
use crate::support::house::{House, PASSWORD};
use crate::support::jar::Jar;
use crate::support::peer::skipped;
use crate::support::postgres;

const BEHIND_A_PROXY: [(&str, &str); 1] = [("proxy.trusted", "127.0.0.1/32")];

/// Tries passwords for Ada on one replica, from one network; how many of each status came.
async fn guess(broker: &Broker, host: &str, times: usize) -> Vec<u16> {
    let url = broker.at("/login");
    let mut jar = Jar::new();
    let token = jar.get_with(&url, &[("host", host)]).await.csrf_token();
    let form =
        [("email", "ada@example.com"), ("password", "wrong horse battery"), ("csrf_token", token.as_str())];
    let once = async |mut jar: Jar| {
        let headers = [("host", host), ("x-forwarded-for", "198.51.100.7")];
        jar.post_with(&url, &form, &headers).await.status.as_u16()
    };
    let mut told = Vec::new();
    for _ in 0..times / 20 {
        told.extend(join_all((0..20).map(|_| once(jar.clone()))).await);
    }
    told
}

#[tokio::test]
async fn a_thousand_wrong_passwords_over_two_replicas_lock_out_their_network_alone() {
    if !postgres::is_here() {
        return skipped("passwords guessed on two replicas: JETON_TEST_POSTGRES_URL names no PostgreSQL")
            .unwrap_or_default();
    }
    let world = World::of(House::on(Home::postgres().await, &BEHIND_A_PROXY).await).await;
    let other = world.house.replica(&BEHIND_A_PROXY).await;
    // Browsers know both by the name of one.
    let host = world.broker().url.trim_start_matches("http://").to_owned();
    let (here, there) = tokio::join!(guess(world.broker(), &host, 500), guess(&other, &host, 500));
    let all: Vec<u16> = here.into_iter().chain(there).collect();
    let looked_at = all.iter().filter(|status| **status == 401).count();
    let limited = all.iter().filter(|status| **status == 429).count();
    assert_eq!((looked_at, limited), (10, 990), "ten are looked at, over both");
    for (broker, address, status) in [
        (world.broker(), "198.51.100.7", 429),
        (world.broker(), "203.0.113.9", 303),
        (&other, "203.0.113.9", 303),
    ] {
        let url = broker.at("/login");
        let mut jar = Jar::new();
        let token = jar.get_with(&url, &[("host", &host)]).await.csrf_token();
        let form = [("email", "ada@example.com"), ("password", PASSWORD), ("csrf_token", token.as_str())];
        let seen = jar.post_with(&url, &form, &[("host", &host), ("x-forwarded-for", address)]).await;
        assert_eq!(seen.status, status, "{address}");
    }
    other.stop().await;
    world.stop().await;
}
