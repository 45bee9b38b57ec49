//! The figures' own work: their listener, where they have one, and sorting what was measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::figures::Figures;
use crate::http::metrics::{Exposed, MetricsServer};

/// What is measured in this time waits in memory.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs until it is stopped.
pub(super) struct Showing {
    server: Option<MetricsServer>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Showing {
    pub(super) fn start(
        figures: Arc<Figures>,
        exposed: &Exposed,
        own: Option<SocketAddr>,
    ) -> std::io::Result<Self> {
        let server =
            own.map(|address| MetricsServer::start(address, Arc::clone(&exposed.gauges))).transpose()?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { server, stop, task: tokio::spawn(tidy(figures, stopped)) })
    }

    pub(super) async fn stop(self) {
        // Where nobody listens any more, the task has ended.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            warn!(%error, "sorting of figures had failed");
        }
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

async fn tidy(figures: Arc<Figures>, mut stopped: oneshot::Receiver<()>) {
    while tokio::time::timeout(PAUSE, &mut stopped).await.is_err() {
        figures.tidy();
    }
}
