//! Does a hand-out take longer where there are a hundred times as many connections?

use std::sync::Arc;

use super::hand_out::{NEVER_DUE, nowhere};
use super::{Row, at_most_times, say};
use crate::Fallible;
use crate::broker::Instance;
use crate::fill::{Plan, targets};
use crate::load::{Pressure, Questions, press};
use crate::stage::{Kind, Stage};

/// Few enough that nobody waits for a core.
const CALLERS: u32 = 4;

pub(super) async fn measure(stage: &Stage, kind: Kind) -> Fallible<Vec<Row>> {
    let provider = nowhere()?;
    let mut servers = Vec::new();
    for whole in [1_000, 100_000] {
        let connections = stage.size(whole);
        say(&format!("growth on {}: filling {connections} connections", kind.name()));
        let plan = Plan { connections, provider: &provider, refresh_due_at: NEVER_DUE };
        let name = format!("growth-{}-{whole}", kind.name().to_lowercase());
        let instance = Instance::make(stage, kind, &name, &plan).await?;
        let broker = instance.start(&stage.one_core).await?;
        let questions = Arc::new(Questions::get(targets(connections), &instance.bearer().await?));
        servers.push((broker, questions, Vec::new()));
    }
    let pressure = |time| Pressure { callers: CALLERS, time, most: 100_000 };
    for (broker, questions, _) in &servers {
        press(broker.address, questions, pressure(stage.seconds(2))).await?;
    }
    for _ in 0..stage.times {
        for (broker, questions, p99) in &mut servers {
            let outcome = press(broker.address, questions, pressure(stage.seconds(5))).await?;
            p99.push(outcome.percentile_ms(0.99));
        }
    }
    let [(few, _, before), (many, _, after)] = <[_; 2]>::try_from(servers).map_err(|_| "two servers")?;
    say(&format!("  p99 with few {before:.2?}, with many {after:.2?} ms"));
    few.stop().await?;
    many.stop().await?;
    let case = format!("p99 of a hand-out, 100,000 connections against 1,000, {}", kind.name());
    Ok(vec![at_most_times(case, "ms", &before, &after, 1.3)])
}
