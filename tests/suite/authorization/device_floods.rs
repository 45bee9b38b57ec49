//! A flood of devices from one network: it keeps nobody else from signing in. F8.

use reqwest::Response;
use serde_json::json;

use super::{Client, World, devices, error, ok, refusal};
use crate::support::app::Home;
use crate::support::house::House;

/// As docs/configuration.md tells it.
const OF_A_NETWORK: usize = 100;

async fn begin(world: &World, script: &Client, address: &str) -> Response {
    let request = world.broker().http.post(world.broker().at("/o/device_authorization/"));
    request.header("x-forwarded-for", address).form(&[("client_id", &script.0)]).send().await.unwrap()
}

#[tokio::test]
async fn a_flood_of_devices_from_one_network_leaves_room_for_others() {
    for home in Home::each().await {
        let world = World::of(House::on(home, &[("proxy.trusted", "127.0.0.1/32")]).await).await;
        let script = devices::script(&world, &json!({})).await;
        for _ in 0..OF_A_NETWORK {
            ok(begin(&world, &script, "203.0.113.9").await).await;
        }
        let answer = begin(&world, &script, "203.0.113.77").await;
        assert_eq!(answer.headers()["retry-after"], "60", "{}", world.house.home.name);
        assert_eq!(refusal(answer).await, error(429, "temporarily_unavailable"));
        ok(begin(&world, &script, "198.51.100.9").await).await;
        ok(begin(&world, &script, "2001:db8::9").await).await;
        let other = devices::script(&world, &json!({"identifier": "Notebook 2"})).await;
        ok(begin(&world, &other, "203.0.113.9").await).await;
        world.house.pass(601);
        ok(begin(&world, &script, "203.0.113.9").await).await;
        world.stop().await;
    }
}
