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
        let folder = packages()?;
        let mut child = Command::new("node")
            .arg("oidc-provider.mjs")
            .arg(redirect_uri)
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

/// The folder with its packages in place; `scripts/test` installs them, a single test does it by itself.
fn packages() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    for program in ["node", "npm"] {
        if !is_here(program) {
            return skipped(&format!("tests against oidc-provider: no {program} here"));
        }
    }
    if !folder.join("node_modules/oidc-provider/package.json").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
        if !npm.current_dir(&folder).status().is_ok_and(|status| status.success()) {
            return skipped("tests against oidc-provider: npm could not install it");
        }
    }
    Some(folder)
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
