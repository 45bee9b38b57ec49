//! What do logs tell of a request?

use super::*;

#[actix_web::test]
async fn logs_tell_the_template_of_a_route_and_nothing_that_was_sent() {
    let db = databases().await.remove(0);
    let site = site(&db, URL).await;
    let (log, quiet) = Log::start();
    let mut browser = site.browser();
    browser.cookies.insert("__Host-jeton".into(), "canary-cookie".into());
    browser.open("/invitations/canary-path?canary=query").await;
    let fields = [("email", "canary-name"), ("password", "canary-password"), ("csrf_token", "canary-token")];
    browser.post("/login", &fields).await;
    browser.open("/canary-nowhere").await;
    browser.open("/panics").await;
    drop(quiet);
    let lines = log.lines();
    for told in [
        "GET /invitations/{token} answered 404",
        "POST /login answered 403",
        "a handler panicked",
        "trace_id=",
    ] {
        assert!(lines.contains(told), "{told} in {lines}");
    }
    assert!(!lines.contains("canary"), "{lines}");
}

#[derive(Clone, Default)]
pub(super) struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    /// Keeps all that this thread logs until the guard is dropped.
    pub(super) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn lines(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
