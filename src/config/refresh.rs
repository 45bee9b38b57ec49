//! Section `refresh`: how long a provider may take, and who refreshes when.

use std::time::Duration;

use super::reader::Reader;

/// What a claim must outlast a call by.
const MARGIN: Duration = Duration::from_secs(5);

/// How tokens are refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Whether tokens are also refreshed when nobody asks for them.
    pub background: bool,
    /// Provider calls under way at once.
    pub concurrency: u32,
    /// How long a claim on a connection holds.
    pub lease: Duration,
}

/// How long a call may take: to connect, and as a whole.
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) whole: Duration,
}

pub(super) fn read(reader: &mut Reader) -> (Timeouts, Refresh) {
    let background = reader.flag("refresh.background").unwrap_or(true);
    let seconds = |reader: &mut Reader, key: &str, range, default: u32| {
        let seconds: u32 = reader.number(key, range).unwrap_or(default);
        Duration::from_secs(seconds.into())
    };
    let whole = seconds(reader, "refresh.timeout_s", 1..=55, 15);
    let connect = seconds(reader, "refresh.connect_timeout_s", 1..=55, 5);
    let lease = seconds(reader, "refresh.lease_s", 5..=60, 30);
    if lease < whole + MARGIN {
        let detail = "must be at least 5 s longer than `refresh.timeout_s`: nothing is sent with less left";
        reader.refuse("refresh.lease_s", detail);
    }
    if connect > whole {
        reader.refuse("refresh.connect_timeout_s", "must not be longer than `refresh.timeout_s`");
    }
    let concurrency = reader.number("refresh.concurrency", 1..=10_000).unwrap_or(64);
    (Timeouts { connect, whole }, Refresh { background, concurrency, lease })
}
