//! Azure compares nothing when it writes. Is it told when somebody else writes between the look and the write, and is
//! what they wrote still there?

use serde_json::Value;

use super::post::Post;
use super::servers::{Azure, application};

const PLACE: &str = "azure-kv:corp-vault/";
const REFERENCE: &str = "azure-kv:corp-vault/prod-pipeline";
const ADD: [&str; 5] = ["client", "add-service", "pipeline", "--deliver-to", PLACE];

async fn post(azure: &Azure) -> Post {
    let as_whom = application(&azure.plain, Azure::SECRET);
    Post::at(PLACE, &as_whom, &as_whom).await
}

/// Every value that was ever written, as Microsoft's client reads them.
async fn all(azure: &Azure) -> Vec<String> {
    let all: Value = serde_json::from_str(&azure.judge(&["all", "prod-pipeline"]).await).unwrap();
    all.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_over_what_somebody_wrote_at_the_same_time_is_told_and_kept_for_whoever_decides() {
    let Some(azure) = Azure::start() else { return };
    let post = post(&azure).await;
    azure.set("race", "before").await;
    let told = post.says(&ADD, 1).await;
    assert!(
        told.contains(&format!("Azure Key Vault, `{REFERENCE}`: somebody else wrote it at the same time"))
    );
    assert!(told.contains("its credential not delivered"), "{told}");
    let version = told.split_once("their version (").unwrap().1.split_once(')').unwrap().0;
    assert!(all(&azure).await.contains(&"theirs".to_owned()), "it is kept");
    assert!(post.says(&["client", "check"], 78).await.contains("pending"), "nobody calls it delivered");

    // The operator decides for this one.
    let id = post.pipeline().await;
    post.says(&["client", "deliver", &id], 0).await;
    let first = post.held(REFERENCE).await;
    assert!(first.client_id == id && post.is_let_in(&first).await);
    post.says(&["client", "check"], 0).await;

    // The same where a secret is replaced; it is another version of theirs that is named.
    azure.set("race", "before").await;
    let told = post.says(&["client", "deliver", &id], 1).await;
    assert!(told.contains("somebody else wrote it at the same time") && !told.contains(version), "{told}");
    assert_eq!(all(&azure).await.iter().filter(|value| *value == "theirs").count(), 2);
    assert!(post.is_let_in(&first).await, "jobs have it");
    post.says(&["client", "deliver", &id], 0).await;
    assert!(post.is_let_in(&post.held(REFERENCE).await).await && post.is_let_in(&first).await);
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_under_what_somebody_wrote_at_the_same_time_leaves_theirs() {
    let Some(azure) = Azure::start() else { return };
    let post = post(&azure).await;
    azure.set("race", "after").await;
    let told = post.says(&ADD, 1).await;
    let line = format!("`{REFERENCE}`: somebody else changed it meanwhile: look at it, then try again");
    assert!(told.contains(&line) && told.contains("its credential not delivered"), "{told}");
    assert_eq!(post.kept(REFERENCE).await, "theirs");
    assert!(post.says(&["client", "check"], 78).await.contains("foreign"));
    let id = post.pipeline().await;
    let told = post.says(&["client", "deliver", &id], 1).await;
    assert!(told.contains("a secret is there already"), "{told}");
    assert_eq!((post.kept(REFERENCE).await.as_str(), all(&azure).await.len()), ("theirs", 2));
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_may_not_list_versions_writes_nothing() {
    let Some(azure) = Azure::start() else { return };
    let post = post(&azure).await;
    azure.set("deny", "list").await;
    let told = post.says(&ADD, 78).await;
    let lacks = "permission is missing: allow `List` on the vault's secrets (role Key Vault Secrets Officer)";
    assert!(told.contains(lacks), "{told}");
    azure.set("deny", "none").await;
    assert!(post.store(REFERENCE).get().await.unwrap().is_none());
    post.says(&["client", "deliver", &post.pipeline().await], 0).await;
    post.house.stop().await;
}
