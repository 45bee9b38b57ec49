//! Is the README true? Its commands are run as they stand, against the built program and a provider beside it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use jeton::config::{Config, Flag, Sources};
use jeton::model::time::SystemClock;
use jeton::sandbox::Sandbox;
use serde_json::Value;

use crate::support::app::Home;
use crate::support::jar::Jar;
use crate::support::peer::skipped;
use crate::support::program::{Serving, exit_code, jeton, stderr};
use crate::support::provider::sandbox;

const README: &str = include_str!("../../README.md");
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../examples/get_token.py");

/// The README's blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    README.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_python_of_the_readme_is_the_example() {
    assert_eq!(blocks("python"), [EXAMPLE]);
    let lines = EXAMPLE.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 15, "{lines} lines");
}

#[test]
fn the_example_without_arguments_says_how_it_is_used() {
    if !has_requests() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for arguments in [&[][..], &["acme"], &["acme", "github", "more"]] {
        let mut command = Command::new(python());
        command.env("PYTHONPATH", root.join("clients/python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.arg(root.join("examples/get_token.py")).args(arguments).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{}", stderr(&output));
        assert_eq!(stderr(&output), "usage: get_token.py APP CONNECTOR\n");
    }
}

#[test]
fn links_of_the_readme_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let here = links.filter(|link| !link.starts_with("https://"));
    let lost: Vec<_> = here.filter(|link| !root.join(link).exists()).collect();
    assert_eq!(lost, [""; 0]);
}

#[test]
fn the_demonstration_and_the_tests_are_where_the_readme_says() {
    assert_eq!(blocks("sh")[0], "cargo run -- demo\nscripts/test\n");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(scripts.metadata().unwrap().permissions().mode() & 0o111, 0o111);
}

#[test]
fn every_documented_setting_is_known() {
    let rows = CONFIGURATION.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let keys = rows.flat_map(|cell| cell.split(['`', ',', ' ']).filter(|key| !key.is_empty()));
    let mut seen = 0;
    for key in keys {
        let key: &'static str = Box::leak(key.replace("ID", "github").into_boxed_str());
        let flag = Flag { key, name: "a test", value: "?".to_owned() };
        let said = Config::load(Sources::flags(vec![flag]))
            .map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!said.contains("is not known"), "{said}");
        seen += 1;
    }
    assert!(seen > 20, "{seen} keys");
}

/// A machine on which the README is followed.
struct Reader {
    home: Home,
    environment: Vec<(String, String)>,
    url: String,
}

impl Reader {
    /// Nothing here yet but the secret that GitHub gave; its GitHub is the provider.
    fn beside(provider: &Sandbox) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let home = Home::sqlite();
        std::fs::write(home.path().join("github-secret.txt"), "sandbox-secret\n").unwrap();
        let environment = vec![
            ("JETON_LISTEN".to_owned(), free.clone()),
            ("JETON_OUTBOUND__ALLOW_LOOPBACK".to_owned(), "true".to_owned()),
            ("JETON_CONNECTORS__GITHUB__BASE_URL".to_owned(), provider.url().to_string()),
        ];
        Self { home, environment, url: format!("http://{free}") }
    }

    fn become_client(&mut self, id: &str, secret: &str) {
        self.environment.retain(|(name, _)| !name.starts_with("JETON_CLIENT"));
        self.environment.push(("JETON_CLIENT_ID".to_owned(), id.to_owned()));
        self.environment.push(("JETON_CLIENT_SECRET".to_owned(), secret.to_owned()));
    }

    /// Runs lines of the README; ours are the port and the client at the provider alone.
    fn run(&self, block: &str) -> Output {
        let script = block
            .replace("http://127.0.0.1:8080", &self.url)
            .replace("Iv1.0123456789abcdef", "sandbox-github");
        let mut shell = self.command("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).output().unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", built.display());
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.home.path()).env("PATH", path).env("JETON_URL", &self.url);
        command.envs(self.environment.clone());
        command
    }

    fn python(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/get_token.py");
        let mut command = self.command(&python());
        // As `pip install ./clients/python` does it, without the network.
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/src");
        command.env("PYTHONPATH", package).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(script).args(["acme", "github"]).output().unwrap()
    }
}

