//! Does what the manuals say about notebooks and AWS hold, with real Python and an STS that others wrote?

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};

use super::{Machine, ok, signed_in, stderr, stdout};
use crate::scripted::ScriptedServer;
use crate::support::documented::Checkout;
use crate::support::house::House;
use crate::support::peer;

const NOTEBOOKS: &str = include_str!("../../../../docs/notebooks.md");
const AWS: &str = include_str!("../../../../docs/aws.md");
const ROLE: &str = "arn:aws:iam::123456789012:role/analysis";

fn block(manual: &str, language: &str) -> String {
    let rest = manual.split(&format!("```{language}\n")).nth(1).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notebook_gets_a_token_as_the_manual_says() {
    let Some(mut notebook) = peer::python("-c") else {
        return;
    };
    let house = House::start().await;
    let (machine, ..) = signed_in(&house).await;
    let program = block(NOTEBOOKS, "python").replace("\"github\"", "\"sandbox\"");
    assert!(program.contains("\"sandbox\""));
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
    notebook.arg(format!("{program}\nprint(headers['Authorization'])"));
    notebook.env_clear().env("HOME", machine.home.path());
    notebook.env("PATH", format!("{}:/usr/bin:/bin", built.display()));
    let output = tokio::task::spawn_blocking(move || notebook.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let token = machine.run(&["token", "acme", "sandbox"]).await;
    assert_eq!(stdout(&output), format!("Bearer {}", stdout(&token)));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_for_notebooks_is_made_as_the_manual_says() {
    let house = House::start().await;
    house.app("acme", "Acme").await;
    let machine = Machine::new(&house.broker.url);
    let line = block(NOTEBOOKS, "sh").replace("\\\n", "").replace('"', "");
    let (words, scopes) = line.trim().strip_prefix("jeton ").unwrap().split_once("--scope ").unwrap();
    let (scopes, rest) = scopes.split_once(" --").unwrap();
    let rest = format!("--{rest}");
    let mut words: Vec<_> = words.split_whitespace().chain(["--scope", scopes]).collect();
    words.extend(rest.split_whitespace().chain(["--json"]));
    let mut command = machine.command(&words);
    command.env("JETON_CLIENT_ID", &house.broker.superadmin.0);
    command.env("JETON_CLIENT_SECRET", &house.broker.superadmin.1);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let made: Value =
        serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert!(made["client_secret"].is_null() && made["client_id"].is_string(), "{made}");
    assert_eq!(made["redirect_uris"], json!(["http://127.0.0.1/"]));
    house.stop().await;
}

/// moto's server, ended when the test ends.
struct Moto {
    url: String,
    child: Child,
    _told: Lines<BufReader<ChildStderr>>,
}

impl Moto {
    fn start(mut command: Command) -> Self {
        command.args(["moto.server", "-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let running =
            |line: Result<String, _>| line.ok()?.split_once("Running on ").map(|(_, url)| url.to_owned());
        let url = told.find_map(running).expect("moto ended before it was ready");
        Self { url: url.trim().to_owned(), child, _told: told }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_becomes_aws_keys_at_an_sts_that_others_wrote() {
    let (Some(moto), Some(mut ask)) = (peer::python("-m"), peer::python("-c")) else {
        return;
    };
    let house = House::start().await;
    let (machine, ..) = signed_in(&house).await;
    let moto = Moto::start(moto);
    let before = machine.kept();
    let line = ["aws-credentials", "--role-arn", ROLE, "--endpoint-url", &moto.url, "--duration", "15m"];
    let output = machine.run(&line).await;
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let keys: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&keys["Version"], keys.as_object().unwrap().len()), (&json!(1), 5));
    assert!(keys["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{keys}");
    assert_ne!(machine.kept()["login"]["id_token"], before["login"]["id_token"], "the ID token is new");
    // The keys are good for a call.
    let call = "import boto3, sys; print(boto3.client('sts', region_name='us-east-1', endpoint_url=sys.argv[1]).get_caller_identity()['Arn'])";
    ask.args([call, &moto.url]);
    for (variable, key) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        ask.env(variable, keys[key].as_str().unwrap());
    }
    let arn = tokio::task::spawn_blocking(move || ask.output().unwrap()).await.unwrap();
    assert!(stdout(&arn).contains("assumed-role/analysis/jeton"), "{} {}", stdout(&arn), stderr(&arn));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_gets_a_token_and_aws_keys_by_one_sign_in() {
    let (Some(moto), Some(python)) = (peer::python("-m"), peer::python("-c")) else {
        return;
    };
    let house = House::start().await;
    let (machine, ..) = signed_in(&house).await;
    let moto = Moto::start(moto);
    let folder = machine.home.path().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config"), block(AWS, "ini")).unwrap();
    let start = || {
        let changes = [("CONNECTOR", "sandbox"), ("AWS_ENDPOINT_URL_STS", moto.url.as_str())];
        let mut checkout = Checkout::of("temporary_credentials", &changes);
        checkout.program("python3", &format!("exec {:?} \"$@\"", python.get_program()));
        checkout.environment("HOME", machine.home.path());
        checkout.start()
    };
    let (code, told, log) = start().end().await;
    assert_eq!((code, log.as_str()), (Some(0), ""));
    let [token, keys] = told.lines().collect::<Vec<_>>()[..].try_into().unwrap();
    assert!(token.starts_with("a token of acme sandbox until 20"), "{token}");
    assert!(
        keys.starts_with("AWS keys of arn:aws:sts::") && keys.contains("assumed-role/analysis/jeton"),
        "{keys}"
    );

    assert_eq!(machine.run(&["logout"]).await.status.code(), Some(0));
    let (code, told, log) = start().end().await;
    assert_eq!((code, told.as_str()), (Some(78), ""));
    assert!(log.contains("run `jeton login`"), "{log}");
    house.stop().await;
}

#[tokio::test]
async fn what_sts_refuses_or_garbles_gives_no_keys() {
    let refused =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>";
    for (status, body, code) in
        [(403, refused, 77), (200, "<A/>", 1), (200, "", 1), (503, "", 75), (302, "", 78)]
    {
        let server = ScriptedServer::start(move |seen, _| match seen.target.as_str() {
            "/o/token/" => ok(&json!({
                "access_token": "bearer-canary", "token_type": "Bearer", "expires_in": 3600,
                "refresh_token": "refresh-canary", "id_token": "id-canary",
            })),
            _ => (status, "", body.to_owned()),
        })
        .await;
        let machine = Machine::new(&server.url);
        machine.signed_in();
        let output =
            machine.run(&["aws-credentials", "--role-arn", ROLE, "--endpoint-url", &server.url]).await;
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(code), ""), "{}", stderr(&output));
        let sent = server.seen().pop().unwrap();
        assert!(
            sent.body.contains("WebIdentityToken=id-canary") && sent.body.contains("DurationSeconds=3600")
        );
        assert!(!sent.headers.contains_key("authorization") && sent.target == "/");
    }
    let line = ["aws-credentials", "--role-arn", ROLE, "--endpoint-url", "http://sts.example"];
    let server = ScriptedServer::start(|_, _| ok(&json!({
        "access_token": "b", "token_type": "Bearer", "expires_in": 60, "refresh_token": "r", "id_token": "i",
    })))
    .await;
    let machine = Machine::new(&server.url);
    machine.signed_in();
    let output = machine.run(&line).await;
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("use https"), "{}", stderr(&output));
}
