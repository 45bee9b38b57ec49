//! `jeton connector`: which third-party APIs does the broker know?

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::remote::{Call, RemoteArgs};
use super::{Error, input};

/// Connectors: the catalog's and your own definitions
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the connectors
    List,
    /// Show one definition
    Show {
        /// The connector
        id: String,
    },
    /// Define a connector
    Create {
        /// The definition, JSON or .toml; - is standard input
        file: PathBuf,
    },
    /// Replace a definition, named by its `id`
    Update {
        /// The definition, JSON or .toml; - is standard input
        file: PathBuf,
        /// Repeats a changed origin: its credentials are removed, its connections parked
        #[arg(long, value_name = "ORIGIN")]
        confirm_origin: Option<String>,
    },
    /// Delete a definition
    Delete {
        /// The connector
        id: String,
    },
}

pub(super) async fn run(args: Args) -> Result<(), Error> {
    let remote = args.remote.connect().await?;
    match args.verb {
        Verb::List => {
            let columns = ["id", "display_name", "api_base_url", "docs_url"];
            remote.list("cannot list the connectors", &["connectors"], &columns).await
        }
        Verb::Show { id } => {
            let doing = format!("cannot show the connector {id}");
            remote.call(&doing, Call::get(&["connectors", &id])).await
        }
        Verb::Create { file } => {
            let definition = definition(&file)?;
            remote.call("cannot define the connector", Call::post(&["connectors"], definition)).await
        }
        Verb::Update { file, confirm_origin } => {
            let definition = definition(&file)?;
            let id = definition.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let path = ["connectors", &id];
            let call = Call::put(&path, definition).with("confirm_origin", confirm_origin);
            remote.call(&format!("cannot replace the definition of {id}"), call).await
        }
        Verb::Delete { id } => {
            let doing = format!("cannot delete the connector {id}");
            remote.call(&doing, Call::delete(&["connectors", &id])).await
        }
    }
}

fn definition(file: &Path) -> Result<Value, Error> {
    let text = input::text(file)?;
    let malformed = |reason: String| Error::Malformed { place: input::name(file), reason };
    let value: Value = if file.extension().is_some_and(|ending| ending == "toml") {
        toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?
    } else {
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?
    };
    match value.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok(value),
        _ => Err(malformed("a definition needs an `id`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ending: &str, text: &str) -> Result<Value, Error> {
        let file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        definition(file.path())
    }

    #[test]
    fn a_definition_is_json_or_toml() {
        let toml = read(".toml", "id = \"x\"\nscopes = [\"a\"]\n[refresh]\ngrace_s = 30\n").unwrap();
        let json = read(".json", r#"{"id":"x","scopes":["a"],"refresh":{"grace_s":30}}"#).unwrap();
        assert_eq!(toml, json);
    }

    #[test]
    fn a_file_without_an_id_is_refused() {
        for (ending, text) in [(".json", "{}"), (".json", "{"), (".toml", "x = 1"), (".toml", "x")] {
            assert!(matches!(read(ending, text), Err(Error::Malformed { .. })), "{text}");
        }
    }
}
