//! Are the files where they belong, private, and is there room for more?

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::check::{Check, Remedy};
use crate::config::Config;

const MIB: u64 = 1 << 20;
/// Less is a warning, and much less a failure: a broker that cannot write hands nothing out.
const ROOM: u64 = 1024 * MIB;
const NO_ROOM: u64 = 100 * MIB;

pub(super) fn look(config: &Config, found: &mut Vec<Check>) {
    let dir = &config.data_dir;
    let Ok(about) = std::fs::metadata(dir) else {
        let says = format!("{} does not exist or cannot be reached", dir.display());
        let advice =
            "Correct `data_dir` (or --data-dir), mount the volume, or make a new instance with `jeton init`";
        found.push(Check::failure("data directory", Remedy::Configure, says, advice));
        found.push(Check::skipped("spool", "it is in the data directory"));
        return;
    };
    found.push(directory(dir, &about));
    found.push(modes(config));
    found.push(spool(dir));
    found.push(room(dir));
}

fn directory(dir: &Path, about: &std::fs::Metadata) -> Check {
    const NAME: &str = "data directory";
    let (shown, me) = (dir.display(), rustix::process::geteuid().as_raw());
    if !about.is_dir() {
        let says = format!("{shown} is no directory");
        return Check::failure(NAME, Remedy::Configure, says, "Correct `data_dir`");
    }
    if about.uid() != me {
        let says = format!("{shown} belongs to user {}, and this command runs as user {me}", about.uid());
        return Check::warning(
            NAME,
            says,
            "Run it again as the user of the service: only that one's rights count",
        );
    }
    match readable_by_others(about) {
        Some(mode) => {
            let says = format!("{shown} is open to other users (mode {mode})");
            Check::warning(NAME, says, format!("Run: chmod 700 {shown}"))
        }
        None => Check::ok(NAME, format!("{shown} is there and private")),
    }
}

fn readable_by_others(about: &std::fs::Metadata) -> Option<String> {
    let mode = about.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| format!("{mode:04o}"))
}

/// Of the SQLite files; the keyring's is looked at where it is read.
fn modes(config: &Config) -> Check {
    const NAME: &str = "file modes";
    let Some(file) = config.sqlite_file() else { return Check::ok(NAME, "the database has no files here") };
    let beside = ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", file.display()));
    let open = beside.iter().find_map(|path| {
        let mode = readable_by_others(&std::fs::metadata(path).ok()?)?;
        Some((path, mode))
    });
    match open {
        Some((path, mode)) => Check::warning(
            NAME,
            format!("{path} is open to other users (mode {mode})"),
            format!("Run: chmod 600 {path}"),
        ),
        None => Check::ok(NAME, "the database's files are private"),
    }
}

/// Where answers of providers and audit records wait while the database is away.
fn spool(data_dir: &Path) -> Check {
    const NAME: &str = "spool";
    let dir = data_dir.join("spool");
    let (place, names) = match std::fs::read_dir(&dir) {
        Ok(files) => (dir.as_path(), files.flatten().map(|file| file.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (data_dir, Vec::new()),
        Err(error) => {
            let says = format!("{} cannot be read: {error}", dir.display());
            let advice = "Give it to the user of the service, mode 0700";
            return Check::failure(NAME, Remedy::Configure, says, advice);
        }
    };
    // A file without a name: nothing is left behind.
    if let Err(error) = tempfile::tempfile_in(place) {
        let says = format!("{} cannot be written: {error}", place.display());
        let advice = "Make it writable to the user of the service: it keeps provider answers while the database is away";
        return Check::failure(NAME, Remedy::Configure, says, advice);
    }
    let count =
        |ending: &str| names.iter().filter(|path| path.extension().is_some_and(|one| one == ending)).count();
    match (count("bad"), count("spool")) {
        (0, 0) => Check::ok(NAME, "it can be written, and nothing waits in it"),
        (0, waiting) => Check::warning(
            NAME,
            format!("{waiting} files wait in {} to be stored", dir.display()),
            "Let the server reach its database, it stores them then; delete nothing, it may be the only copy of a token",
        ),
        (bad, _) => Check::warning(
            NAME,
            format!("{bad} damaged files were set aside in {}", dir.display()),
            "Keep them: the log says whose they were; connections that lost a token with them tell it as `lost_rotation`",
        ),
    }
}

fn room(dir: &Path) -> Check {
    const NAME: &str = "free disk";
    let free = match rustix::fs::statvfs(dir) {
        Ok(about) => about.f_bavail.saturating_mul(about.f_frsize),
        Err(error) => return Check::warning(NAME, format!("it cannot be told: {error}"), "Look with df"),
    };
    let says = format!("{} MiB are free under {}", free / MIB, dir.display());
    let advice = "Make room: a broker that cannot write its audit trail hands out no token";
    match free {
        ..NO_ROOM => Check::failure(NAME, Remedy::Configure, says, advice),
        NO_ROOM..ROOM => Check::warning(NAME, says, advice),
        ROOM.. => Check::ok(NAME, says),
    }
}
