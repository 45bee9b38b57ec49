//! A provider that answers every refresh after a while and counts: the sandbox keeps a ledger of tokens it knows,
//! this one takes thousands that it has never issued.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jeton::model::entropy::{SystemEntropy, token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::Fallible;

/// A provider that runs for as long as the process.
pub(crate) struct Provider {
    pub(crate) url: Url,
    seen: Arc<Seen>,
}

struct Seen {
    began: Instant,
    refreshes: AtomicU32,
    under_way: AtomicU32,
    most_under_way: AtomicU32,
    /// Since `began`; 0: none.
    first_us: AtomicU64,
    last_us: AtomicU64,
}

/// What was counted.
pub(crate) struct Count {
    pub(crate) refreshes: u32,
    pub(crate) most_under_way: u32,
    /// From the first request to the last answer.
    pub(crate) span: Duration,
}

impl Provider {
    pub(crate) async fn start(delay: Duration) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = Url::parse(&format!("http://127.0.0.1:{}", listener.local_addr()?.port()))?;
        let seen = Arc::new(Seen {
            began: Instant::now(),
            refreshes: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            most_under_way: AtomicU32::new(0),
            first_us: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
        });
        let counted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&counted), delay));
            }
        });
        Ok(Self { url, seen })
    }

    pub(crate) fn count(&self) -> Count {
        let seen = &self.seen;
        let span = seen.last_us.load(Ordering::SeqCst).saturating_sub(seen.first_us.load(Ordering::SeqCst));
        Count {
            refreshes: seen.refreshes.load(Ordering::SeqCst),
            most_under_way: seen.most_under_way.load(Ordering::SeqCst),
            span: Duration::from_micros(span),
        }
    }

    /// Counts anew.
    pub(crate) fn reset(&self) {
        let seen = &self.seen;
        for number in [&seen.refreshes, &seen.most_under_way] {
            number.store(0, Ordering::SeqCst);
        }
        for number in [&seen.first_us, &seen.last_us] {
            number.store(0, Ordering::SeqCst);
        }
    }
}

impl Seen {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Requests of one connection, until it is closed.
async fn answer(mut stream: TcpStream, seen: Arc<Seen>, delay: Duration) {
    let mut bytes = Vec::with_capacity(4 * 1024);
    while read_request(&mut stream, &mut bytes).await.is_some() {
        let first = &seen.first_us;
        first.compare_exchange(0, seen.now_us(), Ordering::SeqCst, Ordering::SeqCst).ok();
        let under_way = seen.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        tokio::time::sleep(delay).await;
        let (access, refresh) = (token::<32>(&SystemEntropy), token::<32>(&SystemEntropy));
        let body = format!(
            "{{\"access_token\":\"{access}\",\"token_type\":\"Bearer\",\"expires_in\":28800,\
             \"refresh_token\":\"{refresh}\",\"scope\":\"read\"}}"
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let sent = stream.write_all((head + &body).as_bytes()).await;
        seen.under_way.fetch_sub(1, Ordering::SeqCst);
        seen.refreshes.fetch_add(1, Ordering::SeqCst);
        seen.last_us.store(seen.now_us(), Ordering::SeqCst);
        if sent.is_err() {
            return;
        }
    }
}

/// Reads past one request; `None` where the other side has hung up or sends what nobody understands.
async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = std::str::from_utf8(bytes.get(..end)?).ok()?.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
            if bytes.len() >= end + 4 + length {
                return Some(());
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
