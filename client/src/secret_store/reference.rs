//! Which secret, in which store? What people write, as a type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest reference, in bytes.
const LONGEST: usize = 700;
/// As many characters of one alphabet as a client secret of ours has, less a few: what is as long is not repeated.
const SECRETLIKE: usize = 32;

/// Names one secret: `file:NAME`, `env:NAME`, `aws-sm:REGION/ID`, `azure-kv:VAULT/NAME` or `vault:MOUNT/PATH#FIELD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A sealed file of this account.
    File {
        /// Segments of `A-Za-z0-9._-`, none of which begins with a full stop.
        name: String,
    },
    /// A variable of this process.
    Env {
        /// The variable.
        name: String,
    },
    /// AWS Secrets Manager.
    Aws {
        /// Such as `eu-west-1`.
        region: String,
        /// The secret's name or ARN.
        id: String,
    },
    /// Azure Key Vault.
    Azure {
        /// The vault's name.
        vault: String,
        /// The secret's name.
        name: String,
    },
    /// Version 2 of the key-value engine of Vault or OpenBao.
    Vault {
        /// Where the engine is mounted: one segment.
        mount: String,
        /// The secret's path.
        path: String,
        /// One of its fields.
        field: String,
    },
}

/// Text that is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No store is called so.
    #[error(
        "`{0}` names no secret store known here: write file:NAME, env:NAME, aws-sm:REGION/ID, azure-kv:VAULT/NAME or \
         vault:MOUNT/PATH#FIELD"
    )]
    UnknownStore(String),
    /// There is no `store:` before it. It is not repeated: it may be the secret itself.
    #[error(
        "this is no secret store reference: write file:NAME, env:NAME, aws-sm:REGION/ID, azure-kv:VAULT/NAME or \
         vault:MOUNT/PATH#FIELD"
    )]
    NoStore,
    /// The store is known, and cannot have such a secret.
    #[error("{store}, `{reference}`: {reason}")]
    Malformed {
        /// The store.
        store: &'static str,
        /// The reference.
        reference: String,
        /// What to write instead.
        reason: Cow<'static, str>,
    },
}

impl Reference {
    /// A reference as it is, or a place (`aws-sm:eu-west-1/`, `azure-kv:corp/`, `vault:secret/`, `file:`), at which the
    /// credential of `identifier` is named `{stack}/{identifier}`; at Azure, which knows no slash, `{stack}-{identifier}`.
    ///
    /// # Errors
    /// As for a reference; also where the identifier fits into no name of that store.
    pub fn named(text: &str, stack: &str, identifier: &str) -> Result<Self, ReferenceError> {
        if !text.ends_with(['/', ':']) {
            return text.parse();
        }
        match text.split_once(':') {
            // The stack is no region, vault or mount.
            Some(("aws-sm" | "azure-kv" | "vault", "")) => text.parse(),
            Some(("azure-kv", _)) => format!("{text}{stack}-{identifier}").parse(),
            Some(("vault", _)) => format!("{text}{stack}/{identifier}#credential").parse(),
            Some(("env", _)) => format!("{text}{identifier}").parse(),
            _ => format!("{text}{stack}/{identifier}").parse(),
        }
    }

