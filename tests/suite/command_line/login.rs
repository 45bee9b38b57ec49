//! What does a person see who signs in, and what the programs that act for them?

mod browser;
mod python;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::{ok, stderr, stdout};
use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::support::house::House;
use crate::support::jar::Jar;

/// A machine of a person: its home, and the broker they mean.
pub(super) struct Machine {
    pub(super) url: String,
    pub(super) home: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), home: tempfile::tempdir().unwrap() }
    }

    /// A command with nothing in its environment but the home and the broker.
    pub(super) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        command.args(line).env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("JETON_URL", &self.url).current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    pub(super) async fn run(&self, line: &[&str]) -> Output {
        let mut command = self.command(line);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    pub(super) fn file(&self) -> PathBuf {
        let name: String = byte_serialize(self.url.as_bytes()).collect();
        self.home.path().join(format!(".local/state/jeton/{name}.json"))
    }

    pub(super) fn kept(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.file()).unwrap()).unwrap()
    }

    /// What is kept, with these keys of the tokens changed.
    pub(super) fn change(&self, changes: &Value) {
        let mut kept = self.kept();
        for (key, value) in changes.as_object().unwrap() {
            kept["login"][key] = value.clone();
        }
        std::fs::write(self.file(), kept.to_string()).unwrap();
    }

    /// A sign-in of long ago, whose bearer is over.
    fn signed_in(&self) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        let login = json!({
            "scope": "openid", "access_token": "bearer-canary-old", "expires_at": "2026-01-01T00:00:00Z",
            "refresh_token": "refresh-canary-old", "id_token": null,
        });
        let note =
            json!({"version": 1, "url": self.url, "client_id": "script", "store": "file", "login": login});
        std::fs::write(self.file(), note.to_string()).unwrap();
        std::fs::set_permissions(self.file(), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// The person runs `jeton login`; what they do in a browser when they see the address and the code.
    pub(super) async fn sign_in(&self, client_id: &str, answer: impl AsyncFnOnce(&str)) -> (i32, String) {
        self.sign_in_by(self.command(&["login", "--client-id", client_id]), answer).await
    }

    async fn sign_in_by(&self, mut command: Command, answer: impl AsyncFnOnce(&str)) -> (i32, String) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        answer(first.rsplit(' ').next().unwrap()).await;
        let rest = move || {
            let told = lines.map_while(Result::ok).fold(first, |all, line| all + "\n" + &line);
            let output = child.wait_with_output().unwrap();
            assert!(output.stdout.is_empty());
            (output.status.code().unwrap(), told)
        };
        tokio::task::spawn_blocking(rest).await.unwrap()
    }
}

/// A client for a person's scripts, confined to an app.
pub(super) async fn script(house: &House) -> String {
    let body = json!({
        "identifier": "Notebook", "kind": "programmatic", "role": "superadmin", "allow": ["acme/*"],
        "scopes": ["openid", "email", "offline_access", "binb:read"], "redirect_uris": ["http://127.0.0.1/"],
    });
    let made = house.write(reqwest::Method::POST, "/clients", &body).await;
    made["client_id"].as_str().unwrap().to_owned()
}

/// Types the code and says yes or no.
pub(super) async fn answer(jar: &mut Jar, house: &House, code: &str, decision: &str) {
    let url = house.broker.at("/o/device/");
    let token = jar.get(&url).await.csrf_token();
    let form = [("csrf_token", token.as_str()), ("user_code", code), ("decision", decision)];
    let seen = jar.post(&url, &form).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
}

