//! How is a consent written in its row?

use sea_orm::ActiveValue::Set;

use super::{Stage, StoredSignup, TABLE};
use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::principal::UserId;
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::time::{from_micros, to_micros};
use crate::store::Error;
use crate::store::entity::signup;

pub(super) fn read(row: signup::Model) -> Result<StoredSignup, Error> {
    let corrupt = |column| Error::Corrupt { table: TABLE, column };
    let sealed = |bytes: Vec<u8>| Sealed { key_id: row.key_id, bytes };
    Ok(StoredSignup {
        id: row.id,
        state_hash: KeyedHash(row.state_hash.try_into().map_err(|_| corrupt("state_hash"))?),
        session: row.session_id,
        user: UserId(row.user_id),
        user_label: row.user_label,
        app: AppId::parse(&row.app).map_err(|_| corrupt("app"))?,
        connector: ConnectorId::parse(&row.connector).map_err(|_| corrupt("connector"))?,
        flow: Flow::parse(&row.flow).ok_or_else(|| corrupt("flow"))?,
        redirect_uri: row.redirect_uri,
        credentials: (row.credentials_id, row.credentials_version),
        definition_hash: row.definition_hash,
        sealed_verifier: sealed(row.sealed_verifier),
        variables: serde_json::from_value(row.variables).map_err(|_| corrupt("variables"))?,
        return_to: row.return_to,
        link: row.link_id,
        stage: Stage::ALL
            .into_iter()
            .find(|stage| stage.as_str() == row.stage)
            .ok_or_else(|| corrupt("stage"))?,
        sealed_grant: row.sealed_grant.map(sealed),
        sent_at: row.sent_at.map(from_micros),
        created_at: from_micros(row.created_at),
        expires_at: from_micros(row.expires_at),
    })
}

pub(super) fn write(new: &StoredSignup) -> signup::ActiveModel {
    signup::ActiveModel {
        id: Set(new.id),
        state_hash: Set(new.state_hash.to_vec()),
        session_id: Set(new.session),
        user_id: Set(new.user.0),
        user_label: Set(new.user_label.clone()),
        app: Set(new.app.to_string()),
        connector: Set(new.connector.to_string()),
        flow: Set(new.flow.to_string()),
        redirect_uri: Set(new.redirect_uri.clone()),
        credentials_id: Set(new.credentials.0),
        credentials_version: Set(new.credentials.1),
        definition_hash: Set(new.definition_hash.clone()),
        sealed_verifier: Set(new.sealed_verifier.bytes.clone()),
        key_id: Set(new.sealed_verifier.key_id),
        variables: Set(serde_json::json!(new.variables)),
        return_to: Set(new.return_to.clone()),
        link_id: Set(new.link),
        stage: Set(new.stage.as_str().to_owned()),
        sealed_grant: Set(new.sealed_grant.as_ref().map(|sealed| sealed.bytes.clone())),
        sent_at: Set(new.sent_at.map(to_micros)),
        created_at: Set(to_micros(new.created_at)),
        expires_at: Set(to_micros(new.expires_at)),
    }
}
