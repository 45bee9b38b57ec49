//! Rows of the keys that sign our tokens, and each step of their life.
//!
//! A step is one statement that compares before it sets, by the database's clock; a unique index holds that one key
//! waits and one signs at most. So replicas may take the same step at once: one of them does it.

use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::model::secret::Sealed;
use crate::model::time::from_micros;
use crate::store::entity::signing_key;
use crate::store::{Conn, Error};

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyState {
    /// Published, does not sign yet.
    Pending {
        /// When it may begin to.
        activates_at: OffsetDateTime,
    },
    /// Signs.
    Active {
        /// Since when.
        activated_at: OffsetDateTime,
    },
    /// Published until the last token it signed has expired; signs no more.
    Retired {
        /// Since when it signed.
        activated_at: OffsetDateTime,
        /// Until when.
        retired_at: OffsetDateTime,
    },
}

impl SigningKeyState {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
        }
    }
}

/// A signing key to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSigningKey {
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
}

/// A signing key as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKey {
    /// Its name in the JWKS: a UUID without hyphens.
    pub kid: Uuid,
    /// JWS algorithm.
    pub algorithm: String,
    /// PKCS#8 in base64, sealed; empty once it was destroyed.
    pub sealed_private: Sealed,
    /// Public members, as JSON.
    pub public_jwk: String,
    /// Keyed hash of them.
    pub public_mac: Vec<u8>,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl SigningKey {
    /// Whether it signs.
    pub fn is_active(&self) -> bool {
        matches!(self.state, SigningKeyState::Active { .. })
    }

    /// Whether it waits to sign.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, SigningKeyState::Pending { .. })
    }
}

/// What a key that was taken out had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whether it signed: then nobody does until another one is stored.
    pub was_active: bool,
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

    /// The database's clock, by which keys begin and end.
    pub async fn clock_of_keys(&self) -> Result<OffsetDateTime, Error> {
        let (clock, value) = self.clock_sql(1);
        // SQLite gives a parameter no type of its own.
        let row = self.one(format!("SELECT CAST({clock} AS BIGINT) AS now"), vec![value]).await?;
        let row = row.ok_or(Error::Interrupted)?;
        Ok(from_micros(row.try_get("", "now")?))
    }

    /// Adds a key that signs from now on.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where one signs.
    pub async fn insert_active_signing_key(&self, key: &NewSigningKey) -> Result<(), Error> {
        let (clock, value) = self.clock_sql(1);
        let sql = format!(
            "INSERT INTO signing_key (kid, algorithm, sealed_private, key_id, public_jwk, public_mac, state, created_at, \
             activated_at) VALUES ($2, $3, $4, $5, $6, $7, 'active', {clock}, {clock})"
        );
        self.run(sql, values(value, key)).await?;
        Ok(())
    }

    /// Adds a key that waits for `pause` before it may sign; whether it did: not where one waits already, nor, with
    /// `after`, where another key signs than that one, which was seen to sign for so long.
    pub async fn insert_pending_signing_key(
        &self,
        key: &NewSigningKey,
        pause: Duration,
        after: Option<(Uuid, Duration)>,
    ) -> Result<bool, Error> {
        let (clock, value) = self.clock_sql(1);
        let mut values = values(value, key);
        values.push(micros(pause).into());
        let condition = match after {
            None => "1 = 1".to_owned(),
            Some((active, age)) => {
                values.extend([name(active).into(), micros(age).into()]);
                format!(
                    "EXISTS (SELECT 1 FROM signing_key s WHERE s.kid = $9 AND s.state = 'active' \
                     AND COALESCE(s.activated_at, s.created_at) <= {clock} - $10)"
                )
            }
        };
        let sql = format!(
            "INSERT INTO signing_key (kid, algorithm, sealed_private, key_id, public_jwk, public_mac, state, created_at, \
             activates_at) SELECT $2, $3, $4, $5, $6, $7, 'pending', {clock}, {clock} + $8 WHERE {condition} \
             ON CONFLICT DO NOTHING"
        );
        Ok(self.run(sql, values).await? == 1)
    }

    /// Lets a waiting key sign whose time has come, and retires the one that signed. Both belong into one transaction,
    /// which is given up where this is false: another replica did it, or it is too early.
    pub async fn promote_signing_key(&self, pending: Uuid) -> Result<bool, Error> {
        let (clock, value) = self.clock_sql(1);
        let retire =
            format!("UPDATE signing_key SET state = 'retired', retired_at = {clock} WHERE state = 'active'");
        self.run(retire, vec![value.clone()]).await?;
        let activate = format!(
            "UPDATE signing_key SET state = 'active', activated_at = {clock} \
             WHERE kid = $2 AND state = 'pending' AND activates_at <= {clock}"
        );
        match self.run(activate, vec![value, name(pending).into()]).await {
            // A key that signs at once was stored meanwhile.
            Err(Error::AlreadyExists) => Ok(false),
            rows => Ok(rows? == 1),
        }
    }

    /// Forgets the private part of a key that was retired `pause` ago.
    pub async fn destroy_signing_key(&self, retired: Uuid, pause: Duration) -> Result<bool, Error> {
        let (clock, value) = self.clock_sql(1);
        let sql = format!(
            "UPDATE signing_key SET sealed_private = $4 WHERE kid = $2 AND state = 'retired' \
             AND retired_at <= {clock} - $3 AND LENGTH(sealed_private) > 0"
        );
        let values = vec![value, name(retired).into(), micros(pause).into(), Vec::<u8>::new().into()];
        Ok(self.run(sql, values).await? == 1)
    }

    /// Publishes a key no more that was retired `kept` ago.
    pub async fn delete_retired_signing_key(&self, retired: Uuid, kept: Duration) -> Result<bool, Error> {
        let (clock, value) = self.clock_sql(1);
        let sql = format!(
            "DELETE FROM signing_key WHERE kid = $2 AND state = 'retired' AND retired_at <= {clock} - $3"
        );
        Ok(self.run(sql, vec![value, name(retired).into(), micros(kept).into()]).await? == 1)
    }

    /// Takes a key out, whatever it is.
    pub async fn delete_signing_key(&self, kid: Uuid) -> Result<Option<Removed>, Error> {
        let sql = "DELETE FROM signing_key WHERE kid = $1 RETURNING state".to_owned();
        let Some(row) = self.one(sql, vec![name(kid).into()]).await? else { return Ok(None) };
        Ok(Some(Removed { was_active: row.try_get::<String>("", "state")? == "active" }))
    }
}