/// A house with a connected app, and its superadmin person signed in on a machine.
pub(super) async fn signed_in(house: &House) -> (Machine, String, String) {
    house.connected_app("acme").await;
    let mut root = Jar::new();
    root.accept(&house.broker.invitation_url, "Root").await;
    let (client_id, machine) = (script(house).await, Machine::new(&house.broker.url));
    let (code, told) =
        machine.sign_in(&client_id, async |code: &str| answer(&mut root, house, code, "accept").await).await;
    assert_eq!(code, 0, "{told}");
    (machine, client_id, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_once_and_commands_act_for_them() {
    for house in House::each().await {
        let (machine, client_id, told) = signed_in(&house).await;
        let page = house.broker.at("/o/device/");
        assert!(told.starts_with(&format!("Open {page} in any browser and type the code ")), "{told}");
        let file = machine.file();
        assert!(told.ends_with(&format!(" at {}; kept in {}", machine.url, file.display())), "{told}");
        assert!(told.contains("\nwaiting\n") && told.contains("signed in as "), "{told}");
        assert!(told.contains("\njeton: granted: "), "{told}");
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let kept = machine.kept();
        for secret in ["access_token", "refresh_token", "id_token"] {
            assert!(!told.contains(kept["login"][secret].as_str().unwrap()), "{told}");
        }

        let token = machine.run(&["token", "acme", "sandbox"]).await;
        assert_eq!((token.status.code(), stderr(&token).as_str()), (Some(0), ""));
        assert!(!stdout(&token).trim().is_empty());
        let json = machine.run(&["token", "acme", "sandbox", "--format", "json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&stdout(&json)).unwrap()["app_id"], "acme");
        let mut exec =
            machine.command(&["exec", "acme", "sandbox", "--env", "T", "--", "sh", "-c", "printf %s $T"]);
        let exec = exec.env_remove("JETON_URL").output().unwrap();
        assert_eq!(format!("{}\n", stdout(&exec)), stdout(&token), "{}", stderr(&exec));
        // A confined client's token opens nothing else, whoever the person is.
        assert_eq!(machine.run(&["app", "list"]).await.status.code(), Some(77));
        assert_eq!(machine.run(&["token", "globex", "sandbox"]).await.status.code(), Some(77));
        let who = machine.run(&["whoami", "--json"]).await;
        let who: Value = serde_json::from_str(&stdout(&who)).unwrap();
        assert_eq!((&who["client_id"], &who["refreshes"]), (&json!(client_id), &json!(true)));

        // The bearer is over: it is refreshed, and what is kept rotates.
        machine.change(&json!({"expires_at": "2026-01-01T00:00:00Z"}));
        assert_eq!(machine.run(&["token", "acme", "sandbox"]).await.status.code(), Some(0));
        assert_ne!(machine.kept()["login"]["refresh_token"], kept["login"]["refresh_token"]);
        assert_eq!(mode(&file), 0o600);

        let last = machine.kept();
        let out = machine.run(&["logout"]).await;
        assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(0), ""), "{}", stderr(&out));
        assert!(!file.exists());
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id.as_str()),
            ("refresh_token", last["login"]["refresh_token"].as_str().unwrap()),
        ];
        let again = house.broker.http.post(house.broker.at("/o/token/")).form(&form).send().await.unwrap();
        assert_eq!(again.json::<Value>().await.unwrap()["error"], "invalid_grant");
        let token = machine.run(&["token", "acme", "sandbox"]).await;
        assert_eq!(token.status.code(), Some(78));
        assert!(stderr(&token).contains("nobody is signed in at"), "{}", stderr(&token));
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_goes_before_the_sign_in_is_told() {
    let house = House::start().await;
    let (client_id, machine) = (script(&house).await, Machine::new(&house.broker.url));
    let mut root = Jar::new();
    root.accept(&house.broker.invitation_url, "Root").await;
    let mut login = machine.command(&["login", "--client-id", &client_id]);
    login.env("JETON_CLIENT_SECRET", "secret-canary");
    let (code, told) =
        machine.sign_in_by(login, async |code: &str| answer(&mut root, &house, code, "accept").await).await;
    assert_eq!(code, 0, "{told}");
    let line =
        "jeton: JETON_CLIENT_SECRET is set: until it is unset, commands act as that client and not for you";
    assert!(told.contains(line) && !told.contains("canary"), "{told}");
    let (_, told) =
        machine.sign_in(&client_id, async |code: &str| answer(&mut root, &house, code, "accept").await).await;
    assert!(told.contains("signed in") && !told.contains("is set"), "{told}");

    let mut whoami = machine.command(&["whoami"]);
    whoami.env("JETON_CLIENT_SECRET", "secret-canary").env("JETON_CREDENTIAL", "file:prod/job");
    let told = tokio::task::spawn_blocking(move || whoami.output().unwrap()).await.unwrap();
    assert_eq!(told.status.code(), Some(78));
    let both = "JETON_CREDENTIAL and a JETON_CLIENT_SECRET are set: keep one";
    assert!(stderr(&told).contains(both), "{}", stderr(&told));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_refresh_at_once_spend_one_token_and_all_go_on() {
    let house = House::start().await;
    let (machine, ..) = signed_in(&house).await;
    for _ in 0..2 {
        machine.change(&json!({"expires_at": "2026-01-01T00:00:00Z"}));
        let lines = (0..6).map(|_| machine.run(&["token", "acme", "sandbox"]));
        for output in futures_util::future::join_all(lines).await {
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
    }
    house.stop().await;
}

/// A token endpoint that plays `script`, beside a broker that hands out.
async fn broker(script: impl Fn(&Seen, usize) -> Scripted + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |seen, nth| match seen.target.as_str() {
        "/o/token/" | "/o/device_authorization/" => script(seen, nth),
        _ => ok(&super::handed()),
    })
    .await
}

fn granted() -> Scripted {
    ok(&json!({
        "access_token": "bearer-canary", "token_type": "Bearer", "expires_in": 3600, "scope": "openid",
        "refresh_token": "refresh-canary",
    }))
}

#[tokio::test]
async fn a_refused_refresh_says_to_sign_in_again() {
    let server = broker(|_, _| (400, "", json!({"error": "invalid_grant"}).to_string())).await;
    let machine = Machine::new(&server.url);
    machine.signed_in();
    let output = machine.run(&["token", "acme", "github"]).await;
    assert_eq!(output.status.code(), Some(78));
    let told = format!(
        "jeton: cannot get a token of acme/github: the sign-in at {} has ended; run `jeton login` again\n",
        server.url
    );
    assert_eq!(stderr(&output), told);
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_before_anything_is_sent() {
    let server = broker(|_, _| granted()).await;
    let machine = Machine::new(&server.url);
    machine.signed_in();
    std::fs::set_permissions(machine.file(), PermissionsExt::from_mode(0o604)).unwrap();
    for line in [&["token", "acme", "github"][..], &["whoami"], &["logout"], &["login", "--client-id", "x"]] {
        let output = machine.run(line).await;
        assert_eq!(output.status.code(), Some(78), "{line:?}");
        assert!(stderr(&output).contains("run `chmod go= "), "{}", stderr(&output));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_secret_in_the_environment_goes_before_the_sign_in() {
    let server = broker(|_, _| granted()).await;
    let machine = Machine::new(&server.url);
    machine.signed_in();
    let mut command = machine.command(&["token", "acme", "github"]);
    command.env("JETON_CLIENT_ID", "script").env("JETON_CLIENT_SECRET", "s3cret-canary");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(server.seen()[0].body, "grant_type=client_credentials");
    let mut command = machine.command(&["whoami", "--json"]);
    command.env("JETON_CLIENT_ID", "script").env("JETON_CLIENT_SECRET", "s3cret-canary");
    let who = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let who: Value = serde_json::from_slice(&who.stdout).unwrap();
    assert_eq!((&who["client_id"], &who["person"]), (&json!("script"), &Value::Null), "{who}");
    // A client that is named without its secret is not silently another one.
    let output =
        machine.command(&["token", "acme", "github"]).env("JETON_CLIENT_ID", "job").output().unwrap();
    assert!(stderr(&output).contains("JETON_CLIENT_SECRET is not set"), "{}", stderr(&output));
}

/// Codes that live so many seconds.
fn device(expires_in: u64) -> Scripted {
    ok(&json!({
        "device_code": "device-canary", "user_code": "BCDF-GHJK", "verification_uri": "http://127.0.0.1:9/o/device/",
        "expires_in": expires_in, "interval": 1,
    }))
}

async fn login(machine: &Machine) -> (i32, String) {
    let output = machine.run(&["login", "--client-id", "script"]).await;
    assert_eq!(stdout(&output), "");
    (output.status.code().unwrap(), stderr(&output))
}

#[tokio::test]
async fn what_was_not_granted_is_told() {
    let script = |seen: &Seen, _| if seen.target == "/o/token/" { granted() } else { device(600) };
    let server = broker(script).await;
    let machine = Machine::new(&server.url);
    let output = machine.run(&["login", "--client-id", "script", "--scope", "binb:read"]).await;
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    let told = stderr(&output);
    assert!(told.contains("jeton: granted: openid; not granted: offline_access binb:read\n"), "{told}");
    assert!(told.contains("jeton: binb:read was not granted: it needs a superadmin"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_no_superadmin_is_told_at_the_sign_in() {
    let house = House::start().await;
    house.connected_app("acme").await;
    let mut ada = Jar::new();
    ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    let (client_id, machine) = (script(&house).await, Machine::new(&house.broker.url));
    let (code, told) =
        machine.sign_in(&client_id, async |code: &str| answer(&mut ada, &house, code, "accept").await).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("\njeton: binb:read was not granted: it needs a superadmin"), "{told}");
    assert_eq!(machine.run(&["token", "acme", "sandbox"]).await.status.code(), Some(77));
    house.stop().await;
}

#[test]
fn what_a_sign_in_needs_is_named_as_options_too() {
    let machine = Machine::new("http://127.0.0.1:9");
    let run = |line: &[&str], unset: bool| {
        let mut command = machine.command(line);
        if unset {
            command.env_remove("JETON_URL");
        }
        let output = command.output().unwrap();
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(78), ""), "{line:?}");
        stderr(&output)
    };
    let told = run(&["login"], true);
    assert!(told.contains("give --url (or JETON_URL) and --client-id (or JETON_CLIENT_ID)"), "{told}");
    let told = run(&["login"], false);
    assert!(told.ends_with("give --client-id (or JETON_CLIENT_ID)\n"), "{told}");
    let told = run(&["login", "--client-id", "script"], true);
    assert!(told.ends_with("give --url (or JETON_URL)\n"), "{told}");
    for line in [&["login", "--client-id", "script"][..], &["whoami"], &["logout"]] {
        let told = run(&[line, &["--url", "127.0.0.1:8080"]].concat(), true);
        assert!(
            told.contains("--url (or JETON_URL) is not a usable URL: it must start with https://"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_broken_connection_does_not_end_the_waiting() {
    let server = broker(|seen, nth| match (seen.target.as_str(), nth) {
        ("/o/device_authorization/", _) => device(600),
        (_, 1) => (400, "", json!({"error": "authorization_pending"}).to_string()),
        (_, 2) => (0, "", String::new()),
        _ => granted(),
    })
    .await;
    let machine = Machine::new(&server.url);
    let (code, told) = login(&machine).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("type the code BCDF-GHJK\n"), "{told}");
    assert_eq!(machine.kept()["login"]["refresh_token"], "refresh-canary");
    let seen = server.seen();
    assert_eq!(seen[0].body, "client_id=script", "all that the client may have is asked for");
    assert!(seen[1].body.contains("device_code=device-canary"));
}

#[tokio::test]
async fn a_no_and_a_hostile_answer_end_the_waiting() {
    let error = |error: &str| (400, "", json!({"error": error}).to_string());
    let garbled = json!({"access_token": "a\nb", "token_type": "Bearer", "expires_in": 1});
    for (answer, expected) in [
        (error("access_denied"), 77),
        (error("expired_token"), 1),
        (error("invalid_client"), 77),
        ((302, "location: http://127.0.0.1:9/\r\n", String::new()), 78),
        ((200, "", "{}".to_owned()), 1),
        (ok(&garbled), 1),
    ] {
        let told_as = answer.2.clone();
        // Whoever asks again, which is wrong, ends all the same: the codes live no longer than this.
        let script = move |seen: &Seen, _| {
            if seen.target == "/o/token/" { answer.clone() } else { device(3) }
        };
        let server = broker(script).await;
        let machine = Machine::new(&server.url);
        let (code, told) = login(&machine).await;
        assert_eq!(code, expected, "{told_as}: {told}");
        assert_eq!(server.seen().len(), 2, "{told_as}: it asked again");
        assert!(!machine.file().exists());
    }
}

#[tokio::test]
async fn a_hostile_device_answer_is_shown_to_nobody() {
    let page = "http://127.0.0.1:9/o/device/";
    for changes in [
        json!({"user_code": "A\u{1b}[2JB"}),
        json!({"user_code": "X".repeat(65)}),
        json!({"verification_uri": "javascript:alert(1)"}),
        json!({"verification_uri_complete": "file:///etc/passwd"}),
        json!({"device_code": null}),
        json!({"expires_in": -1}),
    ] {
        let mut body = json!({
            "device_code": "device-canary", "user_code": "BCDF-GHJK", "verification_uri": page, "expires_in": 600,
        });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let server = broker(move |_, _| ok(&body)).await;
        let (code, told) = login(&Machine::new(&server.url)).await;
        assert_eq!((code, told.lines().count()), (1, 1), "{changes}: {told}");
        assert!(told.contains("is not as documented") && server.seen().len() == 1, "{told}");
    }
}
