//! Which variables say where the stores are, and as whom this program speaks to them?

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::error::StoreFault;
use crate::secret::Secret;
use crate::settings::{base_url, check_scheme};

/// The environment of a program, or what a test gives in its place.
#[derive(Clone)]
pub struct Variables(Arc<Find>);

type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    /// Those of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "stores are named by their makers' variables; read here alone"
    )]
    pub fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// Just these.
    pub fn of(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let map: BTreeMap<String, String> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self(Arc::new(move |name| map.get(name).cloned()))
    }

    /// The same, and `value` where this one has none.
    #[must_use]
    pub fn or(self, name: &'static str, value: String) -> Self {
        Self(Arc::new(move |asked| self.0(asked).or_else(|| (asked == name).then(|| value.clone()))))
    }

    /// A value that is there and not empty.
    pub(crate) fn find(&self, name: &str) -> Option<String> {
        self.0(name).filter(|value| !value.trim().is_empty())
    }

    /// The first of these that is there.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.find(name))
    }

    /// A secret, or what the file named by its `_FILE` twin holds.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<Secret>, StoreFault> {
        if let Some(value) = self.find(name) {
            return Ok(Some(Secret::new(value)));
        }
        let twin = format!("{name}_FILE");
        let Some(path) = self.find(&twin) else { return Ok(None) };
        text_of(&twin, &path).map(|text| Some(Secret::new(text)))
    }

    /// What the file named by this variable holds.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Secret>, StoreFault> {
        let Some(path) = self.find(name) else { return Ok(None) };
        text_of(name, &path).map(|text| Some(Secret::new(text)))
    }

    /// The CAs that the first of these variables names by a PEM file, and how to say that they are of no use.
    pub(crate) fn authorities(&self, names: &[&str]) -> Result<Option<(Vec<u8>, StoreFault)>, StoreFault> {
        let found = names.iter().find_map(|name| Some((name, self.find(name)?)));
        let Some((name, path)) = found else { return Ok(None) };
        let unfit = |told: String| StoreFault::Unfit(format!("{name}: {told}"));
        let pem = std::fs::read(&path).map_err(|error| unfit(format!("cannot read {path}: {error}")))?;
        Ok(Some((pem, unfit(format!("{path} holds no certificate that can be used: write the CA's as PEM")))))
    }

    /// An address that secrets may be sent to.
    pub(crate) fn url(&self, names: &[&str]) -> Result<Option<Url>, StoreFault> {
        let found = names.iter().find_map(|name| Some((name, self.find(name)?)));
        let Some((name, text)) = found else { return Ok(None) };
        let checked = base_url(&text).and_then(|url| check_scheme(&url, false).map(|()| url));
        checked.map(Some).map_err(|_| {
            StoreFault::Unfit(format!(
                "set {name} to an address that begins with https:// (http:// on loopback)"
            ))
        })
    }

    /// The folder of this account's state.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        // The XDG specification: a relative path counts as none.
        let folder = |name: &str| self.find(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Some(folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?.join("jeton"))
    }
}

impl Default for Variables {
    fn default() -> Self {
        Self(Arc::new(|_| None))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

fn text_of(name: &str, path: &str) -> Result<String, StoreFault> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => Err(StoreFault::Unfit(format!("{name}: {path} is empty"))),
        Err(error) => Err(StoreFault::Unfit(format!("{name}: cannot read {path}: {error}"))),
    }
}
