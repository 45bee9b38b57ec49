//! Rows of devices that wait for a person.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, PaginatorTrait};

use crate::model::client::ClientId;
use crate::model::grant::{DeviceAnswer, DeviceCode, GrantedScope};
use crate::model::own::Unchecked;
use crate::model::principal::UserId;
use crate::model::secret::KeyedHash;
use crate::model::time::{from_micros, to_micros};
use crate::store::entity::device_code;
use crate::store::{Conn, Error};

/// How long a code is remembered after its end, in microseconds: a device that still polls is told what happened.
const REMEMBERED_US: i64 = 3_600 * 1_000_000;

/// A device's request as stored.
#[derive(Clone, Debug)]
pub struct StoredDeviceCode {
    /// What it is.
    pub code: Unchecked<DeviceCode>,
    /// What the second half of the device's code is compared with.
    pub hash: Vec<u8>,
}

/// Hashes of a new device code.
#[derive(Clone, Copy, Debug)]
pub struct DeviceHashes {
    /// Of the second half of the device's code.
    pub code: KeyedHash,
    /// Of the row.
    pub own_mac: KeyedHash,
    /// Of the device's network.
    pub network: KeyedHash,
}

/// How many devices wait.
#[derive(Clone, Copy, Debug)]
pub struct WaitingDevices {
    /// Of one client in one network.
    pub of_network: u64,
    /// Of one client.
    pub of_client: u64,
    /// In all.
    pub all: u64,
}

