//! What does a replica tell whoever shares out requests?

use std::time::{Duration, Instant};

use jeton::sandbox::Faults;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Home, http};
use crate::support::cluster::Cluster;
use crate::support::house::CLIENT;
use crate::support::problem::read;
use crate::support::program::{exit_code, run, stderr};
use crate::support::served::Served;

async fn get(url: &str, path: &str) -> Response {
    http().get(format!("{url}{path}")).send().await.unwrap()
}

async fn warnings(served: &Served) -> Value {
    let answer = get(&served.serving.url, "/readyz").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["status"], "ready", "{told}");
    told["warnings"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_told_to_end_is_not_ready_while_its_refresh_lands() {
    for home in Home::each().await {
        let served = Served::start(&home, &[("JETON_REFRESH__BACKGROUND", "false")]).await;
        served.connected_app("acme", 30).await;
        assert_eq!(warnings(&served).await, json!([]));
        let slow = Faults { slow_head_ms: Some(4_000), ..Faults::default() };
        served.sandbox.handle().set_faults(CLIENT, slow).unwrap();
        let presented = || -> usize {
            served.sandbox.handle().ledger().refresh_tokens.iter().map(|token| token.presented).sum()
        };
        let holder = served.ask(Method::GET, "/acme/sandbox/binb-token?min_ttl=60", None);
        let told = async {
            while presented() == 0 {
                tokio::task::yield_now().await;
            }
            served.serving.tell_to_end();
            let begun = Instant::now();
            let refused = loop {
                let answer = get(&served.serving.url, "/readyz").await;
                if answer.status() != StatusCode::OK {
                    break answer;
                }
                assert!(begun.elapsed() < Duration::from_secs(2), "it still says that it is ready");
            };
            let problem = read(refused, "overloaded").await;
            assert!(problem["detail"].as_str().unwrap().contains("told to end"), "{problem}");
            assert_eq!(get(&served.serving.url, "/healthz").await.status(), StatusCode::OK);
            let address = served.serving.direct.strip_prefix("http://").unwrap();
            let ready = run(&home, "ready", &["--listen", address]);
            assert_eq!(exit_code(&ready), 75);
            assert!(stderr(&ready).contains("not ready: the process was told to end"), "{}", stderr(&ready));
        };
        let (given, ()) = tokio::join!(holder, told);
        let (status, given): (_, Value) = (given.status(), given.json().await.unwrap());
        let Served { serving, sandbox, .. } = served;
        let (ended, log) = serving.terminate();
        assert_eq!((status, &given["generation"]), (StatusCode::OK, &json!(2)), "{given}\n{log}");
        assert_eq!(ended, Some(0), "it ended in order");
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn a_database_whose_standbys_may_lag_is_ready_with_a_warning() {
    let Some(cluster) = Cluster::start_or_skip().await else { return };
    let home = Home::at(Cluster::url_at(cluster.address()));
    let served = Served::start(&home, &[]).await;
    assert_eq!(warnings(&served).await, json!([]), "none follows");
    let follower = cluster.follow();
    let becomes = async |count: usize| {
        let begun = Instant::now();
        loop {
            let told = warnings(&served).await;
            if told.as_array().unwrap().len() == count {
                break told;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
        }
    };
    let told = becomes(1).await;
    assert!(told[0].as_str().unwrap().contains("set synchronous_standby_names"), "{told}");
    let address = served.serving.direct.strip_prefix("http://").unwrap();
    let ready = run(&home, "ready", &["--listen", address]);
    assert_eq!(exit_code(&ready), 0);
    assert!(stderr(&ready).contains("jeton: warning: servers follow the database"), "{}", stderr(&ready));
    cluster.set_synchronous("*").await;
    becomes(0).await;
    cluster.set_synchronous("").await;
    drop(follower);
    assert_eq!(served.serving.terminate().0, Some(0));
    served.sandbox.stop().await;
}
