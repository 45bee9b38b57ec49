//! How does a nightly job load the repositories that an app's GitHub account can see?
//!
//! Pages are followed by the `Link` header, and only on the API's own host: the token goes with each request.

mod job;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jeton_client::Broker;
use reqwest::header::{HeaderMap, LINK, RETRY_AFTER};
use url::Url;

use job::error::JobError;
use job::sink::Sink;
use job::{Api, Job, JobArgs, number, until};

/// Writes the repositories of an app's GitHub account as JSON lines
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    job: JobArgs,
    /// Where the API is
    #[arg(long, env = "API_BASE", default_value = "https://api.github.com", value_parser = job::api_base)]
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
        connector: "github",
        base: args.api_base,
        accept: "application/vnd.github+json",
        // A 403 is a limit or a missing right there, never a dead token.
        refusals: &[401],
        pause,
    };
    let mut job = Job::start(broker, args.job, api).await?;
    let mut url = job.url(&["user", "repos"]);
    url.query_pairs_mut().append_pair("per_page", "100");
    for pages in 1_u64.. {
        let (headers, page) = job.get(&url).await?;
        for repository in page.as_array().ok_or(JobError::Data("a page without its list"))? {
            sink.write(repository)?;
        }
        sink.progress(&format!("{pages} pages"));
        let Some(next) = next_of(&headers) else { break };
        let next = job.follow(next)?;
        if next == url {
            return Err(JobError::Data("its next page is the same page"));
        }
        url = next;
    }
    Ok(sink.finish()?)
}

/// The target of `rel="next"` (RFC 8288).
fn next_of(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_in)
}

fn next_in(header: &str) -> Option<&str> {
    // A target stands between angle brackets; its parameters reach to the next target.
    header.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        parameters.split(';').any(is_next).then_some(target)
    })
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
}

/// The secondary limit says `Retry-After`, the hourly one when it is reset.
fn pause(headers: &HeaderMap, now_s: i64) -> Option<Duration> {
    if let Some(seconds) = number(headers, RETRY_AFTER.as_str()) {
        return Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    }
    let is_used_up = number(headers, "x-ratelimit-remaining")? <= 0;
    is_used_up
        .then(|| number(headers, "x-ratelimit-reset").map_or(Duration::from_secs(60), |at| until(at, now_s)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::trial::{Trial, sent_with};

    async fn repositories_of(trial: &Trial) -> Result<String, JobError> {
        let out = trial.folder.path().join("repositories.jsonl");
        let line = ["job", "--app", "acme", "--flow", "b", "--api-base", &trial.server.url, "--out"];
        load(trial.broker(), Args::parse_from(line.into_iter().chain(out.to_str()))).await?;
        Ok(std::fs::read_to_string(out)?)
    }

    #[tokio::test]
    async fn pages_are_followed_after_a_refusal() {
        let trial = Trial::start(|seen| match (sent_with(seen, 1), seen.target.as_str()) {
            (true, _) => (401, "", String::new()),
            (false, "/user/repos?per_page=100") => {
                (200, "link: <HOST/user/repos?page=2>; rel=\"next\"\r\n", "[{\"id\":1}]".to_owned())
            }
            _ => (200, "", "[{\"id\":2}]".to_owned()),
        })
        .await;
        assert_eq!(repositories_of(&trial).await.unwrap(), "{\"id\":1}\n{\"id\":2}\n");
        assert_eq!(
            trial.asked(),
            ["/acme/github/binb-token?flow=b", "/acme/github/binb-token?flow=b&rejected=1"]
        );
    }

    #[tokio::test]
    async fn the_token_stays_on_the_apis_host() {
        let elsewhere = Trial::start(|_| (200, "", "[]".to_owned())).await;
        let link = format!("link: <{}/user/repos?page=2>; rel=\"next\"\r\n", elsewhere.server.url);
        let link: &'static str = link.leak();
        let trial = Trial::start(move |_| (200, link, "[]".to_owned())).await;
        let error = repositories_of(&trial).await.unwrap_err();
        assert!(matches!(error, JobError::Data(_)));
        assert!(elsewhere.api_calls().is_empty());
    }

    #[test]
    fn the_next_link_is_found_wherever_it_stands() {
        let next = "https://api.github.com/user/repos?per_page=100&page=2,3";
        for header in [
            format!("<{next}>; rel=\"next\", <https://x/?page=9>; rel=\"last\""),
            format!("<https://x/?page=1>; rel=\"prev\", <{next}>; rel=\"next\""),
            format!("<https://x/>; rel=first,<{next}>;title=\"t\"; REL=\"alternate NEXT\""),
            format!("<{next}>; rel=next, <https://x/>; rel=last"),
        ] {
            assert_eq!(next_in(&header), Some(next), "{header}");
        }
        for header in
            ["", "<https://x/>; rel=\"last\"", "https://x/; rel=\"next\"", "<https://x/>; rel=\"nextish\""]
        {
            assert_eq!(next_in(header), None, "{header}");
        }
    }

    #[test]
    fn limits_say_how_long_to_wait() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>()
        };
        assert_eq!(pause(&headers(&[("retry-after", "7")]), 0), Some(Duration::from_secs(7)));
        let used_up = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "90")]);
        assert_eq!(pause(&used_up, 80), Some(Duration::from_secs(11)));
        assert_eq!(pause(&headers(&[("x-ratelimit-remaining", "1")]), 0), None);
    }
}
