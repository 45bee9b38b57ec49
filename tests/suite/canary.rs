//! Is a secret found where it has no business? Unique ones go through the whole of a real process at trace level; then
//! its log, its database and everything it said no with are searched for them.
//!
//! `panic` looks at a request whose handler panics, over a broker with a part that breaks.

mod panic;

use std::fmt::Write;
use std::sync::Mutex;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::support::app::{Home, http};
use crate::support::house::PASSWORD;
use crate::support::jar::Jar;
use crate::support::program::{Serving, exit_code, jeton, run, stderr};
use crate::support::sql::Sql;

const JSON: &str = "content-type: application/json\r\n";
const PROVIDER_SECRET: &str = "canary-provider-secret-7f3a9c";
const CODE: &str = "canary-code-5b1d77";

/// A provider whose tokens are known here, and which repeats what it was sent when it fails.
async fn provider() -> ScriptedServer {
    let identified = Mutex::new(false);
    ScriptedServer::start(move |seen, _| match seen.target.as_str() {
        "/token" => exchange(seen),
        // The account is told once, at the consent; then the token counts as refused.
        "/me" => {
            let mut identified = identified.lock().unwrap();
            let status = if *identified { 401 } else { 200 };
            *identified = true;
            (status, JSON, json!({"id": 7, "login": "octocat", "echo": seen.headers}).to_string())
        }
        _ => (500, JSON, json!({"error": "server_error", "error_description": seen.body}).to_string()),
    })
    .await
}

fn exchange(seen: &Seen) -> Scripted {
    let answer = |number: u8| {
        json!({
            "access_token": format!("canary-access-{number}-a1"), "token_type": "bearer", "expires_in": 3600,
            "refresh_token": format!("canary-refresh-{number}-b2"), "instance_url": "https://eu1.example.com",
            "id_token": "canary-id-token-c3",
        })
    };
    if seen.body.contains("grant_type=authorization_code") {
        (200, JSON, answer(1).to_string())
    } else if seen.body.contains("canary-refresh-1-b2") {
        (200, JSON, answer(2).to_string())
    } else {
        (500, JSON, json!({"error": "server_error", "error_description": seen.body}).to_string())
    }
}

/// What must not be found, by name.
#[derive(Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn add(&mut self, name: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{name} is too short to be unique");
        self.0.push((name, secret.clone()));
        secret
    }

    fn absent_from(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for form in [secret, &hex, &encoded] {
                if let Some(at) = text.find(form.as_str()) {
                    let around: String = text[..at].chars().rev().take(200).collect();
                    panic!("{name} is in {place} after …{}", around.chars().rev().collect::<String>());
                }
            }
        }
    }
}

/// A process, who administers it, and what it said no with.
struct Scene {
    serving: Serving,
    bearer: String,
    refusals: Mutex<String>,
}

impl Scene {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.serving.url)
    }

    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        http().request(method, self.at(path)).bearer_auth(&self.bearer)
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.admin(method, &format!("/admin/v1{path}")).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A request that must be refused; what is said is kept.
    async fn refused(&self, request: RequestBuilder) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let headers = format!("{:?}", answer.headers());
        let text = answer.text().await.unwrap();
        assert!(status.is_client_error() || status.is_server_error(), "{status}: {text}");
        self.note(&headers, &text);
    }

    fn note(&self, headers: &str, text: &str) {
        let mut all = self.refusals.lock().unwrap();
        writeln!(all, "{headers}\n{text}").unwrap();
    }
}

