//! Fifty callers on one expired token, and a fresh token beside a refresh that takes long.

use std::time::{Duration, Instant};

use jeton::model::entropy::SystemEntropy;
use jeton::model::time::SystemClock;
use jeton::sandbox::{self, Faults, Sandbox};
use serde_json::Value;
use tokio::task::JoinSet;

use super::hand_out::NEVER_DUE;
use super::{Row, at_most_times, say, under};
use crate::Fallible;
use crate::broker::Instance;
use crate::fill::{CONNECTOR, Plan, targets};
use crate::line::Line;
use crate::load::Questions;
use crate::stage::{Kind, Stage};

const CALLERS: u32 = 50;
const PROVIDER_TAKES_MS: u32 = 200;
const SLOW_MS: u64 = 5_000;
const CLIENT: &str = "sandbox-standard";
const BASIC: &str = "c2FuZGJveC1zdGFuZGFyZDpzYW5kYm94LXNlY3JldA==";

pub(super) async fn measure(stage: &Stage, kind: Kind) -> Fallible<Vec<Row>> {
    let database = kind.name();
    say(&format!("50 callers on one expired token, {database}"));
    let settings = sandbox::Settings::demo("127.0.0.1:0".parse()?);
    let sandbox =
        sandbox::start(settings, std::sync::Arc::new(SystemClock), std::sync::Arc::new(SystemEntropy))?;
    let provider = sandbox.url();
    let plan = Plan { connections: stage.size(1_000), provider: &provider, refresh_due_at: NEVER_DUE };
    let mut instance =
        Instance::make(stage, kind, &format!("crowd-{}", database.to_lowercase()), &plan).await?;
    // Or it would take the expired token on before the callers do.
    instance.set("JETON_REFRESH__BACKGROUND", "false");
    let broker = instance.start(&stage.one_core).await?;
    let bearer = instance.bearer().await?;
    let mut together = Vec::new();
    for time in 0..stage.times {
        let flow = format!("crowd-{time}");
        expired(&sandbox, &instance, &bearer, &flow).await?;
        slow_down(&sandbox, u64::from(PROVIDER_TAKES_MS))?;
        let before = refreshes(&sandbox);
        together.push(all_at_once(&instance, &bearer, &flow).await?.as_secs_f64() * 1_000.0);
        let spends = refreshes(&sandbox) - before;
        if spends != 1 {
            return Err(format!("{spends} spends for {CALLERS} callers").into());
        }
    }
    say(&format!("  all answered after {together:.0?} ms, one spend each time"));
    let mut beside = Vec::new();
    for time in 0..stage.times.min(2) {
        let flow = format!("slow-{time}");
        expired(&sandbox, &instance, &bearer, &flow).await?;
        slow_down(&sandbox, SLOW_MS)?;
        beside.push(slowest_beside(&instance, &bearer, &flow, plan.connections).await?);
    }
    say(&format!("  slowest fresh token beside a refresh of 5 s: {beside:.1?} ms"));
    broker.stop().await?;
    sandbox.stop().await;
    let floor = vec![f64::from(PROVIDER_TAKES_MS); together.len()];
    Ok(vec![
        at_most_times(
            format!("50 callers on one expired token, one spend, {database}"),
            "ms",
            &floor,
            &together,
            1.25,
        ),
        under(
            format!("slowest of 100 fresh tokens beside a refresh of 5 s, {database}"),
            "ms",
            &beside,
            10.0,
        ),
    ])
}

fn refreshes(sandbox: &Sandbox) -> u64 {
    let ledger = sandbox.handle().ledger();
    let of_client = ledger.clients.get(CLIENT);
    of_client.and_then(|counters| counters.token_requests.get("refresh_token").copied()).unwrap_or(0)
}

fn slow_down(sandbox: &Sandbox, ms: u64) -> Fallible<()> {
    let faults = Faults { delay_ms: Some(ms), ..Faults::default() };
    Ok(sandbox.handle().set_faults(CLIENT, faults)?)
}

/// A connection whose token has just expired and can be refreshed.
async fn expired(sandbox: &Sandbox, instance: &Instance, bearer: &str, flow: &str) -> Fallible<()> {
    sandbox.handle().set_faults(CLIENT, Faults::default())?;
    let tokens = grant(sandbox).await?;
    instance.import(bearer, flow, &tokens, 1).await?;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    Ok(())
}

/// What the provider gives when a person says yes.
async fn grant(sandbox: &Sandbox) -> Fallible<Value> {
    let port = sandbox.url().port().ok_or("no port")?;
    let mut line = Line::open(([127, 0, 0, 1], port).into()).await?;
    let redirect = "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback";
    let form = format!(
        "response_type=code&client_id={CLIENT}&{redirect}&state=s&scope=read&user=alice&decision=approve"
    );
    let request = posted("/authorize", "", &form);
    let answer = line.ask(request.as_bytes()).await?;
    let code = answer.head.split_once("code=").ok_or("no code")?.1;
    let code: String = code.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let form = format!("grant_type=authorization_code&code={code}&{redirect}");
    let request = posted("/token", &format!("authorization: Basic {BASIC}\r\n"), &form);
    line.ask(request.as_bytes()).await?.json()
}

fn posted(target: &str, headers: &str, form: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// Until the last of the callers has its answer.
async fn all_at_once(instance: &Instance, bearer: &str, flow: &str) -> Fallible<Duration> {
    let target = format!("/app-0/{CONNECTOR}/binb-token?flow={flow}");
    let mut request = Vec::new();
    Questions::get(Vec::new(), bearer).write(&target, &mut request);
    let mut lines = Vec::new();
    for _ in 0..CALLERS {
        lines.push(Line::open(instance.address).await?);
    }
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for mut line in lines {
        let request = request.clone();
        asking.spawn(async move { line.ask(&request).await?.json() });
    }
    while let Some(answer) = asking.join_next().await {
        let answer = answer??;
        if answer.get("generation").and_then(Value::as_i64) != Some(2) {
            return Err(format!("a caller got {answer}").into());
        }
    }
    Ok(began.elapsed())
}

/// The slowest of a hundred fresh tokens, in ms, while a refresh is under way.
async fn slowest_beside(instance: &Instance, bearer: &str, flow: &str, connections: u32) -> Fallible<f64> {
    let questions = Questions::get(targets(connections), bearer);
    let mut request = Vec::new();
    questions.write(&format!("/app-0/{CONNECTOR}/binb-token?flow={flow}"), &mut request);
    let (mut slow, asked) = (Line::open(instance.address).await?, request.clone());
    let refresh = tokio::spawn(async move { slow.ask(&asked).await?.json() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut line = Line::open(instance.address).await?;
    let mut slowest = Duration::ZERO;
    for target in questions.targets.iter().skip(1).cycle().take(100) {
        questions.write(target, &mut request);
        let began = Instant::now();
        line.ask(&request).await?.json()?;
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if refresh.is_finished() {
        return Err("the slow refresh had ended before".into());
    }
    refresh.await??;
    Ok(slowest.as_secs_f64() * 1_000.0)
}
