//! Does what was written name a secret store at all?

use jeton_client::secret_store::{Reference, StoreError};

use crate::cli::Error;
use crate::cli::remote::failing;

/// Before anything is sent, so that it ends as it does where a credential is read.
pub(super) fn check(doing: &str, to: Option<&str>) -> Result<(), Error> {
    // What the broker names them is not known here.
    let named = to.map(|to| Reference::named(to, "STACK", "IDENTIFIER")).transpose();
    named.map(drop).map_err(|error| failing(doing)(StoreError::from(error).into()))
}
