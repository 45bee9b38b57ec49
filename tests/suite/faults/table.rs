//! How are the courses written down, so that people can read them? docs/faults.md, to the letter.

use super::cases::{Course, PROVIDERS, all};

const HEAD: &str = "\
# What each fault of a provider comes to

For each fault of the sandbox that the next refresh meets: what `GET /{app_id}/{connector}/binb-token` answers, the state of the
connection afterwards, and how often its refresh token was sent to the provider until then. Then the same nine hours later, when
the fault is over and every token has expired. `200, code` is a token with `degraded`. [sandbox.md](sandbox.md) tells how a fault
is set.

This page is checked by the tests, on SQLite and PostgreSQL. What it shows:

- A refresh token is sent once for a call, whatever comes back.
- A token that still lives is never withheld because its refresh failed.
- `sandbox`, `github` and `github-app` rotate; `hubspot` and `salesforce` may, as far as the broker knows before their first
  answer, and are treated alike. `google` does not, by definition: it is told as unavailable and asked again soon.
- Where the provider spent the token and the answer was lost, a rotating one ends as `lost_rotation`, never as `revoked`.
- `aircall` is not in the tables: its tokens are permanent and there is no refresh that could fail. It answers 200 throughout.
";

/// The page.
pub(super) fn page() -> String {
    format!(
        "{HEAD}\n## The token has expired\n\n{}\n## The token lives, and its refresh is due\n\n{}",
        table(false),
        table(true)
    )
}

fn table(lives: bool) -> String {
    let mut text = String::from(
        "| fault | connectors | answer | state | sent | later | state | sent |\n|---|---|---|---|---|---|---|---|\n",
    );
    for case in all() {
        let mut groups: Vec<(Course, Vec<&str>)> = Vec::new();
        for provider in PROVIDERS.iter().filter(|provider| provider.refreshes) {
            let course = provider.expected(case.kind, lives);
            match groups.iter_mut().find(|(one, _)| *one == course) {
                Some((_, connectors)) => connectors.push(provider.connector),
                None => groups.push((course, vec![provider.connector])),
            }
        }
        let everywhere = groups.len() == 1;
        for (n, (Course { first, later }, connectors)) in groups.iter().enumerate() {
            let title = if n == 0 { case.title } else { "" };
            let connectors = if everywhere { "all".to_owned() } else { connectors.join(", ") };
            text.push_str(&format!(
                "| {title} | {connectors} | {} | {} | {} | {} | {} | {} |\n",
                first.answer, first.state, first.calls, later.answer, later.state, later.calls
            ));
        }
    }
    text
}
