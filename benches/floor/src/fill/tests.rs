//! Are the connections of a filled database handed out and refreshed by the broker like any other?

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;

use super::*;
use crate::line::Line;
use crate::provider::Provider;

/// A fresh database of each kind there is.
async fn databases(dir: &Path) -> Vec<String> {
    let mut databases = vec![format!("sqlite:{}", dir.join("jeton.db").display())];
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    if let Ok(server) = std::env::var("JETON_TEST_POSTGRES_URL") {
        let name = format!("floor_{}", id().simple());
        let db = Database::connect(&server).await.unwrap();
        db.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        databases.push(format!("{}/{name}", server.rsplit_once('/').unwrap().0));
    }
    databases
}

async fn ask(address: SocketAddr, request: String) -> Value {
    let mut line = Line::open(address).await.unwrap();
    let answer = line.ask(request.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
    answer.json().unwrap()
}

#[tokio::test]
async fn copies_are_handed_out_and_refreshed_like_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(Duration::ZERO).await.unwrap();
    // More than the apps, so that some have a second connection; and more than one statement.
    let connections = APPS + 3;
    let plan = Plan { connections, provider: &provider.url, refresh_due_at: i64::MAX };
    for (number, database) in databases(dir.path()).await.into_iter().enumerate() {
        let data_dir = dir.path().join(format!("data-{number}"));
        let config = config(&database, &data_dir, &plan).unwrap();
        let made = jeton::app::init(&config, nature()).await.unwrap();
        product(&database, &data_dir, &plan).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let running = App::open(&config, nature()).await.unwrap().serve(listener).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test is who the credentials were made for")]
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            made.client_id,
            made.client_secret.expose_secret()
        );
        let minted = ask(
            address,
            format!(
                "POST /o/token/ HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\n\r\n{form}",
                form.len()
            ),
        )
        .await;
        let bearer = minted["access_token"].as_str().unwrap();
        let hand_out = async |target: &str| {
            let head = format!("host: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\n\r\n");
            ask(address, format!("GET {target} HTTP/1.1\r\n{head}")).await
        };
        let mut tokens = BTreeSet::new();
        let all = targets(connections);
        // The first is the one that was imported.
        let sample: Vec<&String> = all.iter().take(20).chain(all.iter().rev().take(10)).collect();
        for target in &sample {
            let handed = hand_out(target).await;
            assert_eq!(handed["generation"], 1, "{target}: {handed}");
            tokens.insert(handed["access_token"].as_str().unwrap().to_owned());
        }
        assert_eq!(tokens.len(), sample.len(), "each has a token of its own");
        // Each refresh token opens where it lies, and none is another's.
        provider.reset();
        let db = Database::connect(&database).await.unwrap();
        db.execute_unprepared("UPDATE connection SET refresh_due_at = 1 WHERE flow = 'flow-1'")
            .await
            .unwrap();
        db.close().await.unwrap();
        let refreshed = async {
            let mut soon = tokio::time::interval(Duration::from_millis(50));
            while provider.count().refreshes < connections - APPS {
                soon.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), refreshed).await.expect("all are due and refreshed");
        running.stop().await;
    }
}
