//! Whose behaviour does a client meet? Profiles as the user sets them, and the rules they come down to.

mod vendors;

use serde::{Deserialize, Serialize};

use super::faults::Faults;

pub use vendors::{Google, Hubspot, Salesforce};

/// One provider's behaviour.
#[derive(Clone, Debug)]
pub enum Profile {
    /// Plain OAuth 2.0 / OpenID Connect, to the letter.
    Standard(Standard),
    /// GitHub, as an OAuth App or a GitHub App.
    Github(Github),
    /// Aircall.
    Aircall(Aircall),
    /// Google.
    Google(Google),
    /// HubSpot.
    Hubspot(Hubspot),
    /// Salesforce.
    Salesforce(Salesforce),
}

impl Profile {
    /// Plain, with its defaults.
    pub fn standard() -> Self {
        Self::Standard(Standard::default())
    }

    /// A GitHub OAuth App with expiring tokens.
    pub fn github() -> Self {
        Self::Github(Github::default())
    }

    /// A GitHub App's user tokens.
    pub fn github_app() -> Self {
        Self::Github(Github { app: true, ..Github::default() })
    }

    /// Aircall, with its defaults.
    pub fn aircall() -> Self {
        Self::Aircall(Aircall::default())
    }

    /// Google, with its defaults.
    pub fn google() -> Self {
        Self::Google(Google::default())
    }

    /// HubSpot, with its defaults.
    pub fn hubspot() -> Self {
        Self::Hubspot(Hubspot::default())
    }

    /// Salesforce, with its defaults.
    pub fn salesforce() -> Self {
        Self::Salesforce(Salesforce::default())
    }

    /// The profile's name, as the ledger and the pages write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standard(_) => "standard",
            Self::Github(Github { app: false, .. }) => "github",
            Self::Github(Github { app: true, .. }) => "github-app",
            Self::Aircall(_) => "aircall",
            Self::Google(_) => "google",
            Self::Hubspot(_) => "hubspot",
            Self::Salesforce(_) => "salesforce",
        }
    }

    /// Whether authorization answers carry `iss` (RFC 9207).
    pub(super) fn sends_iss(&self) -> bool {
        matches!(self, Self::Standard(Standard { sends_iss: true, .. }) | Self::Google(_))
    }

    /// The scopes a request text means; GitHub takes commas too.
    pub(super) fn scopes(&self, text: &str) -> Vec<String> {
        let commas = matches!(self, Self::Github(_));
        let parts = text.split(|c: char| c == ' ' || (commas && c == ','));
        let mut scopes: Vec<String> = parts.filter(|part| !part.is_empty()).map(String::from).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// The rules for a grant of these scopes while these faults are in force.
    pub(super) fn rules(&self, scope: &[String], faults: &Faults) -> Rules {
        let mut rules = match self {
            Self::Standard(standard) => standard.rules(),
            Self::Github(github) => github.rules(scope),
            Self::Aircall(_) => Rules::permanent("", ""),
            Self::Google(google) => google.rules(),
            Self::Hubspot(hubspot) => hubspot.rules(),
            Self::Salesforce(salesforce) => salesforce.rules(scope),
        };
        rules.rotation = faults.rotation.unwrap_or(rules.rotation);
        rules.kills_access_token = faults.kills_access_token.unwrap_or(rules.kills_access_token);
        rules.cap = faults.token_cap.or(rules.cap);
        rules.lifetime_s = faults.lifetime_s.or(rules.lifetime_s);
        if faults.omit_refresh_token {
            rules.refreshable = false;
        }
        rules
    }
}

/// Settings of the plain profile.
#[derive(Clone, Debug)]
pub struct Standard {
    /// Seconds an access token lives.
    pub lifetime_s: u64,
    /// Seconds a refresh token lives; none: for ever.
    pub refresh_lifetime_s: Option<u64>,
    /// Whether refresh tokens are given out at all.
    pub refresh_tokens: bool,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Whether authorization answers carry `iss`.
    pub sends_iss: bool,
}

impl Default for Standard {
    fn default() -> Self {
        Self {
            lifetime_s: 3600,
            refresh_lifetime_s: None,
            refresh_tokens: true,
            rotation: Rotation::Strict,
            sends_iss: true,
        }
    }
}

impl Standard {
    fn rules(&self) -> Rules {
        Rules {
            lifetime_s: Some(self.lifetime_s),
            refresh_lifetime_s: self.refresh_lifetime_s,
            refreshable: self.refresh_tokens,
            rotation: self.rotation,
            ..Rules::permanent("", "")
        }
    }
}

/// Settings of the GitHub profile.
#[derive(Clone, Debug)]
pub struct Github {
    /// A GitHub App (`ghu_`, no scopes) instead of an OAuth App (`gho_`).
    pub app: bool,
    /// Whether the app's setting lets tokens expire; the scope `offline_access` asks for it too.
    pub expiring: bool,
    /// How many repositories each user has.
    pub repositories: u32,
}

impl Default for Github {
    fn default() -> Self {
        Self { app: false, expiring: true, repositories: 73 }
    }
}

impl Github {
    fn rules(&self, scope: &[String]) -> Rules {
        let prefix = if self.app { "ghu_" } else { "gho_" };
        let ten = Rules { cap: Some(10), ..Rules::permanent(prefix, "ghr_") };
        if !self.expiring && !scope.iter().any(|s| s == "offline_access") {
            return ten;
        }
        Rules {
            lifetime_s: Some(28_800),
            refresh_lifetime_s: Some(15_897_600),
            refreshable: true,
            rotation: Rotation::SingleUse,
            kills_access_token: true,
            ..ten
        }
    }
}

/// Settings of the Aircall profile.
#[derive(Clone, Debug)]
pub struct Aircall {
    /// Requests a minute, shared by all tokens of a company.
    pub limit_per_minute: u32,
    /// How many calls each company has.
    pub calls: u32,
    /// Over how many days before the sandbox started they are spread.
    pub days: u32,
}

impl Default for Aircall {
    fn default() -> Self {
        Self { limit_per_minute: 120, calls: 500, days: 28 }
    }
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// A new one each time; the old one shown again kills the whole family.
    #[default]
    Strict,
    /// A new one each time; the old one shown again is refused, and nothing else happens.
    SingleUse,
    /// A new one each time; the old one still works for so many seconds, then kills the family.
    Grace(u32),
    /// The same one for ever.
    None,
}

/// What a profile and the faults in force come down to.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) access_prefix: &'static str,
    pub(super) refresh_prefix: &'static str,
    pub(super) lifetime_s: Option<u64>,
    pub(super) refresh_lifetime_s: Option<u64>,
    pub(super) refreshable: bool,
    /// Whether an answer that keeps the refresh token names it.
    pub(super) repeats_refresh_token: bool,
    pub(super) rotation: Rotation,
    pub(super) kills_access_token: bool,
    pub(super) cap: Option<usize>,
}

impl Rules {
    fn permanent(access_prefix: &'static str, refresh_prefix: &'static str) -> Self {
        Self {
            access_prefix,
            refresh_prefix,
            lifetime_s: None,
            refresh_lifetime_s: None,
            refreshable: false,
            repeats_refresh_token: true,
            rotation: Rotation::Strict,
            kills_access_token: false,
            cap: None,
        }
    }
}
