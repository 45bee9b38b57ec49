//! Which layer set which key? File, environment and flags, flattened to `section.key`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Source, Value, ValueKind};
use jeton_client::secret_store::Variables;

use super::Error;
use super::reader::{Entry, Place};

/// Variables that belong to the commands that call a broker, or to secret stores.
const OF_THE_CLIENT: [&str; 9] = [
    "JETON_URL",
    "JETON_CLIENT_ID",
    "JETON_CLIENT_SECRET",
    "JETON_CLIENT_SECRET_FILE",
    "JETON_CREDENTIAL",
    "JETON_STACK",
    "JETON_SECRETS_DIR",
    "JETON_SECRETS_KEY_FILE",
    "JETON_AZURE_KEYVAULT_ENDPOINT",
];

/// How the variables of secret stores begin.
const OF_STORES: [&str; 9] = [
    "AWS_",
    "AZURE_",
    "BAO_",
    "HOME",
    "IDENTITY_",
    "JETON_AZURE_",
    "JETON_SECRETS_",
    "VAULT_",
    "XDG_STATE_HOME",
];

/// A flag of the command line that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key.
    pub key: &'static str,
    /// As typed, such as `--listen`.
    pub name: &'static str,
    /// What it sets.
    pub value: String,
}

/// Where the configuration is read from; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: HashMap<String, String>,
    of_stores: HashMap<String, String>,
    flags: Vec<Flag>,
}

impl Sources {
    /// Nothing but these flags.
    pub fn flags(flags: Vec<Flag>) -> Self {
        Self { flags, ..Self::default() }
    }

    /// What the process was started with: `file`, else `jeton.toml` where there is one; its environment; `flags`.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let beside = || Some(PathBuf::from("jeton.toml")).filter(|path| path.exists());
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::flags(flags).with_environment(environment).with_file(file.or_else(beside))
    }

    /// With this file.
    #[must_use]
    pub fn with_file(self, file: Option<PathBuf>) -> Self {
        Self { file, ..self }
    }

    /// With these variables; those that are not the server's are left out.
    #[must_use]
    pub fn with_environment(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |name: &str| {
            name.starts_with("JETON_") && !name.starts_with("JETON_TEST_") && !OF_THE_CLIENT.contains(&name)
        };
        let (environment, others): (_, HashMap<_, _>) =
            variables.into_iter().partition(|(name, _)| ours(name));
        let of_stores = |name: &str| OF_STORES.iter().any(|start| name.starts_with(start));
        let of_stores = others.into_iter().filter(|(name, _)| of_stores(name)).collect();
        Self { environment, of_stores, ..self }
    }

    /// What the makers of secret stores named, which is no configuration of ours.
    pub(super) fn variables(&self) -> Variables {
        Variables::of(self.of_stores.clone())
    }

    /// All keys that are set, each by its last layer.
    pub(super) fn entries(self) -> Result<BTreeMap<String, Entry>, Error> {
        let mut entries = BTreeMap::new();
        if let Some(path) = &self.file {
            for (key, value) in parse(path)? {
                flatten(&mut entries, key, value, &Place::File(path.clone()));
            }
        }
        for (name, value) in self.environment {
            if let Some((key, value)) = variable(&name, value) {
                put(&mut entries, key, Entry { value, place: Place::Environment(name) });
            }
        }
        for Flag { key, name, value } in self.flags {
            put(&mut entries, key.to_owned(), Entry { value: value.into(), place: Place::Flag(name) });
        }
        Ok(entries)
    }
}

/// One variable as `config` reads it. It also lowers the names of connectors, where `_` stands for `-`.
fn variable(name: &str, value: String) -> Option<(String, Value)> {
    let source = HashMap::from([(name.to_owned(), value)]);
    let environment =
        Environment::with_prefix("JETON").prefix_separator("_").separator("__").ignore_empty(true);
    let (key, value) = environment.source(Some(source)).collect().ok()?.into_iter().next()?;
    let key = match key.strip_prefix("connectors.").and_then(|rest| rest.split_once('.')) {
        Some((id, field)) => format!("connectors.{}.{field}", id.replace('_', "-")),
        None => key,
    };
    Some((key, value))
}

/// A later layer's `x` also overrides an earlier one's `x_file`, and the other way round.
fn put(entries: &mut BTreeMap<String, Entry>, key: String, entry: Entry) {
    let twin = key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned);
    let overrides = |earlier: &Entry| earlier.place.layer() < entry.place.layer();
    if entries.get(&twin).is_some_and(overrides) {
        entries.remove(&twin);
    }
    entries.insert(key, entry);
}

fn parse(path: &Path) -> Result<config::Map<String, Value>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    config::File::from_str(&text, FileFormat::Toml).collect().map_err(|error| {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("is no TOML").to_owned();
        let detail = lines.next_back().map(|last| format!("{first}: {last}")).unwrap_or(first);
        Error::Malformed { path: path.to_owned(), detail }
    })
}

fn flatten(entries: &mut BTreeMap<String, Entry>, key: String, value: Value, place: &Place) {
    match value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                flatten(entries, format!("{key}.{name}"), value, place);
            }
        }
        _ => put(entries, key, Entry { value, place: place.clone() }),
    }
}
