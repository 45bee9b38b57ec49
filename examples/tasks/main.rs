//! How do services that call each other over the internet make sure that nobody else can start, end or read anything?
//!
//! A coordinator gives a task to two services, one after the other. Each of the three has a credential of its own, takes
//! only tokens made for itself, with the scope of the call, and attaches its own token to what it calls. Here they run in
//! one process; they share nothing but HTTP.

mod coordinator;
mod service;
mod task;

use std::net::TcpListener;
use std::process::ExitCode;

use clap::Parser;

use service::{Error, Settings};

const TASKS: [&str; 2] = ["extract", "load"];

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match actix_web::rt::System::new().block_on(run(Settings::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(settings: Settings) -> Result<(), Error> {
    let listener = TcpListener::bind((settings.host, 0))?;
    let address = service::address(&listener, "coordinator")?;
    let mut services = Vec::new();
    for name in TASKS {
        let listener = TcpListener::bind((settings.host, 0))?;
        let at = service::address(&listener, name)?;
        actix_web::rt::spawn(task::serve(&settings, name, listener, address.clone()).await?);
        services.push((name, at));
    }
    let results = coordinator::run(&settings, listener, services).await?;
    for result in &results {
        service::tell(result);
    }
    service::tell(&format!("{} tasks ended", results.len()));
    Ok(())
}
