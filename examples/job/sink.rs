//! Where do a job's records go: JSON lines on standard output, or a file that appears whole or not at all?

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

/// The open output, counting what it took.
pub(crate) struct Sink {
    target: Target,
    records: u64,
    shows_progress: bool,
}

enum Target {
    Stdout(BufWriter<io::Stdout>),
    File { unfinished: BufWriter<NamedTempFile>, path: PathBuf },
}

impl Sink {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let target = match path {
            None => Target::Stdout(BufWriter::new(io::stdout())),
            // In the same folder: a rename is atomic within one file system only.
            Some(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let unfinished = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
                Target::File { unfinished: BufWriter::new(unfinished), path: path.to_owned() }
            }
        };
        Ok(Self { target, records: 0, shows_progress: io::stderr().is_terminal() })
    }

    pub(crate) fn write(&mut self, record: &Value) -> io::Result<()> {
        self.records += 1;
        match &mut self.target {
            Target::Stdout(out) => writeln!(out, "{record}"),
            Target::File { unfinished, .. } => writeln!(unfinished, "{record}"),
        }
    }

    /// Tells a person how far the job is.
    pub(crate) fn progress(&self, place: &str) {
        if self.shows_progress {
            write!(io::stderr(), "\r\x1b[K{} records, {place}", self.records).ok();
        }
    }

    /// Makes the file appear, and says so; records on standard output are a result by themselves.
    pub(crate) fn finish(self) -> io::Result<()> {
        if self.shows_progress {
            writeln!(io::stderr(), "\r\x1b[K{} records", self.records).ok();
        }
        match self.target {
            Target::Stdout(mut out) => out.flush(),
            Target::File { unfinished, path } => {
                let file = unfinished.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.as_file().sync_all()?;
                file.persist(&path).map_err(|error| error.error)?;
                writeln!(io::stdout(), "{} records written to {}", self.records, path.display()).ok();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        let mut dropped = Sink::open(Some(&path)).unwrap();
        dropped.write(&Value::from(1)).unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write(&serde_json::json!({"id": 1})).unwrap();
        assert!(!path.exists());
        sink.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":1}\n");
    }
}
