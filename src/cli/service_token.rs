//! `jeton service-token`: how does a service get its own token, when its credential is in a secret store?

use std::io::Write;

use jeton_client::secret_store::{Reference, StoreError, StoreFault, Variables};
use jeton_client::{ServiceToken, service_token};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::remote::failing;
use super::{Error, output};

/// Print a token of a service whose credential is in a secret store; kept while it lives
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service's identifier
    identifier: String,
    /// Where its credential is: a secret store reference, or a place that ends with / or :, where it is named
    /// STACK/IDENTIFIER
    #[arg(long, value_name = "STORE", env = "JETON_CREDENTIAL", default_value = "file:")]
    from: String,
    /// First part of generated names
    #[arg(long, env = "JETON_STACK", default_value = "jeton")]
    stack: String,
    /// Ask for a new one, whatever is kept
    #[arg(long)]
    renew: bool,
    /// Print JSON with its expiry instead of the token alone
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let doing = || format!("cannot get a token of the service {}", args.identifier);
    let reference = Reference::named(&args.from, &args.stack, &args.identifier);
    let reference = reference.map_err(|error| failing(doing())(StoreError::from(error).into()))?;
    let got = service_token(&reference, &Variables::of_process(), args.renew).await;
    let token = got.map_err(|error| {
        let stack = &args.stack;
        let doing = match args.is_named_by_the_stack() && is_absent(&error) {
            true => format!("{} in the stack {stack} (--stack or JETON_STACK names another)", doing()),
            false => doing(),
        };
        failing(doing)(error)
    })?;
    let mut out = std::io::stdout().lock();
    write(&mut out, &token, args.json)?;
    Ok(out.flush()?)
}

impl Args {
    fn is_named_by_the_stack(&self) -> bool {
        self.from.ends_with(['/', ':']) && self.from != "env:"
    }
}

fn is_absent(error: &jeton_client::Error) -> bool {
    let jeton_client::Error::Store(error) = error else { return false };
    matches!(error.fault(), Some(StoreFault::Absent | StoreFault::NotIn(_)))
}

#[expect(clippy::disallowed_methods, reason = "printing the token is what `jeton service-token` is for")]
fn write(out: &mut impl Write, token: &ServiceToken, as_json: bool) -> Result<(), Error> {
    let secret = token.access_token.expose_secret();
    if !as_json {
        return Ok(writeln!(out, "{secret}")?);
    }
    let expires_at = token.expires_at.format(&Rfc3339).unwrap_or_default();
    Ok(output::json(out, &json!({"access_token": secret, "token_type": "Bearer", "expires_at": expires_at}))?)
}
