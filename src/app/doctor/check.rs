//! What is told of one thing that was looked at?

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// It does not work.
    Failure,
    /// It could not be looked at, or was not to be.
    Skipped,
}

impl Verdict {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// What helps against a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Somebody has to change something.
    Configure,
    /// It may pass.
    Wait,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub check: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub says: String,
    /// What to do; null where nothing is to be done.
    pub advice: Option<String>,
    /// Whether a failure waits for somebody or may pass; null for everything else.
    pub remedy: Option<Remedy>,
}

impl Check {
    pub(super) fn ok(check: &str, says: impl Into<String>) -> Self {
        Self::of(check, Verdict::Ok, says.into(), None, None)
    }

    pub(super) fn skipped(check: &str, why: impl Into<String>) -> Self {
        Self::of(check, Verdict::Skipped, why.into(), None, None)
    }

    pub(super) fn warning(check: &str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(check, Verdict::Warning, says.into(), Some(advice.into()), None)
    }

    pub(super) fn failure(
        check: &str,
        remedy: Remedy,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(check, Verdict::Failure, says.into(), Some(advice.into()), Some(remedy))
    }

    fn of(
        check: &str,
        verdict: Verdict,
        says: String,
        advice: Option<String>,
        remedy: Option<Remedy>,
    ) -> Self {
        Self { check: check.to_owned(), verdict, says, advice, remedy }
    }
}

/// An error with its causes, in one sentence.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut says = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !says.ends_with(&text) {
            says.push_str(&format!(": {text}"));
        }
        cause = error.source();
    }
    says
}
