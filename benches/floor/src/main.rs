//! How fast is jeton, against the least that a program on the same libraries must do? Run by `scripts/bench`.
//!
//! One program in several roles: the floors (`hand-out`, `issue`), and `run`, which fills databases, starts floors
//! and brokers, asks them, and writes the table of docs/benchmarks.md. It is no part of the product.

mod broker;
mod cases;
mod fill;
mod floor;
mod line;
mod load;
mod process;
mod provider;
mod spread;
mod stage;
mod table;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// The floor of a hand-out: cached token check, one SELECT, AES-GCM, JSON
    HandOut(floor::Args),
    /// The floor of a token of ours: one SELECT, one ES256 signature, JSON
    Issue(floor::Args),
    /// Measure everything and print the table
    Run(RunArgs),
}

/// What a run works with.
#[derive(clap::Args)]
struct RunArgs {
    /// The broker's program
    #[arg(long)]
    jeton: PathBuf,
    /// A PostgreSQL server that is thrown away afterwards
    #[arg(long)]
    postgres: String,
    /// The document whose table is replaced
    #[arg(long)]
    write: Option<PathBuf>,
    /// Cases whose name contains this, instead of all
    #[arg(long, default_value = "")]
    only: String,
    /// Sizes and times divided by this, to see that it works
    #[arg(long, default_value_t = 1)]
    divide: u32,
    /// How often each case is measured
    #[arg(long, default_value_t = 3)]
    times: u32,
    /// The core of the servers; everything else is on the other ones
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// What is not bound to a core runs on these
    #[arg(long, default_value = "0-1")]
    all_cores: String,
}

fn main() -> Fallible<()> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Cli::parse().role {
        Role::HandOut(args) => floor::hand_out(args),
        Role::Issue(args) => floor::issue(args),
        Role::Run(args) => runtime.block_on(cases::run(&args)),
    }
}
