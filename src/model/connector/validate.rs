//! May this definition be kept?

use std::collections::BTreeSet;

use url::{Host, Url};

use super::template::Template;
use super::variables::compile;
use super::{ConnectorId, Definition, origin_of};
use crate::model::address::is_public;

/// Parameters of the protocol: ours to set, never a definition's.
const PROTOCOL_PARAMS: [&str; 30] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "error",
    "grant_type",
    "id_token",
    "id_token_hint",
    "iss",
    "nonce",
    "password",
    "redirect_uri",
    "refresh_token",
    "registration",
    "request",
    "request_uri",
    "response_type",
    "scope",
    "state",
    "subject_token",
    "token",
    "token_type_hint",
    "username",
];

/// Fields of a token answer that are secret or have a place of their own: never `extra`.
const TOKEN_FIELDS: [&str; 11] = [
    "access_token",
    "client_secret",
    "code",
    "device_secret",
    "expires_in",
    "id_token",
    "refresh_expires_in",
    "refresh_token",
    "refresh_token_expires_in",
    "scope",
    "token",
];

const TEN_YEARS_S: u32 = 10 * 365 * 24 * 3600;

/// What is allowed where a definition comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Loopback hosts are allowed, over plain http too.
    pub allow_loopback: bool,
    /// It comes with the product or its operator: private addresses are judged when they are called.
    pub builtin: bool,
}

/// One thing wrong with a definition or a variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the field.
    pub pointer: String,
    /// A sentence for who wrote it.
    pub detail: String,
}

impl Definition {
    /// Checks every rule and tells all that is broken.
    ///
    /// # Errors
    /// At least one violation.
    pub fn validate(&self, rules: Rules) -> Result<(), Vec<Violation>> {
        let mut found = Findings::default();
        self.check_texts(&mut found);
        self.check_urls(rules, &mut found);
        self.check_params(&mut found);
        self.check_patterns(&mut found);
        self.check_numbers(&mut found);
        found.into_result()
    }

    /// Every origin the definition names, as written; a change here parks connections.
    pub fn origins(&self) -> BTreeSet<String> {
        self.urls()
            .into_iter()
            .filter(|(pointer, _)| !matches!(*pointer, "/docs_url" | "/issuer"))
            .map(|(_, url)| origin_of(url))
            .collect()
    }

    /// Each URL with its JSON pointer.
    pub(super) fn urls(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("/introspection_url", &self.introspection_url),
            ("/issuer", &self.issuer),
            ("/revocation_url", &self.revocation_url),
            ("/probe_url", &self.probe_url),
            ("/api_base_url", &self.api_base_url),
            ("/docs_url", &self.docs_url),
        ];
        let identity = self.identity.iter().map(|identity| ("/identity/url", identity.url.as_str()));
        [("/authorization_url", self.authorization_url.as_str()), ("/token_url", self.token_url.as_str())]
            .into_iter()
            .chain(optional.into_iter().filter_map(|(pointer, url)| Some((pointer, url.as_deref()?))))
            .chain(identity)
            .collect()
    }

    fn check_texts(&self, found: &mut Findings) {
        found.text("/display_name", &self.display_name, 100);
        found.count("/scopes", self.scopes.len(), 100);
        for (index, scope) in self.scopes.iter().enumerate() {
            let pointer = format!("/scopes/{index}");
            found.text(&pointer, scope, 256);
            if scope.contains(' ') || (self.scope_separator != " " && scope.contains(&self.scope_separator)) {
                found.add(pointer, "holds a separator");
            }
        }
        if !matches!(self.scope_separator.as_str(), " " | "," | "+" | ";" | "|") {
            found.add("/scope_separator", "must be a space, comma, plus, semicolon or bar");
        }
        found.count("/aliases", self.aliases.len(), 10);
        for (index, alias) in self.aliases.iter().enumerate() {
            if ConnectorId::parse(alias).is_err() {
                found.add(format!("/aliases/{index}"), "must be written like a connector id");
            }
        }
        found.count("/reauthorize_errors", self.reauthorize_errors.len(), 20);
        for (index, code) in self.reauthorize_errors.iter().enumerate() {
            found.text(&format!("/reauthorize_errors/{index}"), code, 64);
        }
        for (pointer, text) in
            self.identity.iter().flat_map(|i| [("/identity/id", &i.id), ("/identity/label", &i.label)])
        {
            found.text(pointer, text, 200);
            if !text.starts_with('/') {
                found.add(pointer, "must be a JSON pointer (RFC 6901), for example /sub");
            }
        }
        found.count("/extra_fields", self.extra_fields.len(), 20);
        for (index, field) in self.extra_fields.iter().enumerate() {
            let pointer = format!("/extra_fields/{index}");
            found.text(&pointer, field, 64);
            if is_token_field(field) {
                found.add(pointer, "is a token field and never handed out");
            }
        }
    }

    fn check_urls(&self, rules: Rules, found: &mut Findings) {
        let mut used = BTreeSet::new();
        for (pointer, url) in self.urls() {
            if url.len() > 2048 {
                found.add(pointer, "is longer than 2048 bytes");
                continue;
            }
            match Template::parse(url) {
                Err(detail) => found.add(pointer, detail),
                Ok(template) => {
                    used.extend(template.variables().into_iter().map(|(name, _)| name.to_owned()));
                    match Url::parse(&template.sample()) {
                        Ok(sample) => check_url(&sample, rules, pointer, found),
                        Err(error) => found.add(pointer, format!("is no absolute URL: {error}")),
                    }
                }
            }
        }
        for name in used.iter().filter(|name| !self.url_variables.contains_key(*name)) {
            found.add("/url_variables", format!("`{name}` stands in a URL and has no pattern"));
        }
        for name in self.url_variables.keys().filter(|name| !used.contains(*name)) {
            found.add(format!("/url_variables/{name}"), "stands in no URL");
        }
    }

    fn check_params(&self, found: &mut Findings) {
        let maps = [
            ("/authorize_params", &self.authorize_params),
            ("/token_params", &self.token_params),
            ("/refresh/params", &self.refresh.params),
        ];
        for (pointer, params) in maps {
            found.count(pointer, params.len(), 20);
            for (name, value) in params {
                let at = format!("{pointer}/{name}");
                found.text(&at, name, 64);
                found.text(&at, value, 512);
                let folded = name.to_ascii_lowercase();
                if PROTOCOL_PARAMS.contains(&folded.as_str()) {
                    found.add(at, "is a parameter of the protocol and cannot be set");
                } else if folded == "response_mode" && value != "query" {
                    found.add(at, "can only be `query`");
                }
            }
        }
    }

    fn check_patterns(&self, found: &mut Findings) {
        found.count("/url_variables", self.url_variables.len(), 5);
        for (name, pattern) in &self.url_variables {
            let pointer = format!("/url_variables/{name}");
            if !is_variable_name(name) {
                found.add(pointer.clone(), "must have 1 to 40 characters a-z, 0-9 and _");
            }
            if pattern.len() > 200
                || !pattern.starts_with('^')
                || !pattern.ends_with('$')
                || pattern.ends_with("\\$")
            {
                found.add(pointer, "must be anchored with ^ and $ and at most 200 bytes");
            } else if compile(pattern).is_none() {
                found.add(pointer, "is no regular expression");
            }
        }
    }

    fn check_numbers(&self, found: &mut Findings) {
        if self.access_token_lifetime_s.is_some_and(|s| s == 0 || s > TEN_YEARS_S) {
            found.add("/access_token_lifetime_s", "must be 1 second to 10 years");
        }
        if self.max_tokens_per_account == Some(0) {
            found.add("/max_tokens_per_account", "must be at least 1");
        }
        if self.refresh.grace_s > 86_400 {
            found.add("/refresh/grace_s", "must be at most a day");
        }
        let days = [
            ("/refresh/idle_days", self.refresh.idle_days),
            ("/refresh/absolute_days", self.refresh.absolute_days),
        ];
        for (pointer, _) in days.iter().filter(|(_, days)| days.is_some_and(|d| d == 0 || d > 3650)) {
            found.add(*pointer, "must be 1 to 3650 days");
        }
    }
}

