//! How many requests does a server answer, and how long does each take? Callers in a closed loop, bounded in time
//! and number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Fallible;
use crate::line::Line;

/// What is asked: one of the targets, at random.
pub(crate) struct Questions {
    pub(crate) method: &'static str,
    pub(crate) targets: Vec<String>,
    /// The header lines, each with its end, and the body.
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// How it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Pressure {
    pub(crate) callers: u32,
    pub(crate) time: Duration,
    /// Requests of one caller, at most.
    pub(crate) most: usize,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    latencies_us: Vec<u32>,
}

impl Outcome {
    /// Milliseconds within which this part of the requests was answered.
    pub(crate) fn percentile_ms(&self, part: f64) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1);
        let mut rank = 0;
        while rank < last && fraction(rank + 1, last + 1) < part {
            rank += 1;
        }
        self.latencies_us.get(rank).map_or(0.0, |us| f64::from(*us) / 1_000.0)
    }
}

fn fraction(part: usize, whole: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    number(part) / number(whole)
}

impl Questions {
    pub(crate) fn get(targets: Vec<String>, bearer: &str) -> Self {
        let headers = format!("host: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\n");
        Self { method: "GET", targets, headers, body: String::new() }
    }

    pub(crate) fn write(&self, target: &str, into: &mut Vec<u8>) {
        use std::io::Write;
        into.clear();
        let Self { method, headers, body, .. } = self;
        let length = body.len();
        // Writing into memory does not fail.
        let _ = write!(into, "{method} {target} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}");
    }
}

/// Asks under pressure; an answer other than 200 ends it with an error.
pub(crate) async fn press(
    address: SocketAddr,
    questions: &Arc<Questions>,
    pressure: Pressure,
) -> Fallible<Outcome> {
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for seed in 1..=pressure.callers {
        callers.spawn(call(address, Arc::clone(questions), pressure, seed));
    }
    let mut latencies_us = Vec::new();
    while let Some(called) = callers.join_next().await {
        latencies_us.extend(called??);
    }
    let seconds = began.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    let answered = f64::from(u32::try_from(latencies_us.len())?);
    Ok(Outcome { per_second: answered / seconds, latencies_us })
}

async fn call(
    address: SocketAddr,
    questions: Arc<Questions>,
    pressure: Pressure,
    seed: u32,
) -> Fallible<Vec<u32>> {
    let mut line = Line::open(address).await?;
    let mut request = Vec::new();
    let mut latencies = Vec::new();
    let mut dice = Dice(seed.wrapping_mul(2_654_435_761) | 1);
    let end = Instant::now() + pressure.time;
    while latencies.len() < pressure.most {
        let began = Instant::now();
        if began >= end {
            break;
        }
        questions.write(dice.choose(&questions.targets), &mut request);
        let answer = line.ask(&request).await?;
        if answer.status != 200 {
            answer.json()?;
        }
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// Xorshift: the same sequence in every run.
struct Dice(u32);

impl Dice {
    fn choose<'t>(&mut self, targets: &'t [String]) -> &'t str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let at = usize::try_from(self.0).unwrap_or_default() % targets.len().max(1);
        targets.get(at).map_or("/", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_within_which_that_part_was_answered() {
        let outcome = Outcome { per_second: 0.0, latencies_us: (1..=100).map(|n| n * 1_000).collect() };
        assert!((outcome.percentile_ms(0.99) - 99.0).abs() < 1e-9);
        assert!((outcome.percentile_ms(0.5) - 50.0).abs() < 1e-9);
    }
}