fn name(kid: Uuid) -> String {
    kid.simple().to_string()
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.whole_microseconds()).unwrap_or(i64::MAX)
}

/// The parameters of an insertion: `$1` is the clock's.
fn values(clock: Value, key: &NewSigningKey) -> Vec<Value> {
    vec![
        clock,
        name(key.kid).into(),
        key.algorithm.clone().into(),
        key.sealed_private.bytes.clone().into(),
        key.sealed_private.key_id.into(),
        key.public_jwk.clone().into(),
        key.public_mac.clone().into(),
    ]
}

impl TryFrom<signing_key::Model> for SigningKey {
    type Error = Error;

    /// A time that is missing is told as that of the row; what goes by it stands in the statements, where it is missing.
    fn try_from(row: signing_key::Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "signing_key", column };
        let at = |time: Option<i64>| from_micros(time.unwrap_or(row.created_at));
        let state = match row.state.as_str() {
            "pending" => SigningKeyState::Pending { activates_at: at(row.activates_at) },
            "active" => SigningKeyState::Active { activated_at: at(row.activated_at) },
            "retired" => SigningKeyState::Retired {
                activated_at: at(row.activated_at),
                retired_at: at(row.retired_at),
            },
            _ => return Err(corrupt("state")),
        };
        Ok(Self {
            kid: Uuid::try_parse(&row.kid).map_err(|_| corrupt("kid"))?,
            algorithm: row.algorithm,
            sealed_private: Sealed { key_id: row.key_id, bytes: row.sealed_private },
            public_jwk: row.public_jwk,
            public_mac: row.public_mac,
            state,
            created_at: from_micros(row.created_at),
        })
    }
}