/// Whether a field of a token answer must never be handed out as `extra`.
pub fn is_token_field(name: &str) -> bool {
    TOKEN_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

fn check_url(url: &Url, rules: Rules, pointer: &str, found: &mut Findings) {
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => Some(v4.into()),
        Some(Host::Ipv6(v6)) => Some(std::net::IpAddr::from(v6)),
        Some(Host::Domain(_)) => None,
        None => return found.add(pointer, "has no host"),
    };
    let name = url.domain().unwrap_or_default().trim_end_matches('.');
    let loopback = name == "localhost"
        || name.ends_with(".localhost")
        || address.is_some_and(|address| address.to_canonical().is_loopback());
    let lifted = loopback && rules.allow_loopback;
    if url.scheme() != "https" && !(lifted && url.scheme() == "http") {
        found.add(pointer, "must be https");
    }
    let private = loopback || address.is_some_and(|address| !is_public(address));
    if private && !lifted && !rules.builtin {
        let told = "must be at a public address";
        // The setting helps with this machine alone.
        let tries = "; for tries on this machine alone, set `outbound.allow_loopback = true` in the broker's configuration";
        found.add(pointer, if loopback { format!("{told}{tries}") } else { told.to_owned() });
    }
    if !url.username().is_empty() || url.password().is_some() {
        found.add(pointer, "must not hold a user name or password");
    }
    if url.fragment().is_some() {
        found.add(pointer, "must not hold a fragment");
    }
    let protocol =
        url.query_pairs().any(|(name, _)| PROTOCOL_PARAMS.contains(&name.to_ascii_lowercase().as_str()));
    if protocol {
        found.add(pointer, "holds a parameter of the protocol");
    }
}

fn is_variable_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Violation>);

impl Findings {
    pub(super) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Violation { pointer: pointer.into(), detail: detail.into() });
    }

    fn text(&mut self, pointer: &str, text: &str, longest: usize) {
        if text.is_empty() || text.len() > longest {
            self.add(pointer, format!("must have 1 to {longest} bytes"));
        }
        if text.chars().any(char::is_control) {
            self.add(pointer, "holds a control character");
        }
    }

    fn count(&mut self, pointer: &str, count: usize, most: usize) {
        if count > most {
            self.add(pointer, format!("has more than {most} entries"));
        }
    }

    pub(super) fn into_result(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests;
