//! Where do secrets go? Every way a secret of ours, of a provider or of a person takes through the broker, and ways
//! where none belongs.

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{CODE, Canaries, PROVIDER_SECRET, Scene};
use crate::scripted::ScriptedServer;
use crate::support::app::http;
use crate::support::house::PASSWORD;
use crate::support::jar::Jar;

/// App, connector, credentials, and a member with a browser.
pub(super) async fn prepare(scene: &Scene, provider: &ScriptedServer, canaries: &mut Canaries) -> Jar {
    let at = &provider.url;
    scene.write(Method::POST, "/apps", &json!({"id": "acme", "name": "Acme"})).await;
    let definition = json!({
        "id": "canary", "display_name": "Canary", "authorization_url": format!("{at}/authorize"),
        "token_url": format!("{at}/token"), "scopes": ["read"], "revocation_url": format!("{at}/revoke"),
        "identity": {"url": format!("{at}/me"), "id": "/id", "label": "/login"},
        "extra_fields": ["instance_url"], "refresh": {"rotates": true},
    });
    scene.write(Method::POST, "/connectors", &definition).await;
    let secret = canaries.add("the provider's client secret", PROVIDER_SECRET);
    let credentials = json!({"client_id": "canary-client", "client_secret": secret});
    scene.write(Method::PUT, "/apps/acme/connectors/canary/credentials", &credentials).await;
    let invitation = json!({"email": "ada@example.com"});
    let invited = scene.write(Method::POST, "/apps/acme/invitations", &invitation).await;
    let url = invited["url"].as_str().unwrap();
    canaries.add("an invitation", url.rsplit('/').next().unwrap());
    canaries.add("a password", PASSWORD);
    let mut ada = Jar::new();
    ada.accept(url, "Ada").await;
    for cookie in ada.cookies() {
        canaries.add("a session", cookie);
    }
    ada
}

pub(super) async fn connect(
    scene: &Scene,
    provider: &ScriptedServer,
    ada: &mut Jar,
    canaries: &mut Canaries,
) {
    let authorize = ada.start(&scene.at("/acme/canary/signup")).await;
    let sent = |name: &str| authorize.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let state = canaries.add("a state", sent("state"));
    let code = canaries.add("a code", CODE);
    let mut back = Url::parse(&sent("redirect_uri")).unwrap();
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
    let mut other = back.clone();
    other.set_path("/connect/github/callback/acme");
    for wrong in [
        other.as_str(),
        &format!("{}&iss=https://{CODE}.example", scene.at("/connect/canary/callback/acme?code=x")),
    ] {
        let seen = Jar::new().get(wrong).await;
        scene.note("", &seen.body);
    }
    let done = ada.get(back.as_str()).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let replayed = ada.get(back.as_str()).await;
    assert_eq!(replayed.status, 400);
    scene.note(&format!("{:?}", replayed.location), &replayed.body);
    let exchange = provider.seen().into_iter().find(|seen| seen.body.contains("code_verifier")).unwrap();
    let verifier =
        url::form_urlencoded::parse(exchange.body.as_bytes()).find(|(key, _)| key == "code_verifier");
    canaries.add("a verifier", verifier.unwrap().1);
    // A second consent that the provider refuses, with a sentence that quotes what it was sent.
    let authorize = ada.start(&scene.at("/acme/canary/signup")).await;
    let state = authorize.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let state = canaries.add("a second state", state);
    let mut denied = Url::parse(&sent("redirect_uri")).unwrap();
    denied.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", &state);
    let seen = ada.get(denied.as_str()).await;
    assert!(seen.status.is_client_error());
    scene.note("", &seen.body);
}

