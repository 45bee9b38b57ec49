//! Does a running broker refresh what nobody asks for, and end in order?

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::Home;
use crate::support::house::House;

#[tokio::test]
async fn a_broker_refreshes_what_is_due_by_itself() {
    for home in Home::each().await {
        let house = House::on(home, &[("refresh.background", "true")]).await;
        house.connected_app("acme").await;
        house.pass(3_300);
        let refreshed = async {
            let mut soon = tokio::time::interval(Duration::from_millis(100));
            loop {
                soon.tick().await;
                let answer = house.ask(Method::GET, "/acme/sandbox/status", None).await;
                let status: Value = answer.json().await.unwrap();
                if status["generation"] == json!(2) {
                    return status;
                }
            }
        };
        let status = tokio::time::timeout(Duration::from_secs(30), refreshed).await.unwrap();
        assert_eq!((&status["state"], &status["last_error"]), (&json!("active"), &Value::Null));
        let (_, token) = house.binb_token("acme", "sandbox").await;
        assert_eq!((&token["generation"], &token["refreshed"]), (&json!(2), &json!(false)));
        assert_eq!(house.refreshes(), 1);
        house.stop().await;
    }
}
