//! `jeton exec`: how does a program that knows nothing of brokers get a token?
//!
//! The program takes this process's place, so standard streams, signals and exit code are its own. The
//! token stands in its environment only, never on a command line. The job's own secret at the broker is taken
//! away: a program that was given one token has no business with all the others.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Error;
use super::token::Wanted;

/// What the job signs in with at the broker.
const OF_THE_JOB: [&str; 4] =
    ["JETON_CLIENT_ID", "JETON_CLIENT_SECRET", "JETON_CLIENT_SECRET_FILE", "JETON_CREDENTIAL"];

/// Run a program with a live token in its environment
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// The variable that holds the token
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env: String,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Ok(());
    };
    let token = args.wanted.retrieve().await?;
    #[expect(clippy::disallowed_methods, reason = "the token goes into the environment of the program alone")]
    let secret = token.access_token.expose_secret();
    if secret.contains('\0') {
        return Err(Error::Unprintable("a variable"));
    }
    let mut command = Command::new(program);
    command.args(arguments);
    for name in OF_THE_JOB {
        command.env_remove(name);
    }
    let source = command.env(&args.env, secret).exec();
    Err(Error::NotStarted { program: program.to_string_lossy().into_owned(), source })
}

fn variable(text: &str) -> Result<String, String> {
    let is_head = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_tail = |c: char| is_head(c) || c.is_ascii_digit();
    match text.starts_with(is_head) && text.chars().all(is_tail) {
        true => Ok(text.to_owned()),
        false => Err("a variable is letters, digits and _, and starts with no digit".to_owned()),
    }
}
