//! A tiny HTTP server for tests: answers each connection by a script and keeps what it was sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// What the server does with its next request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Writes these bytes and closes.
    Raw(Vec<u8>),
    /// Reads the request, then closes without a word.
    Hang,
    /// Reads the request, then keeps silent for ever.
    Silence,
}

impl Step {
    /// An answer with headers and a body.
    pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut raw =
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        for (name, value) in headers {
            raw.push_str(&format!("{name}: {value}\r\n"));
        }
        raw.push_str("\r\n");
        Self::Raw([raw.as_bytes(), body].concat())
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::answer(status, &[("Content-Type", "application/json")], body.to_string())
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) line: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    /// As text.
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server; its task ends with it.
pub(crate) struct Scripted {
    /// Where it listens.
    pub(crate) base: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Listens on loopback; requests beyond the script are closed without an answer, and still seen.
    pub(crate) async fn start(script: Vec<Step>) -> Self {
        let mut steps = script.into_iter();
        Self::answering(move |_| steps.next().unwrap_or(Step::Hang)).await
    }

    /// The same, where each request is looked at first.
    pub(crate) async fn answering(mut answer: impl FnMut(&Seen) -> Step + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seen_by_task = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = receive(&mut stream).await else { continue };
                let step = answer(&request);
                seen_by_task.lock().unwrap().push(request);
                match step {
                    Step::Raw(bytes) => {
                        // The client may stop reading on purpose.
                        drop(stream.write_all(&bytes).await);
                        drop(stream.shutdown().await);
                    }
                    Step::Hang => {}
                    Step::Silence => silent.push(stream),
                }
            }
        });
        Self { base, seen, task }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    /// What has arrived.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut chunk).await.ok().filter(|&read| read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        let read = stream.read(&mut chunk).await.ok().filter(|&read| read > 0)?;
        body.extend_from_slice(&chunk[..read]);
    }
    Some(Seen { line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
