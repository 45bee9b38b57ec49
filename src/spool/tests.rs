use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn spool() -> (tempfile::TempDir, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::new(dir.path().join("spool"));
    (dir, spool)
}

fn entry(kind: Kind, n: u128) -> Entry {
    Entry { kind, id: Uuid::from_u128(n) }
}

#[test]
fn what_was_put_reads_back_in_order_and_is_gone_when_removed() {
    let (_dir, spool) = spool();
    assert_eq!(spool.entries(Kind::Answer).unwrap(), [], "no directory yet");
    for n in [2, 1] {
        spool.put(entry(Kind::Answer, n), &[7; 10]).unwrap();
    }
    spool.put(entry(Kind::Audit, 3), b"other").unwrap();
    let all = spool.entries(Kind::Answer).unwrap();
    assert_eq!(all, [entry(Kind::Answer, 1), entry(Kind::Answer, 2)]);
    let read = spool.read(entry(Kind::Answer, 1)).unwrap().unwrap();
    assert_eq!(read, Content { frames: vec![vec![7; 10]], torn: false });
    spool.remove(entry(Kind::Answer, 1)).unwrap();
    assert_eq!(spool.read(entry(Kind::Answer, 1)).unwrap(), None);
    spool.remove(entry(Kind::Answer, 1)).unwrap();
}

#[test]
fn files_and_directory_are_for_the_owner_alone() {
    let (_dir, spool) = spool();
    spool.put(entry(Kind::Answer, 1), b"frame").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.dir()), 0o700);
    assert_eq!(mode(&spool.path(entry(Kind::Answer, 1), super::entry::READY)), 0o600);
}

#[test]
fn a_segment_is_read_when_its_writer_has_let_go_of_it() {
    let (dir, spool) = spool();
    let mut segment = spool.begin(entry(Kind::Audit, 1), b"one").unwrap();
    spool.append(&mut segment, b"").unwrap();
    let other = Spool::new(dir.path().join("spool"));
    assert_eq!(other.read(segment.entry()).unwrap(), None, "still written");
    assert_eq!(segment.length(), 11);
    drop(segment);
    let read = other.read(entry(Kind::Audit, 1)).unwrap().unwrap();
    assert_eq!(read.frames, [b"one".to_vec(), Vec::new()]);
}

#[test]
fn a_torn_file_gives_its_whole_frames_and_is_set_aside_for_good() {
    let (_dir, spool) = spool();
    let one = entry(Kind::Audit, 1);
    let mut segment = spool.begin(one, b"whole").unwrap();
    segment.file.write_all(&[0, 0, 0, 9, 1]).unwrap();
    drop(segment);
    assert_eq!(spool.read(one).unwrap().unwrap(), Content { frames: vec![b"whole".to_vec()], torn: true });
    let aside = spool.set_aside(one).unwrap();
    assert!(aside.exists());
    assert_eq!((spool.entries(Kind::Audit).unwrap(), spool.count_set_aside().unwrap()), (vec![], 1));
}

#[test]
fn the_limit_counts_what_is_there_and_what_was_removed_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::with_limit(dir.path().to_owned(), 100);
    spool.put(entry(Kind::Answer, 1), &[0; 60]).unwrap();
    assert!(matches!(spool.put(entry(Kind::Answer, 2), &[0; 60]), Err(Error::Full)));
    assert_eq!(spool.names().unwrap().len(), 1, "nothing half made");
    let after_a_start = Spool::with_limit(dir.path().to_owned(), 100);
    assert!(matches!(after_a_start.put(entry(Kind::Answer, 2), &[0; 60]), Err(Error::Full)));
    spool.remove(entry(Kind::Answer, 1)).unwrap();
    spool.put(entry(Kind::Answer, 2), &[0; 60]).unwrap();
}

#[test]
fn records_leave_room_for_answers_and_the_check_tells_when_they_have_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::with_limit(dir.path().to_owned(), 160_000);
    spool.check().unwrap();
    assert!(matches!(spool.put(entry(Kind::Audit, 1), &[0; 150_001]), Err(Error::Full)));
    spool.put(entry(Kind::Audit, 1), &[0; 149_000]).unwrap();
    assert!(matches!(spool.check(), Err(Error::Full)), "whatever was found a moment ago");
    assert!(matches!(spool.put(entry(Kind::Audit, 2), &[0; 5_000]), Err(Error::Full)));
    spool.put(entry(Kind::Answer, 3), &[0; 5_000]).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_told_by_the_check() {
    let (dir, spool) = spool();
    spool.check().unwrap();
    assert_eq!(spool.names().unwrap(), Vec::<String>::new(), "the check leaves nothing");
    let file = dir.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    assert!(matches!(Spool::new(file.join("spool")).check(), Err(Error::File { .. })));
}

proptest! {
    #[test]
    fn any_bytes_split_into_frames_that_make_them_up(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let content = split(&bytes);
        let whole: usize = content.frames.iter().map(|frame| frame.len() + 4).sum();
        prop_assert!(whole <= bytes.len());
        prop_assert_eq!(content.torn, whole < bytes.len());
    }

    #[test]
    fn frames_read_back_however_many(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..10)) {
        let (_dir, spool) = spool();
        let mut segment = spool.begin(entry(Kind::Audit, 1), &frames[0]).unwrap();
        for frame in &frames[1..] {
            spool.append(&mut segment, frame).unwrap();
        }
        drop(segment);
        let read = spool.read(entry(Kind::Audit, 1)).unwrap().unwrap();
        prop_assert_eq!(read, Content { frames, torn: false });
    }
}

#[test]
fn a_pipe_is_not_waited_for() {
    let (_dir, spool) = spool();
    spool.put(entry(Kind::Answer, 2), b"frame").unwrap();
    let pipe = spool.path(entry(Kind::Answer, 1), super::entry::READY);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let refused = spool.read(entry(Kind::Answer, 1)).unwrap_err();
    assert!(
        matches!(&refused, Error::File { path, source } if *path == pipe && source.to_string().contains("regular"))
    );
}
