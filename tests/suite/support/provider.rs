//! A third-party provider: the sandbox, in this process.

use std::sync::Arc;

use jeton::model::entropy::SystemEntropy;
use jeton::model::time::Clock;
use jeton::sandbox::{Sandbox, Settings, start};

/// A sandbox on a free port, whose time is `clock`'s.
pub(crate) fn sandbox(clock: Arc<dyn Clock>) -> Sandbox {
    start(Settings::demo(([127, 0, 0, 1], 0).into()), clock, Arc::new(SystemEntropy)).unwrap()
}
