//! Rows of credentials delivered into secret stores, and of the use of superseded secrets.

use sea_orm::ActiveValue::Set;
use sea_orm::Condition;
use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

use crate::model::client::ClientId;
use crate::model::delivery::{Delivery, DeliveryForm, DeliveryState};
use crate::model::own::Unchecked;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::{client_secret, delivery};
use crate::store::{Conn, Error};

/// The use of a superseded secret is noted this often, in microseconds.
const NOTED_US: i64 = 3_600 * 1_000_000;

impl Conn<'_> {
    /// Where a client's credential was delivered to.
    pub async fn find_delivery(&self, id: &ClientId) -> Result<Option<Unchecked<Delivery>>, Error> {
        delivery::Entity::find_by_id(id.as_str()).one(&self.db()).await?.map(unchecked).transpose()
    }

    /// Deliveries with a secret that waits to be retired.
    pub async fn list_retiring_deliveries(&self) -> Result<Vec<Unchecked<Delivery>>, Error> {
        let waiting = delivery::Column::PreviousSecretId.is_not_null();
        let rows = delivery::Entity::find().filter(waiting).all(&self.db()).await?;
        rows.into_iter().map(unchecked).collect()
    }

    /// Stores a delivery in place of the client's one before, under the client's lock.
    pub async fn put_delivery(&self, delivery: &Delivery, own_mac: KeyedHash) -> Result<(), Error> {
        self.delete_delivery(&delivery.client_id).await?;
        let row = delivery::ActiveModel {
            client_id: Set(delivery.client_id.to_string()),
            reference: Set(delivery.reference.clone()),
            version: Set(delivery.version),
            form: Set(delivery.form.as_str().to_owned()),
            state: Set(delivery.state.as_str().to_owned()),
            secret_id: Set(delivery.secret_id),
            previous_secret_id: Set(delivery.previous_secret_id),
            changed_at: Set(to_micros(delivery.changed_at)),
            own_mac: Set(own_mac.to_vec()),
        };
        delivery::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// Forgets a client's delivery.
    pub async fn delete_delivery(&self, id: &ClientId) -> Result<(), Error> {
        delivery::Entity::delete_by_id(id.as_str()).exec(&self.db()).await?;
        Ok(())
    }

    /// Notes that a superseded secret is still used.
    pub async fn note_use_of_client_secret(&self, secret: Uuid) -> Result<(), Error> {
        let now = self.now_us();
        let long_ago = Condition::any()
            .add(client_secret::Column::UsedAt.is_null())
            .add(client_secret::Column::UsedAt.lt(now.saturating_sub(NOTED_US)));
        client_secret::Entity::update_many()
            .col_expr(client_secret::Column::UsedAt, Expr::value(now))
            .filter(client_secret::Column::Id.eq(secret))
            .filter(long_ago)
            .exec(&self.db())
            .await?;
        Ok(())
    }

    /// About when a secret was last used since a newer one was made; whether it is there at all.
    pub async fn find_use_of_client_secret(
        &self,
        secret: Uuid,
    ) -> Result<Option<Option<OffsetDateTime>>, Error> {
        let row = client_secret::Entity::find_by_id(secret).one(&self.db()).await?;
        Ok(row.map(|row| row.used_at.map(from_micros)))
    }
}

fn unchecked(row: delivery::Model) -> Result<Unchecked<Delivery>, Error> {
    let corrupt = |column| Error::Corrupt { table: "delivery", column };
    let own_mac = row.own_mac;
    let delivery = Delivery {
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        reference: row.reference,
        version: row.version,
        form: DeliveryForm::parse(&row.form).ok_or(corrupt("form"))?,
        state: DeliveryState::parse(&row.state).ok_or(corrupt("state"))?,
        secret_id: row.secret_id,
        previous_secret_id: row.previous_secret_id,
        changed_at: from_micros(row.changed_at),
    };
    Ok(Unchecked::new(delivery, own_mac))
}
