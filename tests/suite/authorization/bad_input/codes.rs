//! A good code that comes with one thing wrong: the standard's error (RFC 6749 §5.2, RFC 7636 §4.6, RFC 8707 §2.2), and
//! what becomes of the code. A3, A9.
//!
//! No refusal spends a code, so that nobody but its client can: it is spent with the tokens it is swapped for, in one
//! transaction. A code that was used already is another matter. It is looked up before anything that came with it is,
//! so whatever its own client sends along ends what it made; others end nothing.

use reqwest::{Method, Response};
use serde_json::json;

use crate::authorization::{
    BACK, CHALLENGE, Client, VERIFIER, World, ask, changed, devices, error, ok, provider, refusal, text,
};

/// Stands for the code of the moment.
const CODE: &str = "CODE";
/// Is registered, and nobody of these asked for it.
const TERMS: &str = "https://terms.example";

/// What is wrong, and what it is answered.
struct Wrong {
    changes: Vec<(&'static str, String)>,
    refused: (u16, &'static str),
    /// Whether it ends what a code made that was used before; else the answer is the same.
    ends: bool,
}

fn wrong(changes: &[(&'static str, &str)], refused: (u16, &'static str), ends: bool) -> Wrong {
    let changes = changes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Wrong { changes, refused, ends }
}

/// One other parameter of the code's own client.
fn parameters() -> Vec<Wrong> {
    let (grant, request, target) =
        ((400, "invalid_grant"), (400, "invalid_request"), (400, "invalid_target"));
    let mut table = vec![
        // Missing: whether it had to be there only the code tells.
        wrong(&[("redirect_uri", "")], grant, true),
        wrong(&[("redirect_uri", "https://shop.example/back")], grant, true),
        wrong(&[("redirect_uri", "https://shop.example/back?from=jeton&x=1")], grant, true),
        wrong(&[("redirect_uri", "https://evil.example/")], grant, true),
        // Missing: nothing is looked up.
        wrong(&[("code_verifier", "")], request, false),
        wrong(&[("code_verifier", &VERIFIER[..42])], grant, true),
        wrong(&[("code_verifier", &"a".repeat(129))], grant, true),
        wrong(&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK")], grant, true),
        wrong(&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r/wW1gFWFOEjXk")], grant, true),
        // The method `plain`, which is not taken.
        wrong(&[("code_verifier", CHALLENGE)], grant, true),
        wrong(&[("resource", "https://nowhere.example")], target, true),
        wrong(&[("resource", TERMS)], target, true),
        wrong(&[("resource", "no address")], target, true),
        wrong(&[("client_id", "somebody-else")], request, false),
    ];
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", CODE),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("resource", TERMS),
    ] {
        table.push(wrong(&[(name, value), (name, value)], request, false));
    }
    table
}

async fn redeem(world: &World, client: &Client, code: &str, changes: &[(&'static str, String)]) -> Response {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    let changes: Vec<_> =
        changes.iter().map(|(name, value)| (*name, if value == CODE { code } else { value })).collect();
    ask(world.broker(), "/o/token/", client, &changed(&form, &changes)).await
}

/// It is refused, the code is as good as before, and once that was used it ends what it made, or not.
async fn judge(world: &mut World, client: &Client, wrong: &Wrong) {
    let (changes, name) = (&wrong.changes, world.house.home.name);
    let what = format!("{changes:?} by {} on {name}", client.0);
    let (status, code) = wrong.refused;
    let fresh = world.code(&[("prompt", "consent")]).await;
    assert_eq!(refusal(redeem(world, client, &fresh, changes).await).await, error(status, code), "{what}");
    let tokens = ok(world.redeem(&fresh, &[]).await).await;

    let again = if wrong.ends { error(400, "invalid_grant") } else { error(status, code) };
    assert_eq!(refusal(redeem(world, client, &fresh, changes).await).await, again, "used, {what}");
    let told = world.userinfo(text(&tokens["access_token"])).await.status();
    assert_eq!(told, if wrong.ends { 401 } else { 200 }, "used, {what}");
}

#[tokio::test]
async fn a_code_with_one_bad_parameter_gets_the_error_of_that_and_is_not_spent() {
    for mut world in World::each().await {
        let terms = json!({"uri": TERMS, "name": "Terms", "scopes": ["terms:read"]});
        world.house.write(Method::POST, "/resources", &terms).await;
        let shop = world.shop.clone();
        for wrong in parameters() {
            judge(&mut world, &shop, &wrong).await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_code_that_another_client_brings_is_not_spent_and_ends_nothing() {
    for mut world in World::each().await {
        let other = world.house.client(&provider("Other")).await;
        let script = devices::script(&world, &json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
        let machine = json!({"identifier": "Machine", "kind": "service", "scopes": ["apps:read"]});
        let machine = world.house.client(&machine).await;
        let guessing = (world.shop.0.clone(), "guessed".to_owned());
        for (client, refused) in [
            (other, (400, "invalid_grant")),
            (script, (400, "invalid_grant")),
            (machine, (400, "unauthorized_client")),
            (guessing, (401, "invalid_client")),
        ] {
            judge(&mut world, &client, &wrong(&[], refused, false)).await;
        }
        world.stop().await;
    }
}
