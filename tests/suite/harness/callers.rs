//! What do callers do? They ask for tokens without end, of any connection, and note what they are given.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::chance::Chance;
use super::ground::Ground;
use super::record::{HandOut, now};

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Out of a hundred callers so many hang up at once.
const HANG_UP: usize = 3;

/// What an answer was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A token, noted.
    Token,
    /// A problem, by its code.
    Problem(String),
    /// Nothing: the connection was refused or broke, or the caller hung up.
    Nothing,
}

/// One caller, until the run is over; it keeps to its replica.
pub(super) async fn call_on(ground: Arc<Ground>, number: usize) {
    let mut chance = Chance::seeded(ground.plan.seed).fork(number);
    let replica = number % ground.plan.replicas;
    while !ground.is_over() {
        let connection = chance.below(ground.connections.len());
        let patience = match chance.percent(HANG_UP) {
            true => Duration::from_millis(chance.between(5, 200)),
            false => PATIENCE,
        };
        match ask(&ground, replica, connection, patience).await {
            Answer::Token => {}
            Answer::Problem(code) => {
                ground.record.write(|notes| *notes.refusals.entry(code).or_default() += 1);
            }
            Answer::Nothing => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        tokio::time::sleep(Duration::from_millis(chance.between(0, ground.plan.rest_ms))).await;
    }
}

/// Asks one replica for the token of one connection.
pub(super) async fn ask(ground: &Ground, replica: usize, connection: usize, patience: Duration) -> Answer {
    let Some(at) = ground.replicas[replica].address() else { return Answer::Nothing };
    let url = format!("{at}{}", ground.connections[connection].route(5));
    let call = async {
        let answer = ground.http.get(url).bearer_auth(&ground.bearer).send().await?;
        let status = answer.status().as_u16();
        Ok::<_, reqwest::Error>((status, answer.bytes().await?))
    };
    let Ok(Ok((status, body))) = tokio::time::timeout(patience, call).await else { return Answer::Nothing };
    let received_at = now();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status != 200 {
        let code = body["code"].as_str().unwrap_or("unreadable").to_owned();
        if status == 500 || code == "unreadable" {
            ground.record.odd(format!("odd: replica {replica} answered {status} {code} at {received_at}"));
        }
        return Answer::Problem(code);
    }
    let known = ground.sandbox.handle().find_access(body["access_token"].as_str().unwrap_or_default());
    let (holder, dies_at) = known.map_or((None, None), |known| (Some(known.user), known.expires_at));
    ground.record.write(|notes| {
        notes.hand_outs.push(HandOut { connection, holder, dies_at, received_at });
        let served = notes.served.entry(replica).or_insert((0, received_at));
        *served = (served.0 + 1, received_at);
    });
    Answer::Token
}
