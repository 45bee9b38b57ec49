//! What a client asks for, in words for the person who decides.

use crate::model::grant::GrantedScope;
use crate::model::scope::Scope;

/// One thing a client wants, for the consent pages.
#[derive(PartialEq, Eq)]
pub(in crate::http) struct Wish {
    /// What it means.
    pub(in crate::http) meaning: String,
    /// The scope token, where it says more.
    pub(in crate::http) scope: Option<String>,
    /// Whether much depends on it.
    pub(in crate::http) grave: bool,
}

/// What a client may do with a scope, the gravest first.
pub(in crate::http) fn wishes(exchanges: bool, scope: &GrantedScope, resource: Option<&str>) -> Vec<Wish> {
    // By token exchange, with whatever scope.
    let exchanged = exchanges.then(|| Wish {
        meaning: "Use the accounts that you connected here, and those that your apps share".to_owned(),
        scope: None,
        grave: true,
    });
    let own = scope.own.iter().map(|scope| {
        let (meaning, grave) = meaning(scope);
        let scope = grave.then(|| scope.as_str().to_owned());
        Wish { meaning: meaning.to_owned(), scope, grave }
    });
    let foreign = scope.of_resource.iter().map(|scope| Wish {
        meaning: format!("Use {} in your name:", resource.unwrap_or("another service")),
        scope: Some(scope.to_string()),
        grave: false,
    });
    let mut all: Vec<_> = exchanged.into_iter().chain(own).chain(foreign).collect();
    all.sort_by_key(|wish| !wish.grave);
    all
}

fn meaning(scope: Scope) -> (&'static str, bool) {
    match scope {
        Scope::Superadmin => ("Do everything you can do here as a superadmin", true),
        Scope::BinbRead => ("Receive the tokens of connected accounts", true),
        Scope::AppsRead => ("See apps", true),
        Scope::AppsWrite => ("Make, change and delete apps, people and memberships", true),
        Scope::ConnectorsWrite => ("Change connectors and their credentials", true),
        Scope::ConnectionsRead => ("See connections", true),
        Scope::ConnectionsWrite => ("Change and delete connections", true),
        Scope::ClientsRead => ("See OAuth clients", true),
        Scope::ClientsWrite => ("Make, change and delete OAuth clients", true),
        Scope::KeysWrite => ("Rotate keys", true),
        Scope::AuditRead => ("Read the audit trail", true),
        Scope::SignupsWrite => ("Make signup links", true),
        Scope::Openid => ("Know who you are", false),
        Scope::Profile => ("See your name", false),
        Scope::Email => ("See your e-mail address", false),
        Scope::OfflineAccess => ("Go on while you are away, until you or an admin ends it", false),
    }
}