impl Conn<'_> {
    /// Stores a device's request; forgets those that are long over.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the user code is in use.
    pub async fn insert_device_code(
        &self,
        code: &DeviceCode,
        hashes: DeviceHashes,
        interval_us: i64,
    ) -> Result<(), Error> {
        let over = device_code::Column::ExpiresAt.lt(self.now_us().saturating_sub(REMEMBERED_US));
        self.sweep::<device_code::Entity>(device_code::Column::Id, over).await?;
        let row = device_code::ActiveModel {
            id: Set(code.id),
            code_hash: Set(hashes.code.to_vec()),
            user_code_hash: Set(code.user_code.to_vec()),
            client_id: Set(code.client_id.to_string()),
            scopes: Set(code.scope.to_string()),
            resource: Set(code.resource.as_ref().map(|uri| uri.as_str().to_owned())),
            state: Set("pending".to_owned()),
            user_id: Set(None),
            auth_time: Set(None),
            interval_us: Set(interval_us),
            polled_at: Set(None),
            created_at: Set(self.now_us()),
            expires_at: Set(to_micros(code.expires_at)),
            own_mac: Set(hashes.own_mac.to_vec()),
            network_hash: Set(Some(hashes.network.to_vec())),
        };
        device_code::Entity::insert(row).exec_without_returning(&self.db()).await?;
        Ok(())
    }

    /// How many devices wait: of this client, there in this network, and in all.
    pub async fn count_device_codes(
        &self,
        client: &ClientId,
        network: KeyedHash,
    ) -> Result<WaitingDevices, Error> {
        let live = device_code::Column::ExpiresAt.gt(self.now_us());
        let all = device_code::Entity::find().filter(live);
        let of_client = all.clone().filter(device_code::Column::ClientId.eq(client.as_str()));
        let of_network = of_client.clone().filter(device_code::Column::NetworkHash.eq(network.to_vec()));
        Ok(WaitingDevices {
            of_network: of_network.count(&self.db()).await?,
            of_client: of_client.count(&self.db()).await?,
            all: all.count(&self.db()).await?,
        })
    }

    /// A device's request that is not over, by its id.
    pub async fn find_device_code(&self, id: Uuid) -> Result<Option<StoredDeviceCode>, Error> {
        device_code::Entity::find_by_id(id).one(&self.db()).await?.map(read).transpose()
    }

    /// A device's request that waits for an answer, by what the person types.
    pub async fn find_user_code(&self, hash: KeyedHash) -> Result<Option<Unchecked<DeviceCode>>, Error> {
        let row = device_code::Entity::find()
            .filter(device_code::Column::UserCodeHash.eq(hash.to_vec()))
            .filter(device_code::Column::State.eq("pending"))
            .filter(device_code::Column::ExpiresAt.gt(self.now_us()))
            .one(&self.db())
            .await?;
        Ok(row.map(read).transpose()?.map(|stored| stored.code))
    }

    /// Writes the person's answer and to what it was given, in one statement; whether one was still waited for.
    pub async fn answer_device_code(&self, code: &DeviceCode, own_mac: KeyedHash) -> Result<bool, Error> {
        let (state, user, auth_time) = match code.answer {
            DeviceAnswer::Pending => ("pending", None, None),
            DeviceAnswer::Approved { user, auth_time } => {
                ("approved", Some(user.0), auth_time.map(to_micros))
            }
            DeviceAnswer::Denied => ("denied", None, None),
        };
        let done = device_code::Entity::update_many()
            .filter(device_code::Column::Id.eq(code.id))
            .filter(device_code::Column::State.eq("pending"))
            .filter(device_code::Column::ExpiresAt.gt(self.now_us()))
            .col_expr(device_code::Column::State, Expr::value(state))
            .col_expr(device_code::Column::Scopes, Expr::value(code.scope.to_string()))
            .col_expr(device_code::Column::UserId, Expr::value(user))
            .col_expr(device_code::Column::AuthTime, Expr::value(auth_time))
            .col_expr(device_code::Column::OwnMac, Expr::value(own_mac.to_vec()))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Notes that the device asks; whether it waited as long as it was told.
    pub async fn note_poll(&self, id: Uuid) -> Result<bool, Error> {
        let (now, polled) = (self.now_us(), Expr::col(device_code::Column::PolledAt));
        let patient = polled.clone().add(Expr::col(device_code::Column::IntervalUs)).lte(now);
        let done = device_code::Entity::update_many()
            .filter(device_code::Column::Id.eq(id))
            .filter(polled.is_null().or(patient))
            .col_expr(device_code::Column::PolledAt, Expr::value(now))
            .exec(&self.db())
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// Tells the device to wait longer from now on (RFC 8628 §3.5).
    pub async fn slow_down(&self, id: Uuid, by_us: i64) -> Result<(), Error> {
        device_code::Entity::update_many()
            .filter(device_code::Column::Id.eq(id))
            .col_expr(device_code::Column::PolledAt, Expr::value(self.now_us()))
            .col_expr(device_code::Column::IntervalUs, Expr::col(device_code::Column::IntervalUs).add(by_us))
            .exec(&self.db())
            .await?;
        Ok(())
    }

    /// Uses a device's request up; whether it was there.
    pub async fn take_device_code(&self, id: Uuid) -> Result<bool, Error> {
        Ok(device_code::Entity::delete_by_id(id).exec(&self.db()).await?.rows_affected == 1)
    }
}

pub(super) fn read(row: device_code::Model) -> Result<StoredDeviceCode, Error> {
    let corrupt = |column| Error::Corrupt { table: "device_code", column };
    let answer = match (row.state.as_str(), row.user_id, row.auth_time) {
        ("pending", _, _) => DeviceAnswer::Pending,
        ("denied", _, _) => DeviceAnswer::Denied,
        ("approved", Some(user), at) => {
            DeviceAnswer::Approved { user: UserId(user), auth_time: at.map(from_micros) }
        }
        _ => return Err(corrupt("state")),
    };
    let code = DeviceCode {
        id: row.id,
        client_id: ClientId::parse(&row.client_id).ok_or(corrupt("client_id"))?,
        scope: GrantedScope::parse(&row.scopes).ok_or(corrupt("scopes"))?,
        resource: row.resource.map(|uri| uri.try_into().map_err(|_| corrupt("resource"))).transpose()?,
        answer,
        expires_at: from_micros(row.expires_at),
        user_code: row.user_code_hash.try_into().map(KeyedHash).map_err(|_| corrupt("user_code_hash"))?,
    };
    Ok(StoredDeviceCode { code: Unchecked::new(code, row.own_mac), hash: row.code_hash })
}