pub(super) async fn hand_out(scene: &Scene, canaries: &mut Canaries) {
    for (name, secret) in [
        ("an access token", "canary-access-1-a1"),
        ("a refresh token", "canary-refresh-1-b2"),
        ("an ID token of the provider", "canary-id-token-c3"),
        ("the second access token", "canary-access-2-a1"),
        ("the second refresh token", "canary-refresh-2-b2"),
    ] {
        canaries.add(name, secret);
    }
    let get = async |query: &str| -> Value {
        let answer =
            scene.admin(Method::GET, &format!("/acme/canary/binb-token{query}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains("canary-refresh") && !text.contains(PROVIDER_SECRET) && !text.contains("id-token")
        );
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(get("").await["access_token"], "canary-access-1-a1");
    assert_eq!(get("?rejected=1").await["access_token"], "canary-access-2-a1");
    // The provider quotes the refresh token and the client secret in its error.
    scene.refused(scene.admin(Method::GET, "/acme/canary/binb-token?rejected=2")).await;
    scene.refused(scene.admin(Method::GET, "/acme/canary/binb-token?rejected=2&colour=red")).await;
    let import = json!({
        "access_token": canaries.add("an imported token", "canary-imported-access-d4"),
        "refresh_token": canaries.add("an imported refresh token", "canary-imported-refresh-e5"), "flow": "second",
    });
    let path = "/apps/acme/connections/canary/import";
    scene.write(Method::POST, path, &import).await;
    let mut twice = import.clone();
    twice["flow"] = json!("third");
    scene.refused(scene.admin(Method::POST, &format!("/admin/v1{path}")).json(&twice)).await;
    twice["access_token"] = json!([import["refresh_token"]]);
    scene.refused(scene.admin(Method::POST, &format!("/admin/v1{path}")).json(&twice)).await;
    twice["flow"] = import["access_token"].clone();
    twice["colour"] = import["refresh_token"].clone();
    scene.refused(scene.admin(Method::POST, &format!("/admin/v1{path}")).json(&twice)).await;
    // The revocation fails, with a body that quotes the token.
    scene.write(Method::DELETE, "/apps/acme/connections/canary?flow=second", &json!(null)).await;
}

/// Sign-in, one-time links, and what is typed wrong.
pub(super) async fn people(scene: &Scene, ada: &mut Jar, canaries: &mut Canaries) {
    let user = json!({"email": "bob@example.com", "display_name": "Bob"});
    let made = scene.write(Method::POST, "/users", &user).await;
    let path = format!("/users/{}/password-link", made["id"].as_str().unwrap());
    let link = scene.write(Method::POST, &path, &json!({})).await;
    for url in [&made["url"], &link["url"]].into_iter().filter_map(Value::as_str) {
        canaries.add("a password link", url.rsplit('/').next().unwrap());
    }
    let url = link["url"].as_str().unwrap();
    let password = canaries.add("Bob's password", "canary-bobs-password-f6");
    let mut bob = Jar::new();
    let token = bob.get(url).await.csrf_token();
    let set = bob.post(url, &[("password", password.as_str()), ("csrf_token", &token)]).await;
    assert!(set.status.is_redirection() || set.status.is_success(), "{}", set.body);
    let again = Jar::new().get(url).await;
    scene.note("", &again.body);
    let typed = canaries.add("a wrong password", "canary-wrong-password-07");
    for email in ["ada@example.com", "nobody@example.com"] {
        let login = scene.at("/login");
        let token = bob.get(&login).await;
        if token.status != 200 {
            continue;
        }
        let token = token.csrf_token();
        let form = [("email", email), ("password", typed.as_str()), ("csrf_token", token.as_str())];
        let seen = bob.post(&login, &form).await;
        assert!(seen.status.is_client_error(), "{}", seen.status);
        scene.note("", &seen.body);
    }
    let token = ada.get(&scene.at("/")).await.csrf_token();
    ada.post(&scene.at("/logout"), &[("csrf_token", &token)]).await;
}

/// Secrets where none belongs. Names are another matter: an unknown parameter is pointed at by its own.
pub(super) async fn nonsense(scene: &Scene, client_id: &str, canaries: &mut Canaries) {
    let stray = canaries.add("a stray secret", "canary-stray-secret-18");
    let bearer = scene.bearer.clone();
    let get = |path: String| http().get(scene.at(&path));
    for request in [
        get(format!("/acme/canary/binb-token?access_token={bearer}")),
        get(format!("/acme/canary/binb-token?min_ttl={stray}")).bearer_auth(&bearer),
        get(format!("/{stray}/canary/binb-token")).bearer_auth(&bearer),
        get(format!("/acme/{stray}/binb-token")).bearer_auth(&bearer),
        get(format!("/invitations/{stray}")),
        get(format!("/account/password/{stray}")),
        get(format!("/connect/canary/callback/acme?state={stray}&code={stray}")),
        get(format!("/problems/{stray}")),
        get(format!("/nowhere/{stray}/at/all")),
        get("/acme/canary/binb-token".into()).bearer_auth(&stray),
        get("/acme/canary/binb-token".into()).bearer_auth(format!("{bearer}x")),
        get("/acme/canary/binb-token".into()).header("authorization", format!("Bearer {stray} {bearer}")),
        get("/acme/canary/binb-token".into()).header("cookie", format!("jeton={stray}")),
        http().post(scene.at("/o/token/")).basic_auth(client_id, Some(&stray)).form(&[("grant_type", "x")]),
        http().post(scene.at("/o/token/")).form(&[("grant_type", stray.as_str()), ("client_secret", &stray)]),
        http().post(scene.at(&format!("/o/token/?client_secret={stray}"))).form(&[("grant_type", "x")]),
        scene.admin(Method::POST, "/admin/v1/apps").body(stray.clone()),
        scene
            .admin(Method::POST, "/admin/v1/apps")
            .header("content-type", "application/json")
            .body(stray.clone()),
        scene
            .admin(Method::POST, "/admin/v1/apps")
            .json(&json!({"id": stray, "name": stray, "colour": stray})),
        scene
            .admin(Method::PUT, "/admin/v1/apps/acme/connectors/canary/credentials")
            .json(&json!({"client_id": "x", "client_secret": {"a": stray}})),
        scene.admin(Method::GET, &format!("/admin/v1/connections?cursor={stray}")),
        scene.admin(Method::DELETE, &format!("/admin/v1/clients/{stray}")),
    ] {
        scene.refused(request).await;
    }
}
