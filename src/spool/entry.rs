//! What is a file of the spool called, and what is in it?

use uuid::Uuid;

/// Of a file that is there for the reader.
pub(super) const READY: &str = "spool";

/// What a file's frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A provider's answer: a token set.
    Answer,
    /// Audit records.
    Audit,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Audit => "audit",
        }
    }
}

/// A file of the spool, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What is in it.
    pub kind: Kind,
    /// Which of them.
    pub id: Uuid,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}.{READY}", self.kind.as_str(), self.id)
    }
}

impl Entry {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, id) = name.strip_suffix(READY)?.strip_suffix('.')?.split_once('-')?;
        let kind = [Kind::Answer, Kind::Audit].into_iter().find(|known| known.as_str() == kind)?;
        Some(Self { kind, id: Uuid::parse_str(id).ok()? })
    }
}

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The whole frames, in the order they were written.
    pub frames: Vec<Vec<u8>>,
    /// The file ends in the middle of a frame.
    pub torn: bool,
}

/// Frames, each after its length in four bytes.
pub(super) fn split(mut bytes: &[u8]) -> Content {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(frame.to_vec());
        bytes = rest;
    }
    Content { frames, torn: !bytes.is_empty() }
}
