//! A server started for a measurement: on its core, ended when dropped, and what it takes of the memory.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::line::Line;

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start until it answered.
    pub(crate) ready_after: Duration,
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> Fallible<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `taskset -c CORES PROGRAM`: the load generator's own core would be inherited.
pub(crate) fn pinned(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cores).arg(program);
    command
}

impl Process {
    /// Starts a server and waits until `path` answers 200.
    pub(crate) async fn start(
        mut command: Command,
        address: SocketAddr,
        path: &str,
        log: std::fs::File,
    ) -> Fallible<Self> {
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut started = Self { child, address, ready_after: Duration::ZERO };
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        while !started.answers(&request).await {
            if let Some(status) = started.child.try_wait()? {
                return Err(format!("{command:?} ended: {status}").into());
            }
            if began.elapsed() > Duration::from_secs(30) {
                return Err(format!("{command:?} was not ready after 30 s").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        started.ready_after = began.elapsed();
        Ok(started)
    }

    async fn answers(&self, request: &str) -> bool {
        let Ok(mut line) = Line::open(self.address).await else { return false };
        line.ask(request.as_bytes()).await.is_ok_and(|answer| answer.status == 200)
    }

    /// Memory in use, in MB.
    pub(crate) fn memory_mb(&self) -> Fallible<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kb: u32 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(f64::from(kb) / 1_024.0)
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Fallible<()> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() && began.elapsed() < Duration::from_secs(40) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
