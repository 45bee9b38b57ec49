//! How does a command end when it failed: with which line, and which exit code?

use std::error::Error as _;
use std::io;

use jeton_client::{Action, LoginError, Problem, SettingsError};

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker refused or was not reached.
    #[error("{doing}")]
    Broker {
        /// What was attempted, as "cannot do this".
        doing: String,
        /// The client's error.
        source: jeton_client::Error,
    },
    /// The broker knows no client of this id.
    #[error("{doing}")]
    NoClient {
        /// What was attempted, as "cannot do this".
        doing: String,
        /// The client's error.
        source: jeton_client::Error,
    },
    /// The environment does not say which broker, or as whom.
    #[error("this command speaks to a broker")]
    Settings(#[from] SettingsError),
    /// A sign-in cannot be kept, found or ended.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A sign-in is not told where, or as which client.
    #[error("nobody has signed in here yet: give {0}")]
    Unsaid(String),
    /// The address of the broker, as an option or in the environment.
    #[error("--url (or JETON_URL) is not a usable URL: {0}")]
    LoginUrl(&'static str),
    /// What came back to the loopback address is no answer of this broker's.
    #[error("the browser brought no answer of this broker: {0}")]
    NoAnswer(String),
    /// The configuration of the server is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The server does not start, or failed.
    #[error(transparent)]
    Server(#[from] crate::app::Error),
    /// The address is taken, or none of this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answers where the broker should listen.
    #[error("no answer from {address}")]
    NotAsked {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The broker says that it cannot work.
    #[error("the broker is not ready: {0}")]
    NotReady(String),
    /// A file could not be made; one that exists is not overwritten.
    #[error("cannot write {place}")]
    Unwritable {
        /// The file's name.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file or standard input could not be read.
    #[error("cannot read {place}")]
    Input {
        /// The file's name.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was read is not what the command takes. Its content is not quoted: it may hold secrets.
    #[error("{place}: {reason}")]
    Malformed {
        /// The file's name, with a line where that is known.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The token cannot be written in the form asked for.
    #[error("the token holds characters that {0} cannot carry")]
    Unprintable(&'static str),
    /// The result could not be written.
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    /// The program of `exec` did not start.
    #[error("cannot run `{program}`")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The demonstration met what must not be.
    #[error("the demonstration failed: {0}")]
    Demo(String),
    /// `connection list --needs-attention` found some.
    #[error("{0} connection(s) need attention: see the list")]
    NeedAttention(usize),
    /// `client check` found stores that do not hold what was delivered.
    #[error("{0} credential(s) are not as delivered: see the list")]
    Adrift(usize),
    /// `doctor` found what does not work.
    #[error("{failed} check(s) failed: see the list")]
    Ailing {
        /// How many.
        failed: usize,
        /// Whether all of it may pass.
        passing: bool,
    },
    /// Some records of an import were refused.
    #[error(
        "{} of {all} connections were not imported: {refused} refused, {bad} bad line(s); mend those and import the \
         file again",
        refused + bad
    )]
    Incomplete {
        /// How many the broker refused.
        refused: usize,
        /// How many lines were no record.
        bad: usize,
        /// How many there were.
        all: usize,
        /// Exit code of the first refusal, else 1.
        code: u8,
    },
}

impl Error {
    /// Whether whoever read the result has gone (`jeton ... | head`): nothing failed, and nobody is to be told.
    pub fn is_of_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// 1 failure, 75 try again later, 77 no permission, 78 configuration or consent needed. A program that
    /// `exec` could not start gives 127 (absent) or 126, as with other wrappers.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Broker { source, .. } | Self::NoClient { source, .. } => source.exit_code(),
            Self::Login(LoginError::Busy(_)) => 75,
            Self::Settings(_)
            | Self::Unsaid(_)
            | Self::LoginUrl(_)
            | Self::NeedAttention(_)
            | Self::Adrift(_)
            | Self::Config(_)
            | Self::Login(_) => 78,
            Self::Ailing { passing, .. } => {
                if *passing {
                    75
                } else {
                    78
                }
            }
            Self::Server(error) if error.is_configuration() => 78,
            Self::Server(error) if error.is_passing() => 75,
            Self::NotAsked { .. } | Self::NotReady(_) => 75,
            Self::Server(_) | Self::Listen { .. } | Self::Unwritable { .. } | Self::Demo(_) => 1,
            Self::NotStarted { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::NotStarted { .. } => 126,
            Self::Incomplete { code, .. } => *code,
            // As a shell tells of a program that the signal SIGPIPE (13) has ended.
            Self::Output(_) if self.is_of_reader_gone() => 128 + 13,
            Self::Input { .. }
            | Self::Malformed { .. }
            | Self::Unprintable(_)
            | Self::Output(_)
            | Self::NoAnswer(_) => 1,
        }
    }

    /// One line, or one for each fault of the configuration: what failed, why, and what to do.
    pub fn line(&self) -> String {
        if let Self::Config(crate::config::Error::Invalid(violations)) = self {
            let lines = violations.iter().map(|violation| format!("jeton: {violation}"));
            return lines.map(|line| super::output::printable(&line)).collect::<Vec<_>>().join("\n");
        }
        let mut line = format!("jeton: {self}");
        let mut source = self.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !line.ends_with(&text) {
                line.push_str(&format!(": {text}"));
            }
            source = cause.source();
        }
        if let Some(advice) = self.advice() {
            line.push_str(&format!("; {advice}"));
        }
        if let Some(trace_id) = self.problem().and_then(|problem| problem.trace_id.as_deref()) {
            line.push_str(&format!(" [trace {trace_id}]"));
        }
        super::output::printable(&line)
    }

    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Broker { source, .. } | Self::NoClient { source, .. } => source.problem(),
            _ => None,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Broker { source, .. } if source.is_of_plain_http() => {
                Some("that port speaks no TLS: does the address of the broker begin with http://?".to_owned())
            }
            Self::Broker { source, .. } if source.is_of_tls() => {
                Some("check JETON_URL, and whether this machine believes the certificate there".to_owned())
            }
            Self::Broker { source: jeton_client::Error::Transport(_), .. } => {
                Some("check JETON_URL, or try again later".to_owned())
            }
            Self::Broker { source: jeton_client::Error::IssuerUnreached(_), .. } => {
                Some("try again later, or store the credential again with the right issuer".to_owned())
            }
            Self::Broker { source: jeton_client::Error::CredentialRefused(_), .. } => Some(
                "see `jeton client check`, and put a new one there: jeton client deliver CLIENT_ID"
                    .to_owned(),
            ),
            Self::Broker { source: jeton_client::Error::Login(LoginError::Absent(_)), .. } => Some(
                "run `jeton login`, or set JETON_URL, JETON_CLIENT_ID and JETON_CLIENT_SECRET".to_owned(),
            ),
            Self::Login(error) | Self::Broker { source: jeton_client::Error::Login(error), .. } => {
                Some(error.advice())
            }
            Self::Settings(SettingsError::Missing(_)) => {
                Some("set it in the environment of this command".to_owned())
            }
            Self::Settings(_) => None,
            Self::NoClient { .. } => {
                Some("a client id is wanted, not an identifier: see `jeton client list`".to_owned())
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(
                "another program has it, perhaps a jeton that runs already: end that one, or choose another with --listen \
                 (`listen` in the configuration)"
                    .to_owned(),
            ),
            Self::Unwritable { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => Some(
                "an earlier `jeton init` or `jeton recover` may have written it: if its instance is made, the credentials in it \
                 count; else move it away, or name another with --out"
                    .to_owned(),
            ),
            Self::Server(error) if error.is_locked() => Some(
                "end the `jeton serve` that runs there, or choose another with --data-dir (`data_dir` in the configuration)"
                    .to_owned(),
            ),
            Self::Server(error) if error.is_damaged() => {
                Some("restore the database's file from a backup; keep the damaged one".to_owned())
            }
            _ => self.problem().and_then(advice_on),
        }
    }
}

fn advice_on(problem: &Problem) -> Option<String> {
    match problem.action {
        Action::Retry => Some(match (problem.retry_after, problem.current_expires_in) {
            (_, Some(left)) => {
                format!(
                    "try again later; the token that is there lives {left} s more: `jeton token` gives it without --min-ttl"
                )
            }
            (Some(pause), None) => format!("try again in {} s", pause.as_secs()),
            (None, None) => "try again later".to_owned(),
        }),
        Action::Reauthorize => {
            let again = problem.code != "connection_not_found";
            let what = if again { "connect the account again" } else { "connect an account" };
            let place = problem.signup_url.as_ref().map_or_else(String::new, |url| format!(": {url}"));
            Some(format!("a member of the app must {what}{place}"))
        }
        // Its detail says where to look; whether it was a misspelt name or a number is not known here.
        Action::FixConfiguration if problem.code == "not_found" => None,
        Action::FixConfiguration => Some(match problem.code.as_str() {
            "app_not_found" => "see `jeton app list`".to_owned(),
            "connector_not_found" => "see `jeton connector list`".to_owned(),
            "credentials_missing" => {
                "store them: jeton credentials set CONNECTOR --client-id ID --client-secret-file FILE"
                    .to_owned()
            }
            _ => "an operator must mend the configuration".to_owned(),
        }),
        Action::RequestAccess => Some(match problem.code.as_str() {
            "invalid_client" => {
                "check the client id (JETON_CLIENT_ID, --client-id) and JETON_CLIENT_SECRET".to_owned()
            }
            "access_denied" => "run it again if you meant to say yes".to_owned(),
            "forbidden" => {
                "ask a superadmin of the broker for the right (role superadmin, scope, and --allow are \
                            what counts)"
                    .to_owned()
            }
            _ => "ask a superadmin of the broker for the right".to_owned(),
        }),
        Action::ChangeRequest if !problem.flows.is_empty() => {
            Some(format!("choose one with --flow: {}", problem.flows.join(", ")))
        }
        Action::ChangeRequest => {
            // The broker's own sentence has the number.
            let most = problem.max_ttl.filter(|most| !problem.detail.contains(&most.to_string()));
            most.map(|most| format!("at most {most} s can be promised"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_settings_are_named_and_end_with_78() {
        let error = Error::from(SettingsError::Missing("JETON_URL"));
        assert_eq!(error.exit_code(), 78);
        assert_eq!(
            error.line(),
            "jeton: this command speaks to a broker: the environment variable JETON_URL is not set; set it in the environment of this command"
        );
    }

    #[test]
    fn who_finds_an_address_taken_is_told_what_to_do() {
        let line = |kind: io::ErrorKind| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
            Error::Listen { address, source: kind.into() }.line()
        };
        let told = line(io::ErrorKind::AddrInUse);
        assert!(told.starts_with("jeton: cannot listen on 127.0.0.1:8080: "), "{told}");
        assert!(told.contains("another with --listen (`listen` in the configuration)"), "{told}");
        assert!(!line(io::ErrorKind::PermissionDenied).contains("--listen"));
    }

    #[test]
    fn a_program_that_is_absent_gives_127() {
        let error = |kind: io::ErrorKind| Error::NotStarted { program: "x".into(), source: kind.into() };
        assert_eq!(error(io::ErrorKind::NotFound).exit_code(), 127);
        assert_eq!(error(io::ErrorKind::PermissionDenied).exit_code(), 126);
    }
}
