//! A server that others wrote, as a process of its own on free ports, ended when the test ends.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to listen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Waits until it listens; what it says goes to `log`.
    pub(super) fn start(mut command: Command, log: &Path, port: u16) -> Self {
        let file = std::fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let mut server = Self { child: command.spawn().unwrap() };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                panic!("it does not listen ({ended:?}):\n{}", std::fs::read_to_string(log).unwrap());
            }
            std::thread::yield_now();
        }
        server
    }
}

impl Drop for Server {
    /// Asked, not killed: Apache gives its semaphores back.
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        self.child.wait().ok();
    }
}

pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
