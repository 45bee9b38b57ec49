//! `jeton openapi`: prints what the HTTP interface is.

use std::io::Write;

use super::Error;

/// Print the HTTP interface as an OpenAPI 3.1 document
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> Result<(), Error> {
    Ok(std::io::stdout().write_all(crate::http::openapi::document().as_bytes())?)
}
