//! Which PostgreSQL may a test break? One of its own, with fsync on, thrown away at the end.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::peer::skipped;

/// A server with the database `jeton`, owned by the role `jeton`, which is no superuser: limits bind it.
pub(crate) struct Cluster {
    bin: PathBuf,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl Cluster {
    /// `Err` says why none can be had here.
    pub(crate) async fn start() -> Result<Self, String> {
        let bin = bin().ok_or("no PostgreSQL is installed here")?;
        let dir = tempfile::tempdir().unwrap();
        // Whoever runs the server must get to its folder, and nobody else may own it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        if is_root()
            && !Command::new("chown")
                .arg("postgres")
                .arg(dir.path().join("data"))
                .status()
                .is_ok_and(|status| status.success())
        {
            return Err("root must not run PostgreSQL, and there is no user `postgres`".to_owned());
        }
        let cluster = Self { bin, dir, address: own_address() };
        let made = cluster.run(
            "initdb",
            &["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        );
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        cluster.begin();
        let admin = cluster.admin().await;
        admin.execute_unprepared("CREATE ROLE jeton LOGIN").await.unwrap();
        admin.execute_unprepared("CREATE DATABASE jeton OWNER jeton").await.unwrap();
        Ok(cluster)
    }

    /// `None` where a test that wants one is to be skipped.
    pub(crate) async fn start_or_skip() -> Option<Self> {
        match Self::start().await {
            Ok(cluster) => Some(cluster),
            Err(why) => skipped(&format!("a PostgreSQL that a test may break: {why}")),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database, as a replica finds it behind this address.
    pub(crate) fn url_at(address: SocketAddr) -> String {
        format!("postgres://jeton@{address}/jeton")
    }

    /// Starts it again.
    pub(crate) fn begin(&self) {
        let options = format!(
            "-p {} -c listen_addresses={} -c unix_socket_directories= -c max_connections=120",
            self.address.port(),
            self.address.ip()
        );
        let log = self.dir.path().join("data/log");
        let started = self.run("pg_ctl", &["-w", "-l", log.to_str().unwrap(), "-o", &options, "start"]);
        assert!(
            started.status.success(),
            "PostgreSQL does not start: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }

    /// Ends it as a crash does.
    pub(crate) fn stop_at_once(&self) {
        self.run("pg_ctl", &["-m", "immediate", "-w", "stop"]);
    }

    pub(crate) async fn set_read_only(&self, read_only: bool) {
        let admin = self.admin().await;
        let value = if read_only { "on" } else { "off" };
        admin
            .execute_unprepared(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"))
            .await
            .unwrap();
        admin.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
    }

    /// Something that follows it as a standby does, and tells what it has on its disk; until it is dropped.
    pub(crate) fn follow(&self) -> Follower {
        let kept = tempfile::tempdir().unwrap();
        let mut command = Command::new(self.bin.join("pg_receivewal"));
        command.args(["--no-loop", "--synchronous", "-U", "postgres", "-D"]).arg(kept.path());
        command.args(["-h", &self.address.ip().to_string(), "-p", &self.address.port().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Follower { child: child.unwrap(), _kept: kept }
    }

    /// Whether a commit waits for whoever follows.
    pub(crate) async fn set_synchronous(&self, names: &str) {
        let admin = self.admin().await;
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        admin.execute_unprepared(&set).await.unwrap();
        admin.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
    }

    /// Nobody but a superuser gets a connection, and those there were are gone.
    pub(crate) async fn take_all_connections(&self) {
        let admin = self.admin().await;
        admin.execute_unprepared("ALTER DATABASE jeton CONNECTION LIMIT 0").await.unwrap();
        admin
            .execute_unprepared(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'jeton'",
            )
            .await
            .unwrap();
    }

    pub(crate) async fn give_connections_back(&self) {
        self.admin().await.execute_unprepared("ALTER DATABASE jeton CONNECTION LIMIT -1").await.unwrap();
    }

    async fn admin(&self) -> DatabaseConnection {
        let url = format!("postgres://postgres@{}/postgres", self.address);
        sea_orm::Database::connect(url).await.unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.bin.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(program);
        }
        command.arg("-D").arg(self.dir.path().join("data")).args(arguments);
        // The server inherits what is open: a pipe would be waited for until it ends.
        let errors = std::fs::File::create(self.dir.path().join("errors")).unwrap();
        let status = command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .status()
            .unwrap();
        Output { status, stdout: Vec::new(), stderr: std::fs::read(self.dir.path().join("errors")).unwrap() }
    }
}

/// A standby, as far as a primary can tell.
pub(crate) struct Follower {
    child: Child,
    _kept: tempfile::TempDir,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_at_once();
    }
}

/// A loopback address that no other process uses, by the process id: while the server is down nobody else takes its
/// port, neither to listen nor to call from.
pub(crate) fn own_address() -> SocketAddr {
    static SERVERS: AtomicU16 = AtomicU16::new(0);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 128 | high, middle, low);
    (own, 5432 + SERVERS.fetch_add(1, Ordering::Relaxed)).into()
}

/// Where the newest server's programs are.
fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut versions: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    versions.sort();
    versions.into_iter().rev().find(|bin| bin.join("initdb").exists())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program runs and ends well.
pub(crate) fn succeeds(program: &str, arguments: &[&str], on: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).arg(on).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
