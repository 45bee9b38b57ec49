//! The crate `openidconnect` signs people in, and does all else that it can (tests/openidconnect).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
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
    // Without its packages nothing can be built; with them a failure is ours.
    if !cargo("fetch").status().is_ok_and(|status| status.success()) {
        return skipped("the crate openidconnect: its packages could not be fetched").unwrap_or_default();
    }
    assert!(
        cargo("build").arg("--target-dir").arg(target()).status().unwrap().success(),
        "it does not build"
    );
    let mut grounds = Ground::each().await;
    grounds.push(Ground::under("/laputa").await);
    for ground in grounds {
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
        command.arg("--target-dir").arg(target());
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

/// Built beside the product, whose tree knows nothing of it; nothing is to do where it is built already.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("openidconnect")
}

fn cargo(verb: &str) -> Command {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openidconnect/Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args([verb, "--quiet", "--locked", "--manifest-path"]).arg(manifest).stdin(Stdio::null());
    command
}
