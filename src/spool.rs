//! The spool: where does what the database cannot take wait, on this process's own disk?
//!
//! A directory of files of sealed frames. It promises that a frame is on the disk (fsync) when a write returns, that a
//! file which another process still writes is left alone, and that a damaged file is set aside, never deleted. What
//! is in the frames is the business of whoever writes them: `keeper` (provider answers), `audit` (records).

mod entry;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::entry::split;

pub use self::entry::{Content, Entry, Kind};

/// What all files together may hold.
const LIMIT: u64 = 1 << 30;
/// One part in so many of it is kept for answers: records of hand-outs come by the thousand, and an answer lost is a grant lost.
const FOR_ANSWERS: u64 = 16;
/// How long a write that went well stands for the next check.
const CHECKED_FOR: Duration = Duration::from_secs(1);
/// Of a file that is being made.
const NEW: &str = "new";
/// Of a file that could not be read.
const BAD: &str = "bad";

/// Why the spool did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full, read only, or the directory is gone.
    #[error("cannot use {}", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// As much waits as may.
    #[error("the spool is full ({LIMIT} bytes)")]
    Full,
    /// The task that did the work is gone.
    #[error("the work on the spool was given up")]
    GivenUp,
}

/// A file that frames are still added to; nobody else reads it.
#[derive(Debug)]
pub struct Segment {
    entry: Entry,
    file: File,
    length: u64,
}

impl Segment {
    /// Its name.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// Its size in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// The directory. Its methods block: call them through [`Spool::work`].
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    limit: u64,
    used: AtomicU64,
    /// The directory's own name is on the disk.
    lasts: AtomicBool,
    /// When the disk last took a write of [`Spool::check`].
    checked: Mutex<Option<Instant>>,
}

impl Spool {
    /// The spool in a directory, which is made when it is first needed.
    pub fn new(dir: PathBuf) -> Self {
        Self::with_limit(dir, LIMIT)
    }

    /// The same, holding at most `limit` bytes.
    pub fn with_limit(dir: PathBuf, limit: u64) -> Self {
        let used = AtomicU64::new(bytes_in(&dir));
        Self { dir, limit, used, lasts: AtomicBool::new(false), checked: Mutex::default() }
    }

