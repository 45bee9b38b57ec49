//! What are the figures called, and what do they say?

use metrics::{KeyName, Recorder};
use metrics_exporter_prometheus::Matcher;

pub(super) const CONNECTIONS: &str = "jeton_connections";
pub(super) const HAND_OUTS: &str = "jeton_handouts_total";
pub(super) const REFRESHES: &str = "jeton_refreshes_total";
pub(super) const REFRESH_SECONDS: &str = "jeton_refresh_duration_seconds";
pub(super) const CHANGES: &str = "jeton_connection_changes_total";
pub(super) const SPOOL: &str = "jeton_spool_records";
pub(super) const AUDIT_LAG: &str = "jeton_audit_lag_seconds";
pub(super) const AUDIT_WAITING: &str = "jeton_audit_waiting_records";
pub(super) const POOL: &str = "jeton_database_connections";
pub(super) const DATABASE_UP: &str = "jeton_database_up";
pub(super) const REQUESTS: &str = "jeton_http_requests_total";
pub(super) const REQUEST_SECONDS: &str = "jeton_http_request_duration_seconds";
pub(super) const BUILD: &str = "jeton_build_info";

/// A provider has 15 s; a request waits up to 30 s for a refresh.
pub(super) const BUCKETS: [(&str, &[f64]); 2] = [
    (REFRESH_SECONDS, &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0]),
    (REQUEST_SECONDS, &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
];

pub(super) fn whole(name: &str) -> Matcher {
    Matcher::Full(name.to_owned())
}

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const DESCRIPTIONS: [(Kind, &str, &str); 13] = [
    (Kind::Gauge, CONNECTIONS, "Connections by connector and state, as people are told it."),
    (Kind::Counter, HAND_OUTS, "Requests for a token, by result: ok, degraded, or the code of the problem."),
    (Kind::Counter, REFRESHES, "Refreshes sent to a provider, by connector and result."),
    (Kind::Histogram, REFRESH_SECONDS, "How long providers took to answer a refresh."),
    (Kind::Counter, CHANGES, "Connections that have broken, recovered or were deleted, by connector."),
    (Kind::Gauge, SPOOL, "Records in the local spool that wait for the database."),
    (Kind::Gauge, AUDIT_LAG, "Age of the oldest hand-out that waits for its audit record."),
    (Kind::Gauge, AUDIT_WAITING, "Hand-outs that wait for their audit records."),
    (Kind::Gauge, POOL, "Connections to the database: open ones, and those of them that are idle."),
    (Kind::Gauge, DATABASE_UP, "Whether the database answered this scrape."),
    (Kind::Counter, REQUESTS, "Requests by route and status."),
    (Kind::Histogram, REQUEST_SECONDS, "How long requests took, by route."),
    (Kind::Gauge, BUILD, "Always 1; the label tells the version."),
];

pub(super) fn describe(recorder: &impl Recorder) {
    for (kind, name, says) in DESCRIPTIONS {
        let name = KeyName::from_const_str(name);
        match kind {
            Kind::Counter => recorder.describe_counter(name, None, says.into()),
            Kind::Gauge => recorder.describe_gauge(name, None, says.into()),
            Kind::Histogram => recorder.describe_histogram(name, None, says.into()),
        }
    }
}
