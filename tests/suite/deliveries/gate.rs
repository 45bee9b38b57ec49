//! What stands between the broker and a secret store? A proxy that lets a call arrive there and keeps its answer.

use std::sync::Mutex;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, CONTENT_LENGTH};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use reqwest::Method;
use tokio::sync::Notify;

use crate::support::app::http;

pub(super) struct Gate {
    pub(super) url: String,
    state: web::Data<State>,
    server: ServerHandle,
}

struct State {
    /// The store's address.
    store: String,
    http: reqwest::Client,
    /// What the next call to be kept has in its first line or its operation.
    kept: Mutex<Option<&'static str>>,
    arrived: Notify,
}

impl Gate {
    pub(super) fn before(store: &str) -> Self {
        let store = store.trim_end_matches('/').to_owned();
        let state =
            web::Data::new(State { store, http: http(), kept: Mutex::default(), arrived: Notify::new() });
        let shared = state.clone();
        let server =
            HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(pass)));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let running = server.run();
        let server = running.handle();
        tokio::spawn(running);
        Self { url, state, server }
    }

    /// Ready when the store has done the next call that has `step` in it (`A not B`: A in it, and B not); whoever sent
    /// that one waits for ever.
    pub(super) async fn keeps(&self, step: &'static str) {
        *self.state.kept.lock().unwrap() = Some(step);
        self.state.arrived.notified().await;
    }

    pub(super) async fn close(self) {
        self.server.stop(false).await;
    }
}

async fn pass(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let method = Method::from_bytes(request.method().as_str().as_bytes()).unwrap();
    let step = format!("{method} {}", request.uri());
    let mut sent =
        state.http.request(method, format!("{}{}", state.store, request.uri())).body(body.to_vec());
    // The name of the host too: a signature covers it.
    for (name, value) in
        request.headers().iter().filter(|(name, _)| ![CONNECTION, CONTENT_LENGTH].contains(*name))
    {
        sent = sent.header(name.as_str(), value.as_bytes());
    }
    let answer = sent.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let body = answer.bytes().await.unwrap();
    let operation = request.headers().get("x-amz-target").map(|name| name.to_str().unwrap().to_owned());
    let step = step + " " + &operation.unwrap_or_default();
    let is_it = |kept: &mut &'static str| {
        let (has, has_not) = kept.split_once(" not ").unwrap_or((kept, "\n"));
        step.contains(has) && !step.contains(has_not)
    };
    if status.is_success() && state.kept.lock().unwrap().take_if(is_it).is_some() {
        state.arrived.notify_one();
        std::future::pending::<()>().await;
    }
    HttpResponse::build(status).content_type("application/json").body(body)
}
