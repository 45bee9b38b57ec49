//! How does a key become a value? Typed, named in every complaint, and taken once: what is left is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use config::{Value, ValueKind};

use super::Error;
use crate::model::secret::Secret;

/// Where a key was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    File(PathBuf),
    /// By this variable.
    Environment(String),
    /// By this flag.
    Flag(&'static str),
}

impl Place {
    /// How this key is called there.
    fn name_of(&self, key: &str) -> String {
        match self {
            Self::Environment(_) => format!("JETON_{}", key.replace('.', "__").to_uppercase()),
            Self::File(_) | Self::Flag(_) => key.to_owned(),
        }
    }

    /// Later layers are greater.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Environment(_) => 1,
            Self::Flag(_) => 2,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Environment(name) => write!(f, "by {name}"),
            Self::Flag(name) => write!(f, "by {name}"),
        }
    }
}

/// One thing that is wrong: the key, where it was set, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key, as `section.key`.
    pub key: String,
    /// Where it was set; none: it has its default.
    pub place: Option<Place>,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "configuration key `{}` (set {place}) {}", self.key, self.detail),
            None => write!(f, "configuration key `{}` {}", self.key, self.detail),
        }
    }
}

/// A key as a layer set it.
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// Gives values out, once each, and collects what is wrong.
pub(super) struct Reader {
    entries: BTreeMap<String, Entry>,
    known: BTreeSet<String>,
    places: BTreeMap<String, Place>,
    violations: Vec<Violation>,
    unsupported: Vec<Violation>,
}

impl Reader {
    pub(super) fn new(entries: BTreeMap<String, Entry>) -> Self {
        let places = entries.iter().map(|(key, entry)| (key.clone(), entry.place.clone())).collect();
        Self { entries, known: BTreeSet::new(), places, violations: Vec::new(), unsupported: Vec::new() }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.hinted(key, "a text", |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    /// What `parse` makes of the text; its error says what is wrong.
    pub(super) fn parsed<T, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.scalar(key)?;
        parse(&text).map_err(|error| self.refuse(key, error.to_string())).ok()
    }

    /// What `parse` makes of the text; `hint` says what it must be.
    pub(super) fn hinted<T>(
        &mut self,
        key: &str,
        hint: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.parsed(key, |text| parse(text).ok_or_else(|| format!("must be {hint}")))
    }

    /// The text where `good` says so.
    pub(super) fn checked(&mut self, key: &str, hint: &str, good: impl Fn(&str) -> bool) -> Option<String> {
        self.hinted(key, hint, |text| good(text).then(|| text.to_owned()))
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        self.hinted(key, "`true` or `false`", |text| text.parse().ok())
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let hint = format!("a whole number from {} to {}", range.start(), range.end());
        self.hinted(key, &hint, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// A list, in the environment separated by commas.
    pub(super) fn list<T, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        let texts: Vec<String> = match entry.value.kind {
            ValueKind::Array(items) => items.into_iter().map(|item| item.to_string()).collect(),
            _ => entry.value.to_string().split(',').map(|item| item.trim().to_owned()).collect(),
        };
        let items: Result<Vec<T>, String> = texts
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| parse(text).map_err(|error| error.to_string()))
            .collect();
        items
            .map_err(|detail| self.refuse(key, format!("holds an item that is wrong: {detail}")))
            .unwrap_or_default()
    }

    /// A secret, itself or in the file that `KEY_file` names; a final line break is not part of it.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        let in_file = format!("{key}_file");
        let (value, path) = (self.scalar(key), self.scalar(&in_file));
        match (value, path) {
            (Some(_), Some(_)) => {
                self.refuse(&in_file, format!("stands beside `{key}`; keep one of the two"));
                None
            }
            (Some(value), None) => Some(Secret::new(value)),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Err(error) => {
                    self.refuse(&in_file, format!("names {path}, which cannot be read: {error}"));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Names of tables below `section`, for keys with a name of the operator's choice.
    pub(super) fn names_below(&self, section: &str) -> BTreeSet<String> {
        let below =
            |key: &String| Some(key.strip_prefix(section)?.strip_prefix('.')?.split_once('.')?.0.to_owned());
        self.entries.keys().filter_map(below).collect()
    }

    /// Whether a layer set this key, well or not.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Notes that a key is wrong.
    pub(super) fn refuse(&mut self, key: &str, detail: impl Into<String>) {
        let violation = self.violation(key, detail.into());
        self.violations.push(violation);
    }

    /// Notes that a key, where it is set, has no effect in this release.
    pub(super) fn unsupported(&mut self, key: &str) {
        if self.places.contains_key(key) {
            let detail = "is not supported by this release: remove it".to_owned();
            let violation = self.violation(key, detail);
            self.unsupported.push(violation);
        }
    }

    pub(super) fn take_unsupported(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.unsupported)
    }

    /// Whether everything was known and right.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        for (key, entry) in std::mem::take(&mut self.entries) {
            let detail = match self.nearest(&key) {
                Some(known) => format!("is not known; did you mean `{}`?", entry.place.name_of(known)),
                None => "is not known; remove it".to_owned(),
            };
            self.violations.push(Violation { key, place: Some(entry.place), detail });
        }
        if self.violations.is_empty() { Ok(()) } else { Err(Error::Invalid(self.violations)) }
    }

    /// The known key that takes the fewest keystrokes, or the one that has this name in another section.
    fn nearest(&self, key: &str) -> Option<&str> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let distance = |known: &&String| {
            let whole = strsim::damerau_levenshtein(known, key);
            if last(known) == last(key) { whole.min(1) } else { whole }
        };
        let nearest = self.known.iter().min_by_key(distance)?;
        (distance(&nearest) <= key.len().div_ceil(2)).then_some(nearest.as_str())
    }

    fn violation(&self, key: &str, detail: String) -> Violation {
        Violation { key: key.to_owned(), place: self.places.get(key).cloned(), detail }
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        self.known.insert(key.to_owned());
        self.entries.remove(key)
    }

    fn scalar(&mut self, key: &str) -> Option<String> {
        let entry = self.take(key)?;
        match entry.value.kind {
            ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil => {
                self.refuse(key, "must be one value, not a list or a section");
                None
            }
            _ => Some(entry.value.to_string()),
        }
    }
}
