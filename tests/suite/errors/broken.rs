//! What a caller is told when the broker's own ground fails, and that nothing is lost by it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::problem::read;
use crate::support::sql::Sql;

const ROUTE: &str = "/acme/sandbox/binb-token";

#[tokio::test]
async fn a_database_that_gives_nothing_is_told_and_nothing_is_lost() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let sql = Sql::open(&house.home).await;
        sql.run("ALTER TABLE connection RENAME TO connection_away").await;
        for path in [ROUTE, "/acme/sandbox/status", "/admin/v1/connections"] {
            read(house.ask(Method::GET, path, None).await, "storage_unavailable").await;
        }
        sql.run("ALTER TABLE connection_away RENAME TO connection").await;
        assert_eq!(house.binb_token("acme", "sandbox").await.0, 200, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_burns_no_refresh_token() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let sql = Sql::open(&house.home).await;
        sql.refuse("UPDATE", "connection").await;
        house.pass(3_570);
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(1)), "the live token: {handed}");
        assert_eq!(handed["degraded"]["code"], "provider_unavailable", "{handed}");
        house.pass(3_600);
        read(house.ask(Method::GET, ROUTE, None).await, "storage_unavailable").await;
        assert_eq!(house.refreshes(), 0, "no claim, no call");
        sql.allow("connection").await;
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!((status, &handed["generation"]), (200, &json!(2)), "{}: {handed}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn no_token_leaves_without_its_audit_record() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let sql = Sql::open(&house.home).await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        let get = || house.broker.http.get(house.broker.at(ROUTE)).bearer_auth(&bearer).send();
        assert_eq!(get().await.unwrap().status(), 200);
        let handed_out = "audit_event WHERE action = 'token.hand_out'";
        let before = sql.count(handed_out).await;
        assert_eq!(before, 1, "{}", house.home.name);
        sql.refuse("INSERT", "audit_event").await;
        // The spool takes them then, unless it cannot be made.
        let spool = house.home.data_dir().join("spool");
        std::fs::write(&spool, "in the way").unwrap();
        read(get().await.unwrap(), "audit_unavailable").await;
        let app = json!({"id": "globex", "name": "Globex"});
        let create =
            house.broker.http.post(house.broker.at("/admin/v1/apps")).bearer_auth(&bearer).json(&app);
        read(create.send().await.unwrap(), "audit_unavailable").await;
        let form = [("grant_type", "client_credentials")];
        let (id, secret) = &house.broker.superadmin;
        let mint =
            house.broker.http.post(house.broker.at("/o/token/")).basic_auth(id, Some(secret)).form(&form);
        let minted = mint.send().await.unwrap();
        assert_eq!(minted.status(), 503);
        assert_eq!(minted.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
        let ready = house.broker.http.get(house.broker.at("/readyz")).send().await.unwrap();
        read(ready, "storage_unavailable").await;
        std::fs::remove_file(&spool).unwrap();
        sql.allow("audit_event").await;
        assert_eq!(get().await.unwrap().status(), 200);
        // By way of the spool, where the broker has not yet noticed that the table is back.
        let recorded = async { while sql.count(handed_out).await == before {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), recorded).await.expect("it is recorded");
        assert_eq!(sql.count(handed_out).await, before + 1);
        assert_eq!(sql.count("app WHERE id = 'globex'").await, 0);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_refresh_whose_record_cannot_be_written_is_not_forgotten() {
    for house in House::each().await {
        house.connected_app("acme").await;
        let sql = Sql::open(&house.home).await;
        let bearer = house.broker.token_of(&house.broker.superadmin).await;
        house.pass(3_580);
        sql.refuse("INSERT", "token_set").await;
        let url = house.broker.at(&format!("{ROUTE}?wait=1"));
        let answer = house.broker.http.get(&url).bearer_auth(&bearer).send().await.unwrap();
        assert!([200, 503].contains(&answer.status().as_u16()), "{}", answer.text().await.unwrap());
        assert_eq!(house.refreshes(), 1);
        sql.allow("token_set").await;
        house.pass(3_600);
        let (status, handed) = house.binb_token("acme", "sandbox").await;
        assert_eq!(status, 200, "{}: {handed}", house.home.name);
        assert_eq!(house.sandbox.handle().ledger().refresh_tokens[0].presented, 1, "sent once");
        house.stop().await;
    }
}

/// What SQL can move from one tenant's row to another's.
const SWAPS: &[(&str, &str)] = &[("sealed_access", "serving"), ("sealed_refresh", "refreshing")];

#[tokio::test]
async fn a_ciphertext_moved_to_another_tenants_row_does_not_open() {
    for (column, when) in SWAPS {
        for house in House::each().await {
            house.connected_app("acme").await;
            house.connected_app("globex").await;
            let sql = Sql::open(&house.home).await;
            sql.run(&format!(
                "UPDATE token_set SET ({column}, key_id) = (SELECT t.{column}, t.key_id FROM token_set t \
                 JOIN connection c ON c.token_set_id = t.id WHERE c.app = 'globex') \
                 WHERE id = (SELECT token_set_id FROM connection WHERE app = 'acme')"
            ))
            .await;
            if *when == "refreshing" {
                house.pass(7_200);
            }
            let told = format!("{column}: {}", house.home.name);
            read(house.ask(Method::GET, ROUTE, None).await, "secret_unreadable").await;
            assert!(
                sql.count("audit_event WHERE action = 'secret.unreadable' AND app = 'acme'").await > 0,
                "{told}"
            );
            let sent = house.refreshes();
            assert_eq!(sent, 0, "nothing of the neighbour's was sent: {told}");
            let (status, handed) = house.binb_token("globex", "sandbox").await;
            assert_eq!(status, 200, "the rest serves: {told} {handed}");
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn a_providers_client_secret_moved_to_another_row_is_not_sent() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.connected_app("globex").await;
        let sql = Sql::open(&house.home).await;
        sql.run(
            "UPDATE connector_credentials SET (sealed_secret, key_id) = \
             (SELECT x.sealed_secret, x.key_id FROM connector_credentials x WHERE x.app = 'globex') \
             WHERE app = 'acme'",
        )
        .await;
        house.pass(7_200);
        read(house.ask(Method::GET, ROUTE, None).await, "secret_unreadable").await;
        assert_eq!(house.refreshes(), 0, "{}", house.home.name);
        assert_eq!(house.binb_token("globex", "sandbox").await.0, 200);
        house.stop().await;
    }
}
