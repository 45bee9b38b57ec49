//! The built program, run as a person or service manager runs it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::app::Home;

/// The program with an environment of its own.
pub(crate) fn jeton(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.env_clear().current_dir(home.path()).stdin(Stdio::null());
    command
}

/// An example as a program: with its tests it is another one. Nothing is to do where it is built already.
pub(crate) fn built(example: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--workspace", "--example", example]);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    assert!(build.status().unwrap().success());
    Path::new(env!("CARGO_BIN_EXE_jeton")).with_file_name("examples").join(example)
}

/// Runs a command of the server to its end.
pub(crate) fn run(home: &Home, command: &str, more: &[&str]) -> Output {
    jeton(home).arg(command).args(home.flags()).args(more).output().unwrap()
}

pub(crate) fn exit_code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `jeton serve`, ended when the test ends.
pub(crate) struct Serving {
    pub(crate) url: String,
    /// The listener, for what stands in front of the public URL.
    pub(crate) direct: String,
    child: Child,
    lines: Option<std::thread::JoinHandle<String>>,
}

impl Serving {
    /// Starts it on a free port and waits until it says where it serves.
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    /// The same with more of the configuration, as keys and values of the environment.
    pub(crate) fn start_with(home: &Home, more: &[(&str, &str)]) -> Self {
        let mut command = jeton(home);
        command.arg("serve").args(home.flags()).args(["--listen", "127.0.0.1:0"]).env("JETON_LOG", "trace");
        command.envs(more.iter().copied());
        Self::of(command)
    }

    /// The same of a command that has all it needs.
    pub(crate) fn of(command: Command) -> Self {
        Self::of_one_that_may_fail(command).unwrap_or_else(|log| panic!("it ended before it served:\n{log}"))
    }

    /// The same; `Err` is what it said where it ended before it served.
    pub(crate) fn of_one_that_may_fail(mut command: Command) -> Result<Self, String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut head = String::new();
        let (url, direct) = loop {
            let Some(line) = lines.next() else {
                child.wait().unwrap();
                return Err(head);
            };
            head.push_str(&line);
            head.push('\n');
            if let Some((_, rest)) = line.split_once("serving http") {
                // In a line for machines the sentence ends with a quotation mark.
                let sentence = format!("http{}", rest.split('"').next().unwrap());
                let mut words = sentence.split(' ');
                let url = words.next().unwrap().to_owned();
                break (url, format!("http://{}", words.nth(1).unwrap()));
            }
        };
        let rest = std::thread::spawn(move || lines.fold(head, |all, line| all + &line + "\n"));
        Ok(Self { url, direct, child, lines: Some(rest) })
    }

    /// Asks it to end as a service manager does.
    pub(crate) fn tell_to_end(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// The same; its exit code and all it logged.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.tell_to_end();
        let code = self.child.wait().unwrap().code();
        (code, self.lines.take().unwrap().join().unwrap())
    }
}

impl Serving {
    /// kill -9; all it logged.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.take().unwrap().join().unwrap()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
