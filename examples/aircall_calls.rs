//! How does a nightly job load an app's Aircall calls?
//!
//! A query lists 10,000 calls at most, so time is cut into weeks, and a week that holds more is halved until
//! its parts fit. Neighbouring windows share their border second, because the API does not say whether its
//! bounds are inclusive; a call seen twice is written once.

mod job;

use std::collections::{HashSet, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jeton_client::Broker;
use reqwest::header::HeaderMap;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use url::Url;

use job::error::JobError;
use job::sink::Sink;
use job::{Api, Job, JobArgs, number, until};

const WEEK: i64 = 7 * 24 * 3600;
const QUERY_LIMIT: u64 = 10_000;

/// Writes the calls of an app's Aircall account as JSON lines
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    job: JobArgs,
    /// First moment, 2026-11-01 or RFC 3339
    #[arg(long, value_parser = moment)]
    from: i64,
    /// Last moment, 2026-11-24 or RFC 3339
    #[arg(long, value_parser = moment)]
    to: i64,
    /// Where the API is
    #[arg(long, env = "API_BASE", default_value = "https://api.aircall.io", value_parser = job::api_base)]
    api_base: Url,
}

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let args = Args::parse();
    job::run(async { load(job::broker().await?, args).await })
}

pub(crate) async fn load(broker: Broker, args: Args) -> Result<(), JobError> {
    let mut sink = Sink::open(args.job.out.as_deref())?;
    let api = Api {
        connector: "aircall",
        base: args.api_base,
        accept: "application/json",
        refusals: &[401, 403],
        pause,
    };
    let mut job = Job::start(broker, args.job, api).await?;
    let mut windows = weeks(args.from, args.to);
    let mut written = Written::default();
    while let Some(window) = windows.pop_front() {
        let mut url = window.url(job.url(&["v1", "calls"]));
        let mut page = job.get(&url).await?.1;
        if total(&page) > QUERY_LIMIT {
            let (early, late) =
                window.halved().ok_or(JobError::Data("more calls in one second than it lists"))?;
            windows.push_front(late);
            windows.push_front(early);
            continue;
        }
        written.next_window();
        loop {
            for call in calls(&page)? {
                if written.is_new(call) {
                    sink.write(call)?;
                }
            }
            sink.progress(&format!("{} windows left", windows.len()));
            let Some(next) = next_page(&page) else { break };
            let next = job.follow(next)?;
            if next == url {
                return Err(JobError::Data("its next page is the same page"));
            }
            url = next;
            page = job.get(&url).await?.1;
        }
    }
    Ok(sink.finish()?)
}

/// A span of time, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: i64,
    to: i64,
}

impl Window {
    fn halved(self) -> Option<(Self, Self)> {
        let middle = self.from + (self.to - self.from) / 2;
        let fits = self.from < middle;
        fits.then_some((Self { to: middle, ..self }, Self { from: middle, ..self }))
    }

    fn url(self, mut url: Url) -> Url {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        url.query_pairs_mut().extend_pairs([("from", from.as_str()), ("to", &to), ("per_page", "50")]);
        url
    }
}

fn weeks(from: i64, to: i64) -> VecDeque<Window> {
    let starts = std::iter::successors(Some(from), |start| start.checked_add(WEEK));
    let starts = starts.take_while(|start| *start < to);
    starts.map(|start| Window { from: start, to: start.saturating_add(WEEK).min(to) }).collect()
}

/// Ids of this window and the one before: only neighbours share calls.
#[derive(Default)]
struct Written {
    before: HashSet<u64>,
    now: HashSet<u64>,
}

