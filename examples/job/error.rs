//! How does a job fail, and with which exit code does it end?

use std::error::Error as _;
use std::io::Write;

/// A failed job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("the broker gave no token")]
    Broker(#[from] jeton_client::Error),
    #[error("the API was not reached")]
    Transport(#[from] reqwest::Error),
    #[error("the API asks to wait ({0}); try again later")]
    Busy(u16),
    #[error("the API answered {0}")]
    Api(u16),
    #[error("the API answered {0} to a token that the broker had just confirmed")]
    Refused(u16),
    #[error("cannot use what the API answered: {0}")]
    Data(&'static str),
    #[error("cannot write the records")]
    Output(#[from] std::io::Error),
}

impl JobError {
    /// 75 try again later, 77 no permission, 78 configuration or consent needed, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Broker(error) => error.exit_code(),
            Self::Transport(_) | Self::Busy(_) => 75,
            Self::Api(403) | Self::Refused(403) => 77,
            Self::Refused(_) => 78,
            Self::Api(_) | Self::Data(_) | Self::Output(_) => 1,
        }
    }

    /// Prints what failed and why, in one line, with the address where consent is given again.
    pub(crate) fn report(&self) {
        let mut line = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            line.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        if let Self::Broker(error) = self
            && let Some(url) = error.problem().and_then(|problem| problem.signup_url.as_deref())
        {
            line.push_str(&format!("; connect the account again: {url}"));
        }
        writeln!(std::io::stderr(), "{line}").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_say_what_to_do() {
        for (error, code) in [
            (JobError::Busy(503), 75),
            (JobError::Refused(401), 78),
            (JobError::Refused(403), 77),
            (JobError::Api(403), 77),
            (JobError::Api(422), 1),
            (JobError::Broker(jeton_client::SettingsError::Missing("JETON_URL").into()), 78),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