    /// Does blocking work on the spool beside the callers' threads.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let spool = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&spool)).await.unwrap_or(Err(Error::GivenUp))
    }

    /// Writes a file of one frame.
    pub fn put(&self, entry: Entry, frame: &[u8]) -> Result<(), Error> {
        self.begin(entry, frame).map(drop)
    }

    /// Begins a file with its first frame; more can be added.
    pub fn begin(&self, entry: Entry, frame: &[u8]) -> Result<Segment, Error> {
        let mut made = self.make(entry)?;
        let begun = self.append(&mut made, frame).and_then(|()| self.publish(entry));
        match begun {
            Ok(()) => Ok(made),
            Err(error) => {
                self.discard(entry);
                Err(error)
            }
        }
    }

    /// Adds a frame. After an error the segment holds what it held before, or ends torn: begin another one.
    pub fn append(&self, segment: &mut Segment, frame: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(frame.len()).map_err(|_| Error::Full)?;
        let bytes = [&length.to_be_bytes()[..], frame].concat();
        let size = u64::from(length) + 4;
        if self.used.fetch_add(size, Ordering::SeqCst) + size > self.limit_of(segment.entry.kind) {
            self.used.fetch_sub(size, Ordering::SeqCst);
            return Err(Error::Full);
        }
        let written = segment.file.write_all(&bytes).and_then(|()| segment.file.sync_data());
        if let Err(source) = written {
            self.used.fetch_sub(size, Ordering::SeqCst);
            // A torn end is seen by the reader.
            segment.file.set_len(segment.length).ok();
            return Err(Error::File { path: self.path(segment.entry, entry::READY), source });
        }
        segment.length += size;
        Ok(())
    }

    /// The files of a kind, oldest first.
    pub fn entries(&self, kind: Kind) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = self
            .names()?
            .iter()
            .filter_map(|name| Entry::parse(name))
            .filter(|entry| entry.kind == kind)
            .collect();
        entries.sort();
        Ok(entries)
    }

    /// What a file holds; `None` where it is gone, or somebody still writes it.
    pub fn read(&self, entry: Entry) -> Result<Option<Content>, Error> {
        let path = self.path(entry, entry::READY);
        let wrong = |source| Error::File { path: path.clone(), source };
        let opened = std::fs::symlink_metadata(&path).and_then(|found| match found.is_file() {
            true => File::open(&path),
            // Opening a pipe would wait for whoever writes to it.
            false => Err(std::io::Error::new(ErrorKind::InvalidData, "it is no regular file")),
        });
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error)),
        };
        if file.try_lock_shared().is_err() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(wrong)?;
        Ok(Some(split(&bytes)))
    }

    /// Removes a file whose frames have a known outcome.
    pub fn remove(&self, entry: Entry) -> Result<(), Error> {
        let path = self.path(entry, entry::READY);
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        match std::fs::remove_file(&path) {
            Ok(()) => {
                self.free(size);
                self.sync_dir()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Keeps a file that cannot be read for a person to look at; it is not read again.
    pub fn set_aside(&self, entry: Entry) -> Result<PathBuf, Error> {
        let (path, aside) = (self.path(entry, entry::READY), self.path(entry, BAD));
        std::fs::rename(&path, &aside).map_err(|source| Error::File { path, source })?;
        self.sync_dir()?;
        Ok(aside)
    }

    /// How many files were set aside.
    pub fn count_set_aside(&self) -> Result<usize, Error> {
        let suffix = format!(".{BAD}");
        Ok(self.names()?.iter().filter(|name| name.ends_with(&suffix)).count())
    }

    /// Whether records and answers could be written now. Anybody may ask, so the disk is tried once a second at most.
    pub fn check(&self) -> Result<(), Error> {
        const FRAME: u64 = 4096;
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.used.load(Ordering::SeqCst) + FRAME > self.limit_of(Kind::Audit) {
            return Err(Error::Full);
        }
        if checked.is_some_and(|at| at.elapsed() < CHECKED_FOR) {
            return Ok(());
        }
        self.try_disk()?;
        *checked = Some(Instant::now());
        Ok(())
    }

    fn try_disk(&self) -> Result<(), Error> {
        self.make_dir()?;
        let path = self.dir.join(format!("check.{NEW}"));
        // Whatever a crash, or somebody else, left under that name is not written to.
        std::fs::remove_file(&path).ok();
        let write = || {
            let mut file = open_new(&path)?;
            file.write_all(&[0; 4096])?;
            file.sync_data()
        };
        let written = write();
        std::fs::remove_file(&path).ok();
        written.map_err(|source| Error::File { path, source })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn limit_of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Answer => self.limit,
            Kind::Audit => self.limit - self.limit / FOR_ANSWERS,
        }
    }

    fn make(&self, entry: Entry) -> Result<Segment, Error> {
        self.make_dir()?;
        let path = self.path(entry, NEW);
        let locked = open_new(&path).and_then(|file| match file.try_lock() {
            Ok(()) => Ok(file),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        });
        let file = locked.map_err(|source| Error::File { path, source })?;
        Ok(Segment { entry, file, length: 0 })
    }

    fn publish(&self, entry: Entry) -> Result<(), Error> {
        let path = self.path(entry, NEW);
        std::fs::rename(&path, self.path(entry, entry::READY))
            .map_err(|source| Error::File { path, source })?;
        self.sync_dir()
    }

    fn discard(&self, entry: Entry) {
        let path = self.path(entry, NEW);
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        if std::fs::remove_file(path).is_ok() {
            self.free(size);
        }
    }

    fn free(&self, size: u64) {
        let freed = |used: u64| Some(used.saturating_sub(size));
        // Always `Some`.
        let _ = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, freed);
    }

    fn make_dir(&self) -> Result<(), Error> {
        let wrong = |source| Error::File { path: self.dir.clone(), source };
        if self.lasts.load(Ordering::SeqCst) && self.dir.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(wrong)?;
        // Files in it are lasting only when its own name is; another process may have made it and not come so far.
        let parent = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(wrong)?;
        self.lasts.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// A new name is lasting only when its directory is written too.
    fn sync_dir(&self) -> Result<(), Error> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| Error::File { path: self.dir.clone(), source })
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let wrong = |source| Error::File { path: self.dir.clone(), source };
        let listed = match std::fs::read_dir(&self.dir) {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        listed.map(name).collect::<std::io::Result<_>>().map_err(wrong)
    }

    fn path(&self, entry: Entry, suffix: &str) -> PathBuf {
        self.dir.join(format!("{}-{}.{suffix}", entry.kind.as_str(), entry.id))
    }
}

fn open_new(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).mode(0o600).create_new(true).open(path)
}

fn bytes_in(dir: &Path) -> u64 {
    let listed = std::fs::read_dir(dir).into_iter().flatten().flatten();
    listed.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests;