/// The interpreter of whoever runs the tests, as it may have `requests` where the system's has not.
fn python() -> String {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    asked
        .map_or_else(|_| "python3".to_owned(), |out| String::from_utf8(out.stdout).unwrap().trim().to_owned())
}

fn has_requests() -> bool {
    let found = Command::new(python()).args(["-c", "import requests"]).output();
    let has = found.is_ok_and(|output| output.status.success());
    has || skipped::<()>("the Python of the README: no python3 with requests here").is_some()
}

fn stdout(output: &Output) -> String {
    assert_eq!(exit_code(output), 0, "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The value after a word, on its line or in JSON.
fn after(text: &str, word: &str) -> String {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no {word} in {text}")).1;
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_can_be_followed_from_an_empty_directory_to_a_token() {
    let [_, calls, start, administer, use_it] = blocks("sh")[..] else {
        panic!("other blocks than were tested")
    };
    let provider = sandbox(Arc::new(SystemClock));
    let mut reader = Reader::beside(&provider);

    let (init, serve) = start.split_once('\n').unwrap();
    assert_eq!(serve, "jeton serve\n");
    stdout(&reader.run(init));
    let mut command = jeton(&reader.home);
    command.arg("serve").envs(reader.environment.clone());
    let serving = Serving::of(command);
    let first = std::fs::read_to_string(reader.home.path().join("first-credentials.txt")).unwrap();
    let admin = (after(&first, "JETON_CLIENT_ID="), after(&first, "JETON_CLIENT_SECRET="));
    reader.become_client(&admin.0, &admin.1);

    let done = stdout(&reader.run(administer));
    assert_eq!(after(&done, "redirect_uri "), format!("{}/connect/github/callback", reader.url));
    let invitation = after(&done, "\nurl ");
    let (_, client) = done.rsplit_once("allow ").unwrap();
    let job = (after(client, "\nclient_id "), after(client, "\nclient_secret "));
    reader.become_client(&job.0, &job.1);

    let mut ada = Jar::new();
    ada.accept(&invitation, "Ada").await;
    let authorize = ada.start(&format!("{}/acme/github/signup", reader.url)).await;
    let back = ada.decide(&authorize, "ada", "approve").await;
    assert_eq!(ada.get(back.as_str()).await.to().path(), "/acme/connect");

    let answer: Value = serde_json::from_str(&stdout(&reader.run(calls))).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    assert!(token.starts_with("gho_"));
    let shown: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&answer), names(&shown), "the answer has the fields that the README shows");
    let used = stdout(&reader.run(use_it));
    assert!(used.starts_with(token) && used.contains(&format!("\nGITHUB_TOKEN={token}\n")), "{used}");
    if has_requests() {
        assert!(stdout(&reader.python()).starts_with("a token of generation 1 that expires at 20"));
    }

    provider.handle().revoke_grants_of("ada");
    let rejected = reader.run("jeton token acme github --rejected 1");
    assert_eq!(exit_code(&rejected), 78, "{}", stderr(&rejected));
    reader.become_client(&admin.0, &admin.1);
    let attention = reader.run("jeton connection list --needs-attention");
    assert_eq!(exit_code(&attention), 78, "{}", stderr(&attention));
    stdout(&reader.run("jeton connection delete acme github"));
    reader.become_client(&job.0, &job.1);
    if has_requests() {
        let refused = reader.python();
        assert_eq!(exit_code(&refused), 78, "{}", stderr(&refused));
        assert!(stderr(&refused).contains("/acme/github/signup"), "{}", stderr(&refused));
    }
    assert_eq!(serving.terminate().0, Some(0));
    provider.stop().await;
}
