//! Which clients may there be, and who may make or change one?

use std::collections::BTreeSet;

use jeton_guard::KeySet;

use super::Error;
use crate::identity::Superadmin;
use crate::model::client::{Client, ClientKind};
use crate::model::grant::GrantType;
use crate::model::resource::ResourceScope;
use crate::model::scope::Scope;
use crate::store::Conn;

/// The longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 200;
/// The most public keys of one client.
const MAX_KEYS: usize = 10;
/// Of RSA, elliptic curves, and secrets (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// A token lives between a minute and a day.
const LIFETIME_S: std::ops::RangeInclusive<u32> = 60..=86_400;

/// What its resource servers know, as they are registered now.
pub(super) async fn check_resources(conn: Conn<'_>, client: &Client) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for uri in &client.resources {
        let unregistered =
            Error::Invalid { field: "resources", reason: "names a resource that is not registered" };
        known.append(&mut conn.find_resource(uri.as_str()).await?.ok_or(unregistered)?.scopes);
    }
    match client.resource_scopes.difference(&known).next() {
        None => Ok(()),
        Some(unknown) => Err(unknown_scope(unknown, &known)),
    }
}

fn unknown_scope(unknown: &ResourceScope, known: &BTreeSet<ResourceScope>) -> Error {
    let own = Scope::ALL.iter().map(|scope| scope.as_str());
    let all = own.chain(known.iter().map(ResourceScope::as_str));
    let distances = all.map(|scope| (strsim::damerau_levenshtein(scope, unknown.as_str()), scope));
    let near = distances.min().filter(|(distance, _)| *distance <= unknown.as_str().len().div_ceil(3));
    Error::UnknownScope { scope: unknown.clone(), near: near.map(|(_, scope)| scope.to_owned()) }
}

/// Rights at other resource servers are whole: who has not all of the broker's may not give them.
pub(super) fn cover(by: &Superadmin, client: &Client) -> Result<(), Error> {
    let all = [Scope::Superadmin].into_iter().collect();
    let covered = by.covers(&client.scopes) && (client.resource_scopes.is_empty() || by.covers(&all));
    if covered { Ok(()) } else { Err(Error::ExceedsOwn) }
}

pub(super) fn check(client: &Client) -> Result<(), Error> {
    let identifier = &client.identifier;
    let printable = !identifier.trim().is_empty() && !identifier.chars().any(char::is_control);
    if !printable || identifier.len() > MAX_IDENTIFIER {
        return Err(Error::Invalid { field: "identifier", reason: "must be 1 to 200 bytes of text" });
    }
    if client.token_lifetime_s.is_some_and(|seconds| !LIFETIME_S.contains(&seconds)) {
        return Err(Error::Invalid { field: "token_lifetime_s", reason: "must be 60 to 86400" });
    }
    client.jwks.as_ref().map_or(Ok(()), check_jwks)?;
    let has_codes = client.may_use(GrantType::AuthorizationCode);
    if !has_codes && !client.redirect_uris.is_empty() {
        return Err(Error::Invalid {
            field: "redirect_uris",
            reason: "are for programmatic and provider clients",
        });
    }
    if !client.kind.is_confidential() && client.jwks.is_some() {
        return Err(Error::Invalid { field: "jwks", reason: "are for clients that can keep a secret" });
    }
    Ok(())
}

/// People let in a client that is confined to nowhere without a word about their accounts: it stays so.
pub(super) fn check_change(before: &Client, after: &Client) -> Result<(), Error> {
    let asked_little = before.kind == ClientKind::Provider && before.allow.is_nowhere();
    if asked_little && !after.allow.is_nowhere() {
        return Err(Error::Invalid {
            field: "allow",
            reason: "stays empty: people let this client in for signing in alone; register another one",
        });
    }
    Ok(())
}

/// Public keys a signature of the client can be verified with, and no private ones: those belong to the client alone.
fn check_jwks(jwks: &serde_json::Value) -> Result<(), Error> {
    let wrong = |reason| Err(Error::Invalid { field: "jwks", reason });
    let Ok(keys) = KeySet::from_jwks(jwks.to_string().as_bytes()) else {
        return wrong("must be an object with an array `keys`");
    };
    let all = jwks.get("keys").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if all.iter().any(|key| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some())) {
        return wrong("holds a private key: make another pair, and register the public half alone");
    }
    if keys.is_empty() || keys.len() != all.len() || keys.len() > MAX_KEYS {
        return wrong(
            "must hold 1 to 10 public keys for signatures: P-256, RSA of 2048 bits or more, or Ed25519",
        );
    }
    Ok(())
}
