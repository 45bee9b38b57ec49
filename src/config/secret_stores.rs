//! Section `secret_stores`: where credentials of clients may be delivered to.

use std::path::Path;

use jeton_client::secret_store::{Reference, Variables};

use super::reader::Reader;
use crate::secret_stores::Settings;

/// The variables of the stores' makers are `variables`; files are kept below `data_dir` where none of them says where.
pub(super) fn read(reader: &mut Reader, variables: Variables, data_dir: &Path) -> Settings {
    let deliver_to = reader.list("secret_stores.deliver_to", place);
    let folder = data_dir.join("secrets").display().to_string();
    Settings { deliver_to, variables: variables.or("JETON_SECRETS_DIR", folder) }
}

fn place(text: &str) -> Result<String, String> {
    match Reference::named(text, "stack", "identifier") {
        Ok(Reference::Env { .. }) => Err("`env:` can only be read".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
