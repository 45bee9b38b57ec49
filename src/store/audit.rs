//! Audit records, appended.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use uuid::Uuid;

use crate::model::event::Event;
use crate::store::entity::audit_event::{ActiveModel, Column, Entity};
use crate::store::{Conn, Error};

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

impl Conn<'_> {
    /// Appends records; one that is there already is left as it is.
    pub async fn insert_audit(&self, records: &[Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        Entity::insert_many(records.iter().map(row))
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(&self.db())
            .await?;
        Ok(())
    }
}

fn row(record: &Record) -> ActiveModel {
    let event = &record.event;
    ActiveModel {
        id: Set(record.id),
        at: Set(record.at_us),
        boot: Set(record.boot),
        seq: Set(record.seq),
        actor: Set(event.actor.to_string()),
        action: Set(event.action.as_str().to_owned()),
        result: Set(event.result.to_owned()),
        app: Set(event.app.as_ref().map(ToString::to_string)),
        connector: Set(event.connector.as_ref().map(ToString::to_string)),
        flow: Set(event.flow.clone()),
        token_set: Set(event.token_set.map(|set| set.0)),
        subject: Set(event.subject.clone()),
        address: Set(event.origin.address.map(|address| address.to_string())),
        trace_id: Set(event.origin.trace_id),
    }
}
