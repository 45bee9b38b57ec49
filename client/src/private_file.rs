//! How is a file kept that only this account may read?

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Why a private file is not used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Others may read it, or put another one in its place.
    Exposed,
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes the folder, or makes sure that nobody else can put files there.
pub(crate) fn folder(path: &Path) -> Result<(), Fault> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if std::fs::metadata(path)?.mode() & 0o022 == 0 { Ok(()) } else { Err(Fault::Exposed) }
}

/// The file, if it is there; the mode is that of the very file that is read.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(Fault::Exposed);
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Puts the file in place as a whole, for good once it returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Takes it away, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