impl Written {
    fn next_window(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    fn is_new(&mut self, call: &Value) -> bool {
        match call.get("id").and_then(Value::as_u64) {
            Some(id) => !self.before.contains(&id) & self.now.insert(id),
            None => true,
        }
    }
}

fn total(page: &Value) -> u64 {
    page.pointer("/meta/total").and_then(Value::as_u64).unwrap_or(0)
}

fn next_page(page: &Value) -> Option<&str> {
    page.pointer("/meta/next_page_link").and_then(Value::as_str)
}

fn calls(page: &Value) -> Result<&[Value], JobError> {
    page.get("calls")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or(JobError::Data("a page without its list"))
}

/// The company's limit is shared with others: when it is used up, wait for its reset.
fn pause(headers: &HeaderMap, now_s: i64) -> Option<Duration> {
    let is_used_up = number(headers, "x-aircallapi-remaining")? <= 0;
    is_used_up
        .then(|| number(headers, "x-aircallapi-reset").map_or(Duration::from_secs(60), |at| until(at, now_s)))
}

fn moment(text: &str) -> Result<i64, String> {
    let date = || Date::parse(text, format_description!("[year]-[month]-[day]"));
    let at =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| date().map(|date| date.midnight().assume_utc()));
    at.map(OffsetDateTime::unix_timestamp).map_err(|_| "write 2026-11-24 or 2026-11-24T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::trial::{Answer, Trial, sent_with};
    use serde_json::json;

    async fn calls_of(trial: &Trial, from: &str, to: &str) -> Result<String, JobError> {
        let out = trial.folder.path().join("calls.jsonl");
        let line =
            ["job", "--app", "acme", "--from", from, "--to", to, "--api-base", &trial.server.url, "--out"];
        let args = Args::parse_from(line.into_iter().chain(out.to_str()));
        load(trial.broker(), args).await?;
        Ok(std::fs::read_to_string(out)?)
    }

    fn page(ids: &[u64], total: u64, next: Option<String>) -> Answer {
        let calls: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        let page = json!({"meta": {"total": total, "next_page_link": next}, "calls": calls});
        (200, "", page.to_string())
    }

    #[tokio::test]
    async fn every_page_of_every_window_is_written_once() {
        let trial = Trial::start(|seen| {
            let next = format!("http://{}/v1/calls?page=2", seen.headers["host"]);
            match seen.target.as_str() {
                "/v1/calls?from=0&to=604800&per_page=50" => page(&[1, 2], 3, Some(next)),
                "/v1/calls?page=2" => page(&[2, 3], 3, None),
                "/v1/calls?from=604800&to=864000&per_page=50" => page(&[3, 4], 2, None),
                _ => (404, "", String::new()),
            }
        })
        .await;
        let written = calls_of(&trial, "1970-01-01", "1970-01-11").await.unwrap();
        assert_eq!(written, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n");
        assert_eq!(trial.asked(), ["/acme/aircall/binb-token"]);
    }

    #[tokio::test]
    async fn a_window_with_too_many_calls_is_halved() {
        let trial = Trial::start(|seen| match seen.target.as_str() {
            "/v1/calls?from=0&to=86400&per_page=50" => page(&[], 10_001, None),
            _ => page(&[], 5, None),
        })
        .await;
        calls_of(&trial, "1970-01-01", "1970-01-02").await.unwrap();
        let windows: Vec<_> = trial.api_calls().into_iter().map(|seen| seen.target).collect();
        assert_eq!(
            windows,
            ["0&to=86400", "0&to=43200", "43200&to=86400"].map(|w| format!("/v1/calls?from={w}&per_page=50"))
        );
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let trial = Trial::start(|seen| match sent_with(seen, 1) {
            true => (403, "", String::new()),
            false => page(&[1], 1, None),
        })
        .await;
        assert_eq!(calls_of(&trial, "1970-01-01", "1970-01-02").await.unwrap(), "{\"id\":1}\n");
        assert_eq!(trial.asked(), ["/acme/aircall/binb-token", "/acme/aircall/binb-token?rejected=1"]);
    }

    #[tokio::test]
    async fn a_second_refusal_ends_the_job_without_a_file() {
        let trial = Trial::start(|_| (401, "", String::new())).await;
        let error = calls_of(&trial, "1970-01-01", "1970-01-02").await.unwrap_err();
        assert!(matches!(error, JobError::Refused(401)));
        assert_eq!((trial.api_calls().len(), trial.asked().len()), (2, 2));
        assert_eq!(std::fs::read_dir(trial.folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_limit_that_lasts_ends_with_try_again_later() {
        let limited = "x-aircallapi-remaining: 0\r\nx-aircallapi-reset: 99999999999\r\n";
        let trial = Trial::start(move |_| (429, limited, String::new())).await;
        let error = calls_of(&trial, "1970-01-01", "1970-01-02").await.unwrap_err();
        assert_eq!(error.exit_code(), 75);
        assert_eq!(trial.api_calls().len(), 1);
    }

    #[test]
    fn time_is_cut_into_weeks_without_gaps() {
        let windows = weeks(0, 2 * WEEK + 5);
        let expected = [(0, WEEK), (WEEK, 2 * WEEK), (2 * WEEK, 2 * WEEK + 5)];
        assert_eq!(windows, expected.map(|(from, to)| Window { from, to }));
        assert!(weeks(5, 5).is_empty() && weeks(6, 5).is_empty());
    }

    #[test]
    fn a_window_is_halved_until_a_second_is_left() {
        let (early, late) = Window { from: 0, to: 9 }.halved().unwrap();
        assert_eq!((early, late), (Window { from: 0, to: 4 }, Window { from: 4, to: 9 }));
        assert_eq!(Window { from: 4, to: 5 }.halved(), None);
    }

    #[test]
    fn a_call_on_the_border_is_written_once() {
        let mut written = Written::default();
        let call = json!({"id": 7});
        assert!(written.is_new(&call));
        assert!(!written.is_new(&call));
        written.next_window();
        assert!(!written.is_new(&call));
        written.next_window();
        written.next_window();
        assert!(written.is_new(&call));
    }

    #[test]
    fn a_used_up_limit_waits_for_its_reset() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>()
        };
        let used_up = headers(&[("X-AircallApi-Remaining", "0"), ("X-AircallApi-Reset", "1000")]);
        assert_eq!(pause(&used_up, 970), Some(Duration::from_secs(31)));
        assert_eq!(pause(&headers(&[("X-AircallApi-Remaining", "0")]), 0), Some(Duration::from_secs(60)));
        assert_eq!(pause(&headers(&[("X-AircallApi-Remaining", "3")]), 0), None);
        assert_eq!(pause(&HeaderMap::new(), 0), None);
    }

    #[test]
    fn moments_are_dates_or_times() {
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(moment("yesterday").is_err());
    }
}
