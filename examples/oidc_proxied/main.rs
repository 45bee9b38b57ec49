//! How does a service behind a proxy that signs people in greet them, and work on with their tokens in the background?
//!
//! Whoever comes without a token is greeted too (`auto_error` is false). For somebody signed in the access token goes to
//! a remote service at once, and then again and again in the background, long after the visitor has gone.

mod calls;
mod settings;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Parser;
use jeton_guard::actix::MaybeForwarded;
use jeton_guard::{Forwarded, OidcProxyScheme};
use serde_json::json;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use calls::{Caller, Report, Tokens};
use settings::Settings;

/// For so many people at most calls are made in the background at one time.
const MOST_VISITORS: usize = 64;
/// The exit code of the command line for "needs configuration".
const MISCONFIGURED: u8 = 78;

/// Those for whom calls are being made, by `sub`; each ends with its last call or with the service.
struct Visitors {
    caller: Arc<Caller>,
    running: Mutex<HashMap<String, JoinHandle<()>>>,
    reports: mpsc::Sender<Report>,
}

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    let settings = Settings::parse();
    let scheme = match settings.scheme() {
        Ok(scheme) => scheme,
        Err(error) => {
            tracing::error!("the settings cannot be used: {error}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    match actix_web::rt::System::new().block_on(serve(settings, scheme)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings, scheme: OidcProxyScheme) -> Result<(), Box<dyn std::error::Error>> {
    let scheme = web::Data::new(scheme);
    let (reports, mut reported) = mpsc::channel(MOST_VISITORS);
    let visitors = Visitors { caller: Arc::new(settings.caller()?), running: Mutex::default(), reports };
    let visitors = web::Data::new(visitors);
    // Proxies differ in whether they take the path away.
    let roots = ["", settings.root_path.trim_end_matches('/')].map(|root| format!("{root}/"));
    let server = HttpServer::new(move || {
        let app = App::new().app_data(scheme.clone()).app_data(visitors.clone());
        roots.iter().fold(app, |app, root| app.route(root, web::get().to(greet)))
    });
    let server = server.workers(1).bind((settings.host, settings.port))?;
    for address in server.addrs() {
        tell(&format!("listening on http://{address}/"));
    }
    let server = server.run();
    let handle = server.handle();
    let one_visitor = settings.one_visitor;
    let telling = async move {
        while let Some(report) = reported.recv().await {
            tell(&report.to_string());
            if one_visitor {
                handle.stop(true).await;
            }
        }
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = telling => Ok(()),
    }
}

async fn greet(visitor: MaybeForwarded, visitors: web::Data<Visitors>) -> HttpResponse {
    let Some(person) = visitor.0 else {
        return HttpResponse::Ok().json(json!({"message": "Hello, unauthorised person!", "remote": null}));
    };
    let name = person.claims.extra.get("preferred_username").and_then(|name| name.as_str());
    let message = format!("Hello, {}!", name.unwrap_or("mysterious stranger"));
    let remote = match visitors.caller.call(&person.access_token).await {
        Ok(status) => json!({"status": status.as_u16()}),
        Err(error) => {
            tracing::warn!("{error}");
            json!({"error": "the remote service could not be reached"})
        }
    };
    visitors.call_on(person).await;
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(json!({"message": message, "remote": remote}))
}

impl Visitors {
    /// Goes on with the newest tokens of this person, in the place of older ones.
    async fn call_on(&self, person: Forwarded) {
        let mut running = self.running.lock().await;
        running.retain(|_, task| !task.is_finished());
        let subject = person.claims.subject.clone();
        if running.len() >= MOST_VISITORS && !running.contains_key(&subject) {
            tracing::warn!("no calls in the background: there are too many visitors");
            return;
        }
        let (caller, reports) = (Arc::clone(&self.caller), self.reports.clone());
        let tokens = Tokens::of(person);
        let task = tokio::spawn(async move {
            let report = caller.call_on(tokens).await;
            reports.send(report).await.ok();
        });
        if let Some(older) = running.insert(subject, task) {
            older.abort();
        }
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.running.get_mut().values().for_each(JoinHandle::abort);
    }
}

/// To whoever started it.
#[expect(clippy::print_stdout, reason = "the results of a program that is run by hand")]
fn tell(line: &str) {
    println!("{line}");
}
