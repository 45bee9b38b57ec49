//! An example, started as `examples/README.md` says: its sample of an environment is copied and filled in, then its line runs.

use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::program::built;

pub(crate) const README: &str = include_str!("../../../examples/README.md");

/// The line that copies the sample of an example, and the one that starts it.
pub(crate) fn lines(example: &str) -> [&'static str; 2] {
    let starts = |line: &str| {
        let command = line.strip_prefix("(set -a; . ./.env; exec ");
        command.and_then(|command| command.split([' ', ')']).find(|word| word.contains(example))).is_some()
    };
    let mut blocks = README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found =
        blocks.find_map(|block| Some([block.lines().next()?, block.lines().find(|line| starts(line))?]));
    found.unwrap_or_else(|| panic!("the README does not say how {example} is started"))
}

/// A checkout with nothing in it but the examples, and what was filled in.
pub(crate) struct Checkout {
    folder: TempDir,
    line: String,
    environment: Vec<(&'static str, String)>,
}

impl Checkout {
    pub(crate) fn of(example: &str, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        symlink(root.join("examples"), folder.path().join("examples")).unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let [copy, line] = lines(example);
        let own = Self { folder, line: line.to_owned(), environment: Vec::new() };
        assert!(own.command(copy).status().unwrap().success(), "{copy}");
        own.fill_in(changes);
        let sample = own.sample();
        let copy = copy.split_once("  #").unwrap().0.trim_end();
        assert!(sample.starts_with(&format!("# {copy}, fill it in")), "its head says otherwise: {sample}");
        assert!(sample.contains(&format!("#   {line}\n")), "its head says otherwise: {sample}");
        if line.contains("exec cargo ") {
            // What cargo does once the example is built.
            let run = format!("test \"$1 $2 $3\" = 'run --example {example}' || exit 101; shift 3");
            let built = built(example);
            own.program("cargo", &format!("{run}\ntest \"$1\" != -- || shift\nexec {built:?} \"$@\""));
        }
        own
    }

    /// What was not set by default, or to another value.
    fn fill_in(&self, changes: &[(&str, &str)]) {
        let mut sample = self.sample();
        for (name, value) in changes {
            let is_its = |line: &&str| line.trim_start_matches('#').starts_with(&format!("{name}="));
            let line = sample.lines().find(is_its).unwrap_or_else(|| panic!("it says nothing of {name}"));
            sample = sample.replace(&format!("\n{line}\n"), &format!("\n{name}={value:?}\n"));
        }
        std::fs::write(self.folder.path().join(".env"), sample).unwrap();
    }

    fn sample(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(".env")).unwrap()
    }

    /// A program of this name is this script.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.folder.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub(crate) fn environment(&mut self, name: &'static str, value: &Path) {
        self.environment.push((name, value.display().to_string()));
    }

    /// The documented port may be taken on this machine.
    pub(crate) fn takes_any_port(&mut self) {
        assert!(self.line.contains(" --port 8000 "), "{}", self.line);
        self.line = self.line.replace(" --port 8000 ", " --port 0 ");
    }

    fn command(&self, line: &str) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
        let own = self.folder.path().join("bin");
        let mut command = Command::new("bash");
        command.args(["-euc", line]).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", own.display(), built.display());
        // The shell and what it starts are ended together.
        command.env("PATH", path).process_group(0);
        command
    }

    pub(crate) fn start(self) -> Example {
        let mut command = self.command(&self.line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Example { child, said, log: Some(log), folder: self.folder }
    }
}

/// An example that runs, ended when the test ends.
pub(crate) struct Example {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    log: Option<JoinHandle<String>>,
    folder: TempDir,
}

impl Example {
    pub(crate) fn start(example: &str, changes: &[(&str, &str)]) -> Self {
        Checkout::of(example, changes).start()
    }

    /// The next line of its standard output.
    pub(crate) async fn line(&mut self) -> String {
        block_in_place(|| self.said.next()).unwrap_or_else(|| panic!("{}", self.rest())).unwrap()
    }

    /// The address in its next line.
    pub(crate) async fn address(&mut self) -> String {
        self.line().await.rsplit(' ').next().unwrap().trim_end_matches('/').to_owned()
    }

    /// Its exit code, the rest of what it said, and what it logged.
    pub(crate) async fn end(&mut self) -> (Option<i32>, String, String) {
        block_in_place(|| {
            let said = self.said.by_ref().map(|line| line.unwrap() + "\n").collect();
            (self.child.wait().unwrap().code(), said, self.rest())
        })
    }

    /// What it wrote into this file.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn rest(&mut self) -> String {
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
            self.child.wait().ok();
        }
    }
}
