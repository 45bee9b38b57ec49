//! Who may create terms, and who may list them? Whoever has a token of the issuer, for this service, with the scope.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Args;
use jeton_guard::actix::{Bearer, Scope};
use jeton_guard::{Guard, RemoteKeys};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::Error;

/// What the service must know of tokens.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// Who issues tokens, to the letter
    #[arg(long, env = "JETON_URL")]
    issuer: String,
    /// Whom they must be for: the service's `uri`, as it is registered at the issuer
    #[arg(long, env = "TERMS_AUDIENCE")]
    audience: String,
}

struct TermsWrite;
impl Scope for TermsWrite {
    const SCOPE: &'static str = "terms:write";
}

struct TermsRead;
impl Scope for TermsRead {
    const SCOPE: &'static str = "terms:read";
}

/// Definitions by their names.
type Terms = Mutex<BTreeMap<String, String>>;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Term {
    name: String,
    definition: String,
}

/// Starts it; its address.
pub(crate) fn start(settings: &ServiceArgs, listen: SocketAddr) -> Result<(Url, Server), Error> {
    let keys = RemoteKeys::discovery(&settings.issuer)?;
    let guard = Guard::builder(&settings.issuer).audience(&settings.audience).keys(keys).build()?;
    let (guard, terms) = (web::Data::new(guard), web::Data::new(Terms::default()));
    let listener = TcpListener::bind(listen)?;
    let address = format!("http://{}/", listener.local_addr()?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(guard.clone())
            .app_data(terms.clone())
            .route("/api/create-term/", web::post().to(create_term))
            .route("/api/list-terms/", web::get().to(list_terms))
    });
    let address = Url::parse(&address).map_err(std::io::Error::other)?;
    Ok((address, server.workers(1).listen(listener)?.run()))
}

/// A term that is there already gets the new definition.
async fn create_term(
    caller: Bearer<TermsWrite>,
    term: web::Json<Term>,
    terms: web::Data<Terms>,
) -> HttpResponse {
    let Term { name, definition } = term.into_inner();
    tracing::info!("{} creates the term `{name}`", caller.subject);
    let answer = HttpResponse::Created().json(json!({"name": name, "definition": definition}));
    terms.lock().unwrap_or_else(PoisonError::into_inner).insert(name, definition);
    answer
}

async fn list_terms(_: Bearer<TermsRead>, terms: web::Data<Terms>) -> HttpResponse {
    let terms = terms.lock().unwrap_or_else(PoisonError::into_inner);
    let term =
        |(name, definition): (&String, &String)| Term { name: name.clone(), definition: definition.clone() };
    HttpResponse::Ok().json(json!({"terms": terms.iter().map(term).collect::<Vec<_>>()}))
}
