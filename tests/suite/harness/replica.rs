//! One replica: the real program, with a data directory that outlives it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::record::{Killed, now};
use crate::support::program::Serving;

/// A replica that runs, or does not at the moment.
pub(super) struct Replica {
    pub(super) number: usize,
    pub(super) data_dir: PathBuf,
    /// Its configuration, as variables of the environment.
    pub(super) keys: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    serving: Option<Serving>,
    log: String,
}

impl Replica {
    pub(super) fn new(number: usize, data_dir: PathBuf, keys: Vec<(String, String)>) -> Self {
        Self { number, data_dir, keys, state: Mutex::default() }
    }

    /// Where it answers, while it runs.
    pub(super) fn address(&self) -> Option<String> {
        self.state.lock().unwrap().serving.as_ref().map(|serving| serving.direct.clone())
    }

    /// Starts it; `Err` is what it said when it did not come up.
    pub(super) fn start(&self) -> Result<(), String> {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_jeton")))
    }

    /// Starts it so that it is killed at its `nth` fsync or fdatasync of one thread.
    pub(super) fn start_to_crash(&self, nth: usize) -> Result<(), String> {
        let mut strace = Command::new("strace");
        let inject = format!("inject=fsync,fdatasync:signal=KILL:when={nth}");
        // `-D`: the child that is ours is the program itself.
        strace.args(["-D", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject]);
        strace.arg(env!("CARGO_BIN_EXE_jeton"));
        self.start_as(strace)
    }

    fn start_as(&self, mut command: Command) -> Result<(), String> {
        command.env_clear().current_dir("/").stdin(std::process::Stdio::null());
        command.arg("serve").arg("--data-dir").arg(&self.data_dir).args(["--listen", "127.0.0.1:0"]);
        command.envs(self.keys.iter().map(|(key, value)| (key, value))).env("JETON_LOG", "info");
        match Serving::of_one_that_may_fail(command) {
            Ok(serving) => {
                self.state.lock().unwrap().serving = Some(serving);
                Ok(())
            }
            Err(log) => {
                self.state.lock().unwrap().log.push_str(&log);
                Err(log)
            }
        }
    }

    /// kill -9.
    pub(super) fn kill(&self) -> Killed {
        let serving = self.state.lock().unwrap().serving.take();
        let from = now();
        let log = serving.map(Serving::kill);
        let killed = Killed { from, to: now() };
        self.state.lock().unwrap().log.push_str(&log.unwrap_or_default());
        killed
    }

    /// Waits until it has ended by itself; `None` where it did not.
    pub(super) fn await_end(&self, patience: Duration) -> Option<Killed> {
        let begun = Instant::now();
        let mut from = now();
        while begun.elapsed() < patience {
            let ended = self.state.lock().unwrap().serving.as_mut().is_none_or(Serving::has_ended);
            if ended {
                return Some(Killed { from, ..self.kill() });
            }
            from = now();
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// SIGTERM; `Err` where it did not end well.
    pub(super) fn terminate(&self) -> Result<(), String> {
        let serving = self.state.lock().unwrap().serving.take();
        let Some(serving) = serving else { return Err("it did not run".to_owned()) };
        let (code, log) = serving.terminate();
        let tail = log.lines().rev().take(3).collect::<Vec<_>>().join("; ");
        self.state.lock().unwrap().log.push_str(&log);
        if code == Some(0) { Ok(()) } else { Err(format!("it ended with {code:?}: {tail}")) }
    }

    /// What it logged in all its lives; ends it.
    pub(super) fn into_log(self) -> String {
        self.kill();
        self.state.into_inner().unwrap().log
    }
}
