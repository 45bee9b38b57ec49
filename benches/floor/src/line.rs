//! One kept-alive HTTP/1.1 connection, as little work as can be: the load generator must not be what is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fallible;

pub(crate) struct Line {
    stream: TcpStream,
    /// The last answer.
    bytes: Vec<u8>,
}

/// The last answer, borrowed.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and reads its answer, which must tell its length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Fallible<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.bytes.clear();
        let head = loop {
            if let Some(end) = find(&self.bytes, b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let whole = head + length(self.bytes.get(..head).unwrap_or_default())?;
        while self.bytes.len() < whole {
            self.read().await?;
        }
        let (head, body) = self.bytes.split_at(head);
        let head = std::str::from_utf8(head)?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        Ok(Answer { status, head, body })
    }

    async fn read(&mut self) -> Fallible<()> {
        match self.stream.read_buf(&mut self.bytes).await? {
            0 => Err("the server hung up".into()),
            _ => Ok(()),
        }
    }
}

impl Answer<'_> {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Fallible<serde_json::Value> {
        if self.status / 100 != 2 {
            let body = String::from_utf8_lossy(self.body);
            return Err(format!("answered {}: {body}", self.status).into());
        }
        Ok(serde_json::from_slice(self.body)?)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn length(head: &[u8]) -> Fallible<usize> {
    let text = std::str::from_utf8(head)?.to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    Ok(line.map_or(Ok(0), |length| length.trim().parse())?)
}