    /// The store's name, for people.
    pub fn store(&self) -> &'static str {
        match self {
            Self::File { .. } => "secret files",
            Self::Env { .. } => "the environment",
            Self::Aws { .. } => "AWS Secrets Manager",
            Self::Azure { .. } => "Azure Key Vault",
            Self::Vault { .. } => "Vault or OpenBao",
        }
    }

    /// The store's name in configurations and references.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Env { .. } => "env",
            Self::Aws { .. } => "aws-sm",
            Self::Azure { .. } => "azure-kv",
            Self::Vault { .. } => "vault",
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let is_scheme = |scheme: &str| {
            (1..=20).contains(&scheme.len())
                && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let (scheme, rest) = text.split_once(':').ok_or(ReferenceError::NoStore)?;
        let (store, parsed) = match scheme {
            "file" => ("secret files", file(rest)),
            "env" => ("the environment", env(rest)),
            "aws-sm" => ("AWS Secrets Manager", aws(rest)),
            "azure-kv" => ("Azure Key Vault", azure(rest)),
            "vault" => ("Vault or OpenBao", vault(rest)),
            _ if is_scheme(scheme) => return Err(ReferenceError::UnknownStore(shown(scheme, rest))),
            _ => return Err(ReferenceError::NoStore),
        };
        let fits = |reference: Self| {
            if text.len() <= LONGEST { Ok(reference) } else { Err("it is too long".into()) }
        };
        let malformed = |reason| ReferenceError::Malformed { store, reference: shown(scheme, rest), reason };
        parsed.and_then(fits).map_err(malformed)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::File { name } | Self::Env { name } => write!(f, "{scheme}:{name}"),
            Self::Aws { region, id } => write!(f, "{scheme}:{region}/{id}"),
            Self::Azure { vault, name } => write!(f, "{scheme}:{vault}/{name}"),
            Self::Vault { mount, path, field } => write!(f, "{scheme}:{mount}/{path}#{field}"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The reference as it may be repeated: what cannot be printed or looks like a secret is left out.
fn shown(scheme: &str, rest: &str) -> String {
    let longest = rest.split(['/', '#', ':', '.']).map(str::len).max().unwrap_or_default();
    let is_fit = rest.len() <= LONGEST && longest < SECRETLIKE && rest.bytes().all(|b| b.is_ascii_graphic());
    if is_fit { format!("{scheme}:{rest}") } else { format!("{scheme}:...") }
}

type Parsed = Result<Reference, Cow<'static, str>>;

fn file(rest: &str) -> Parsed {
    // What stands beside a secret's file is no folder for others.
    let is_own = |segment: &str| [".sealed", ".lock"].iter().any(|end| segment.ends_with(end));
    let is_segment = |segment: &str| !segment.starts_with('.') && !is_own(segment) && made_of(segment, "._-");
    if rest.len() <= 200 && rest.split('/').all(is_segment) {
        return Ok(Reference::File { name: rest.to_owned() });
    }
    Err("write file:NAME, where NAME is segments of A-Za-z0-9._- with slashes between, at most 200 bytes"
        .into())
}

fn env(rest: &str) -> Parsed {
    let is_name = made_of(rest, "_") && !rest.starts_with(|c: char| c.is_ascii_digit());
    if is_name {
        Ok(Reference::Env { name: rest.to_owned() })
    } else {
        Err("write env:NAME_OF_A_VARIABLE".into())
    }
}

fn aws(rest: &str) -> Parsed {
    let wanted =
        "write aws-sm:REGION/ID, such as aws-sm:eu-west-1/prod/pipeline; ID is the secret's name or ARN";
    let (region, id) = rest.split_once('/').ok_or(wanted)?;
    if !is_region(region) {
        // As long as a secret, or unprintable: not repeated.
        let named = match shown("aws-sm", region).strip_prefix("aws-sm:") {
            Some("" | "...") | None => "what stands before the first slash".to_owned(),
            Some(region) => format!("`{region}`"),
        };
        return Err(format!("{named} is no region of AWS: {wanted}").into());
    }
    let name = match id.strip_prefix("arn:") {
        // RFC-less, but fixed: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME
        Some(arn) => {
            let fits = arn.matches(':').count() == 5 && arn.split(':').nth(2) == Some(region);
            arn.rsplit(':').next().filter(|_| fits)
        }
        None => Some(id),
    };
    let is_name = |name: &str| name.len() <= 519 && made_of(name, "/_+=.@-");
    let is_id = name.is_some_and(is_name) && made_of(id, ":/_+=.@-");
    if is_id {
        return Ok(Reference::Aws { region: region.to_owned(), id: id.to_owned() });
    }
    Err(wanted.into())
}

/// `us-gov-east-1`: words, then a number.
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number =
        parts.next().is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<_> = parts.collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    number && (2..=4).contains(&words.len()) && words.iter().all(is_word) && text.len() <= 40
}

fn azure(rest: &str) -> Parsed {
    let wanted = "write azure-kv:VAULT/NAME, both of A-Za-z0-9 and -";
    let (vault, name) = rest.split_once('/').ok_or(wanted)?;
    let is_vault = (3..=24).contains(&vault.len())
        && made_of(vault, "-")
        && vault.starts_with(|c: char| c.is_ascii_alphabetic())
        && !vault.ends_with('-');
    if is_vault && name.len() <= 127 && made_of(name, "-") {
        return Ok(Reference::Azure { vault: vault.to_owned(), name: name.to_owned() });
    }
    Err(wanted.into())
}

fn vault(rest: &str) -> Parsed {
    let wanted = "write vault:MOUNT/PATH#FIELD, such as vault:secret/prod/pipeline#credential";
    let (place, field) = rest.split_once('#').ok_or(wanted)?;
    let (mount, path) = place.split_once('/').ok_or(wanted)?;
    let is_segment = |segment: &str| made_of(segment, "._-") && !matches!(segment, "." | "..");
    if is_segment(mount) && path.split('/').all(is_segment) && is_segment(field) {
        let [mount, path, field] = [mount, path, field].map(str::to_owned);
        return Ok(Reference::Vault { mount, path, field });
    }
    Err(wanted.into())
}

/// Letters, digits and these, at least one.
fn made_of(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
