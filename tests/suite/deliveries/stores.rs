//! Does the broker itself deliver into OpenBao, and into what Microsoft's client takes for Azure Key Vault; and what
//! does it say of a store that changes what it is given, or is away?

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jeton_client::secret_store::ServiceCredential;
use reqwest::Method;
use serde_json::{Value, json};

use super::post::Post;
use super::servers::{Azure, Bao, application};
use super::{held, house, secret_of};
use crate::support::app::{Home, http};

async fn may(bao: &Bao, capabilities: &str) {
    let policy = format!(r#"path "secret/data/*" {{ capabilities = [{capabilities}] }}"#);
    bao.call(Method::PUT, "sys/policies/acl/deliver", &json!({"policy": policy})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_openbao_goes_on_and_touches_nothing_of_others() {
    let Some(bao) = Bao::start() else { return };
    may(&bao, r#""read""#).await;
    let made = bao.call(Method::PUT, "auth/token/create", &json!({"policies": ["deliver"]})).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    let as_whom = [("BAO_ADDR", bao.url.as_str()), ("BAO_TOKEN", token)];
    let looks = [("BAO_ADDR", bao.url.as_str()), ("BAO_TOKEN", Bao::ROOT)];
    let post = Post::at("vault:secret/", &as_whom, &looks).await;
    let widen = async || may(&bao, r#""read", "create", "update""#).await;
    post.goes_on("vault:secret/", "vault:secret/prod/pipeline#credential", "document", widen).await;

    // The whole mount is a place; what others keep in it is not.
    let theirs = json!({"data": {"password": "theirs"}});
    bao.call(Method::POST, "secret/data/theirs", &theirs).await;
    let to = "vault:secret/theirs#credential";
    let told = post.says(&["client", "add-service", "other", "--deliver-to", to], 1).await;
    assert!(told.contains(to) && told.contains("may be somebody else's: choose another path"), "{told}");
    let held = bao.call(Method::GET, "secret/data/theirs", &json!({})).await;
    assert_eq!((&held["data"]["data"], &held["data"]["metadata"]["version"]), (&theirs["data"], &json!(1)));
    assert!(!post.clients().await.contains("\"other\""), "nothing was made");
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_azure_goes_on_and_microsofts_client_reads_it() {
    let Some(azure) = Azure::start() else { return };
    let as_whom = application(&azure.plain, Azure::SECRET);
    let post = Post::at("azure-kv:corp-vault/", &as_whom, &as_whom).await;
    azure.set("deny", "set").await;
    let reference = "azure-kv:corp-vault/prod-pipeline";
    let allow = async || drop(azure.set("deny", "none").await);
    post.goes_on("azure-kv:corp-vault/", reference, "document", allow).await;

    let document: Value = serde_json::from_str(&azure.judge(&["read", "prod-pipeline"]).await).unwrap();
    let held = post.held(reference).await;
    assert_eq!(document["client_id"], held.client_id);
    assert_eq!(document["client_secret"], secret_of(&held));
    post.house.stop().await;
}

/// One secret of a Vault; while it `lies`, whoever reads a version back gets another one.
#[derive(Default)]
struct Liar {
    kept: Mutex<Option<Value>>,
    lies: AtomicBool,
}

async fn read(liar: web::Data<Liar>, request: HttpRequest) -> HttpResponse {
    let kept = liar.kept.lock().unwrap().clone();
    match kept {
        None => HttpResponse::NotFound().json(json!({"errors": []})),
        Some(_) if liar.lies.load(Ordering::SeqCst) && request.query_string().contains("version=") => {
            let other = json!({"data": {"credential": "other"}, "metadata": {"version": 1}});
            HttpResponse::Ok().json(json!({"data": other}))
        }
        Some(fields) => {
            HttpResponse::Ok().json(json!({"data": {"data": fields, "metadata": {"version": 1}}}))
        }
    }
}

async fn write(liar: web::Data<Liar>, body: web::Json<Value>) -> web::Json<Value> {
    *liar.kept.lock().unwrap() = Some(body["data"].clone());
    web::Json(json!({"data": {"version": 1}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_changes_what_it_is_given_or_is_away_is_told_of() {
    let liar = web::Data::new(Liar { lies: true.into(), ..Liar::default() });
    let shared = liar.clone();
    let server = HttpServer::new(move || {
        let secret = web::resource("/v1/secret/data/prod/pipeline");
        App::new()
            .app_data(shared.clone())
            .service(secret.route(web::get().to(read)).route(web::post().to(write)))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let stop = server.handle();
    tokio::spawn(server);
    let as_whom = [("BAO_ADDR", url.as_str()), ("BAO_TOKEN", "canary")];
    let post = Post::at("vault:secret/", &as_whom, &as_whom).await;
    let reference = "vault:secret/prod/pipeline#credential";

    let told = post.says(&["client", "add-service", "pipeline", "--deliver-to", "vault:secret/"], 1).await;
    let line =
        format!("`{reference}`: what was written there is not what comes back: see who else writes there");
    assert!(told.contains(&line) && told.contains("its credential not delivered"), "{told}");
    let id = told.split_whitespace().skip_while(|word| *word != "deliver").nth(1).unwrap();
    let id = id.trim_end_matches([':', '`']);
    assert!(post.says(&["client", "check"], 78).await.contains("pending"), "nobody calls it delivered");
    liar.lies.store(false, Ordering::SeqCst);
    post.says(&["client", "deliver", id], 0).await;
    assert!(post.is_let_in(&post.held(reference).await).await);
    post.says(&["client", "check"], 0).await;

    stop.stop(false).await;
    assert!(post.says(&["client", "check"], 78).await.contains("unreadable"));
    let told = post.says(&["client", "check", "--json"], 78).await;
    let line = format!("Vault or OpenBao, `{reference}`: no answer from {url}");
    assert!(told.contains(&line) && !told.contains("canary"), "{told}");
    post.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_itself_retires_a_secret_that_nobody_uses_any_more() {
    for home in Home::each().await {
        let name = home.name;
        let (house, folder) = house(home).await;
        let body = json!({"identifier": "pipeline", "kind": "service", "deliver_to": "file:"});
        let made = house.write(Method::POST, "/clients", &body).await;
        let id = made["client_id"].as_str().unwrap();
        let path = format!("/clients/{id}/delivery");
        let old = held(&folder, "file:prod/pipeline").await;
        house.write(Method::POST, &path, &json!({})).await;
        let fresh = held(&folder, "file:prod/pipeline").await;
        let is_let_in = async |held: &ServiceCredential| {
            let asked = http().post(held.token_endpoint.clone());
            let asked = asked.basic_auth(&held.client_id, Some(secret_of(held)));
            asked.form(&[("grant_type", "client_credentials")]).send().await.unwrap().status() == 200
        };
        assert!(is_let_in(&old).await && is_let_in(&fresh).await, "{name}");

        house.pass(25 * 3_600);
        let keys = [
            ("secret_stores.deliver_to", "file:prod/"),
            ("instance.stack", "prod"),
            ("JETON_SECRETS_DIR", folder.as_str()),
        ];
        let house = house.restart(&keys).await;
        let secrets = async || {
            let answer = house.ask(Method::GET, &format!("/admin/v1/clients/{id}"), None).await;
            answer.json::<Value>().await.unwrap()["secrets"].as_array().unwrap().len()
        };
        // It looks as soon as it has started, and nobody asks it to.
        let begun = Instant::now();
        while secrets().await != 1 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{name}: never");
        }
        let at = |held: &ServiceCredential| ServiceCredential {
            token_endpoint: house.broker.at("/o/token/").parse().unwrap(),
            ..held.clone()
        };
        assert!(!is_let_in(&at(&old)).await && is_let_in(&at(&fresh)).await, "{name}");
        house.stop().await;
    }
}
