//! How does a pipeline call a web service with tokens of its own, and how does the service know who may call?
//!
//! Two models for programs of yours, which share nothing but HTTP: [`service`] keeps terms and verifies tokens,
//! [`pipeline`] creates terms and gets tokens. Without `TERMS_URL` the service is started here, beside the pipeline.

mod pipeline;
mod service;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use url::Url;

/// A pipeline that creates terms at a web service, with tokens by a credential of a secret store
#[derive(Debug, Parser)]
struct Settings {
    /// Where the service is; if not given, it is started here
    #[arg(long, env = "TERMS_URL")]
    terms_url: Option<Url>,
    /// Where the service listens; port 0 takes a free one
    #[arg(long, env = "TERMS_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Start the service alone; it ends when it is told to
    #[arg(long, conflicts_with = "terms_url")]
    service_only: bool,
    #[command(flatten)]
    service: service::ServiceArgs,
    #[command(flatten)]
    pipeline: pipeline::PipelineArgs,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the service cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    #[error("the service cannot verify tokens: {0}")]
    Guard(#[from] jeton_guard::BuildError),
    #[error("JETON_URL is no address of an issuer: {0}")]
    Issuer(#[from] jeton_guard::UrlError),
    #[error("{0}")]
    Pipeline(#[from] pipeline::Error),
}

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match actix_web::rt::System::new().block_on(run(Settings::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(if let Error::Pipeline(error) = error { error.exit_code() } else { 78 })
        }
    }
}

async fn run(settings: Settings) -> Result<(), Error> {
    let url = match settings.terms_url {
        Some(url) => url,
        None => {
            let (address, server) = service::start(&settings.service, settings.listen)?;
            tell(&format!("the service listens on {address}"));
            if settings.service_only {
                return Ok(server.await?);
            }
            actix_web::rt::spawn(server);
            address
        }
    };
    let report = pipeline::run(&settings.pipeline, &url).await?;
    tell(&report.to_string());
    Ok(())
}

/// To whoever started it.
#[expect(clippy::print_stdout, reason = "the results of a program that is run by hand")]
fn tell(line: &str) {
    println!("{line}");
}
