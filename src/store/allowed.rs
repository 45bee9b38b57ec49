//! What a person has allowed and no grant tells: consents that are remembered, codes and devices that may still become a
//! grant.

use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

use crate::model::client::ClientId;
use crate::model::grant::{DeviceCode, GrantedScope};
use crate::model::own::Unchecked;
use crate::model::principal::UserId;
use crate::model::time::from_micros;
use crate::model::uri::ResourceUri;
use crate::store::entity::{authorization_code, consent, device_code};
use crate::store::{Conn, Error, codes, device_codes};

/// What one client was allowed.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Which client.
    pub client_id: ClientId,
    /// What.
    pub scope: GrantedScope,
    /// For which resource server; `None`: the broker.
    pub resource: Option<ResourceUri>,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Conn<'_> {
    /// What a person agreed to and is not asked about again.
    pub async fn consents_of(&self, user: UserId) -> Result<Vec<Allowed>, Error> {
        let rows = consent::Entity::find().filter(consent::Column::UserId.eq(user.0)).all(&self.db()).await?;
        rows.into_iter().filter(|row| self.knows(row, row.own_mac.as_deref())).map(agreed).collect()
    }

    /// A person's codes that can still be redeemed.
    pub async fn waiting_codes_of(&self, user: UserId) -> Result<Vec<Allowed>, Error> {
        let rows = authorization_code::Entity::find()
            .filter(authorization_code::Column::UserId.eq(user.0))
            .filter(authorization_code::Column::UsedAt.is_null())
            .filter(authorization_code::Column::ExpiresAt.gt(self.now_us()))
            .all(&self.db())
            .await?;
        rows.into_iter()
            .map(|row| {
                let since = from_micros(row.created_at);
                let code = codes::read(row)?.code;
                Ok(Allowed { client_id: code.client_id, scope: code.scope, resource: code.resource, since })
            })
            .collect()
    }

    /// Devices that a person has let in and that can still fetch their tokens, with when they began.
    pub async fn allowed_devices_of(
        &self,
        user: UserId,
    ) -> Result<Vec<(Unchecked<DeviceCode>, OffsetDateTime)>, Error> {
        let rows = device_code::Entity::find()
            .filter(device_code::Column::UserId.eq(user.0))
            .filter(device_code::Column::State.eq("approved"))
            .filter(device_code::Column::ExpiresAt.gt(self.now_us()))
            .all(&self.db())
            .await?;
        rows.into_iter()
            .map(|row| {
                let since = from_micros(row.created_at);
                Ok((device_codes::read(row)?.code, since))
            })
            .collect()
    }
}

fn agreed(row: consent::Model) -> Result<Allowed, Error> {
    let corrupt = |column| Error::Corrupt { table: "consent", column };
    let resource = Some(row.resource).filter(|uri| !uri.is_empty());
    Ok(Allowed {
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        scope: GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?,
        resource: resource.map(|uri| uri.try_into().map_err(|_| corrupt("resource"))).transpose()?,
        since: from_micros(row.created_at),
    })
}
