//! The least that must be done: the product's libraries, one worker, nothing but the steps no design can leave out.

use std::net::SocketAddr;
use std::path::PathBuf;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton::model::time::{Clock, SystemClock};
use jeton_guard::{GivenKeys, Guard, KeySet};
use sea_orm::{Database, DatabaseConnection, EntityTrait};
use serde_json::json;

use crate::Fallible;

/// What a floor is started with.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    database: String,
    #[arg(long)]
    listen: SocketAddr,
    /// Public keys of the tokens it takes
    #[arg(long)]
    jwks: PathBuf,
    /// Their issuer
    #[arg(long)]
    issuer: String,
}

/// The floor's one table: a sealed token where it is asked for.
#[expect(unreachable_pub, reason = "an entity's parts are public")]
pub(crate) mod row {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "floor_token")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub app: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub connector: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub flow: String,
        pub generation: i64,
        pub expires_at: i64,
        pub scope: String,
        pub sealed_access: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The table, on both databases.
pub(crate) const TABLE: &str = "CREATE TABLE floor_token (app TEXT NOT NULL, connector TEXT NOT NULL, \
     flow TEXT NOT NULL, generation BIGINT NOT NULL, expires_at BIGINT NOT NULL, scope TEXT NOT NULL, \
     sealed_access {blob} NOT NULL, PRIMARY KEY (app, connector, flow))";

struct HandOut {
    db: DatabaseConnection,
    guard: Guard,
    cipher: Aes256Gcm,
}

struct Issue {
    db: DatabaseConnection,
    key: EcdsaKeyPair,
    issuer: String,
}

#[derive(serde::Deserialize)]
struct Query {
    flow: String,
}

/// The key that everything is sealed with here.
pub(crate) fn cipher() -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from([7_u8; 32]))
}

pub(crate) fn hand_out(args: Args) -> Fallible<()> {
    actix_web::rt::System::new().block_on(async {
        let keys = GivenKeys::new(KeySet::from_jwks(&std::fs::read(&args.jwks)?)?);
        let guard = Guard::builder(&args.issuer).audience(&args.issuer).keys(keys).build()?;
        let db = open(&args.database).await?;
        let state = web::Data::new(HandOut { db, guard, cipher: cipher() });
        serve(args.listen, move |cfg| {
            cfg.app_data(state.clone()).route("/{app}/{connector}/binb-token", web::get().to(give));
        })
        .await
    })
}

pub(crate) fn issue(args: Args) -> Fallible<()> {
    actix_web::rt::System::new().block_on(async {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
        let db = open(&args.database).await?;
        let state = web::Data::new(Issue { db, key, issuer: args.issuer });
        serve(args.listen, move |cfg| {
            cfg.app_data(state.clone()).route("/o/token/", web::post().to(sign));
        })
        .await
    })
}

async fn open(url: &str) -> Fallible<DatabaseConnection> {
    let mut options = sea_orm::ConnectOptions::new(url);
    // As many as the broker reads with.
    let connections = if url.starts_with("sqlite:") { 2 } else { 20 };
    options.max_connections(connections).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

async fn serve(
    listen: SocketAddr,
    routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Fallible<()> {
    let app = move || App::new().route("/readyz", web::get().to(HttpResponse::Ok)).configure(routes.clone());
    Ok(HttpServer::new(app).workers(1).bind(listen)?.run().await?)
}

async fn give(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
    state: web::Data<HandOut>,
) -> Result<HttpResponse, actix_web::Error> {
    use actix_web::error::{ErrorInternalServerError as broken, ErrorNotFound, ErrorUnauthorized};
    let now = SystemClock.now();
    let values = request.headers().get_all("authorization").map(|value| value.as_bytes());
    let token = jeton_guard::bearer(values).ok().flatten().ok_or_else(|| ErrorUnauthorized("no token"))?;
    state.guard.verify(token, now).await.map_err(ErrorUnauthorized)?;
    let ((app, connector), flow) = (path.into_inner(), query.into_inner().flow);
    let found = row::Entity::find_by_id((app, connector, flow)).one(&state.db).await.map_err(broken)?;
    let found = found.ok_or_else(|| ErrorNotFound("no such connection"))?;
    let access = open_sealed(&state.cipher, &found).ok_or_else(|| broken("does not open"))?;
    let expires_at = jeton::model::time::from_micros(found.expires_at);
    let text = |at: time::OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).ok();
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({
        "access_token": access, "token_type": "Bearer", "expires_in": (expires_at - now).whole_seconds(),
        "expires_at": text(expires_at), "guaranteed_until": text(expires_at), "scope": found.scope,
        "app_id": found.app, "connector": found.connector, "flow": found.flow, "generation": found.generation,
        "refreshed": false, "extra": {}, "degraded": null,
    })))
}

fn open_sealed(cipher: &Aes256Gcm, found: &row::Model) -> Option<String> {
    let (nonce, sealed) = found.sealed_access.split_first_chunk::<12>()?;
    let payload = Payload { msg: sealed, aad: found.app.as_bytes() };
    String::from_utf8(cipher.decrypt(&Nonce::from(*nonce), payload).ok()?).ok()
}

/// The first row stands for the client's.
async fn sign(_form: web::Bytes, state: web::Data<Issue>) -> Result<HttpResponse, actix_web::Error> {
    use actix_web::error::ErrorInternalServerError as broken;
    let id = ("app-0".to_owned(), "sandbox".to_owned(), "flow-0".to_owned());
    let found = row::Entity::find_by_id(id).one(&state.db).await.map_err(broken)?;
    let client = found.ok_or_else(|| broken("no client"))?.app;
    let now = SystemClock.now().unix_timestamp();
    let claims = json!({
        "iss": state.issuer, "sub": client, "aud": state.issuer, "client_id": client, "iat": now,
        "exp": now + 3600, "jti": "0192f0c1-2f3a-7c4d-8e5f-0123456789ab", "scope": "superadmin",
        "role": "superadmin",
    });
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "0192f0c12f3a7c4d8e5f0123456789ab" });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = state.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(broken)?;
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({
        "access_token": format!("{signed}.{}", encode(signature.as_ref())), "token_type": "Bearer",
        "expires_in": 3600, "scope": "superadmin",
    })))
}

/// Seals for a row, as `fill` does.
pub(crate) fn seal(cipher: &Aes256Gcm, app: &str, nonce: [u8; 12], token: &str) -> Option<Vec<u8>> {
    let payload = Payload { msg: token.as_bytes(), aad: app.as_bytes() };
    let sealed = cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
    Some([&nonce[..], &sealed].concat())
}
