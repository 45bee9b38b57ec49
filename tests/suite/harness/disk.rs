//! Which disk may the harness fill and lock? A small file system of its own, in a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::support::cluster::{is_root, succeeds};

/// A mounted image of 128 MiB, since the journal alone grows to 32; unmounted when dropped.
pub(super) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts it on `at`; `Err` says why it cannot be had here.
    pub(super) fn mount(image: &Path, at: &Path) -> Result<Self, String> {
        if !is_root() {
            return Err("only root can mount a disk to break".to_owned());
        }
        std::fs::create_dir_all(at).unwrap();
        std::fs::File::create(image).unwrap().set_len(128 << 20).unwrap();
        let loopback = ["-o", "loop", image.to_str().unwrap()];
        if !succeeds("mkfs.ext4", &["-q", "-F"], image) || !succeeds("mount", &loopback, at) {
            return Err("a disk image cannot be mounted here".to_owned());
        }
        Ok(Self { at: at.to_owned() })
    }

    /// Fills it to the last byte.
    pub(super) fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(super) fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// No file can be written or made, those that are open neither.
    pub(super) fn lock(&self) {
        self.change("+i");
    }

    pub(super) fn unlock(&self) {
        self.change("-i");
    }

    fn change(&self, attribute: &str) {
        let mut files: Vec<_> =
            std::fs::read_dir(&self.at).unwrap().map(|file| file.unwrap().path()).collect();
        // The database before its journal: a connection that is opened in between can write one and not the other.
        files.sort();
        for file in files {
            // It is mapped into memory: a write that fails there is a signal, and no disk but a broken one does that.
            if file.extension().is_none_or(|extension| extension != "db-shm") {
                assert!(
                    succeeds("chattr", &["-R", attribute], &file),
                    "chattr {attribute} {}",
                    file.display()
                );
            }
        }
        assert!(succeeds("chattr", &[attribute], &self.at), "chattr {attribute}");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        succeeds("umount", &["-l"], &self.at);
    }
}
