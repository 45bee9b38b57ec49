//! Audit records, appended.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use uuid::Uuid;

use crate::model::event::Event;
use crate::store::entity::audit_event::{Column, Entity};
use crate::store::{Conn, Error};

pub use crate::store::entity::audit_event::Model as Row;

/// An event with what the recorder adds.
#[derive(Clone, Debug)]
pub struct Record {
    /// Replays are idempotent by it.
    pub id: Uuid,
    /// Microseconds since 1970.
    pub at_us: i64,
    /// Which process.
    pub boot: Uuid,
    /// Counts within the boot.
    pub seq: i64,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// As it is stored.
    pub fn row(&self) -> Row {
        let event = &self.event;
        Row {
            id: self.id,
            at: self.at_us,
            boot: self.boot,
            seq: self.seq,
            actor: event.actor.to_string(),
            action: event.action.as_str().to_owned(),
            result: event.result.to_owned(),
            app: event.app.as_ref().map(ToString::to_string),
            connector: event.connector.as_ref().map(ToString::to_string),
            flow: event.flow.clone(),
            token_set: event.token_set.map(|set| set.0),
            subject: event.subject.clone(),
            address: event.origin.address.map(|address| address.to_string()),
            trace_id: event.origin.trace_id,
        }
    }
}

impl Conn<'_> {
    /// Appends records; one that is there already is left as it is.
    pub async fn insert_audit(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        Entity::insert_many(rows.iter().cloned().map(IntoActiveModel::into_active_model))
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(&self.db())
            .await?;
        Ok(())
    }
}
