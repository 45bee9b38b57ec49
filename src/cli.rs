//! Which commands does `jeton` have?
//!
//! One file a command: its arguments (`Args`) and `run`. A new command is its `mod`, its variant and its
//! line in [`Cli::run`]. Commands that speak to a broker do so through `jeton_client` only; `ready` asks a
//! question that anybody may ask.

mod app;
mod aws_credentials;
mod client;
mod connection;
mod connector;
mod credentials;
mod demo;
mod doctor;
mod error;
mod exec;
mod init;
mod input;
mod invite;
mod keys;
mod login;
mod logout;
mod migrate;
mod openapi;
mod output;
mod ready;
mod recover;
mod remote;
mod sandbox;
mod serve;
mod server_args;
mod service_token;
mod shown_once;
mod span;
mod token;
mod user;
mod whoami;

pub use error::Error;

use clap::{Parser, Subcommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "jeton", version, about = "An OAuth token broker: one call, a token that lives long enough")]
#[command(after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Commands that speak to a broker read JETON_URL, JETON_CLIENT_ID, and JETON_CLIENT_SECRET or
JETON_CLIENT_SECRET_FILE, or JETON_CREDENTIAL, a secret store reference such as
aws-sm:eu-west-1/prod/pipeline; where no secret is set, they act for the person who ran `jeton login`.

Exit codes: 0 ok, 1 failure, 2 usage, 75 try again later, 77 no permission, 78 configuration or a new
consent needed.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Serve(serve::Args),
    Ready(ready::Args),
    Recover(recover::Args),
    Migrate(migrate::Args),
    Doctor(doctor::Args),
    Sandbox(sandbox::Args),
    Openapi(openapi::Args),
    Login(login::Args),
    Logout(logout::Args),
    Whoami(whoami::Args),
    AwsCredentials(aws_credentials::Args),
    Token(token::Args),
    Exec(exec::Args),
    ServiceToken(service_token::Args),
    App(app::Args),
    Connector(connector::Args),
    Credentials(credentials::Args),
    Connection(connection::Args),
    Client(client::Args),
    User(user::Args),
    Invite(invite::Args),
    Keys(keys::Args),
}

impl Cli {
    /// Runs the command that was given.
    ///
    /// # Errors
    /// [`Error::line`] and [`Error::exit_code`] say how to end the program.
    pub async fn run(self) -> Result<(), Error> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Ready(args) => ready::run(args),
            Command::Recover(args) => recover::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Sandbox(args) => sandbox::run(args).await,
            Command::Openapi(args) => openapi::run(args),
            Command::Login(args) => login::run(args).await,
            Command::Logout(args) => logout::run(args).await,
            Command::Whoami(args) => whoami::run(args).await,
            Command::AwsCredentials(args) => aws_credentials::run(args).await,
            Command::Token(args) => token::run(args).await,
            Command::Exec(args) => exec::run(args).await,
            Command::ServiceToken(args) => service_token::run(args).await,
            Command::App(args) => app::run(args).await,
            Command::Connector(args) => connector::run(args).await,
            Command::Credentials(args) => credentials::run(args).await,
            Command::Connection(args) => connection::run(args).await,
            Command::Client(args) => client::run(args).await,
            Command::User(args) => user::run(args).await,
            Command::Invite(args) => invite::run(args).await,
            Command::Keys(args) => keys::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help() {
        fn visit(command: &clap::Command, path: &str, list: &mut String) {
            for sub in command.get_subcommands() {
                let path = format!("{path}{}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} has no help");
                list.push_str(&format!("{path}\n"));
                visit(sub, &format!("{path} "), list);
            }
        }
        let mut list = String::new();
        visit(&Cli::command(), "", &mut list);
        insta::assert_snapshot!(list);
    }

    #[test]
    fn usage_is_refused_before_anything_is_sent() {
        for line in [
            "token acme",
            "token acme github --min-ttl 0",
            "token acme github --min-ttl 25h",
            "token acme github --format xml",
            "token acme github --json --format raw",
            "exec acme github -- env",
            "exec acme github --env 1X -- env",
            "exec acme github --env X",
            "app delete acme",
            "connection list --state lost",
            "connection list --needs-attention --state active",
            "client create x --kind robot",
            "keys retire",
            "aws-credentials",
            "aws-credentials --role-arn x",
            "aws-credentials --role-arn arn:aws:iam::123456789012:role/r --duration 5m",
            "login --store nowhere",
            "login --wait",
            "credentials set github --client-secret s3cret --client-id x",
        ] {
            let parsed = Cli::try_parse_from(["jeton"].into_iter().chain(line.split(' ')));
            assert_eq!(parsed.err().map(|error| error.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn a_client_id_may_begin_with_a_hyphen() {
        for line in [
            "client show -TxAAAAAAAAAAAAAAAAAA_",
            "client check -hxAAAAAAAAAAAAAAAAAA-",
            "client update -TxAAAAAAAAAAAAAAAAAA_ --disable",
            "client deliver --deliver-to file: -TxAAAAAAAAAAAAAAAAAA_",
            "client secret delete -TxAAAAAAAAAAAAAAAAAA_ 3",
            "client delete -- -TxAAAAAAAAAAAAAAAAAA_",
            "login --client-id -TxAAAAAAAAAAAAAAAAAA_ --browser",
            "credentials set github --client-id -Tx",
        ] {
            let parsed = Cli::try_parse_from(["jeton"].into_iter().chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn a_mistyped_option_is_no_client_id() {
        for (line, told) in [
            ("client check --jsno", "unexpected argument '--jsno' found"),
            ("client delete --ye", "unexpected argument '--ye' found"),
            ("client show -j", "unexpected argument '-j' found"),
            ("client update --disabel", "unexpected argument '--disabel' found"),
            ("client secret add --jsno", "unexpected argument '--jsno' found"),
            (
                "login --client-id --browser",
                "a value is required for '--client-id <ID>' but none was supplied",
            ),
        ] {
            let refused = Cli::try_parse_from(["jeton"].into_iter().chain(line.split(' '))).unwrap_err();
            let said = refused.to_string();
            assert_eq!(refused.exit_code(), 2, "{line}: {said}");
            assert!(said.contains(told) && said.contains("Usage: jeton "), "{line}: {said}");
        }
    }
}
