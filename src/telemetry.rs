//! What does the process say about itself? Log lines to standard error, as text or JSON.
//!
//! Third-party code is never heard below `info`, whatever the filter asks for: it would print requests with
//! tokens and statements with their values.

mod json;

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// What is heard unless the operator says otherwise.
const DEFAULT: &str = "info,sea_orm_migration=warn,actix_server=warn";

/// Whether a text is a filter.
pub fn is_filter(text: &str) -> bool {
    !text.is_empty() && EnvFilter::try_new(text).is_ok()
}

/// Starts logging for a command that speaks for itself: by `RUST_LOG`, else errors only.
pub fn start_quietly() {
    let asked = EnvFilter::try_from_default_env().is_ok();
    start((!asked).then_some("error"), LogFormat::Text);
}

/// Starts logging: by `filter`, else `RUST_LOG`, else `info` and above. A second call in one process changes nothing.
pub fn start(filter: Option<&str>, format: LogFormat) {
    let filter = filter
        .and_then(|text| EnvFilter::try_new(text).ok())
        .or_else(|| EnvFilter::try_from_default_env().ok())
        .unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(json::Flat).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let layer = lines.with_filter(filter.and(filter_fn(is_discreet)));
    // Somebody else's subscriber stays, as in tests.
    tracing_subscriber::registry().with(layer).try_init().ok();
}

/// Our own events, and those of others from `info` up.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target().split("::").next().unwrap_or_default();
    let ours = ["jeton", "jeton_guard", "jeton_client", "jeton_migration"].contains(&target);
    ours || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn others_are_not_heard_below_info_even_at_trace() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_filter(EnvFilter::new("trace").and(filter_fn(is_discreet)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::trace!(target: "jeton::keeper", "ours");
            tracing::debug!(target: "sqlx::query", "canary");
            tracing::trace!(target: "hyper::proto", "canary");
            tracing::info!(target: "actix_server::builder", "loud");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ours") && text.contains("loud") && !text.contains("canary"), "{text}");
    }

    #[test]
    fn a_line_for_machines_is_one_object_with_the_fields_of_all_spans() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(json::Flat);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let request = tracing::error_span!("request", trace_id = "t1", app.id = tracing::field::Empty);
            request.record("app.id", "acme");
            let flight = tracing::error_span!(parent: &request, "flight", app.id = "globex");
            let _inside = flight.enter();
            tracing::warn!(failures = 2, ok = false, text = ?"a\nb", "it \"failed\"");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        let expected = serde_json::json!({
            "level": "WARN", "target": "jeton::telemetry::tests", "message": "it \"failed\"", "trace_id": "t1",
            "app.id": "globex", "failures": 2, "ok": false, "text": "\"a\\nb\"",
        });
        assert_eq!((line, text.lines().count()), (expected, 1));
    }

    #[test]
    fn a_filter_is_told_from_a_text() {
        assert!(is_filter("jeton=debug,info") && !is_filter("jeton=loud") && !is_filter(""));
    }
}
