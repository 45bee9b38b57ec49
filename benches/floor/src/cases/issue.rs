//! Tokens of the broker itself, by client_credentials.

use std::sync::Arc;

use super::hand_out::{NEVER_DUE, nowhere};
use super::{CALLERS, Row, at_least, say};
use crate::Fallible;
use crate::broker::{Instance, floor};
use crate::fill::{self, Plan};
use crate::load::{Pressure, press};
use crate::stage::{Kind, Stage};

pub(super) async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    say("client_credentials");
    let connections = stage.size(1_000);
    let plan = Plan { connections, provider: &nowhere()?, refresh_due_at: NEVER_DUE };
    let instance = Instance::make(stage, Kind::Sqlite, "issue", &plan).await?;
    let floor_database = stage.database(Kind::Sqlite, "issue-floor").await?;
    fill::floor(&floor_database, connections).await?;
    let broker = instance.start(&stage.one_core).await?;
    let floor = floor(stage, "issue", &floor_database, &instance).await?;
    let questions = Arc::new(instance.token_questions());
    let mut rows = Vec::new();
    for callers in CALLERS {
        let pressure = |time| Pressure { callers, time, most: 100_000 };
        for server in [&floor, &broker] {
            press(server.address, &questions, pressure(stage.seconds(2))).await?;
        }
        let (mut least, mut measured) = (Vec::new(), Vec::new());
        for _ in 0..stage.times {
            least.push(press(floor.address, &questions, pressure(stage.seconds(5))).await?.per_second);
            measured.push(press(broker.address, &questions, pressure(stage.seconds(5))).await?.per_second);
            say(&format!("  {callers} callers: floor {least:.0?}, jeton {measured:.0?} a second"));
        }
        let case = format!("client_credentials, SQLite, {callers} callers");
        rows.push(at_least(case, "requests/s", &least, &measured, 0.7));
    }
    broker.stop().await?;
    Ok(rows)
}
