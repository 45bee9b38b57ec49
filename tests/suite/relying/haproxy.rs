//! haproxy verifies our tokens with keys exported as docs/verifying.md says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::StatusCode;

use super::server::{Server, free_ports};
use super::{Ground, block, call};
use crate::support::app::http;
use crate::support::peer::skipped;

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_lets_good_tokens_in_and_no_others_also_after_a_key_roll() {
    if !Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    {
        return skipped("haproxy verifies our tokens: no haproxy here").unwrap_or_default();
    }
    let Some(python) = python() else {
        return skipped("haproxy verifies our tokens: no python3 with jwcrypto").unwrap_or_default();
    };
    for ground in Ground::each().await {
        let dir = tempfile::tempdir().unwrap();
        let keys = export(&ground, python, dir.path()).await;
        assert_eq!(keys.len(), 1);
        let before = ground.token(&ground.reader).await;
        {
            let (_server, service) = start(&ground, &keys, dir.path());
            ground.judge(&service).await;
            let (status, _) = call(&service, Some(&ground.token(&ground.writer).await)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "it may not read");
        }
        // The guide's five minutes lie between the announcement and the first token.
        ground.announce_key().await;
        let keys = export(&ground, python, dir.path()).await;
        assert_eq!(keys.len(), 2, "the announced one is there");
        let (_server, service) = start(&ground, &keys, dir.path());
        ground.promote_key().await;
        let after = ground.token(&ground.reader).await;
        assert_ne!(after.split('.').next(), before.split('.').next(), "another kid");
        for token in [&before, &after] {
            assert_eq!(call(&service, Some(token)).await.0, StatusCode::OK, "{}", ground.name());
        }
        ground.judge(&service).await;
        ground.stop().await;
    }
}

/// The one that has jwcrypto.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import jwcrypto"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// The guide's export; the files.
async fn export(ground: &Ground, python: &str, dir: &Path) -> Vec<PathBuf> {
    let url = ground.house.broker.at("/.well-known/jwks.json");
    let keys = http().get(url).send().await.unwrap().text().await.unwrap();
    let script = block("python", "export_to_pem");
    let mut command = Command::new(python);
    let mut child = command.args(["-c", &script]).current_dir(dir).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "pem")).collect()
}

/// The guide's frontend, which itself tells who calls.
fn start(ground: &Ground, keys: &[PathBuf], dir: &Path) -> (Server, String) {
    let [port] = free_ports();
    let mut conf = String::from(
        "global\n    maxconn 100\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n",
    );
    for line in ground.here(&block("haproxy", "jwt_verify")).lines() {
        if line.contains("KID.pem") {
            for key in keys {
                conf.push_str(&line.replace("/etc/haproxy/KID.pem", &key.display().to_string()));
                conf.push('\n');
            }
            continue;
        }
        let line = line.replace(":8443 ssl crt /etc/haproxy/terms.pem", &format!("127.0.0.1:{port}"));
        let told = "http-request return status 200 content-type text/plain lf-string %[req.hdr(x-sub)]";
        conf.push_str(&line.replace("server one 127.0.0.1:9000", told));
        conf.push('\n');
    }
    let path = dir.join("haproxy.cfg");
    std::fs::write(&path, conf).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&path);
    (Server::start(command, &dir.join("haproxy.log"), port), format!("http://127.0.0.1:{port}/"))
}
