//! A live token, asked for at random among 10,000 connections, each hand-out with its audit record.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{CALLERS, Row, at_least, say};
use crate::Fallible;
use crate::broker::{Instance, floor};
use crate::fill::{self, Plan, targets};
use crate::load::{Pressure, Questions, press};
use crate::stage::{Kind, Stage};

/// Far from now: nothing is refreshed.
pub(super) const NEVER_DUE: i64 = 32_503_680_000_000_000;

/// Nothing listens there.
pub(super) fn nowhere() -> Fallible<Url> {
    Ok(Url::parse("http://127.0.0.1:9")?)
}

pub(super) async fn measure(stage: &Stage, kind: Kind) -> Fallible<Vec<Row>> {
    let connections = stage.size(10_000);
    say(&format!("hand-out on {}: filling {connections} connections", kind.name()));
    let name = format!("handout-{}", kind.name().to_lowercase());
    let plan = Plan { connections, provider: &nowhere()?, refresh_due_at: NEVER_DUE };
    let instance = Instance::make(stage, kind, &name, &plan).await?;
    let floor_database = stage.database(kind, &format!("{name}-floor")).await?;
    fill::floor(&floor_database, connections).await?;
    let broker = instance.start(&stage.one_core).await?;
    let floor = floor(stage, "hand-out", &floor_database, &instance).await?;
    let questions = Arc::new(Questions::get(targets(connections), &instance.bearer().await?));
    let mut rows = Vec::new();
    for callers in CALLERS {
        let pressure = |time| Pressure { callers, time, most: 100_000 };
        for server in [&floor, &broker] {
            press(server.address, &questions, pressure(stage.seconds(2))).await?;
        }
        let (mut least, mut measured) = (Vec::new(), Vec::new());
        for _ in 0..stage.times {
            let time: Duration = stage.seconds(5);
            least.push(press(floor.address, &questions, pressure(time)).await?.per_second);
            measured.push(press(broker.address, &questions, pressure(time)).await?.per_second);
            say(&format!("  {callers} callers: floor {least:.0?}, jeton {measured:.0?} a second"));
        }
        let case = format!("hand out a live token, {}, {callers} callers", kind.name());
        rows.push(at_least(case, "requests/s", &least, &measured, 0.7));
    }
    broker.stop().await?;
    Ok(rows)
}
