//! The crate `openidconnect` signs people in, and does all else that it can (tests/openidconnect).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use reqwest::Method;
use serde_json::json;

use super::Ground;
use crate::authorization::say;
use crate::support::jar::Jar;
use crate::support::peer::skipped;

const BACK: &str = "https://shop.example.com/back";
const STEPS: [&str; 10] = [
    "discovery",
    "client_credentials",
    "introspection",
    "revocation",
    "code with PKCE",
    "ID token",
    "userinfo",
    "refresh",
    "revocation of a grant",
    "device",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_crate_openidconnect_gets_along_with_the_authorization_server() {
    if !build() {
        return skipped("the crate openidconnect: tests/openidconnect could not be built")
            .unwrap_or_default();
    }
    for ground in Ground::each().await {
        // Its clock is the machine's.
        ground.house.pass(900);
        let scopes = json!(["openid", "profile", "email", "offline_access"]);
        let shop =
            json!({"identifier": "Shop", "kind": "provider", "redirect_uris": [BACK], "scopes": scopes});
        let shop = ground.house.client(&shop).await;
        let script = json!({"identifier": "Notebook", "kind": "programmatic", "scopes": scopes});
        let script = ground.house.write(Method::POST, "/clients", &script).await;
        let mut ada = ground.ada().await;
        let mut command = cargo("run");
        command.args(["--", ground.url(), &shop.0, BACK, script["client_id"].as_str().unwrap()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", shop.1).unwrap();
        let passed = accompany(&ground, &mut child, &mut stdin, &mut ada).await;
        assert!(child.wait().unwrap().success(), "after {passed:?}, {}", ground.name());
        assert_eq!(passed, STEPS, "{}", ground.name());
        ground.stop().await;
    }
}

/// Does what only a person can do; the steps that were passed.
async fn accompany(ground: &Ground, child: &mut Child, stdin: &mut ChildStdin, ada: &mut Jar) -> Vec<String> {
    let mut passed = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        match line.split_once(' ').unwrap() {
            ("passed", step) => passed.push(step.to_owned()),
            ("open", url) if url.contains("/o/device/") => {
                allow_device(ada, url).await;
                writeln!(stdin).unwrap();
            }
            ("open", url) => writeln!(stdin, "{}", say(ada, url, "accept").await).unwrap(),
            ("wait", seconds) => {
                ground.house.pass(seconds.parse().unwrap());
                writeln!(stdin).unwrap();
            }
            (other, _) => panic!("{other}"),
        }
    }
    passed
}

/// Opens the link of a device, and says yes twice: to the code, and to who asks.
async fn allow_device(ada: &mut Jar, complete: &str) {
    let page = ada.get(complete).await;
    let (url, code) = complete.split_once("?user_code=").unwrap();
    let token = page.csrf_token();
    let asked = ada.post(url, &[("csrf_token", &token), ("user_code", code)]).await;
    assert!(asked.body.contains("Notebook"), "{}", asked.body);
    let done = ada.post(url, &[("csrf_token", &token), ("user_code", code), ("decision", "accept")]).await;
    assert!(done.body.contains("may act for you now"), "{}", done.body);
}

/// Nothing is to do where it is built already.
fn build() -> bool {
    cargo("build").status().is_ok_and(|status| status.success())
}

fn cargo(verb: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("openidconnect");
    let mut command = Command::new(env!("CARGO"));
    command.args([verb, "--quiet", "--locked", "--manifest-path"]);
    command.arg(root.join("tests/openidconnect/Cargo.toml")).arg("--target-dir").arg(target);
    command.stdin(Stdio::null());
    command
}
