//! Ten thousand connections are due and nobody asks for them.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use super::{Row, at_most_times, say};
use crate::Fallible;
use crate::broker::Instance;
use crate::fill::Plan;
use crate::process::Process;
use crate::provider::Provider;
use crate::stage::{Kind, Stage};

const PROVIDER_TAKES: Duration = Duration::from_millis(50);
/// Refreshes at once at one provider: a quarter of the turns.
const AT_ONCE: u32 = 64;
const LONG_DUE: i64 = 1;

pub(super) async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let connections = stage.size(10_000);
    say(&format!("sweep: filling {connections} connections"));
    let provider = Provider::start(PROVIDER_TAKES).await?;
    let plan = Plan { connections, provider: &provider.url, refresh_due_at: LONG_DUE };
    let mut instance = Instance::make(stage, Kind::Postgres, "sweep", &plan).await?;
    instance.set("JETON_REFRESH__CONCURRENCY", &(AT_ONCE * 4).to_string());
    let db = Database::connect(&instance.database).await?;
    let least = (PROVIDER_TAKES * connections / AT_ONCE).as_secs_f64();
    let (mut seconds, mut early, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..stage.times {
        let again = format!("UPDATE connection SET refresh_due_at = {LONG_DUE}, swept_until = NULL");
        db.execute_unprepared(&again).await?;
        db.execute_unprepared("VACUUM ANALYZE").await?;
        provider.reset();
        let broker = instance.start(&stage.all_cores).await?;
        let memory = watch(&broker, &db, &provider, connections).await?;
        let count = provider.count();
        if count.refreshes != connections || count.most_under_way > AT_ONCE {
            let (sent, at_once) = (count.refreshes, count.most_under_way);
            return Err(format!("{sent} refreshes of {connections}, {at_once} at once").into());
        }
        seconds.push(count.span.as_secs_f64());
        let third = (memory.len() / 3).max(1);
        let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
        early.push(most(memory.get(..third).unwrap_or_default()));
        late.push(most(memory.get(memory.len() - third..).unwrap_or_default()));
        say(&format!("  {seconds:.1?} s against {least:.1} s; memory {early:.1?} then {late:.1?} MB"));
        broker.stop().await?;
    }
    let floor = vec![least; seconds.len()];
    Ok(vec![
        at_most_times(format!("background sweep, {connections} due, PostgreSQL"), "s", &floor, &seconds, 2.0),
        at_most_times(
            "memory in the last third of a sweep against the first".into(),
            "MB",
            &early,
            &late,
            1.1,
        ),
    ])
}

/// Watches until everything is stored; the memory meanwhile.
async fn watch(
    broker: &Process,
    db: &DatabaseConnection,
    provider: &Provider,
    connections: u32,
) -> Fallible<Vec<f64>> {
    let began = Instant::now();
    let mut memory = Vec::new();
    while provider.count().refreshes < connections || left(db).await? > 0 {
        if began.elapsed() > Duration::from_secs(150) {
            return Err(format!("{} are still due after 150 s", left(db).await?).into());
        }
        if provider.count().refreshes > 0 {
            memory.push(broker.memory_mb()?);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(memory)
}

async fn left(db: &DatabaseConnection) -> Fallible<i64> {
    let sql = format!("SELECT count(*) AS n FROM connection WHERE refresh_due_at <= {LONG_DUE}");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(row.ok_or("no row")?.try_get("", "n")?)
}
