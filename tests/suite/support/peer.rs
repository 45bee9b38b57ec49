//! A third-party program of `tests/peers`, ended when the test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An OpenID provider that others wrote and certified.
pub(crate) struct OidcProvider {
    /// Its issuer, without a final slash.
    pub(crate) url: String,
    child: Child,
}

impl OidcProvider {
    /// Starts it with this redirect URI for its client `jeton`; `None`, with the reason printed, where no Node.js is
    /// or its packages cannot be had.
    pub(crate) fn start(redirect_uri: &str) -> Option<Self> {
        Self::start_with(&[redirect_uri])
    }

    /// The same with access tokens that are JWTs for this audience.
    pub(crate) fn start_for(redirect_uri: &str, audience: &str, lifetime_s: u32) -> Option<Self> {
        Self::start_with(&[redirect_uri, &lifetime_s.to_string(), audience])
    }

    fn start_with(arguments: &[&str]) -> Option<Self> {
        let folder = packages()?;
        let mut child = Command::new("node")
            .arg("oidc-provider.mjs")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let port = port.expect("the provider ended before it was ready");
        Some(Self { url: format!("http://localhost:{port}"), child })
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The folder with the packages of npm in place; `scripts/test` installs them, a single test does it by itself.
fn packages() -> Option<PathBuf> {
    for program in ["node", "npm"] {
        if !is_here(program) {
            return skipped(&format!("tests with programs of npm: no {program} here"));
        }
    }
    prepared("npm")
}

/// A script of `tests/peers` for Node.js, ready to be started; `None` as for the provider.
pub(crate) fn script(name: &str) -> Option<Command> {
    let folder = packages()?;
    let mut command = Command::new("node");
    command.arg(name).current_dir(folder);
    Some(command)
}

/// The same in Python, with the packages of PyPI; `-m` and `-c` take what follows.
pub(crate) fn python(name: &str) -> Option<Command> {
    if !is_here("python3") {
        return skipped("tests with packages of PyPI: no python3 here");
    }
    let folder = prepared("python")?;
    let mut command = Command::new(folder.join(".venv/bin/python"));
    command.arg(name).current_dir(folder);
    Some(command)
}

/// `tests/peers`, with the packages of this kind in it.
fn prepared(kind: &str) -> Option<PathBuf> {
    // The tests of the members share the programs of the product's.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.join("tests/peers"), root.join("../tests/peers")];
    let folder = folders.into_iter().find(|folder| folder.join("prepare").exists())?;
    match Command::new(folder.join("prepare")).arg(kind).status() {
        Ok(status) if status.success() => Some(folder),
        _ => skipped(&format!("tests with third-party programs: `tests/peers/prepare {kind}` failed")),
    }
}

/// Whether a program runs here at all.
pub(crate) fn is_here(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Nothing is skipped in silence.
#[expect(clippy::print_stdout, reason = "whoever runs the tests reads it there")]
pub(crate) fn skipped<T>(what: &str) -> Option<T> {
    println!("skipped: {what}");
    None
}
