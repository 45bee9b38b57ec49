//! Rows of the keys that sign our tokens.

use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::model::secret::Sealed;
use crate::store::entity::signing_key;
use crate::store::{Conn, Error};

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyState {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Published until the last token it signed has expired.
    Retired,
}

impl SigningKeyState {
    const ALL: [Self; 3] = [Self::Pending, Self::Active, Self::Retired];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A signing key as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKey {
    /// Its name in the JWKS: a UUID without hyphens.
    pub kid: Uuid,
    /// JWS algorithm.
    pub algorithm: String,
    /// PKCS#8 in base64, sealed.
    pub sealed_private: Sealed,
    /// Public members, as JSON.
    pub public_jwk: String,
    /// Keyed hash of them: nobody who only writes SQL makes a key that counts.
    pub public_mac: Vec<u8>,
    /// Where it is in its life.
    pub state: SigningKeyState,
}

impl Conn<'_> {
    /// All signing keys, newest first.
    pub async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let rows = signing_key::Entity::find()
            .order_by_desc(signing_key::Column::CreatedAt)
            .order_by_desc(signing_key::Column::Kid)
            .all(&self.db())
            .await?;
        rows.into_iter().map(SigningKey::try_from).collect()
    }

    /// Adds a signing key.
    pub async fn insert_signing_key(&self, key: &SigningKey) -> Result<(), Error> {
        let row = signing_key::ActiveModel {
            kid: Set(key.kid.simple().to_string()),
            algorithm: Set(key.algorithm.clone()),
            sealed_private: Set(key.sealed_private.bytes.clone()),
            key_id: Set(key.sealed_private.key_id),
            public_jwk: Set(key.public_jwk.clone()),
            public_mac: Set(key.public_mac.clone()),
            state: Set(key.state.as_str().to_owned()),
            created_at: Set(self.now_us()),
            retired_at: Set(None),
        };
        signing_key::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }
}

impl TryFrom<signing_key::Model> for SigningKey {
    type Error = Error;

    fn try_from(row: signing_key::Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "signing_key", column };
        let state = SigningKeyState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            kid: Uuid::try_parse(&row.kid).map_err(|_| corrupt("kid"))?,
            algorithm: row.algorithm,
            sealed_private: Sealed { key_id: row.key_id, bytes: row.sealed_private },
            public_jwk: row.public_jwk,
            public_mac: row.public_mac,
            state: state.ok_or(corrupt("state"))?,
        })
    }
}
