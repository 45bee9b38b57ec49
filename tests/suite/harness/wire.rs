//! What stands between the replicas and PostgreSQL? A proxy that can hold up a COMMIT, and lets it land also when
//! whoever sent it is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// `Query("COMMIT")` of the protocol, as the driver sends it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// In the one statement that writes a group of audit records and is a transaction by itself.
const RECORDS: &[u8] = b"\"trace_id\":";

/// The proxy; it ends when dropped.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    holding: Arc<Holding>,
    task: JoinHandle<()>,
}

/// What is done to COMMITs at the moment.
#[derive(Default)]
struct Holding {
    /// Milliseconds; 0: nothing.
    ms: AtomicU64,
    /// How many were held up so far, groups of audit records not counted.
    held: AtomicUsize,
}

impl Wire {
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let holding = Arc::new(Holding::default());
        let shared = Arc::clone(&holding);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A server that is away: the client sees its connection closed.
                if let Ok(server) = TcpStream::connect(server).await {
                    join(client, server, &shared);
                }
            }
        });
        Self { address, holding, task }
    }

    /// Every COMMIT from now on is held up for so long, and every group of audit records.
    pub(super) fn hold_commits(&self, time: Duration) {
        self.holding.ms.store(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn let_commits_pass(&self) {
        self.holding.ms.store(0, Ordering::SeqCst);
    }

    /// COMMITs held up so far.
    pub(super) fn held(&self) -> usize {
        self.holding.held.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn join(client: TcpStream, server: TcpStream, holding: &Arc<Holding>) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(requests(from_client, to_server, Arc::clone(holding)));
    tokio::spawn(answers(from_server, to_client));
}

/// What was read is delivered, whether its sender still lives or not.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, holding: Arc<Holding>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        let chunk = &buffer[..length];
        let ms = holding.ms.load(Ordering::SeqCst);
        let has = |mark: &[u8]| chunk.windows(mark.len()).any(|part| part == mark);
        let commits = has(COMMIT);
        if ms > 0 && (commits || has(RECORDS)) {
            holding.held.fetch_add(usize::from(commits), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        if to.write_all(chunk).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
    to.shutdown().await.ok();
}

#[tokio::test]
async fn a_commit_lands_later_though_its_sender_is_gone() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = Wire::to(server.local_addr().unwrap()).await;
    wire.hold_commits(Duration::from_millis(50));
    let mut client = TcpStream::connect(wire.address).await.unwrap();
    let (mut arrived, _) = server.accept().await.unwrap();
    client.write_all(b"before").await.unwrap();
    let mut first = [0; 6];
    arrived.read_exact(&mut first).await.unwrap();
    assert_eq!((&first, wire.held()), (b"before", 0), "only a COMMIT is held up");
    client.write_all(COMMIT).await.unwrap();
    drop(client);
    let mut rest = Vec::new();
    arrived.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.as_slice(), wire.held()), (COMMIT, 1));
}
