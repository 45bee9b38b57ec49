//! What becomes of refreshes while a connector moves to another origin?

use jeton::sandbox::Faults;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::Home;
use crate::support::house::House;
use crate::support::peer::skipped;
use crate::support::postgres;

const ROUTE: &str = "/acme/custom/binb-token";

/// A connection of a custom connector; the definition of the same provider under its other name, and its origin.
async fn connected(house: &House) -> (Value, String) {
    house.app("acme", "Acme").await;
    house.connector("custom", &json!({})).await;
    house.credentials("custom", None).await;
    house.import("acme", "custom", &json!({})).await;
    let mut definition: Value =
        house.ask(Method::GET, "/admin/v1/connectors/custom", None).await.json().await.unwrap();
    let other = match house.provider() {
        at if at.contains("localhost") => at.replace("localhost", "127.0.0.1"),
        at => at.replace("127.0.0.1", "localhost"),
    };
    definition["token_url"] = json!(format!("{other}/token"));
    (definition, other)
}

async fn confirm(house: &House, (definition, origin): &(Value, String)) {
    house.write(Method::PUT, &format!("/connectors/custom?confirm_origin={origin}"), definition).await;
    house.credentials("custom", None).await;
}

#[tokio::test]
async fn an_answer_that_lands_after_its_connector_moved_is_refreshed_at_the_new_origin() {
    for house in House::each().await {
        let moved = connected(&house).await;
        house.pass(7_200);
        house.faults(Faults { slow_head_ms: Some(1_500), ..Faults::default() });
        house.ask(Method::GET, &format!("{ROUTE}?wait=0"), None).await;
        while house.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        confirm(&house, &moved).await;
        let (status, landed) = house.binb_token("acme", "custom").await;
        assert_eq!((status, &landed["generation"]), (200, &json!(2)), "{landed}");
        house.faults(Faults::default());
        house.pass(7_200);
        let (status, next) = house.binb_token("acme", "custom").await;
        assert_eq!((status, &next["generation"]), (200, &json!(3)), "{}: {next}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_replica_that_remembers_where_a_connector_was_looks_again() {
    if !postgres::is_here() {
        skipped::<()>("two brokers on one PostgreSQL: JETON_TEST_POSTGRES_URL names none");
        return;
    }
    let house = House::on(Home::postgres().await, &[]).await;
    let moved = connected(&house).await;
    let replica = house.replica(&[]).await;
    let ask = async || {
        let token = replica.token_of(&replica.superadmin).await;
        replica.http.get(replica.at(ROUTE)).bearer_auth(token).send().await.unwrap()
    };
    assert_eq!(ask().await.status(), 200, "it remembers the definition");
    confirm(&house, &moved).await;
    house.pass(7_200);
    let answer = ask().await;
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    assert_eq!((status, &body["generation"]), (200, &json!(2)), "{body}");
    replica.stop().await;
    house.stop().await;
}