#[tokio::test]
async fn no_secret_is_found_in_logs_databases_or_refusals() {
    for home in Home::each().await {
        let mut canaries = Canaries::default();
        let made = run(&home, "init", &["--json"]);
        assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let serving = Serving::start_with(
            &home,
            &[("JETON_OUTBOUND__ALLOW_LOOPBACK", "true"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")],
        );
        let id = made["client_id"].as_str().unwrap();
        let secret = canaries.add("our client's secret", made["client_secret"].as_str().unwrap());
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", &secret)];
        let minted = http().post(format!("{}/o/token/", serving.url)).form(&form).send().await.unwrap();
        let minted: Value = minted.json().await.unwrap();
        let bearer = canaries.add("our access token", minted["access_token"].as_str().unwrap());
        let scene = Scene { serving, bearer, refusals: Mutex::default() };
        let provider = provider().await;
        let mut ada = prepare(&scene, &provider, &mut canaries).await;
        connect(&scene, &provider, &mut ada, &mut canaries).await;
        hand_out(&scene, &mut canaries).await;
        people(&scene, &mut ada, &mut canaries).await;
        nonsense(&scene, id, &mut canaries).await;

        let figures = scene.admin(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        assert!(figures.contains("jeton_refreshes_total{connector=\"canary\""), "{figures}");
        canaries.absent_from("the figures", &figures);
        for form in [&[][..], &["--json"]] {
            let mut doctor = jeton(&home);
            doctor.arg("doctor").args(home.flags()).args(form).env("JETON_OUTBOUND__ALLOW_LOOPBACK", "true");
            doctor.env("RUST_LOG", "trace");
            // The provider it calls runs on this thread.
            let told = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
            let text = String::from_utf8(told.stdout.clone()).unwrap() + &stderr(&told);
            assert!(exit_code(&told) == 0 && text.contains("provider canary"), "{text}");
            canaries.absent_from("what the doctor says", &text);
        }

        let refusals = scene.refusals.lock().unwrap().clone();
        assert!(
            refusals.contains("provider_unavailable") || refusals.contains("refresh_in_progress"),
            "{refusals}"
        );
        canaries.absent_from("a refusal", &refusals);
        let running = database(&home).await;
        assert!(running.contains("octocat"), "the search sees what is in clear");
        canaries.absent_from("the database", &running);
        let (code, log) = scene.serving.terminate();
        assert_eq!(code, Some(0));
        assert!(log.contains("GET /{app_id}/{connector}/binb-token answered 200"), "{log}");
        canaries.absent_from("the log", &log);
        canaries.absent_from("the database at rest", &database(&home).await);
        if let Some(bytes) =
            std::fs::read(home.data_dir().join("keyring.toml")).ok().filter(|b| !b.is_empty())
        {
            // The key itself is a canary too.
            let keyring = String::from_utf8(bytes).unwrap();
            let key = keyring.rsplit('"').nth(1).unwrap().to_owned();
            let mut own = Canaries::default();
            own.add("the keyring's key", key);
            own.absent_from("the log", &log);
            own.absent_from("the database", &running);
        }
    }
}

/// App, connector, credentials, and a member with a browser.
async fn prepare(scene: &Scene, provider: &ScriptedServer, canaries: &mut Canaries) -> Jar {
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

async fn connect(scene: &Scene, provider: &ScriptedServer, ada: &mut Jar, canaries: &mut Canaries) {
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

async fn hand_out(scene: &Scene, canaries: &mut Canaries) {
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
async fn people(scene: &Scene, ada: &mut Jar, canaries: &mut Canaries) {
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
async fn nonsense(scene: &Scene, client_id: &str, canaries: &mut Canaries) {
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

/// All of a database, as text: files as they lie there, or every row of every table.
async fn database(home: &Home) -> String {
    if home.database_url.is_none() {
        let files = std::fs::read_dir(home.data_dir()).unwrap().map(|entry| entry.unwrap().path());
        let data = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("jeton.db"));
        return data
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect();
    }
    let sql = Sql::open(home).await;
    let tables = sql.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await;
    let mut all = String::new();
    for table in tables {
        for row in sql.texts(&format!("SELECT t::text FROM \"{table}\" t")).await {
            writeln!(all, "{row}").unwrap();
        }
    }
    all
}
