//! What do claims say of a person: what they are called, and what they may do here? Reads only; nothing is looked up.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use tracing::warn;
use url::Url;

use super::Settings;
use super::code::Told;
use crate::model::app::AppId;
use crate::model::name::DisplayName;
use crate::model::person::Email;
use crate::model::principal::Membership;

/// Apps that are read of one claim at most.
const APPS: usize = 500;
const LABEL: usize = 200;

/// What was said of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// What the provider calls them.
    pub(super) label: String,
    /// The same, fit to be a name here.
    pub(super) name: Option<DisplayName>,
    /// An address that may become a login name. It proves nothing.
    pub(super) email: Option<Email>,
    /// A login name that is nobody's address.
    pub(super) other_name: Option<Email>,
    /// Administers the instance.
    pub(super) superadmin: bool,
    /// Apps, whether they are here or not.
    pub(super) apps: BTreeMap<AppId, Membership>,
    /// Not all that the provider says came along: nothing is taken away for what is missing.
    pub(super) partial: bool,
}

pub(super) fn read(told: &Told, settings: &Settings) -> Said {
    let text = |name: &str| {
        let value = told.claims.get(name).and_then(Value::as_str).map(str::trim);
        value.filter(|value| !value.is_empty())
    };
    let label = text("email").or_else(|| text("preferred_username")).or_else(|| text("name"));
    let name = text("name").or_else(|| text("preferred_username")).or_else(|| text("email"));
    let unverified = told.claims.get("email_verified") == Some(&Value::Bool(false));
    let mut said = Said {
        label: label.unwrap_or(&told.subject).chars().filter(|c| !c.is_control()).take(LABEL).collect(),
        name: name.and_then(|name| DisplayName::parse(&name.chars().take(100).collect::<String>())),
        email: text("email").filter(|_| !unverified).and_then(Email::parse),
        other_name: other_name(&settings.issuer, &told.subject),
        ..Said::default()
    };
    for value in values(settings.apps_claim.as_deref().and_then(|name| told.claims.get(name))) {
        if settings.superadmin_values.iter().any(|own| own == value) {
            said.superadmin = true;
        } else if let Some((app, role)) = membership(value) {
            let held = said.apps.get(&app).copied();
            if held.is_none() && said.apps.len() >= APPS {
                warn!("a claim names more than {APPS} apps: the others give nothing");
                break;
            }
            said.apps.insert(app, held.map_or(role, |held| held.max(role)));
        }
    }
    said
}

/// A text of words, or a list of texts.
fn values(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(words)) => words.split_ascii_whitespace().collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `app_id`, or `app_id/app_admin`.
fn membership(value: &str) -> Option<(AppId, Membership)> {
    let (app, role) = match value.split_once('/') {
        Some((app, role)) => (app, Membership::parse(role)?),
        None => (value, Membership::Member),
    };
    Some((AppId::parse(app).ok()?, role))
}

/// Unique for issuer and subject, under a domain where nobody can have an address (RFC 2606 §2).
fn other_name(issuer: &str, subject: &str) -> Option<Email> {
    let host = Url::parse(issuer).ok()?.host_str()?.trim_matches(['[', ']']).replace(':', "-");
    let hash = digest(&SHA256, format!("{issuer} {subject}").as_bytes());
    let short: String = hash.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    Email::parse(&format!("{short}@{host}.invalid"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(claims: Value) -> Said {
        let settings = Settings {
            issuer: "https://sso.example.com/x".into(),
            client_id: "jeton".into(),
            client_secret: None,
            apps_claim: Some("groups".into()),
            superadmin_values: vec!["root of all".into(), "boss".into()],
            forwarded: None,
        };
        let claims = claims.as_object().unwrap().clone();
        read(&Told { subject: "s-1".into(), signed_in_at: None, claims }, &settings)
    }

    fn apps(groups: Value) -> (bool, Vec<(String, &'static str)>) {
        let said = said(json!({ "groups": groups }));
        (said.superadmin, said.apps.iter().map(|(app, role)| (app.to_string(), role.as_str())).collect())
    }

    #[test]
    fn a_claim_is_words_or_a_list_and_the_higher_role_counts() {
        let both = vec![("acme".to_owned(), "app_admin"), ("globex".to_owned(), "member")];
        assert_eq!(apps(json!("globex acme acme/app_admin acme/member")), (false, both.clone()));
        assert_eq!(apps(json!(["acme/app_admin", "globex", "boss"])), (true, both));
        assert_eq!(apps(json!(["root of all"])), (true, vec![]));
        assert!(!apps(json!("root of all")).0, "words are words");
    }

    #[test]
    fn what_is_no_app_gives_nothing() {
        for nothing in [
            json!(null),
            json!(7),
            json!({"acme": true}),
            json!([["acme"], 1, null]),
            json!(["ACME", "acme/owner", "acme/", "/acme", "acme/app_admin/x", "", "admin", "Boss", "boss "]),
        ] {
            assert_eq!(apps(nothing.clone()), (false, vec![]), "{nothing}");
        }
        let many: Vec<String> = (0..600).map(|n| format!("app-{n}")).collect();
        assert_eq!(said(json!({ "groups": many })).apps.len(), 500);
    }

    #[test]
    fn an_address_names_and_an_unverified_one_does_not() {
        let full = said(json!({"email": "Ada@Example.com", "name": "Ada", "email_verified": true}));
        assert_eq!(full.email.unwrap().as_str(), "ada@example.com");
        assert_eq!((full.label.as_str(), full.name.unwrap().as_str()), ("Ada@Example.com", "Ada"));
        assert!(said(json!({"email": "ada@example.com", "email_verified": false})).email.is_none());
        let bare = said(json!({"email": "no address", "name": "\u{7}"}));
        assert!(bare.email.is_none() && bare.name.is_none());
        let other = said(json!({}));
        assert_eq!(other.label, "s-1");
        assert!(other.other_name.unwrap().as_str().ends_with("@sso.example.com.invalid"));
    }
}
