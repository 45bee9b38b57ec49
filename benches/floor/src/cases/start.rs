//! How long until it is ready, and how much memory does it take?

use std::sync::Arc;
use std::time::Duration;

use super::hand_out::{NEVER_DUE, nowhere};
use super::{Row, say, under};
use crate::Fallible;
use crate::broker::Instance;
use crate::fill::{Plan, targets};
use crate::load::{Pressure, Questions, press};
use crate::stage::{Kind, Stage};

pub(super) async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let connections = stage.size(10_000);
        say(&format!("start on {}: filling {connections} connections", kind.name()));
        let plan = Plan { connections, provider: &nowhere()?, refresh_due_at: NEVER_DUE };
        let name = format!("start-{}", kind.name().to_lowercase());
        let instance = Instance::make(stage, kind, &name, &plan).await?;
        let (mut ready, mut idle, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..stage.times {
            let broker = instance.start(&stage.all_cores).await?;
            ready.push(broker.ready_after.as_secs_f64() * 1_000.0);
            tokio::time::sleep(Duration::from_secs(2)).await;
            idle.push(broker.memory_mb()?);
            let questions = Arc::new(Questions::get(targets(connections), &instance.bearer().await?));
            let pressure = Pressure { callers: 128, time: stage.seconds(5), most: 100_000 };
            press(broker.address, &questions, pressure).await?;
            loaded.push(broker.memory_mb()?);
            broker.stop().await?;
        }
        say(&format!("  ready {ready:.0?} ms, idle {idle:.1?} MB, loaded {loaded:.1?} MB"));
        rows.push(under(format!("start to ready, {}", kind.name()), "ms", &ready, 150.0));
        rows.push(under(format!("idle memory, {}", kind.name()), "MB", &idle, 30.0));
        rows.push(under(format!("memory under load (128 callers), {}", kind.name()), "MB", &loaded, 60.0));
    }
    Ok(rows)
}
