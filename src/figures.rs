//! What does the process count of itself? Counters, gauges and histograms, written as Prometheus text.
//!
//! One [`Figures`] a broker, not one a process, so that two brokers in one process count apart. Labels are few: route
//! templates, our own codes, and ids of connectors that are defined; never an app, a flow, an account or a secret.

mod name;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::model::connector::ConnectorId;

const OF_US: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Where a spooled record waits to be stored; the label `kind` of `jeton_spool_records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spooled {
    /// What a provider answered.
    Answer,
    /// An audit record.
    Audit,
}

/// The figures of one broker.
pub struct Figures {
    recorder: PrometheusRecorder,
    hand_outs: HashMap<&'static str, Counter>,
    refreshes: RwLock<HashMap<ConnectorId, Arc<Refreshes>>>,
    routes: RwLock<HashMap<String, Arc<Route>>>,
    connections: Mutex<HashMap<(ConnectorId, &'static str), Gauge>>,
}

/// Counters by a label whose values turn up one by one.
type Counters<K> = RwLock<Vec<(K, Counter)>>;

struct Refreshes {
    took: Histogram,
    results: Counters<&'static str>,
}

struct Route {
    took: Histogram,
    statuses: Counters<u16>,
}

impl Figures {
    /// All at zero; `codes` are the results a hand-out can have beside `ok` and `degraded`.
    #[expect(clippy::expect_used, reason = "the buckets are constants, and not empty")]
    pub fn new(codes: impl IntoIterator<Item = &'static str>) -> Self {
        let recorder = name::BUCKETS
            .iter()
            .try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
                builder.set_buckets_for_metric(name::whole(name), buckets)
            })
            .expect("no list of buckets is empty")
            .build_recorder();
        name::describe(&recorder);
        let build = vec![Label::new("version", env!("CARGO_PKG_VERSION"))];
        recorder.register_gauge(&Key::from_parts(name::BUILD, build), &OF_US).set(1);
        let results = ["ok", "degraded"].into_iter().chain(codes);
        let hand_outs = results.map(|result| (result, counter(&recorder, name::HAND_OUTS, result))).collect();
        Self {
            recorder,
            hand_outs,
            refreshes: RwLock::default(),
            routes: RwLock::default(),
            connections: Mutex::default(),
        }
    }

    /// A hand-out ended: `ok`, `degraded`, or with a code.
    pub fn handed_out(&self, result: &str) {
        if let Some(counter) = self.hand_outs.get(result) {
            counter.increment(1);
        }
    }

    /// A provider was asked to refresh a token. The connector is one that is defined.
    pub fn refreshed(&self, connector: &ConnectorId, result: &'static str, took: Duration) {
        let of = found_or(&self.refreshes, connector, || Refreshes {
            took: self.recorder.register_histogram(
                &key(name::REFRESH_SECONDS, &[("connector", connector.as_str())]),
                &OF_US,
            ),
            results: RwLock::default(),
        });
        of.took.record(took.as_secs_f64());
        count(&of.results, result, || {
            let labels = [("connector", connector.as_str()), ("result", result)];
            self.recorder.register_counter(&key(name::REFRESHES, &labels), &OF_US)
        });
    }

    /// A request was answered; `route` is the template.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        let of = found_or(&self.routes, route, || Route {
            took: self.recorder.register_histogram(&key(name::REQUEST_SECONDS, &[("route", route)]), &OF_US),
            statuses: RwLock::default(),
        });
        of.took.record(took.as_secs_f64());
        count(&of.statuses, status, || {
            let labels = [("route", route), ("status", &status.to_string())];
            self.recorder.register_counter(&key(name::REQUESTS, &labels), &OF_US)
        });
    }

    /// A connection has broken, recovered or was deleted. The connector is one that is defined.
    pub fn changed(&self, connector: &ConnectorId, event: &str) {
        let labels = [("connector", connector.as_str()), ("event", event)];
        self.recorder.register_counter(&key(name::CHANGES, &labels), &OF_US).increment(1);
    }

    /// How many records wait in the spool.
    pub fn set_spool(&self, kind: Spooled, records: u32) {
        let kind = match kind {
            Spooled::Answer => "answer",
            Spooled::Audit => "audit",
        };
        self.gauge(name::SPOOL, &[("kind", kind)]).set(records);
    }

    /// How many connections there are, by connector and state as told; what is not in the list has none. `None`: not
    /// known, since the database does not answer.
    pub fn set_connections(&self, counted: Option<&[(ConnectorId, &'static str, u32)]>) {
        self.gauge(name::DATABASE_UP, &[]).set(f64::from(u8::from(counted.is_some())));
        let mut known = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let absent = if counted.is_some() { 0.0 } else { f64::NAN };
        known.values().for_each(|gauge| gauge.set(absent));
        for (connector, state, connections) in counted.unwrap_or_default() {
            let gauge = known.entry((connector.clone(), state)).or_insert_with(|| {
                self.gauge(name::CONNECTIONS, &[("connector", connector.as_str()), ("state", state)])
            });
            gauge.set(*connections);
        }
    }

    /// How many hand-outs wait for their audit records, and for how long the oldest has.
    pub fn set_audit(&self, records: u32, lag: Duration) {
        self.gauge(name::AUDIT_WAITING, &[]).set(records);
        self.gauge(name::AUDIT_LAG, &[]).set(lag);
    }

    /// Connections of the database pool.
    pub fn set_pool(&self, open: u32, idle: u32) {
        self.gauge(name::POOL, &[("state", "open")]).set(open);
        self.gauge(name::POOL, &[("state", "idle")]).set(idle);
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self) -> String {
        self.recorder.handle().render()
    }

    /// Sorts what was measured into its buckets; called now and then, so that measurements do not pile up.
    pub fn tidy(&self) {
        self.recorder.handle().run_upkeep();
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &OF_US)
    }
}

fn counter(recorder: &PrometheusRecorder, name: &'static str, result: &str) -> Counter {
    recorder.register_counter(&key(name, &[("result", result)]), &OF_US)
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(key, value)| Label::new(*key, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}

/// What is kept under a name, made where it is new.
fn found_or<K, Q, V>(all: &RwLock<HashMap<K, Arc<V>>>, name: &Q, make: impl FnOnce() -> V) -> Arc<V>
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    let found = all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    found.unwrap_or_else(|| {
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_insert_with(|| Arc::new(make())))
    })
}

fn count<K: Copy + PartialEq>(all: &Counters<K>, value: K, make: impl FnOnce() -> Counter) {
    let find = |all: &[(K, Counter)]| {
        all.iter().find(|(known, _)| *known == value).map(|(_, counter)| counter.clone())
    };
    let found = find(&all.read().unwrap_or_else(PoisonError::into_inner));
    let counter = found.unwrap_or_else(|| {
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        find(&all).unwrap_or_else(|| {
            let made = make();
            all.push((value, made.clone()));
            made
        })
    });
    counter.increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &str, name: &str) -> Vec<String> {
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    #[test]
    fn two_brokers_in_one_process_count_apart() {
        let (one, other) = (Figures::new(["forbidden"]), Figures::new(["forbidden"]));
        one.handed_out("ok");
        one.handed_out("forbidden");
        one.handed_out("a result nobody knows");
        let counted = lines_of(&one.text(), "jeton_handouts_total");
        assert_eq!(counted.len(), 3, "{counted:?}");
        for line in [r#"{result="ok"} 1"#, r#"{result="forbidden"} 1"#, r#"{result="degraded"} 0"#] {
            assert!(counted.contains(&format!("jeton_handouts_total{line}")), "{counted:?}");
        }
        assert!(lines_of(&other.text(), "jeton_handouts_total").iter().all(|line| line.ends_with(" 0")));
    }

    #[test]
    fn a_state_that_nobody_is_in_any_more_falls_to_zero_and_an_unknown_one_to_nan() {
        let figures = Figures::new([]);
        let github = ConnectorId::parse("github").unwrap();
        figures.set_connections(Some(&[(github.clone(), "active", 3), (github.clone(), "misconfigured", 1)]));
        figures.set_connections(Some(&[(github, "active", 4)]));
        let counted = lines_of(&figures.text(), "jeton_connections");
        assert!(
            counted.contains(&r#"jeton_connections{connector="github",state="active"} 4"#.to_owned()),
            "{counted:?}"
        );
        assert!(
            counted.iter().any(|line| line.contains("misconfigured") && line.ends_with(" 0")),
            "{counted:?}"
        );
        figures.set_connections(None);
        assert!(lines_of(&figures.text(), "jeton_connections").iter().all(|line| line.ends_with(" NaN")));
        assert_eq!(lines_of(&figures.text(), "jeton_database_up"), ["jeton_database_up 0"]);
    }

    #[test]
    fn requests_and_refreshes_are_counted_and_timed() {
        let figures = Figures::new([]);
        for status in [200, 200, 404] {
            figures.answered("/{app_id}/{connector}/binb-token", status, Duration::from_millis(3));
        }
        let sandbox = ConnectorId::parse("sandbox").unwrap();
        figures.refreshed(&sandbox, "ok", Duration::from_millis(300));
        figures.tidy();
        let text = figures.text();
        for line in [
            r#"jeton_http_requests_total{route="/{app_id}/{connector}/binb-token",status="200"} 2"#,
            r#"jeton_http_requests_total{route="/{app_id}/{connector}/binb-token",status="404"} 1"#,
            r#"jeton_http_request_duration_seconds_bucket{route="/{app_id}/{connector}/binb-token",le="0.0025"} 0"#,
            r#"jeton_http_request_duration_seconds_bucket{route="/{app_id}/{connector}/binb-token",le="0.005"} 3"#,
            r#"jeton_refreshes_total{connector="sandbox",result="ok"} 1"#,
            r#"jeton_refresh_duration_seconds_count{connector="sandbox"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
