//! The command `jeton`: parses the command line, calls the command, prints what failed in one line.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use jeton::cli::Cli;

fn main() -> ExitCode {
    // Nothing else has run yet, so no provider can stand in the way.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("jeton: could not start: {error}"), 1),
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_of_reader_gone() => ExitCode::from(error.exit_code()),
        Err(error) => fail(&error.line(), error.exit_code()),
    }
}

fn fail(line: &str, code: u8) -> ExitCode {
    // Where standard error is closed there is nobody left to tell.
    writeln!(std::io::stderr(), "{line}").ok();
    ExitCode::from(code)
}
