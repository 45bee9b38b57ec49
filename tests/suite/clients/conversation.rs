//! A program of `tests/peers` that is talked with: one JSON object a line, each way.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// No step takes longer, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ended when the test ends.
pub(super) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    said: UnboundedReceiver<String>,
}

impl Peer {
    /// Starts it, and tells it what it needs.
    pub(super) fn start(program: &mut Command, settings: &Value) -> Self {
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (say, said) = unbounded_channel();
        std::thread::spawn(move || lines.map(|line| say.send(line)).take_while(Result::is_ok).count());
        let mut peer = Self { stdin: child.stdin.take(), child, said };
        peer.tell(settings);
        peer
    }

    pub(super) fn tell(&mut self, what: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    /// Its next step, which must be this one.
    pub(super) async fn step(&mut self, name: &str) -> Value {
        let line = self.next().await.unwrap_or_else(|| panic!("it ended before the step `{name}`"));
        let outcome: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert_eq!(outcome["step"], name, "{line}");
        outcome
    }

    /// It has nothing more to say, and is content.
    pub(super) async fn end(mut self) {
        drop(self.stdin.take());
        assert_eq!(self.next().await, None);
        assert!(self.child.wait().unwrap().success());
    }

    async fn next(&mut self) -> Option<String> {
        tokio::time::timeout(PATIENCE, self.said.recv()).await.expect("it says nothing")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
