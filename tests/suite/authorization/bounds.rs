//! Codes and grants that pile up: the oldest go (F8).

use serde_json::{Value, json};

use super::{World, ask, error, ok, parameter, refusal, text};
use crate::support::sql::Sql;

/// Copies each row of a table so many times, later than it by as many microseconds.
async fn copy(sql: &Sql, table: &str, columns: &str, later: &str, times: usize) {
    let (id, numbers) = match sql.is_postgres() {
        true => ("gen_random_uuid()", format!("generate_series(1, {times}) AS n(i)")),
        false => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) SELECT i FROM n)"
            ),
        ),
    };
    let insert = format!("INSERT INTO {table} (id, {columns}, {later})");
    sql.run(&format!("{insert} SELECT {id}, {columns}, {later} + i FROM {table}, {numbers}")).await;
}

const GRANT: &str = "client_id, user_id, begun_by, scopes, resource, auth_time, expires_at, own_mac";

#[tokio::test]
async fn codes_that_nobody_redeems() {
    for mut world in World::each().await {
        world.tokens(&[("scope", "openid")]).await;
        let sql = Sql::open(&world.house.home).await;
        let url = world.request(&[("scope", "openid"), ("prompt", "none")]);
        let mut codes = Vec::new();
        for _ in 0..50 {
            codes.push(parameter(&world.ada.get(&url).await.to(), "code"));
        }
        let waiting = "authorization_code WHERE used_at IS NULL";
        assert_eq!(sql.count(waiting).await, 20, "{}", world.house.home.name);
        for (code, good) in [(&codes[29], false), (&codes[30], true), (&codes[49], true)] {
            let answer = world.redeem(code, &[]).await;
            assert_eq!(answer.status() == 200, good, "{}", answer.text().await.unwrap());
        }
        // Unused, they tell nothing once they are over.
        world.house.pass(61);
        world.ada.get(&url).await.to();
        assert_eq!(sql.count(waiting).await, 1);
        // Those redeemed are remembered, so that a second time is known for one; but not without end.
        let columns = "code_hash, grant_id, client_id, user_id, redirect_uri, scopes, resource, code_challenge, nonce, \
             auth_time, expires_at, used_at";
        sql.run(&format!("DELETE FROM {waiting}")).await;
        copy(&sql, "authorization_code", columns, "created_at", 60).await;
        world.ada.get(&url).await.to();
        assert_eq!(sql.count("authorization_code WHERE used_at IS NOT NULL").await, 100);
        world.stop().await;
    }
}

#[tokio::test]
async fn grants_of_a_person_and_a_client() {
    for mut world in World::each().await {
        let first = world.tokens(&[]).await;
        assert_eq!(world.userinfo(text(&first["access_token"])).await.status(), 200);
        let sql = Sql::open(&world.house.home).await;
        copy(&sql, "oauth_grant", GRANT, "created_at", 98).await;
        let second = world.tokens(&[]).await;
        assert_eq!(sql.count("oauth_grant").await, 100, "as many as may be");
        assert_eq!(world.userinfo(text(&first["access_token"])).await.status(), 200);
        let third = world.tokens(&[]).await;
        assert_eq!(sql.count("oauth_grant").await, 100, "{}", world.house.home.name);
        assert_eq!(world.userinfo(text(&first["access_token"])).await.status(), 401, "the oldest has ended");
        let refused = refusal(world.refresh(text(&first["refresh_token"]), &[]).await).await;
        assert_eq!(refused, error(400, "invalid_grant"));
        let ended = "audit_event WHERE action = 'grant.end' AND result = 'superseded'";
        assert_eq!(sql.count(ended).await, 1);
        for tokens in [&second, &third] {
            ok(world.refresh(text(&tokens["refresh_token"]), &[]).await).await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn grants_of_a_service() {
    for world in World::each().await {
        let body = json!({"identifier": "job", "kind": "service", "refresh_tokens": true});
        let job = world.house.client(&body).await;
        let get = async || -> Value {
            let form = [("grant_type", "client_credentials")];
            ok(ask(world.broker(), "/o/token/", &job, &form).await).await
        };
        let refresh = async |tokens: &Value| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens["refresh_token"]))];
            ask(world.broker(), "/o/token/", &job, &form).await
        };
        let first = get().await;
        let sql = Sql::open(&world.house.home).await;
        // More than may be, as they piled up before there was a bound: they go a hundred at a time.
        copy(&sql, "oauth_grant", GRANT, "created_at", 1_150).await;
        let last = get().await;
        ok(refresh(&last).await).await;
        get().await;
        assert_eq!(refusal(refresh(&first).await).await, error(400, "invalid_grant"));
        assert_eq!(sql.count("oauth_grant").await, 1_000, "{}", world.house.home.name);
        let ended = "audit_event WHERE action = 'grant.end' AND result = 'superseded'";
        assert_eq!(sql.count(ended).await, 153);
        world.stop().await;
    }
}
