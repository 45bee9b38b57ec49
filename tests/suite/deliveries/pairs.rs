//! Is the pair `client-id`, `client-secret` delivered into each store as a document is: one value, which is never half of
//! each of two, resumed where a store said no, and beside nothing of others?

use jeton_client::Secret;
use jeton_client::secret_store::Expected;
use reqwest::Method;
use serde_json::{Value, json};

use super::post::Post;
use super::servers::{Azure, Bao, Moto, application};
use super::{READ, secret_of};
use crate::support::peer;
use crate::support::program::stderr;

/// Gives the user of moto who may do nothing these rights with secrets, in place of those before.
const ALLOW: &str = r#"
import boto3, json, sys
iam = boto3.client("iam", region_name="us-east-1")
rights = [f"secretsmanager:{right}" for right in sys.argv[1:]]
allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": rights, "Resource": "*"}]}
iam.put_user_policy(UserName="may-not", PolicyName="some", PolicyDocument=json.dumps(allow))
"#;

async fn python(moto: &Moto, script: &'static str, arguments: &[&str]) -> String {
    let mut python = peer::python("-c").unwrap();
    python.arg(script).args(arguments).envs(moto.may());
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What is at a name already, even a pair of the same shape, is not touched, and nothing is made.
async fn is_refused_beside_another(post: &Post, place: &str, reference: &str) {
    let theirs = r#"{"client-id": "theirs", "client-secret": "theirs-too"}"#;
    let store = post.store(reference);
    let version = store.put(&Secret::new(theirs), &Expected::Absent).await.unwrap();
    store.activate(&version, &Expected::Absent).await.unwrap();
    let add = ["client", "add-service", "taken", "--deliver-to", place, "--deliver-as", "pair"];
    let told = post.says(&add, 1).await;
    assert!(told.contains(&format!("`{reference}`: a secret is there already")), "{told}");
    assert_eq!(post.kept(reference).await, theirs);
    assert!(!post.clients().await.contains("\"taken\""), "nothing was made");
}

/// The two halves that another program reads, and no third.
async fn are_halves(post: &Post, reference: &str, read: &str) {
    let held = post.held(reference).await;
    let read: Value = serde_json::from_str(read).unwrap();
    assert_eq!(read, json!({"client-id": held.client_id, "client-secret": secret_of(&held)}));
    assert!(post.is_let_in(&held).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_delivered_to_openbao() {
    let Some(bao) = Bao::start() else { return };
    let rights = async |rights: &str| {
        let policy = format!(r#"path "secret/data/*" {{ capabilities = [{rights}] }}"#);
        bao.call(Method::PUT, "sys/policies/acl/pair", &json!({"policy": policy})).await;
    };
    rights(r#""read""#).await;
    let made = bao.call(Method::PUT, "auth/token/create", &json!({"policies": ["pair"]})).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    let as_whom = [("BAO_ADDR", bao.url.as_str()), ("BAO_TOKEN", token)];
    let looks = [("BAO_ADDR", bao.url.as_str()), ("BAO_TOKEN", Bao::ROOT)];
    let post = Post::at("vault:secret/", &as_whom, &looks).await;
    is_refused_beside_another(&post, "vault:secret/", "vault:secret/prod/taken#credential").await;
    let reference = "vault:secret/prod/pipeline#credential";
    let widen = async || rights(r#""read", "create", "update""#).await;
    post.goes_on("vault:secret/", reference, "pair", widen).await;

    let kept = bao.call(Method::GET, "secret/data/prod/pipeline", &json!({})).await;
    let fields = kept["data"]["data"].as_object().unwrap();
    assert_eq!(fields.len(), 1, "one field, so one comparing write");
    are_halves(&post, reference, fields["credential"].as_str().unwrap()).await;
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_delivered_to_azure() {
    let Some(azure) = Azure::start() else { return };
    let (place, as_whom) = ("azure-kv:corp-vault/", application(&azure.plain, Azure::SECRET));
    let post = Post::at(place, &as_whom, &as_whom).await;
    is_refused_beside_another(&post, place, "azure-kv:corp-vault/prod-taken").await;
    azure.set("deny", "set").await;
    let reference = "azure-kv:corp-vault/prod-pipeline";
    post.goes_on(place, reference, "pair", async || drop(azure.set("deny", "none").await)).await;
    are_halves(&post, reference, &azure.judge(&["read", "prod-pipeline"]).await).await;
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_delivered_to_aws() {
    let Some(moto) = Moto::start() else { return };
    let (place, reference) = ("aws-sm:eu-west-1/", "aws-sm:eu-west-1/prod/pipeline");
    let post = Post::at(place, &moto.may_not(), &moto.may()).await;
    python(&moto, ALLOW, &["GetSecretValue"]).await;
    is_refused_beside_another(&post, place, "aws-sm:eu-west-1/prod/taken").await;
    let widen = async || drop(python(&moto, ALLOW, &["*"]).await);
    post.goes_on(place, reference, "pair", widen).await;
    are_halves(&post, reference, &python(&moto, READ, &["AWSCURRENT"]).await).await;
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_aws_has_written_and_not_made_current_is_read_by_nobody_and_finished() {
    let Some(moto) = Moto::start() else { return };
    let (place, reference) = ("aws-sm:eu-west-1/", "aws-sm:eu-west-1/prod/pipeline");
    let post = Post::at(place, &moto.may_not(), &moto.may()).await;
    python(&moto, ALLOW, &["GetSecretValue", "CreateSecret", "PutSecretValue"]).await;
    post.says(&["client", "add-service", "pipeline", "--deliver-to", place, "--deliver-as", "pair"], 0).await;
    let (id, first) = (post.pipeline().await, post.held(reference).await);

    // Written, read back, and no right to make it current.
    let told = post.says(&["client", "deliver", &id], 78).await;
    assert!(told.contains("allow `secretsmanager:UpdateSecretVersionStage`"), "{told}");
    let pending: Value = serde_json::from_str(&python(&moto, READ, &["AWSPENDING"]).await).unwrap();
    assert_eq!(pending["client-id"], id.as_str());
    assert_ne!(pending["client-secret"], secret_of(&first));
    are_halves(&post, reference, &python(&moto, READ, &["AWSCURRENT"]).await).await;
    assert_eq!(secret_of(&post.held(reference).await), secret_of(&first), "jobs have the one before");
    assert!(post.says(&["client", "check"], 78).await.contains("pending"));

    python(&moto, ALLOW, &["*"]).await;
    post.says(&["client", "deliver", &id], 0).await;
    are_halves(&post, reference, &python(&moto, READ, &["AWSCURRENT"]).await).await;
    let second = post.held(reference).await;
    assert!(secret_of(&second) != secret_of(&first) && post.is_let_in(&first).await);
    post.says(&["client", "check"], 0).await;
    post.service_token(place).await;
    post.house.stop().await;
}
