//! Was a row that says where tokens and secrets go written by this instance?
//!
//! Three kinds of rows do: definitions, credentials (their URL variables) and connections (theirs). Each carries a
//! keyed hash over whose it is and what it says; whoever can write rows but has no key can make none. Who writes
//! such a row signs it here, who acts on it checks it here.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Error;
use crate::model::app::AppId;
use crate::model::connection::Connection;
use crate::model::connector::{ConnectorId, Definition};
use crate::model::secret::KeyedHash;
use crate::store;
use crate::store::connectors::StoredConnector;
use crate::store::credentials::StoredCredentials;
use crate::vault::{self, Vault};

/// A custom definition that is known to be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomConnector {
    /// The definition, as it is now.
    pub definition: Definition,
    /// Origins of the definition that were confirmed; while one is missing, its connections are parked.
    pub confirmed_origins: BTreeSet<String>,
    /// Counts changes.
    pub version: i64,
}

impl CustomConnector {
    /// As it is stored.
    ///
    /// # Errors
    /// Never: a definition is always JSON.
    pub fn sign(&self, vault: &Vault) -> Result<StoredConnector, store::Error> {
        let corrupt = store::Error::Corrupt { table: store::connectors::TABLE, column: "definition" };
        let mut row = StoredConnector {
            id: self.definition.id.clone(),
            definition: serde_json::to_string(&self.definition).map_err(|_| corrupt)?,
            confirmed_origins: self
                .confirmed_origins
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" "),
            version: self.version,
            own_mac: Vec::new(),
        };
        row.own_mac = vault.hash_row(store::connectors::TABLE, &connector(&row)).to_vec();
        Ok(row)
    }

    /// Reads a row that is ours.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where it is not.
    pub fn check(vault: &Vault, row: &StoredConnector) -> Result<Self, Error> {
        vault.check_row(store::connectors::TABLE, &connector(row), &row.own_mac)?;
        Ok(Self {
            definition: row.parse()?,
            confirmed_origins: row.confirmed_origins.split_whitespace().map(str::to_owned).collect(),
            version: row.version,
        })
    }
}

/// Makes credentials ours, as they are now.
pub fn sign_credentials(vault: &Vault, row: &mut StoredCredentials) {
    row.own_mac = vault.hash_row(store::credentials::TABLE, &credentials(row)).to_vec();
}

/// Whether credentials are ours, of this connector, and of this app or of the instance.
pub(super) fn check_credentials(
    vault: &Vault,
    row: &StoredCredentials,
    app: &AppId,
    connector: &ConnectorId,
) -> Result<(), vault::Error> {
    let table = store::credentials::TABLE;
    if row.connector != *connector || row.app.as_ref().is_some_and(|owner| owner != app) {
        return Err(vault::Error::NotOurs { table });
    }
    vault.check_row(table, &credentials(row), &row.own_mac)
}

/// The hash that makes a connection's URL variables ours.
pub fn sign_variables(
    vault: &Vault,
    id: Uuid,
    app: &AppId,
    connector: &ConnectorId,
    variables: &BTreeMap<String, String>,
) -> KeyedHash {
    vault.hash_row(store::connections::TABLE, &connection(id, app, connector, variables))
}

/// Whether a connection's URL variables are ours.
///
/// # Errors
/// [`vault::Error::NotOurs`] where they are not.
pub fn check_variables(vault: &Vault, held: &Connection) -> Result<(), vault::Error> {
    let row = connection(held.id, &held.app, &held.connector, &held.variables);
    vault.check_row(store::connections::TABLE, &row, &held.own_mac)
}

fn connector(row: &StoredConnector) -> Vec<u8> {
    Vault::row(&[
        row.id.as_str().as_bytes(),
        row.definition.as_bytes(),
        row.confirmed_origins.as_bytes(),
        &row.version.to_be_bytes(),
    ])
}

fn credentials(row: &StoredCredentials) -> Vec<u8> {
    // No scopes of its own and an empty list of them are not the same.
    let scopes = row.scopes.as_ref().map_or_else(Vec::new, |scopes| Vault::row(&[&texts(scopes)]));
    Vault::row(&[
        row.id.as_bytes(),
        row.connector.as_str().as_bytes(),
        row.app.as_ref().map_or("", AppId::as_str).as_bytes(),
        row.client_id.as_bytes(),
        &scopes,
        &texts(row.params.iter().flat_map(|(name, value)| [name, value])),
        row.origin.as_bytes(),
    ])
}

fn connection(
    id: Uuid,
    app: &AppId,
    connector: &ConnectorId,
    variables: &BTreeMap<String, String>,
) -> Vec<u8> {
    let variables = texts(variables.iter().flat_map(|(name, value)| [name, value]));
    Vault::row(&[id.as_bytes(), app.as_str().as_bytes(), connector.as_str().as_bytes(), &variables])
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    Vault::row(&texts.into_iter().map(String::as_bytes).collect::<Vec<_>>())
}
